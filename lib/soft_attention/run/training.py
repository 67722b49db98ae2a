"""One run: build the network, train it epoch by epoch, keep the best epoch, resume after a kill."""

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from soft_attention import files
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import of_epoch
from soft_attention.files import named_if_damaged
from soft_attention.model.networks import build_network
from soft_attention.progress import say
from soft_attention.run.augmentation import AffineAugmentation
from soft_attention.run.batches import Batches, FeatureBatches
from soft_attention.run.features import divide
from soft_attention.run.forward import outputs
from soft_attention.run.inputs import Inputs
from soft_attention.run.normalization import fuse
from soft_attention.run.optimizer import adam
from soft_attention.study.config import Run
from soft_attention.study.folder import read_history

LONG = 60  # seconds of an epoch after which it says where it stands, again and again


def prepare_backend(seed: int, precision: str = "float32") -> None:
    """Seed Python, NumPy and Keras, and ask the backend for deterministic operations.

    The same seed then gives the same numbers on the same machine and versions. The number of CPU threads is
    taken from the environment variable `THREADS`; without it the backend decides.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        _prepare_tensorflow(int(os.environ.get("THREADS", 0)), precision)


def _prepare_tensorflow(threads: int, precision: str) -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    # On a CPU the graph optimiser makes the first step of these networks much slower, and their steps in float32 no
    # faster. In mixed precision it takes out casts, which paid on a Xeon with AMX; benchmarks/precision.py tries it.
    on_cpu = not tf.config.list_physical_devices("GPU")
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": on_cpu and precision == "float32"})


def build(run: Run, classes: tuple[str, ...]) -> keras.Model:
    """The network of a run, with its initial weights and the run's precision."""
    keras.config.set_dtype_policy(run.precision)
    return build_network(
        run.backbone,
        run.arm,
        len(classes),
        run.size,
        run.weights_file or run.weights,
        preprocessing=run.preprocessing,
        heads=run.heads,
        channels=run.channels,
        cut=run.cut,
        baseline_dropout=run.baseline_dropout,
        baseline_pool=run.baseline_pool,
        frame_dropout=run.frame_dropout,
        train_unit=run.train_unit,
        head_norm=run.head_norm,
    )


def train(
    run: Run, network: keras.Model, inputs: Inputs, split: pd.DataFrame, classes: tuple[str, ...], folder: Path
) -> pd.DataFrame:
    """Train the network of `run`, or what an earlier, killed attempt left to do.

    Args:
        run: the parameters.
        network: as from `build`; left with the weights of the epoch that the run's selection chose.
        inputs: as from `open_inputs`, one row per row of `split`.
        split: table with `label` and `subset`.
        classes: class names in the order of the network's outputs.
        folder: the run folder; receives `history.csv` and, until the run is finished, `state-E.weights.h5` (all
            of the training state after epoch E) and, for each subset that chooses, `SUBSET-E.weights.h5`.

    Returns:
        The history: one row per epoch with the loss and the scores of the subsets that choose.

    Raises:
        StudyError: the loss became NaN or infinite.
    """
    trained = inputs.reader(network)
    batches = _batches(run, inputs, split, classes)
    trainer = _trainer(trained, run, steps=run.epochs * len(batches))
    checks = {subset: _check_rows(split, subset, classes) for subset in run.choosing}
    history = _resume(trainer, folder)
    while len(history) < run.epochs and not should_stop(history, run.choosing[0], run.patience, run.min_delta):
        row = _epoch(run, trainer, trained, batches, inputs, checks, epoch=len(history) + 1)
        history = pd.concat([history, pd.DataFrame([row])], ignore_index=True)
        _keep(trainer, trained, history, run, folder)
        say(progress_line(row, run))
    load_choice(run, network, folder, run.choosing[0])
    return history


def load_choice(run: Run, network: keras.Model, folder: Path, subset: str) -> None:
    """Give the network the weights of the epoch that `subset` chose, one of `run.choosing`."""
    trained = divide(network)[1] if run.frozen else network
    epoch = best_epoch(read_history(folder), run.selection, subset)
    file = folder / f"{subset}-{epoch}.weights.h5"
    with named_if_damaged(file, folder):
        trained.load_weights(file)


def predict(network: keras.Model, inputs: Inputs, rows: np.ndarray, batch_size: int = 64) -> np.ndarray:
    """Class probabilities `(len(rows), classes)` of some rows, read batch by batch."""
    return _predict(inputs.reader(network), inputs, rows, batch_size)


def best_epoch(history: pd.DataFrame, selection: str, subset: str) -> int:
    """The epoch that `subset` chooses, counted from 1: the first with the lowest loss, or the highest other score."""
    scores = history[f"{subset}_{selection}"]
    return int((-scores if selection == "loss" else scores).argmax()) + 1


def should_stop(history: pd.DataFrame, subset: str, patience: int | None, min_delta: float = 0.0) -> bool:
    """Whether the last `patience` epochs brought no loss lower than the best before by more than `min_delta`."""
    if patience is None or history.empty:
        return False
    best, waited = math.inf, 0
    for loss in history[f"{subset}_loss"]:
        best, waited = (loss, 0) if loss < best - min_delta else (best, waited + 1)
    return waited >= patience


def progress_line(row: Mapping[str, float], run: Run) -> str:
    scores = "; ".join(
        f"{subset}: loss {row[f'{subset}_loss']:.3f}, accuracy {row[f'{subset}_accuracy']:.3f}, "
        f"balanced {row[f'{subset}_balanced_accuracy']:.3f}"
        for subset in run.choosing
    )
    return f"epoch {int(row['epoch'])}/{run.epochs}  loss {row['loss']:.3f}  {scores}  {row['seconds']:.0f} s"


def _trainer(trained: keras.Model, run: Run, steps: int) -> keras.Model:
    """The network behind the augmentation, or the head of a frozen one, with the recipe's loss and optimiser."""
    if run.batch_norm_momentum:
        for layer in trained.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = run.batch_norm_momentum
    fuse(trained)
    trainer = trained if run.frozen else _augmented(trained)
    rate = run.learning_rate
    if run.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    optimizer = adam(rate, run.adam_epsilon)
    trainer.compile(optimizer, "categorical_crossentropy")
    trainer.optimizer.build(trainer.trainable_variables)  # left to the first step, that step would be traced twice
    return trainer


def _augmented(network: keras.Model) -> keras.Model:
    """A network behind the augmentation; a mask is moved as its image is."""
    size = network.get_layer("image").output.shape[1]
    image, transform = keras.Input((size, size, 3), name="image"), keras.Input((8,), name="transform")
    inputs = {"image": image, "transform": transform}
    moved = AffineAugmentation(name="augmentation")((image, transform))
    if not isinstance(network.input, dict):
        return keras.Model(inputs, network(moved))
    mask = keras.Input((size, size), name="mask")
    lesion = keras.layers.Reshape((size, size, 1), name="mask_in")(mask)
    lesion = AffineAugmentation("nearest", name="mask_augmentation")((lesion, transform))
    lesion = keras.layers.Reshape((size, size), name="mask_out")(lesion)
    return keras.Model(inputs | {"mask": mask}, network({"image": moved, "mask": lesion}))


def _batches(run: Run, inputs: Inputs, split: pd.DataFrame, classes: tuple[str, ...]) -> Batches:
    return (FeatureBatches if inputs.kept else Batches)(
        inputs.values,
        split["label"].to_numpy(str),
        np.flatnonzero(split["subset"] == "train"),
        classes,
        batch_size=run.batch_size,
        steps=run.steps_per_epoch,
        sampling=run.sampling,
        augment=run.augmentation,
        class_weights=run.class_weights,
        seed=run.seed,
        masks=inputs.masks,
    )


def _check_rows(split: pd.DataFrame, subset: str, classes: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a subset and their label indices."""
    rows = np.flatnonzero(split["subset"] == subset)
    if not len(rows):
        raise StudyError(f"the split has no {subset} images to choose an epoch by: set validation_share")
    return rows, pd.Index(classes).get_indexer(split["label"].to_numpy(str)[rows])


def _epoch(run: Run, trainer, trained, batches: Batches, inputs, checks, epoch: int) -> dict[str, float]:
    start = time.perf_counter()
    _seed_dropout(trained, run.seed, epoch)
    fit = trainer.fit(
        batches, initial_epoch=epoch - 1, epochs=epoch, shuffle=False, callbacks=[batches.follow(), _Steps()], verbose=0
    )
    row = {"epoch": epoch, "loss": fit.history["loss"][0]}
    for subset, (rows, labels) in checks.items():
        scores = of_epoch(_predict(trained, inputs, rows), labels)
        row |= {f"{subset}_{name}": value for name, value in scores.items()}
    for name, loss in row.items():
        if name.endswith("loss") and not math.isfinite(loss):
            raise StudyError(
                f"the loss of {run.study}/{run.id} became {loss} in epoch {epoch}: lower learning_rate (now "
                f"{run.learning_rate:g}) or set precision to float32 (now {run.precision}); epochs before it are kept"
            )
    return row | {"seconds": time.perf_counter() - start}


class _Steps(keras.callbacks.Callback):
    """Says once in `LONG` seconds which step of an epoch was made."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.said = epoch + 1, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        if time.monotonic() - self.said >= LONG:
            self.said = time.monotonic()
            say(f"epoch {self.epoch}: step {batch + 1} of {self.params['steps']}, loss {logs['loss']:.3f}")


def _predict(reader: keras.Model, inputs: Inputs, rows: np.ndarray, batch_size: int = 64) -> np.ndarray:
    return outputs(reader, lambda at: inputs.batch(rows[at]), len(rows), batch_size)


def _seed_dropout(network: keras.Model, seed: int, epoch: int) -> None:
    """Let dropout depend on the seed and the epoch alone: Keras does not save where its generators stand."""
    for index, layer in enumerate(network.layers):
        if isinstance(layer, keras.layers.Dropout):
            layer.seed_generator.state.assign(np.array([seed + 1000 * index, epoch], "uint32"))


def _resume(trainer: keras.Model, folder: Path) -> pd.DataFrame:
    """The epochs that an earlier attempt finished; the trainer is set to where it stood."""
    if not (folder / "history.csv").exists():
        return pd.DataFrame()
    history = read_history(folder)
    state = folder / f"state-{len(history)}.weights.h5"
    if not state.exists():
        say(f"restarted: {folder} has a history of {len(history)} epochs, but no longer their {state.name}")
        return pd.DataFrame()
    with named_if_damaged(state, folder):
        trainer.load_weights(state)
    say(f"resumed after epoch {len(history)}")
    return history


def _keep(trainer, trained, history: pd.DataFrame, run: Run, folder: Path) -> None:
    """Write the state, the weights if a subset chose this epoch, and last the history that makes all of it count."""
    epoch = len(history)
    kept = {"state": epoch} | {s: best_epoch(history, run.selection, s) for s in run.choosing}
    _save_weights(trainer, folder / f"state-{epoch}.weights.h5")
    for subset in run.choosing:
        if kept[subset] == epoch:
            _save_weights(trained, folder / f"{subset}-{epoch}.weights.h5")
    with files.atomic(folder / "history.csv") as temporary:
        history.to_csv(temporary, index=False)
    for kind, last in kept.items():
        for file in folder.glob(f"{kind}-*.weights.h5"):
            if file.name != f"{kind}-{last}.weights.h5":
                file.unlink()


def _save_weights(model: keras.Model, file: Path) -> None:
    with files.atomic(file) as temporary:
        model.save_weights(temporary)
