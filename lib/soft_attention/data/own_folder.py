"""A person's own folder of images with a labels.csv: read as it stands, and what is unclear is refused."""

import os
import re
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.content import identical_images
from soft_attention.data.manifest import Dataset, assemble, refuse
from soft_attention.data.own_table import read_own_table
from soft_attention.errors import StudyError
from soft_attention.files import files_below

_RESERVED = {"image_id", "lesion_id", "label", "seed", "fold"}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp")


def load_own(folder: Path) -> Dataset:
    """Load the images of a folder by its labels.csv.

    It has image_id and label and, as far as there are, lesion_id, image_path and mask_path (relative to the folder),
    subset (also called split or partition), and anything else; how it may be written: `read_own_table`. Without
    image_path, an image's name is its image_id, with or without suffix, in the folder or else in one below it.

    Raises:
        FileNotFoundError: there is no labels.csv.
        StudyError: a line, a label or a file that is missing, twice or unclear.
    """
    labels = folder.absolute() / "labels.csv"
    if not labels.is_file():
        raise FileNotFoundError(f"{labels} does not exist: a folder of your own needs it, with image_id and label")
    table = read_own_table(labels)
    info = DatasetInfo(labels.parent.name, str(labels), _own_classes(table["label"], labels))
    refuse(table["image_id"][table["image_id"].duplicated()], "come twice in the table", info.title)
    masks = _masks(table, labels)
    images = _given_images(table, labels) if "image_path" in table else _named_images(table, labels, masks)
    alone = _without_lesions(table, info.name)
    lesions = table.get("lesion_id", pd.Series(None, table.index, dtype="str")).fillna(table["image_id"])
    _refuse_alike(lesions, "lesion_ids", labels)
    table = assemble(info, table.assign(lesion_id=lesions), images, masks)
    found = [*alone, *_twins(table, info.name)]
    for warning in found:
        warnings.warn(warning, stacklevel=3)
    return Dataset(info.name, table, info.classes, "own", warnings=found)


def _own_classes(column: pd.Series, labels: Path) -> tuple[str, ...]:
    """The labels in alphabetical order: at least two, no two that are almost alike, none of `_RESERVED`."""
    classes = tuple(sorted(set(column)))
    if taken := sorted(_RESERVED & set(classes)):
        raise StudyError(f"{labels}: the label {taken[0]!r} is a column of the predictions; call it otherwise")
    _refuse_alike(column, "labels", labels)
    if len(classes) < 2:
        raise StudyError(f"{labels}: its classes are {list(classes)}; there must be two at least to tell apart")
    return classes


def _refuse_alike(column: pd.Series, kind: str, labels: Path) -> None:
    """StudyError if two names differ only in case, or in what stands between their words: is it one or are they two?"""
    names = pd.Series(sorted(set(column)), dtype="str")
    keys = names.map(lambda name: re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", name.casefold()))
    for alike in (names[keys == key] for key in keys[keys.duplicated()].unique()):
        cases = len({name.casefold() for name in alike}) == 1
        how = "case alone" if cases else "case, spaces, hyphens or underscores alone"
        raise StudyError(f"{labels}: the {kind} {', '.join(alike)} differ in {how}; write them alike")


def _without_lesions(table: pd.DataFrame, name: str) -> Iterator[str]:
    """What is to be said of images without a lesion_id, each of which counts as a lesion of its own."""
    if missing := table["lesion_id"].isna().sum() if "lesion_id" in table else len(table):
        columns = "" if "lesion_id" in table else f" (its columns: {', '.join(table)})"
        yield (
            f"{name}: {missing:,} images have no lesion_id{columns} and count as a lesion "
            "each; if some show the same lesion, training and test set may share it"
        )


def _twins(table: pd.DataFrame, name: str) -> Iterator[str]:
    """What is to be said of files that hold the same picture under several identifiers."""
    twins = identical_images(table)
    lesions, classes = (twins.groupby("content")[each].transform("nunique") for each in ("lesion_id", "label"))
    for which, what in (
        (lesions > 1, "another lesion_id: one may train and another test"),
        (classes > 1, "another label: one of the two is wrong"),
        ((lesions == 1) & (classes == 1), "the same lesion_id: they count as several"),
    ):
        if count := int(which.sum()):
            some = " = ".join(twins.loc[twins["content"] == twins["content"][which].iloc[0], "image_id"])
            yield f"{name}: {count:,} images are byte-identical to one with {what} ({some}{', ...' * (count > 2)})"


def _masks(table: pd.DataFrame, labels: Path) -> dict[str, str]:
    """Mask files by identifier."""
    if "mask_path" not in table:
        return {}
    given = table.set_index("image_id")["mask_path"].dropna()
    found = {image: _existing(labels.parent, path) for image, path in given.items()}
    refuse([image for image, path in found.items() if not path], "have a mask_path where no file is", str(labels))
    return found


def _given_images(table: pd.DataFrame, labels: Path) -> dict[str, str]:
    """Image files by identifier, from the column image_path."""
    given = table.set_index("image_id")["image_path"].dropna()
    found = {image: _existing(labels.parent, path) for image, path in given.items()}
    missing = [image for image in table["image_id"] if not found.get(image)]
    path = f"; {given[missing[0]]!r} is no file" if missing and missing[0] in given else ""
    refuse(missing, f"have a row but no image file{path}", str(labels))
    _refuse_one_file_twice(found, labels.parent)
    return found


def _refuse_one_file_twice(images: dict[str, str], folder: Path) -> None:
    files, same = pd.Series(images, dtype="str"), pd.Series(map(_identity, images.values()), dtype=object).duplicated()
    refuse(files[same.to_numpy()], "stand behind more than one image_id", str(folder))


def _identity(file: Path | str) -> tuple[int, int]:
    """What two names of one file have in common."""
    found = os.stat(file)
    return found.st_dev, found.st_ino


def _existing(folder: Path, path: str) -> str | None:
    """The file that a path in the table names, also if it was written on Windows or in Unicode's other form."""
    for spelled in (path, path.replace("\\", "/")):
        for form in ("NFC", "NFD"):
            file = folder / unicodedata.normalize(form, spelled)
            if os.path.isfile(file):
                return str(file)
    return None


def _named_images(table: pd.DataFrame, labels: Path, masks: dict[str, str]) -> dict[str, str]:
    """Image files by identifier, from those in the folder or, where it has none of that name, below it.

    A folder that holds an image of the table holds no other: those too are returned, under their own names.
    """
    folder, no_images = labels.parent, set(map(_identity, masks.values()))
    there = [file for file in files_below(folder) if _identity(file) not in no_images]
    files = [file for file in there if file.suffix.lower() in IMAGE_SUFFIXES]
    by_name: dict[str, list[Path]] = {}
    for file in files:
        for name in _names(file, folder):
            by_name.setdefault(name, []).append(file)
    found = {image: by_name.get(image.replace("\\", "/"), []) for image in table["image_id"]}
    found = {image: [f for f in files if f.parent == folder] or files for image, files in found.items()}
    refuse([image for image, files in found.items() if len(files) > 1], "have more than one image file", str(folder))
    missing = [image for image, files in found.items() if not files]
    refuse(missing, f"have a row but no image file{_near(missing[:1], there, folder)}", str(labels))
    images = {image: str(file) for image, (file,) in found.items()}
    _refuse_one_file_twice(images, folder)
    used = set(images.values())
    ours = {folder, *(Path(file).parent for file in used)}
    others = [file for file in files if file.parent in ours and str(file) not in used]
    return images | {str(file.relative_to(folder).with_suffix("")): str(file) for file in others}


def _names(file: Path, folder: Path) -> set[str]:
    """What an image_id may call a file: its name, or its path from the folder, each with and without suffix."""
    path = file.relative_to(folder)
    names = (file.stem, file.name, path.as_posix(), path.with_suffix("").as_posix())
    return {unicodedata.normalize("NFC", name) for name in names}


def _near(missing: list[str], files: list[Path], folder: Path) -> str:
    """Which file an image without one was perhaps to have, for a message."""
    for image in missing:
        sought = {image.casefold(), os.path.splitext(image)[0].casefold()}
        for file in files:
            if sought & {name.casefold() for name in _names(file, folder)}:
                known = file.suffix.lower() in IMAGE_SUFFIXES
                why = "written otherwise" if known else f"no {', '.join(IMAGE_SUFFIXES)}"
                return f"; {file.relative_to(folder)} is there, {why}"
    return ""
