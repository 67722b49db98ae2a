"""One verified table of images: what every loader returns, and every complaint about rows."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO

import pandas as pd

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.content import content_hashes
from soft_attention.errors import StudyError

COLUMNS = ["image_id", "label", "lesion_id", "image_path", "mask_path"]
_TEXT = dict.fromkeys([*COLUMNS, "image", "dx"], str)


class Dataset:
    """A data set: everything about its images except their pixels.

    Attributes:
        name: as given to `load_dataset`; for a person's own folder, the folder's name.
        table: one row per image, sorted by image_id: image_id, label, lesion_id, image_path,
            mask_path (missing allowed), then the columns of the source.
        classes: the labels in the order used everywhere.
        source: where the pixels come from: "official", "mirror (300x225 px)", "own copy (600x450 px)",
            "generated" or "own".
        external: an outside test set with the same columns, or None. It is given as a table or as
            a function that gets it when it is first asked for, so that training needs no download.
        manifest_hash: SHA-256 over the sorted rows image_id, label, lesion_id.
        warnings: what a reader of the results must know of the data, a sentence each.
    """

    def __init__(
        self,
        name: str,
        table: pd.DataFrame,
        classes: tuple[str, ...],
        source: str,
        external: pd.DataFrame | Callable[[], pd.DataFrame] | None = None,
        warnings: Iterable[str] = (),
    ):
        self.name, self.table, self.classes, self.source = name, table, tuple(classes), source
        self.warnings, self._external = tuple(warnings), external

    def __repr__(self) -> str:
        lesions = self.table["lesion_id"].nunique()
        return (
            f"Dataset({self.name}: {len(self.table):,} images ({self.source}) of {lesions:,} "
            f"lesions, classes {', '.join(self.classes)})"
        )

    @property
    def external(self) -> pd.DataFrame | None:
        if callable(self._external):
            self._external = self._external()
        return self._external

    @property
    def manifest_hash(self) -> str:
        return manifest_hash(self.table)

    @cached_property
    def pixel_hashes(self) -> dict[str, str | None]:
        """SHA-256 over what the files of the `images` and of the `masks` hold, by image_id, whatever they are called.

        As they were when this was first asked for; None where there are no masks, or no such files on this machine.
        """
        return {"images": _pixel_hash(self.table, "image_path"), "masks": _pixel_hash(self.table, "mask_path")}


def read_table(file: Path | IO, columns: list[str], name: str | None = None, **options) -> pd.DataFrame:
    """Read a CSV with at least these columns, identifiers and labels as text; else StudyError.

    `options` go to `pandas.read_csv`.
    """
    name = name or str(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(file, dtype=_TEXT, index_col=False, **options)
    except pd.errors.ParserWarning as error:
        raise StudyError(f"{name} has rows with more fields than its header: quote texts that hold a comma") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise StudyError(f"{name} is not a readable CSV file ({error}): get it anew") from error
    if missing := [column for column in columns if column not in table]:
        raise StudyError(
            f"{name} has no column '{missing[0]}': it needs {', '.join(columns)} and has "
            f"{', '.join(map(str, table.columns))}"
        )
    return table


def assemble(
    info: DatasetInfo, table: pd.DataFrame, images: Mapping[str, str], masks: Mapping[str, str]
) -> pd.DataFrame:
    """Join rows with image and mask files, check everything, and sort by image_id.

    Args:
        info: the classes and, where they are published, the counts to find.
        table: image_id, label, lesion_id and columns of the source, one row per image.
        images: image file by image_id; exactly one per row.
        masks: mask file by image_id; may be incomplete.

    Raises:
        StudyError: names the first images without a row, rows without an image, twice, or of an
            unknown class; or the count that differs from the published one.
    """
    ids, name = table["image_id"], info.title
    refuse(ids[ids.duplicated()], "come twice in the table", name)
    unknown = ~table["label"].isin(info.classes)
    refuse(ids[unknown], f"have another class than {', '.join(info.classes)}", name)
    refuse(ids[~ids.isin(list(images))], "have a row but no image file", name)
    refuse(sorted(set(images) - set(ids)), "have an image file but no row", name)
    check_counts(table, info.class_counts, name)
    lesions = table["lesion_id"].nunique()
    if info.lesions not in (None, lesions):
        raise StudyError(f"{name}: {lesions:,} lesions found, {info.lesions:,} published; get it anew")
    # The dtype of text also where there is no mask at all, so that tables can be joined.
    mask_path = pd.Series([masks.get(image) for image in ids], ids.index, ids.dtype)
    return arrange(table.assign(image_path=ids.map(images), mask_path=mask_path))


def arrange(table: pd.DataFrame) -> pd.DataFrame:
    """The columns that all data sets share first, the rows by image_id."""
    others = [column for column in table.columns if column not in COLUMNS]
    return table[COLUMNS + others].sort_values("image_id", ignore_index=True)


def check_counts(table: pd.DataFrame, expected: Mapping[str, int] | None, name: str) -> None:
    """StudyError if the images per class are not the published ones (None: not published)."""
    found = table["label"].value_counts().to_dict()
    if expected is not None and found != dict(expected):
        raise StudyError(
            f"{name}: {sum(found.values()):,} images found, {sum(expected.values()):,} published; "
            f"per class {dict(sorted(found.items()))} instead of {dict(expected)}; get its files anew"
        )


def refuse(images, problem: str, name: str) -> None:
    """StudyError that names the first five of `images`, if there are any."""
    images = list(images)
    if images:
        more = ", ..." if len(images) > 5 else ""
        raise StudyError(
            f"{name}: {len(images):,} images {problem} ({', '.join(map(str, images[:5]))}{more}); "
            "correct the table or the files"
        )


def _pixel_hash(table: pd.DataFrame, column: str) -> str | None:
    rows = table[["image_id", column]].dropna().sort_values("image_id")
    if rows.empty or not rows[column].map(os.path.isfile).all():
        return None
    lines = (
        f"{image},{content}\n" for image, content in zip(rows["image_id"], content_hashes(rows[column]), strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def manifest_hash(table: pd.DataFrame) -> str:
    """SHA-256 over the rows image_id, label, lesion_id, sorted: equal means the same data."""
    rows = table[["image_id", "label", "lesion_id"]].sort_values("image_id")
    return hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
