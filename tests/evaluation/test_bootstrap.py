import importlib.util

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from MLstatkit import Delong_test
from scipy import stats
from sklearn import metrics
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from soft_attention import paths
from soft_attention.evaluation.bootstrap import (
    EQUIVALENT,
    METRICS,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    Difference,
    auc_contributions,
    bootstrap_mean,
    bootstraps_of_change,
    corrected_t,
    delong,
    holm,
    mcnemar_midp,
    pair_predictions,
    paired_bootstrap,
    resample_lesions,
    smallest_detectable_difference,
    variance_components,
    verdict,
)
from soft_attention.evaluation.metrics import score

ABC = ("a", "b", "c")


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
    for metric in METRICS:
        difference = paired_bootstrap(pairs, ABC, metric, "image", draws=100)
        assert difference.estimate == pytest.approx((found["arm"][metric] - found["reference"][metric]).mean())
    assert (difference.images, difference.lesions, difference.seeds) == (arm["image_id"].nunique(), 60, 3)


@pytest.mark.parametrize("metric", METRICS)
def test_a_draw_takes_the_same_lesions_for_both_arms_and_every_seed(metric):
    arm, reference = two_arms()
    pairs = pair_predictions(arm, reference, ABC)
    _, drawn = resample_lesions(pairs, ABC, [metric], "image", 5, np.random.default_rng(5))[metric]
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
    _, drawn = resample_lesions(pairs, ABC, [metric], "lesion", 500, np.random.default_rng(0))[metric]
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
    for metric in METRICS:
        difference = paired_bootstrap(pair_predictions(arm, arm, ABC), ABC, metric, draws=200)
        assert (difference.estimate, difference.standard_error, difference.p_value()) == (0, 0, 1)
        assert difference.interval() == (0, 0)
        assert verdict(difference, 0.01) == EQUIVALENT


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(METRICS), st.sampled_from(["lesion", "image"]))
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
    found, drawn = resample_lesions(pairs, ABC, [metric], unit, 50, np.random.default_rng(0))[metric]
    other_found, other_drawn = resample_lesions(swapped, ABC, [metric], unit, 50, np.random.default_rng(0))[metric]
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


def test_bootstrap_needs_two_lesions():
    with pytest.raises(ValueError, match="at least two lesions"):
        paired_bootstrap(hand_pairs([0, 0], [0, 0], [0, 1], lesions=[7, 7]), ABC)


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimate", "standard_error", "expected"),
    [
        (0.05, 0.01, SUPPORTED),
        (-0.05, 0.01, NOT_SUPPORTED),
        (0.0, 0.01, EQUIVALENT),
        (0.01, 0.02, UNDECIDED),
        (0.01, 0.001, EQUIVALENT),  # surely above 0, and surely less than what counts
        (0.019, 0.002, SUPPORTED),  # above 0, perhaps less than what counts
        (-0.019, 0.002, NOT_SUPPORTED),
        (0.0, 0.02 / 1.64, UNDECIDED),
        (0.0, 0.02 / 1.65, EQUIVALENT),
    ],
)
def test_verdicts_of_normal_differences(estimate, standard_error, expected):
    difference = Difference(estimate, standard_error)
    assert verdict(difference, 0.02) == expected
    low, high = difference.interval(0.9)
    assert (max(abs(low), abs(high)) < 0.02) == (expected == EQUIVALENT)
    low, high = difference.interval()
    if expected != EQUIVALENT:
        assert (low > 0, high < 0) == (expected == SUPPORTED, expected == NOT_SUPPORTED)


def test_verdicts_of_a_family_go_by_the_corrected_p():
    difference = Difference(0.05, 0.0235)
    assert difference.p_value() == pytest.approx(0.0334, abs=1e-4)
    assert verdict(difference, 0.02) == SUPPORTED
    assert verdict(difference, 0.02, p_value=holm([difference.p_value(), 0.04])[0]) == UNDECIDED
    assert verdict(difference, 0.02, level=0.99) == UNDECIDED


def test_a_margin_is_above_zero():
    with pytest.raises(ValueError, match="a margin must be above 0, not 0"):
        verdict(Difference(0, 1), 0)


def test_p_values_agree_with_the_intervals():
    difference = paired_bootstrap(pair_predictions(*two_arms(), ABC), ABC, draws=500)
    (low, high), (inner_low, inner_high) = difference.interval(0.95), difference.interval(0.9)
    assert low < inner_low < difference.estimate < inner_high < high
    assert (difference.p_value() < 0.05) == (low > 0 or high < 0)
    assert (difference.p_equivalence(0.02) < 0.05) == (inner_low > -0.02 and inner_high < 0.02)


def test_equivalence_agrees_with_statsmodels():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 30))
    mean, error = (first - second).mean(), stats.sem(first - second)
    expected = ttost_paired(first, second, -0.5, 0.5)[0]
    assert Difference(mean, error, 29).p_equivalence(0.5) == pytest.approx(expected)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_holm_agrees_with_statsmodels(number):
    p_values = np.random.default_rng(number).uniform(0, 0.5, number).round(1)  # with ties
    np.testing.assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1])


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


# --- McNemar --------------------------------------------------------------------------------------


def correct_of(arm_only, reference_only, both=5, neither=3):
    """Two columns of booleans with these counts."""
    kinds = [(True, False)] * arm_only + [(False, True)] * reference_only
    return np.array(kinds + [(True, True)] * both + [(False, False)] * neither).T


def test_mcnemar_midp_of_the_published_examples():
    """The two examples of Fagerland et al. 2013: children after a transplantation, and response to chemotherapy."""
    result = mcnemar_midp(*correct_of(1, 7, 1, 12))
    assert (result.arm_only, result.reference_only) == (1, 7)
    assert result.p_value == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_midp(*correct_of(6, 16, 59, 80)).p_value == pytest.approx(0.0347, abs=5e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_midp_against_the_exact_test(arm_only, reference_only):
    correct = correct_of(arm_only, reference_only)
    result = mcnemar_midp(*correct)
    exact = mcnemar([[5, arm_only], [reference_only, 3]], exact=True).pvalue
    assert mcnemar_midp(*correct[::-1]).p_value == pytest.approx(result.p_value)
    assert 0 < result.p_value <= exact
    if arm_only == reference_only:
        assert result.p_value > 0.5
    else:
        point = stats.binom.pmf(arm_only, arm_only + reference_only, 0.5)
        assert result.p_value == pytest.approx(exact - point)


def test_mcnemar_of_equal_arms():
    assert mcnemar_midp(*correct_of(0, 0)).p_value == 1
    assert mcnemar_midp(*correct_of(2, 2)).p_value == pytest.approx(1 - 6 / 16 / 2)


def test_mcnemar_needs_the_same_images():
    with pytest.raises(ValueError, match="the same images, not for 2, 1"):
        mcnemar_midp([True, False], [True])


# --- AUC ------------------------------------------------------------------------------------------


def some_scores(rng, images=80, decimals=None):
    positive = np.arange(images) < images // 3
    shared = rng.normal(size=images)
    values = [positive * lean + shared + rng.normal(size=images) for lean in (1.5, 1.0)]
    return positive, *(values if decimals is None else np.round(values, decimals))


@pytest.mark.parametrize("decimals", [None, 0])
def test_delong_agrees_with_two_libraries(decimals):
    positive, first, second = some_scores(np.random.default_rng(3), decimals=decimals)
    difference = delong(positive, first, second)
    areas = [metrics.roc_auc_score(positive, values) for values in (first, second)]
    assert difference.estimate == pytest.approx(areas[0] - areas[1])
    z, p_value = Delong_test(positive, second, first, return_ci=False, return_auc=False)
    assert difference.p_value() == pytest.approx(p_value)
    assert difference.estimate / difference.standard_error == pytest.approx(z)


def test_delong_by_hand():
    # The arm puts every positive first. The reference has 3 of 4 pairs right: .4 < .5.
    difference = delong([1, 1, 0, 0], [0.9, 0.8, 0.2, 0.1], [0.9, 0.4, 0.5, 0.1])
    assert difference.estimate == 0.25
    # Placements of the reference: positives 1 and .5, others .5 and 1; variance .125 of each, by 2 images each.
    assert difference.standard_error == pytest.approx(np.sqrt(0.125 / 2 + 0.125 / 2))


def test_delong_with_lesions_counts_copies_once():
    positive, first, second = some_scores(np.random.default_rng(4))
    once = delong(positive, first, second)
    assert delong(positive, first, second, np.arange(80)) == once
    tripled = [np.repeat(values, 3) for values in (positive, first, second, np.arange(80))]
    assert delong(*tripled).standard_error == pytest.approx(once.standard_error)
    assert delong(*tripled[:3]).standard_error < 0.6 * once.standard_error


@pytest.mark.parametrize("decimals", [None, 0])
def test_contributions_to_an_area_have_its_difference_as_mean_and_its_error(decimals):
    positive, first, second = some_scores(np.random.default_rng(5), 1200, decimals)
    lesions = np.arange(1200) // 2
    expected = delong(positive, first, second, lesions)
    contributions = auc_contributions(positive, first, second)
    assert contributions.mean() == pytest.approx(expected.estimate)
    table = pd.DataFrame({"image_id": range(1200), "lesion_id": lesions, "seed": 0, "value": contributions})
    found = bootstrap_mean(table, "value", 4000)
    assert found.standard_error == pytest.approx(expected.standard_error, rel=0.05)
    assert found.interval() == pytest.approx(expected.interval(), abs=0.003)
    with pytest.raises(ValueError, match="a positive image and another one"):
        auc_contributions(np.ones(1200), first, second)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 1]))
def test_delong_is_symmetric_and_does_not_depend_on_order_or_scale(seed, decimals):
    rng = np.random.default_rng(seed)
    positive, first, second = some_scores(rng, 30, decimals)
    lesions = np.arange(30) // 2
    difference = delong(positive, first, second, lesions)
    swapped = delong(positive, second, first, lesions)
    assert swapped.estimate == -difference.estimate
    assert swapped.p_value() == pytest.approx(difference.p_value())
    order = rng.permutation(30)
    moved = delong(positive[order], np.exp(first[order]), second[order], lesions[order])
    assert (moved.estimate, moved.standard_error) == pytest.approx((difference.estimate, difference.standard_error))
    same = delong(positive, first, first, lesions)
    assert (same.estimate, same.standard_error, same.p_value()) == (0, 0, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 0], [0.5, 0.4], [0.5, 0.4]), "two positive lesions and two others"),
        (([1, 1, 1], [0.5, 0.4, 0.3], [0.5, 0.4, 0.3]), "two positive lesions and two others"),
        (([1, 1, 0, 0], [0.5] * 3, [0.5] * 4), "the same images, not for 4, 3, 4, 4"),
        (([1, 1, 0, 0], [0.5] * 4, [0.5] * 4, [1, 2, 2, 3]), "a lesion holds positive and other images"),
    ],
)
def test_impossible_areas_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        delong(*arguments)


# --- over runs ------------------------------------------------------------------------------------


def test_corrected_t_by_hand():
    difference = corrected_t([0.00, 0.01, 0.02, 0.03, 0.04], 0.25)
    error = np.sqrt((1 / 5 + 1 / 4) * 0.00025)
    assert difference.estimate == pytest.approx(0.02)
    assert difference.standard_error == pytest.approx(error)
    assert difference.freedom == 4
    assert difference.p_value() == pytest.approx(2 * stats.t.sf(0.02 / error, 4))
    assert difference.interval() == pytest.approx(stats.t.interval(0.95, 4, 0.02, error))


def test_corrected_t_becomes_the_usual_one_without_shared_training():
    values = np.random.default_rng(0).normal(0.3, 1, 20)
    assert corrected_t(values, 1e-12).p_value() == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert corrected_t(values, 0.2).p_value() == pytest.approx(corrected_t(-values, 0.2).p_value())
    assert corrected_t([0.0] * 5, 0.2).p_value() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(([0.1], 0.2), "at least two runs"), (([0.1, 0.2], 0.0), "tested_per_trained must be above 0, not 0.0")],
)
def test_impossible_runs_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        corrected_t(*arguments)


def test_variance_components_by_hand():
    # Effects of seed (0, 3), of fold (0, 1), and of the last cell alone 2: rows 0 1, 3 6.
    runs = pd.DataFrame({"seed": [0, 0, 1, 1], "fold": [0, 1, 0, 1], "gain": [0.0, 1.0, 3.0, 6.0]})
    # Rows .5 and 4.5: variance 8. Columns 1.5 and 3.5: 2. Left: ±.5 in four cells with one degree of freedom: 1.
    assert variance_components(runs, "gain") == pytest.approx({"seed": 8 - 1 / 2, "fold": 2 - 1 / 2, "residual": 1})


def test_variance_components_find_what_was_simulated():
    rng = np.random.default_rng(0)
    values = 2 * rng.normal(size=(200, 1)) + rng.normal(size=(1, 200)) + 3 * rng.normal(size=(200, 200))
    runs = pd.DataFrame(values).stack().rename_axis(["seed", "fold"]).rename("gain").reset_index()
    found = variance_components(runs.sample(frac=1, random_state=0), "gain")
    assert found == pytest.approx({"seed": 4, "fold": 1, "residual": 9}, rel=0.25)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0), (0, 1), (1, 0)], "a run for every seed and fold"),
        ([(0, 0), (0, 1)], "at least two of each"),
        ([(0, 0), (0, 0), (1, 0), (1, 1)], "one run for every seed and fold"),
    ],
)
def test_variance_components_need_a_full_table(rows, message):
    runs = pd.DataFrame(rows, columns=["seed", "fold"]).assign(gain=1.0)
    with pytest.raises(ValueError, match=message):
        variance_components(runs, "gain")


def test_smallest_detectable_differences_of_the_plan():
    """Points, at 4 and 8 % discordant images."""
    plan = {600: (2.29, 3.23), 828: (1.95, 2.75), 1512: (1.44, 2.04), 7470: (0.65, 0.92), 10015: (0.56, 0.79)}
    found = 100 * smallest_detectable_difference(np.array(list(plan))[:, None], [0.04, 0.08])
    assert found.round(2).tolist() == [list(row) for row in plan.values()]


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
    if world == "trainings do not matter":
        assert table["finds a difference: McNemar, one image per lesion"].mean() < 0.05 + 3 * np.sqrt(0.95 * 0.05 / 40)


def test_a_large_difference_is_found_and_never_called_equivalent(benchmark):
    table = benchmark.measure("trainings do not matter", 0.1, datasets=20, lesions=500, seeds=5, draws=300, margin=0.05)
    assert table["finds a difference: bootstrap"].mean() > 0.8
    assert not table["finds equivalence: bootstrap"].any()
