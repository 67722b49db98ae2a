"""How sure the difference of two arms is: intervals, tests and verdicts.

A difference is everywhere arm minus reference, as a share: .01 is one point. Both arms are tested on the same images by
networks of the same seed, fold and split, so everything here is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.sparse import csr_array

from soft_attention.errors import known
from soft_attention.evaluation.metrics import block_sizes, draw_lesions, labels_and_probabilities

METRICS = ("accuracy", "balanced_accuracy", "weighted_precision", "macro_precision")
UNITS = ("lesion", "image")
SUPPORTED, NOT_SUPPORTED, EQUIVALENT, UNDECIDED = "supported", "not supported", "equivalent", "undecided at this scale"


# --- what every comparison ends in ----------------------------------------------------------------


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
        half = float(stats.t.ppf((1 + level) / 2, self.freedom)) * self.standard_error
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

    def _tail(self, distance: float) -> float:
        if self.standard_error == 0:
            return float(distance <= 0)
        return float(stats.t.sf(distance / self.standard_error, self.freedom))


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
    2. `SUPPORTED`: p < 1 - level and the arm is better, i.e. the interval is above 0;
    3. `NOT_SUPPORTED`: p < 1 - level and the arm is worse, i.e. the interval is below 0;
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
        return SUPPORTED if difference.estimate > 0 else NOT_SUPPORTED
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


# --- bootstrap over lesions and seeds -------------------------------------------------------------


def pair_predictions(arm: pd.DataFrame, reference: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """What both arms called each image: one row per seed, fold and image, sorted by them.

    Args:
        arm, reference: predictions as in `metrics.score`, of all runs of an arm one below the other, and the columns
            seed and fold. Each image once per seed and fold; both arms the same seeds, folds, images, lesions and
            labels, in any order.
        classes: the class names.

    Returns:
        seed, fold, image_id, lesion_id, and as class numbers truth, arm and reference.

    Raises:
        ValueError: tables that `metrics.score` refuses, or that do not match.
    """
    calls = [_calls(table, classes) for table in (arm, reference)]
    for seed, fold in sorted(set(calls[0]) | set(calls[1])):
        one, other = (call.get((seed, fold)) for call in calls)
        if one is None or other is None:
            raise ValueError(f"only one of the arms has predictions of seed {seed}, fold {fold}")
        facts = ["image_id", "lesion_id", "truth"]
        if len(one) != len(other) or (one[facts].to_numpy() != other[facts].to_numpy()).any():
            raise ValueError(f"the arms of seed {seed}, fold {fold} differ in their images, lesions or labels")
    pairs = [
        calls[0][place].rename(columns={"called": "arm"}).assign(reference=calls[1][place]["called"])
        for place in sorted(calls[0])
    ]
    return pd.concat(pairs, ignore_index=True)


def paired_bootstrap(
    pairs: pd.DataFrame,
    classes: Sequence[str],
    metric: str | tuple[str, str] = "balanced_accuracy",
    unit: str = "lesion",
    draws: int = 10_000,
    seed: int = 0,
) -> BootstrapDifference:
    """The difference of a score, mean over the seeds, for other lesions and other trainings.

    A score is that of all predictions of a seed together: of every fold, where the protocol has folds. Where the folds
    of a seed predict the same images, as those of an outside test set, that is their mean.

    Two things are drawn. Lesions, with replacement and with all their images: every seed was tested on the same
    lesions, so a draw takes the same ones for all seeds. And trainings: the mean over the seeds moves by Student's t
    with seeds - 1 degrees of freedom, scaled by what the seeds differ more than the draw of lesions makes them differ.

    Resampling the seeds too would count the noise of a network on a lesion up to three times (Owen, Ann Appl Stat 1,
    2007), and yet be too narrow where a handful of seeds differ much. Lesions drawn anew within each seed would count
    a lesion that is hard for one arm as new evidence with every seed. `benchmarks/comparisons.py` compares the three.

    Folds are no level of their own: the runs of a seed make up one score, and seeds bring their folds. With one seed,
    the interval is for other lesions only; with two, it is very wide wherever these differ. Another training set is
    covered in no case.

    Args:
        pairs: from `pair_predictions`. The columns arm_weight and reference_weight, if there are such, say how much an
            image counts for that arm: 0 leaves it out, to compare a part of the images with the whole.
        classes: the class names.
        metric: one of `METRICS`, as defined in `metrics.score`. Or two of them, of the arm and of the reference: how
            much higher one is.
        unit: what counts the same, every `lesion` (an image weighs 1 / tested images of its lesion) or every `image`.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: fewer than two lesions, or an unknown metric or unit.
    """
    return paired_bootstraps(pairs, classes, [metric], unit, draws, seed)[metric]


def paired_bootstraps(
    pairs: pd.DataFrame,
    classes: Sequence[str],
    metrics: Sequence[str | tuple[str, str]],
    unit: str = "lesion",
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str | tuple[str, str], BootstrapDifference]:
    """`paired_bootstrap` of several metrics from the same draws, which is as fast as of one: metric -> difference."""
    rng = np.random.default_rng(seed)
    resampled = resample_lesions(pairs, classes, metrics, unit, draws, rng)
    facts = _facts(pairs)
    deviates = rng.standard_t(max(facts["seeds"] - 1, 1), draws)
    return {metric: _bootstrap(found, drawn, deviates, facts) for metric, (found, drawn) in resampled.items()}


def bootstraps_of_change(
    pairs: pd.DataFrame,
    others: pd.DataFrame,
    classes: Sequence[str],
    metrics: Mapping[str, tuple[str, str]],
    unit: str = "lesion",
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str, BootstrapDifference]:
    """By how much the difference of the arms in `pairs` is above that in `others`, from the same draws of both.

    Args:
        pairs, others: from `pair_predictions`, with the same seeds and lesions.
        metrics: by name the metric taken of `pairs` and the one of `others`.
        classes, unit, draws, seed: as in `paired_bootstrap`.

    Raises:
        ValueError: other seeds or lesions, or as in `paired_bootstrap`.
    """
    for column in ("seed", "lesion_id"):
        if set(pairs[column]) != set(others[column]):
            raise ValueError(f"the two tables of pairs differ in their column {column}")
    found = []
    for place, table in enumerate((pairs, others)):
        rng = np.random.default_rng(seed)  # both with the same lesions
        names = [known(pair[place], METRICS, "metric") for pair in metrics.values()]
        found.append(resample_lesions(table, classes, names, unit, draws, rng))
    facts = _facts(pairs)
    deviates = rng.standard_t(max(facts["seeds"] - 1, 1), draws)
    changes = {}
    for name, pair in metrics.items():
        (one, one_drawn), (other, other_drawn) = (
            resampled[metric] for resampled, metric in zip(found, pair, strict=True)
        )
        changes[name] = _bootstrap(one - other, one_drawn - other_drawn, deviates, facts)
    return changes


def bootstrap_mean(table: pd.DataFrame, value: str, draws: int = 2_000, seed: int = 0) -> BootstrapDifference:
    """The mean of a difference over images, mean over the seeds, for other lesions and other trainings.

    The draws are those of `paired_bootstrap`; every image counts the same.

    Args:
        table: columns image_id, lesion_id, seed and `value`; a row for every seed and image.
        value: name of the column with the differences.
        draws: number of resamples. One in which a seed has no image does not count.
        seed: of the resampling.

    Raises:
        ValueError: fewer than two lesions.
    """
    lesion, lesions = pd.factorize(table["lesion_id"], sort=True)
    training, trainings = pd.factorize(table["seed"], sort=True)
    _check_lesions(len(lesions))
    sums, counts = np.zeros((2, len(lesions), len(trainings)))
    np.add.at(sums, (lesion, training), table[value].to_numpy(float))
    np.add.at(counts, (lesion, training), 1)
    rng = np.random.default_rng(seed)
    drawn = []
    for block in block_sizes(draws, 100):
        weights = draw_lesions(rng, len(lesions), block)
        images = weights @ counts
        kept = (images > 0).all(axis=1)
        drawn.append((weights[kept] @ sums) / images[kept])
    deviates = rng.standard_t(max(len(trainings) - 1, 1), draws)
    return _bootstrap(sums.sum(axis=0) / counts.sum(axis=0), np.concatenate(drawn), deviates, _facts(table))


def _bootstrap(found: np.ndarray, drawn: np.ndarray, deviates: np.ndarray, facts: dict) -> BootstrapDifference:
    means, between = drawn.mean(axis=1), _between_seeds(found, drawn)
    error = np.sqrt(between / len(found))
    return BootstrapDifference(
        estimate=float(found.mean()),
        standard_error=float(np.sqrt(means.var(ddof=1) + error**2)),
        draws=means + deviates[: len(means)] * error,
        **facts,
    )


def _facts(table: pd.DataFrame) -> dict[str, int]:
    columns = {"images": "image_id", "lesions": "lesion_id", "seeds": "seed"}
    return {name: table[column].nunique() for name, column in columns.items()}


def resample_lesions(
    pairs: pd.DataFrame,
    classes: Sequence[str],
    metrics: Sequence[str | tuple[str, str]],
    unit: str,
    draws: int,
    rng: np.random.Generator,
) -> dict[str | tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """For each metric the difference of each seed, (seeds,), and with lesions drawn again, the same for all seeds.

    The second is (draws, seeds).

    Args, Raises: as in `paired_bootstrap`.
    """
    both = {metric: metric if isinstance(metric, tuple) else (metric, metric) for metric in metrics}
    for name in {name for pair in both.values() for name in pair}:
        known(name, METRICS, "metric")
    counts = _lesion_counts(pairs, len(classes), known(unit, UNITS, "unit"))
    lesions = len(counts)
    _check_lesions(lesions)

    flat = csr_array(counts.reshape(lesions, -1))  # a lesion has one class and is called few

    def differences(weights: np.ndarray) -> dict[str, np.ndarray]:
        """(draws, seeds) of each metric under lesion weights (draws, lesions)."""
        drawn = (weights @ flat).reshape(len(weights), *counts.shape[1:])
        # Equal arms differ by 0, not by the rounding of a sum.
        return {
            metric: (_scores(drawn[:, :, 0], one) - _scores(drawn[:, :, 1], other)).round(12)
            for metric, (one, other) in both.items()
        }

    blocks = [differences(draw_lesions(rng, lesions, block)) for block in block_sizes(draws, 100)]
    return {
        metric: (found[0], np.concatenate([block[metric] for block in blocks]))
        for metric, found in differences(np.ones((1, lesions))).items()
    }


def _calls(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[tuple[int, int], pd.DataFrame]:
    """image_id, lesion_id, truth and called of each seed and fold, sorted by image."""
    for column in ("seed", "fold"):
        if column not in predictions:
            raise ValueError(f"the predictions lack the column {column}")
    if predictions.empty:
        raise ValueError("the predictions hold no image")
    calls = {}
    for place, rows in predictions.groupby(["seed", "fold"]):
        truth, probabilities = labels_and_probabilities(rows, classes)
        facts = rows[["seed", "fold", "image_id", "lesion_id"]]
        table = facts.assign(truth=truth, called=probabilities.argmax(axis=1))
        calls[place] = table.sort_values("image_id", ignore_index=True)
    return calls


def _lesion_counts(pairs: pd.DataFrame, classes: int, unit: str) -> np.ndarray:
    """Weighted support, hits and calls of each class, (lesions, seeds, 2 arms, 3, classes)."""
    lesion, lesions = pd.factorize(pairs["lesion_id"], sort=True)
    seed, seeds = pd.factorize(pairs["seed"], sort=True)
    weight = np.ones(len(pairs))
    if unit == "lesion":
        weight /= pairs.groupby(["seed", "lesion_id"])["image_id"].transform("size").to_numpy()
    truth = pairs["truth"].to_numpy()
    counts = np.zeros((len(lesions), len(seeds), 2, 3, classes))
    for number, name in enumerate(("arm", "reference")):
        called, own = pairs[name].to_numpy(), weight * pairs.get(f"{name}_weight", 1.0)
        np.add.at(counts, (lesion, seed, number, 0, truth), own)
        np.add.at(counts, (lesion, seed, number, 1, truth), own * (called == truth))
        np.add.at(counts, (lesion, seed, number, 2, called), own)
    return counts


def _scores(counts: np.ndarray, metric: str) -> np.ndarray:
    """The metric from support, hits and calls (..., 3, classes), as in `metrics.score`."""
    support, hits, called = np.moveaxis(counts, -2, 0)
    if metric == "accuracy":
        return hits.sum(axis=-1) / support.sum(axis=-1)
    if metric == "balanced_accuracy":
        recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
        return recall.sum(axis=-1) / (support > 0).sum(axis=-1)
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    if metric == "macro_precision":
        return precision.mean(axis=-1)
    return (support * precision).sum(axis=-1) / support.sum(axis=-1)


def _between_seeds(found: np.ndarray, drawn: np.ndarray) -> float:
    """Variance between trainings, without what lesions alone make seeds differ; method of moments, at least 0.

    Args:
        found, drawn: as from `resample_lesions`.
    """
    if len(found) < 2:
        return 0.0
    noise = (drawn - found).var(axis=1, ddof=1).mean()
    return float(max(0.0, found.var(ddof=1) - noise))


# --- tests of one pair, or of all runs ------------------------------------------------------------


@dataclass(frozen=True)
class McNemar:
    """Images that only one of the arms calls correctly, and the p-value of McNemar's test."""

    arm_only: int
    reference_only: int
    p_value: float


def mcnemar_midp(correct: ArrayLike, reference_correct: ArrayLike) -> McNemar:
    """Exact McNemar test with the mid-p-value: do both arms call the same share of images correctly?

    It is as powerful as the asymptotic test and keeps the level (Fagerland et al., BMC Med Res Methodol 13:91, 2013).
    The images must be independent: one per lesion, and one seed.

    Args:
        correct, reference_correct: (N,) booleans, whether the arms called the same images correctly.
    """
    first, second = np.asarray(correct, bool), np.asarray(reference_correct, bool)
    _check_lengths(first, second)
    counts = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = sum(counts)
    point = stats.binom.pmf(counts[0], discordant, 0.5)
    if discordant == 0:
        p_value = 1.0
    elif counts[0] == counts[1]:
        p_value = 1 - point / 2
    else:
        p_value = 2 * stats.binom.cdf(min(counts), discordant, 0.5) - point
    return McNemar(*counts, float(p_value))


def delong(
    positive: ArrayLike, scores: ArrayLike, reference_scores: ArrayLike, lesions: ArrayLike | None = None
) -> Difference:
    """DeLong's test of two areas under the ROC curve on the same images (DeLong et al., Biometrics 44, 1988).

    Computed from midranks (Sun and Xu, IEEE Signal Process Lett 21, 2014). With `lesions`, images of one lesion may
    depend on each other (Obuchowski, Biometrics 53, 1997); where every lesion has one image, that is the same.

    Args:
        positive: (N,) booleans.
        scores, reference_scores: (N,), higher for what is rather positive.
        lesions: (N,) the lesion of each image, either positive or not.

    Raises:
        ValueError: unequal lengths, fewer than two lesions of a kind, or a lesion of both kinds.
    """
    positive = np.asarray(positive, bool)
    first, second = np.asarray(scores, float), np.asarray(reference_scores, float)
    lesion = np.arange(len(positive)) if lesions is None else np.asarray(lesions)
    _check_lengths(positive, first, second, lesion)
    if min(len(np.unique(lesion[kind])) for kind in (positive, ~positive)) < 2:
        raise ValueError("an area under the ROC curve needs two positive lesions and two others")
    if np.intersect1d(lesion[positive], lesion[~positive]).size:
        raise ValueError("a lesion holds positive and other images")
    areas, components = zip(*(_placements(positive, values) for values in (first, second)), strict=True)
    variance = 0.0
    for kind in (positive, ~positive):
        deviation = (components[0] - components[1])[kind] - (areas[0] - areas[1])
        sums = np.bincount(np.unique(lesion[kind], return_inverse=True)[1], deviation)
        variance += len(sums) / (len(sums) - 1) * (sums**2).sum() / kind.sum() ** 2
    return Difference(areas[0] - areas[1], float(np.sqrt(variance)))


def auc_contributions(positive: ArrayLike, scores: ArrayLike, reference_scores: ArrayLike) -> np.ndarray:
    """What each image adds to the difference of two areas under the ROC curve: (N,), whose mean is the difference.

    To first order other images move their mean as they move the difference (the components of `delong`), so that
    `bootstrap_mean` gives the interval of an area too.

    Args:
        positive, scores, reference_scores: as in `delong`.

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
    ranks = stats.rankdata(scores)
    share = np.empty(len(scores))
    for kind in (positive, ~positive):
        share[kind] = (ranks[kind] - stats.rankdata(scores[kind])) / (~kind).sum()
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
        discordant: share of them that just one of the arms calls correctly.
    """
    return stats.norm.ppf([1 - alpha / 2, power]).sum() * np.sqrt(np.asarray(discordant) / np.asarray(n))


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


def _check_lesions(lesions: int) -> None:
    if lesions < 2:
        raise ValueError(f"an interval needs at least two lesions, this table has {lesions}")


def _check_lengths(*arrays: np.ndarray) -> None:
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) > 1:
        raise ValueError(f"everything must be given for the same images, not for {', '.join(map(str, lengths))}")
