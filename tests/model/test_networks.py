"""The released networks: published parameter counts, cut points by graph, and that every arm trains and reloads."""

import keras
import numpy as np
import pytest

from soft_attention.errors import StudyError
from soft_attention.model.backbones import ARCHITECTURES
from soft_attention.model.networks import FEATURES, attention_maps, attention_unit, build_network, learned_gamma
from soft_attention.report.tables import published_networks
from soft_attention.vocabulary import ARMS, BACKBONES

PAPER = ("vgg16", "resnet34", "resnet50", "densenet201", "inception_resnet_v2")
CUTS = {  # layer that feeds the unit, and the shape the unit sees at the released image size
    "vgg16": ("group4_3_bn", (28, 28, 512)),
    "resnet34": ("stage2_unit4_out", (28, 28, 128)),
    "resnet50": ("conv5_block3_out", (7, 7, 2048)),
    "densenet201": ("conv5_block29_1_relu", (7, 7, 128)),
    "inception_resnet_v2": (None, (8, 8, 192)),
    "mobilenet": ("conv_pw_11_relu", (14, 14, 384)),
}
NON_TRAINABLE = {
    "vgg16": 8448,
    "resnet34": 22400,
    "resnet50": 53120,
    "densenet201": 213312,
    "inception_resnet_v2": 54400,
}


def cut_layer(network):
    """The layer whose output the unit sees."""
    return network.get_layer(FEATURES).input._keras_history.operation


@pytest.fixture(autouse=True)
def _forget_models():
    yield
    keras.backend.clear_session()


@pytest.mark.parametrize(
    "row", published_networks().to_dict("records"), ids=lambda row: f"{row['backbone']}-{row['arm']}"
)
def test_parameter_counts_are_the_published_ones(row):
    network = build_network(row["backbone"], row["arm"])
    assert network.count_params() == row["parameters"]
    statistics = [w for w in network.non_trainable_weights if "seed" not in w.path]
    assert sum(int(np.prod(w.shape)) for w in statistics) == NON_TRAINABLE[row["backbone"]]


@pytest.mark.parametrize("backbone", CUTS)
def test_the_unit_sees_the_released_tensor(backbone):
    network = build_network(backbone, "released")
    layer, shape = CUTS[backbone]
    assert attention_unit(network).input is network.get_layer(FEATURES).output
    assert attention_unit(network).input.shape[1:] == shape
    if layer:
        assert cut_layer(network).name == layer


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_has_its_features_at_the_same_place(arm):
    assert cut_layer(build_network("mobilenet", arm, image_size=64)).name == "conv_pw_11_relu"


@pytest.mark.parametrize(
    ("backbone", "channels"), [("mobilenet", 768), ("densenet201", 1920), ("inception_resnet_v2", 1536)]
)
def test_a_whole_backbone_ends_where_keras_ends_it(backbone, channels):
    network = build_network(backbone, "baseline", image_size=BACKBONES[backbone].minimum_size, cut="whole")
    assert network.get_layer(FEATURES).output.shape[-1] == channels


def test_only_a_cut_backbone_can_be_had_whole():
    assert {name for name, architecture in ARCHITECTURES.items() if architecture.whole} == {
        n for n, facts in BACKBONES.items() if facts.whole
    }
    with pytest.raises(ValueError, match="vgg16 is not cut in the authors' network"):
        build_network("vgg16", "baseline", image_size=32, cut="whole")


def test_dropout_in_the_baseline_is_added_once():
    def dropouts(backbone, **options):
        network = build_network(backbone, "baseline", image_size=BACKBONES[backbone].minimum_size, **options)
        return sum(isinstance(layer, keras.layers.Dropout) for layer in network.layers)

    assert dropouts("mobilenet", baseline_dropout=True) - dropouts("mobilenet") == 1
    assert dropouts("inception_resnet_v2", baseline_dropout=True) == dropouts("inception_resnet_v2") == 1


def test_normalising_the_head_adds_nothing_to_train():
    plain, normalised = (build_network("mobilenet", "paper", image_size=64, head_norm=norm) for norm in (False, True))
    sizes = [sum(int(np.prod(w.shape)) for w in n.trainable_weights) for n in (plain, normalised)]
    assert sizes[0] == sizes[1]
    assert normalised.count_params() - plain.count_params() == 2 * 2 * 384


def test_inception_resnet_is_cut_at_the_first_branch_of_block8_9():
    network = build_network("inception_resnet_v2", "released")
    norm = cut_layer(network)
    assert isinstance(norm, keras.layers.BatchNormalization)
    convolution = norm.input._keras_history.operation
    assert convolution.kernel_size == (1, 1) and convolution.filters == 192
    # the first branch is the 1 x 1 convolution of the block's input; the second one's has two more after it
    assert convolution.input._keras_history.operation.name == "block8_8_ac"
    assert "block8_9_mixed" not in {layer.name for layer in network.layers}


def test_the_cut_is_the_layer_the_released_code_counts_to():
    stock = keras.applications.InceptionResNetV2(weights=None)
    full = stock.layers[-28]
    assert isinstance(full, keras.layers.BatchNormalization) and full.output.shape == (None, 8, 8, 192)
    assert full.output is stock.get_layer("block8_9_mixed").input[0]._keras_history.operation.input
    assert keras.Model(stock.input, full.output).count_params() == 47_464_608


@pytest.mark.parametrize("backbone", BACKBONES)
def test_minimum_size_is_the_smallest_that_leaves_two_by_two_cells(backbone):
    minimum = BACKBONES[backbone].minimum_size

    def cells(size):
        try:
            return ARCHITECTURES[backbone].trunk(keras.Input((size, size, 3)), None).shape[1]
        except ValueError:  # Keras builds MobileNet to its end, where nothing is left
            return 0

    assert cells(minimum) == 2
    assert cells(minimum - 1) < 2
    with pytest.raises(ValueError, match=f"{minimum - 1} px are too small for {backbone}.*{minimum} px"):
        build_network(backbone, "baseline", image_size=minimum - 1)


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_gives_probabilities_and_trains(arm):
    network = build_network("mobilenet", arm, classes=3, image_size=32)
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    if ARMS[arm].needs_mask:
        images = {"image": images, "mask": np.stack([np.eye(32, k=shift, dtype="uint8") for shift in range(4)])}
    probabilities = np.asarray(network(images))
    assert probabilities.shape == (4, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    network.compile("sgd", "sparse_categorical_crossentropy")  # its graph is small: Adam takes 39 operations a weight
    before = [w.copy() for w in network.get_weights()]
    network.fit(images, np.array([0, 1, 2, 0]), verbose=0)
    moved = {w.path for w, old in zip(network.weights, before, strict=True) if not np.array_equal(w, old)}
    assert {w.path for w in network.trainable_weights} - moved <= {"logits/bias"}


@pytest.mark.parametrize("backbone", PAPER)
@pytest.mark.parametrize("arm", ["paper", "control"])
def test_the_other_arms_differ_from_released_in_the_unit_alone(backbone, arm):
    published = published_networks().set_index(["backbone", "arm"])["parameters"]
    released = published[backbone, "released"]  # ours have as many: see above
    other = build_network(backbone, arm).count_params()
    channels = CUTS[backbone][1][-1]
    unit = {"released": 9 * channels * 16 + 16, "paper": 9 * channels * 16 + 1, "control": 0}
    assert released - unit["released"] == other - unit[arm]


@pytest.mark.parametrize("arm", ["released", "paper"])
def test_attention_maps_sum_to_one(arm):
    network = build_network("mobilenet", arm, image_size=64, heads=5)
    maps = attention_maps(network, np.zeros((7, 64, 64, 3), "uint8"), batch_size=3)
    assert maps.shape == (7, 5, 4, 4)
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, atol=1e-5)


def test_a_scale_of_zero_or_less_silences_the_arm_paper_and_no_other_arm_has_one():
    network = build_network("mobilenet", "paper", 7, image_size=64)
    assert learned_gamma(network) == pytest.approx(0.01)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    attended = keras.Model(network.input, attention_unit(network).output)
    outputs = {}
    for scale in (0.01, -0.01):
        attention_unit(network).gamma.assign(scale)
        assert learned_gamma(network) == pytest.approx(scale)
        outputs[scale] = np.maximum(np.asarray(keras.tree.flatten(attended(images))[0]), 0)
    assert outputs[0.01].max() > 0 and outputs[-0.01].max() == 0
    assert {learned_gamma(build_network("mobilenet", arm, 7, image_size=64)) for arm in ARMS if arm != "paper"} == {
        None
    }


@pytest.mark.parametrize("arm", ["baseline", "control"])
def test_an_arm_without_attention_says_so(arm):
    with pytest.raises(ValueError, match=f"mobilenet_{arm} has no attention to look at.*released or paper"):
        attention_maps(build_network("mobilenet", arm, image_size=32), np.zeros((1, 32, 32, 3)))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_weights_from_a_file(tmp_path, suffix):
    network = build_network("mobilenet", "paper", image_size=32)
    file = tmp_path / f"network{suffix}"
    network.save(file) if suffix == ".keras" else network.save_weights(file)
    again = build_network("mobilenet", "paper", image_size=32, weights=file)
    image = np.full((1, 32, 32, 3), 99, "uint8")
    np.testing.assert_array_equal(network.predict(image, verbose=0), again.predict(image, verbose=0))


def test_preprocessing_is_the_released_one_unless_asked():
    image = np.full((1, 4, 4, 3), 255.0)

    def scaled(**options):
        network = build_network("resnet50", "baseline", image_size=33, **options)
        return np.asarray(network.get_layer("preprocessing")(image))[0, 0, 0]

    np.testing.assert_allclose(scaled(), [1, 1, 1])
    np.testing.assert_allclose(
        scaled(preprocessing="backbone"), [255 - 103.939, 255 - 116.779, 255 - 123.68], rtol=1e-5
    )


def test_bad_names_and_weights_are_one_clear_sentence(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"unknown backbone 'resnet5'.*did you mean 'resnet50'"):
        build_network("resnet5", "baseline")
    with pytest.raises(ValueError, match=r"unknown arm 'release'.*did you mean 'released'"):
        build_network("vgg16", "release")
    with pytest.raises(ValueError, match="vgg16 is the authors' own network and has no ImageNet weights"):
        build_network("vgg16", "baseline", weights="imagenet")
    with pytest.raises(StudyError, match="does not exist"):
        build_network("mobilenet", "baseline", image_size=32, weights=tmp_path / "none.weights.h5")
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(StudyError, match=r"damaged\.weights\.h5 is damaged or does not fit mobilenet_baseline"):
        build_network("mobilenet", "baseline", image_size=32, weights=damaged)

    def no_network(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.utils, "get_file", no_network)
    monkeypatch.setattr("keras.src.applications.resnet.file_utils.get_file", no_network)
    with pytest.raises(StudyError, match=r"ImageNet weights of ResNet50 could not be had.*KERAS_HOME"):
        build_network("resnet50", "baseline", image_size=64, weights="imagenet")


@pytest.mark.parametrize("arm", ["released", "paper", "cbam"])
def test_a_network_in_mixed_precision_has_maps(arm):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = build_network("mobilenet", arm, 3, 64, None)
    finally:
        keras.config.set_dtype_policy("float32")
    maps = attention_maps(network, np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8))
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, atol=1e-3)
