"""The data sets by name: one verified table each, whatever the source, and what its pixels are."""

import os
from pathlib import Path

import pandas as pd

from soft_attention import files, paths
from soft_attention.data import catalog
from soft_attention.data.catalog import CATALOG, DATASETS
from soft_attention.data.fetch.source import Source
from soft_attention.data.manifest import (
    Dataset,
    arrange,
    assemble,
    check_counts,
    refuse,
)
from soft_attention.data.own_folder import load_own
from soft_attention.data.synthetic.generate import SYNTHETIC, SYNTHETIC_2017, generate
from soft_attention.errors import known


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
        return load_own(Path(name).expanduser())
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
    common = SYNTHETIC if info.name == "synthetic" else SYNTHETIC_2017
    table = generate(source.folder, common, lesions=info.lesions, seed=0)
    return Dataset(info.name, arrange(table), info.classes, "generated")
