"""Grad-CAM against the gradient by hand, on every backend."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from soft_attention.run.gradcam import grad_cam


@pytest.fixture
def network():
    """Two 1 x 1 filters, their average and a dense layer; a second path leads around the filters."""
    image = keras.Input((4, 5, 3), name="image")
    features = keras.layers.Conv2D(2, 1, name="filters")(image)
    mean = keras.layers.GlobalAveragePooling2D()(features)
    around = keras.layers.GlobalAveragePooling2D()(image)
    scores = keras.layers.Dense(3, name="logits")(keras.layers.Concatenate()([mean, around]))
    model = keras.Model(image, keras.layers.Softmax(name="probabilities")(scores))
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def by_hand(network, images, classes):
    """The gradient of a score by every position of filter k is the dense weight of k over H * W."""
    kernel, bias = network.get_layer("filters").get_weights()
    features = images @ kernel[0, 0] + bias
    weights = network.get_layer("logits").get_weights()[0][:2, classes] / 20
    return np.maximum(np.einsum("nhwk,kn->nhw", features, weights), 0)


def test_grad_cam_of_the_predicted_class_by_hand(network):
    images = np.random.default_rng(1).normal(size=(7, 4, 5, 3)).astype("float32")
    predicted = keras.ops.convert_to_numpy(network(images)).argmax(axis=1)
    assert len(set(predicted)) > 1
    found = grad_cam(network, images, "filters")
    assert found.dtype == np.float32
    assert found == pytest.approx(by_hand(network, images, predicted), abs=1e-6)


@pytest.mark.parametrize("chosen", [2, np.arange(7) % 3])
def test_grad_cam_of_a_given_class_in_batches(network, chosen):
    images = np.random.default_rng(1).normal(size=(7, 4, 5, 3)).astype("float32")
    found = grad_cam(network, images, "filters", chosen, batch_size=3)
    assert found == pytest.approx(by_hand(network, images, np.broadcast_to(chosen, 7)), abs=1e-6)


def test_grad_cam_takes_a_tensor_and_bytes(network):
    images = np.random.default_rng(2).integers(0, 255, (2, 4, 5, 3), "uint8")
    found = grad_cam(network, images, network.get_layer("filters").output, 0)
    assert found == pytest.approx(by_hand(network, images.astype("float32"), [0, 0]), rel=1e-5)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_grad_cam_on_every_backend(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "predicted", __file__],
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert "1 passed" in done.stdout, done.stdout


def test_grad_cam_refuses_what_it_cannot_explain(network):
    images = np.zeros((1, 4, 5, 3), "float32")
    with pytest.raises(ValueError, match="No such layer: nowhere"):
        grad_cam(network, images, "nowhere")
    with pytest.raises(ValueError, match=r"needs features \(N, H, W, C\)"):
        grad_cam(network, images, "logits")
    headless = keras.Model(network.input, network.get_layer("logits").output)
    with pytest.raises(ValueError, match="ends in logits, which is no Softmax layer"):
        grad_cam(headless, images, "filters")
    stranger = keras.layers.Conv2D(2, 1)(keras.Input((4, 5, 3)))
    with pytest.raises(ValueError, match="not connected"):
        grad_cam(network, images, stranger)


def test_grad_cam_at_the_input_of_a_head_is_that_of_the_whole_network():
    image = keras.Input((4, 5, 3))
    features = keras.layers.Conv2D(2, 1, name="filters")(image)
    scores = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(features))
    whole = keras.Model(image, keras.layers.Softmax()(scores))
    head = keras.Model(features, whole.output)
    images = np.random.default_rng(1).normal(size=(7, 4, 5, 3)).astype("float32")
    values = keras.ops.convert_to_numpy(keras.Model(image, features)(images))
    assert grad_cam(head, values, head.input) == pytest.approx(grad_cam(whole, images, "filters"), abs=1e-6)
