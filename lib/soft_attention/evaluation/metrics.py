"""What a metric is, the scores of one table of predictions, and their intervals by resampling lesions.

Imports no pandas: `study.config` reads the names of the metrics, and a plan is read in no time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ISIC2017_CLASSES = frozenset({"melanoma", "nevus", "seborrheic_keratosis"})
ISIC2017_TASKS = ("melanoma", "seborrheic_keratosis")
SUM_TOLERANCE = 1e-3  # a float32 softmax is far closer; a lost or doubled class is far off
TABLES = ("run", "networks", "external", "ledger")


@dataclass(frozen=True)
class Tally:
    """Images by class, each with its weight: arrays `(..., classes)`, of which the last axis is summed up.

    Attributes:
        support: the images of a class.
        hits: those of them that were predicted as it.
        predicted: all images that were predicted as it.
        auc: the class against the rest; NaN where it does not occur. Only metrics that rank read it.
    """

    support: np.ndarray
    hits: np.ndarray
    predicted: np.ndarray
    auc: np.ndarray | None = None

    @classmethod
    def of_confusion(cls, confusion: np.ndarray, auc: np.ndarray | None = None) -> Tally:
        """From weights of images by class (rows) and the class predicted (columns), `(..., classes, classes)`."""
        hits = np.diagonal(confusion, axis1=-2, axis2=-1)
        return cls(confusion.sum(axis=-1), hits, confusion.sum(axis=-2), auc)

    @property
    def share(self) -> np.ndarray:
        """Of all images."""
        return self.support / self.support.sum(axis=-1, keepdims=True)

    @property
    def recall(self) -> np.ndarray:
        """0 for a class that does not occur."""
        return _ratio(self.hits, self.support)

    @property
    def precision(self) -> np.ndarray:
        """0 for a class that was never predicted."""
        return _ratio(self.hits, self.predicted)


@dataclass(frozen=True)
class Metric:
    """A score of predictions. A new metric is a line in `METRICS`.

    Attributes:
        label: name for people.
        of: its value `(...)` from a tally.
        tables: where it stands, some of `TABLES`: the scores of a run with their intervals, the networks beside the
            published ones and what attention gains, the outside test set, the bias ledger.
        ranks: it takes the AUC of each class. Such a metric has no place in the ledger, chooses no epoch and is no
            endpoint: those rest on the class predicted for each image.
    """

    label: str
    of: Callable[[Tally], np.ndarray]
    tables: Collection[str] = TABLES
    ranks: bool = False


METRICS = {
    "weighted_precision": Metric("weighted precision", lambda of: np.vecdot(of.share, of.precision)),
    "weighted_auc": Metric(
        "weighted AUC",
        lambda of: np.where(of.share > 0, of.share * of.auc, 0.0).sum(axis=-1),
        ("run", "networks"),
        ranks=True,
    ),
    "accuracy": Metric("accuracy", lambda of: of.hits.sum(axis=-1) / of.support.sum(axis=-1)),
    "macro_recall": Metric("macro recall", lambda of: of.recall.mean(axis=-1), ("run", "networks")),
    "balanced_accuracy": Metric("balanced accuracy", lambda of: of.recall.sum(axis=-1) / (of.support > 0).sum(axis=-1)),
    "macro_precision": Metric("macro precision", lambda of: of.precision.mean(axis=-1), ()),
    "macro_auc": Metric("macro AUC", lambda of: of.auc.mean(axis=-1), ("run", "external"), ranks=True),
}


def of_majority(support: Mapping[str, int]) -> tuple[str, dict[str, float]]:
    """The most frequent class, and every metric of a model that always predicts it; each AUC is then .5.

    `support`: the tested images of each class.

    >>> name, scores = of_majority({"mel": 1, "nv": 3})
    >>> name, float(scores["accuracy"]), float(scores["balanced_accuracy"])
    ('nv', 0.75, 0.5)
    """
    images = np.array(list(support.values()), float)
    always = np.arange(len(images)) == images.argmax()
    tally = Tally(images, images * always, images.sum() * always, np.full(len(images), 0.5))
    return list(support)[images.argmax()], {name: float(metric.of(tally)) for name, metric in METRICS.items()}


def in_table(table: str) -> tuple[str, ...]:
    """The names of the metrics that stand in one of `TABLES`."""
    return tuple(name for name, metric in METRICS.items() if table in metric.tables)


def of_predictions() -> tuple[str, ...]:
    """The names of the metrics that rest on the predicted classes: they can choose an epoch and be an endpoint."""
    return tuple(name for name, metric in METRICS.items() if not metric.ranks)


def score(predictions: pd.DataFrame, classes: Sequence[str]) -> dict:
    """Every score of the study from one predictions table, as plain numbers ready for JSON.

    The prediction is the class of highest probability. A precision or recall without a denominator
    counts 0, and macro means run over all `classes`; balanced accuracy is the mean recall of the
    classes that occur. AUC is one class against the rest. A class that does not occur has no AUC:
    it is None, and so is the macro AUC, as a mean over the other classes would not be comparable;
    in the weighted AUC such a class weighs nothing.

    With the three ISIC-2017 classes, `tasks` holds the challenge's two binary tasks, melanoma and
    seborrheic keratosis against the rest. There an image is predicted positive when the probability
    of that class is above .5, whichever class has the highest.

    Args:
        predictions: columns image_id, lesion_id, label and one probability column per class;
            one row per image.
        classes: the class names, in the order of `confusion` (rows: label, columns: prediction).

    Raises:
        ValueError: the table is empty, lacks a column, or holds a repeated image, an unknown label
            or probabilities that are none.
    """
    truth, probabilities = labels_and_probabilities(predictions, classes)
    confusion = _confusion(truth, probabilities.argmax(axis=1), len(classes))
    auc = np.array([_auc(truth == k, probabilities[:, k]) for k in range(len(classes))])
    tally = Tally.of_confusion(confusion, auc)
    result = {
        "n_images": len(truth),
        "n_lesions": int(predictions["lesion_id"].nunique()),
        "correct": int(tally.hits.sum()),
        **{name: metric.of(tally) for name, metric in METRICS.items()},
        "per_class": {
            name: {
                "precision": tally.precision[k],
                "recall": tally.recall[k],
                "auc": auc[k],
                "support": int(tally.support[k]),
            }
            for k, name in enumerate(classes)
        },
        "classes": list(classes),
        "confusion": confusion.tolist(),
    }
    if set(classes) == ISIC2017_CLASSES:
        result["tasks"] = {
            name: _binary(truth == k, probabilities[:, k]) for k, name in enumerate(classes) if name in ISIC2017_TASKS
        }
    return _plain(result)


def intervals(
    predictions: pd.DataFrame,
    classes: Sequence[str],
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, list[float] | None]:
    """Percentile bootstrap intervals of the metrics of a run: metric -> [low, high].

    Images of one lesion are not independent, so whole lesions are drawn, with replacement and as
    many as there are, and bring all their images. A draw in which a score does not exist (macro
    AUC, when a class is missing) does not count for that score; one that never exists is None.

    The intervals are those of one trained network on other lesions: they cover no other seed and no
    other training set.

    Args:
        predictions, classes: as in `score`.
        draws: number of resamples.
        seed: of the resampling.
        level: share of the draws between low and high.

    Raises:
        ValueError: as in `score`, or the table holds fewer than two lesions.
    """
    truth, probabilities = labels_and_probabilities(predictions, classes)
    lesions, lesion_of_image = np.unique(predictions["lesion_id"].to_numpy(str), return_inverse=True)
    if len(lesions) < 2:
        raise ValueError("an interval needs the predictions of at least two lesions, this table has one")
    rng = np.random.default_rng(seed)
    blocks = [
        _weighted_scores(draw_lesions(rng, len(lesions), block)[:, lesion_of_image], truth, probabilities)
        for block in block_sizes(draws, 100)
    ]
    tail = 50 * (1 - level)
    result = {}
    for metric in in_table("run"):
        values = np.concatenate([block[metric] for block in blocks])
        values = values[~np.isnan(values)]
        result[metric] = np.percentile(values, [tail, 100 - tail]).tolist() if values.size else None
    return result


def labels_and_probabilities(
    predictions: pd.DataFrame, classes: Sequence[str], each: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Labels as class numbers (N,) and probabilities (N, classes), once they pass all checks.

    An image may stand in the table once, or once for each value of the columns `each`.
    """
    missing = [c for c in ("image_id", "lesion_id", "label", *classes) if c not in predictions]
    if missing:
        raise ValueError(f"the predictions lack the columns {', '.join(missing)}")
    if predictions.empty:
        raise ValueError("the predictions hold no image")
    numbers = {name: number for number, name in enumerate(classes)}
    truth = np.fromiter((numbers.get(label, -1) for label in predictions["label"].to_numpy()), int, len(predictions))
    probabilities = predictions[list(classes)].to_numpy(np.float64)

    def reject(wrong: np.ndarray, problem: str) -> None:
        if wrong.any():
            first = predictions["image_id"].to_numpy()[wrong][0]
            raise ValueError(f"image {first} {problem} ({wrong.sum()} of {len(truth)} images)")

    reject(predictions.duplicated([*each, "image_id"]).to_numpy(), "is predicted more than once")
    reject(predictions["lesion_id"].isna().to_numpy(), "has no lesion_id")
    reject(truth < 0, f"has a label that is none of {', '.join(classes)}")
    reject(np.isnan(probabilities).any(axis=1), "has a probability that is not a number")
    reject(((probabilities < 0) | (probabilities > 1)).any(axis=1), "has a probability outside 0 to 1")
    reject(
        np.abs(probabilities.sum(axis=1) - 1) > SUM_TOLERANCE,
        "has probabilities that do not sum to 1",
    )
    return truth, probabilities


def of_epoch(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Loss and `of_predictions` metrics of probabilities (N, classes) and class numbers (N,), to judge an epoch by.

    The loss is the mean of -log of the probability of the true class, which counts as 1e-7 at least.
    """
    of_truth = probabilities[np.arange(len(truth)), truth]
    tally = Tally.of_confusion(_confusion(truth, probabilities.argmax(axis=1), probabilities.shape[1]))
    scores = {name: float(METRICS[name].of(tally)) for name in of_predictions()}
    return {"loss": float(-np.log(np.clip(of_truth, 1e-7, 1)).mean())} | scores


def _confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class (rows) were predicted as which (columns)."""
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def _auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """The area under the ROC curve; NaN where only one kind of image is present."""
    return _weighted_auc(np.ones((1, len(scores))), positive, scores)[0]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole > 0)


def _binary(positive: np.ndarray, probability: np.ndarray) -> dict:
    """One class against the rest at a probability of .5."""
    predicted = probability > 0.5
    hits = predicted == positive
    return {
        "auc": _auc(positive, probability),
        "accuracy": hits.mean(),
        "sensitivity": hits[positive].mean() if positive.any() else np.nan,
        "specificity": hits[~positive].mean() if not positive.all() else np.nan,
        "positives": int(positive.sum()),
    }


def _plain(value):
    """The same nested value with Python's own numbers, and None for NaN."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value


def block_sizes(total: int, size: int) -> list[int]:
    """`total` draws in blocks small enough for the cache."""
    return [min(size, total - start) for start in range(0, total, size)]


def draw_lesions(rng: np.random.Generator, lesions: int, draws: int) -> np.ndarray:
    """How often each lesion was drawn, (draws, lesions); each row sums to the lesions."""
    picks = rng.integers(lesions, size=(draws, lesions))
    return np.stack([np.bincount(row, minlength=lesions) for row in picks]).astype(np.float64)


def _weighted_scores(weights: np.ndarray, truth: np.ndarray, probabilities: np.ndarray) -> dict[str, np.ndarray]:
    """The metrics of a run under image weights (draws, N): (draws,) each, NaN where undefined."""
    classes = probabilities.shape[1]
    cell = truth * classes + probabilities.argmax(axis=1)
    confusion = (weights @ np.eye(classes**2)[cell]).reshape(-1, classes, classes)
    auc = np.stack([_weighted_auc(weights, truth == k, probabilities[:, k]) for k in range(classes)], axis=1)
    tally = Tally.of_confusion(confusion, auc)
    return {name: METRICS[name].of(tally) for name in in_table("run")}


def _weighted_auc(weights: np.ndarray, positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """AUC under image weights (draws, N), by Mann-Whitney: the share of ordered pairs, ties half."""
    order = np.argsort(scores)
    firsts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))  # where each distinct score begins
    ordered, positive = weights[:, order], positive[order]
    positives = np.add.reduceat(ordered * positive, firsts, axis=1)
    negatives = np.add.reduceat(ordered * ~positive, firsts, axis=1)
    below = np.cumsum(negatives, axis=1) - negatives / 2
    pairs = positives.sum(axis=1) * negatives.sum(axis=1)
    won = (positives * below).sum(axis=1)
    return np.divide(won, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
