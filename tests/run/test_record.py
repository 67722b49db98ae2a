"""The run folder: complete or absent, and never overwritten."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from soft_attention import files, paths
from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import score
from soft_attention.model.attention import SoftAttention
from soft_attention.model.networks import build_network
from soft_attention.run import record
from soft_attention.run.predictions import table
from soft_attention.study.config import Study
from soft_attention.study.folder import FILES, read_predictions

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
    folder = record.open_run_folder(run)
    pd.DataFrame({"epoch": [1], "seconds": [2.0]}).to_csv(folder / "history.csv", index=False)
    (folder / "state-1.weights.h5").write_bytes(b"")
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    predictions = table(dataset.table, probabilities, CLASSES)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    metrics = score(predictions, CLASSES) | {"intervals": {"accuracy": [0.1, 0.9]}}
    record.write_run(run, folder, dataset, "hash", network, {"test": predictions, "external": predictions[:2]}, metrics)
    return folder


def test_a_finished_run_has_the_files_of_the_design_and_no_checkpoint(finished):
    assert {file.name for file in finished.iterdir()} == {*FILES, "predictions-external.parquet", ".lock"}
    assert len(read_predictions(finished)) == 4
    assert len(read_predictions(finished, "external")) == 2
    with pytest.raises(StudyError, match=r"predictions-validation\.parquet is missing or damaged"):
        read_predictions(finished, "validation")


def test_the_checkpoints_outlive_a_kill_before_the_run_is_complete(run, dataset, finished, monkeypatch):
    (finished / "metrics.json").unlink()
    (finished / "state-1.weights.h5").write_bytes(b"")

    def killed(path, values):
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "write_json", killed)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(KeyboardInterrupt):
        record.write_run(run, finished, dataset, "hash", network, {}, {})
    assert (finished / "state-1.weights.h5").exists() and not (finished / "metrics.json").exists()


def test_a_kept_run_without_its_network_says_what_to_do(finished):
    assert record.load_network(finished).count_params() == 6
    (finished / "model.keras").write_bytes((finished / "model.keras").read_bytes()[:99])
    with pytest.raises(StudyError, match=r"model\.keras is damaged .*remove .* to make that run again"):
        record.load_network(finished)
    (finished / "model.keras").unlink()
    with pytest.raises(
        StudyError, match=r"model\.keras is not there \(git keeps no networks\): train one with the same"
    ):
        record.load_network(finished)


def test_the_learned_gamma_of_the_unit_is_kept(run, dataset, finished):
    metrics = files.read_json(finished / "metrics.json")
    assert metrics["gamma"] is None
    unit = SoftAttention(2, "paper", gamma_start=-0.25)
    network = keras.Sequential([keras.Input((4, 4, 3)), unit])
    record.write_run(run, finished, dataset, "hash", network, {}, metrics)
    assert files.read_json(finished / "metrics.json")["gamma"] == -0.25


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
        record.open_run_folder(other)
    assert (finished / "predictions.parquet").exists()


def test_a_finished_run_is_not_trained_over(finished, run):
    with pytest.raises(StudyError, match=r"holds this run, finished: remove it to train it again"):
        record.open_run_folder(run)
    code = f"from soft_attention import files; files.hold(files.Path({str(run.folder)!r})); print('free')"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert other.stdout == "free\n", "what is refused is not held"
    assert (finished / "metrics.json").exists()


def test_a_run_of_the_study_play_is_replaced(run):
    played = run.model_copy(update={"study": "play"})
    folder = record.open_run_folder(played)
    (folder / "attention").mkdir()
    (folder / "attention" / "old.png").write_text("")
    in_use = {".lock", "notebook.failed.ipynb", "notebook.failed.log"}  # by the process that executes the notebook
    for name in {"old.txt", *in_use}:
        (folder / name).write_text("")
    assert record.open_run_folder(played.model_copy(update={"epochs": 5})) == folder
    assert {file.name for file in folder.iterdir()} == {"params.json", *in_use}
    assert json.loads((folder / "params.json").read_text())["epochs"] == 5


def test_a_run_folder_is_one_process_s_until_the_run_is_written(run, monkeypatch):
    asks = f"""
from soft_attention import files
from pathlib import Path
with files.one_at_a_time(Path({str(run.folder)!r})):
    print("entered")
"""
    # `sh` stands between, so that the asking process is no child of the holder.
    command = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, asks]
    record.open_run_folder(run)
    asking = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line = asking.stdout.readline()
    assert f"waiting for process {os.getpid()} on " in line and str(run.folder) in line
    files.let_go(run.folder)
    assert asking.communicate(timeout=60)[0] == "entered\n"


def git(folder, *arguments):
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    for name in ("lib", "notebooks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("1")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    return tmp_path


def test_the_code_is_known_by_its_commit_and_whether_it_was_changed(repository):
    facts = record.code(repository)
    assert len(facts["git_commit"]) == 40 and facts["git_changed"] is False
    (repository / "lib" / "new.py").touch()
    assert record.code(repository) == facts | {"git_changed": True}


def test_the_commit_of_a_repository_around_the_project_is_not_its_own(repository):
    assert record.code(repository / "lib") == {"git_commit": None, "git_changed": None}


def test_where_git_refuses_nothing_is_known(repository, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    (repository / "lib" / "a.py").write_text("2")
    assert record.code(repository) == {"git_commit": None, "git_changed": None}


def test_a_hook_of_another_repository_does_not_lend_its_commit(repository, tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert record.code(elsewhere) == {"git_commit": None, "git_changed": None}


def test_half_a_network_is_named(tmp_path):
    file = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(file)
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(StudyError, match=r"model\.keras is damaged \(it is no whole archive\): remove /"):
        record.load_network(tmp_path)


def test_a_network_that_holds_code_is_not_loaded(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: 2 * x)]).save(tmp_path / "model.keras")
    with pytest.raises(StudyError, match=r"model\.keras holds a Lambda layer, which is code .* never run: remove /"):
        record.load_network(tmp_path)
    with pytest.raises(StudyError, match=r"weights file .*model\.keras holds a Lambda layer.*: give another"):
        build_network("mobilenet", "baseline", image_size=31, weights=tmp_path / "model.keras")
