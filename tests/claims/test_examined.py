"""The examined claims: no number that the published tables do not give."""

import re

import pandas as pd
import pytest

from soft_attention.claims.examined import VERDICTS, examined_claims
from soft_attention.published import published


@pytest.fixture(scope="module")
def examined():
    return examined_claims().set_index("id")


def test_every_examined_claim_has_a_verdict_in_the_agreed_words(examined):
    assert list(examined) == ["claim", "stands", "published", "can_show", "verdict", "ours"]
    assert len(examined) == 10
    assert examined["ours"].eq("").all()
    assert set(examined.index) <= set(published("claims")["id"])
    words = examined["verdict"].str.split(":").str[0]
    assert set(words) <= set(VERDICTS)
    assert words[["title", "precision_gain"]].eq("undecided").all()
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


def test_our_results_stand_beside(examined):
    table = examined_claims({"precision_gain": "+.1 points (-.4 to .6)"}).set_index("id")
    assert table.loc["precision_gain", "ours"] == "+.1 points (-.4 to .6)" and table.loc["title", "ours"] == ""
    pd.testing.assert_frame_equal(table.drop(columns="ours"), examined.drop(columns="ours"))


def test_unknown_claims_are_refused():
    with pytest.raises(ValueError, match=r"unknown claim 'precison': .* did you mean 'precision'"):
        examined_claims({"precison": "x"})
