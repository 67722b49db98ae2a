"""A mean over studies, against statsmodels and by simulation."""

import numpy as np
import pytest
from statsmodels.stats.meta_analysis import combine_effects

from soft_attention.evaluation.random_effects import random_effects

FOUND, ERRORS = [0.017, -0.006, -0.010, 0.014, -0.008, 0.002], [0.0046, 0.0042, 0.0133, 0.0095, 0.0071, 0.0069]


@pytest.mark.parametrize("found", [FOUND, [0.001, 0.002, 0.0, 0.001, -0.001, 0.0015]])  # scattered, and not
def test_the_mean_is_that_of_statsmodels(found):
    mean = random_effects(found, ERRORS)
    theirs = combine_effects(np.array(found), np.square(ERRORS), method_re="iterated", use_t=True, atol=1e-12)
    assert mean.estimate == pytest.approx(theirs.mean_effect_re, abs=1e-8)
    assert mean.between**2 == pytest.approx(max(theirs.tau2, 0), abs=1e-9)
    assert mean.standard_error == pytest.approx(max(theirs.sd_eff_w_re_hksj, theirs.sd_eff_w_re), rel=1e-4)
    if theirs.tau2 > 0:
        assert mean.interval() == pytest.approx(theirs.conf_int()[3], abs=1e-6)  # the fourth: Hartung and Knapp, random


def test_it_covers_the_truth_of_few_studies_as_often_as_it_says():
    rng, errors = np.random.default_rng(0), np.array(ERRORS[:5])
    covered = []
    for _ in range(1000):
        truth = 0.005 + 0.01 * rng.standard_normal(5)
        low, high = random_effects(truth + errors * rng.standard_normal(5), errors).interval()
        covered.append(low < 0.005 < high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_what_cannot_be_averaged_is_refused():
    for found, errors in (([0.1], [0.1]), ([0.1, 0.2], [0.1, 0.0])):
        with pytest.raises(ValueError, match="above 0"):
            random_effects(found, errors)
