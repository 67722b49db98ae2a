"""Kept features: those of the trunk, for every view, made once, and never half-written."""

import keras
import numpy as np
import pytest

from soft_attention.errors import StudyError
from soft_attention.model.networks import build_network
from soft_attention.run import features


@pytest.fixture(scope="module")
def network():
    return build_network("mobilenet", "released", 3, 32)


@pytest.fixture
def images(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (35, 32, 32, 3)).astype("uint8")
    np.save(tmp_path / "images-32-abc.npy", values)
    return np.load(tmp_path / "images-32-abc.npy", mmap_mode="r")


def test_the_two_halves_are_the_network(network, images):
    trunk, head = features.divide(network)
    whole = keras.ops.convert_to_numpy(network(images[:3]))
    assert keras.ops.convert_to_numpy(head(trunk(images[:3]))) == pytest.approx(whole, abs=1e-6)
    assert len(trunk.weights) + len(head.weights) == len(network.weights)


@pytest.mark.parametrize("arm", ["released", "lesion"])
def test_a_network_that_was_divided_is_saved_whole(arm, tmp_path):
    network = build_network("mobilenet", arm, 3, 32)
    features.divide(network)
    network.save(tmp_path / "model.keras")
    image = np.full((1, 32, 32, 3), 100, "uint8")
    seen = {"image": image, "mask": np.eye(32, dtype="uint8")[None]} if arm == "lesion" else image
    saved = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert np.array_equal(saved.predict(seen, verbose=0), network.predict(seen, verbose=0))


def test_the_eight_views_of_a_square():
    image = np.arange(9).reshape(1, 3, 3, 1)
    views = [features.dihedral(image, view) for view in range(8)]
    assert np.array_equal(views[0], image)
    assert np.array_equal(views[1][0, :, :, 0], np.rot90(image[0, :, :, 0]))
    assert np.array_equal(views[4][0, :, :, 0], np.fliplr(image[0, :, :, 0]))
    assert len({view.tobytes() for view in views}) == 8
    with pytest.raises(ValueError, match="views 0 to 7, not 8"):
        features.dihedral(image, 8)


def test_features_are_those_of_each_view_and_are_made_once(network, images, tmp_path, monkeypatch):
    trunk = features.divide(network)[0]
    kept = features.open_features(trunk, images, 2, tmp_path / "cache")
    assert kept.shape == (35, 2, 2, 2, 384) and kept.dtype == np.float16
    for view in (0, 1):
        expected = keras.ops.convert_to_numpy(trunk(features.dihedral(images, view).copy()))
        assert kept[:, view] == pytest.approx(expected, abs=1e-2)
    monkeypatch.setattr(features, "_features", None)
    assert np.array_equal(features.open_features(trunk, images, 2, tmp_path / "cache"), kept)


def test_other_weights_or_images_make_other_files(network, images, tmp_path):
    other = build_network("mobilenet", "baseline", 3, 32)
    same = build_network("mobilenet", "baseline", 3, 32)
    features.divide(same)[0].set_weights(features.divide(network)[0].get_weights())
    names = [features._fingerprint(features.divide(n)[0], images) for n in (network, other, same)]
    assert names[0] == names[2] != names[1]
    assert features._fingerprint(features.divide(network)[0], images[:5].copy()) != names[0]


def test_another_precision_makes_another_file(network, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        coarse = build_network("mobilenet", "released", 3, 32)
    finally:
        keras.config.set_dtype_policy("float32")
    coarse.set_weights(network.get_weights())
    names = {features._fingerprint(features.divide(each)[0], images) for each in (network, coarse)}
    assert len(names) == 2


def test_a_full_disk_leaves_nothing_and_a_damaged_file_is_named(network, images, tmp_path, monkeypatch):
    trunk, cache = features.divide(network)[0], tmp_path / "cache"

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(features, "_features", full)
        with pytest.raises(StudyError, match=r"features-.*cannot be written .*No space left"):
            features.open_features(trunk, images, 1, cache)
    assert not list(cache.glob("*features*"))
    features.open_features(trunk, images, 1, cache)
    (file,) = cache.glob("features-*.npy")
    file.write_bytes(b"not an array")
    with pytest.raises(StudyError, match=r"features-.* is damaged .*delete it"):
        features.open_features(trunk, images, 1, cache)
