"""What is remembered, and that it is forgotten when anything changes that it follows from."""

import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.report import remembered as module
from soft_attention.report.remembered import remembered
from soft_attention.study.config import Analysis

CALLS = []


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    CALLS.clear()


@pytest.fixture
def runs(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for number, folder in enumerate(folders):
        folder.mkdir()
        pd.DataFrame({"mel": [number]}).to_parquet(folder / "predictions.parquet")
    return pd.DataFrame({"arm": ["x", "y"], "scores": [{"auc": None}, {"auc": 0.5}], "folder": folders})


def count(runs, *_):
    CALLS.append(len(runs))
    return pd.DataFrame({"runs": [len(runs)], "share": [1 / 3], "missing": pd.array([None], dtype="Int64")})


def values(folder):
    CALLS.append(folder)
    return {"auc": None, "share": 1 / 3}


def test_nothing_is_computed_twice(runs):
    first, second = (remembered(count, runs, Analysis(), ["mel"]) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert len(CALLS) == 1
    assert remembered(values, runs["folder"][0]) == remembered(values, runs["folder"][0]) == values(0)
    assert len(CALLS) == 3


def test_half_of_what_is_remembered_is_computed_again(runs):
    for make, argument in ((count, runs), (values, runs["folder"][0])):
        first = remembered(make, argument)
        (file,) = (paths.RESULTS / ".remembered").rglob("*.parquet" if make is count else "*.json")
        file.write_bytes(file.read_bytes()[:20])
        assert str(remembered(make, argument)) == str(first)
    assert len(CALLS) == 4


def test_another_prediction_argument_run_or_function_is_computed(runs):
    remembered(count, runs, "test")
    pd.DataFrame({"mel": [7]}).to_parquet(runs["folder"][1] / "predictions.parquet")
    remembered(count, runs, "test")
    remembered(count, runs, "external")
    remembered(count, runs[:1], "external")
    remembered(count, {"part": runs}, "external")
    assert CALLS == [2, 2, 2, 1, 1]


def test_other_code_remembers_nothing_and_clears_up(runs, monkeypatch):
    for code in ("old", "new", "new"):
        monkeypatch.setattr(module, "_code", lambda code=code: code)
        remembered(count, runs)
    assert len(CALLS) == 2
    assert [folder.name for folder in (paths.RESULTS / ".remembered").iterdir()] == ["new"]
