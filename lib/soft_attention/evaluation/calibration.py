"""How far probabilities can be believed, and what a threshold chosen elsewhere yields.

`predictions` is everywhere a table as in `metrics.score`; confidence is the highest probability of an image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used: most tables need none

from soft_attention.errors import known
from soft_attention.evaluation.metrics import labels_and_probabilities

SMALLEST = float(np.finfo(np.float32).tiny)  # a float32 softmax underflows to 0, which has no logarithm
TEMPERATURES = (0.05, 20.0)  # where `fit_temperature` looks


def reliability(predictions: pd.DataFrame, classes: Sequence[str], bins: int = 15) -> pd.DataFrame:
    """Confidence beside accuracy, one row for each of `bins` equally wide ranges of confidence.

    Columns: low (exclusive), high (inclusive), count, and the means confidence and accuracy; NaN in an empty bin.

    Raises:
        ValueError: as in `metrics.score`, or there is no bin.
    """
    if bins < 1:
        raise ValueError(f"there must be at least one bin, not {bins}")
    truth, probabilities = labels_and_probabilities(predictions, classes)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    number = np.searchsorted(edges[1:-1], confidence)
    count, confident, hits = (
        np.bincount(number, values, bins) for values in (np.ones(len(truth)), confidence, correct)
    )
    mean = {"confidence": confident, "accuracy": hits}
    shares = {name: np.divide(total, count, out=np.full(bins, np.nan), where=count > 0) for name, total in mean.items()}
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "count": count.astype(int), **shares})


def expected_calibration_error(predictions: pd.DataFrame, classes: Sequence[str], bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over the images, within the bins of `reliability`; 0 to 1.

    Only the predicted class counts (Guo et al., ICML 2017). With few images, chance alone makes it larger than 0.
    """
    table = reliability(predictions, classes, bins)
    gap = (table["confidence"] - table["accuracy"]).abs()
    return float((gap * table["count"]).sum() / table["count"].sum())


def brier(predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """Squared error of the probabilities, sum over the classes and mean over the images; 0 to 2 (Brier, 1950)."""
    truth, probabilities = labels_and_probabilities(predictions, classes)
    return float(((probabilities - np.eye(len(classes))[truth]) ** 2).sum(axis=1).mean())


def fit_temperature(validation: pd.DataFrame, classes: Sequence[str]) -> float:
    """The temperature that makes the labels of `validation` most likely (Guo et al., ICML 2017).

    Above 1 the network was too sure. It lies within `TEMPERATURES`, and at their lower end if every call is correct.
    """
    truth, probabilities = labels_and_probabilities(validation, classes)
    logits = _log(probabilities)

    def loss(log_temperature: float) -> float:
        likelihood = scipy.special.log_softmax(logits / np.exp(log_temperature), axis=1)
        return -likelihood[np.arange(len(truth)), truth].mean()

    found = scipy.optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def apply_temperature(predictions: pd.DataFrame, classes: Sequence[str], temperature: float) -> pd.DataFrame:
    """A copy of the table with the logits divided by `temperature`; every image keeps its predicted class.

    Raises:
        ValueError: as in `metrics.score`, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"a temperature must be above 0, not {temperature}")
    _, probabilities = labels_and_probabilities(predictions, classes)
    scaled = scipy.special.softmax(_log(probabilities) / temperature, axis=1)
    return predictions.assign(**dict(zip(classes, scaled.T, strict=True)))


@dataclass(frozen=True)
class OperatingPoint:
    """A class is predicted where its probability is above `threshold`; what that yields on the test images."""

    threshold: float
    sensitivity: float
    specificity: float


def sensitivity_at_specificity(
    validation: pd.DataFrame, test: pd.DataFrame, classes: Sequence[str], positive: str, specificity: float = 0.9
) -> OperatingPoint:
    """Sensitivity for one class against the rest, at a threshold that the test images had no part in.

    The threshold is the smallest with at least `specificity` on `validation`. On the test images the specificity is
    another one, so it is given too.

    Args:
        validation, test: predictions as in `metrics.score`.
        positive: the class, one of `classes`.
        specificity: asked for, above 0 and at most 1.

    Raises:
        ValueError: as in `metrics.score`, no validation image outside the class, or test images of one kind only.
    """
    if not 0 < specificity <= 1:
        raise ValueError(f"a specificity must be above 0 and at most 1, not {specificity}")
    (_, others), (positives, negatives) = (_of_class(table, classes, positive) for table in (validation, test))
    if not others.size:
        raise ValueError(f"every validation image is {positive}: there is no specificity")
    if not positives.size or not negatives.size:
        raise ValueError(f"the test images must hold {positive} and other classes")
    threshold = np.quantile(others, specificity, method="inverted_cdf")
    return OperatingPoint(
        float(threshold), float((positives > threshold).mean()), float((negatives <= threshold).mean())
    )


def _of_class(predictions: pd.DataFrame, classes: Sequence[str], name: str) -> tuple[np.ndarray, np.ndarray]:
    """The probability of a class, for its own images and for the others."""
    truth, probabilities = labels_and_probabilities(predictions, classes)
    number = list(classes).index(known(name, classes, "class"))
    return probabilities[truth == number, number], probabilities[truth != number, number]


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, SMALLEST))
