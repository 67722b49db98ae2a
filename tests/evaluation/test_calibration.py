import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics

from soft_attention.evaluation.calibration import (
    TEMPERATURES,
    apply_temperature,
    brier,
    expected_calibration_error,
    fit_temperature,
    reliability,
    sensitivity_at_specificity,
)

AB, ABC = ("a", "b"), ("a", "b", "c")


def table(labels, probabilities, classes):
    """A predictions table, float32 as in a run folder."""
    predictions = pd.DataFrame(np.asarray(probabilities, np.float32), columns=list(classes))
    predictions.insert(0, "image_id", [f"i{number}" for number in range(len(predictions))])
    predictions.insert(1, "lesion_id", predictions["image_id"])
    predictions.insert(2, "label", list(labels))
    return predictions


def simulated(rng, images, sureness=1.0):
    """Labels drawn from the softmax of logits; the table holds that of the logits times `sureness`."""
    logits = 2 * rng.normal(size=(images, 3))
    shares = special.softmax(logits, axis=1)
    labels = np.array(ABC)[(rng.random(images)[:, None] > shares.cumsum(axis=1)).sum(axis=1)]
    return table(labels, special.softmax(sureness * logits, axis=1), ABC)


def of_positives(positives, others):
    """A table of classes a and b by the probability of a."""
    chances = np.r_[positives, others]
    return table("a" * len(positives) + "b" * len(others), np.c_[chances, 1 - chances], AB)


def test_reliability_and_error_by_hand():
    # Confidences .9 (right), .8 (wrong), .6 (right), .5 (a before b: right).
    predictions = table("aabb", [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.5, 0.5]], AB)
    predictions.loc[3, "label"] = "a"
    bins = reliability(predictions, AB, bins=4)
    assert bins["low"].tolist() == [0, 0.25, 0.5, 0.75]
    assert bins["high"].tolist() == [0.25, 0.5, 0.75, 1]
    assert bins["count"].tolist() == [0, 1, 1, 2]  # .5 belongs to the range that ends there
    assert bins["confidence"].tolist() == pytest.approx([np.nan, 0.5, 0.6, 0.85], nan_ok=True)
    assert bins["accuracy"].tolist() == pytest.approx([np.nan, 1, 1, 0.5], nan_ok=True)
    expected = (1 * 0.5 + 1 * 0.4 + 2 * 0.35) / 4
    assert expected_calibration_error(predictions, AB, bins=4) == pytest.approx(expected)


def test_a_sure_and_perfect_classifier_has_no_error():
    predictions = table("abc", np.eye(3), ABC)
    assert expected_calibration_error(predictions, ABC) == 0
    assert brier(predictions, ABC) == 0
    assert brier(predictions.assign(label=["b", "c", "a"]), ABC) == 2


def test_calibrated_probabilities_have_a_small_error_and_doubled_logits_a_large_one():
    rng = np.random.default_rng(0)
    assert expected_calibration_error(simulated(rng, 20_000), ABC) < 0.015
    assert expected_calibration_error(simulated(rng, 20_000, 2), ABC) > 0.08


def test_one_bin_compares_the_means():
    predictions = simulated(np.random.default_rng(1), 200)
    confidence = predictions[list(ABC)].max(axis=1).mean()
    accuracy = (predictions[list(ABC)].idxmax(axis=1) == predictions["label"]).mean()
    assert expected_calibration_error(predictions, ABC, bins=1) == pytest.approx(abs(confidence - accuracy))


def test_brier_agrees_with_scikit_learn():
    predictions = simulated(np.random.default_rng(2), 300)
    probabilities = predictions[list(ABC)].to_numpy(float)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    expected = metrics.brier_score_loss(predictions["label"], probabilities, labels=list(ABC), scale_by_half=False)
    assert brier(predictions, ABC) == pytest.approx(expected, abs=1e-6)
    binary = of_positives([0.9, 0.4], [0.3, 0.6, 0.1])
    half = metrics.brier_score_loss(binary["label"] == "a", binary["a"])
    assert brier(binary, AB) == pytest.approx(2 * half)  # both classes are off by as much


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_the_temperature_recovers_a_known_factor(factor):
    assert fit_temperature(simulated(np.random.default_rng(3), 20_000, factor), ABC) == pytest.approx(factor, rel=0.05)


def test_temperature_makes_labels_most_likely():
    predictions = simulated(np.random.default_rng(4), 500, 2)
    best = fit_temperature(predictions, ABC)
    losses = [
        metrics.log_loss(predictions["label"], apply_temperature(predictions, ABC, best * step)[list(ABC)])
        for step in (1, 0.95, 1.05)
    ]
    assert losses[0] < min(losses[1:])


def test_probabilities_of_zero_and_perfect_calls_have_a_temperature():
    assert fit_temperature(table("abc", np.eye(3), ABC), ABC) >= TEMPERATURES[0]
    sure = table("abca", np.eye(3)[[0, 1, 2, 1]], ABC)  # the last call is wrong, and sure
    assert 1 < fit_temperature(sure, ABC) <= TEMPERATURES[1]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.2, 5))
def test_temperature_changes_no_call_and_can_be_undone(seed, temperature):
    predictions = simulated(np.random.default_rng(seed), 30)
    scaled = apply_temperature(predictions, ABC, temperature)
    before, after = (t[list(ABC)].to_numpy() for t in (predictions, scaled))
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert after.sum(axis=1) == pytest.approx(1)
    assert apply_temperature(scaled, ABC, 1 / temperature)[list(ABC)].to_numpy() == pytest.approx(before, abs=1e-5)
    pd.testing.assert_frame_equal(predictions[["image_id", "label"]], scaled[["image_id", "label"]])
    shuffled = predictions.sample(frac=1, random_state=seed)
    for score in (expected_calibration_error, brier):
        assert score(shuffled, ABC) == pytest.approx(score(predictions, ABC))
    assert fit_temperature(shuffled, ABC) == pytest.approx(fit_temperature(predictions, ABC))


def test_the_threshold_comes_from_the_validation_images_alone():
    # Nine of ten others stay at or below .5, which is the smallest threshold with a specificity of .9.
    validation = of_positives([0.9], [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.8])
    test = of_positives([0.5, 0.6, 0.7, 0.2], [0.1, 0.55, 0.3, 0.5])
    point = sensitivity_at_specificity(validation, test, AB, "a")
    assert point.threshold == 0.5
    assert point.sensitivity == 0.5  # .6 and .7; .5 is not above the threshold
    assert point.specificity == 0.75
    on_itself = sensitivity_at_specificity(validation, validation, AB, "a")
    assert (on_itself.sensitivity, on_itself.specificity) == (1, 0.9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 0.9, 0.95, 1.0]))
def test_threshold_agrees_with_the_roc_curve(seed, specificity):
    rng = np.random.default_rng(seed)
    validation = of_positives(rng.random(20).round(1), rng.random(30).round(1))
    point = sensitivity_at_specificity(validation, validation, AB, "a", specificity)
    false, true, _ = metrics.roc_curve(validation["label"] == "a", validation["a"], drop_intermediate=False)
    assert point.specificity >= specificity
    assert point.sensitivity == true[1 - false >= specificity - 1e-12].max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positive": "mel"}, "unknown class 'mel'"),
        ({"specificity": 0.0}, "a specificity must be above 0 and at most 1, not 0.0"),
        ({"validation": of_positives([0.5, 0.6], [])}, "every validation image is a"),
        ({"test": of_positives([], [0.5, 0.6])}, "the test images must hold a and other classes"),
        ({"test": of_positives([0.5, 0.6], [])}, "the test images must hold a and other classes"),
    ],
)
def test_impossible_thresholds_are_refused(change, message):
    some = of_positives([0.5, 0.6], [0.1, 0.2])
    with pytest.raises(ValueError, match=message):
        sensitivity_at_specificity(**{"validation": some, "test": some, "classes": AB, "positive": "a"} | change)


@pytest.mark.parametrize("function", [reliability, expected_calibration_error, brier, fit_temperature])
def test_impossible_predictions_are_refused(function):
    with pytest.raises(ValueError, match="image i0 has probabilities that do not sum to 1"):
        function(table("a", [[0.5, 0.4]], AB), AB)


def test_there_is_a_bin_and_a_temperature_is_above_zero():
    predictions = table("a", [[0.5, 0.5]], AB)
    with pytest.raises(ValueError, match="at least one bin, not 0"):
        reliability(predictions, AB, bins=0)
    with pytest.raises(ValueError, match="a temperature must be above 0, not 0"):
        apply_temperature(predictions, AB, 0)
