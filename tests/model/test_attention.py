"""The unit against its definition, written out in NumPy."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from soft_attention.model.attention import SoftAttention, live_channels, live_rows

HEADS = 3


def softmax(scores):
    """(B, H, W, K) -> (B, K, H, W), normalised over the positions of each map."""
    exponentials = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    return (exponentials / exponentials.sum(axis=(1, 2), keepdims=True)).transpose(0, 3, 1, 2)


def convolve3d_same(volume, kernel, strides):
    """Plain 3-D cross-correlation of (D0, D1, D2) with (k0, k1, k2, K), SAME padding as TensorFlow defines it."""
    sizes = [-(-n // s) for n, s in zip(volume.shape, strides, strict=True)]
    padding = []
    for n, size, k, s in zip(volume.shape, sizes, kernel.shape[:3], strides, strict=True):
        total = max((size - 1) * s + k - n, 0)
        padding.append((total // 2, total - total // 2))
    padded = np.pad(volume, padding)
    out = np.zeros((*sizes, kernel.shape[3]))
    for i, j, k in np.ndindex(*sizes):
        a, b, c = i * strides[0], j * strides[1], k * strides[2]
        window = padded[a : a + kernel.shape[0], b : b + kernel.shape[1], c : c + kernel.shape[2]]
        out[i, j, k] = np.einsum("xyz,xyzk->k", window, kernel)
    return out


def released_reference(features, kernel, bias):
    """The released definition: a (C, 3, 3) kernel over (height, width, channel), strides (1, 1, C), bias, ReLU."""
    channels = features.shape[-1]
    scores = np.stack([convolve3d_same(image, kernel[:, :, :, 0], (1, 1, channels))[:, :, 0] for image in features])
    maps = softmax(np.maximum(scores + bias, 0))
    return features * maps.sum(axis=1)[..., None], maps


def paper_scores(features, kernel):
    """The convolution of the paper's Eq. 1: 3 x 3 over the positions, all channels, zeros beyond the edge."""
    batch, height, width, _ = features.shape
    padded = np.pad(features, ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((batch, height, width, kernel.shape[-1]))
    for i, j in np.ndindex(height, width):
        out[:, i, j] = np.einsum("bxyc,xyck->bk", padded[:, i : i + 3, j : j + 3], kernel)
    return out


def build(variant, shape, rng, **options):
    unit = SoftAttention(HEADS, variant, return_maps=True, **options)
    unit.build((None, *shape))
    unit.set_weights([rng.normal(size=w.shape) * (0.3 if w.shape else 1) for w in unit.get_weights()])
    return unit, {w.name: ops.convert_to_numpy(w) for w in unit.weights}


shapes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 16))


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(0, 2**31))
def test_released_equals_its_definition(shape, seed):
    rng = np.random.default_rng(seed)
    unit, weights = build("released", shape, rng)
    features = rng.normal(size=(2, *shape)).astype("float32")
    attended, maps = unit(features)
    expected, expected_maps = released_reference(features, weights["kernel"], weights["bias"])
    np.testing.assert_allclose(maps, expected_maps, atol=1e-5)
    np.testing.assert_allclose(attended, expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(8, 8, 192), (7, 7, 128), (5, 4, 3), (3, 7, 40), (9, 3, 7)])
def test_released_at_shapes_of_the_networks(shape):
    rng = np.random.default_rng(0)
    unit, weights = build("released", shape, rng)
    features = rng.normal(size=(1, *shape)).astype("float32")
    _, maps = unit(features)
    np.testing.assert_allclose(maps, released_reference(features, weights["kernel"], weights["bias"])[1], atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 2**31))
def test_paper_equals_its_equation(shape, seed):
    rng = np.random.default_rng(seed)
    unit, weights = build("paper", shape, rng)
    features = rng.normal(size=(2, *shape)).astype("float32")
    attended, maps = unit(features)
    expected_maps = softmax(paper_scores(features, weights["kernel"]))
    np.testing.assert_allclose(maps, expected_maps, atol=1e-5)
    expected = weights["gamma"] * features * expected_maps.sum(axis=1)[..., None]
    np.testing.assert_allclose(attended, expected, atol=1e-4)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_each_map_sums_to_one(variant):
    unit = SoftAttention(16, variant, return_maps=True)
    _, maps = unit(np.random.default_rng(0).normal(size=(3, 8, 8, 24)).astype("float32") * 5)
    assert maps.shape == (3, 16, 8, 8)
    np.testing.assert_allclose(np.sum(maps, axis=(2, 3)), 1, atol=1e-5)


def influence(variant, shape):
    """Which inputs (H, W, C) move the scores of the middle cell by more than rounding can: a weight is 0.01."""
    rng = np.random.default_rng(1)
    unit = SoftAttention(HEADS, variant)
    unit.build((None, *shape))
    scores = unit._released_scores if variant == "released" else unit._paper_scores
    features = np.abs(rng.normal(size=(1, *shape))).astype("float32")
    unit.set_weights([np.abs(w) + 0.01 for w in unit.get_weights()])  # so that the ReLU lets everything through
    middle = (shape[0] // 2, shape[1] // 2)
    moved = np.repeat(features, np.prod(shape), axis=0)
    places = list(np.ndindex(*shape))
    for number, place in enumerate(places):
        moved[(number, *place)] += 1
    change = np.abs(ops.convert_to_numpy(scores(moved)) - ops.convert_to_numpy(scores(features)))
    return [
        place for place, value in zip(places, change[:, middle[0], middle[1]].max(axis=1), strict=True) if value > 5e-3
    ]


def test_released_reads_three_channels_all_rows_three_columns():
    seen = influence("released", (8, 8, 24))
    assert {channel for _, _, channel in seen} == {0, 1, 2}
    assert {row for row, _, _ in seen} == set(range(8))
    assert {column for _, column, _ in seen} == {3, 4, 5}


def test_paper_reads_all_channels_of_its_neighbourhood():
    seen = influence("paper", (8, 8, 24))
    assert {channel for _, _, channel in seen} == set(range(24))
    assert {row for row, _, _ in seen} == {column for _, column, _ in seen} == {3, 4, 5}


@pytest.mark.parametrize(("variant", "channels"), [("released", 3), ("paper", 24)])
def test_gradients_of_the_maps_reach_the_same_channels(variant, channels):
    """The probe by gradient, through the softmax: which channels can change any map at all."""
    unit = SoftAttention(HEADS, variant)
    unit.build((None, 8, 8, 24))
    features = tf.random.stateless_normal((2, 8, 8, 24), seed=(0, 1))
    with tf.GradientTape() as tape:
        tape.watch(features)
        peaks = tf.reduce_sum(unit.maps(features) ** 2)
    reached = np.abs(tape.gradient(peaks, features)).max(axis=(0, 1, 2)) > 0
    assert list(np.flatnonzero(reached)) == list(range(channels))


@pytest.mark.parametrize(
    ("height", "channels", "first", "last"),
    [(8, 192, 88, 102), (7, 2048, 1017, 1029), (7, 128, 57, 69), (28, 512, 228, 282), (28, 128, 36, 90)],
)
def test_live_rows_of_the_released_networks(height, channels, first, last):
    rows = live_rows(height, channels)
    assert (rows.start, rows.stop - 1) == (first, last)
    assert live_channels(channels) == (slice(0, 3), slice(0, 3))


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_half_precision_stays_finite(variant, precision):
    unit = SoftAttention(16, variant, return_maps=True, dtype=precision)
    features = np.random.default_rng(0).normal(size=(2, 8, 8, 192)) * 200
    attended, maps = unit(ops.cast(features, unit.compute_dtype))
    assert np.isfinite(ops.convert_to_numpy(ops.cast(attended, "float32"))).all()
    np.testing.assert_allclose(np.sum(maps, axis=(2, 3)), 1, atol=1e-2)


def test_reads_back_in_a_fresh_process(tmp_path):
    image = keras.Input((6, 5, 9))
    attended, maps = SoftAttention(4, "released", return_maps=True)(image)
    model = keras.Model(image, [attended, maps, SoftAttention(2, "paper", gamma_start=0.5)(image)])
    x = np.random.default_rng(0).normal(size=(2, 6, 5, 9)).astype("float32")
    model.save(tmp_path / "unit.keras")
    np.savez(tmp_path / "io.npz", *model.predict(x, verbose=0), x=x)
    code = (
        "import keras, numpy as np, soft_attention.model.attention;"
        f"m = keras.saving.load_model(r'{tmp_path / 'unit.keras'}'); f = np.load(r'{tmp_path / 'io.npz'}');"
        "out = m.predict(f['x'], verbose=0);"
        "[np.testing.assert_array_equal(o, f[f'arr_{i}']) for i, o in enumerate(out)]; print('equal')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("equal"), done.stderr


def test_every_argument_is_in_the_config():
    config = SoftAttention(5, "released", return_maps=True, gamma_start=0.3, name="unit").get_config()
    assert {
        "heads": 5,
        "variant": "released",
        "return_maps": True,
        "gamma_start": 0.3,
        "channels": None,
        "name": "unit",
    }.items() <= config.items()


def test_errors_name_what_is_wrong():
    with pytest.raises(
        ValueError, match=r"unknown variant of SoftAttention 'papers'.*paper, released.*did you mean 'paper'"
    ):
        SoftAttention(variant="papers")
    with pytest.raises(ValueError, match="heads=0"):
        SoftAttention(0)
    with pytest.raises(ValueError, match="of known size"):
        SoftAttention().build((None, None, None, 8))


OTHER_BACKEND = """
import numpy as np
from soft_attention.model.attention import SoftAttention
import keras
f = np.load(r'{file}')
for variant in ('paper', 'released'):
    unit = SoftAttention(3, variant, return_maps=True)
    unit.build((None, 6, 5, 9))
    names = [w.name for w in unit.weights]
    unit.set_weights([f[f'{{variant}}_{{name}}'] for name in names])
    attended, maps = (keras.ops.convert_to_numpy(v) for v in unit(f['x']))
    np.testing.assert_allclose(attended, f[f'{{variant}}_attended'], atol=1e-5)
    np.testing.assert_allclose(maps, f[f'{{variant}}_maps'], atol=1e-5)
print('equal')
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree(backend, tmp_path):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 6, 5, 9)).astype("float32")
    arrays = {"x": x}
    for variant in ("paper", "released"):
        unit, weights = build(variant, x.shape[1:], rng)
        attended, maps = unit(x)
        arrays |= {f"{variant}_{name}": value for name, value in weights.items()}
        arrays |= {f"{variant}_attended": np.asarray(attended), f"{variant}_maps": np.asarray(maps)}
    np.savez(tmp_path / "reference.npz", **arrays)
    code = OTHER_BACKEND.format(file=tmp_path / "reference.npz")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": backend},
    )
    assert done.stdout.strip().endswith("equal"), done.stderr
