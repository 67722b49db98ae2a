"""Which images a trained network is asked about, and what it cannot be asked."""

import numpy as np
import pandas as pd
import pytest

from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.run import predictions
from soft_attention.study.config import Study


def test_a_table_has_the_facts_and_one_column_per_class():
    rows = pd.DataFrame({"image_id": ["x"], "label": ["a"], "lesion_id": ["1"], "image_path": ["x.jpg"]}, index=[7])
    table = predictions.table(rows, np.array([[0.25, 0.75]]), ("a", "b"))
    assert table.to_dict("records") == [{"image_id": "x", "lesion_id": "1", "label": "a", "a": 0.25, "b": 0.75}]
    assert table["a"].dtype == np.float32


def test_an_outside_test_set_that_does_not_exist_is_told_before_the_training():
    run = Study.load("smoke").runs()[0]
    table = pd.DataFrame({"image_id": ["x"], "label": ["a"], "lesion_id": ["1"]})
    without, with_one = (Dataset("own", table, ("a",), "own", external) for external in (None, table))
    predictions.check_external(run, without)
    wanting = run.model_copy(update={"external_test": True})
    predictions.check_external(wanting, with_one)
    with pytest.raises(StudyError, match="own has no outside test set: set external_test to false"):
        predictions.check_external(wanting, without)
