"""The run folder: what lies in it under which name, and what both who writes and who reads it must know."""

import io
from functools import lru_cache
from pathlib import Path

import pandas as pd

from soft_attention.data.catalog import ISIC2018_TEST
from soft_attention.errors import StudyError
from soft_attention.files import read_json
from soft_attention.study.config import Run

FILES = (
    "params.json",
    "history.csv",
    "model.keras",
    "predictions.parquet",
    "environment.json",
    "metrics.json",
)


def read_history(folder: Path) -> pd.DataFrame:
    """The epochs of a run, one row each; StudyError if they are missing or damaged."""
    file = folder / "history.csv"
    try:
        text = file.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            raise ValueError("its last line is not whole")
        return pd.read_csv(io.StringIO(text))
    except (OSError, ValueError) as error:  # ValueError: no table, no text, or half of one
        raise StudyError(f"{file} is missing or damaged ({error}): remove {folder} to make that run again") from error


def predictions_file(name: str = "test") -> str:
    """The file of a run's predictions of the test images, or of `validation`, `external` and so on."""
    return "predictions.parquet" if name == "test" else f"predictions-{name}.parquet"


def read_predictions(folder: Path, name: str = "test") -> pd.DataFrame:
    """One of a run's tables of predictions (see `predictions_file`); StudyError if it is missing or damaged.

    Those of the outside test set are without what is no part of it, and each image has its lesion, which the files that
    some runs were made from did not tell.
    """
    file = folder / predictions_file(name)
    try:
        table = _read_parquet(file, file.stat().st_mtime_ns)
    except Exception as error:
        raise StudyError(f"{file} is missing or damaged ({error}): run it again") from error
    return table.copy(deep=False)


def _with_lesions(table: pd.DataFrame) -> pd.DataFrame:
    table = table[~table["image_id"].isin(list(ISIC2018_TEST.left_out))].reset_index(drop=True)
    unknown = table["lesion_id"] == table["image_id"]
    lesions = table["image_id"].map(ISIC2018_TEST.known_lesions).fillna(table["image_id"])
    return table.assign(lesion_id=table["lesion_id"].where(~unknown, lesions))


@lru_cache(maxsize=4096)
def _read_parquet(file: Path, changed: int) -> pd.DataFrame:
    """A summary asks for the same predictions about five times."""
    table = pd.read_parquet(file)
    return _with_lesions(table) if file.name == predictions_file("external") else table


def changes(run: Run, folder: Path) -> str:
    """How `run` differs from the `params.json` in `folder`, for people; empty if it does not.

    A parameter that came into the schema later has its default value in an older file.
    """
    file = folder / "params.json"
    stored, new = read_json(file), run.model_dump()
    old = stored | Run.check(stored, str(file)).model_dump()
    return ", ".join(
        f"{key}: {old[key]} -> {new.get(key, 'no longer a parameter')}" for key in old if old[key] != new.get(key)
    )
