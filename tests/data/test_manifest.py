"""Rows and files match, or the message says which do not."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.manifest import Dataset, assemble, check_counts, manifest_hash, read_table
from soft_attention.errors import StudyError

INFO = DatasetInfo("toy", "Toy", ("mel", "nv"))


def rows(count=7, **columns):
    ids = [f"I{i}" for i in range(count)]
    table = {"image_id": ids, "label": ["nv"] * count, "lesion_id": ids} | columns
    return pd.DataFrame(table), {image: f"{image}.jpg" for image in ids}


def test_files_are_joined_by_identifier_and_rows_sorted():
    table, images = rows(3, age=[1, 2, 3])
    table = assemble(INFO, table.iloc[::-1], images, {"I1": "I1.png"})
    assert list(table.columns) == ["image_id", "label", "lesion_id", "image_path", "mask_path", "age"]
    assert table["image_path"].tolist() == ["I0.jpg", "I1.jpg", "I2.jpg"]
    assert table["mask_path"].isna().tolist() == [True, False, True]
    assert table["age"].tolist() == [1, 2, 3]


def test_tables_with_and_without_masks_can_be_joined():
    table, images = rows(2)
    both = pd.concat([assemble(INFO, table, images, {}), assemble(INFO, table, images, images)])
    assert both["mask_path"].dtype == both["image_path"].dtype
    assert both["mask_path"].isna().sum() == 2


def test_rows_without_an_image_are_named_up_to_five():
    table, _ = rows(7)
    message = r"Toy: 7 images have a row but no image file \(I0, I1, I2, I3, I4, \.\.\.\)"
    with pytest.raises(StudyError, match=message):
        assemble(INFO, table, {}, {})


def test_images_without_a_row_are_named():
    table, images = rows(3)
    with pytest.raises(StudyError, match=r"2 images have an image file but no row \(I0, I2\)"):
        assemble(INFO, table[table.image_id == "I1"], images, {})


def test_an_image_that_comes_twice():
    table, images = rows(2)
    with pytest.raises(StudyError, match=r"1 images come twice in the table \(I1\)"):
        assemble(INFO, pd.concat([table, table.tail(1)]), images, {})


@pytest.mark.parametrize("label", ["naevus", None])
def test_an_unknown_or_missing_class(label):
    table, images = rows(2, label=["nv", label])
    with pytest.raises(StudyError, match=r"1 images have another class than mel, nv \(I1\)"):
        assemble(INFO, table, images, {})


def test_other_counts_than_published():
    table, _ = rows(3)
    with pytest.raises(StudyError, match=r"Toy: 3 images found, 4 published; per class \{'nv': 3\} instead"):
        check_counts(table, {"nv": 3, "mel": 1}, "Toy")
    check_counts(table, {"nv": 3}, "Toy")


def test_other_lesions_than_published():
    table, images = rows(3)
    with pytest.raises(StudyError, match="3 lesions found, 2 published"):
        assemble(DatasetInfo("toy", "Toy", ("nv",), lesions=2), table, images, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"image_id,dx\nI1,nv\n", r"t\.csv has no column 'label': it needs image_id, label and has"),
        (b"", r"t\.csv is not a readable CSV"),
        (b'image_id,label\nI1,nv,1,2\n"I2', r"t\.csv is not a readable CSV"),
        (b"image_id,label\n\xff\xfe,nv\n", r"t\.csv is not a readable CSV"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(StudyError, match=message):
        read_table(tmp_path / "t.csv", ["image_id", "label"])


def test_identifiers_and_labels_stay_text(tmp_path):
    (tmp_path / "t.csv").write_text("image_id,label,lesion_id,age\n007,1,08,50\n")
    table = read_table(tmp_path / "t.csv", ["image_id", "label"])
    assert table.iloc[0].tolist() == ["007", "1", "08", 50]


@given(st.permutations(range(7)))
def test_the_hash_does_not_depend_on_order_or_other_columns(order):
    table, _ = rows(7)
    assert manifest_hash(table.iloc[order].assign(age=1)) == manifest_hash(table)


@pytest.mark.parametrize("column", ["image_id", "label", "lesion_id"])
def test_the_hash_changes_with_every_value_it_covers(column):
    table, _ = rows(7)
    changed = table.copy()
    changed.loc[3, column] = "other"
    assert manifest_hash(changed) != manifest_hash(table)


def test_the_hash_is_the_same_on_every_machine():
    table, _ = rows(1)
    # printf 'image_id,label,lesion_id\nI0,nv,I0\n' | sha256sum
    assert manifest_hash(table) == "707781c1dbcd95b5d22ad2a0652cb6d41c90afd52ef1bd743acc7abc0ce1dc34"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A table of three images, one of them with a mask."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    table, _ = rows(3)
    for name in ("I0", "I1", "I2", "M1"):
        Image.new("RGB", (9, 9), (ord(name[0]), int(name[1]), 7)).save(tmp_path / f"{name}.bmp")
    images = [str(tmp_path / f"{name}.bmp") for name in table["image_id"]]
    return table.assign(image_path=images, mask_path=[None, str(tmp_path / "M1.bmp"), None])


def pixels(table):
    return Dataset("any", table, (), "own").pixel_hashes


def test_the_hash_of_the_pixels_changes_with_what_a_file_holds_and_with_nothing_else(files, tmp_path):
    before, file = pixels(files), tmp_path / "I1.bmp"
    for each in tmp_path.glob("*.bmp"):
        each.touch()
    assert pixels(files) == before
    moved = files.iloc[::-1].replace(str(file), str(file.rename(tmp_path / "x.bmp")))
    assert pixels(moved) == before
    (tmp_path / "x.bmp").rename(file)
    ImageOps.invert(Image.open(file)).save(file)  # the same length
    assert pixels(files)["images"] != before["images"] and pixels(files)["masks"] == before["masks"]
    (tmp_path / "M1.bmp").write_bytes(b"")
    assert pixels(files)["masks"] != before["masks"]


def test_there_is_no_hash_of_pixels_that_are_not_there(files, tmp_path):
    (tmp_path / "I2.bmp").unlink()
    assert pixels(files)["images"] is None
    assert pixels(files.assign(mask_path=None)) == {"images": None, "masks": None}


def test_external_may_be_given_as_a_table():
    table = pd.DataFrame({"image_id": ["a"], "label": ["nv"], "lesion_id": ["a"]})
    assert Dataset("toy", table, ("nv",), "own", table).external is table
    assert "toy: 1 images (own) of 1 lesions" in repr(Dataset("toy", table, ("nv",), "own"))
