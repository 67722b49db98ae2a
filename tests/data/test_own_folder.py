"""A person's own folder is read as it stands, or the message says what is unclear."""

import io

import pytest
from PIL import Image

from soft_attention.data.datasets import load_dataset
from soft_attention.errors import StudyError


def picture(kind="JPEG"):
    file = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", (30, 20)).save(file, kind)
    return file.getvalue()


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "clinic"
    folder.mkdir()
    for name, kind in (("001.jpg", "JPEG"), ("002.JPEG", "JPEG"), ("003.png", "PNG")):
        (folder / name).write_bytes(picture(kind=kind))
    (folder / "labels.csv").write_text("image_id,label,lesion_id,room\n001,b,x,1\n002,a,x,2\n003,b,y,3\n")
    return folder


def test_own_folder(own):
    dataset = load_dataset(own)
    assert (dataset.name, dataset.images, dataset.classes) == ("clinic", "own", ("a", "b"))
    assert dataset.table["image_path"].tolist() == [str(own / n) for n in ("001.jpg", "002.JPEG", "003.png")]
    assert dataset.table["lesion_id"].tolist() == ["x", "x", "y"]
    assert dataset.table["room"].tolist() == [1, 2, 3]
    assert load_dataset(f"{own}/").name == "clinic"


def test_own_labels_are_what_stands_there_without_spaces_around(own):
    (own / "labels.csv").write_text("image_id,label,lesion_id\n001,None ,x\n 002,NA,NA\n003, None,y\n\n,,\n")
    dataset = load_dataset(own)
    assert dataset.classes == ("NA", "None")
    assert dataset.table["label"].tolist() == ["None", "NA", "None"]
    assert dataset.table["lesion_id"].tolist() == ["x", "NA", "y"]


def test_own_images_may_be_tiff(own):
    (own / "002.JPEG").unlink()
    (own / "002.tif").write_bytes(picture(kind="TIFF"))
    assert load_dataset(own).table["image_path"].tolist()[1] == str(own / "002.tif")


def test_hidden_files_are_no_images(own):
    (own / "._001.jpg").write_bytes(b"what macOS leaves on foreign disks")
    assert len(load_dataset(own).table) == 3


def test_own_folder_without_lesions_warns(own):
    (own / "labels.csv").write_text("image_id,label\n001,b\n002,a\n003,b\n")
    with pytest.warns(UserWarning, match="3 images have no lesion_id"):
        table = load_dataset(own).table
    assert table["lesion_id"].tolist() == ["001", "002", "003"]


def test_own_folder_with_paths_and_masks(own):
    (own / "mask.png").write_bytes(picture(kind="PNG"))
    (own / "labels.csv").write_text(
        f"image_id,label,lesion_id,image_path,mask_path\nA,b,x,001.jpg,mask.png\nB,a,y,{own / '003.png'},\n"
    )
    table = load_dataset(own).table
    assert table["image_path"].tolist() == [str(own / "001.jpg"), str(own / "003.png")]
    assert table["mask_path"].tolist()[:1] == [str(own / "mask.png")]
    assert table["mask_path"].isna().tolist() == [False, True]


def test_own_masks_among_the_images_are_no_images_without_a_row(own):
    (own / "mask.png").write_bytes(picture(kind="PNG"))
    (own / "labels.csv").write_text("image_id,label,lesion_id,mask_path\n001,b,x,mask.png\n002,a,y,\n003,a,z,\n")
    assert len(load_dataset(own).table) == 3


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("001,b,x\n002,a,x\n", r"1 images have an image file but no row \(003\)"),
        ("001,b,x\n002,a,x\n003,a,y\n004,a,z\n", r"1 images have a row but no image file \(004\)"),
        ("001,b,x\n002,a,x\n003,a,y\n003,b,y\n", r"1 images come twice in the table \(003\)"),
        ("001,b,x\n\n002,,x\n003,a,y\n", r"no label in line 4; fill it in"),
        ("001,b,x\n  ,a,x\n,a,y\n", r"no image_id in line 3, 4; fill it in"),
        ("001,b,x\n002,b,x\n003,b,y\n", r"its classes are \['b'\]; there must be two"),
        ("001,Mel,x\n002,nv,x\n003,mel,y\n", r"the labels Mel, mel differ in case alone"),
        ("001,seed,x\n002,nv,x\n003,nv,y\n", r"the label 'seed' is a column of the predictions"),
        ("001,a,x,1\n002,b,x,1\n003,b,y,1\n", r"has rows with more fields than its header"),
        ("", r"its classes are \[\]; there must be two"),
    ],
)
def test_own_folder_with_a_wrong_table(own, rows, message):
    (own / "labels.csv").write_text("image_id,label,lesion_id\n" + rows)
    with pytest.raises(StudyError, match=rf"clinic.*{message}"):
        load_dataset(own)


def test_own_paths_that_lead_nowhere(own):
    for column, message in (
        ("image_path", "have a row but no image file"),
        ("mask_path", "have a mask_path"),
    ):
        (own / "labels.csv").write_text(f"image_id,label,lesion_id,{column}\n001,b,x,typo.png\n002,a,y,002.JPEG\n")
        with pytest.raises(StudyError, match=rf"1 images {message}.*\(001\)"):
            load_dataset(own)


def test_one_own_image_under_two_names(own):
    (own / "labels.csv").write_text("image_id,label,image_path\nA,a,001.jpg\nB,b,001.jpg\nC,b,002.JPEG\n")
    with pytest.raises(StudyError, match=r"1 images stand behind more than one image_id \(.*001\.jpg\)"):
        load_dataset(own)


def test_own_image_in_two_formats(own):
    (own / "001.png").write_bytes(picture(kind="PNG"))
    with pytest.raises(StudyError, match=r"have more than one image file \(001\)"):
        load_dataset(own)


def test_a_folder_without_a_table_or_no_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"labels\.csv does not exist.*image_id and label"):
            load_dataset(folder)
