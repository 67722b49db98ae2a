"""The authors' checkpoints: HDF5 files of Keras 2 with the weights of their networks, read into ours.

A file holds a group per layer, and two things about it have to be known to read it right:

- Layers with a name of their own are found by it (Keras 2 wrote `conv1/conv` where Keras 3 writes `conv1_conv`).
- Names that Keras gave, such as `conv2d_203`, only say in which order the layers of a kind were made, and the count
  goes on from network to network. These layers are matched kind by kind in the order of their numbers. The order in
  which a file lists them would mislead: it goes by depth, and the skip path of a ResNet34 unit stands before the
  second convolution of the main path, which has the same shape.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np

from soft_attention.errors import StudyError

KINDS = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense"}  # class -> automatic name
AUTOMATIC = re.compile(rf"({'|'.join(KINDS.values())})(?:_(\d+))?")
SHOWN = 3  # layers that a message names


class Stored(NamedTuple):
    """A layer of a file: its name, and its arrays by the names of the weights (`kernel`, `moving_mean`, ...)."""

    name: str
    weights: dict[str, np.ndarray]


class Pair(NamedTuple):
    """A layer of the file and the layer of ours that it belongs to; None where one side has nothing."""

    stored: Stored | None
    layer: keras.Layer | None


def is_keras2(path: Path | str) -> bool:
    """Whether a file was written by Keras 2, by what is in it: its name does not tell. False for a damaged file."""
    try:
        with h5py.File(path) as file:
            return "layer_names" in _root(file).attrs
    except OSError:
        return False


def load_keras2(network: keras.Model, path: Path | str) -> None:
    """Set all weights of a network of `build_network` from a Keras 2 file, or none.

    Raises:
        StudyError: a layer of the file or of the network is left over, or shapes differ; the message names the first.
        KeyError, OSError: the file is damaged.
    """
    pairs = match_layers(network, read_keras2(path))
    arrays = [_in_our_order(pair) for pair in pairs]
    misfits = [pair for pair, values in zip(pairs, arrays, strict=True) if values is None]
    if misfits:
        named = "; ".join(_describe(pair) for pair in misfits[:SHOWN])
        raise StudyError(
            f"the weights file {path} does not fit {network.name}: {len(misfits)} of {len(pairs)} layers, "
            f"first {named}. Give the backbone, arm, classes, heads and image size that it was saved with"
        )
    for pair, values in zip(pairs, arrays, strict=True):
        pair.layer.set_weights(values)


def read_keras2(path: Path | str) -> list[Stored]:
    """The layers of a Keras 2 file that have weights, in the file's order; names with `_` for `/`."""
    layers = []
    with h5py.File(path) as file:
        root = _root(file)
        for name in _names(root.attrs["layer_names"]):
            group = root[name]
            weights = {
                full.split("/")[-1].split(":")[0]: group[full][()] for full in _names(group.attrs["weight_names"])
            }
            if weights:
                layers.append(Stored(name.replace("/", "_"), weights))
    return layers


def match_layers(network: keras.Model, stored: Iterable[Stored]) -> list[Pair]:
    """Every layer of the file beside ours: by name, and where the file's name is an automatic one by kind and number.

    Ours stand in the order of their numbers too; those with names of their own stand as in `network.layers`, the main
    path of a residual unit before its skip path, and that is how the authors made them.
    """
    named = {layer.name: layer for layer in network.layers if layer.weights}
    ours, theirs, pairs = defaultdict(list), defaultdict(list), []
    for item in stored:
        if automatic := AUTOMATIC.fullmatch(item.name):
            theirs[automatic[1]].append(item)
        else:
            pairs.append(Pair(item, named.pop(item.name, None)))
    for layer in named.values():
        ours[KINDS.get(type(layer).__name__, layer.name)].append(layer)
    for kind in [*theirs, *(kind for kind in ours if kind not in theirs)]:
        both = (sorted(side[kind], key=lambda item: _number(item.name)) for side in (theirs, ours))
        pairs += [Pair(*pair) for pair in zip_longest(*both)]
    return pairs


def _root(file: h5py.File) -> h5py.Group:
    """The group that lists the layers: the file itself, or a part of it where a whole model was saved."""
    return file.get("model_weights", file)


def _names(values: Iterable) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]


def _number(name: str) -> int:
    """The number of an automatic name, 0 for the first and for a name of its own."""
    automatic = AUTOMATIC.fullmatch(name)
    return int(automatic[2] or 0) if automatic else 0


def _in_our_order(pair: Pair) -> list[np.ndarray] | None:
    """The file's arrays in the order of our layer's weights: by name, or by shape where names differ; None: no fit.

    The authors' unit calls its weights `kernel_conv3d` and `bias_conv3d`.
    """
    if None in pair:
        return None
    arrays = pair.stored.weights
    shapes = {weight.name: tuple(weight.shape) for weight in pair.layer.weights}
    if set(arrays) != set(shapes):
        by_shape = {array.shape: array for array in arrays.values()}
        if not len(by_shape) == len(arrays) == len(shapes):
            return None
        arrays = {name: by_shape.get(shape) for name, shape in shapes.items()}
    if any(arrays[name] is None or arrays[name].shape != shape for name, shape in shapes.items()):
        return None
    return [arrays[name] for name in shapes]


def _describe(pair: Pair) -> str:
    theirs, ours = "nothing", "nothing"
    if pair.stored:
        theirs = _list(pair.stored.name, {name: array.shape for name, array in pair.stored.weights.items()})
    if pair.layer:
        ours = _list(pair.layer.name, {weight.name: tuple(weight.shape) for weight in pair.layer.weights})
    return f"in the file {theirs}, here {ours}"


def _list(name: str, shapes: dict[str, tuple]) -> str:
    return f"{name} ({', '.join(f'{weight} {shape}' for weight, shape in shapes.items())})"
