"""What the released unit computes, found by trying it: impulses, gradients, and the bare definition.

`SoftAttention` evaluates the released 3-D convolution in an equal 2-D form. Nothing here relies on that form: the
convolution is summed entry by entry, and the layer is asked by gradients.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product

import keras
import numpy as np

from soft_attention.errors import StudyError
from soft_attention.model.attention import SoftAttention

TENSORS = {  # what the unit sees in the paper's networks at their own image size: height, width, channels
    "vgg16": (28, 28, 512),
    "resnet34": (28, 28, 128),
    "resnet50": (7, 7, 2048),
    "densenet201": (7, 7, 128),
    "inception_resnet_v2": (8, 8, 192),
}
CONV3D_SHAPES = (*TENSORS.values(), (14, 14, 512))

Convolution = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (N, H, W, C), (C, 3, 3, 1, K) -> (N, H, W, K)


# --- the definition ------------------------------------------------------------------------------------------


def kernel_sides(variant: str, channels: int) -> tuple[int, int, int]:
    """The sides of the unit's kernel over the axes (height, width, channel) of the features."""
    return (channels, 3, 3) if variant == "released" else (3, 3, channels)


def scores_by_definition(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The unit's scores before bias and ReLU: features (N, H, W, C), kernel (k0, k1, k2, 1, K) -> (N, H, W, K).

    The kernel strides over (height, width, channel) by (1, 1, C): it stops once on the channel axis. Released code and
    paper differ in the kernel's sides alone, see `kernel_sides`.
    """
    return conv3d_by_definition(features, kernel[:, :, :, 0], (1, 1, features.shape[-1]))[:, :, :, 0]


def conv3d_by_definition(volumes: np.ndarray, kernel: np.ndarray, strides: tuple[int, int, int]) -> np.ndarray:
    """A 3-D convolution as TensorFlow defines it for one input channel and SAME padding, summed entry by entry.

    Args:
        volumes: (N, D0, D1, D2).
        kernel: (k0, k1, k2, K).
        strides: one for each of the three axes.

    Returns:
        (N, O0, O1, O2, K) with O = ceil(D / stride).
    """
    sizes = volumes.shape[1:]
    outputs = [-(-size // stride) for size, stride in zip(sizes, strides, strict=True)]
    result = np.zeros((len(volumes), *outputs, kernel.shape[-1]), np.result_type(volumes, kernel))
    axes = [meetings(*axis) for axis in zip(sizes, kernel.shape[:3], strides, strict=True)]
    for (a, to_a, from_a), (b, to_b, from_b), (c, to_c, from_c) in product(*axes):
        result[:, to_a, to_b, to_c] += volumes[:, from_a, from_b, from_c, None] * kernel[a, b, c]
    return result


def meetings(size: int, side: int, stride: int) -> list[tuple[int, slice, slice]]:
    """Along one axis: which entries of a kernel's side meet the tensor, at which outputs, and what they meet there.

    SAME padding makes ceil(size / stride) outputs. It adds what these need beyond the tensor, half of it (rounded down)
    in front; entry `a` meets input `output * stride + a - front`. An entry that only ever meets padding is left out.
    """
    outputs = -(-size // stride)
    front = max((outputs - 1) * stride + side - size, 0) // 2
    found = []
    for entry in range(side):
        first = max(0, -(-(front - entry) // stride))
        stop = min(outputs, (size - 1 + front - entry) // stride + 1)
        if first < stop:
            start = first * stride + entry - front
            found.append((entry, slice(first, stop), slice(start, start + (stop - first - 1) * stride + 1, stride)))
    return found


# --- what reaches the map ------------------------------------------------------------------------------------


def fresh_unit(variant: str, shape: tuple[int, int, int], heads: int) -> SoftAttention:
    """A unit with its first random weights, built for features (H, W, C)."""
    unit = SoftAttention(heads, variant)
    unit.build((None, *shape))
    return unit


def reach_by_impulse(shape: tuple[int, int, int], variant: str) -> dict[str, list[int]]:
    """The rows, columns and channels of features (H, W, C) that move the score of the middle cell.

    Each in turn is set to 1 and all else to 0. With a kernel of ones, what is not read leaves the score at 0.
    """
    height, width, channels = shape
    kernel = np.ones((*kernel_sides(variant, channels), 1, 1), "float32")
    reach = {}
    for axis, name in enumerate(("rows", "columns", "channels")):
        impulses = np.zeros((shape[axis], *shape), "float32")
        for index in range(shape[axis]):
            np.moveaxis(impulses[index], axis, 0)[index] = 1
        scores = scores_by_definition(impulses, kernel)[:, height // 2, width // 2, 0]
        reach[name] = np.flatnonzero(scores).tolist()
    return reach


def channels_by_gradient(unit: SoftAttention, features: np.ndarray) -> list[int]:
    """The channels of features (N, H, W, C) on which any map of the unit depends."""
    (gradient,) = _gradients(unit.maps, features, lambda tensor: [tensor])
    return np.flatnonzero(gradient.any(axis=(0, 1, 2))).tolist()


def live_by_gradient(unit: SoftAttention, features: np.ndarray) -> int:
    """On how many of its parameters the unit's output for features (N, H, W, C) depends."""
    gradients = _gradients(unit, features, lambda _: [weight.value for weight in unit.trainable_weights])
    return sum(int(np.count_nonzero(gradient)) for gradient in gradients)


def live_by_definition(shape: tuple[int, int, int], heads: int) -> int:
    """How many parameters of the released unit meet features (H, W, C) at all: entries of its kernels, and biases."""
    sides = kernel_sides("released", shape[-1])
    axes = [meetings(*axis) for axis in zip(shape, sides, (1, 1, shape[-1]), strict=True)]
    return heads * (int(np.prod([len(axis) for axis in axes])) + 1)


def _gradients(function: Callable, features: np.ndarray, wanted: Callable) -> list[np.ndarray]:
    """Gradients of a random weighting of what `function` makes of the features.

    A plain sum would not do: it is 1 for every map, whatever the features are.
    """
    if keras.backend.backend() != "tensorflow":
        raise StudyError("the audit takes its gradients with TensorFlow: set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    tensor = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        output = function(tensor)
        total = tf.reduce_sum(output * np.random.default_rng(0).normal(size=output.shape).astype("float32"))
    return [gradient.numpy() for gradient in tape.gradient(total, wanted(tensor))]


# --- what a machine makes of it ------------------------------------------------------------------------------


def tensorflow_conv3d(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The released convolution as the released code calls it: features (N, H, W, C) -> scores (N, H, W, K)."""
    import tensorflow as tf

    strides = (1, 1, 1, features.shape[-1], 1)
    return tf.nn.conv3d(features[..., None], kernel, strides, "SAME").numpy()[:, :, :, 0]


def probe(convolve: Convolution, shape: tuple[int, int, int], heads: int, seed: int) -> dict:
    """How a 3-D convolution departs from its definition on features (H, W, C).

    Features that hold their own channel's or cell's number, under a kernel that lets one entry through, come out as the
    number of what was read.

    Returns:
        error: largest difference on random numbers, as a share of the largest true score.
        channels: the channels that the kernel's three slices read; -1 where that was nothing.
        cells: share of the cells at which the kernel's middle stands on that cell.
    """
    height, width, channels = shape
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(1, *shape)).astype("float32")
    kernel = rng.normal(size=(channels, 3, 3, 1, heads)).astype("float32")
    expected = scores_by_definition(features, kernel)
    error = np.abs(convolve(features, kernel) - expected).max() / np.abs(expected).max()

    window = np.zeros((channels, 3, 3, 1, max(heads, 3)), "float32")
    for each in range(3):
        window[(channels - 1) // 2, 1, each, 0, each] = 1
    numbers = np.broadcast_to(np.arange(1, channels + 1, dtype="float32"), (1, *shape))
    read = convolve(numbers, window)[..., :3].max(axis=(0, 1, 2)) - 1
    places = np.arange(1, height * width + 1, dtype="float32").reshape(1, height, width, 1)
    kept = convolve(np.broadcast_to(places, (1, *shape)), window)[..., 1] == places[..., 0]
    return {
        "shape": list(shape),
        "error": float(error),
        "channels": read.round().astype(int).tolist(),
        "cells": float(kept.mean()),
    }


def probe_tensorflow(onednn: bool, heads: int, seed: int) -> list[dict]:
    """`probe` of `tf.nn.conv3d` for all `CONV3D_SHAPES`, and the device that computed it.

    It runs in a process of its own, because a process decides on oneDNN once, when it loads TensorFlow.

    Raises:
        StudyError: the process failed.
    """
    command = [sys.executable, "-m", "soft_attention.model.audit", str(heads), str(seed)]
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": str(int(onednn)), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise StudyError(f"tf.nn.conv3d could not be tried (exit {done.returncode}): {done.stderr[-500:]}")
    return json.loads(done.stdout.splitlines()[-1])


def verdict(found: dict, tolerance: float = 1e-2) -> str:
    """What `probe` found, in words. The tolerance leaves room for the short floats that some devices multiply with."""
    if found["error"] < tolerance:
        return "as defined"
    return "other channels" if found["cells"] == 1 else "cells mixed up"


def _main(heads: int, seed: int) -> None:
    import tensorflow as tf

    device = {"device": "GPU" if tf.config.list_physical_devices("GPU") else "CPU"}
    print(json.dumps([device | probe(tensorflow_conv3d, shape, heads, seed) for shape in CONV3D_SHAPES]))


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:]))
