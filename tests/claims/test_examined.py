"""The examined claims: every one has a verdict in the agreed words, and ours changes none."""

import pandas as pd
import pytest

from soft_attention.claims.examined import SUPPORTED, UNCHECKABLE, UNDECIDED, examined_claims
from soft_attention.published import published


@pytest.fixture(scope="module")
def examined():
    return examined_claims().set_index("id")


def test_every_examined_claim_has_a_verdict_in_the_agreed_words(examined):
    assert list(examined) == ["claim", "value", "stands", "verdict", "because", "ours"]
    assert len(examined) == 10
    assert examined["ours"].eq("").all()
    assert set(examined.index) <= set(published("claims")["id"])
    assert set(examined["verdict"]) == {SUPPORTED, UNDECIDED, UNCHECKABLE}


def test_what_is_unconfirmed_is_said_to_be(examined):
    for name in ("isic2017_sensitivity", "isic2017_gain"):
        assert examined.loc[name, "stands"].startswith("unconfirmed (")


def test_our_results_stand_beside(examined):
    table = examined_claims({"precision_gain": "+.1 points (-.4 to .6)"}).set_index("id")
    assert table.loc["precision_gain", "ours"] == "+.1 points (-.4 to .6)" and table.loc["title", "ours"] == ""
    pd.testing.assert_frame_equal(table.drop(columns="ours"), examined.drop(columns="ours"))


def test_unknown_claims_are_refused():
    with pytest.raises(ValueError, match=r"unknown claim 'precison': .* did you mean 'precision'"):
        examined_claims({"precison": "x"})
