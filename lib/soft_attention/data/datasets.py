"""The data sets by name: one verified table each, whatever the source, and what its pixels are."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from soft_attention import files, paths
from soft_attention.data import catalog, synthetic
from soft_attention.data.catalog import CATALOG, DATASETS, DatasetInfo
from soft_attention.data.manifest import (
    COLUMNS,
    arrange,
    assemble,
    check_counts,
    manifest_hash,
    read_table,
    refuse,
)
from soft_attention.data.source import Source
from soft_attention.errors import StudyError, known

_RESERVED = {"image_id", "lesion_id", "label", "seed", "fold"}
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff")


class Dataset:
    """A data set: everything about its images except their pixels.

    Attributes:
        name: as given to `load_dataset`; for a person's own folder, the folder's name.
        table: one row per image, sorted by image_id: image_id, label, lesion_id, image_path,
            mask_path (missing allowed), then the columns of the source.
        classes: the labels in the order used everywhere.
        images: what the pixels are: "official", "mirror (300x225 px)", "generated" or "own".
        external: an outside test set with the same columns, or None. It is given as a table or as
            a function that gets it when it is first asked for, so that training needs no download.
        manifest_hash: SHA-256 over the sorted rows image_id, label, lesion_id.
    """

    def __init__(
        self,
        name: str,
        table: pd.DataFrame,
        classes: tuple[str, ...],
        images: str,
        external: pd.DataFrame | Callable[[], pd.DataFrame] | None = None,
    ):
        self.name, self.table, self.classes, self.images = name, table, tuple(classes), images
        self._external = external

    def __repr__(self) -> str:
        lesions = self.table["lesion_id"].nunique()
        return (
            f"Dataset({self.name}: {len(self.table):,} images ({self.images}) of {lesions:,} "
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


def load_dataset(name: str | Path, data_dir: str | Path | None = None, mirror: str | Path | None = None) -> Dataset:
    """Load one data set, getting and checking its files first if need be.

    Args:
        name: one of DATASETS, or a folder with images and a labels.csv (image_id, label and, as
            far as there are, lesion_id, image_path, mask_path, anything else).
        data_dir: where downloads and unpacked images live; by default `paths.data_dir()`.
        mirror: a folder or URL prefix with the official files; by default DATA_MIRROR, if set.

    Raises:
        ValueError: no such data set.
        FileNotFoundError: no such folder, or one without a labels.csv.
        StudyError: a file that cannot be had or is damaged, rows and images that do not match, an
            unknown class, or other counts than published.
    """
    if name not in DATASETS and (Path(name).expanduser().is_dir() or Path(name).name != str(name)):
        return _load_own(Path(name).expanduser())
    load = {"ham10000": _load_ham10000, "isic2017": _load_isic2017}
    info = CATALOG[known(str(name), DATASETS, "dataset")]
    folder = Path(data_dir or paths.data_dir()).expanduser().absolute() / info.name
    source = Source(info, folder, mirror or os.environ.get("DATA_MIRROR") or None)
    with files.one_at_a_time(folder):
        return load.get(info.name, _load_generated)(source)


def duplicate_pairs() -> pd.DataFrame:
    """The 18 pairs of near-identical HAM10000 images with different lesion ids.

    Columns image_id_a, image_id_b, similarity (cosine). Abhishek, Jain, Hamarneh, Scientific Data
    12:196 (2025).
    """
    return pd.read_csv(Path(__file__).with_name("ham10000_duplicate_pairs.csv"), comment="#")


def _load_ham10000(source: Source) -> Dataset:
    table = source.table("HAM10000_metadata.csv", ["image_id", "lesion_id", "dx"])
    archives = ["HAM10000_images_part_1.zip", "HAM10000_images_part_2.zip"]
    images = source.images(archives)
    masks = source.masks(["HAM10000_segmentations_lesion_tschandl.zip"])
    table = assemble(source.info, table.rename(columns={"dx": "label"}), images, masks)
    return Dataset(
        source.info.name,
        table,
        source.info.classes,
        source.pixels(archives, images),
        lambda: _load_isic2018_test(source, table),
    )


def _load_isic2018_test(training: Source, known_images: pd.DataFrame) -> pd.DataFrame:
    """HAM10000's outside test set. It has no lesion identifiers: each image counts as a lesion."""
    info = CATALOG[training.info.external]
    source = Source(info, training.folder.with_name(info.name), training.mirror)
    columns = [name.upper() for name in info.classes]
    with files.one_at_a_time(source.folder):
        truth = source.table("ISIC2018_Task3_Test_GroundTruth.csv", ["image", *columns])
        images = source.images(["ISIC2018_Task3_Test_Input.zip"])
    ids, one_hot = truth["image"], truth[columns]
    refuse(ids[ids.isin(known_images["image_id"])], "are also in HAM10000", info.title)
    unclear = ~one_hot.isin([0, 1]).all(axis=1) | (one_hot.sum(axis=1) != 1)
    refuse(ids[unclear], "do not have exactly one class", info.title)
    labels = one_hot.idxmax(axis=1).str.lower()
    table = pd.DataFrame({"image_id": ids, "label": labels, "lesion_id": ids})
    return assemble(info, table, images, {})


def _load_isic2017(source: Source) -> Dataset:
    """Three partitions in one table. No lesion identifiers: each image counts as a lesion."""
    info, prefixes = source.info, catalog.ISIC2017_PREFIXES
    parts = [_isic2017_partition(source, *item) for item in prefixes.items()]
    archives = [f"ISIC-2017_{prefix}_Data.zip" for prefix in prefixes.values()]
    images = source.images(archives)
    masks = source.masks([f"ISIC-2017_{prefix}_Part1_GroundTruth.zip" for prefix in prefixes.values()])
    table = assemble(info, pd.concat(parts, ignore_index=True), images, masks)
    for partition, expected in info.partitions.items():
        check_counts(table[table["partition"] == partition], expected, f"{info.title}, {partition}")
    return Dataset(info.name, table, info.classes, source.pixels(archives, images))


def _isic2017_partition(source: Source, partition: str, prefix: str) -> pd.DataFrame:
    """Labels from the two published questions (neither: nevus), with age and sex where known."""
    questions = ["melanoma", "seborrheic_keratosis"]
    truth = source.table(f"ISIC-2017_{prefix}_Part3_GroundTruth.csv", ["image_id", *questions])
    ids, answers = truth["image_id"], truth[questions]
    unclear = ~answers.isin([0, 1]).all(axis=1) | (answers.sum(axis=1) > 1)
    refuse(ids[unclear], "do not have one diagnosis", f"{source.info.title}, {partition}")
    labels = answers.idxmax(axis=1).where(answers.any(axis=1), "nevus")
    table = pd.DataFrame({"image_id": ids, "label": labels, "lesion_id": ids, "partition": partition})
    people = source.table(f"ISIC-2017_{prefix}_Data_metadata.csv", ["image_id", "age_approximate", "sex"])
    if people is None:
        return table
    people = people.set_index("image_id")
    age = pd.to_numeric(people["age_approximate"], errors="coerce")
    return table.assign(age=ids.map(age), sex=ids.map(people["sex"]))


def _load_generated(source: Source) -> Dataset:
    info = source.info
    common = synthetic.SYNTHETIC if info.name == "synthetic" else synthetic.SYNTHETIC_2017
    table = synthetic.generate(source.folder, common, lesions=info.lesions, seed=0)
    return Dataset(info.name, arrange(table), info.classes, "generated")


def _load_own(folder: Path) -> Dataset:
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
