"""The attention unit against the same function by 3-D convolution, and against a training step. Prints ratios.

    python benchmarks/attention.py [--batch 16] [--rounds 15] [--no-step]

The column `at most` is the ratio that a unit would reach whose maps cost nothing: only one weight per place, the sum of
the channels, is multiplied with the features.

Everything is measured side by side in one process: in every round each candidate runs once, in an order drawn anew
(what runs after the 3-D form is slower), and a ratio is the median over the rounds of the ratio within a round, so that
a slow moment of the machine hits both sides.
"""

import argparse
import os
import platform
import time

import keras
import numpy as np
import tensorflow as tf

from soft_attention import SoftAttention, build_network

SHAPES = ((7, 7, 2048), (8, 8, 192))
HEADS = 16


def conv3d_maps(features, kernel, strides):
    """The unit's score maps by a literal 3-D convolution of (B, H, W, C, 1), then softmax and sum."""
    scores = tf.nn.conv3d(features[..., None], kernel, (1, *strides, 1), "SAME")[:, :, :, 0]
    flat = tf.nn.softmax(tf.reshape(scores, (-1, scores.shape[1] * scores.shape[2], HEADS)), axis=1)
    return tf.reshape(tf.reduce_sum(flat, -1), (-1, *scores.shape[1:3], 1))


def candidates(shape):
    """For both variants: the study's unit and the same function by conv3d, as functions of the features."""
    channels = shape[-1]
    for variant in ("released", "paper"):
        unit = SoftAttention(HEADS, variant)
        unit.build((None, *shape))
        kernel3d = (channels, 3, 3, 1, HEADS) if variant == "released" else (3, 3, channels, 1, HEADS)
        kernel = tf.Variable(tf.random.normal(kernel3d, stddev=0.01))
        yield (
            variant,
            (unit, unit.trainable_weights),
            (lambda x, k=kernel: x * conv3d_maps(x, k, (1, 1, channels)), [kernel]),
        )


def step(function, weights):
    """One forward and backward pass as a compiled function of the features."""

    @tf.function
    def run(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(function(features) ** 2)
        return tape.gradient(loss, [features, *weights])

    return run


def seconds(function, *arguments, repeat=3):
    """Mean seconds of a call, after a first one that traces."""
    function(*arguments)
    start = time.perf_counter()
    for _ in range(repeat):
        result = function(*arguments)
    tf.nest.map_structure(np.asarray, result)  # wait for the last one
    return (time.perf_counter() - start) / repeat


def multiplication(features):
    """What every form of the unit must do at least."""
    return features * tf.reduce_sum(features, axis=-1, keepdims=True)


def compare(functions, features, rounds):
    """Median seconds of each function, and the median over the rounds of last / each."""
    generator = np.random.default_rng(0)
    times = np.empty((rounds, len(functions)))
    for row in times:
        for i in generator.permutation(len(functions)):
            row[i] = seconds(functions[i], features)
    return np.median(times, axis=0), np.median(times[:, -1:] / times, axis=0)


def training_step(batch, rounds):
    """Share of a ResNet50 training step at 224 px that the unit takes, by variant."""
    network = build_network("resnet50", "baseline")
    network.compile("adam", "categorical_crossentropy")
    images, labels = (
        np.zeros((batch, 224, 224, 3), "float32"),
        np.eye(7, dtype="float32")[np.zeros(batch, int)],
    )
    features = tf.random.normal((batch, 7, 7, 2048))
    units = {variant: step(*unit) for variant, unit, _ in candidates((7, 7, 2048))}
    rows = [
        [
            seconds(lambda: network.train_on_batch(images, labels), repeat=1),
            *(seconds(u, features) for u in units.values()),
        ]
        for _ in range(rounds)
    ]
    whole, *parts = np.median(rows, axis=0)
    print(f"\nResNet50 training step, 224 px, batch {batch}: {whole * 1e3:.0f} ms")
    for variant, part in zip(units, parts, strict=True):
        print(f"  {variant:9s} unit {part * 1e3:6.1f} ms = {part / whole:.2%} of it (wanted: at most 2 %)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-step", action="store_true", help="leave out the training step")
    options = parser.parse_args()
    print(
        f"Keras {keras.__version__}, TensorFlow {tf.__version__}, {platform.platform()}, {os.cpu_count()} cores, "
        f"{keras.distribution.list_devices()}"
    )
    print(f"forward + backward, batch {options.batch}, {HEADS} heads, median of {options.rounds} rounds\n")
    print(f"{'map':12s} {'variant':10s} {'2-D form':>10s} {'3-D form':>10s} {'ratio':>7s} {'at most':>8s}")
    for shape in SHAPES:
        features = tf.random.normal((options.batch, *shape))
        for variant, unit, literal in candidates(shape):
            functions = step(*unit), step(multiplication, []), step(*literal)
            (ours, _, theirs), (ratio, ceiling, _) = compare(functions, features, options.rounds)
            times = f"{ours * 1e3:7.1f} ms {theirs * 1e3:7.1f} ms"
            print(f"{'x'.join(map(str, shape)):12s} {variant:10s} {times} {ratio:6.1f}x {ceiling:7.1f}x", flush=True)
    if not options.no_step:
        training_step(options.batch, max(3, options.rounds // 5))


if __name__ == "__main__":
    main()
