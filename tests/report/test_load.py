"""Run folders become tables: scores from the predictions, only the runs of the study, damage named."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from soft_attention import files, paths
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import score
from soft_attention.report.load import (
    PART,
    by_part,
    left_over,
    load_attention,
    load_environments,
    load_runs,
    unfinished,
)
from soft_attention.study.config import Study

CLASSES = ("a", "b")


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return Study.load("smoke").model_copy(update={"name": "mine"})


@pytest.fixture
def run(plan):
    return plan.runs()[1]


@pytest.fixture
def finished(run):
    """A run folder with what the tables read of it."""
    folder, probabilities = run.folder, [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]]
    predictions = pd.DataFrame({"image_id": list("xyzw"), "lesion_id": list("1234"), "label": list("abab")})
    predictions[list(CLASSES)] = np.float32(probabilities)
    files.write_json(folder / "params.json", run.model_dump())
    files.write_table(folder / "predictions.parquet", predictions)
    facts = {"processor": "p", "platform": "l", "backend": "b", "git_commit": "c", "packages": {"keras": "3"}}
    facts |= {"source": "generated", "training_seconds": 2.0, "peak_memory_mib": 100}
    files.write_json(folder / "environment.json", facts)
    files.write_json(folder / "metrics.json", score(predictions, CLASSES) | {"intervals": {"accuracy": [0.1, 0.9]}})
    return folder


def test_scores_are_recomputed_from_the_predictions(finished, run, plan):
    stored = json.loads((finished / "metrics.json").read_text())
    (finished / "metrics.json").write_text(json.dumps(stored | {"accuracy": 0.123}))
    (row,) = load_runs(plan).to_dict("records")
    assert row["accuracy"] == 0.75
    assert (row["backbone"], row["arm"], row["scale"]) == (run.backbone, run.arm, run.scale)
    assert row["source"] == "generated"


def test_runs_that_the_study_no_longer_has_do_not_count_and_are_told(finished, plan):
    (finished / "attention.json").write_text("{}")
    others = plan.model_copy(update={"arms": ["baseline"]})
    with pytest.raises(StudyError, match="no finished runs"):
        load_runs(others)
    assert load_attention(others).empty
    shutil.copytree(finished, others.runs()[0].folder)
    assert load_environments(others)["runs"].tolist() == [1]
    assert len(load_runs(others)) == 1
    assert left_over(plan) == ""
    assert "not counted: 1 (synthetic/clean/mobilenet/released/seed-0-fold-0, ...)" in left_over(others)


def test_runs_on_other_pixels_are_not_compared(finished, plan):
    other = plan.runs()[0].folder
    shutil.copytree(finished, other)
    files.write_json(other / "params.json", plan.runs()[0].model_dump())
    facts = files.read_json(finished / "environment.json")
    for folder, pixels in ((other, "abc"), (finished, "abc"), (finished, "abd")):
        files.write_json(folder / "environment.json", facts | {"pixel_sha256": {"images": pixels, "masks": None}})
        if pixels == "abc":
            assert len(load_runs(plan)) == 2
    with pytest.raises(StudyError, match=r"baseline.* and .*released.* other pixels of synthetic under the same names"):
        load_runs(plan)


def test_missing_and_damaged_files_are_named(finished, plan):
    (finished / "predictions.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(StudyError, match=r"predictions\.parquet is missing or damaged"):
        load_runs(plan)
    (finished / "params.json").write_text("{")
    with pytest.raises(StudyError, match=r"params\.json is damaged"):
        load_runs(plan)
    with pytest.raises(StudyError, match=r"no finished runs in .*other.*run_all\.sh other"):
        load_runs(plan.model_copy(update={"name": "other"}))


def test_attention_has_one_row_per_way_to_look(finished, plan):
    assert load_attention(plan).empty
    means = {"energy": 0.5, "pointing": 1.0, "iou": 0.2, "entropy": 0.9}
    found = {"perturbed_images": 7, "source": "generated", "head_correlation": 0.1, "mean_map": [[1.0]]}
    found |= {"rank_correlation_with_random": {"unit": 0.2, "network": None}}
    found |= {"perturbations": {"attention": {"insertion": 0.6, "deletion": 0.4}, "chance": {"deletion": 0.5}}}
    found |= {"iou_curve": {"attention": {"0.5": 0.3, "0.9": 0.1}}}
    files.write_json(finished / "attention.json", found | {"scores": {"attention": means, "uniform": means}})
    table = load_attention(plan)
    assert list(table["map"]) == ["attention", "uniform", "chance"]
    assert table["energy"].tolist()[:2] == [0.5, 0.5] and table["deletion"].tolist()[2] == 0.5
    assert table["rank_unit"].tolist()[0] == 0.2 and np.isnan(table["rank_unit"][1])
    assert table["insertion"].tolist()[0] == 0.6 and np.isnan(table["insertion"][1])
    assert table["iou_0.9"].tolist()[0] == 0.1 and np.isnan(table["iou_0.9"][1])


def test_parts_are_told_apart_by_dataset_and_protocol_where_they_have_several():
    places = [("a", "x", "clean"), ("a", "x", "clean"), ("b", "x", "clean"), ("b", "y", "clean"), ("", "x", "clean")]
    runs = pd.DataFrame(places, columns=["part", "dataset", "protocol"])
    named = by_part(runs)
    assert {name: len(part) for name, part in named.items()} == {"a": 2, "b-x-clean": 1, "b-y-clean": 1, "x-clean": 1}
    assert list(by_part(runs[::-1])) == ["x-clean", "b-y-clean", "b-x-clean", "a"]


def test_a_part_is_unfinished_by_its_own_dataset_and_protocol(plan):
    grid = {"datasets": ["synthetic", "synthetic2017"], "seeds": [0, 1]}
    plan = plan.model_copy(update=grid)
    runs = pd.DataFrame([{key: getattr(run, key) for key in (*PART, "seed")} for run in plan.runs()])
    assert unfinished(plan, by_part(runs)) == []
    whole = len(runs) // 2
    assert unfinished(plan, by_part(runs[1:])) == [f"synthetic-clean {whole - 1} of {whole}"]
