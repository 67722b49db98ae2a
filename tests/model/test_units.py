"""What can stand in the place of the unit: known answers, NumPy references from the definitions, save and load."""

import inspect
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_attention.model import units
from soft_attention.model.networks import attention_maps, attention_unit, build_network
from soft_attention.model.units import CBAM, CentreMap, LesionMap, SqueezeExcitation, UniformMap, area_shares
from soft_attention.vocabulary import ARMS

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, 6, 4, 32)).astype("float32")


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit_of(network):
    return next(layer for layer in network.layers if isinstance(layer, units.Unit))


def test_a_uniform_map_weighs_like_the_sum_of_its_heads():
    np.testing.assert_allclose(numpy(UniformMap(16)(FEATURES)), FEATURES * 16 / 24, rtol=1e-6)


def test_a_centred_map_is_a_gaussian_of_a_quarter_of_the_side():
    weights = numpy(CentreMap(16)(np.ones((1, 8, 8, 1), "float32")))[0, :, :, 0]
    place = (np.arange(8) + 0.5) / 8 - 0.5
    bell = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 0.25**2))
    np.testing.assert_allclose(weights, 16 * bell / bell.sum(), rtol=1e-5)


def test_a_lesion_map_is_the_mask_averaged_onto_the_cells():
    mask = np.zeros((1, 6, 6), "float32")
    mask[0, :3, :3] = 1  # of 2 x 2 cells the first
    np.testing.assert_allclose(
        numpy(LesionMap(16)([np.ones((1, 2, 2, 1), "float32"), mask]))[0, :, :, 0], [[16, 0], [0, 0]]
    )
    mask[0, :3, :] = 1
    np.testing.assert_allclose(
        numpy(LesionMap(16)([np.ones((1, 2, 2, 1), "float32"), mask]))[0, :, :, 0], [[8, 8], [0, 0]]
    )


def test_a_lesion_map_of_an_empty_mask_is_uniform():
    empty, features = np.zeros((2, 9, 9), "float32"), FEATURES
    np.testing.assert_allclose(numpy(LesionMap()([features, empty])), numpy(UniformMap()(features)), rtol=1e-6)


@given(st.integers(1, 40), st.integers(1, 12))
def test_area_shares_keep_the_area(pixels, cells):
    shares = area_shares(pixels, cells)
    assert shares.shape == (cells, pixels) and (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=0), cells / pixels, rtol=1e-5)


@given(st.integers(0, 2**16 - 1))
def test_a_lesion_map_sums_to_its_heads(bits):
    mask = np.array([int(bit) for bit in f"{bits:016b}"], "float32").reshape(1, 4, 4)
    weights = numpy(LesionMap(5)([np.ones((1, 3, 3, 1), "float32"), mask]))
    np.testing.assert_allclose(weights.sum(), 5, rtol=1e-5)


def test_squeeze_and_excitation_is_its_definition():
    unit = SqueezeExcitation()
    attended = numpy(unit(FEATURES))
    (w1, b1), (w2, b2) = unit.squeeze.get_weights(), unit.excite.get_weights()
    assert w1.shape == (32, 2)  # a sixteenth
    scores = np.maximum(FEATURES.mean(axis=(1, 2)) @ w1 + b1, 0) @ w2 + b2
    np.testing.assert_allclose(attended, FEATURES * sigmoid(scores)[:, None, None], rtol=1e-4, atol=1e-6)


def test_cbam_is_its_definition():
    unit = CBAM()
    attended = numpy(unit(FEATURES))
    (w1, b1), (w2, b2), (kernel,) = (part.get_weights() for part in (unit.squeeze, unit.excite, unit.places))
    mlp = lambda pooled: np.maximum(pooled @ w1 + b1, 0) @ w2 + b2  # noqa: E731
    weighted = FEATURES * sigmoid(mlp(FEATURES.mean((1, 2))) + mlp(FEATURES.max((1, 2))))[:, None, None]
    pooled = np.pad(np.stack([weighted.mean(-1), weighted.max(-1)], -1), ((0, 0), (3, 3), (3, 3), (0, 0)))
    places = np.array(
        [
            [[(image[y : y + 7, x : x + 7] * kernel[..., 0]).sum() for x in range(4)] for y in range(6)]
            for image in pooled
        ]
    )
    np.testing.assert_allclose(attended, weighted * sigmoid(places)[..., None], rtol=1e-4, atol=1e-5)
    expected = sigmoid(places) / sigmoid(places).sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(numpy(unit.maps(FEATURES))[:, 0], expected, rtol=1e-4)


def test_each_attention_that_everyone_uses_is_short():
    assert all(len(inspect.getsource(unit).splitlines()) < 60 for unit in (SqueezeExcitation, CBAM))


@pytest.fixture(scope="module")
def trunk():
    """The parameters of a network whose unit has none."""
    return build_network("mobilenet", "control", image_size=64).count_params()


@pytest.mark.parametrize("arm", ARMS)
def test_what_the_vocabulary_says_of_an_arm_is_true_of_its_network(arm, trunk):
    facts, network = ARMS[arm], build_network("mobilenet", arm, image_size=64)
    assert isinstance(network.input, dict) == facts.needs_mask
    assert any(layer.name == "attention_concat" for layer in network.layers) == facts.frame
    if facts.unit:
        assert bool(unit_of(network).trainable_weights) == facts.learns == (network.count_params() > trunk)
    if facts.maps:
        maps = attention_maps(network, np.zeros((2, 64, 64, 3), "uint8"))
        np.testing.assert_allclose(maps.sum(axis=(2, 3)), 1, rtol=1e-4)
    else:
        with pytest.raises(ValueError, match="has no attention to look at: choose a run of the arm released or paper"):
            attention_unit(network)


def test_arms_without_weights_have_the_parameters_of_the_control():
    counts = {
        arm: build_network("mobilenet", arm, image_size=64).count_params()
        for arm in ("control", "uniform", "centre", "lesion")
    }
    assert len(set(counts.values())) == 1


def test_switches_take_the_frame_apart():
    def names(arm, **options):
        return {layer.name for layer in build_network("mobilenet", arm, image_size=64, **options).layers}

    assert names("baseline", baseline_pool=True) - names("baseline") == {"baseline_pool"}
    assert names("control") - names("control", frame_dropout=False) == {"attention_dropout"}
    untrained = build_network("mobilenet", "released", image_size=64, train_unit=False)
    assert not unit_of(untrained).trainable_weights and unit_of(untrained).weights


def test_other_channels_are_read_when_they_are_named():
    unit = unit_of(build_network("mobilenet", "released", image_size=64, channels=(5, 7, 9)))
    features = RNG.normal(size=(1, 4, 4, 384)).astype("float32")
    before, others = numpy(unit.maps(features)), features.copy()
    others[..., [0, 1, 2]] += 1
    np.testing.assert_array_equal(numpy(unit.maps(others)), before)
    others[..., 7] += RNG.normal(size=(1, 4, 4))
    assert not np.allclose(numpy(unit.maps(others)), before)
    with pytest.raises(ValueError, match="channels 0 to 383"):
        build_network("mobilenet", "released", image_size=64, channels=(0, 1, 384))


LOADED = """
import sys, keras, numpy as np, soft_attention.model.networks
from pathlib import Path

inputs = dict(np.load(Path(sys.argv[1], "inputs.npz")))
for file in sorted(Path(sys.argv[1]).glob("*.keras")):
    network = keras.saving.load_model(file)
    given = inputs if isinstance(network.input, dict) else inputs["image"]
    expected = np.load(file.with_suffix(".npy"))
    np.testing.assert_allclose(np.asarray(network(given)), expected, atol=1e-5, err_msg=file.stem)
    print(file.stem)
"""


def test_a_saved_network_predicts_the_same_in_a_fresh_process(tmp_path):
    arms = sorted(arm for arm, facts in ARMS.items() if facts.unit)
    inputs = {
        "image": RNG.integers(0, 256, (2, 64, 64, 3)).astype("float32"),
        "mask": np.eye(64, dtype="float32")[None].repeat(2, 0),
    }
    np.savez(tmp_path / "inputs.npz", **inputs)
    for arm in arms:
        network = build_network("mobilenet", arm, 3, image_size=64)
        network.save(tmp_path / f"{arm}.keras")
        given = inputs if ARMS[arm].needs_mask else inputs["image"]
        np.save(tmp_path / f"{arm}.npy", numpy(network(given)))
    done = subprocess.run([sys.executable, "-c", LOADED, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.split() == arms, done.stderr
