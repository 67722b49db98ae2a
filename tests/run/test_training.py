"""Training: what decides the epoch, that a kill costs at most one epoch, and what is said when it goes wrong."""

import os
import shutil
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import of_epoch
from soft_attention.run import features, training
from soft_attention.run.inputs import Inputs
from soft_attention.study.config import Study

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def run():
    smoke = Study.load("smoke").runs()[1]
    return smoke.model_copy(update={"image_size": 32, "steps_per_epoch": 2, "batch_size": 6, "epochs": 3})


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3)).astype("uint8")


@pytest.fixture(scope="module")
def split():
    subset = ["train"] * 18 + ["validation"] * 6 + ["test"] * 6
    return pd.DataFrame({"label": [CLASSES[i % 3] for i in range(30)], "subset": subset})


def train(run, images, split, folder):
    folder.mkdir(exist_ok=True)
    training.prepare_backend(run.seed, run.precision)
    network = training.build(run, CLASSES)
    inputs = Inputs(images)
    if run.frozen:
        inputs = Inputs(features.open_features(features.divide(network)[0], images, run.views, folder / "cache"))
    history = training.train(run, network, inputs, split, CLASSES, folder)
    pd.testing.assert_frame_equal(history, pd.read_csv(folder / "history.csv"))
    return network, history


@pytest.fixture(scope="module")
def whole(run, images, split, tmp_path_factory):
    """An uninterrupted training: its predictions, its history and its folder."""
    folder = tmp_path_factory.mktemp("whole")
    network, history = train(run, images, split, folder)
    return training.predict(network, Inputs(images), np.arange(30)), history, folder


class Killed(Exception):
    pass


def test_a_killed_training_goes_on_after_its_last_epoch_and_ends_the_same(
    run, images, split, whole, tmp_path, monkeypatch, capsys
):
    keep = training._keep

    def killed_in_epoch_two(trainer, network, history, *arguments):
        if len(history) == 2:
            raise Killed
        keep(trainer, network, history, *arguments)

    monkeypatch.setattr(training, "_keep", killed_in_epoch_two)
    with pytest.raises(Killed):
        train(run, images, split, tmp_path)
    assert len(pd.read_csv(tmp_path / "history.csv")) == 1
    monkeypatch.setattr(training, "_keep", keep)
    network, history = train(run, images, split, tmp_path)
    assert "resumed after epoch 1" in capsys.readouterr().out
    predictions, expected, _ = whole
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"), rtol=1e-5)
    np.testing.assert_allclose(training.predict(network, Inputs(images), np.arange(30)), predictions, atol=1e-5)


def test_a_long_epoch_says_where_it_stands(run, images, split, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training, "LONG", 0)
    train(run.model_copy(update={"epochs": 1}), images, split, tmp_path / "run")
    said = [line for line in capsys.readouterr().out.splitlines() if "step" in line]
    assert [line.split(", loss")[0] for line in said] == [f"» epoch 1: step {step} of 2" for step in (1, 2)]


def test_only_the_last_state_and_the_best_weights_are_kept(run, whole):
    _, history, folder = whole
    best = training.best_epoch(history, run.selection, "validation")
    kept = {file.name for file in folder.iterdir()}
    assert kept == {"history.csv", "state-3.weights.h5", f"validation-{best}.weights.h5"}


def test_the_selected_weights_are_those_of_the_best_epoch(split, whole):
    predictions, history, _ = whole
    rows = np.flatnonzero(split["subset"] == "validation")
    labels = pd.Index(CLASSES).get_indexer(split["label"].iloc[rows])
    assert of_epoch(predictions[rows], labels)["loss"] == pytest.approx(history["validation_loss"].min(), rel=1e-4)


def test_both_choices_are_kept_from_one_training(run, images, split, tmp_path):
    both = run.model_copy(update={"both_choices": True, "selection": "accuracy"})
    network, history = train(both, images, split, tmp_path)
    best = {subset: training.best_epoch(history, "accuracy", subset) for subset in ("validation", "test")}
    assert all((tmp_path / f"{subset}-{epoch}.weights.h5").exists() for subset, epoch in best.items())
    for subset in ("test", "validation"):
        training.load_choice(both, network, tmp_path, subset)
        rows = np.flatnonzero(split["subset"] == subset)
        called = np.array(CLASSES)[training.predict(network, Inputs(images), rows).argmax(axis=1)]
        accuracy = (called == split["label"].iloc[rows]).mean()
        assert accuracy == history.loc[best[subset] - 1, f"{subset}_accuracy"] == history[f"{subset}_accuracy"].max()


def test_a_frozen_training_leaves_the_trunk_as_it_was_and_moves_the_head(run, images, split, tmp_path):
    frozen = run.model_copy(update={"frozen": True, "views": 2, "head_norm": True, "schedule": "cosine"})
    training.prepare_backend(frozen.seed, frozen.precision)
    before = [w.copy() for w in training.build(frozen, CLASSES).get_weights()]
    network, history = train(frozen, images, split, tmp_path)
    changed = {w.path for w, old in zip(network.weights, before, strict=True) if not np.array_equal(w.numpy(), old)}
    parts = {path.split("/")[0] for path in changed}
    assert {"logits", "head_norm"} <= parts <= {"soft_attention", "logits", "head_norm"}
    assert len(history) == 3
    inputs = Inputs(features.open_features(features.divide(network)[0], images, frozen.views, tmp_path / "cache"))
    assert inputs.values.shape[:2] == (30, 2) and inputs.values.dtype == np.float16
    whole = training.predict(network, Inputs(images), np.arange(30))
    np.testing.assert_allclose(training.predict(network, inputs, np.arange(30)), whole, atol=2e-3)


def test_a_subset_without_images_cannot_choose(run, images, split, tmp_path):
    with pytest.raises(StudyError, match="no validation images to choose an epoch by: set validation_share"):
        train(run, images, split.assign(subset=["train"] * 20 + ["test"] * 10), tmp_path)


def test_a_loss_that_is_no_number_stops_with_a_clear_error(run, images, split, tmp_path):
    wild = run.model_copy(update={"learning_rate": 3e38, "adam_epsilon": 1e-30})
    with pytest.raises(StudyError, match=r"loss of smoke/.* became .* in epoch \d: lower learning_rate \(now 3e\+38\)"):
        train(wild, images, split, tmp_path)
    written = pd.read_csv(tmp_path / "history.csv") if (tmp_path / "history.csv").exists() else pd.DataFrame()
    assert np.isfinite(written.to_numpy()).all()


def test_a_history_without_its_state_is_begun_again(run, images, split, whole, tmp_path, capsys):
    _, expected, folder = whole
    shutil.copy(folder / "history.csv", tmp_path)  # as after a kill between the last files and metrics.json
    history = train(run, images, split, tmp_path)[1]
    assert "history of 3 epochs, but no longer their state-3.weights.h5" in capsys.readouterr().out
    pd.testing.assert_frame_equal(history.drop(columns="seconds"), expected.drop(columns="seconds"), rtol=1e-5)


def test_weights_that_a_kill_left_beside_the_chosen_ones_do_no_harm(run, images, split, whole, tmp_path):
    predictions, history, folder = whole
    best = training.best_epoch(history, run.selection, "validation")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / f"validation-{best % 3 + 1}.weights.h5").write_bytes(b"of an earlier choice")
    network = train(run, images, split, tmp_path)[0]
    np.testing.assert_allclose(training.predict(network, Inputs(images), np.arange(30)), predictions, atol=1e-5)


def test_a_damaged_checkpoint_is_named_and_left_alone(run, images, split, tmp_path):
    pd.DataFrame([{"epoch": 1, "validation_loss": 1.0}]).to_csv(tmp_path / "history.csv", index=False)
    (tmp_path / "state-1.weights.h5").write_bytes(b"half a file")
    with pytest.raises(StudyError, match=r"state-1\.weights\.h5 is damaged .*remove"):
        train(run, images, split, tmp_path)
    assert (tmp_path / "state-1.weights.h5").read_bytes() == b"half a file"


def test_the_weights_of_the_chosen_epoch_are_named_if_damaged(run, images, whole, tmp_path):
    shutil.copytree(whole[2], tmp_path / "run")
    (file,) = (tmp_path / "run").glob("validation-*.weights.h5")
    network = training.build(run, CLASSES)
    for damage in (lambda: file.write_bytes(b"half a file"), file.unlink):
        damage()
        with pytest.raises(StudyError, match=rf"{file.name} is damaged .*remove .*run to make that run again"):
            training.load_choice(run, network, tmp_path / "run", "validation")


def test_mixed_precision_trains(run, images, split, tmp_path):
    mixed = run.model_copy(update={"precision": "mixed_bfloat16", "epochs": 1})
    try:
        network, _ = train(mixed, images, split, tmp_path)
        assert network.get_layer("soft_attention").compute_dtype == "bfloat16"
        np.testing.assert_allclose(training.predict(network, Inputs(images), np.arange(5)).sum(axis=1), 1, atol=1e-3)
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize(("precision", "off"), [("mixed_bfloat16", False), ("float32", True)])
def test_the_graph_optimiser_is_on_where_it_pays(precision, off):
    import tensorflow as tf

    training.prepare_backend(0, precision)
    without_gpu = not tf.config.list_physical_devices("GPU")
    assert tf.config.optimizer.get_experimental_options()["disable_meta_optimizer"] == (off and without_gpu)


def test_predict_is_the_network_row_by_row(run, images):
    network = training.build_network(run.backbone, run.arm, 3, 32)
    rows = np.array([3, 29, 0, 11, 7])
    expected = network.predict(images[rows], verbose=0)
    np.testing.assert_allclose(training.predict(network, Inputs(images), rows, batch_size=2), expected, atol=1e-5)


def history_of(losses, accuracies):
    return pd.DataFrame(
        {
            "test_loss": losses,
            "test_accuracy": accuracies,
            "test_balanced_accuracy": accuracies,
        }
    )


def test_best_epoch_is_the_first_best():
    history = history_of([3, 1, 1, 2], [0.5, 0.7, 0.9, 0.9])
    assert training.best_epoch(history, "loss", "test") == 2
    assert training.best_epoch(history, "accuracy", "test") == 3


@pytest.mark.parametrize(
    ("losses", "patience", "min_delta", "stops"),
    [
        ([3, 2, 1], 1, 0.0, False),
        ([3, 2, 2], 1, 0.0, True),
        ([3, 2, 2.5, 2.1], 2, 0.0, True),
        ([3, 2, 2.5, 1.9], 2, 0.0, False),
        ([3, 2.9995, 2.999], 2, 0.001, True),
        ([3, 3, 3, 3], None, 0.0, False),
        ([], 1, 0.0, False),
    ],
)
def test_early_stopping(losses, patience, min_delta, stops):
    assert training.should_stop(history_of(losses, losses), "test", patience, min_delta) is stops


def test_the_authors_protocol_selects_on_the_test_set(run):
    assert run.choosing == ("validation",)
    assert run.model_copy(update={"protocol": "authors"}).choosing == ("test",)
    both = run.model_copy(update={"protocol": "authors", "both_choices": True})
    assert both.choosing == ("test", "validation")


JAX = """
import pathlib, sys
import numpy as np, pandas as pd
from soft_attention.model.networks import FEATURES, attention_maps
from soft_attention.run import training
from soft_attention.run.gradcam import grad_cam
from soft_attention.study.config import Study
from soft_attention.run.inputs import Inputs

run = Study.load("smoke").runs()[1].model_copy(update=dict(image_size=32, steps_per_epoch=2, batch_size=6, epochs=1))
images = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)).astype("uint8")
split = pd.DataFrame({"label": list("ab") * 6, "subset": ["train"] * 6 + ["validation"] * 6})
network = training.build(run, ("a", "b"))
training.train(run, network, Inputs(images), split, ("a", "b"), pathlib.Path(sys.argv[1]))
assert attention_maps(network, images).shape == (12, 16, 2, 2)
assert grad_cam(network, images, FEATURES).shape == (12, 2, 2)
print("trained on", training.keras.backend.backend())
"""


def test_jax_trains_too(tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, "-c", JAX, str(tmp_path)], capture_output=True, text=True, env=environment)
    assert "trained on jax" in done.stdout, done.stderr
    assert (tmp_path / "history.csv").exists()
