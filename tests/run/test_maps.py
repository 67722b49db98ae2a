"""The attention of a run: kinds of map, random weights, insertion and deletion."""

import numpy as np
import pandas as pd
import pytest

from soft_attention.model.networks import attention_maps, build_network
from soft_attention.run import features, maps
from soft_attention.run.inputs import Inputs


@pytest.fixture(scope="module")
def networks():
    made = [build_network("mobilenet", arm, 3, 64) for arm in ("paper", "baseline")]
    rng = np.random.default_rng(0)
    for network in made:  # fresh weights of a deep network leave features near 0
        network.set_weights([w + rng.normal(0, 0.05, w.shape).astype("float32") ** 2 for w in network.get_weights()])
    return made


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3)).astype("uint8")


def test_every_way_gives_a_map_for_every_image(networks, images):
    rows = np.array([8, 0, 3])
    heads, kinds = maps.saliency_maps(*networks, Inputs(images), rows, seed=1)
    assert heads.shape == (3, 16, 4, 4) and {maps.shape for maps in kinds.values()} == {(3, 4, 4)}
    assert heads == pytest.approx(attention_maps(networks[0], images[rows]), abs=1e-5)
    assert kinds["attention"] == pytest.approx(heads.sum(axis=1))
    assert not np.allclose(kinds["attention"], kinds["randomised unit"])


def test_kept_features_give_the_same_maps_as_images(networks, images):
    trunk = features.divide(networks[0])[0]
    networks[1].set_weights(trunk.get_weights() + networks[1].get_weights()[len(trunk.weights) :])
    kept = np.stack([np.asarray(trunk(images))] * 2, axis=1)
    rows = np.arange(9)
    by_images, by_features = (
        maps.saliency_maps(*networks, inputs, rows, seed=1) for inputs in (Inputs(images), Inputs(kept))
    )
    assert by_images[0] == pytest.approx(by_features[0], abs=1e-5)
    for name, kind in by_images[1].items():
        assert kind == pytest.approx(by_features[1][name], abs=1e-4), name


def test_shuffled_weights_are_the_same_numbers_elsewhere_and_come_back(networks):
    before = networks[0].get_weights()
    with maps.shuffled_weights(networks[0]):
        pairs = list(zip(before, networks[0].get_weights(), strict=True))
    assert all(np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)) for a, b in pairs)
    assert any(not np.array_equal(a, b) for a, b in pairs)
    assert all(np.array_equal(a, b) for a, b in zip(before, networks[0].get_weights(), strict=True))


def test_randomisation_and_perturbations_have_their_entries(networks, images):
    _, kinds = maps.saliency_maps(*networks, Inputs(images), np.arange(9))
    changed = maps.randomisation(networks[0], images[:4], kinds)
    assert set(changed) == {"unit", "network"} and all(-1 <= value <= 1 for value in changed.values())
    found = maps.perturbations(networks[0], images[:2], {name: kind[:2] for name, kind in kinds.items()})
    assert set(found) == set(kinds) - {"uniform"} | {"chance"}
    assert all(0 <= value <= 1 for scores in found.values() for value in scores.values())


def test_rows_are_balanced_over_classes_in_the_tables_order():
    labels = pd.Series(list("aaabbc"), index=range(10, 16))
    assert maps.balanced_rows(labels, 4).tolist() == [0, 3, 5, 1]


def test_the_measured_images_are_the_test_images_unless_only_others_have_masks():
    split = pd.DataFrame({"subset": ["train", "validation", "test", "test"]})
    assert maps.measured_subset(split, np.array([0, 1, 2])) == "test"
    assert maps.measured_subset(split, np.array([0, 1])) == "validation"
    assert maps.measured_subset(split, np.array([], int)) == "test"
