"""The record of a dataset in a study: what was found in it, and the hash by which each of its splits is known again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soft_attention import paths
from soft_attention.errors import StudyError
from soft_attention.files import read_json, write_json
from soft_attention.study.config import PLAY, Study


def record_file(study: str, dataset: str) -> Path:
    """`results/STUDY/data/DATASET.json`; a dataset given as a folder stands there by the folder's name."""
    return paths.RESULTS / study / "data" / f"{Path(dataset).name}.json"


def recorded_splits(study: str, dataset: str) -> list[dict[str, Any]]:
    """The audits in a record, each with the options of its split as `split`; none without a record.

    Raises:
        StudyError: the record is damaged.
    """
    return _recorded(study, dataset, "splits", [])


def is_recorded(study: Study, dataset: str) -> bool:
    """Whether the data stage is done: the record of the dataset holds every split that the study's runs have."""
    recorded = [audit.get("split") for audit in recorded_splits(study.name, dataset)]
    return all(dict(run.split) in recorded for run in study.runs() if run.dataset == dataset)


def data_warnings(study: str) -> list[str]:
    """What a reader must know of the data of a study, a sentence each, as its data stages recorded it."""
    records = [read_json(file) for file in sorted((paths.RESULTS / study / "data").glob("*.json"))]
    return [f"{record['dataset']}: {warning}" for record in records for warning in record.get("warnings", [])]


def check_source(study: str, dataset: str, source: str) -> None:
    """StudyError if the record says that another `source` was used, say those of a mirror and not the official ones."""
    if (recorded := _recorded(study, dataset, "source", source)) != source:
        raise StudyError(
            f"the runs of the study {study} on {dataset} used other images ({recorded}) than are here now ({source}), "
            "and do not belong into one table with runs on these: give the same images (DATA_MIRROR), or remove "
            f"{paths.RESULTS / study} to make every run on the new ones"
        )


def check_pixels(study: str, dataset: str, hashes: Mapping[str, str | None]) -> None:
    """StudyError if the record has other `Dataset.pixel_hashes`: what an image shows has changed under its name.

    Where one of the two knows no hash, as older records and images without masks, there is nothing to compare.
    """
    recorded = _recorded(study, dataset, "pixel_sha256", {})
    for kind, found in hashes.items():
        if found and recorded.get(kind) not in (None, found):
            raise StudyError(
                f"the {kind} of {dataset} are not those that the study {study} was made with, despite their names: put "
                f"back the files, or remove {paths.RESULTS / study} to make every run on the new ones"
            )


def check_split(study: str, dataset: str, split: Mapping[str, Any], sha256: str) -> None:
    """StudyError if a split with these options is recorded with another hash."""
    for recorded in recorded_splits(study, dataset):
        if recorded.get("split") == split and recorded["sha256"] != sha256:
            options = ", ".join(f"{name} {value}" for name, value in split.items())
            raise StudyError(
                f"the split of {dataset} in the study {study} ({options}) is not the one recorded in "
                f"{record_file(study, dataset)}: the data or the versions of the libraries have changed since; remove "
                "that file and the runs made with it"
            )


def write_record(study: str, record: Mapping[str, Any]) -> None:
    """Write a record with its audits in `splits`, followed by those that only an earlier record has.

    The study `play` checks nothing, and its record is replaced.

    Raises:
        StudyError: a split is recorded already, with another hash, or other images or masks are.
    """
    dataset, audits = record["dataset"], list(record["splits"])
    if study != PLAY:
        check_source(study, dataset, record["source"])
        check_pixels(study, dataset, record.get("pixel_sha256", {}))
        for audit in audits:
            check_split(study, dataset, audit["split"], audit["sha256"])
        made = [audit["split"] for audit in audits]
        audits += [old for old in recorded_splits(study, dataset) if old.get("split") not in made]
    write_json(record_file(study, dataset), {**record, "splits": audits})


def _recorded(study: str, dataset: str, key: str, default: Any) -> Any:
    file = record_file(study, dataset)
    return read_json(file).get(key, default) if file.exists() else default
