"""A model on many inputs, in batches of one shape."""

from collections.abc import Callable

import keras
import numpy as np


def outputs(model: keras.Model, batch_of: Callable, count: int, size: int) -> np.ndarray:
    """The outputs of a model `(count, ...)`, batch by batch.

    The last batch is filled up by repetition and cut again: with one shape the graph is traced once, and that of a deep
    network takes longer to trace than many batches to compute.

    Args:
        batch_of: positions `(size,)` among the `count` -> what the model takes of them.
        count: how many, at least 1.
        size: of a batch.
    """
    parts = []
    for start in range(0, count, size):
        at = np.arange(start, min(start + size, count))
        parts.append(model.predict_on_batch(batch_of(np.resize(at, size)))[: len(at)])
    return np.concatenate(parts)
