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
    mcnemar_midp,
    smallest_detectable_difference,
    variance_components,
    wilson,
)

# --- McNemar --------------------------------------------------------------------------------------


def test_mcnemar_midp_of_the_published_examples():
    """The two examples of Fagerland et al. 2013: children after a transplantation, and response to chemotherapy."""
    assert mcnemar_midp(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_midp(6, 16) == pytest.approx(0.0347, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_midp_against_the_exact_test(arm_only, reference_only):
    found = mcnemar_midp(arm_only, reference_only)
    exact = mcnemar([[5, arm_only], [reference_only, 3]], exact=True).pvalue
    assert mcnemar_midp(reference_only, arm_only) == pytest.approx(found)
    assert 0 < found <= exact
    if arm_only == reference_only:
        assert found > 0.5
    else:
        point = stats.binom.pmf(arm_only, arm_only + reference_only, 0.5)
        assert found == pytest.approx(exact - point)


def test_mcnemar_of_equal_arms():
    assert mcnemar_midp(0, 0) == 1
    assert mcnemar_midp(2, 2) == pytest.approx(1 - 6 / 16 / 2)


# --- AUC ------------------------------------------------------------------------------------------


def some_scores(rng, images=80, decimals=None):
    positive = np.arange(images) < images // 3
    shared = rng.normal(size=images)
    values = [positive * lean + shared + rng.normal(size=images) for lean in (1.5, 1.0)]
    return positive, *(values if decimals is None else np.round(values, decimals))


@pytest.mark.parametrize("decimals", [None, 0])
def test_contributions_to_an_area_have_its_difference_as_mean_and_delongs_error(decimals):
    positive, first, second = some_scores(np.random.default_rng(5), 600, decimals)
    contributions = auc_contributions(positive, first, second)
    areas = [metrics.roc_auc_score(positive, values) for values in (first, second)]
    assert contributions.mean() == pytest.approx(areas[0] - areas[1])
    table = pd.DataFrame({"image_id": range(600), "lesion_id": range(600), "seed": 0, "value": contributions})
    found = bootstrap_mean(table, "value", 4000)
    z, _ = Delong_test(positive, second, first, return_ci=False, return_auc=False)
    assert found.standard_error == pytest.approx((areas[0] - areas[1]) / z, rel=0.05)


def test_contributions_to_an_area_by_hand():
    # The arm puts every positive first. The reference has 3 of 4 pairs right: .4 < .5.
    found = auc_contributions([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], [0.9, 0.4, 0.5, 0.1])
    # Placements of the reference: positives 1 and .5, others .5 and 1; each counts against the difference of .25.
    assert found.tolist() == [-0.25, 0.75, 0.75, -0.25]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1], [0.5, 0.4], [0.5, 0.4]), "a positive image and another one"),
        (([1, 1, 0, 0], [0.5] * 3, [0.5] * 4), "the same images, not for 4, 3, 4"),
    ],
)
def test_impossible_areas_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        auc_contributions(*arguments)


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
