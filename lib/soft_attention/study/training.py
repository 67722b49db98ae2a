"""One run: build the network, train it epoch by epoch, keep the best epoch, resume after a kill."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from soft_attention import paths
from soft_attention.data.augmentation import AffineAugmentation
from soft_attention.data.batches import Batches
from soft_attention.errors import StudyError
from soft_attention.model.networks import build_network
from soft_attention.study.config import Run


def prepare_backend(seed: int) -> None:
    """Seed Python, NumPy and Keras, and ask the backend for deterministic operations.

    The same seed then gives the same numbers on the same machine and versions. The number of CPU threads is
    taken from the environment variable `THREADS`; without it the backend decides.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        _prepare_tensorflow(int(os.environ.get("THREADS", 0)))


def _prepare_tensorflow(threads: int) -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    if not tf.config.list_physical_devices("GPU"):
        # The graph optimiser makes the steps of these networks no faster on a CPU, and their first step much slower.
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


def train(run: Run, images: np.ndarray, split: pd.DataFrame, classes: tuple[str, ...], folder: Path) -> keras.Model:
    """Train the network of `run`, or what an earlier, killed attempt left to do.

    Args:
        run: the parameters.
        images: uint8 `(N, S, S, 3)`, one row per row of `split`.
        split: table with `label` and `subset`.
        classes: class names in the order of the network's outputs.
        folder: the run folder; receives `history.csv` and, until the run is finished, `state-E.weights.h5` (all
            of the training state after epoch E) and `best-E.weights.h5`.

    Returns:
        The network with the weights of the selected epoch.

    Raises:
        StudyError: the loss became NaN or infinite.
    """
    keras.config.set_dtype_policy(run.precision)
    network = build_network(
        run.backbone,
        run.arm,
        len(classes),
        run.size,
        run.weights,
        preprocessing=run.preprocessing,
        heads=run.heads,
    )
    trainer = _trainer(network, run)
    batches, checks = _subsets(run, images, split, classes)
    history = _resume(trainer, folder)
    while len(history) < run.epochs and not should_stop(history, run.patience, run.min_delta):
        row = _epoch(run, trainer, network, batches, checks, epoch=len(history) + 1)
        history = pd.concat([history, pd.DataFrame([row])], ignore_index=True)
        _keep(trainer, network, history, run.selection, folder)
        print(progress_line(row, run.epochs), flush=True)
    network.load_weights(_only(folder, "best"))
    return network


def predict(network: keras.Model, images: np.ndarray, rows: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Class probabilities `(len(rows), classes)` of `images[rows]`, read batch by batch from the store."""
    parts = []
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        padded = np.resize(part, batch_size)  # one batch shape, so that the graph is traced once
        parts.append(network.predict_on_batch(images[np.asarray(padded)])[: len(part)])
    return np.concatenate(parts)


def best_epoch(history: pd.DataFrame, selection: str) -> int:
    """The selected epoch, counted from 1: the first with the lowest loss or the highest accuracy."""
    scores = -history["selection_loss"] if selection == "loss" else history[f"selection_{selection}"]
    return int(scores.argmax()) + 1


def should_stop(history: pd.DataFrame, patience: int | None, min_delta: float = 0.0) -> bool:
    """Whether the last `patience` epochs brought no loss lower than the best before by more than `min_delta`."""
    if patience is None or history.empty:
        return False
    best, waited = math.inf, 0
    for loss in history["selection_loss"]:
        best, waited = (loss, 0) if loss < best - min_delta else (best, waited + 1)
    return waited >= patience


def progress_line(row: Mapping[str, float], epochs: int) -> str:
    return (
        f"epoch {int(row['epoch'])}/{epochs}  loss {row['loss']:.3f}  selection: loss {row['selection_loss']:.3f}, "
        f"accuracy {row['selection_accuracy']:.3f}, balanced {row['selection_balanced_accuracy']:.3f}  "
        f"{row['seconds']:.0f} s"
    )


def selecting_subset(protocol: str) -> str:
    """The subset that chooses the epoch: as in the released code the test set, in the other protocols validation."""
    return "test" if protocol == "released" else "validation"


def _trainer(network: keras.Model, run: Run) -> keras.Model:
    """The network behind the augmentation, with the recipe's loss and optimiser."""
    image = keras.Input(network.input_shape[1:], name="image")
    transform = keras.Input((8,), name="transform")
    augmented = AffineAugmentation(name="augmentation", dtype="float32")((image, transform))
    trainer = keras.Model({"image": image, "transform": transform}, network(augmented))
    if run.batch_norm_momentum:
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = run.batch_norm_momentum
    optimizer = keras.optimizers.Adam(run.learning_rate, epsilon=run.adam_epsilon)
    trainer.compile(optimizer, "categorical_crossentropy")
    return trainer


def _subsets(run: Run, images: np.ndarray, split: pd.DataFrame, classes: tuple[str, ...]):
    """Batches of the training subset, and (images, rows, label indices) of the subset that selects."""
    labels = split["label"].to_numpy(str)
    batches = Batches(
        images,
        labels,
        np.flatnonzero(split["subset"] == "train"),
        classes,
        batch_size=run.batch_size,
        steps=run.steps_per_epoch,
        sampling=run.sampling,
        augment=run.augmentation,
        class_weights=run.class_weights,
        seed=run.seed,
    )
    selecting = np.flatnonzero(split["subset"] == selecting_subset(run.protocol))
    return batches, (images, selecting, pd.Index(classes).get_indexer(labels[selecting]))


def _epoch(run: Run, trainer, network, batches: Batches, checks, epoch: int) -> dict[str, float]:
    start = time.perf_counter()
    _seed_dropout(network, run.seed, epoch)
    fit = trainer.fit(
        batches, initial_epoch=epoch - 1, epochs=epoch, shuffle=False, callbacks=[batches.follow()], verbose=0
    )
    loss = fit.history["loss"][0]
    images, rows, labels = checks
    probabilities = predict(network, images, rows)
    row = {"epoch": epoch, "loss": loss} | _selection_scores(probabilities, labels)
    if not (math.isfinite(row["loss"]) and math.isfinite(row["selection_loss"])):
        raise StudyError(
            f"the loss of {run.study}/{run.id} became {loss} in epoch {epoch}: lower learning_rate (now "
            f"{run.learning_rate:g}) or set precision to float32 (now {run.precision}); epochs before it are kept"
        )
    return row | {"seconds": time.perf_counter() - start}


def _seed_dropout(network: keras.Model, seed: int, epoch: int) -> None:
    """Let dropout depend on the seed and the epoch alone: Keras does not save where its generators stand."""
    for index, layer in enumerate(network.layers):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign(np.array([seed + 1000 * index, epoch], "uint32"))


def _selection_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    of_truth = probabilities[np.arange(len(labels)), labels]
    chosen = probabilities.argmax(axis=1)
    return {
        "selection_loss": float(-np.log(np.clip(of_truth, 1e-7, 1)).mean()),
        "selection_accuracy": float((chosen == labels).mean()),
        "selection_balanced_accuracy": float(balanced_accuracy_score(labels, chosen)),
    }


def _resume(trainer: keras.Model, folder: Path) -> pd.DataFrame:
    """The epochs that an earlier attempt finished; the trainer is set to where it stood."""
    file = folder / "history.csv"
    if not file.exists():
        return pd.DataFrame()
    history = pd.read_csv(file)
    state = folder / f"state-{len(history)}.weights.h5"
    if not state.exists():
        raise StudyError(
            f"{folder} has a history of {len(history)} epochs but not their {state.name}: remove the folder"
        )
    trainer.optimizer.build(trainer.trainable_variables)
    try:
        trainer.load_weights(state)
    except Exception as error:
        raise StudyError(
            f"the checkpoint {state} is damaged ({error}): remove {folder} to start that run again"
        ) from error
    print(f"resumed after epoch {len(history)}", flush=True)
    return history


def _keep(trainer, network, history: pd.DataFrame, selection: str, folder: Path) -> None:
    """Write the state, the best weights if this epoch is the best, and last the history that makes both count."""
    epoch = len(history)
    _save_weights(trainer, folder / f"state-{epoch}.weights.h5")
    best = best_epoch(history, selection)
    if best == epoch:
        _save_weights(network, folder / f"best-{epoch}.weights.h5")
    with paths.atomic(folder / "history.csv") as temporary:
        history.to_csv(temporary, index=False)
    for kind, kept in (("state", epoch), ("best", best)):
        for file in folder.glob(f"{kind}-*.weights.h5"):
            if file.name != f"{kind}-{kept}.weights.h5":
                file.unlink()


def _save_weights(model: keras.Model, file: Path) -> None:
    temporary = file.with_name(f".{file.name}")  # Keras insists on the ending .weights.h5
    model.save_weights(temporary)
    os.replace(temporary, file)


def _only(folder: Path, kind: str) -> Path:
    (file,) = folder.glob(f"{kind}-*.weights.h5")
    return file
