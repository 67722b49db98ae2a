"""Pairs of arms and their bootstrap, against known answers and a simulation."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from soft_attention import paths
from soft_attention.evaluation.bootstrap import (
    bootstrap_mean,
    bootstraps_of_change,
    pair_predictions,
    paired_bootstraps,
    resample_lesions,
)
from soft_attention.evaluation.metrics import of_predictions, score
from soft_attention.evaluation.verdict import EQUIVALENT, verdict

ABC = ("a", "b", "c")


def paired_bootstrap(pairs, classes, metric="balanced_accuracy", *options, **more):
    """The difference of one score."""
    return paired_bootstraps(pairs, classes, [metric], *options, **more)[metric]


def runs_of_an_arm(rng, facts, seeds=(0, 1, 2), lean=1.0):
    """Predictions of every seed below each other, on the images of `facts`, in an order of their own."""
    tables = []
    for seed in seeds:
        raw = np.exp(rng.normal(size=(len(facts), 3)) + lean * np.eye(3)[pd.Index(ABC).get_indexer(facts["label"])])
        probabilities = pd.DataFrame(raw / raw.sum(axis=1, keepdims=True), columns=list(ABC), index=facts.index)
        tables.append(
            facts.join(probabilities).assign(seed=seed, fold=0).sample(frac=1, random_state=rng.integers(2**32))
        )
    return pd.concat(tables, ignore_index=True)


def some_facts(rng, lesions=60):
    """Images of lesions that have one to three each, and one class."""
    lesion = np.repeat(np.arange(lesions), rng.integers(1, 4, lesions))
    names = {"image_id": [f"i{number}" for number in range(len(lesion))], "lesion_id": [f"l{k}" for k in lesion]}
    return pd.DataFrame(names | {"label": np.array(ABC)[lesion % 3]})


def two_arms(seed=0, **options):
    rng = np.random.default_rng(seed)
    facts = some_facts(rng)
    return runs_of_an_arm(rng, facts, lean=1.5, **options), runs_of_an_arm(rng, facts, lean=1.0, **options)


def hand_pairs(truth, arm, reference, lesions=None, seed=0):
    """Pairs of one seed from class numbers."""
    images = range(len(truth))
    lesions = images if lesions is None else lesions
    table = {"seed": seed, "image_id": images, "lesion_id": lesions, "truth": truth, "arm": arm, "reference": reference}
    return pd.DataFrame(table)


# --- pairs ----------------------------------------------------------------------------------------


def test_pairs_are_matched_by_seed_and_image():
    arm, reference = two_arms()
    pairs = pair_predictions(arm, reference, ABC)
    assert list(pairs) == ["seed", "fold", "image_id", "lesion_id", "truth", "arm", "reference"]
    for table, name in ((arm, "arm"), (reference, "reference")):
        rows = table.set_index(["seed", "image_id"]).loc[list(zip(pairs["seed"], pairs["image_id"], strict=True))]
        assert (rows[list(ABC)].to_numpy().argmax(axis=1) == pairs[name]).all()
        assert (np.array(ABC)[pairs["truth"]] == rows["label"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[t["seed"] < 2], "only one of the arms has predictions of seed 2, fold 0"),
        (lambda t: t[t["image_id"] != "i3"], "the arms of seed 0, fold 0 differ in their images"),
        (
            lambda t: t.assign(image_id=t["image_id"].replace("i3", "other")),
            "the arms of seed 0, fold 0 differ in their images",
        ),
        (
            lambda t: t.assign(lesion_id=t["lesion_id"].mask((t["seed"] == 2) & (t["image_id"] == "i3"), "new")),
            "the arms of seed 2, fold 0 differ in their images, lesions",
        ),
        (lambda t: t.assign(lesion_id=t["image_id"]), "the arms of seed 0, fold 0 differ in their images, lesions"),
        (lambda t: t.assign(label="a"), "the arms of seed 0, fold 0 differ in their images, lesions or labels"),
        (lambda t: pd.concat([t, t[t["seed"] == 1]]), "is predicted more than once"),
        (lambda t: t.drop(columns="seed"), "lack the column seed"),
        (lambda t: t.drop(columns="fold"), "lack the column fold"),
        (lambda t: t[:0], "hold no image"),
        (lambda t: t.assign(a=2.0), "has a probability outside 0 to 1"),
    ],
)
def test_arms_that_are_no_pair_are_refused(change, message):
    arm, reference = two_arms()
    with pytest.raises(ValueError, match=message):
        pair_predictions(arm, change(reference), ABC)


# --- bootstrap ------------------------------------------------------------------------------------


def test_difference_by_hand_for_images_and_for_lesions():
    # Lesion 0 has three images of class a, of which the arm calls two and the reference none; lesion 1, one of a,
    # called by both; lesion 2, one of b, called by the reference only.
    pairs = hand_pairs([0, 0, 0, 0, 1], [0, 0, 2, 0, 0], [1, 2, 2, 0, 1], [0, 0, 0, 1, 2])

    def estimate(metric, unit):
        return paired_bootstrap(pairs, ABC, metric, unit, draws=100).estimate

    assert estimate("accuracy", "image") == pytest.approx(3 / 5 - 2 / 5)
    assert estimate("accuracy", "lesion") == pytest.approx((2 / 3 + 1) / 3 - (0 + 1 + 1) / 3)
    assert estimate("balanced_accuracy", "image") == pytest.approx((3 / 4 + 0) / 2 - (1 / 4 + 1) / 2)
    assert estimate("balanced_accuracy", "lesion") == pytest.approx(((2 / 3 + 1) / 2 + 0) / 2 - (1 / 2 + 1) / 2)
    # Called a: four, three rightly; the reference calls a once and b twice, rightly once each.
    assert estimate("weighted_precision", "image") == pytest.approx(4 / 5 * 3 / 4 - (4 / 5 * 1 + 1 / 5 * 1 / 2))


def test_estimate_is_the_mean_over_seeds_of_the_scores():
    arm, reference = two_arms()
    pairs = pair_predictions(arm, reference, ABC)
    found = {
        name: pd.DataFrame([score(rows, ABC) for _, rows in table.groupby("seed")])
        for name, table in (("arm", arm), ("reference", reference))
    }
    for metric in of_predictions():
        difference = paired_bootstrap(pairs, ABC, metric, "image", draws=100)
        assert difference.estimate == pytest.approx((found["arm"][metric] - found["reference"][metric]).mean())
    assert (difference.images, difference.lesions, difference.seeds) == (arm["image_id"].nunique(), 60, 3)


@pytest.mark.parametrize("metric", of_predictions())
def test_a_draw_takes_the_same_lesions_for_both_arms_and_every_seed(metric):
    arm, reference = two_arms()
    pairs = pair_predictions(arm, reference, ABC)
    _, drawn = resample_lesions(pairs, ABC, [metric], "image", 5, 5)[metric]
    lesions = np.unique(pairs["lesion_id"])
    picks = np.random.default_rng(5).integers(len(lesions), size=(5, len(lesions)))
    for values, pick in zip(drawn, picks, strict=True):
        for seed, value in enumerate(values):
            groups = dict(list(pairs[pairs["seed"] == seed].groupby("lesion_id")))
            rows = pd.concat([groups[lesions[number]] for number in pick])
            expected = [sklearn_score(metric, rows["truth"], rows[name]) for name in ("arm", "reference")]
            assert value == pytest.approx(expected[0] - expected[1])


def sklearn_score(metric, truth, called):
    if metric == "accuracy":
        return metrics.accuracy_score(truth, called)
    if metric.endswith("_precision"):
        average = metric.removesuffix("_precision")
        return metrics.precision_score(truth, called, labels=range(3), average=average, zero_division=0)
    return metrics.balanced_accuracy_score(truth, called)


def test_with_one_seed_the_interval_is_the_lesion_bootstrap():
    pairs = pair_predictions(*two_arms(seeds=(4,)), ABC)
    difference = paired_bootstrap(pairs, ABC, draws=500)
    metric = "balanced_accuracy"
    _, drawn = resample_lesions(pairs, ABC, [metric], "lesion", 500, 0)[metric]
    assert difference.interval(0.9) == pytest.approx(tuple(np.percentile(drawn[:, 0], [5, 95])))
    assert difference.standard_error == pytest.approx(drawn.std(ddof=1))


def test_lesions_that_every_seed_finds_hard_are_no_new_evidence():
    """Five copies of one seed: the interval stays as wide, where fresh lesions in each seed would narrow it."""
    once = pair_predictions(*two_arms(seeds=(0,)), ABC)
    five = pd.concat([once.assign(seed=seed) for seed in range(5)])
    assert paired_bootstrap(five, ABC, draws=300).standard_error == pytest.approx(
        paired_bootstrap(once, ABC, draws=300).standard_error
    )


def test_seeds_that_differ_widen_the_interval_as_student_does():
    """With many images in lesions that are all alike, the seeds' own t-test remains."""
    rng = np.random.default_rng(2)
    images, gains = 20_000, [0.0, 0.1, 0.25, 0.3, 0.2]
    tables = [
        hand_pairs([0] * images, rng.random(images) > 0.5 + gain, rng.random(images) > 0.5, np.arange(images) % 100, k)
        for k, gain in enumerate(gains)
    ]
    pairs = pd.concat(tables).astype({"arm": int, "reference": int})
    difference = paired_bootstrap(pairs, ("a", "b"), "accuracy", draws=2000)
    low, high = stats.t.interval(0.95, 4, np.mean(gains), stats.sem(gains))
    assert difference.interval() == pytest.approx((low, high), abs=0.03)
    assert difference.standard_error == pytest.approx(stats.sem(gains), rel=0.1)


def test_the_bootstrap_of_a_mean_is_that_of_accuracy_where_the_values_are_hits():
    pairs = pair_predictions(*two_arms(), ABC)
    gains = pairs.assign(gain=1.0 * (pairs["arm"] == pairs["truth"]) - (pairs["reference"] == pairs["truth"]))
    mean, accuracy = bootstrap_mean(gains, "gain", 300), paired_bootstrap(pairs, ABC, "accuracy", "image", 300)
    assert mean.estimate == pytest.approx(accuracy.estimate)
    assert mean.draws == pytest.approx(accuracy.draws)
    assert (mean.images, mean.lesions, mean.seeds) == (accuracy.images, accuracy.lesions, accuracy.seeds)


def test_the_bootstrap_of_one_value_per_lesion_is_the_interval_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    table = pd.DataFrame({"image_id": range(400), "lesion_id": range(400), "seed": 0, "value": values})
    half = 1.96 * values.std() / 20
    interval = bootstrap_mean(table, "value", 4000).interval()
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.01)


def test_trainings_that_differ_widen_the_interval_of_a_mean():
    """On lesions that are all alike the interval is Student's over the seeds."""
    shifts = [0.1, 0.2, 0.6]
    table = pd.DataFrame({"image_id": [*range(50)] * 3, "lesion_id": [*range(50)] * 3})
    table = table.assign(seed=np.repeat([0, 1, 2], 50), value=np.repeat(shifts, 50))
    low, high = stats.t.interval(0.95, 2, np.mean(shifts), stats.sem(shifts))
    assert bootstrap_mean(table, "value", 20_000).interval() == pytest.approx((low, high), abs=0.05)
    with pytest.raises(ValueError, match="at least two lesions, this table has 1"):
        bootstrap_mean(table.assign(lesion_id="one"), "value")


def test_a_change_of_the_difference_is_paired_draw_by_draw():
    pairs, others = (pair_predictions(*two_arms(number), ABC) for number in (0, 0))
    others = others.assign(arm=others["reference"])  # no difference there, so the change is the difference here
    change = bootstraps_of_change(pairs, others, ABC, {"it": ("accuracy", "accuracy")}, draws=300)["it"]
    alone = paired_bootstrap(pairs, ABC, "accuracy", draws=300)
    assert change == alone and change.draws == pytest.approx(alone.draws)
    same = bootstraps_of_change(pairs, pairs, ABC, {"it": ("accuracy", "accuracy")}, draws=300)["it"]
    assert (same.estimate, same.interval()) == (0, (0, 0))
    scores = {"it": ("accuracy", "balanced_accuracy")}
    kinder = bootstraps_of_change(pairs, pairs, ABC, scores, draws=300)["it"]
    each = [paired_bootstrap(pairs, ABC, metric, draws=300).estimate for metric in scores["it"]]
    assert kinder.estimate == pytest.approx(each[0] - each[1])
    with pytest.raises(ValueError, match="differ in their column lesion_id"):
        bootstraps_of_change(pairs, pairs[pairs["lesion_id"] != "l0"], ABC, scores)


def test_equal_arms_differ_by_nothing():
    arm, _ = two_arms()
    for metric in of_predictions():
        difference = paired_bootstrap(pair_predictions(arm, arm, ABC), ABC, metric, draws=200)
        assert (difference.estimate, difference.standard_error, difference.p_value()) == (0, 0, 1)
        assert difference.interval() == (0, 0)
        assert verdict(difference, 0.01) == EQUIVALENT


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(of_predictions()), st.sampled_from(["lesion", "image"]))
def test_bootstrap_is_symmetric_and_does_not_depend_on_the_order_of_rows(seed, metric, unit):
    arm, reference = two_arms(seed, seeds=(0, 1))
    pairs = pair_predictions(arm, reference, ABC)
    first = paired_bootstrap(pairs, ABC, metric, unit, draws=50)
    shuffled = pair_predictions(arm.sample(frac=1, random_state=seed), reference, ABC)
    second = paired_bootstrap(shuffled, ABC, metric, unit, draws=50)
    assert first == second
    assert first.interval() == second.interval()
    swapped = pair_predictions(reference, arm, ABC)
    assert paired_bootstrap(swapped, ABC, metric, unit, draws=50).estimate == -first.estimate
    found, drawn = resample_lesions(pairs, ABC, [metric], unit, 50, 0)[metric]
    other_found, other_drawn = resample_lesions(swapped, ABC, [metric], unit, 50, 0)[metric]
    assert (found == -other_found).all()
    assert (drawn == -other_drawn).all()


def test_bootstrap_is_reproducible():
    pairs = pair_predictions(*two_arms(), ABC)
    assert paired_bootstrap(pairs, ABC, draws=100).interval() == paired_bootstrap(pairs, ABC, draws=100).interval()
    assert paired_bootstrap(pairs, ABC, draws=100) != paired_bootstrap(pairs, ABC, draws=100, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "acuracy"}, "unknown metric 'acuracy'.*did you mean 'accuracy'"),
        ({"unit": "patient"}, "unknown unit 'patient'"),
    ],
)
def test_impossible_bootstraps_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(hand_pairs([0, 1], [0, 1], [0, 0]), ABC, **options)


def test_a_draw_without_a_lesion_of_some_seed_is_no_evidence():
    rng = np.random.default_rng(0)
    seeds = {0: range(3), 1: range(3, 14), 2: range(3, 14)}  # as where each seed tests lesions of its own
    rows = [(seed, 0, f"I{i}", f"L{i}", rng.integers(2)) for seed, lesions in seeds.items() for i in lesions]
    pairs = pd.DataFrame(rows, columns=["seed", "fold", "image_id", "lesion_id", "truth"])
    pairs["arm"], pairs["reference"] = pairs["truth"], (pairs["truth"] + rng.integers(2, size=len(pairs))) % 2
    found = paired_bootstraps(pairs, ("a", "b"), ["accuracy"], draws=2_000)["accuracy"]
    assert 1_800 < len(found.draws) < 2_000 and np.isfinite(found.draws).all()
    low, high = found.interval()
    assert low < found.estimate < high and 0 < found.standard_error < 1


def test_bootstrap_needs_two_lesions():
    with pytest.raises(ValueError, match="at least two lesions"):
        paired_bootstrap(hand_pairs([0, 0], [0, 0], [0, 1], lesions=[7, 7]), ABC)


def test_p_values_agree_with_the_intervals():
    difference = paired_bootstrap(pair_predictions(*two_arms(), ABC), ABC, draws=500)
    (low, high), (inner_low, inner_high) = difference.interval(0.95), difference.interval(0.9)
    assert low < inner_low < difference.estimate < inner_high < high
    assert (difference.p_value() < 0.05) == (low > 0 or high < 0)
    assert (difference.p_equivalence(0.02) < 0.05) == (inner_low > -0.02 and inner_high < 0.02)


# --- simulation -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_of_comparisons", paths.ROOT / "benchmarks/comparisons.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("world", ["trainings do not matter", "lesions suit an arm", "seeds differ"])
def test_the_interval_covers_the_true_difference(benchmark, world):
    """Within three Monte-Carlo errors of 95 %, or above."""
    table = benchmark.measure(world, 0.0, datasets=40, lesions=500, seeds=5, draws=300, margin=0.05)
    assert table["covers: bootstrap"].mean() > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 40)
    assert table["finds a difference: corrected t over runs"].mean() < 0.05 + 3 * np.sqrt(0.95 * 0.05 / 40)


def test_a_large_difference_is_found_and_never_called_equivalent(benchmark):
    table = benchmark.measure("trainings do not matter", 0.1, datasets=20, lesions=900, seeds=5, draws=300, margin=0.05)
    assert table["finds a difference: bootstrap"].mean() > 0.8
    assert not table["finds equivalence: bootstrap"].any()
