"""The published gains: known answers by hand."""

from math import comb

import pytest

from soft_attention.claims.gains import (
    class_changes,
    gain_tests,
    paired_range,
    score_changes,
    selection_effect,
    selection_gaps,
    sign_test,
    split_effect,
)


@pytest.fixture(scope="module")
def gains():
    return gain_tests().set_index("backbone")


def test_independent_comparisons_of_the_five_pairs(gains):
    assert gains["gain_images"].tolist() == [6, 12, 9, 0, 19]
    assert gains["p_independent"].round(2).tolist() == [0.66, 0.38, 0.44, 1.0, 0.08]
    assert round(gains.loc["inception_resnet_v2", "p_independent"], 3) == 0.079
    assert (gains["p_fisher"] >= gains["p_independent"] - 1e-9).all()
    assert (gains["p_independent"] > 0.05).all()


def test_gains_carry_the_intervals_of_both_arms(gains):
    row = gains.loc["inception_resnet_v2"]
    ends = [round(row[f"{arm}_{end}"], 3) for arm in ("baseline", "released") for end in ("low", "high")]
    assert ends == [0.891, 0.929, 0.916, 0.950]
    assert gains.query("note != ''").index.tolist() == ["resnet34"]


def test_paired_range_by_hand():
    """Two classes of 10: the first gains 2 images, the second loses 1."""
    found = paired_range([4, 9], [6, 8], [10, 10])
    assert found["fewest_discordant"] == 3
    assert found["p_fewest"] == pytest.approx(2 * (comb(3, 2) + 1) / 8 - comb(3, 2) / 8)
    # lost by chance: 4 * 4/10 + 9 * 2/10 = 3.4, so 3 lost and 4 won
    assert found["unrelated_discordant"] == 7
    assert found["p_unrelated"] == pytest.approx(2 * 64 / 128 - comb(7, 4) / 128)


def test_paired_range_of_the_headline(gains):
    row = gains.loc["inception_resnet_v2"]
    assert (row["fewest_discordant"], row["unrelated_discordant"]) == (41, 89)
    assert (round(row["p_fewest"], 3), round(row["p_unrelated"], 3)) == (0.003, 0.045)
    assert (gains["p_fewest"] <= gains["p_unrelated"]).all()
    assert (gains["fewest_discordant"] >= gains["gain_images"].abs()).all()


def test_one_class_makes_the_gain_and_some_scores_fall():
    changes = class_changes().set_index("class")
    assert changes["images"].sum() == 828 and changes["change"].sum() == 19
    assert changes.loc["bkl"].tolist() == [66, 29, 55, 26]
    scores = score_changes().set_index("backbone")
    assert scores.index[scores["macro_recall"] < 0].tolist() == ["resnet34", "resnet50"]
    assert scores.index[scores["weighted_auc"] < 0].tolist() == ["vgg16"]


def test_sign_test_cannot_decide_with_five_backbones(gains):
    assert sign_test(gains["gain_images"]) == {"wins": 4, "losses": 0, "ties": 1, "p": pytest.approx(0.125)}
    assert sign_test([1] * 5)["p"] == pytest.approx(0.0625)
    assert sign_test([0, 0])["p"] == 1
    assert sign_test([1, -1, -1]) == {"wins": 1, "losses": 2, "ties": 0, "p": 1}


def test_the_chosen_epoch_makes_half_of_the_gap(cell):
    gaps = selection_gaps()
    assert (100 * gaps["gap"]).round(1).tolist() == [2.3, 1.1, 2.6]
    assert gaps["gap_images"].tolist() == [19, 9, 22]
    effect = selection_effect()
    assert len(effect) == 6
    headline = cell(effect, backbone="inception_resnet_v2", arm="released")
    assert headline["advantage"] == pytest.approx(0.9348 - 0.9046)
    assert headline["advantage_images"] == 25
    assert (effect["advantage"] > 0).all()


def test_other_split_sizes_take_the_gain_away():
    splits = split_effect()
    assert splits["correct"].tolist() == [774, 1010, 1514]
    assert (splits["correct"] / splits["test_images"]).round(4).tolist() == splits["accuracy"].tolist()
    assert (100 * splits["train_lost"]).round().tolist() == [0, 3, 9]
    assert (100 * splits["over_baseline"]).round(1).tolist() == [2.3, 0.4, 0.3]
    assert (splits["p_independent"] > 0.05).all()
    assert splits["melanoma_images"].tolist() == [34, 46, 69]
    assert (splits["melanoma_correct"] / splits["melanoma_images"]).round(2).tolist() == [0.65, 0.59, 0.52]
