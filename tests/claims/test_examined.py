"""The examined claims: every one has a verdict in the agreed words, and ours changes none."""

import pytest

from soft_attention.claims.examined import SUPPORTED, UNCHECKABLE, UNDECIDED, examined_claims
from soft_attention.published import published


@pytest.fixture(scope="module")
def examined():
    return examined_claims().set_index("id")


def test_every_examined_claim_has_a_verdict_in_the_agreed_words(examined):
    assert list(examined) == ["claim", "value", "stands", "verdict", "because"]
    assert len(examined) == 10
    assert set(examined.index) <= set(published("claims")["id"])
    assert set(examined["verdict"]) == {SUPPORTED, UNDECIDED, UNCHECKABLE}


def test_what_is_unconfirmed_is_said_to_be(examined):
    for name in ("isic2017_sensitivity", "isic2017_gain"):
        assert examined.loc[name, "stands"].startswith("unconfirmed (")
