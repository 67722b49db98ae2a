"""What a run folder holds, and how its parameters differ from those of a study."""

import json

import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.errors import StudyError
from soft_attention.study.config import Study
from soft_attention.study.folder import changes, read_history, read_predictions


def test_a_parameter_that_is_newer_than_the_file_has_its_default(tmp_path):
    run = Study.load("smoke").runs()[0]
    values = {key: value for key, value in run.model_dump().items() if key != "leak"}
    (tmp_path / "params.json").write_text(json.dumps(values))
    assert changes(run, tmp_path) == ""
    assert changes(run.model_copy(update={"leak": True}), tmp_path) == "leak: False -> True"


def test_changes_are_told_for_people(tmp_path):
    run = Study.load("smoke").runs()[0]
    (tmp_path / "params.json").write_text(run.model_dump_json())
    assert changes(run, tmp_path) == ""
    (tmp_path / "params.json").write_text(json.dumps(run.model_dump() | {"epochs": 7}))
    assert changes(run, tmp_path) == f"epochs: 7 -> {run.epochs}"
    (tmp_path / "params.json").write_text(json.dumps(run.model_dump() | {"epoch": 7}))
    assert changes(run, tmp_path) == "epoch: 7 -> no longer a parameter"
    (tmp_path / "params.json").write_text("{")
    with pytest.raises(StudyError, match=r"params\.json is damaged .*remove it"):
        changes(run, tmp_path)


def test_the_outside_test_set_has_lesions_and_no_film_prop():
    folder = paths.ROOT / "results/cpu/runs/frozen/ham10000/clean/mobilenet/released/seed-0-fold-0"
    if not (folder / "predictions-external.parquet").exists():
        pytest.skip("the runs of the study cpu are not here")
    table = read_predictions(folder, "external")
    assert (len(table), table["lesion_id"].nunique()) == (1511, 1222)
    assert "ISIC_0035068" not in set(table["image_id"])
    assert len(pd.read_parquet(folder / "predictions-external.parquet")) == 1512  # the file stays as it is


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"epoch,loss\n1,2.0\n2,1."])
def test_a_damaged_history_is_named(tmp_path, content):
    (tmp_path / "history.csv").write_bytes(content)
    with pytest.raises(StudyError, match=r"history\.csv is missing or damaged .*: remove .* to make that run again"):
        read_history(tmp_path)
