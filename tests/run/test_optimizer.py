"""FusedAdam against Keras' Adam."""

import keras
import numpy as np
import pytest

from soft_attention.run.optimizer import FusedAdam


def trained(optimizer, compiled):
    """The weights of a small network after ten steps."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax")])
    network.compile(optimizer, "categorical_crossentropy", run_eagerly=not compiled)
    rng = np.random.default_rng(0)
    for _ in range(10):
        network.train_on_batch(rng.normal(size=(8, 5)).astype("float32"), np.eye(3)[rng.integers(0, 3, 8)])
    return network.get_weights(), [np.asarray(v) for v in optimizer.variables]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("epsilon", [1e-7, 0.1])  # 0.1: the authors'
def test_it_moves_the_weights_as_keras_does(epsilon, compiled):
    rate = keras.optimizers.schedules.CosineDecay(0.05, 10)
    expected, ours = (trained(kind(rate, epsilon=epsilon), compiled) for kind in (keras.optimizers.Adam, FusedAdam))
    start = trained(keras.optimizers.Adam(0.0), compiled)[0]
    assert max(np.abs(a - b).max() for a, b in zip(expected[0], start, strict=True)) > 0.01
    for kinds in zip(expected, ours, strict=True):  # the weights, then the optimiser's own state
        for theirs, own in zip(*kinds, strict=True):
            np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-5)


def test_it_does_so_behind_a_scaled_loss():
    kinds = (keras.optimizers.Adam, FusedAdam)
    expected, ours = (trained(keras.optimizers.LossScaleOptimizer(kind(0.05)), True)[0] for kind in kinds)
    for theirs, own in zip(expected, ours, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-5)
