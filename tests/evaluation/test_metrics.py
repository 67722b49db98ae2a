"""Scores of one table of predictions, against numbers by hand and scikit-learn."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from soft_attention.evaluation.metrics import METRICS, Metric, in_table, intervals, of_epoch, score

SEVEN = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
AB, ABC = ("a", "b"), ("a", "b", "c")
THREE = ("melanoma", "nevus", "seborrheic_keratosis")


def table(labels, probabilities, classes, lesions=None):
    """A predictions table, float32 as in a run folder."""
    predictions = pd.DataFrame(np.asarray(probabilities, np.float32), columns=list(classes))
    predictions.insert(0, "image_id", [f"i{number}" for number in range(len(predictions))])
    predictions.insert(1, "lesion_id", predictions["image_id"] if lesions is None else lesions)
    predictions.insert(2, "label", list(labels))
    return predictions


def random_table(rng, images, classes, decimals=None):
    """Labels of every class, probabilities that lean towards them; `decimals` makes ties."""
    truth = np.r_[np.arange(len(classes)), rng.integers(len(classes), size=images - len(classes))]
    raw = np.exp(rng.normal(size=(images, len(classes))) + np.eye(len(classes))[truth])
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = np.round(probabilities, decimals)
        probabilities[:, -1] = np.maximum(0, 1 - probabilities[:, :-1].sum(axis=1))
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    lesions = [f"l{number}" for number in rng.integers(images * 2 // 3, size=images)]
    return table(np.array(classes)[truth], probabilities, classes, lesions)


def test_scores_of_four_images_by_hand():
    predictions = table("aabc", [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.7, 0.1], [0.6, 0.1, 0.3]], ABC)
    result = score(predictions, ABC)
    assert result["n_images"] == 4
    assert result["correct"] == 2
    assert result["accuracy"] == 0.5
    assert result["confusion"] == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    # Class c is never called: its precision has no denominator and counts 0.
    assert result["weighted_precision"] == pytest.approx((2 * 1 / 2 + 1 * 1 / 2 + 0) / 4)
    assert result["macro_precision"] == pytest.approx(1 / 3)
    assert result["macro_recall"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert result["balanced_accuracy"] == pytest.approx(result["macro_recall"])
    # a: .8 .3 against .2 .6, three of four pairs; b: .7 above all; c: .3 above all.
    assert result["per_class"]["a"] == {"precision": 0.5, "recall": 0.5, "auc": 0.75, "support": 2}
    assert result["macro_auc"] == pytest.approx((0.75 + 1 + 1) / 3)
    assert result["weighted_auc"] == pytest.approx((2 * 0.75 + 1 + 1) / 4)


def test_scores_agree_with_scikit_learn():
    predictions = random_table(np.random.default_rng(1), 300, SEVEN)
    truth, probabilities = predictions["label"], predictions[list(SEVEN)].to_numpy()
    called = np.array(SEVEN)[probabilities.argmax(axis=1)]
    result = score(predictions, SEVEN)
    options = {"labels": list(SEVEN), "multi_class": "ovr"}
    for average in ("weighted", "macro"):
        expected = metrics.roc_auc_score(truth, probabilities, average=average, **options)
        assert result[f"{average}_auc"] == pytest.approx(expected, abs=1e-12)
        assert result[f"{average}_precision"] == metrics.precision_score(truth, called, average=average)
    assert result["macro_recall"] == pytest.approx(metrics.recall_score(truth, called, average="macro"))
    assert result["accuracy"] == pytest.approx(metrics.recall_score(truth, called, average="weighted"))
    assert result["balanced_accuracy"] == pytest.approx(metrics.balanced_accuracy_score(truth, called))
    assert "tasks" not in result


def test_scores_of_an_epoch_agree_with_scikit_learn():
    labels, probabilities = np.array([0, 0, 1, 3]), np.float32([[0.5, 0.2, 0.2, 0.1]] * 3 + [[0, 1, 0, 0]])
    called = probabilities.argmax(axis=1)
    found = of_epoch(probabilities, labels)
    assert found["loss"] == pytest.approx(np.mean([np.log(2), np.log(2), np.log(5), 7 * np.log(10)]))
    assert found["accuracy"] == metrics.accuracy_score(labels, called) == 0.5
    assert found["balanced_accuracy"] == pytest.approx(1 / 3)  # the class that does not occur counts nowhere


def test_a_metric_that_is_added_is_taken_of_runs_their_intervals_and_epochs(monkeypatch):
    monkeypatch.setitem(METRICS, "least_recall", Metric("least recall", lambda of: of.recall.min(axis=-1)))
    predictions = random_table(np.random.default_rng(1), 300, SEVEN)
    called = np.array(SEVEN)[predictions[list(SEVEN)].to_numpy().argmax(axis=1)]
    least = metrics.recall_score(predictions["label"], called, average=None).min()
    labels = pd.Index(SEVEN).get_indexer(predictions["label"])
    assert score(predictions, SEVEN)["least_recall"] == pytest.approx(least)
    assert of_epoch(predictions[list(SEVEN)].to_numpy(), labels)["least_recall"] == pytest.approx(least)
    low, high = intervals(predictions, SEVEN, draws=50)["least_recall"]
    assert 0 <= low < least + 0.01 and low < high < 1


def test_tied_probabilities_count_half_in_an_auc():
    probabilities = np.random.default_rng(2).integers(0, 5, 200) / 4
    predictions = table(np.resize(list("aab"), 200), np.stack([1 - probabilities, probabilities], axis=1), tuple("ab"))
    expected = metrics.roc_auc_score(predictions["label"] == "b", probabilities)
    assert score(predictions, tuple("ab"))["per_class"]["b"]["auc"] == pytest.approx(expected, abs=1e-12)


def test_a_perfect_classifier_scores_one():
    result = score(table(SEVEN, np.eye(7), SEVEN), SEVEN)
    names = (
        "accuracy",
        "balanced_accuracy",
        "weighted_precision",
        "macro_recall",
        "weighted_auc",
    )
    assert [result[name] for name in names] == pytest.approx([1] * 5)


def test_an_absent_class_has_no_auc_but_json():
    predictions = table("aab", [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], ABC)
    result = json.loads(json.dumps(score(predictions, ABC), allow_nan=False))
    assert result["per_class"]["c"] == {"precision": 0.0, "recall": 0.0, "auc": None, "support": 0}
    assert result["macro_auc"] is None
    assert result["weighted_auc"] == 1.0
    assert result["balanced_accuracy"] == 1.0
    assert result["macro_recall"] == pytest.approx(2 / 3)


def test_binary_tasks_call_at_half_whatever_the_highest_class():
    predictions = table(
        ["melanoma", "melanoma", "nevus", "seborrheic_keratosis"],
        [[0.45, 0.3, 0.25], [0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.2, 0.7]],
        THREE,
    )
    result = score(predictions, THREE)
    assert result["correct"] == 3  # the first melanoma has the highest probability, yet below .5
    assert result["tasks"]["melanoma"] == {
        "auc": 0.75,
        "accuracy": 0.5,
        "sensitivity": 0.5,
        "specificity": 0.5,
        "positives": 2,
    }
    assert result["tasks"]["seborrheic_keratosis"]["sensitivity"] == 1.0
    assert set(result["tasks"]) == {"melanoma", "seborrheic_keratosis"}


def test_binary_task_without_a_positive_has_no_sensitivity():
    result = score(table(["nevus"] * 2, [[0.2, 0.7, 0.1]] * 2, THREE), THREE)
    task = result["tasks"]["melanoma"]
    assert task["sensitivity"] is None
    assert task["auc"] is None
    assert task["specificity"] == 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 1, 2]))
def test_scores_do_not_depend_on_the_order_of_images_or_classes(seed, decimals):
    rng = np.random.default_rng(seed)
    predictions = random_table(rng, 40, THREE, decimals)
    shuffled = predictions.sample(frac=1, random_state=seed)[[*predictions.columns[:3], *THREE[::-1]]]
    first, second = score(predictions, THREE), score(shuffled, THREE)
    assert first["weighted_auc"] == pytest.approx(second["weighted_auc"])
    for task, values in first["tasks"].items():
        assert values == pytest.approx(second["tasks"][task])


@pytest.mark.parametrize("decimals", [None, 1])
def test_intervals_equal_resampling_and_scikit_learn(decimals):
    predictions = random_table(np.random.default_rng(3), 150, SEVEN, decimals)
    draws = 40
    rows = {metric: [] for metric in in_table("run")}
    lesions = np.unique(predictions["lesion_id"])
    images = {lesion: part for lesion, part in predictions.groupby("lesion_id")}
    rng = np.random.default_rng(5)
    for picks in rng.integers(len(lesions), size=(draws, len(lesions))):
        drawn = pd.concat([images[lesions[pick]] for pick in picks]).reset_index(drop=True)
        result = score(drawn.assign(image_id=drawn.index), SEVEN)
        for metric in in_table("run"):
            rows[metric].append(np.nan if result[metric] is None else result[metric])
    found = intervals(predictions, SEVEN, draws=draws, seed=5)
    for metric in in_table("run"):
        assert found[metric] == pytest.approx(np.nanpercentile(rows[metric], [2.5, 97.5]), abs=1e-9)


def test_intervals_are_reproducible_and_contain_the_score():
    predictions = random_table(np.random.default_rng(4), 300, SEVEN)
    found, result = intervals(predictions, SEVEN, draws=200), score(predictions, SEVEN)
    assert found == intervals(predictions, SEVEN, draws=200)
    assert found != intervals(predictions, SEVEN, draws=200, seed=1)
    for metric, (low, high) in found.items():
        assert low < result[metric] < high
    narrow = intervals(predictions, SEVEN, draws=200, level=0.5)["accuracy"]
    assert np.diff(narrow) < np.diff(found["accuracy"])


def test_intervals_resample_lesions_not_images():
    """Five copies of every image in its lesion carry no news: the interval stays as wide."""
    rng = np.random.default_rng(6)
    once = random_table(rng, 120, SEVEN).assign(lesion_id=lambda t: t["image_id"])
    five = pd.concat([once] * 5, ignore_index=True)
    five["image_id"] = [f"i{number}" for number in five.index]
    assert intervals(five, SEVEN, draws=100)["accuracy"] == pytest.approx(intervals(once, SEVEN, draws=100)["accuracy"])


def test_interval_of_a_score_that_never_exists_is_none():
    predictions = table("aab", [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], ABC)
    found = intervals(predictions, ABC, draws=20)
    assert found["macro_auc"] is None
    assert found["weighted_auc"] == [1.0, 1.0]


def test_intervals_need_two_lesions():
    predictions = table("ab", [[0.7, 0.3], [0.2, 0.8]], AB, lesions=["l1", "l1"])
    with pytest.raises(ValueError, match="at least two lesions"):
        intervals(predictions, AB)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(a=0.5), "image i0 has probabilities that do not sum to 1 .2 of 2 images"),
        (lambda t: t.assign(a=[np.nan, 0.2]), "image i0 has a probability that is not a number"),
        (lambda t: t.assign(a=[0.7, 1.2], b=[0.3, -0.2]), "image i1 has a probability outside 0 to 1"),
        (lambda t: t.assign(label=["a", "z"]), "image i1 has a label that is none of a, b"),
        (lambda t: t.assign(label=["a", None]), "image i1 has a label that is none of a, b"),
        (lambda t: t.assign(image_id="i0"), "image i0 is predicted more than once"),
        (lambda t: t.assign(lesion_id=["l0", None]), "image i1 has no lesion_id"),
        (lambda t: t.drop(columns=["b", "label"]), "lack the columns label, b"),
        (lambda t: t[:0], "hold no image"),
    ],
)
@pytest.mark.parametrize("function", [score, intervals])
def test_impossible_predictions_are_refused(function, change, message):
    predictions = table("ab", [[0.7, 0.3], [0.2, 0.8]], AB)
    with pytest.raises(ValueError, match=message):
        function(change(predictions), AB)
