"""The images behind the published rates on HAM10000: the one table of counts that each network's can come from."""

from itertools import product

import numpy as np
import pandas as pd

from soft_attention.evaluation.paired_tests import wilson
from soft_attention.published import NETWORK, published


def class_counts() -> pd.DataFrame:
    """Whole images behind the published precision and recall of each class, for the ten networks.

    The notebooks print rates with two decimals, and the accuracy, weighted precision, macro precision and macro recall
    of each network with four. Only one table of counts agrees with all of them; it is found by trying every one.

    Returns:
        One row per backbone, arm and class: test_images (of the class), correct (of these, called by their class),
        predicted (images of any class that were given this class), precision, recall, auc.

    Raises:
        ValueError: a network's published numbers fit no table of counts, or several.
    """
    parts = []
    for network, classes in _networks_and_classes():
        tables = _count_tables(network, classes)
        if len(tables) != 1:
            raise ValueError(
                f"the published rates of {network.backbone}, {network.arm} fit {len(tables)} tables, not one"
            )
        correct, predicted = tables[0].T
        counts = classes[[*NETWORK, "class", "test_images"]].assign(correct=correct, predicted=predicted)
        parts.append(counts.join(classes[["precision", "recall", "auc"]]))
    return pd.concat(parts, ignore_index=True)


def rates_check() -> pd.DataFrame:
    """Whether the published rates on HAM10000 can come from 828 images at all, network by network.

    Returns:
        backbone, arm; classes (how many were checked); consistent_classes (how many of them have counts that give
        precision and recall of the class against the rest, two decimals); count_tables (tables of counts
        that fit the rates of every class); fitting_tables (those of them that also give the network's number of correct
        images, 828 predictions in all, and its weighted and macro scores to four decimals).
    """
    rows = []
    for network, classes in _networks_and_classes():
        pairs = [_class_pairs(row, network.test_images) for row in classes.itertuples()]
        rows.append(
            {
                "backbone": network.backbone,
                "arm": network.arm,
                "classes": len(classes),
                "consistent_classes": sum(len(found) > 0 for found in pairs),
                "count_tables": int(np.prod([len(found) for found in pairs])),
                "fitting_tables": len(_count_tables(network, classes)),
            }
        )
    return pd.DataFrame(rows)


def rate_granularity() -> pd.DataFrame:
    """Class counts beside every published rate, and what one image is worth.

    Returns:
        One row per backbone, arm and class: the columns of `class_counts`; recall_low, recall_high, precision_low,
        precision_high (95 % Wilson intervals of correct among test_images and among predicted); recall_points and
        macro_recall_points (points, of 100, by which one image moves the recall of the class and the macro recall).
    """
    table = class_counts()
    table["recall_low"], table["recall_high"] = wilson(table["correct"], table["test_images"])
    table["precision_low"], table["precision_high"] = wilson(table["correct"], table["predicted"])
    table["recall_points"] = 100 / table["test_images"]
    table["macro_recall_points"] = table["recall_points"] / table["class"].nunique()
    return table


def _networks_and_classes():
    """Each published network (a named tuple) with its rows of the per-class table, index from 0."""
    groups = dict(iter(published("per_class").groupby(NETWORK)))
    for network in published("networks").itertuples():
        yield network, groups[network.backbone, network.arm].reset_index(drop=True)


def _class_pairs(rates, total: int) -> np.ndarray:
    """Every (correct, predicted) of a class that gives its precision and recall, rounded to two decimals; (P, 2)."""
    correct, predicted = np.arange(rates.test_images + 1), np.arange(1, total + 1)
    correct = correct[_rounds_to(correct / rates.test_images, rates.recall, 2)][:, None]
    possible = (correct <= predicted) & (predicted - correct <= total - rates.test_images)
    row, column = np.nonzero(possible & _rounds_to(correct / predicted, rates.precision, 2))
    return np.stack([correct[row, 0], predicted[column]], axis=1)


def _count_tables(network, classes: pd.DataFrame) -> np.ndarray:
    """Every table of counts, (T, classes, 2) with correct and predicted last, that gives all of a network's numbers."""
    pairs = [_class_pairs(row, network.test_images) for row in classes.itertuples()]
    tables = np.array(list(product(*pairs)), int).reshape(-1, len(classes), 2)
    correct, predicted = tables[..., 0], tables[..., 1]
    images = classes["test_images"].to_numpy()
    precision, recall = correct / predicted, correct / images
    fits = (correct.sum(axis=1) == network.correct) & (predicted.sum(axis=1) == network.test_images)
    fits &= _rounds_to(precision @ (images / images.sum()), network.weighted_precision, 4)
    fits &= _rounds_to(precision.mean(axis=1), network.macro_precision, 4)
    fits &= _rounds_to(recall.mean(axis=1), network.macro_recall, 4)
    return tables[fits]


def _rounds_to(values: np.ndarray, printed: float, decimals: int) -> np.ndarray:
    return np.abs(values - printed) <= 0.5 * 10.0**-decimals + 1e-9  # a tie may have been rounded either way
