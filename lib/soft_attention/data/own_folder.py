"""A person's own folder of images with a labels.csv: read as it stands, and what is unclear is refused."""

import warnings
from pathlib import Path

import pandas as pd

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.manifest import COLUMNS, Dataset, assemble, read_table, refuse
from soft_attention.errors import StudyError

_RESERVED = {"image_id", "lesion_id", "label", "seed", "fold"}
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


def load_own(folder: Path) -> Dataset:
    """Load the images of a folder by its labels.csv.

    It has image_id and label and, as far as there are, lesion_id, image_path and mask_path (relative to the folder),
    and anything else. Without image_path, an image's name is its image_id.

    Raises:
        FileNotFoundError: there is no labels.csv.
        StudyError: a line, a label or a file that is missing, twice or unclear.
    """
    labels = folder.absolute() / "labels.csv"
    if not labels.is_file():
        raise FileNotFoundError(f"{labels} does not exist: a folder of your own needs it, with image_id and label")
    table = _with_lesions(_own_table(labels), labels)
    for column in table.columns.intersection(["image_path", "mask_path"]):
        table[column] = [p if pd.isna(p) else str(labels.parent / p) for p in table[column]]
    info = DatasetInfo(labels.parent.name, str(labels), _own_classes(table["label"], labels))
    masks = table.set_index("image_id")["mask_path"].dropna() if "mask_path" in table else {}
    absent = [image for image, path in dict(masks).items() if not Path(path).is_file()]
    refuse(absent, "have a mask_path where no file is", info.title)
    table = assemble(info, table, _own_images(labels.parent, table), dict(masks))
    return Dataset(info.name, table, info.classes, "own")


def _own_table(labels: Path) -> pd.DataFrame:
    """A labels.csv whose identifiers and labels are what stands there, "None" and "NA" too, without spaces around."""
    as_is = {"keep_default_na": False, "na_values": [""], "skip_blank_lines": False}  # so that a row tells its line
    table = read_table(labels, ["image_id", "label"], **as_is).dropna(how="all")
    for column in table.columns.intersection(COLUMNS):
        table[column] = table[column].str.strip().replace("", None)
    for column in ("image_id", "label"):
        if lines := [str(row + 2) for row in table.index[table[column].isna()]]:
            raise StudyError(
                f"{labels}: no {column} in line {', '.join(lines[:5])}{', ...' * (len(lines) > 5)}; "
                "fill it in, or delete the line and its image"
            )
    return table


def _own_classes(column: pd.Series, labels: Path) -> tuple[str, ...]:
    """The labels in alphabetical order: at least two, no two that differ in case alone, none of `_RESERVED`."""
    classes = tuple(sorted(set(column)))
    if taken := sorted(_RESERVED & set(classes)):
        raise StudyError(f"{labels}: the label {taken[0]!r} is a column of the predictions; call it otherwise")
    alike = pd.Series(classes, [name.casefold() for name in classes])
    if (twice := alike.index.duplicated(keep=False)).any():
        raise StudyError(f"{labels}: the labels {', '.join(alike[twice])} differ in case alone; write them alike")
    if len(classes) < 2:
        raise StudyError(f"{labels}: its classes are {list(classes)}; there must be two at least to tell apart")
    return classes


def _with_lesions(table: pd.DataFrame, labels: Path) -> pd.DataFrame:
    """Let each image without a lesion_id count as a lesion of its own, and say so."""
    lesions = table.get("lesion_id", pd.Series(None, table.index, dtype="str"))
    if lesions.isna().any():
        warnings.warn(
            f"{labels}: {lesions.isna().sum():,} images have no lesion_id and count as a lesion "
            "each; if some show the same lesion, training and test set may share it",
            stacklevel=4,
        )
    return table.assign(lesion_id=lesions.fillna(table["image_id"]))


def _own_images(folder: Path, table: pd.DataFrame) -> dict[str, str]:
    """Image files by identifier: from the column image_path, else those in the folder."""
    if "image_path" in table:
        given = table["image_path"].dropna()
        refuse(given[given.duplicated()], "stand behind more than one image_id", str(folder))
        pairs = zip(table["image_id"], table["image_path"].fillna(""), strict=True)
        return {image: path for image, path in pairs if Path(path).is_file()}
    masks = set(table.get("mask_path", ()))
    shown = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))  # macOS leaves ._stubs
    files = (path for path in shown if path.suffix.lower() in _IMAGE_SUFFIXES)
    found = [path for path in files if str(path) not in masks]
    stems = pd.Series([path.stem for path in found], dtype="str")
    refuse(stems[stems.duplicated()], "have more than one image file", str(folder))
    return dict(zip(stems, map(str, found), strict=True))
