"""The attention unit against the same function by 3-D convolution, and against a training step. Prints ratios.

    python benchmarks/attention.py [--batch 16] [--rounds 15] [--no-step]

A pass is forward and backward, from a given gradient of the unit's output to those of the features and of the weights.
As in a training step, the passes run inside one compiled graph: each takes the gradient of the one before as features.

The column `at most` is the ratio that the machine's arithmetic allows: of a unit that does nothing but multiply one
weight per place with the features, and the multiplications and additions of its convolution and of that one's two
gradients at the rate of the best matrix product here, places outside the map left out.

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
PASSES = 8
SIDE = 2048  # of the square matrices whose product shows what the machine can do


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


def step(function, weights, upstream):
    """PASSES forward and backward passes as a compiled function of the features."""

    @tf.function
    def run(features):
        slopes = [tf.zeros_like(weight) for weight in weights]
        for _ in tf.range(PASSES):
            with tf.GradientTape() as tape:
                tape.watch(features)
                attended = function(features)
            features, *slopes = tape.gradient(attended, [features, *weights], output_gradients=upstream)
        return features, slopes

    return run


def seconds(function, *arguments):
    """Seconds of a call, after a first one that traces."""
    function(*arguments)
    start = time.perf_counter()
    tf.nest.map_structure(np.asarray, function(*arguments))  # as arrays: to wait for them
    return time.perf_counter() - start


def multiplication(features):
    """What every form of the unit must do at least."""
    return features * tf.reduce_sum(features, axis=-1, keepdims=True)


def operations(variant, batch, height, width, channels):
    """Multiplications and additions of the convolution and of its two gradients, without those with a padding."""
    rows, read = (height**2, 3) if variant == "released" else (3 * height - 2, channels)
    return 3 * 2 * batch * rows * (3 * width - 2) * read * HEADS


@tf.function
def matrix_product(left, right):
    return left @ right


def compare(functions, features, rounds, square):
    """Seconds of each function, and of a square matrix product, one row per round."""
    generator = np.random.default_rng(0)
    calls = [*((function, features) for function in functions), (matrix_product, square, square)]
    times = np.empty((rounds, len(calls)))
    for row in times:
        for i in generator.permutation(len(calls)):
            row[i] = seconds(*calls[i])
    times[:, :-1] /= PASSES
    return times


def training_step(batch, rounds):
    """Share of a ResNet50 training step at 224 px that the unit takes, by variant."""
    network = build_network("resnet50", "baseline")
    network.compile("adam", "categorical_crossentropy")
    images, labels = (
        np.zeros((batch, 224, 224, 3), "float32"),
        np.eye(7, dtype="float32")[np.zeros(batch, int)],
    )
    features = tf.random.normal((batch, 7, 7, 2048))
    units = {variant: step(*unit, tf.ones_like(features)) for variant, unit, _ in candidates((7, 7, 2048))}
    rows = [
        [
            seconds(lambda: network.train_on_batch(images, labels)),
            *(seconds(unit, features) / PASSES for unit in units.values()),
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
    square = tf.random.normal((SIDE, SIDE))
    rates = []
    for shape in SHAPES:
        features, upstream = (tf.random.normal((options.batch, *shape)) for _ in range(2))
        for variant, unit, literal in candidates(shape):
            functions = step(*unit, upstream), step(*literal, upstream), step(multiplication, [], upstream)
            ours, theirs, least, product = compare(functions, features, options.rounds, square).T
            rates.append(2 * SIDE**3 / product.min())
            least += operations(variant, options.batch, *shape) / rates[-1]
            times = f"{np.median(ours) * 1e3:7.1f} ms {np.median(theirs) * 1e3:7.1f} ms"
            ratios = f"{np.median(theirs / ours):6.1f}x {np.median(theirs / least):7.1f}x"
            print(f"{'x'.join(map(str, shape)):12s} {variant:10s} {times} {ratios}", flush=True)
    print(f"\nbest matrix product: {max(rates) / 1e9:.0f} billion multiplications and additions a second")
    if not options.no_step:
        training_step(options.batch, max(3, options.rounds // 5))


if __name__ == "__main__":
    main()
