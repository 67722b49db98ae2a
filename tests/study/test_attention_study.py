"""The attention of a run: ways to look, random weights, and what is written of them."""

import numpy as np
import pandas as pd
import pytest

from soft_attention.model.networks import attention_maps, build_network
from soft_attention.study import attention, attention_tables, features, saliency
from soft_attention.study.inputs import Inputs


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
    heads, ways = attention.ways_to_look(*networks, Inputs(images), rows, seed=1)
    assert heads.shape == (3, 16, 4, 4) and {maps.shape for maps in ways.values()} == {(3, 4, 4)}
    assert heads == pytest.approx(attention_maps(networks[0], images[rows]), abs=1e-5)
    assert ways["attention"] == pytest.approx(heads.sum(axis=1))
    assert not np.allclose(ways["attention"], ways["randomised unit"])


def test_kept_features_give_the_same_maps_as_images(networks, images):
    trunk = features.divide(networks[0])[0]
    networks[1].set_weights(trunk.get_weights() + networks[1].get_weights()[len(trunk.weights) :])
    kept = np.stack([np.asarray(trunk(images))] * 2, axis=1)
    rows = np.arange(9)
    by_images, by_features = (
        attention.ways_to_look(*networks, inputs, rows, seed=1) for inputs in (Inputs(images), Inputs(kept))
    )
    assert by_images[0] == pytest.approx(by_features[0], abs=1e-5)
    for name, maps in by_images[1].items():
        assert maps == pytest.approx(by_features[1][name], abs=1e-4), name


def test_shuffled_weights_are_the_same_numbers_elsewhere_and_come_back(networks):
    before = networks[0].get_weights()
    with attention.shuffled_weights(networks[0]):
        pairs = list(zip(before, networks[0].get_weights(), strict=True))
    assert all(np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)) for a, b in pairs)
    assert any(not np.array_equal(a, b) for a, b in pairs)
    assert all(np.array_equal(a, b) for a, b in zip(before, networks[0].get_weights(), strict=True))


def test_randomisation_and_perturbations_have_their_entries(networks, images):
    _, ways = attention.ways_to_look(*networks, Inputs(images), np.arange(9))
    changed = attention.randomisation(networks[0], images[:4], ways)
    assert set(changed) == {"unit", "network"} and all(-1 <= value <= 1 for value in changed.values())
    found = attention.perturbations(networks[0], images[:2], {name: maps[:2] for name, maps in ways.items()})
    assert set(found) == set(ways) - {"uniform"} | {"chance"}
    assert all(0 <= value <= 1 for scores in found.values() for value in scores.values())


def test_rows_are_balanced_over_classes_in_the_tables_order():
    labels = pd.Series(list("aaabbc"), index=range(10, 16))
    assert attention.balanced_rows(labels, 4).tolist() == [0, 3, 5, 1]


def test_the_measured_images_are_the_test_images_unless_only_others_have_masks():
    split = pd.DataFrame({"subset": ["train", "validation", "test", "test"]})
    assert attention.measured_subset(split, np.array([0, 1, 2])) == "test"
    assert attention.measured_subset(split, np.array([0, 1])) == "validation"
    assert attention.measured_subset(split, np.array([], int)) == "test"


@pytest.fixture
def energies():
    rows = pd.DataFrame({"image_id": list("wxyz"), "lesion_id": ["1", "1", "2", "3"], "label": list("aabb")})
    masks = np.zeros((4, 8, 8))
    for image, size in enumerate((2, 3, 4, 5)):
        masks[image, :size, :size] = 1
    ways = {"attention": masks, "centred Gaussian": np.ones((4, 8, 8)), "Grad-CAM": masks}
    return attention.energy_table(rows, saliency.compare(ways, masks))


def test_the_energies_stand_beside_their_images(energies):
    shares = np.array([4, 9, 16, 25]) / 64
    assert energies["area"].to_numpy() == pytest.approx(shares)
    assert energies["attention"].tolist() == [1] * 4
    assert energies["centred Gaussian"].to_numpy() == pytest.approx(shares)
    lift = attention.lift_over_gaussian(energies)
    assert lift["mean"] == pytest.approx(1 - shares.mean()) and lift["lesions"] == 3
    assert lift["low"] <= lift["mean"] <= lift["high"]
    assert attention.extreme_rows(energies).tolist() == [0, 1, 3]
    one = attention.lift_over_gaussian(energies[:2])
    assert (one["low"], one["high"], one["lesions"]) == (None, None, 1)


def test_lift_by_class_and_size_takes_every_image_once(energies, tmp_path):
    energies.to_parquet(tmp_path / "attention.parquet")
    place = dict.fromkeys(attention_tables.PLACE, "x")
    facts = {"map": "attention", "folder": tmp_path, "seed": 3, "rank_unit": 0.1, "rank_network": None}
    table = attention_tables.lift_by_group(pd.DataFrame([place | facts]))
    assert table["by"].tolist() == ["class", "class", "size", "size", "size"]
    means = 1 - np.array([[4 + 9, 16 + 25]]) / 2 / 64
    assert table["attention_lift"][:2].to_numpy() == pytest.approx(means[0])
    whole = attention_tables.lift_table(pd.DataFrame([place | facts])).iloc[0]
    assert whole["attention_lift"] == pytest.approx(attention.lift_over_gaussian(energies)["mean"])
    assert whole["rank_unit"] == 0.1 and np.isnan(whole["rank_network"])


def test_rank_correlation_is_spearmans():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    first, second = rng.random((3, 4, 4)), rng.random((3, 4, 4))
    second[2] = 0.5
    found = saliency.rank_correlation(first, second)
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(first[:2], second[:2], strict=True)]
    assert found[:2] == pytest.approx(expected) and np.isnan(found[2])


def test_overlap_with_the_lesion_is_a_mean_over_runs_of_the_ways_that_have_one():
    place = dict.fromkeys(attention_tables.PLACE, "x")
    curve = {f"iou_{quantile}": 0.1 for quantile in saliency.QUANTILES}
    ways = [{"map": "attention"} | curve, {"map": "attention"} | curve | {"iou_0.9": 0.3}, {"map": "chance"}]
    (row,) = attention_tables.iou_table(pd.DataFrame([place | way for way in ways])).to_dict(orient="records")
    assert row == place | {"map": "attention"} | {
        str(q): pytest.approx(0.2 if q == 0.9 else 0.1) for q in saliency.QUANTILES
    }
    assert attention_tables.iou_table(pd.DataFrame()).empty


def test_insertion_and_deletion_of_all_ways_stand_on_the_same_runs():
    place = dict.fromkeys(attention_tables.PLACE, "x")
    whole = [{"map": "attention", "insertion": 0.6}, {"map": "Grad-CAM", "insertion": 0.5}]
    part = [{"map": "attention", "insertion": 0.9}, {"map": "Grad-CAM"}]
    rows = [
        place | way | {"folder": name, "deletion": 0.1} for name, ways in (("a", whole), ("b", part)) for way in ways
    ]
    table = attention_tables.means_table(pd.DataFrame(rows)).set_index("map")
    assert table["insertion"].to_dict() == {"attention": 0.6, "Grad-CAM": 0.5}
    assert table["runs"].tolist() == [2, 2] and table["perturbed_runs"].tolist() == [1, 1]
