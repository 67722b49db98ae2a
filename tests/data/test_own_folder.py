"""A person's own folder is read as it stands, or the message says what is unclear."""

import io
import os
import unicodedata

import pytest
from PIL import Image

from soft_attention.data.datasets import load_dataset
from soft_attention.errors import StudyError


def picture(kind="JPEG", grey=0):
    file = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", (30, 20), grey if kind == "PNG" else (grey,) * 3).save(file, kind)
    return file.getvalue()


@pytest.fixture
def own(tmp_path):
    folder = tmp_path / "clinic"
    folder.mkdir()
    for grey, (name, kind) in enumerate((("001.jpg", "JPEG"), ("002.JPEG", "JPEG"), ("003.png", "PNG"))):
        (folder / name).write_bytes(picture(kind, 80 * grey))
    (folder / "labels.csv").write_text("image_id,label,lesion_id,room\n001,b,x,1\n002,a,x,2\n003,b,y,3\n")
    return folder


def test_own_folder(own):
    dataset = load_dataset(own)
    assert (dataset.name, dataset.source, dataset.classes) == ("clinic", "own", ("a", "b"))
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


@pytest.mark.parametrize("name", ["002.tif", "002.TIFF", "002.bmp", "002.webp", "002.jfif"])
def test_own_images_may_be_of_several_formats(own, name):
    (own / "002.JPEG").rename(own / name)
    assert load_dataset(own).table["image_path"].tolist()[1] == str(own / name)


def test_own_images_may_lie_in_folders_below(own):
    for name, place in (("001.jpg", "b"), ("002.JPEG", "a/deep")):
        (own / place).mkdir(parents=True)
        (own / name).rename(own / place / name)
    (own / "elsewhere").mkdir()
    (own / "elsewhere" / "not of the study.jpg").write_bytes(b"")
    paths = [str(own / path) for path in ("b/001.jpg", "a/deep/002.JPEG", "003.png")]
    assert load_dataset(own).table["image_path"].tolist() == paths
    (own / "b" / "004.png").write_bytes(picture("PNG"))
    with pytest.raises(StudyError, match=r"1 images have an image file but no row \(b/004\)"):
        load_dataset(own)


def test_links_lead_to_images_and_those_that_lead_nowhere_are_none(own, tmp_path):
    (own / "001.jpg").rename(tmp_path / "elsewhere.jpg")
    (own / "001.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (own / "round").symlink_to(own)
    assert len(load_dataset(own).table) == 3
    (tmp_path / "elsewhere.jpg").unlink()
    with pytest.raises(StudyError, match=r"1 images have a row but no image file \(001\)"):
        load_dataset(own)


def test_an_image_in_the_folder_goes_before_one_of_its_name_below(own):
    (own / "originals").mkdir()
    (own / "originals" / "001.tif").write_bytes(b"")
    assert load_dataset(own).table["image_path"].tolist()[0] == str(own / "001.jpg")


@pytest.mark.parametrize("image", ["001.jpg", "images/001", "images/001.jpg", "images\\001.jpg"])
def test_an_image_id_may_have_a_suffix_and_a_folder(own, image):
    if "images" in image:
        (own / "images").mkdir()
        (own / "001.jpg").rename(own / "images/001.jpg")
    (own / "labels.csv").write_text(f"image_id,label,lesion_id\n{image},b,x\n002,a,x\n003,b,y\n")
    table = load_dataset(own).table.set_index("image_id")
    assert os.path.samefile(table["image_path"][image], next(own.rglob("001.jpg")))


@pytest.mark.parametrize("column", ["image_id", "image_path"])
@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_another_unicode_form_are_found(own, column, forms):
    name = unicodedata.normalize(forms[0], "Nävus-1")
    (own / "001.jpg").rename(own / f"{name}.jpg")
    said = unicodedata.normalize(forms[1], name)
    row = f"{said},b,x,{said}.jpg" if column == "image_path" else f"{said},b,x,"
    others = "\n002,a,x,002.JPEG\n003,b,y,003.png\n"
    header = "image_id,label,lesion_id,image_path" if column == "image_path" else "image_id,label,lesion_id,note"
    (own / "labels.csv").write_text(f"{header}\n{row}{others}")
    table = load_dataset(own).table
    assert str(own / f"{name}.jpg") in set(table["image_path"])
    assert unicodedata.normalize("NFC", name) in set(table["image_id"])


def test_paths_may_be_written_as_on_windows(own):
    (own / "images").mkdir()
    (own / "001.jpg").rename(own / "images/001.jpg")
    (own / "labels.csv").write_text(
        "image_id,label,lesion_id,image_path,mask_path\nA,b,x,images\\001.jpg,\nB,a,y,.\\003.png,images\\001.jpg\n"
    )
    table = load_dataset(own).table
    assert all(map(os.path.isfile, table["image_path"])) and os.path.isfile(table["mask_path"][1])


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("001.gif", r"no image file; 001\.gif is there, no \.jpg, .*\(001\)"),
        ("001.heic", r"no image file; 001\.heic is there, no \.jpg"),
        ("a/001.dcm", r"no image file; a/001\.dcm is there, no \.jpg"),
    ],
)
def test_a_format_that_is_not_read_is_named(own, there, message):
    (own / there).parent.mkdir(exist_ok=True)
    (own / "001.jpg").rename(own / there)
    with pytest.raises(StudyError, match=message):
        load_dataset(own)


@pytest.mark.parametrize("image", ["Img1", "IMG1.png"])
def test_an_image_whose_name_is_written_otherwise_is_named(own, image):
    (own / "labels.csv").write_text(f"image_id,label,lesion_id\n{image},b,x\n002,a,x\n003,b,y\n")
    (own / "001.jpg").rename(own / "IMG1.jpg")
    with pytest.raises(StudyError, match=rf"no image file; IMG1\.jpg is there, written otherwise \({image}\)"):
        load_dataset(own)


def test_hidden_files_are_no_images(own):
    (own / "._001.jpg").write_bytes(b"what macOS leaves on foreign disks")
    assert len(load_dataset(own).table) == 3


def test_own_folder_without_lesions_warns(own):
    assert load_dataset(own).warnings == ()
    (own / "labels.csv").write_text("image_id,label,lesion number\n001,b,1\n002,a,1\n003,b,1\n")
    with pytest.warns(UserWarning, match="3 images have no lesion_id"):
        dataset = load_dataset(own)
    assert dataset.table["lesion_id"].tolist() == ["001", "002", "003"]
    (warning,) = dataset.warnings
    assert "3 images have no lesion_id (its columns: image_id, label, lesion number)" in warning


def same_lesions(header, folder):
    (folder / "labels.csv").write_text(f"image_id,label,{header}\n001,b,x\n002,a,x\n003,b,y\n")
    return load_dataset(folder).table["lesion_id"].tolist()


@pytest.mark.parametrize("header", ["Lesion_ID", " lesion_id", "lesion-id", "LESION ID", "LesionId"])
def test_lesions_are_found_however_their_column_is_called(own, header):
    assert same_lesions(header, own) == ["x", "x", "y"]


@pytest.mark.parametrize("header", ["lesion_ids", "leson_id", "lesion", "lesion_identifier", "Lesion UID"])
def test_a_column_that_may_hold_the_lesions_is_not_passed_over(own, header):
    with pytest.raises(StudyError, match=rf"'{header}' meant to be 'lesion_id'"):
        same_lesions(header, own)


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
        ("001,basal cell,x\n002,basal_cell,x\n003,nv,y\n", r"labels basal cell, basal_cell differ in case, spaces"),
        ("001,a,L1\n002,b,l1\n003,b,y\n", r"the lesion_ids L1, l1 differ in case alone"),
        ("001,a,x\n002,b,x \n003 ,b,y\n003,b,y\n", r"1 images come twice in the table \(003\)"),
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


def test_an_identifier_twice_in_a_table_with_masks(own):
    (own / "labels.csv").write_text("image_id,label,lesion_id,mask_path\n001,b,x,003.png\n001,a,x,003.png\n")
    with pytest.raises(StudyError, match=r"1 images come twice in the table \(001\)"):
        load_dataset(own)


@pytest.mark.parametrize("spelling", ["001.jpg", "./001.jpg", "../clinic/001.jpg", ".\\001.jpg", "link.jpg"])
def test_one_own_image_under_two_names(own, spelling):
    (own / "link.jpg").symlink_to(own / "001.jpg")
    (own / "labels.csv").write_text(f"image_id,label,image_path\nA,a,001.jpg\nB,b,{spelling}\nC,b,002.JPEG\n")
    with pytest.raises(StudyError, match=r"1 images stand behind more than one image_id"):
        load_dataset(own)


def test_one_own_image_named_by_two_identifiers(own):
    (own / "labels.csv").write_text("image_id,label\n001,a\n001.jpg,a\n002,b\n003,b\n")
    with pytest.raises(StudyError, match=r"1 images stand behind more than one image_id \(.*001\.jpg\)"):
        load_dataset(own)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("002,b,y", "another lesion_id: one may train and another test"),
        ("002,a,x", "another label: one of the two is wrong"),
        ("002,b,x", "the same lesion_id: they count as several"),
    ],
)
def test_images_of_the_same_bytes_are_told(own, row, message):
    (own / "002.JPEG").write_bytes((own / "001.jpg").read_bytes())
    (own / "labels.csv").write_text(f"image_id,label,lesion_id\n001,b,x\n{row}\n003,a,z\n")
    with pytest.warns(UserWarning, match="byte-identical"):
        (warning,) = load_dataset(own).warnings
    assert f"2 images are byte-identical to one with {message} (001 = 002)" in warning


def test_own_image_in_two_formats(own):
    (own / "001.png").write_bytes(picture(kind="PNG"))
    with pytest.raises(StudyError, match=r"have more than one image file \(001\)"):
        load_dataset(own)


def test_a_folder_without_a_table_or_no_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=r"labels\.csv does not exist.*image_id and label"):
            load_dataset(folder)
