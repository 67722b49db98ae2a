"""The run folder: complete or absent, never overwritten, and read back from its predictions."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from soft_attention import files, paths
from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.model.attention import SoftAttention
from soft_attention.study import records, scores
from soft_attention.study.config import Study
from soft_attention.study.predictions import table

CLASSES = ("a", "b")


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path


@pytest.fixture
def plan():
    return Study.load("smoke").model_copy(update={"name": "mine"})


@pytest.fixture
def run(plan):
    return plan.runs()[1]


@pytest.fixture
def dataset():
    table = pd.DataFrame(
        {"image_id": ["x", "y", "z", "w"], "label": ["a", "b", "a", "b"], "lesion_id": ["1", "2", "3", "4"]}
    )
    return Dataset("toy", table.assign(image_path="", mask_path=pd.NA), CLASSES, "generated")


@pytest.fixture
def finished(run, dataset):
    """A run folder with everything in it."""
    folder = records.open_run_folder(run)
    pd.DataFrame({"epoch": [1], "seconds": [2.0]}).to_csv(folder / "history.csv", index=False)
    (folder / "state-1.weights.h5").write_bytes(b"")
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    predictions = table(dataset.table, probabilities, CLASSES)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    metrics = scores.score(predictions, CLASSES) | {"intervals": {"accuracy": [0.1, 0.9]}}
    records.write_run(
        run, folder, dataset, "hash", network, {"test": predictions, "external": predictions[:2]}, metrics
    )
    return folder


def test_a_finished_run_has_the_files_of_the_design_and_no_checkpoint(finished):
    assert {file.name for file in finished.iterdir()} == {*records.FILES, "predictions-external.parquet"}
    assert len(records.read_predictions(finished)) == 4
    assert len(records.read_predictions(finished, "external")) == 2
    with pytest.raises(StudyError, match=r"predictions-validation\.parquet is missing or damaged"):
        records.read_predictions(finished, "validation")


def test_the_checkpoints_outlive_a_kill_before_the_run_is_complete(run, dataset, finished, monkeypatch):
    (finished / "metrics.json").unlink()
    (finished / "state-1.weights.h5").write_bytes(b"")

    def killed(path, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "write_json", killed)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(KeyboardInterrupt):
        records.write_run(run, finished, dataset, "hash", network, {}, {})
    assert (finished / "state-1.weights.h5").exists() and not (finished / "metrics.json").exists()


def test_a_kept_run_without_its_network_says_what_to_do(finished):
    assert records.load_network(finished).count_params() == 6
    (finished / "model.keras").write_bytes((finished / "model.keras").read_bytes()[:99])
    with pytest.raises(StudyError, match=r"model\.keras is damaged .*remove .* to make that run again"):
        records.load_network(finished)
    (finished / "model.keras").unlink()
    with pytest.raises(StudyError, match=r"model\.keras is not there \(git keeps no networks\): remove .* and train"):
        records.load_network(finished)


def test_scores_are_recomputed_from_the_predictions(finished, run, plan):
    stored = json.loads((finished / "metrics.json").read_text())
    (finished / "metrics.json").write_text(json.dumps(stored | {"accuracy": 0.123}))
    (row,) = records.load_runs(plan).to_dict("records")
    assert row["accuracy"] == 0.75
    assert (row["backbone"], row["arm"], row["scale"]) == (run.backbone, run.arm, run.scale)
    assert row["images"] == "generated"


def test_the_learned_scale_of_the_unit_is_kept(run, dataset, finished, plan):
    assert records.load_runs(plan)["gamma"].isna().all()
    unit = SoftAttention(2, "paper", gamma_start=-0.25)
    network = keras.Sequential([keras.Input((4, 4, 3)), unit])
    records.write_run(run, finished, dataset, "hash", network, {}, files.read_json(finished / "metrics.json"))
    assert records.load_runs(plan)["gamma"].tolist() == [-0.25]


def test_runs_that_the_study_no_longer_has_do_not_count_and_are_told(finished, plan):
    (finished / "attention.json").write_text("{}")
    others = plan.model_copy(update={"arms": ["baseline"]})
    with pytest.raises(StudyError, match="no finished runs"):
        records.load_runs(others)
    assert records.load_attention(others).empty
    shutil.copytree(finished, others.runs()[0].folder)
    assert records.load_environments(others)["runs"].tolist() == [1]
    assert len(records.load_runs(others)) == 1
    assert records.left_over(plan) == ""
    assert "not counted: 1 (synthetic/clean/mobilenet/released/seed-0-fold-0, ...)" in records.left_over(others)


def test_the_environment_tells_versions_data_and_scale(finished, dataset, run):
    found = json.loads((finished / "environment.json").read_text())
    assert found["packages"]["keras"] == keras.__version__
    assert found["dataset_manifest"] == dataset.manifest_hash
    assert found["pixel_sha256"] == {"images": None, "masks": None}
    assert found["split_manifest"] == "hash"
    assert found["scale"] == run.scale and found["weights"] == "random"
    assert found["training_seconds"] == 2.0 and found["peak_memory_mib"] > 50


def test_a_folder_with_other_parameters_is_never_overwritten(finished, run):
    other = run.model_copy(update={"epochs": 77})
    with pytest.raises(StudyError, match=r"other parameters \(epochs: 3 -> 77\): remove it"):
        records.open_run_folder(other)
    assert (finished / "predictions.parquet").exists()


def test_a_finished_run_is_not_trained_over(finished, run):
    with pytest.raises(StudyError, match=r"holds this run, finished: remove it to train it again"):
        records.open_run_folder(run)
    assert (finished / "metrics.json").exists()


def test_the_smoke_study_may_be_played_with(run):
    smoke = run.model_copy(update={"study": "smoke"})
    folder = records.open_run_folder(smoke)
    (folder / "attention").mkdir()
    (folder / "attention" / "old.png").write_text("")
    in_use = {".lock", "notebook.failed.ipynb", "notebook.failed.log"}  # by the process that executes the notebook
    for name in {"old.txt", *in_use}:
        (folder / name).write_text("")
    assert records.open_run_folder(smoke.model_copy(update={"epochs": 5})) == folder
    assert {file.name for file in folder.iterdir()} == {"params.json", *in_use}
    assert json.loads((folder / "params.json").read_text())["epochs"] == 5


def test_missing_and_damaged_files_are_named(finished, plan):
    (finished / "predictions.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(StudyError, match=r"predictions\.parquet is missing or damaged"):
        records.load_runs(plan)
    (finished / "params.json").write_text("{")
    with pytest.raises(StudyError, match=r"params\.json is damaged"):
        records._run(finished)
    with pytest.raises(StudyError, match=r"no finished runs in .*other.*run_all\.sh other"):
        records.load_runs(plan.model_copy(update={"name": "other"}))


def test_json_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "x.json", {"a": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_attention_has_one_row_per_way_to_look(finished, plan):
    assert records.load_attention(plan).empty
    means = {"energy": 0.5, "pointing": 1.0, "iou": 0.2, "entropy": 0.9}
    found = {"perturbed_images": 7, "images": "generated", "head_correlation": 0.1, "mean_map": [[1.0]]}
    found |= {"rank_correlation_with_random": {"unit": 0.2, "network": None}}
    found |= {"perturbations": {"attention": {"insertion": 0.6, "deletion": 0.4}, "chance": {"deletion": 0.5}}}
    found |= {"iou_curve": {"attention": {"0.5": 0.3, "0.9": 0.1}}}
    files.write_json(finished / "attention.json", found | {"scores": {"attention": means, "uniform": means}})
    table = records.load_attention(plan)
    assert list(table["map"]) == ["attention", "uniform", "chance"]
    assert table["energy"].tolist()[:2] == [0.5, 0.5] and table["deletion"].tolist()[2] == 0.5
    assert table["rank_unit"].tolist()[0] == 0.2 and np.isnan(table["rank_unit"][1])
    assert table["insertion"].tolist()[0] == 0.6 and np.isnan(table["insertion"][1])
    assert table["iou_0.9"].tolist()[0] == 0.1 and np.isnan(table["iou_0.9"][1])


def test_parts_are_told_apart_by_dataset_and_protocol_where_they_have_several():
    places = [("a", "x", "clean"), ("a", "x", "clean"), ("b", "x", "clean"), ("b", "y", "clean"), ("", "x", "clean")]
    runs = pd.DataFrame(places, columns=["part", "dataset", "protocol"])
    named = records.by_part(runs)
    assert {name: len(part) for name, part in named.items()} == {"a": 2, "b-x-clean": 1, "b-y-clean": 1, "x-clean": 1}
    assert list(records.by_part(runs[::-1])) == ["x-clean", "b-y-clean", "b-x-clean", "a"]


def test_a_part_is_unfinished_by_its_own_dataset_and_protocol(plan):
    grid = {"datasets": ["synthetic", "synthetic2017"], "seeds": [0, 1]}
    plan = plan.model_copy(update=grid)
    runs = pd.DataFrame([{key: getattr(run, key) for key in (*records.PART, "seed")} for run in plan.runs()])
    assert records.unfinished(plan, records.by_part(runs)) == []
    whole = len(runs) // 2
    assert records.unfinished(plan, records.by_part(runs[1:])) == [f"synthetic-clean {whole - 1} of {whole}"]
