"""What a trained network says of the images that nothing was trained on, as tables."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.progress import WARNING
from soft_attention.run import training
from soft_attention.run.inputs import Inputs, open_inputs
from soft_attention.study.config import Run


def check_external(run: Run, dataset: Dataset) -> None:
    """StudyError if the run wants an outside test set that its dataset does not have; gets the set if it has one."""
    if not run.external_test:
        return
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        external = dataset.external
    for warning in found:
        print(f"{WARNING}{warning.message}", flush=True)
    if external is None:
        raise StudyError(f"{dataset.name} has no outside test set: set external_test to false")


def predict_run(
    run: Run,
    network: keras.Model,
    inputs: Inputs,
    split: pd.DataFrame,
    dataset: Dataset,
    folder: Path,
    cache_dir: Path,
) -> dict[str, pd.DataFrame]:
    """Every table of predictions that a run keeps.

    Args:
        run, network, inputs, split, folder: as after `training.train`.
        dataset: what the split was made from.
        cache_dir: folder of the decoded images.

    Returns:
        `test` and, where the split has one, `validation`, both with the epoch of the run's own selection;
        `validation-choice` or `test-choice`, the test images with the epoch that the other subset chose
        (`both_choices`);
        `external`, the dataset's outside test set (`external_test`).
    """
    tables = {
        subset: _table(network, inputs, split, split["subset"] == subset, dataset.classes)
        for subset in ("test", "validation")
        if (split["subset"] == subset).any()
    }
    if run.external_test:
        tables["external"] = _external(run, network, dataset, cache_dir)
    for subset in run.choosing[1:]:
        training.load_choice(run, network, folder, subset)
        tables[f"{subset}-choice"] = _table(network, inputs, split, split["subset"] == "test", dataset.classes)
        training.load_choice(run, network, folder, run.choosing[0])
    return tables


def table(rows: pd.DataFrame, probabilities: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    """image_id, lesion_id and label of some rows of a split, and one float32 column of probability per class."""
    facts = rows[["image_id", "lesion_id", "label"]].reset_index(drop=True)
    return facts.join(pd.DataFrame(probabilities.astype("float32"), columns=list(classes)))


def _table(network, inputs, split: pd.DataFrame, chosen: pd.Series, classes: tuple[str, ...]) -> pd.DataFrame:
    rows = np.flatnonzero(chosen)
    return table(split.iloc[rows], training.predict(network, inputs, rows), classes)


def _external(run: Run, network: keras.Model, dataset: Dataset, cache_dir: Path) -> pd.DataFrame:
    rows = dataset.external
    inputs = open_inputs(run, network, rows, cache_dir, views=1)
    return _table(network, inputs, rows, pd.Series(True, rows.index), dataset.classes)
