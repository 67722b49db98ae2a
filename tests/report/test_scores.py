"""Every score by the comparisons of the endpoint, on made-up predictions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, roc_auc_score

from soft_attention.report import comparison, scores
from soft_attention.study.config import Analysis

CLASSES = ("mel", "nv", "bkl")
ASKED = Analysis(comparisons=[("released", "baseline"), ("released", "control")], draws=300)


@pytest.fixture
def tables():
    """Single-image lesions; `released` is far better than `baseline`, and the same as `control`."""
    truth = np.random.default_rng(0).integers(3, size=300)
    found = {}
    for arm, strength in (("baseline", 0.2), ("released", 2.0), ("control", 2.0)):
        for seed in (0, 1, 2):
            raw = np.random.default_rng(seed).random((300, 3)) + strength * np.eye(3)[truth]
            table = pd.DataFrame(raw / raw.sum(axis=1, keepdims=True), columns=CLASSES)
            ids = [f"L{number}" for number in range(300)]
            found[arm, seed] = table.assign(image_id=ids, lesion_id=ids, label=np.array(CLASSES)[truth])
    return found


def test_every_score_has_the_references_of_the_endpoint(tables, keep_runs):
    parts = {"frozen": keep_runs(tables, CLASSES, leak=False, external=False)}
    answers = comparison.answers(parts, ASKED)
    table = scores.scores_table(parts, answers, ASKED).set_index(["score", "reference"])
    of_each = {"balanced accuracy", "accuracy", "weighted precision", "macro precision", "macro recall", "melanoma auc"}
    assert set(table.index) == {(score, reference) for score in of_each for reference in ("baseline", "control")}
    against = table.xs("baseline", level="reference")
    assert set(against["decided"]) == {scores.HIGHER} and (against["points_low"] > 0).all()
    assert set(table.xs("control", level="reference")["decided"]) == {scores.OPEN}

    def mean(measure, arm):
        return np.mean([100 * measure(each) for (name, _), each in tables.items() if name == arm])

    def auc(each):
        return roc_auc_score(each["label"] == "mel", each["mel"])

    def precision(each):
        called = np.array(CLASSES)[each[[*CLASSES]].to_numpy().argmax(axis=1)]
        return precision_score(each["label"], called, average="macro")

    for name, measure in (("melanoma auc", auc), ("macro precision", precision)):
        expected = mean(measure, "released") - mean(measure, "baseline")
        assert against.loc[name, "points"] == pytest.approx(expected), name
    assert against.loc["melanoma auc", "seeds_above"] == 3


def test_one_training_of_each_arm_decides_no_score(tables, keep_runs):
    once = {place: table for place, table in tables.items() if place[1] == 0}
    parts = {"frozen": keep_runs(once, CLASSES, leak=False, external=False)}
    table = scores.scores_table(parts, comparison.answers(parts, ASKED), ASKED)
    assert set(table["decided"]) == {scores.OPEN} and len(table) == 12
