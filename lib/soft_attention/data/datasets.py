"""The data sets by name: one verified table each, whatever the source, and what its pixels are."""

import warnings
from pathlib import Path

import pandas as pd

from soft_attention import files, paths
from soft_attention.data.catalog import CATALOG, DATASETS, HAM10000, ISIC2017
from soft_attention.data.fetch.layouts import Place
from soft_attention.data.fetch.source import Source
from soft_attention.data.manifest import Dataset, arrange, assemble
from soft_attention.data.own_folder import load_own
from soft_attention.data.synthetic.generate import generate
from soft_attention.errors import known


def load_dataset(name: str | Path, data_dir: str | Path | None = None, mirror: str | Path | None = None) -> Dataset:
    """Load one data set, getting and checking its files first if need be.

    Args:
        name: one of DATASETS, or a folder with images and a labels.csv (image_id, label and, as
            far as there are, lesion_id, image_path, mask_path, anything else).
        data_dir: where downloads and unpacked images live; by default `paths.data_dir()`.
        mirror: a URL prefix with the official files, or a folder that holds them, or a copy of them in another form
            (unpacked, say); by default DATA_MIRROR, if set.

    Raises:
        ValueError: no such data set.
        FileNotFoundError: no such folder, or one without a labels.csv.
        StudyError: a file that cannot be had or is damaged, rows and images that do not match, an
            unknown class, or other counts than published.

    >>> load_dataset("synthetic").classes
    ('akiec', 'bcc', 'bkl', 'df', 'mel', 'nv', 'vasc')
    """
    if name not in DATASETS and (Path(name).expanduser().is_dir() or Path(name).name != str(name)):
        return load_own(Path(name).expanduser())
    info = CATALOG[known(str(name), DATASETS, "dataset")]
    folder = Path(data_dir or paths.data_dir()).expanduser().absolute() / info.name
    source = Source(info, folder, mirror or paths.data_mirror())
    with files.one_at_a_time(folder):
        return _load_published(source) if info.files else _load_generated(source)


def duplicate_pairs() -> pd.DataFrame:
    """The 18 pairs of near-identical HAM10000 images with different lesion ids.

    Columns image_id_a, image_id_b, similarity (cosine). Abhishek, Jain, Hamarneh, Scientific Data
    12:196 (2025).
    """
    return pd.read_csv(Path(__file__).with_name("ham10000_duplicate_pairs.csv"), comment="#")


def _load_published(source: Source) -> Dataset:
    info, table = source.info, _table(source)
    pixels = source.pixels([Place(Path(path)) for path in table["image_path"]])
    external = info.external and (lambda: _load_external(source))
    return Dataset(info.name, table, info.classes, pixels, external, source.notes())


def _table(source: Source) -> pd.DataFrame:
    """A row for each image, checked against what is published; what is left out is said."""
    table = assemble(source.info, source.rows.table, source.images(), source.masks())
    for note in source.notes():
        warnings.warn(note, stacklevel=2)
    return table


def _load_external(training: Source) -> pd.DataFrame:
    info = CATALOG[training.info.external]
    source = Source(info, training.folder.with_name(info.name), training.mirror)
    with files.one_at_a_time(source.folder):
        return _table(source)


def _load_generated(source: Source) -> Dataset:
    info = source.info
    common = HAM10000.class_counts if info.name == "synthetic" else ISIC2017.partitions["train"]
    table = generate(source.folder, common, lesions=info.lesions, seed=0)
    return Dataset(info.name, arrange(table), info.classes, "generated")
