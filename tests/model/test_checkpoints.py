"""The authors' checkpoints: files in the layout of Keras 2, written from networks built as their notebooks build them.

The networks below are put together from what the notebooks show: the order in which layers are made, and with it their
automatic names; the order of the concatenation; the unit as a 3-D convolution. None of it comes from `build_network`.
"""

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from soft_attention.errors import StudyError
from soft_attention.model.audit import conv3d_by_definition
from soft_attention.model.checkpoints import is_keras2, load_keras2, read_keras2
from soft_attention.model.networks import build_network
from soft_attention.vocabulary import BACKBONES

HEADS = 16
CLASSES = 7


@keras.saving.register_keras_serializable(package="tests")
class LiteralUnit(layers.Layer):
    """The released unit as written: a 3-D convolution over (height, width, channel), ReLU, softmax, sum, product.

    The convolution is summed over the kernel's entries in NumPy. `tf.nn.conv3d` cannot serve as the reference: on a CPU
    it reads other channels, or mixes up the cells, depending on the shape and on oneDNN (notebook 4 shows it).
    """

    def build(self, shape):
        self.kernel_conv3d = self.add_weight(shape=(shape[-1], 3, 3, 1, HEADS), name="kernel_conv3d")
        self.bias_conv3d = self.add_weight(shape=(HEADS,), name="bias_conv3d")

    def call(self, features):
        x, kernel, bias = map(keras.ops.convert_to_numpy, (features, self.kernel_conv3d, self.bias_conv3d))
        scores = conv3d_by_definition(x, kernel[:, :, :, 0], (1, 1, x.shape[-1]))[:, :, :, 0]
        exponentials = np.exp(np.maximum(scores + bias, 0))
        maps = exponentials / exponentials.sum(axis=(1, 2), keepdims=True)
        return keras.ops.convert_to_tensor((x * maps.sum(axis=-1, keepdims=True)).astype("float32"))

    def compute_output_spec(self, features):
        return keras.KerasTensor(features.shape)


def attend(x):
    """The authors' step: plain features first, attended ones second."""
    attended = layers.MaxPooling2D(padding="same")(LiteralUnit(name="soft_attention")(x))
    plain = layers.MaxPooling2D(padding="same")(x)
    return layers.Dropout(0.5)(layers.Activation("relu")(layers.concatenate([plain, attended])))


def convolve(x, filters, size=3, strides=1):
    x = layers.Conv2D(filters, size, strides, "same", activation="relu", kernel_initializer="he_normal")(x)
    return layers.BatchNormalization()(x)


def vgg16(size, attention):
    image = x = keras.Input((size, size, 3))
    for group, (filters, sizes) in enumerate(
        [(64, (3, 1)), (128, (3, 1)), (256, (3, 3, 1)), (512, (3, 3, 1)), (512, (3, 3, 1))]
    ):
        if group == 4 and attention:
            x = attend(x)
        elif group:
            x = layers.MaxPooling2D(padding="same")(x)
        for side in sizes:
            x = convolve(x, filters, side)
    x = layers.Flatten()(layers.MaxPooling2D(4, padding="same")(x))
    for _ in range(2):
        x = layers.Dense(4096, "relu")(x)
    return keras.Model(image, layers.Dense(CLASSES)(x))


def resnet34(size, attention):
    image = keras.Input((size, size, 3))
    x = layers.MaxPooling2D(3, 2, "same")(convolve(image, 64, strides=2))
    for stage, (filters, units) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        if stage == 2 and attention:
            x = attend(x)
        elif stage in (1, 3):
            x = layers.MaxPooling2D(padding="same")(x)
        for _ in range(units):
            main = convolve(convolve(x, filters), filters)  # the main path is made first and added second
            skip = x if filters == 64 else convolve(x, filters)
            x = layers.Activation("relu")(layers.add([skip, main]))
    return keras.Model(image, layers.Dense(CLASSES)(layers.GlobalAveragePooling2D()(x)))


def application(builder, cut, head):
    def build(size, attention):
        whole = builder(weights=None, input_shape=(size, size, 3))
        x = whole.layers[cut].output
        x = attend(x) if attention else x
        return keras.Model(whole.input, layers.Dense(CLASSES)(head()(x)))

    return build


REFERENCES = {
    "vgg16": vgg16,
    "resnet34": resnet34,
    "resnet50": application(keras.applications.ResNet50, -3, layers.GlobalAveragePooling2D),
    "densenet201": application(keras.applications.DenseNet201, -28, layers.Flatten),
    "inception_resnet_v2": application(keras.applications.InceptionResNetV2, -28, layers.Flatten),
}


def settle(network, images):
    """Random weights of which each one matters: normalisations with the statistics of the images, no zeros, no ones."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        for weight in layer.weights:
            if weight.name in ("gamma", "beta", "bias", "bias_conv3d"):
                weight.assign(rng.normal(1 if weight.name == "gamma" else 0, 0.2, weight.shape))
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0
    network(images, training=True)


def save_as_keras2(network, path, group="/"):
    """The layout of `Model.save_weights` of TensorFlow 2.4; DenseNet's first two names had a slash then."""
    names = {"conv1_conv": "conv1/conv", "conv1_bn": "conv1/bn"} if "pool4_conv" in _names(network) else {}
    with h5py.File(path, "w") as file:
        root = file.require_group(group)
        listed = [names.get(name, name) for name in _names(network)]
        root.attrs["layer_names"] = np.array(listed, "S")
        for name, layer in zip(listed, network.layers, strict=True):
            weights = {f"{name}/{weight.name}:0": weight.numpy() for weight in layer.weights}
            part = root.create_group(name)
            part.attrs["weight_names"] = np.array(list(weights), "S")
            for full, array in weights.items():
                part[full] = array
    return path


def _names(network):
    return [layer.name for layer in network.layers]


def images_for(size):
    return np.random.default_rng(1).integers(0, 256, (2, size, size, 3)).astype("float32")


def logits(network, images):
    return keras.Model(network.input, network.get_layer("logits").output)(images, training=False).numpy()


@pytest.fixture(autouse=True)
def _forget_models():
    yield
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory):
    """A small network of ours, with attention, and its file: for what does not depend on the authors' names."""
    network = build_network("mobilenet", "released", image_size=31)
    return network, save_as_keras2(network, tmp_path_factory.mktemp("keras2") / "weights.hdf5")


def check_against(reference, backbone, arm, path):
    """Ours with the weights of a reference computes what the reference does, on images that it tells apart."""
    size = reference.input.shape[1]
    images = images_for(size)
    settle(reference, images / 127.5 - 1)
    save_as_keras2(reference, path)
    expected = reference(images / 127.5 - 1, training=False).numpy()
    assert np.ptp(expected, axis=0).max() > 0.1 * np.abs(expected).max()
    ours = build_network(backbone, arm, image_size=size, weights=path)
    np.testing.assert_allclose(logits(ours, images), expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("backbone", REFERENCES)
def test_ours_computes_what_theirs_does(backbone, tmp_path):
    reference = REFERENCES[backbone](BACKBONES[backbone].minimum_size, attention=True)
    check_against(reference, backbone, "released", tmp_path / "weights.hdf5")


def test_numbers_that_go_on_from_another_network(tmp_path):
    """The released InceptionResNetV2 begins at conv2d_203; a name that both sides have may mean two layers."""
    for kind in (layers.BatchNormalization, layers.Flatten):
        kind()
    for _ in range(3):
        layers.Conv2D(1, 1), layers.Dense(1)
    reference = vgg16(BACKBONES["vgg16"].minimum_size, attention=False)
    assert {"conv2d_3", "batch_normalization_1", "dense_5"} < set(_names(reference))
    check_against(reference, "vgg16", "baseline", tmp_path / "weights.hdf5")


def test_a_file_lists_a_skip_path_before_the_second_convolution(tmp_path):
    """As in the summary that the authors printed, which is why the order in a file must not be followed."""
    image = keras.Input((4, 4, 2))
    main = convolve(convolve(image, 2), 2)
    unit = keras.Model(image, layers.add([convolve(image, 2), main]))
    listed = [layer.name for layer in read_keras2(save_as_keras2(unit, tmp_path / "unit.hdf5"))]
    assert listed[2:4] == ["conv2d_2", "conv2d_1"]


@pytest.mark.parametrize(("name", "group"), [("whole_model.h5", "model_weights"), ("like_keras3.weights.h5", "/")])
def test_the_content_decides_and_not_the_name(name, group, mobilenet, tmp_path):
    reference, _ = mobilenet
    path = save_as_keras2(reference, tmp_path / name, group)
    assert is_keras2(path)
    ours = build_network("mobilenet", "released", image_size=31, weights=path)
    assert all(
        np.array_equal(a, b)
        for a, b in zip(
            ours.get_layer("soft_attention").get_weights(),
            reference.get_layer("soft_attention").get_weights(),
            strict=True,
        )
    )


def test_other_files_are_not_taken_for_keras2(mobilenet, tmp_path):
    mobilenet[0].save_weights(tmp_path / "new.weights.h5")
    (tmp_path / "text.hdf5").write_text("no weights")
    assert not is_keras2(tmp_path / "new.weights.h5")
    assert not is_keras2(tmp_path / "text.hdf5")


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"arm": "baseline"}, r"2 of \d+ layers, first in the file soft_attention \(bias .*\), here nothing"),
        ({"arm": "paper"}, r"1 of \d+ layers, .*, here soft_attention \(gamma \(\), kernel"),
        ({"classes": 3}, r"1 of \d+ layers, .*logits \(kernel \(768, 7\).*, here logits \(kernel \(768, 3\)"),
        ({"heads": 4}, r"1 of \d+ layers, .*here soft_attention \(bias \(4,\), kernel \(384, 3, 3, 1, 4\)"),
        ({"head_norm": True}, r"1 of \d+ layers, first in the file nothing, here head_norm \(moving_mean"),
        ({"backbone": "resnet34"}, r"first in the file .*; .*; .*\. Give the backbone"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(options, what, mobilenet):
    network = build_network(**{"backbone": "mobilenet", "arm": "released", "image_size": 31} | options)
    before = network.get_weights()
    with pytest.raises(StudyError, match=rf"weights\.hdf5 does not fit {network.name}: .*{what}"):
        load_keras2(network, mobilenet[1])
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))


def test_a_damaged_file_is_named(mobilenet, tmp_path):
    damaged = tmp_path / "damaged.hdf5"
    damaged.write_bytes(mobilenet[1].read_bytes())
    with h5py.File(damaged, "a") as file:
        del file["logits/logits/kernel:0"]
    with pytest.raises(StudyError, match=r"damaged\.hdf5 is damaged or does not fit mobilenet_released"):
        build_network("mobilenet", "released", image_size=31, weights=damaged)
    damaged.write_bytes(damaged.read_bytes()[:5000])
    with pytest.raises(StudyError, match=r"damaged\.hdf5 is damaged or does not fit mobilenet_released"):
        build_network("mobilenet", "released", image_size=31, weights=damaged)
