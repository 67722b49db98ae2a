"""Tests of two arms on the same images, over runs or from counts, and intervals of shares.

A difference is everywhere arm minus reference, as a share: .01 is one point.
"""

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used: most tables need none
from numpy.typing import ArrayLike

from soft_attention.evaluation.verdict import Difference


def mcnemar_midp(arm_only: int, reference_only: int) -> float:
    """p of the exact McNemar test with the mid-p-value: do both arms call the same share of images correctly?

    It is as powerful as the asymptotic test and keeps the level (Fagerland et al., BMC Med Res Methodol 13:91, 2013).
    The images must be independent: one per lesion, and one seed.

    Args:
        arm_only, reference_only: how many images only that one predicts correctly.
    """
    discordant = arm_only + reference_only
    if arm_only == reference_only:
        return 1 - float(scipy.stats.binom.pmf(arm_only, discordant, 0.5)) / 2 if discordant else 1.0
    fewer = min(arm_only, reference_only)
    return float(2 * scipy.stats.binom.cdf(fewer, discordant, 0.5) - scipy.stats.binom.pmf(fewer, discordant, 0.5))


def auc_contributions(positive: ArrayLike, scores: ArrayLike, reference_scores: ArrayLike) -> np.ndarray:
    """What each image adds to the difference of two areas under the ROC curve: (N,), whose mean is the difference.

    To first order other images move their mean as they move the difference: these are the components of DeLong's test
    (Biometrics 44, 1988; from midranks: Sun and Xu, IEEE Signal Process Lett 21, 2014). So `bootstrap_mean` gives the
    interval of an area too.

    Args:
        positive: (N,) booleans.
        scores, reference_scores: (N,), higher for what is rather positive.

    Raises:
        ValueError: unequal lengths, or no image of a kind.
    """
    positive = np.asarray(positive, bool)
    first, second = np.asarray(scores, float), np.asarray(reference_scores, float)
    _check_lengths(positive, first, second)
    if positive.all() or not positive.any():
        raise ValueError("an area under the ROC curve needs a positive image and another one")
    areas, components = zip(*(_placements(positive, values) for values in (first, second)), strict=True)
    difference = areas[0] - areas[1]
    of_kind = np.where(positive, positive.sum(), (~positive).sum())
    return difference + len(positive) * (components[0] - components[1] - difference) / of_kind


def _placements(positive: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """The AUC, and for each image the share of the other kind that it stands on the right side of (ties half)."""
    ranks = scipy.stats.rankdata(scores)
    share = np.empty(len(scores))
    for kind in (positive, ~positive):
        share[kind] = (ranks[kind] - scipy.stats.rankdata(scores[kind])) / (~kind).sum()
    share[~positive] = 1 - share[~positive]
    return float(share[positive].mean()), share


def corrected_t(differences: ArrayLike, tested_per_trained: float) -> Difference:
    """The corrected resampled t-test over runs (Nadeau and Bengio, Mach Learn 52, 2003).

    Runs share training images, so their mean is less sure than that of independent ones: the variance of a run counts
    1 / runs + test images / training images times. It is conservative where other training images would change little.

    Args:
        differences: (runs,), the difference of one run each, over folds and seeds.
        tested_per_trained: images tested in a run, over images trained on; .25 for five folds without validation.

    Raises:
        ValueError: fewer than two runs, or a ratio that is not above 0.
    """
    differences = np.asarray(differences, float)
    runs = len(differences)
    if runs < 2:
        raise ValueError("the corrected t-test needs at least two runs")
    if not tested_per_trained > 0:
        raise ValueError(f"tested_per_trained must be above 0, not {tested_per_trained}")
    factor = 1 / runs + tested_per_trained
    return Difference(float(differences.mean()), float(np.sqrt(factor * differences.var(ddof=1))), runs - 1)


def smallest_detectable_difference(
    n: ArrayLike, discordant: ArrayLike, power: float = 0.8, alpha: float = 0.05
) -> np.ndarray:
    """Difference of two paired shares that McNemar's two-sided test finds with probability `power`.

    By the normal approximation, with the variance of no difference: `discordant` / n. (Connor, Biometrics 43, 1987,
    takes a slightly smaller one for the power.)

    Args:
        n: independent images or lesions.
        discordant: share of them that just one of the arms predicts correctly.
    """
    return scipy.stats.norm.ppf([1 - alpha / 2, power]).sum() * np.sqrt(np.asarray(discordant) / np.asarray(n))


def variance_components(runs: pd.DataFrame, value: str) -> dict[str, float]:
    """Variance of `value` between seeds, between folds and of what is left: seed, fold and residual.

    Method of moments of a two-way table without replicates; a negative estimate is 0. Where each seed draws its own
    folds (protocol clean), fold 0 of one seed has nothing in common with fold 0 of another: its part is then 0 up to
    chance, and the residual holds the lesions tested and the training.

    Args:
        runs: columns seed, fold and `value`; one row for every seed and fold, at least two of each.

    Raises:
        ValueError: a cell is missing or there are too few.
    """
    if runs.duplicated(["seed", "fold"]).any():
        raise ValueError("variance components need one run for every seed and fold")
    table = runs.pivot(index="seed", columns="fold", values=value).to_numpy(float)
    if min(table.shape) < 2 or np.isnan(table).any():
        raise ValueError("variance components need a run for every seed and fold, and at least two of each")
    seeds, folds = table.shape
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    left = table - rows[:, None] - columns + table.mean()
    residual = (left**2).sum() / ((seeds - 1) * (folds - 1))
    return {
        "seed": float(max(0.0, rows.var(ddof=1) - residual / folds)),
        "fold": float(max(0.0, columns.var(ddof=1) - residual / seeds)),
        "residual": float(residual),
    }


def _check_lengths(*arrays: np.ndarray) -> None:
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"everything must be given for the same images, not for {', '.join(map(str, lengths))}")


def wilson(correct, n, level: float = 0.95):
    """Low and high end of the interval of Wilson (J Am Stat Assoc 22, 1927) of the share `correct` of `n`.

    Numbers or arrays.
    """
    z, share = scipy.stats.norm.isf((1 - level) / 2), correct / n
    shrunk = 1 + z**2 / n
    centre = (share + z**2 / (2 * n)) / shrunk
    half = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / shrunk
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
