"""One resampling equals the chain of moves it stands for, on every backend."""

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.ndimage import affine_transform

from soft_attention.run.augmentation import AffineAugmentation, apply_affine, compose, identity, random_affine

SIZE = 24


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 3), dtype=np.uint8)


def moved(images, angle=0.0, shift=(0.0, 0.0), scale=(1.0, 1.0)) -> np.ndarray:
    """All images moved in the same way."""
    moves = [np.repeat([value], len(images), axis=0) for value in (angle, shift, scale)]
    return ops.convert_to_numpy(apply_affine(images, compose(*moves, images.shape[1])))


def by_scipy(images, transforms) -> np.ndarray:
    """The same transforms by an independent implementation, in double precision."""
    out = np.empty(images.shape)
    for image, target, (a0, a1, a2, b0, b1, b2, _, _) in zip(images, out, transforms, strict=True):
        for channel in range(images.shape[-1]):
            target[..., channel] = affine_transform(
                image[..., channel].astype(float),
                [[b1, b0], [a1, a0]],
                [b2, a2],
                order=1,
                mode="nearest",
            )
    return out


def test_identity_is_exact(images):
    out = ops.convert_to_numpy(apply_affine(images, identity(5)))
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, images)
    np.testing.assert_array_equal(moved(images), images)


def test_quarter_turns_and_flips_are_those_of_numpy(images):
    np.testing.assert_allclose(moved(images, angle=90), np.rot90(images, 1, (1, 2)), atol=1e-3)
    np.testing.assert_allclose(moved(images, angle=180), np.rot90(images, 2, (1, 2)), atol=1e-3)
    np.testing.assert_array_equal(moved(images, scale=(-1, 1)), images[:, :, ::-1])
    np.testing.assert_array_equal(moved(images, scale=(1, -1)), images[:, ::-1])


def test_a_shift_repeats_the_edge(images):
    out = moved(images, shift=(3, 0))
    np.testing.assert_array_equal(out[:, :, :-3], images[:, :, 3:])
    np.testing.assert_array_equal(out[:, :, -3:], np.repeat(images[:, :, -1:], 3, axis=2))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_it_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (3, SIZE, SIZE, 2), dtype=np.uint8)
    transforms = random_affine(rng, 3, SIZE, shift=0.5, zoom=0.5)
    out = ops.convert_to_numpy(apply_affine(images, transforms))
    np.testing.assert_allclose(out, by_scipy(images, transforms), atol=0.02)


def test_it_agrees_with_keras_own_operation(images):
    transforms = random_affine(np.random.default_rng(1), 5, SIZE)
    expected = ops.image.affine_transform(
        images.astype("float32"), transforms, interpolation="bilinear", fill_mode="nearest"
    )
    np.testing.assert_allclose(apply_affine(images, transforms), expected, atol=0.02)


@pytest.mark.filterwarnings("ignore:Please import `affine_transform`:DeprecationWarning")
@pytest.mark.parametrize("seed", range(5))
def test_one_move_is_the_generators_of_the_released_code(seed, images):
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(
        rotation_range=180,
        width_shift_range=0.1,
        height_shift_range=0.1,
        zoom_range=0.1,
        horizontal_flip=True,
        vertical_flip=True,
        fill_mode="nearest",
    )
    drawn = generator.get_random_transform((SIZE, SIZE, 3), seed)
    mirror = (-1) ** drawn["flip_horizontal"], (-1) ** drawn["flip_vertical"]
    out = moved(
        images[:1],
        drawn["theta"],
        (drawn["tx"], drawn["ty"]),
        (drawn["zx"] * mirror[0], drawn["zy"] * mirror[1]),
    )
    expected = generator.apply_transform(images[0].astype("float32"), drawn)
    np.testing.assert_allclose(out[0], expected, atol=0.02)


def test_a_mask_moves_with_its_image():
    mask = np.zeros((4, SIZE, SIZE, 1), np.uint8)
    mask[:, 4:12, 6:20] = 1
    image = np.repeat(mask * 200, 3, axis=-1)
    transforms = random_affine(np.random.default_rng(2), 4, SIZE)
    np.testing.assert_allclose(
        apply_affine(image, transforms)[..., :1], 200 * apply_affine(mask, transforms), atol=1e-3
    )
    assert 0.5 < ops.mean(apply_affine(mask, transforms)) / mask.mean() < 2


def test_random_transforms_stay_in_their_ranges():
    draws = random_affine(np.random.default_rng(3), 20000, 100)
    linear = draws[:, [0, 1, 3, 4]].reshape(-1, 2, 2).astype(float)
    scales = np.linalg.norm(linear, axis=1)
    assert 0.9 <= scales.min() < 0.901 and 1.099 < scales.max() <= 1.1
    assert np.mean(np.linalg.det(linear) < 0) == pytest.approx(0.5, abs=0.02)
    angles = np.arctan2(linear[:, 1, 0], linear[:, 0, 0])
    assert np.histogram(angles, 8, (-np.pi, np.pi))[0] == pytest.approx(np.full(8, 2500), rel=0.1)
    centre = linear @ [49.5, 49.5] + draws[:, [2, 5]] - 49.5
    distance = np.linalg.norm(centre, axis=1)
    assert 13.5 < distance.max() <= 10 * np.sqrt(2) + 1e-3
    assert (draws[:, 6:] == 0).all()


def test_ranges_of_zero_are_the_identity():
    still = random_affine(np.random.default_rng(0), 3, SIZE, 0, 0, 0, flip=False)
    np.testing.assert_array_equal(still, identity(3))


def test_the_same_generator_state_gives_the_same_transforms():
    first, second, other = (random_affine(np.random.default_rng(s), 4, SIZE) for s in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_the_layer_moves_only_in_training(images):
    layer, transforms = AffineAugmentation(), random_affine(np.random.default_rng(4), 5, SIZE)
    np.testing.assert_array_equal(layer((images, transforms), training=False), images)
    np.testing.assert_array_equal(layer((images, transforms)), images)
    np.testing.assert_array_equal(layer((images, transforms), training=True), apply_affine(images, transforms))


def network() -> keras.Model:
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    transform = keras.Input((8,), name="transform")
    x = AffineAugmentation()((image, transform))
    assert x.shape == (None, SIZE, SIZE, 3) and x.dtype == "float32"
    x = keras.layers.Conv2D(2, 3)(x)
    x = keras.layers.Dense(2, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model({"image": image, "transform": transform}, x)


def test_a_network_with_it_trains_compiled_and_in_half_precision(images, tmp_path):
    transforms = random_affine(np.random.default_rng(4), 5, SIZE)
    batch = {"image": images, "transform": transforms}
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("sgd", "categorical_crossentropy", jit_compile=True)
    history = model.fit(batch, np.eye(2)[[0, 1, 0, 1, 0]], verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(batch, verbose=0), again.predict(batch, verbose=0))


SCRIPT = """
import sys, numpy as np
from keras import ops
from soft_attention.run.augmentation import apply_affine
data = np.load(sys.argv[1])
np.save(sys.argv[2], ops.convert_to_numpy(apply_affine(data["images"], data["transforms"])))
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_agree(backend, images, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    transforms = random_affine(np.random.default_rng(7), 5, SIZE)
    np.savez(tmp_path / "in.npz", images=images, transforms=transforms)
    command = [sys.executable, "-c", SCRIPT, tmp_path / "in.npz", tmp_path / "out.npy"]
    subprocess.run(command, check=True, env={**os.environ, "KERAS_BACKEND": backend})
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), by_scipy(images, transforms), atol=0.02)


def test_nearest_moves_a_mask_as_bilinear_moves_its_picture():
    rng = np.random.default_rng(3)
    mask = np.zeros((6, 32, 32, 1), "float32")
    mask[:, 8:20, 5:15] = 1
    transforms = random_affine(rng, 6, 32)
    moved = ops.convert_to_numpy(apply_affine(mask, transforms, "nearest"))
    picture = ops.convert_to_numpy(apply_affine(mask, transforms))
    assert set(np.unique(moved)) == {0, 1}
    certain = (picture < 0.01) | (picture > 0.99)  # all but the border
    assert certain.mean() > 0.8
    np.testing.assert_array_equal(moved[certain], picture[certain].round())
