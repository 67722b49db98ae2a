"""Which counts the published ISIC-2017 sensitivity can be."""

import pytest
from mlscorecheck.check.bundles.skinlesion import check_isic2017

from soft_attention.claims import sensitivity
from soft_attention.claims.sensitivity import averages_check, sensitivity_check


def test_the_sensitivity_is_no_share_of_keratoses_or_melanomas():
    check = sensitivity_check(0.916).set_index("images")
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
    check = sensitivity_check(0.878).set_index("images")
    assert (check.loc[90, "rounded"], check.loc[90, "cut_off"]) == ("79/90", "")
    assert check.loc[117, "rounded"] == check.loc[117, "cut_off"] == ""


CODES = {"melanoma": "M", "seborrheic_keratosis": "SK", "nevus": "N"}


def possible(group, value):
    """mlscorecheck: whether `value` can be a sensitivity for these classes against the others."""
    target, against = ([code for name, code in CODES.items() if (name in group) is own] for own in (True, False))
    return not check_isic2017(target=target, against=against, scores={"sens": value}, eps=0.0005)["inconsistency"]


@pytest.mark.parametrize("value", [0.916, 0.878, 0.5, 0.0, 1.0, 0.833, 0.667, 0.666])
def test_mlscorecheck_agrees_with_the_enumeration(value):
    check = sensitivity_check(value).set_index("reading")
    for group, reading in sensitivity.ISIC2017_READINGS.items():
        assert possible(group, value) == (check.loc[reading, "rounded"] != "")
        if check.loc[reading, "cut_off"]:
            assert possible(group, value + 0.0005)  # it also takes the upper end itself


def test_means_of_sensitivities_can_give_almost_anything():
    table = averages_check(0.916)
    assert table["combinations"].tolist() == [91 * 118, 91 * 118 * 394]
    pairs = [(i / 90 + j / 117) / 2 for i in range(91) for j in range(118)]
    assert table["rounded"][0] == sum(0.9155 <= mean < 0.9165 for mean in pairs) > 0
    assert table["cut_off"][0] == sum(0.916 <= mean < 0.917 for mean in pairs) > 0


def test_a_value_that_is_no_printed_share_is_refused():
    with pytest.raises(ValueError, match=r"a share lies between 0 and 1, 91\.6 does not"):
        sensitivity_check(91.6)
    with pytest.raises(ValueError, match=r"the share 0\.9161 has more than 3 decimals"):
        averages_check(0.9161)
