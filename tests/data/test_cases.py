"""Small inputs from the field, as they came: each is read rightly or refused by what is wrong with it.

STUDY_CASES names their folder. The kinds they stand for have their tests beside the code that reads them.
"""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from soft_attention.data.datasets import load_dataset
from soft_attention.data.images import decode_image, decode_masks
from soft_attention.data.splits import audit_split, make_split
from soft_attention.errors import StudyError


@pytest.mark.parametrize("name", ["rgb16.png", "rgba16.png", "grayalpha16.png", "gray16.png"])
def test_images_of_sixteen_bits(cases, name):
    with pytest.raises(StudyError, match=f"{name} has more than 8 bits"):
        decode_image(cases / "images" / name, 32)


def test_images_with_hidden_colours(cases):
    shown = {file.stem: decode_image(file, 64) for file in (cases / "images").glob("[cgp]*_*.png")}
    assert {"cutout_green", "cutout_black", "grey_with_alpha", "palette_with_transparency"} <= set(shown)
    np.testing.assert_array_equal(shown["cutout_green"], shown["cutout_black"])
    for picture in shown.values():
        assert (picture.max(axis=2) == 0).mean() == pytest.approx(0.75, abs=0.05)


def test_a_broken_exif_block(cases):
    with pytest.raises(StudyError, match=r"broken_exif\.png has an EXIF block"):
        decode_image(cases / "images" / "broken_exif.png", 32)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("palette_one_lesion", 0.25),
        ("rgb_red_on_black", 0.25),
        ("rgba_white_on_hidden_white", None),
        ("rgba_black_on_hidden_black", None),
        ("indices_1_and_3", None),
        ("palette_two_lesion_classes", None),
    ],
)
def test_masks(cases, name, share):
    file = cases / "masks" / f"{name}.png"
    table = pd.DataFrame({"mask_path": [file], "image_path": [file]})
    if share is not None:
        assert decode_masks(table, 64).mean() == share
    else:
        with pytest.raises(StudyError, match=f"{name}.* lesion is not clear"):
            decode_masks(table, 64)


@pytest.fixture
def folder(cases, tmp_path):
    """A folder with one of the tables and an image for each name in it."""

    def made(table: str, names: list[str]):
        for number, name in enumerate(names):
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            picture = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
            Image.fromarray(picture).save(file)
        shutil.copyfile(cases / "tables" / table, tmp_path / "labels.csv")
        return tmp_path

    return made


def test_a_lesion_column_with_capitals(folder):
    names = [f"{number:04}.jpg" for number in range(1, 81)]
    dataset = load_dataset(folder("lesion_id_almost_named.csv", names))
    assert len(dataset.table) == 80 and dataset.table["lesion_id"].nunique() == 40 and dataset.warnings == ()
    split = make_split(dataset, "clean")
    assert audit_split(split)["shared_lesions"] == 0
    assert (split.groupby("lesion_id")["subset"].nunique() == 1).all()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("two_label_columns.csv", r"has label in 2 columns"),
        ("one_file_two_spellings.csv", r"stand behind more than one image_id \(.*001\.jpg\)"),
        ("line_number.csv", r"no label in line 5;"),
        ("excel_sep_line.csv", r"its classes are \['b'\]"),  # read, and then too small
    ],
)
def test_tables(folder, table, message):
    place = "images/" if table.startswith("one_file") else ""
    made = folder(table, [f"{place}{number:03}.jpg" for number in (1, 2, 3)][: 1 if "sep" in table else 3])
    with pytest.raises(StudyError, match=message):
        load_dataset(made)
