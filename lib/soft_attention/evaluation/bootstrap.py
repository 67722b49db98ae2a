"""How sure the difference of two arms is, by drawing lesions and trainings again.

A difference is everywhere arm minus reference, as a share: .01 is one point. Both arms are tested on the same images by
networks of the same seed, fold and split, so everything here is paired.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used: most tables need none

from soft_attention.errors import known
from soft_attention.evaluation.metrics import (
    METRICS,
    Tally,
    block_sizes,
    draw_lesions,
    labels_and_probabilities,
    of_predictions,
)
from soft_attention.evaluation.verdict import BootstrapDifference

UNITS = ("lesion", "image")
PLACE = ["seed", "fold"]
FACTS = ["image_id", "lesion_id", "truth"]
MOST_KEPT = 8  # arms, of 10 MB each with 20 seeds


def predicted_classes(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """What the runs of an arm predict: seed, fold, image_id, lesion_id, truth and predicted, sorted by the first three.

    Args:
        predictions: as in `metrics.score`, of all runs one below the other, and the columns seed and fold. Each image
            once per seed and fold.
        classes: the class names; truth and predicted are numbers of them.

    Raises:
        ValueError: tables that `metrics.score` refuses, or one of the two columns is missing.
    """
    for column in PLACE:
        if column not in predictions:
            raise ValueError(f"the predictions lack the column {column}")
    truth, probabilities = labels_and_probabilities(predictions, classes, PLACE)
    table = predictions[PLACE].assign(
        image_id=predictions["image_id"].astype("category"),  # with every seed a name stands in it again
        lesion_id=predictions["lesion_id"].astype("category"),
        truth=truth.astype(np.int16),
        predicted=probabilities.argmax(axis=1).astype(np.int16),
    )
    return table.sort_values([*PLACE, "image_id"], ignore_index=True)


def paired(arm: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """What both arms predict for each image: one row per seed, fold and image, sorted by them.

    Args:
        arm, reference: from `predicted_classes`; both the same seeds, folds, images, lesions and labels.

    Returns:
        seed, fold, image_id, lesion_id, and as class numbers truth, arm and reference.

    Raises:
        ValueError: the two do not match.
    """
    if not arm[PLACE + FACTS].equals(reference[PLACE + FACTS]):
        raise ValueError(_no_pair(arm, reference))
    return arm.rename(columns={"predicted": "arm"}).assign(reference=reference["predicted"])


def _no_pair(arm: pd.DataFrame, reference: pd.DataFrame) -> str:
    """Where two tables that do not match differ first."""
    names = {"image_id": str, "lesion_id": str}  # categories that only one of them has would make all places differ
    one, other = (dict(list(table.astype(names).groupby(PLACE)[FACTS])) for table in (arm, reference))
    for seed, fold in sorted({*one, *other}):
        if (seed, fold) not in one or (seed, fold) not in other:
            return f"only one of the arms has predictions of seed {seed}, fold {fold}"
        if not one[seed, fold].reset_index(drop=True).equals(other[seed, fold].reset_index(drop=True)):
            break
    return f"the arms of seed {seed}, fold {fold} differ in their images, lesions or labels"


def pair_predictions(arm: pd.DataFrame, reference: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """`paired` of two tables of predictions, as `predicted_classes` takes them."""
    return paired(*(predicted_classes(table, classes) for table in (arm, reference)))


def paired_bootstraps(
    pairs: pd.DataFrame,
    classes: Sequence[str],
    metrics: Sequence[str | tuple[str, str]],
    unit: str = "lesion",
    draws: int = 10_000,
    seed: int = 0,
) -> dict[str | tuple[str, str], BootstrapDifference]:
    """The difference of scores, mean over the seeds, for other lesions and other trainings: metric -> difference.

    A score is that of all predictions of a seed together: of every fold, where the protocol has folds. Where the folds
    of a seed predict the same images, as those of an outside test set, that is their mean.

    Two things are drawn. Lesions, with replacement and with all their images: every seed was tested on the same
    lesions, so a draw takes the same ones for all seeds. And trainings: the mean over the seeds moves by Student's t
    with seeds - 1 degrees of freedom, scaled by what the seeds differ more than the draw of lesions makes them differ.

    Resampling the seeds too would count the noise of a network on a lesion up to three times (Owen, Ann Appl Stat 1,
    2007), and yet be too narrow where a handful of seeds differ much. Lesions drawn anew within each seed would count
    a lesion that is hard for one arm as new evidence with every seed. `benchmarks/comparisons.py` compares the three.

    Folds are no level of their own: the runs of a seed make up one score, and seeds bring their folds. With one seed,
    the interval is for other lesions only. With two, it is very wide where these differ; where they happen to agree, it
    is for other lesions only. Another training set is covered in no case.

    A draw in which a seed has no score, as none of the lesions that it tested was drawn, does not count.

    Args:
        pairs: from `pair_predictions`. The columns arm_weight and reference_weight, if there are such, say how much an
            image counts for that arm: 0 leaves it out, to compare a part of the images with the whole.
        classes: the class names.
        metrics: each one of `metrics.of_predictions`. Or two of them, of the arm and of the reference: how much
            higher one is. All are taken of the same draws, which is as fast as of one.
        unit: what counts the same, every `lesion` (an image weighs 1 / tested images of its lesion) or every `image`.
        draws: number of resamples.
        seed: of the resampling.

    Raises:
        ValueError: fewer than two lesions, an unknown metric or unit, or no draw in which every seed has a score.
    """
    resampled = resample_lesions(pairs, classes, metrics, unit, draws, seed)
    facts = _facts(pairs)
    deviates = _deviates(facts["lesions"], draws, seed, facts["seeds"])
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
        classes, unit, draws, seed: as in `paired_bootstraps`.

    Raises:
        ValueError: other seeds or lesions, or as in `paired_bootstraps`.
    """
    for column in ("seed", "lesion_id"):
        if set(pairs[column]) != set(others[column]):
            raise ValueError(f"the two tables of pairs differ in their column {column}")
    found = []
    for place, table in enumerate((pairs, others)):  # the same lesions are drawn of both
        names = [known(pair[place], of_predictions(), "metric") for pair in metrics.values()]
        found.append(resample_lesions(table, classes, names, unit, draws, seed))
    facts = _facts(pairs)
    deviates = _deviates(facts["lesions"], draws, seed, facts["seeds"])
    changes = {}
    for name, pair in metrics.items():
        (one, one_drawn), (other, other_drawn) = (
            resampled[metric] for resampled, metric in zip(found, pair, strict=True)
        )
        changes[name] = _bootstrap(one - other, one_drawn - other_drawn, deviates, facts)
    return changes


def bootstrap_mean(table: pd.DataFrame, value: str, draws: int = 2_000, seed: int = 0) -> BootstrapDifference:
    """The mean of a difference over images, mean over the seeds, for other lesions and other trainings.

    The draws are those of `paired_bootstraps`; every image counts the same.

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
    drawn, both = [], np.hstack([sums, counts])
    for weights in _draws(len(lesions), draws, seed)[0]:
        total, images = np.split(weights.astype(float) @ both, 2, axis=1)
        kept = (images > 0).all(axis=1)
        drawn.append(total[kept] / images[kept])
    deviates = _deviates(len(lesions), draws, seed, len(trainings))
    return _bootstrap(sums.sum(axis=0) / counts.sum(axis=0), np.concatenate(drawn), deviates, _facts(table))


@lru_cache(maxsize=2)  # the comparisons of a part draw the same lesions
def _draws(lesions: int, draws: int, seed: int) -> tuple[list[np.ndarray], dict[str, Any]]:
    """How often each lesion was drawn, in blocks (n, lesions), and where the generator then stands."""
    rng = np.random.default_rng(seed)
    # A byte holds a count: with at most 255 lesions none is larger, and with more 256 of one never happen.
    blocks = [draw_lesions(rng, lesions, block).astype(np.uint8) for block in block_sizes(draws, 100)]
    return blocks, rng.bit_generator.state


def _deviates(lesions: int, draws: int, seed: int, seeds: int) -> np.ndarray:
    """Student's t, `draws` times: what the generator yields behind the lesions."""
    rng = np.random.default_rng()
    rng.bit_generator.state = _draws(lesions, draws, seed)[1]
    return rng.standard_t(max(seeds - 1, 1), draws)


def _bootstrap(found: np.ndarray, drawn: np.ndarray, deviates: np.ndarray, facts: dict) -> BootstrapDifference:
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn):
        raise ValueError("no draw of lesions has a score in every seed: too few lesions were tested")
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
    seed: int,
) -> dict[str | tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """For each metric the difference of each seed, (seeds,), and with lesions drawn again, the same for all seeds.

    The second is (draws, seeds).

    Args, Raises: as in `paired_bootstraps`.
    """
    both = {metric: metric if isinstance(metric, tuple) else (metric, metric) for metric in metrics}
    names = tuple(sorted({known(name, of_predictions(), "metric") for pair in both.values() for name in pair}))
    facts = _lesions_and_seeds(pairs, known(unit, UNITS, "unit"))
    one, other = (
        _scores(_lesion_counts(pairs, arm, facts, len(classes)), names, draws, seed) for arm in ("arm", "reference")
    )
    # Equal arms differ by 0, not by the rounding of a sum.
    return {
        metric: tuple((a - b).round(12) for a, b in zip(one[of_arm], other[of_reference], strict=True))
        for metric, (of_arm, of_reference) in both.items()
    }


def _lesions_and_seeds(pairs: pd.DataFrame, unit: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row of `pairs` the number of its lesion, that of its seed, and how much it counts."""
    lesion, lesions = pd.factorize(pairs["lesion_id"], sort=True)
    _check_lesions(len(lesions))
    weight = np.ones(len(pairs))
    if unit == "lesion":
        weight /= pairs.groupby(["seed", "lesion_id"])["image_id"].transform("size").to_numpy()
    return lesion, pd.factorize(pairs["seed"], sort=True)[0], weight


@dataclass(frozen=True)
class _Counts:
    """Weighted support, hits and predictions of each class by one arm.

    A lesion has one class and few are predicted, so most counts are 0 and are not kept.

    Attributes:
        table: (lesions, all of `shape`), sparse.
        shape: (seeds, 3, classes).
        content: the SHA-256 of the table, by which two are the same.
    """

    table: "scipy.sparse.csr_array" = field(compare=False)
    shape: tuple[int, int, int]
    content: bytes


def _lesion_counts(pairs: pd.DataFrame, arm: str, facts: tuple, classes: int) -> _Counts:
    lesion, seed, weight = facts
    truth, predicted, own = pairs["truth"].to_numpy(), pairs[arm].to_numpy(), weight * pairs.get(f"{arm}_weight", 1.0)
    shape, hit = (seed.max() + 1, 3, classes), predicted == truth
    counted = [(slice(None), 0, truth), (hit, 1, truth), (slice(None), 2, predicted)]
    place = [np.ravel_multi_index((seed[rows], kind, of_class[rows]), shape) for rows, kind, of_class in counted]
    lesions, weights = (np.concatenate([each[rows] for rows, *_ in counted]) for each in (lesion, np.asarray(own)))
    size = (lesion.max() + 1, np.prod(shape))
    table = scipy.sparse.coo_array((weights, (lesions, np.concatenate(place))), shape=size).tocsr()
    content = hashlib.sha256()
    for part in (table.data, table.indices, table.indptr):
        content.update(part)
    return _Counts(table, shape, content.digest())


@lru_cache(maxsize=MOST_KEPT)  # most arms meet several references
def _scores(
    counts: _Counts, metrics: tuple[str, ...], draws: int, seed: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Of each metric an arm's scores (seeds,), and those with lesions drawn again (draws, seeds)."""
    lesions = counts.table.shape[0]

    def drawn(weights: np.ndarray) -> list[np.ndarray]:
        tally = Tally(*np.moveaxis((weights.astype(float) @ counts.table).reshape(-1, *counts.shape), -2, 0))
        with np.errstate(invalid="ignore"):  # a seed of which no lesion was drawn
            return [METRICS[metric].of(tally) for metric in metrics]

    found = [score[0] for score in drawn(np.ones((1, lesions)))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the sums over lesions let other threads work
        blocks = list(pool.map(drawn, _draws(lesions, draws, seed)[0]))
    again = [np.concatenate(block) for block in zip(*blocks, strict=True)]
    return dict(zip(metrics, zip(found, again, strict=True), strict=True))


def _between_seeds(found: np.ndarray, drawn: np.ndarray) -> float:
    """Variance between trainings, without what lesions alone make seeds differ; method of moments, at least 0.

    Args:
        found, drawn: as from `resample_lesions`.
    """
    if len(found) < 2:
        return 0.0
    noise = (drawn - found).var(axis=1, ddof=1).mean()
    return float(max(0.0, found.var(ddof=1) - noise))


def _check_lesions(lesions: int) -> None:
    if lesions < 2:
        raise ValueError(f"an interval needs at least two lesions, this table has {lesions}")
