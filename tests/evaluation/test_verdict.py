"""What may be said of a difference, against known answers and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import ttost_paired

from soft_attention.evaluation.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE, Difference, holm, verdict


@pytest.mark.parametrize(
    ("estimate", "standard_error", "expected"),
    [
        (0.05, 0.01, BETTER),
        (-0.05, 0.01, WORSE),
        (0.0, 0.01, EQUIVALENT),
        (0.01, 0.02, UNDECIDED),
        (0.01, 0.001, EQUIVALENT),  # surely above 0, and surely less than what counts
        (0.019, 0.002, BETTER),  # above 0, perhaps less than what counts
        (-0.019, 0.002, WORSE),
        (0.0, 0.02 / 1.64, UNDECIDED),
        (0.0, 0.02 / 1.65, EQUIVALENT),
    ],
)
def test_verdicts_of_normal_differences(estimate, standard_error, expected):
    difference = Difference(estimate, standard_error)
    assert verdict(difference, 0.02) == expected
    low, high = difference.interval(0.9)
    assert (max(abs(low), abs(high)) < 0.02) == (expected == EQUIVALENT)
    low, high = difference.interval()
    if expected != EQUIVALENT:
        assert (low > 0, high < 0) == (expected == BETTER, expected == WORSE)


def test_verdicts_of_a_family_go_by_the_corrected_p():
    difference = Difference(0.05, 0.0235)
    assert difference.p_value() == pytest.approx(0.0334, abs=1e-4)
    assert verdict(difference, 0.02) == BETTER
    assert verdict(difference, 0.02, p_value=holm([difference.p_value(), 0.04])[0]) == UNDECIDED
    assert verdict(difference, 0.02, level=0.99) == UNDECIDED


def test_a_margin_is_above_zero():
    with pytest.raises(ValueError, match="a margin must be above 0, not 0"):
        verdict(Difference(0, 1), 0)


def test_equivalence_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 30))
    mean, error = (first - second).mean(), stats.sem(first - second)
    expected = ttost_paired(first, second, -0.5, 0.5)[0]
    assert Difference(mean, error, 29).p_equivalence(0.5) == pytest.approx(expected)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_holm_agrees_with_statsmodels(number):
    p_values = np.random.default_rng(number).uniform(0, 0.5, number).round(1)  # with ties
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@pytest.mark.parametrize("seeds", [8, 20, 1000])
def test_the_detectable_difference_is_found_with_the_power_asked_for(seeds):
    """Of a t-test of as many pairs; the t distribution that is moved, not the noncentral one, so a little off."""
    difference = Difference(0.0, 0.01, seeds - 1)
    effect = difference.detectable() / (0.01 * np.sqrt(seeds))
    assert TTestPower().power(effect, seeds, 0.05) == pytest.approx(0.8, abs=0.02)
    assert Difference(0.0, 0.01).detectable(0.5) == pytest.approx(0.01 * stats.norm.ppf(0.975))
