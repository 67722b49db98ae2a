"""Tests of pairs, of runs and of shares, against known answers and other libraries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from MLstatkit import Delong_test
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from soft_attention.evaluation.bootstrap import bootstrap_mean
from soft_attention.evaluation.paired_tests import (
    auc_contributions,
    corrected_t,
    delong,
    mcnemar_midp,
    smallest_detectable_difference,
    variance_components,
    wilson,
)

# --- McNemar --------------------------------------------------------------------------------------


def correct_of(arm_only, reference_only, both=5, neither=3):
    """Two columns of booleans with these counts."""
    kinds = [(True, False)] * arm_only + [(False, True)] * reference_only
    return np.array(kinds + [(True, True)] * both + [(False, False)] * neither).T


def test_mcnemar_midp_of_the_published_examples():
    """The two examples of Fagerland et al. 2013: children after a transplantation, and response to chemotherapy."""
    result = mcnemar_midp(*correct_of(1, 7, 1, 12))
    assert (result.arm_only, result.reference_only) == (1, 7)
    assert result.p_value == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_midp(*correct_of(6, 16, 59, 80)).p_value == pytest.approx(0.0347, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_midp_against_the_exact_test(arm_only, reference_only):
    correct = correct_of(arm_only, reference_only)
    result = mcnemar_midp(*correct)
    exact = mcnemar([[5, arm_only], [reference_only, 3]], exact=True).pvalue
    assert mcnemar_midp(*correct[::-1]).p_value == pytest.approx(result.p_value)
    assert 0 < result.p_value <= exact
    if arm_only == reference_only:
        assert result.p_value > 0.5
    else:
        point = stats.binom.pmf(arm_only, arm_only + reference_only, 0.5)
        assert result.p_value == pytest.approx(exact - point)


def test_mcnemar_of_equal_arms():
    assert mcnemar_midp(*correct_of(0, 0)).p_value == 1
    assert mcnemar_midp(*correct_of(2, 2)).p_value == pytest.approx(1 - 6 / 16 / 2)


def test_mcnemar_needs_the_same_images():
    with pytest.raises(ValueError, match="the same images, not for 2, 1"):
        mcnemar_midp([True, False], [True])


# --- AUC ------------------------------------------------------------------------------------------


def some_scores(rng, images=80, decimals=None):
    positive = np.arange(images) < images // 3
    shared = rng.normal(size=images)
    values = [positive * lean + shared + rng.normal(size=images) for lean in (1.5, 1.0)]
    return positive, *(values if decimals is None else np.round(values, decimals))


@pytest.mark.parametrize("decimals", [None, 0])
def test_delong_agrees_with_two_libraries(decimals):
    positive, first, second = some_scores(np.random.default_rng(3), decimals=decimals)
    difference = delong(positive, first, second)
    areas = [metrics.roc_auc_score(positive, values) for values in (first, second)]
    assert difference.estimate == pytest.approx(areas[0] - areas[1])
    z, p_value = Delong_test(positive, second, first, return_ci=False, return_auc=False)
    assert difference.p_value() == pytest.approx(p_value)
    assert difference.estimate / difference.standard_error == pytest.approx(z)


def test_delong_by_hand():
    # The arm puts every positive first. The reference has 3 of 4 pairs right: .4 < .5.
    difference = delong([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], [0.9, 0.4, 0.5, 0.1])
    assert difference.estimate == 0.25
    # Placements of the reference: positives 1 and .5, others .5 and 1; variance .125 of each, by 2 images each.
    assert difference.standard_error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


def test_delong_with_lesions_counts_copies_once():
    positive, first, second = some_scores(np.random.default_rng(4))
    once = delong(positive, first, second)
    assert delong(positive, first, second, np.arange(80)) == once
    tripled = [np.repeat(values, 3) for values in (positive, first, second, np.arange(80))]
    assert delong(*tripled).standard_error == pytest.approx(once.standard_error)
    assert delong(*tripled[:3]).standard_error < 0.6 * once.standard_error


@pytest.mark.parametrize("decimals", [None, 0])
def test_contributions_to_an_area_have_its_difference_as_mean_and_its_error(decimals):
    positive, first, second = some_scores(np.random.default_rng(5), 1200, decimals)
    lesions = np.arange(1200) // 2
    expected = delong(positive, first, second, lesions)
    contributions = auc_contributions(positive, first, second)
    assert contributions.mean() == pytest.approx(expected.estimate)
    table = pd.DataFrame({"image_id": range(1200), "lesion_id": lesions, "seed": 0, "value": contributions})
    found = bootstrap_mean(table, "value", 4000)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.05)
    assert found.interval() == pytest.approx(expected.interval(), abs=0.003)
    with pytest.raises(ValueError, match="a positive image and another one"):
        auc_contributions(np.ones(1200), first, second)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 1]))
def test_delong_is_symmetric_and_does_not_depend_on_order_or_scale(seed, decimals):
    rng = np.random.default_rng(seed)
    positive, first, second = some_scores(rng, 30, decimals)
    lesions = np.arange(30) // 2
    difference = delong(positive, first, second, lesions)
    swapped = delong(positive, second, first, lesions)
    assert swapped.estimate == -difference.estimate
    assert swapped.p_value() == pytest.approx(difference.p_value())
    order = rng.permutation(30)
    moved = delong(positive[order], np.exp(first[order]), second[order], lesions[order])
    assert (moved.estimate, moved.standard_error) == pytest.approx((difference.estimate, difference.standard_error))
    same = delong(positive, first, first, lesions)
    assert (same.estimate, same.standard_error, same.p_value()) == (0, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0], [0.5, 0.4], [0.5, 0.4]), "two positive lesions and two others"),
        (([1, 1, 1], [0.5, 0.4, 0.3], [0.5, 0.4, 0.3]), "two positive lesions and two others"),
        (([1, 1, 0, 0], [0.5] * 3, [0.5] * 4), "the same images, not for 4, 3, 4, 4"),
        (([1, 1, 0, 0], [0.5] * 4, [0.5] * 4, [1, 2, 2, 3]), "a lesion holds positive and other images"),
    ],
)
def test_impossible_areas_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        delong(*arguments)


# --- over runs ------------------------------------------------------------------------------------


def test_corrected_t_by_hand():
    difference = corrected_t([0.00, 0.01, 0.02, 0.03, 0.04], 0.25)
    error = np.sqrt((1 / 5 + 1 / 4) * 0.00025)
    assert difference.estimate == pytest.approx(0.02)
    assert difference.standard_error == pytest.approx(error)
    assert difference.freedom == 4
    assert difference.p_value() == pytest.approx(2 * stats.t.sf(0.02 / error, 4))
    assert difference.interval() == pytest.approx(stats.t.interval(0.95, 4, 0.02, error))


def test_corrected_t_becomes_the_usual_one_without_shared_training():
    values = np.random.default_rng(0).normal(0.3, 1, 20)
    assert corrected_t(values, 1e-12).p_value() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert corrected_t(values, 0.2).p_value() == pytest.approx(corrected_t(-values, 0.2).p_value())
    assert corrected_t([0.0] * 5, 0.2).p_value() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(([0.1], 0.2), "at least two runs"), (([0.1, 0.2], 0.0), "tested_per_trained must be above 0, not 0.0")],
)
def test_impossible_runs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrected_t(*arguments)


def test_variance_components_by_hand():
    # Effects of seed (0, 3), of fold (0, 1), and of the last cell alone 2: rows 0 1, 3 6.
    runs = pd.DataFrame({"seed": [0, 0, 1, 1], "fold": [0, 1, 0, 1], "gain": [0.0, 1.0, 3.0, 6.0]})
    # Rows .5 and 4.5: variance 8. Columns 1.5 and 3.5: 2. Left: ±.5 in four cells with one degree of freedom: 1.
    assert variance_components(runs, "gain") == pytest.approx({"seed": 8 - 1 / 2, "fold": 2 - 1 / 2, "residual": 1})


def test_variance_components_find_what_was_simulated():
    rng = np.random.default_rng(0)
    values = 2 * rng.normal(size=(200, 1)) + rng.normal(size=(1, 200)) + 3 * rng.normal(size=(200, 200))
    runs = pd.DataFrame(values).stack().rename_axis(["seed", "fold"]).rename("gain").reset_index()
    found = variance_components(runs.sample(frac=1, random_state=0), "gain")
    assert found == pytest.approx({"seed": 4, "fold": 1, "residual": 9}, rel=0.25)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0), (0, 1), (1, 0)], "a run for every seed and fold"),
        ([(0, 0), (0, 1)], "at least two of each"),
        ([(0, 0), (0, 0), (1, 0), (1, 1)], "one run for every seed and fold"),
    ],
)
def test_variance_components_need_a_full_table(rows, message):
    runs = pd.DataFrame(rows, columns=["seed", "fold"]).assign(gain=1.0)
    with pytest.raises(ValueError, match=message):
        variance_components(runs, "gain")


def test_smallest_detectable_differences_of_the_plan():
    """Points, at 4 and 8 % discordant images."""
    plan = {600: (2.29, 3.23), 828: (1.95, 2.75), 1512: (1.44, 2.04), 7470: (0.65, 0.92), 10015: (0.56, 0.79)}
    found = 100 * smallest_detectable_difference(np.array(list(plan))[:, None], [0.04, 0.08])
    assert found.round(2).tolist() == [list(row) for row in plan.values()]


# --- shares ---------------------------------------------------------------------------------------


def test_wilson_interval_by_hand():
    low, high = wilson(10, 10)
    assert high == pytest.approx(1)
    assert low == pytest.approx(10 / (10 + 1.959964**2))
    assert wilson(755, 828) == proportion_confint(755, 828, method="wilson")
