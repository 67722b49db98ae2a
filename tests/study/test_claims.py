"""The examined claims: known answers by hand, and no number that the published tables do not give."""

import re
from math import comb

import numpy as np
import pandas as pd
import pytest

from soft_attention.study import claims, tables


def cell(table, **key):
    """The one row with these values."""
    found = table[np.logical_and.reduce([table[name] == value for name, value in key.items()])]
    assert len(found) == 1
    return found.iloc[0]


@pytest.fixture(scope="module")
def gains():
    return claims.gain_tests().set_index("backbone")


@pytest.fixture(scope="module")
def examined():
    return claims.examined_claims().set_index("id")


# --- counts behind the rates ----------------------------------------------------------------------


def test_each_network_has_exactly_one_table_of_counts():
    check = claims.rates_check()
    assert len(check) == 10
    assert (check["consistent_classes"] == check["classes"]).all()
    assert (check["classes"] == 7).all()
    assert (check["fitting_tables"] == 1).all()
    assert (check["count_tables"] > 1).all()


def test_counts_give_every_published_rate():
    counts = claims.class_counts()
    networks = tables.published_networks().set_index(["backbone", "arm"])
    assert (counts["correct"] / counts["test_images"] - counts["recall"]).abs().max() <= 0.005 + 1e-9
    assert (counts["correct"] / counts["predicted"] - counts["precision"]).abs().max() <= 0.005 + 1e-9
    sums = counts.groupby(["backbone", "arm"])[["correct", "predicted"]].sum()
    assert (sums["correct"] == networks["correct"].loc[sums.index]).all()
    assert (sums["predicted"] == 828).all()


def test_the_headline_networks_counted_by_hand():
    counts = claims.class_counts().query("backbone == 'inception_resnet_v2'")
    assert counts.query("arm == 'baseline'")["correct"].tolist() == [15, 22, 29, 2, 19, 658, 10]
    assert counts.query("arm == 'released'")["correct"].tolist() == [12, 23, 55, 1, 22, 651, 10]
    assert counts.query("arm == 'baseline'")["predicted"].tolist() == [18, 26, 34, 3, 27, 710, 10]
    assert counts.query("arm == 'released'")["predicted"].tolist() == [12, 26, 76, 1, 33, 670, 10]


def test_impossible_rates_are_found_out(monkeypatch):
    true = claims.published

    def changed(name):
        table = true(name)
        if name == "per_class":
            table.loc[table.query("backbone == 'vgg16' and arm == 'baseline' and `class` == 'df'").index, "recall"] = (
                0.25
            )
        return table

    monkeypatch.setattr(claims, "published", changed)
    first = claims.rates_check().iloc[0]
    assert (first["consistent_classes"], first["count_tables"], first["fitting_tables"]) == (6, 0, 0)
    with pytest.raises(ValueError, match="rates of vgg16, baseline fit 0 tables, not one"):
        claims.class_counts()


def test_what_one_image_is_worth():
    rates = claims.rate_granularity()
    assert len(rates) == 70
    rare = cell(rates, backbone="vgg16", arm="baseline", **{"class": "df"})
    assert (round(rare["recall_points"], 1), round(rare["macro_recall_points"], 1)) == (16.7, 2.4)
    melanoma = cell(rates, backbone="inception_resnet_v2", arm="released", **{"class": "mel"})
    assert (melanoma["correct"], melanoma["test_images"], melanoma["predicted"]) == (22, 34, 33)
    assert (melanoma["recall_low"], melanoma["recall_high"]) == tables.wilson(22, 34)
    assert (melanoma["precision_low"], melanoma["precision_high"]) == tables.wilson(22, 33)


# --- what attention added -------------------------------------------------------------------------


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
    found = claims.paired_range([4, 9], [6, 8], [10, 10])
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


def test_sign_test_cannot_decide_with_five_backbones(gains):
    assert claims.sign_test(gains["gain_images"]) == {"wins": 4, "losses": 0, "ties": 1, "p": pytest.approx(0.125)}
    assert claims.sign_test([1] * 5)["p"] == pytest.approx(0.0625)
    assert claims.sign_test([0, 0])["p"] == 1
    assert claims.sign_test([1, -1, -1]) == {"wins": 1, "losses": 2, "ties": 0, "p": 1}


# --- epoch and split ------------------------------------------------------------------------------


def test_the_chosen_epoch_makes_half_of_the_gap():
    gaps = claims.selection_gaps()
    assert (100 * gaps["gap"]).round(1).tolist() == [2.3, 1.1, 2.6]
    assert gaps["gap_images"].tolist() == [19, 9, 22]
    effect = claims.selection_effect()
    assert len(effect) == 6
    headline = cell(effect, backbone="inception_resnet_v2", arm="released")
    assert headline["advantage"] == pytest.approx(0.9348 - 0.9046)
    assert headline["advantage_images"] == 25
    assert (effect["advantage"] > 0).all()


def test_other_split_sizes_take_the_gain_away():
    splits = claims.split_effect()
    assert splits["correct"].tolist() == [774, 1010, 1514]
    assert (splits["correct"] / splits["test_images"]).round(4).tolist() == splits["accuracy"].tolist()
    assert (100 * splits["train_lost"]).round().tolist() == [0, 3, 9]
    assert (100 * splits["over_baseline"]).round(1).tolist() == [2.3, 0.4, 0.3]
    assert (splits["p_independent"] > 0.05).all()
    assert splits["melanoma_images"].tolist() == [34, 46, 69]
    assert (splits["melanoma_correct"] / splits["melanoma_images"]).round(2).tolist() == [0.65, 0.59, 0.52]


# --- ISIC-2017 ------------------------------------------------------------------------------------


def test_the_sensitivity_is_no_share_of_keratoses_or_melanomas():
    check = claims.sensitivity_check(0.916).set_index("images")
    assert check.index.tolist() == [90, 117, 207, 393, 483, 510, 600]
    assert (check.loc[90, "below"], check.loc[90, "above"]) == ("82/90 = .9111", "83/90 = .9222")
    given = {images: (row["rounded"], row["cut_off"]) for images, row in check.iterrows()}
    assert given == {
        90: ("", ""),
        117: ("", ""),
        207: ("", ""),
        393: ("360/393", "360/393"),
        483: ("", ""),
        510: ("467/510", ""),
        600: ("", "550/600"),
    }


def test_the_baseline_is_a_share_of_keratoses():
    check = claims.sensitivity_check(0.878).set_index("images")
    assert (check.loc[90, "rounded"], check.loc[90, "cut_off"]) == ("79/90", "")
    assert check.loc[117, "rounded"] == check.loc[117, "cut_off"] == ""


@pytest.mark.parametrize("value", [0.916, 0.878, 0.5, 0.0, 1.0, 0.833, 0.667, 0.666])
def test_mlscorecheck_agrees_with_the_enumeration(value):
    check = claims.sensitivity_check(value)
    assert (check["rounded"].ne("") == check["mlscorecheck_rounded"]).all()
    assert (check["cut_off"].ne("") <= check["mlscorecheck_cut_off"]).all()  # it also takes the upper end itself
    if value == 0.916:
        assert (check["cut_off"].ne("") == check["mlscorecheck_cut_off"]).all()


def test_means_of_sensitivities_can_give_almost_anything():
    table = claims.averages_check(0.916)
    assert table["combinations"].tolist() == [91 * 118, 91 * 118 * 394]
    pairs = [(i / 90 + j / 117) / 2 for i in range(91) for j in range(118)]
    assert table["rounded"][0] == sum(0.9155 <= mean < 0.9165 for mean in pairs) > 0
    assert table["cut_off"][0] == sum(0.916 <= mean < 0.917 for mean in pairs) > 0


def test_a_value_that_is_no_printed_share_is_refused():
    with pytest.raises(ValueError, match=r"a share lies between 0 and 1, 91\.6 does not"):
        claims.sensitivity_check(91.6)
    with pytest.raises(ValueError, match=r"the share 0\.9161 has more than 3 decimals"):
        claims.averages_check(0.9161)


# --- all together ---------------------------------------------------------------------------------


def test_every_examined_claim_has_a_verdict_in_the_agreed_words(examined):
    assert list(examined) == ["claim", "stands", "published", "can_show", "ours", "verdict"]
    assert len(examined) == 10
    assert examined["ours"].isna().all()
    assert set(examined.index) <= set(claims.published("claims")["id"])
    words = examined["verdict"].str.split(":").str[0]
    assert set(words) <= set(claims.VERDICTS)
    assert words[["title", "precision_gain"]].eq("undecided at this scale").all()
    assert words[["isic2017_sensitivity", "isic2017_gain"]].eq("cannot be checked").all()
    assert words["precision"] == "supported"


def test_what_is_unconfirmed_is_said_to_be(examined):
    for name in ("isic2017_sensitivity", "isic2017_gain"):
        assert examined.loc[name, "stands"].startswith("unconfirmed (")
    assert "not proven" in examined.loc["isic2017_gain", "can_show"]
    assert "mean of several scores or other test images" in examined.loc["isic2017_sensitivity", "can_show"]
    assert "which is not known" in examined.loc["precision_gain", "can_show"]


def test_examined_numbers_are_the_known_ones(examined):
    gain = examined.loc["precision_gain"]
    for text in ("p = .079", "+26 of 66 bkl, all others together -7", "2.3 points", "1.1 at those", "above the one"):
        assert text in gain["can_show"]
    assert "774 against 755 correct images" in gain["published"]
    assert "1.95 to 2.75 points" in examined.loc["title", "can_show"]
    assert "p = .125" in examined.loc["title", "can_show"] and ".0625" in examined.loc["title", "can_show"]
    assert "ResNet34 and ResNet50, weighted AUC for VGG16" in examined.loc["title", "can_show"]
    assert "360/393" in examined.loc["isic2017_sensitivity", "can_show"]
    assert not re.search(r"nan|<NA>|None in the|\b0\.\d{3}", " ".join(examined.drop("recall_absent")["can_show"]))


def test_our_results_and_verdicts_stand_beside(examined):
    table = claims.examined_claims(
        ours={"precision_gain": "+.1 points (-.4 to .6)"},
        verdicts={"precision_gain": "equivalent: within one point", "title": "not supported"},
    ).set_index("id")
    assert table.loc["precision_gain", ["ours", "verdict"]].tolist() == [
        *("+.1 points (-.4 to .6)", "equivalent: within one point")
    ]
    assert table.loc["title", "verdict"] == "not supported"
    pd.testing.assert_frame_equal(table.drop(columns=["ours", "verdict"]), examined.drop(columns=["ours", "verdict"]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ours": {"precison": "x"}}, "unknown claim 'precison': .* did you mean 'precision'"),
        ({"verdicts": {"none": "supported"}}, "unknown claim 'none'"),
        ({"verdicts": {"title": "proven"}}, "verdict on title must begin with one of supported, .*'proven' does not"),
    ],
)
def test_unknown_claims_and_verdicts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        claims.examined_claims(**arguments)


# --- peers ----------------------------------------------------------------------------------------


def test_peers_stand_beside_the_authors_and_us():
    ours = pd.DataFrame({"backbone": ["vgg16"], "arm": ["paper"], "accuracy": [0.5], "test_images": [2003]})
    table = claims.peers_table(ours)
    assert tuple(table) == claims.PEER_COLUMNS
    assert len(table) == 10 + 9 + 1
    mine = cell(table, who="this study")
    assert (mine["backbone"], mine["arm"], mine["accuracy"], mine["test_images"]) == ("vgg16", "paper", 0.5, 2003)
    peer = cell(table, who="kanhaiyak23", arm="released")
    assert (peer["melanoma_correct"], peer["melanoma_images"], peer["weighted_precision"]) == (21, 34, 0.913)
    authors = cell(table, who="authors", backbone="inception_resnet_v2", arm="baseline")
    assert (authors["melanoma_correct"], authors["melanoma_images"], authors["melanoma_recall"]) == (19, 34, 0.56)
    assert table["backbone"].drop_duplicates().tolist()[0] == "vgg16"
    assert len(claims.peers_table()) == 19


def test_rows_of_ours_without_a_network_are_refused():
    with pytest.raises(ValueError, match="our rows lack the column 'arm'"):
        claims.peers_table(pd.DataFrame({"backbone": ["vgg16"]}))
