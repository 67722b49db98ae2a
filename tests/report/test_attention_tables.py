"""Tables of where the networks look, against numbers by hand."""

import numpy as np
import pandas as pd
import pytest

from soft_attention.errors import StudyError
from soft_attention.evaluation import saliency
from soft_attention.report import attention_tables


@pytest.fixture
def energies():
    rows = pd.DataFrame({"image_id": list("wxyz"), "lesion_id": ["1", "1", "2", "3"], "label": list("aabb")})
    masks = np.zeros((4, 8, 8))
    for image, size in enumerate((2, 3, 4, 5)):
        masks[image, :size, :size] = 1
    kinds = {"attention": masks, "centred Gaussian": np.ones((4, 8, 8)), "Grad-CAM": masks}
    return attention_tables.energy_table(rows, saliency.compare(kinds, masks))


def test_the_energies_stand_beside_their_images(energies):
    shares = np.array([4, 9, 16, 25]) / 64
    assert energies["area"].to_numpy() == pytest.approx(shares)
    assert energies["attention"].tolist() == [1] * 4
    assert energies["centred Gaussian"].to_numpy() == pytest.approx(shares)
    lift = attention_tables.lift_over_gaussian(energies)
    assert lift["mean"] == pytest.approx(1 - shares.mean()) and lift["lesions"] == 3
    assert lift["low"] <= lift["mean"] <= lift["high"]
    assert attention_tables.extreme_rows(energies).tolist() == [0, 1, 3]
    one = attention_tables.lift_over_gaussian(energies[:2])
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
    assert whole["attention_lift"] == pytest.approx(attention_tables.lift_over_gaussian(energies)["mean"])
    assert whole["rank_unit"] == 0.1 and np.isnan(whole["rank_network"])


def test_half_a_file_of_energies_is_named(energies, tmp_path):
    file = tmp_path / "attention.parquet"
    energies.to_parquet(file)
    file.write_bytes(file.read_bytes()[:200])
    place = dict.fromkeys(attention_tables.PLACE, "x")
    with pytest.raises(StudyError, match=r"attention\.parquet is damaged"):
        attention_tables.lift_by_group(pd.DataFrame([place | {"map": "attention", "folder": tmp_path, "seed": 3}]))


def test_overlap_with_the_lesion_is_a_mean_over_runs_of_the_kinds_that_have_one():
    place = dict.fromkeys(attention_tables.PLACE, "x")
    curve = {f"iou_{quantile}": 0.1 for quantile in saliency.QUANTILES}
    kinds = [{"map": "attention"} | curve, {"map": "attention"} | curve | {"iou_0.9": 0.3}, {"map": "chance"}]
    (row,) = attention_tables.iou_table(pd.DataFrame([place | kind for kind in kinds])).to_dict(orient="records")
    assert row == place | {"map": "attention"} | {
        str(q): pytest.approx(0.2 if q == 0.9 else 0.1) for q in saliency.QUANTILES
    }
    assert attention_tables.iou_table(pd.DataFrame()).empty


def test_insertion_and_deletion_of_all_kinds_stand_on_the_same_runs():
    place = dict.fromkeys(attention_tables.PLACE, "x")
    whole = [{"map": "attention", "insertion": 0.6}, {"map": "Grad-CAM", "insertion": 0.5}]
    part = [{"map": "attention", "insertion": 0.9}, {"map": "Grad-CAM"}]
    rows = [
        place | kind | {"folder": name, "deletion": 0.1}
        for name, kinds in (("a", whole), ("b", part))
        for kind in kinds
    ]
    table = attention_tables.means_table(pd.DataFrame(rows)).set_index("map")
    assert table["insertion"].to_dict() == {"attention": 0.6, "Grad-CAM": 0.5}
    assert table["runs"].tolist() == [2, 2] and table["perturbed_runs"].tolist() == [1, 1]
