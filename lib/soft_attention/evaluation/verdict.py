"""What may be said of a difference of two arms: intervals, p-values and the verdict.

A difference is everywhere arm minus reference, as a share: .01 is one point.
"""

from dataclasses import dataclass, field

import numpy as np
import scipy  # its parts are loaded when they are first used: most tables need none
from numpy.typing import ArrayLike

BETTER, WORSE, EQUIVALENT, UNDECIDED = "better", "worse", "equivalent", "undecided"


@dataclass(frozen=True)
class Difference:
    """An estimated difference whose error follows Student's t.

    Attributes:
        estimate: arm minus reference.
        standard_error: of the estimate; 0 where the arms do not differ in any way.
        freedom: degrees of freedom of the standard error; infinite: the normal distribution.
    """

    estimate: float
    standard_error: float
    freedom: float = np.inf

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Low and high end of the two-sided interval."""
        half = float(scipy.stats.t.ppf((1 + level) / 2, self.freedom)) * self.standard_error
        return self.estimate - half, self.estimate + half

    def p_above(self, value: float) -> float:
        """One-sided p-value for the claim that the true difference is above `value`."""
        return self._tail(self.estimate - value)

    def p_below(self, value: float) -> float:
        """One-sided p-value for the claim that the true difference is below `value`."""
        return self._tail(value - self.estimate)

    def p_value(self) -> float:
        """Two-sided p-value for the claim that there is a difference."""
        return min(1.0, 2 * min(self.p_above(0), self.p_below(0)))

    def p_equivalence(self, margin: float) -> float:
        """p-value for the claim that the true difference is within ±`margin`: two one-sided tests.

        It is below 1 - level exactly when the interval of level 2 level - 1 (.90 for .95) is within ±`margin`
        (Schuirmann, J Pharmacokinet Biopharm 15, 1987).
        """
        return max(self.p_above(-margin), self.p_below(margin))

    def detectable(self, power: float = 0.8, level: float = 0.95) -> float:
        """The smallest true difference for which such an interval excludes 0 with probability `power`, uncorrected.

        Half the width of the interval that decides, and as much again as an estimate may fall short by chance.
        """
        half_widths = [(high - low) / 2 for low, high in map(self.interval, (level, 2 * power - 1))]
        return sum(half_widths)

    def _tail(self, distance: float) -> float:
        if self.standard_error == 0:
            return float(distance <= 0)
        return float(scipy.stats.t.sf(distance / self.standard_error, self.freedom))


@dataclass(frozen=True, kw_only=True)
class BootstrapDifference(Difference):
    """A difference with its bootstrap distribution, which replaces Student's t in intervals and p-values.

    Attributes:
        images, lesions, seeds: how many there are.
        draws: (draws,) resampled differences. No p-value is below 1 / (draws + 1).
    """

    images: int
    lesions: int
    seeds: int
    draws: np.ndarray = field(repr=False, compare=False)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Low and high end of the two-sided percentile interval."""
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2]).tolist()
        return low, high

    def p_above(self, value: float) -> float:
        return float((1 + (self.draws <= value).sum()) / (1 + len(self.draws)))

    def p_below(self, value: float) -> float:
        return float((1 + (self.draws >= value).sum()) / (1 + len(self.draws)))

    def share_within(self, margin: float) -> float:
        """Share of the draws that are within ±`margin`."""
        return float((np.abs(self.draws) <= margin).mean())


def verdict(
    difference: Difference,
    margin: float,
    level: float = 0.95,
    p_value: float | None = None,
    p_equivalence: float | None = None,
) -> str:
    """What may be said of the claim that the arm is better than the reference.

    The first that holds:

    1. `EQUIVALENT`: the interval of level 2 level - 1 (90 % for 95 %) is within ±margin, so the arms differ by less
       than what counts, even where the difference is surely not 0;
    2. `BETTER`: p < 1 - level and the arm is better, i.e. the interval is above 0;
    3. `WORSE`: p < 1 - level and the arm is worse, i.e. the interval is below 0;
    4. `UNDECIDED`: the data exclude neither.

    Args:
        margin: smallest difference that counts, above 0.
        p_value, p_equivalence: those after Holm's correction, where the difference is one of a family; None: its own.
    """
    if margin <= 0:
        raise ValueError(f"a margin must be above 0, not {margin}")
    alpha = 1 - level
    if (difference.p_equivalence(margin) if p_equivalence is None else p_equivalence) < alpha:
        return EQUIVALENT
    if (difference.p_value() if p_value is None else p_value) < alpha:
        return BETTER if difference.estimate > 0 else WORSE
    return UNDECIDED


def holm(p_values: ArrayLike) -> np.ndarray:
    """The p-values of a family after Holm's correction (Scand J Statist 6, 1979), in the same order.

    By hand, because statsmodels collects Python's garbage at every call: a quarter of a second with a study in memory.
    """
    p_values = np.asarray(p_values, float)
    order = np.argsort(p_values)
    corrected = np.empty_like(p_values)
    corrected[order] = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1)).clip(max=1)
    return corrected
