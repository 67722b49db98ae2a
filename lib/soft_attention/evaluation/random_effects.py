"""One difference over several studies of it that need not agree: a random-effects mean."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are loaded when they are first used: most tables need none
from numpy.typing import ArrayLike

from soft_attention.evaluation.verdict import Difference


@dataclass(frozen=True, kw_only=True)
class RandomEffects(Difference):
    """The mean of true differences that scatter.

    Attributes:
        between: standard deviation of the true differences around their mean.
    """

    between: float


def random_effects(estimates: ArrayLike, standard_errors: ArrayLike) -> RandomEffects:
    """The mean of differences that were measured independently, by inverse variance.

    The variance between them is Paule and Mandel's (J Res Nat Bur Stand 87, 1982), the error of the mean Hartung and
    Knapp's (Stat Med 20, 2001) with Student's t, but never below that of studies which scatter by chance alone (Röver
    et al., BMC Med Res Methodol 15:99, 2015). With few studies DerSimonian and Laird's normal interval is too narrow.

    Args:
        estimates, standard_errors: (N,), at least two; the errors above 0.

    Raises:
        ValueError: fewer than two, or an error that is not above 0.
    """
    found, variances = np.asarray(estimates, float), np.asarray(standard_errors, float) ** 2
    if len(found) < 2 or len(found) != len(variances) or not (variances > 0).all():
        raise ValueError("a mean over studies needs two of them, each with a standard error above 0")

    def surplus(between: float) -> float:
        """Weighted squares around the mean, above what they are by chance."""
        weights = 1 / (variances + between)
        return weights @ (found - weights @ found / weights.sum()) ** 2 - (len(found) - 1)

    highest = float(np.ptp(found) ** 2 * len(found))
    between = scipy.optimize.brentq(surplus, 0, highest) if surplus(0) > 0 else 0.0
    weights = 1 / (variances + between)
    mean = weights @ found / weights.sum()
    freedom = len(found) - 1
    error = np.sqrt(max(1.0, weights @ (found - mean) ** 2 / freedom) / weights.sum())
    return RandomEffects(float(mean), float(error), freedom, between=float(np.sqrt(between)))
