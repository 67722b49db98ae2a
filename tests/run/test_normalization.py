"""A fused batch normalisation against Keras' own."""

import keras
import numpy as np
import pytest

from soft_attention.run.normalization import fuse


def network(policy="float32", **options):
    keras.utils.set_random_seed(0)
    image = keras.Input((6, 5, 3))
    features = keras.layers.Conv2D(4, 3, dtype=policy)(image)
    features = keras.layers.BatchNormalization(momentum=0.9, name="norm", dtype=policy, **options)(features)
    features = keras.layers.GlobalAveragePooling2D(dtype=policy)(keras.layers.ReLU(dtype=policy)(features))
    return keras.Model(image, keras.layers.Dense(3, "softmax", dtype="float32")(features))


def images(count=8):
    return np.random.default_rng(1).normal(2, 3, (count, 6, 5, 3)).astype("float32")


def trained(model, steps=10):
    """The weights of a network after some steps, the averages that its normalisation keeps among them."""
    model.compile(keras.optimizers.SGD(0.05), "categorical_crossentropy")
    for _ in range(steps):
        model.train_on_batch(images(), np.eye(3)[np.arange(8) % 3])
    return model.get_weights()


@pytest.mark.parametrize(
    "options", [{}, {"scale": False}, {"center": False}, {"epsilon": 1.001e-5}, {"trainable": False}]
)
def test_it_trains_as_keras_does(options):
    expected, ours = trained(network(**options)), network(**options)
    fuse(ours)
    start = network(**options).get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(expected, start, strict=True)) > 0.01
    for theirs, own in zip(expected, trained(ours), strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-4, atol=1e-5)


def test_it_is_the_definition():
    model = network()
    norm = model.get_layer("norm")
    fuse(model)
    x = images()
    y = norm(x[..., [0, 1, 2, 0]], training=True)
    flat = x[..., [0, 1, 2, 0]].reshape(-1, 4).astype(float)
    np.testing.assert_allclose(
        np.reshape(y, (-1, 4)), (flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-3), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(norm.moving_mean, 0.1 * flat.mean(0), rtol=1e-4)
    np.testing.assert_allclose(norm.moving_variance, 0.9 + 0.1 * flat.var(0), rtol=1e-4)


def test_in_bfloat16_it_is_near_to_keras():
    expected, ours = trained(network("mixed_bfloat16"), 3), network("mixed_bfloat16")
    fuse(ours)
    for theirs, own in zip(expected, trained(ours, 3), strict=True):
        np.testing.assert_allclose(own, theirs, rtol=0.02, atol=0.02)


def test_a_network_of_vectors_is_left_alone():
    model = keras.Sequential([keras.Input((5,)), keras.layers.BatchNormalization(name="norm")])
    fuse(model)
    assert "call" not in vars(model.get_layer("norm"))


def test_what_is_saved_is_a_network_of_keras(tmp_path):
    model = network()
    fuse(model)
    trained(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.get_layer("norm")) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(again.predict(images(), verbose=0), model.predict(images(), verbose=0))
