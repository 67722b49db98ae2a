"""Comparisons and the bias ledger on made-up runs whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from soft_attention import files, paths
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import METRICS, Metric, in_table, score
from soft_attention.report import comparison, figures, ledger, tables
from soft_attention.study.config import Analysis
from soft_attention.study.folder import predictions_file, read_predictions

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
LESIONS = 140
GAINS = (("resnet34", 0.9), ("vgg16", 0.6))


@pytest.fixture
def make_runs(tmp_path, monkeypatch):
    """Runs of one part: an arm calls a share of its images correctly, the same ones in every seed and fold."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path)

    def make(
        part="frozen",
        arms=None,
        backbone="mobilenet",
        seeds=(0, 1),
        folds=(0, 1),
        images=None,
        names=("test", "validation"),
        **facts,
    ):
        rows = []
        for arm, right in (arms or {"baseline": 0.5, "released": 0.9}).items():
            for seed in seeds:
                for fold in folds:
                    folder = tmp_path / part / backbone / arm / f"{seed}-{fold}"
                    folder.mkdir(parents=True)
                    table = predictions(right, fold, len(folds), images)
                    for name in names:
                        files.write_table(folder / predictions_file(name), table)
                    place = {
                        "part": part,
                        "dataset": "ham10000",
                        "backbone": backbone,
                        "arm": arm,
                        "seed": seed,
                        "fold": fold,
                        "folder": folder,
                    }
                    scores = {"balanced_accuracy": right, "n_images": len(table), "classes": list(CLASSES)}
                    scores |= {"split_folds": 5, "planned_folds": len(folds)}
                    rows.append(place | scores | facts)
        return pd.DataFrame(rows)

    return make


def predictions(right, fold=0, folds=1, images=None):
    """Lesions of every class in turn, each third one with two images; of each class the first ones are right."""
    rows = []
    for lesion in range(fold, LESIONS, folds):
        label = lesion // folds % 7
        number = lesion // folds // 7
        correct = number < right * LESIONS / folds / 7
        for view in range(1 + (lesion % 3 == 0)):
            called = label if correct else (label + 1) % 7
            values = np.full(7, 0.05)
            values[called] += 0.65
            rows.append([f"{lesion}-{view}", f"L{lesion}", CLASSES[label], *values])
    table = pd.DataFrame(rows, columns=["image_id", "lesion_id", "label", *CLASSES])
    return table if images is None else table[images(table)].reset_index(drop=True)


def one_each(table):
    """Which images are the first of their lesion."""
    return ~table.lesion_id.duplicated()


def accuracy(table):
    return (np.array(CLASSES)[table[list(CLASSES)].to_numpy().argmax(axis=1)] == table.label).mean()


@pytest.fixture
def analysis():
    pairs = [("released", "baseline"), ("paper", "baseline"), ("paper", "control")]
    return Analysis(comparisons=pairs, draws=200)


def test_a_clear_gain_is_supported_and_arms_that_did_not_run_are_left_out(make_runs, analysis):
    table = comparison.comparisons_table(make_runs(), CLASSES, analysis)
    assert table[["arm", "reference", "metric"]].to_numpy().tolist() == [
        ["released", "baseline", "balanced_accuracy"],
        ["released", "baseline", "accuracy"],
    ]
    row = table.iloc[0]
    assert row.difference == pytest.approx(0.4) and row.low < 0.4 < row.high
    assert (row.verdict, row.seeds, row.lesions) == ("better", 2, LESIONS)
    text = comparison.finding(next(table.itertuples()))
    assert text.startswith("released against baseline: better. Balanced accuracy differs by +40.0 points (")


def test_verdicts_are_for_reading(make_runs, analysis):
    runs = make_runs()
    clear, once = (
        comparison.comparisons_table(part, CLASSES, analysis) for part in (runs, runs[runs["seed"] == runs["seed"][0]])
    )
    table = comparison.verdicts({"clear": clear, "once": once}, "accuracy")
    assert table["part"].tolist() == ["clear", "once"] and table["verdict"][0] == "better"
    assert table["points"].tolist() == pytest.approx([40, 40], abs=1)
    assert (table["points_low"] < table["points"]).all() and (table["points"] < table["points_high"]).all()
    assert table["remarks"].tolist() == ["", "one training each"]


def test_remarks_name_what_a_verdict_leaves_open():
    row = {"verdict": "better", "low": 0.005, "high": 0.05, "margin": 0.02, "gamma_at_most_0": "", "seeds": 2}
    said = [
        comparison.remarks(pd.Series(row | changed))
        for changed in ({}, {"low": 0.021}, {"verdict": "equivalent"}, {"gamma_at_most_0": "5 of 5"}, {"seeds": 1})
    ]
    of_size = ["size open"]
    trained = ["for these training images"]
    assert said == [of_size, [], trained, [*of_size, "unit silent in 5 of 5 runs"], [*of_size, "one training each"]]


def test_a_unit_whose_scale_fell_below_zero_is_named(make_runs, analysis):
    runs = make_runs(arms={"baseline": 0.5, "paper": 0.4, "released": 0.6}, gamma=None)
    runs.loc[runs["arm"] == "paper", "gamma"] = [-0.1, -0.3, 0.0, 0.2]
    table = comparison.comparisons_table(runs, CLASSES, analysis).set_index(["arm", "metric"])
    assert table.loc[("paper", "accuracy"), "gamma_at_most_0"] == "3 of 4"
    assert table.loc[("released", "accuracy"), "gamma_at_most_0"] == ""
    rows = list(comparison.comparisons_table(runs, CLASSES, analysis).itertuples())
    said = [comparison.finding(row).endswith("ended at or below 0 in 3 of 4 runs.") for row in rows]
    assert said == [row.arm == "paper" for row in rows]
    (scales,) = comparison.gamma_table({"frozen": runs}).to_dict("records")
    assert scales == {
        "part": "frozen",
        "backbone": "mobilenet",
        "runs": 4,
        "least": -0.3,
        "mean": pytest.approx(-0.05),
        "largest": 0.2,
        "at_most_0": 3,
    }
    assert comparison.gamma_table({"frozen": runs[runs["arm"] == "released"]}).empty


def test_predictions_that_are_changed_or_lost_are_not_remembered(make_runs):
    runs = make_runs()
    before = comparison.pairs_of_arms(runs, "released", "baseline")
    file = runs[runs["arm"] == "released"]["folder"].iloc[0] / predictions_file("test")
    files.write_table(file, predictions(0.0, 0, 2))
    after = comparison.pairs_of_arms(runs, "released", "baseline")
    right = [(pairs["arm"] == pairs["truth"]).sum() for pairs in (before, after)]
    assert right[1] < right[0] and (before["reference"] == after["reference"]).all()
    file.unlink()
    with pytest.raises(StudyError, match="is missing or damaged"):
        comparison.pairs_of_arms(runs, "released", "baseline")


def test_melanoma_gains_are_paired_and_counted_by_seed(make_runs):
    runs = make_runs(folds=(0,))
    areas = {}
    for run in runs.itertuples():
        table = read_predictions(run.folder)
        areas[run.arm, run.seed] = metrics.roc_auc_score(table["label"] == "mel", table["mel"])
    runs["per_class"] = [{"mel": {"auc": areas[run.arm, run.seed]}} for run in runs.itertuples()]
    (row,) = comparison.melanoma_table({"frozen": runs}).to_dict("records")
    assert row["auc"] == pytest.approx(areas["released", 0])
    assert row["gain"] == pytest.approx(areas["released", 0] - areas["baseline", 0]) and row["gain_low"] > 0
    assert row["gain_low"] < row["gain"] < row["gain_high"]
    assert (row["arm"], row["seeds"], row["seeds_above"]) == ("released", 2, 2)
    half = runs.drop(runs[(runs["arm"] == "baseline") & (runs["seed"] == 1)].index)
    assert comparison.melanoma_table({"frozen": half})["seeds"].tolist() == [1]
    assert comparison.melanoma_table({"frozen": runs[runs["arm"] == "released"]}).empty
    runs["classes"] = [["a", "b"]] * len(runs)
    assert comparison.melanoma_table({"frozen": runs}).empty


def test_the_same_arm_twice_is_equivalent(make_runs, analysis):
    runs = make_runs(arms={"baseline": 0.5, "released": 0.5})
    table = comparison.comparisons_table(runs, CLASSES, analysis)
    assert set(table.verdict) == {"equivalent"} and set(table.difference) == {0.0}


def test_how_much_a_comparison_can_tell_stands_beside_its_verdict(make_runs):
    """A gain of 5 points, one lesion in twenty of each class, is surely below 15 and may be above half of that."""
    asked = Analysis(margins={"balanced_accuracy": 0.15}, draws=1000)
    runs = make_runs(arms={"baseline": 0.5, "released": 0.55}, folds=(0,))
    (row,) = comparison.comparisons_table(runs, CLASSES, asked).to_dict("records")
    assert row["difference"] == pytest.approx(0.05) and row["within_margin"] > 0.99
    assert (row["verdict"], row["verdict_at_half"]) == ("equivalent", "better")
    assert row["detectable"] == pytest.approx(2.8 * row["standard_error"], rel=0.1)
    once = comparison.comparisons_table(runs[runs["seed"] == 0], CLASSES, asked)
    assert once["verdict_at_half"].tolist() == ["undecided"]


def test_arms_of_two_parts_are_compared_where_both_have_run(make_runs):
    pairs = [
        ("pool:baseline", "frozen:baseline"),
        ("frozen:released", "pool:baseline"),
        ("pool:baseline", "late:paper"),
    ]
    asked = Analysis(across=pairs, draws=200)
    frozen = make_runs("frozen", seeds=(0, 1, 2))
    parts = {"frozen": frozen, "pool": make_runs("pool", arms={"baseline": 0.7, "released": 0.7})}
    table = comparison.across_table(parts, asked).query("metric == 'balanced_accuracy'")
    assert [*zip(table["arm"], table["reference"], strict=True)] == pairs[:2]
    assert table["difference"].tolist() == pytest.approx([0.2, 0.2]) and table["seeds"].tolist() == [2, 2]
    alone = comparison.across_table(parts, asked.model_copy(update={"across": pairs[:1]}))
    assert table["p_holm"].tolist()[0] == pytest.approx(min(1, 2 * alone["p_holm"][0])), "one family"
    assert comparison.across_table({"late": frozen}, asked).empty and comparison.across_table(parts, Analysis()).empty
    assert len(figures.verdict_plot(comparison.verdicts({"across": table}, "balanced_accuracy"), 0.02, "").axes) == 1


def test_all_that_is_compared_is_put_to_the_test_over_runs(make_runs):
    parts = {"frozen": make_runs("frozen"), "late": make_runs("late"), "leaky": make_runs("leaky")}
    across = [("late:released", "frozen:baseline"), ("late:baseline", "frozen:baseline")]
    asked = Analysis(comparisons=[("released", "baseline")], across=across, alternatives=["frozen", "late"], draws=200)
    tests = comparison.all_tests(parts, ["frozen", "frozen or late"], asked)
    assert tests["part"].tolist() == ["frozen", "frozen or late", comparison.ACROSS, comparison.ACROSS]
    assert tests["difference"].tolist() == pytest.approx([0.4, 0.4, 0.4, 0])
    assert tests["p_holm"].tolist()[2:] == pytest.approx([2 * tests["p"][2], 1]), "the pairs across are one family"
    assert comparison.all_tests(parts, ["late"], Analysis(comparisons=asked.comparisons))["part"].tolist() == ["late"]


def test_networks_are_compared_with_those_of_their_own_backbone_only(make_runs, analysis):
    gains = {"vgg16": {"baseline": 0.5, "released": 0.9}, "resnet34": {"baseline": 0.7, "released": 0.7}}
    runs = pd.concat([make_runs(arms=arms, backbone=name) for name, arms in reversed(gains.items())])
    table = comparison.comparisons_table(runs, CLASSES, analysis).query("metric == 'balanced_accuracy'")
    assert table.backbone.tolist() == ["vgg16", "resnet34"] and table.seeds.tolist() == [2, 2]
    assert table.difference.tolist() == pytest.approx([0.4, 0])
    assert comparison.tests_table(runs, analysis).difference.tolist() == pytest.approx([0.4, 0])
    calibrated = comparison.calibration_table(runs)
    assert (calibrated.backbone + " " + calibrated.arm).tolist() == [
        *("vgg16 baseline", "vgg16 released", "resnet34 baseline", "resnet34 released")
    ]
    curves = comparison.reliability_curves({"frozen": runs.assign(protocol="clean")})
    assert [len(axes.lines) for axes in figures.reliability_plot(curves, "t").axes] == [3, 3]


def test_validation_images_choose_between_settings_run_by_run(make_runs):
    high, low = make_runs("high", arms={"baseline": 0.5, "paper": 0.4}), make_runs("low", seeds=(0,), folds=(0, 1))
    low = pd.concat([low, make_runs("low", arms={"paper": 0.7}, seeds=(0,))])
    asked = Analysis(comparisons=[("paper", "baseline")], draws=100, alternatives=["high", "low"])
    ((name, chosen),) = comparison.preferred({"high": high, "low": low}, asked).items()
    assert name == "high or low"
    assert chosen[["arm", "seed", "fold", "part"]].to_numpy().tolist() == [
        ["baseline", 0, 0, "high"],  # alike in both parts
        ["baseline", 0, 1, "high"],
        ["paper", 0, 0, "low"],
        ["paper", 0, 1, "low"],
    ]
    assert comparison.preferences({name: chosen}).to_numpy().tolist() == [
        ["high or low", "baseline", "high", 2],
        ["high or low", "paper", "low", 2],
    ]
    table = comparison.comparisons_table(chosen, CLASSES, asked)
    assert table["difference"].tolist() == pytest.approx([0.2, 0.2], abs=0.02) and set(table["seeds"]) == {1}
    assert not comparison.preferred({"high": high}, asked)


def test_parts_without_a_comparison_or_with_a_leak_answer_nothing(make_runs, analysis):
    parts = {
        "asked": make_runs("asked", leak=False),
        "leak": make_runs("leak", leak=True),
        "other arms": make_runs("other", arms={"baseline": 0.5, "control": 0.5}, leak=False),
        "one arm": make_runs("one", arms={"baseline": 0.5}, leak=False),
    }
    assert list(comparison.answers(parts, analysis)) == ["asked"]


def test_the_outside_test_set_answers_for_the_parts_that_predicted_it(make_runs, analysis):
    names = ("test", "validation", "external")
    parts = {
        "inside": make_runs("inside", leak=False, external=False),
        "both": make_runs("both", names=names, leak=False, external=True),
    }
    assert list(comparison.answers(parts, analysis)) == ["inside", "both"]
    assert list(comparison.answers(parts, analysis, "external")) == ["both"]
    arms = analysis.model_copy(update={"comparisons": [("released", "baseline"), ("lesion", "baseline")]})
    oracle = parts["inside"].query("arm == 'released'").assign(arm="lesion")  # without a mask it predicts nothing there
    outside = comparison.answers({"both": pd.concat([parts["both"], oracle])}, arms, "external")["both"]
    assert set(outside["arm"]) == {"released"}


def test_melanoma_is_compared_on_the_same_images(make_runs):
    fewer = make_runs("other", {"released": 0.9}, images=lambda table: table["image_id"] != "4-0")
    runs = pd.concat([make_runs(arms={"baseline": 0.5}), fewer.assign(part="frozen")])
    with pytest.raises(ValueError, match="the arms of seed 0, fold 0 differ in their images"):
        comparison.melanoma_difference(runs, "released", "baseline", "mel")


def test_only_whole_seeds_that_both_arms_finished_are_compared(make_runs, analysis):
    runs = make_runs(seeds=(0, 1, 2))
    cut = runs.drop(index=runs.query("arm == 'released' and seed == 1 and fold == 1").index)
    assert set(comparison.complete(cut, ("released", "baseline")).seed) == {0, 2}
    assert comparison.comparisons_table(cut, CLASSES, analysis).seeds.tolist() == [2, 2]
    assert comparison.complete(runs.query("fold == 0"), ("released", "baseline")).empty, "the plan has two folds"


def test_folds_that_predict_the_same_images_are_one_replicate_of_their_seed(make_runs, analysis):
    runs = make_runs(folds=(0,), names=("test", "external"), external=True)
    both = pd.concat([runs, runs.assign(fold=1)])
    once, twice = (comparison.comparisons_table(each, CLASSES, analysis, "external").iloc[0] for each in (runs, both))
    assert (twice.seeds, twice.images, twice.lesions) == (once.seeds, once.images, once.lesions) == (2, 187, LESIONS)
    assert twice.difference == pytest.approx(once.difference)
    assert comparison.external_table(runs).arm.tolist() == ["baseline", "released"]


@pytest.mark.parametrize("protocol, other", [("authors", "validation"), ("clean", "test")])
def test_the_choice_of_the_other_subset_stands_beside(make_runs, protocol, other):
    runs = make_runs(folds=(0,), names=("test", f"{other}-choice")).assign(protocol=protocol)
    for run in runs.itertuples():
        if run.arm == "released":
            files.write_table(run.folder / predictions_file(f"{other}-choice"), predictions(1.0))
    table = comparison.choices_table(runs).set_index("arm")
    assert table["runs"].tolist() == [2, 2]
    assert table.loc["released", f"accuracy_by_{other}"] == 1 > table.loc["released"].filter(like="accuracy_by").min()
    assert table.loc["baseline", "accuracy_by_test"] == table.loc["baseline", "accuracy_by_validation"]
    assert comparison.choices_table(make_runs("other").assign(protocol=protocol)).empty


def test_a_metric_that_is_added_stands_in_every_table(make_runs, monkeypatch):
    """The least recall of a class: one entry in `METRICS`."""
    monkeypatch.setitem(METRICS, "least_recall", Metric("least recall", lambda of: of.recall.min(axis=-1)))
    runs = make_runs(
        names=("test", "validation", "external"), study="mine", protocol="clean", leak=False, external=True
    )
    scores = pd.DataFrame([score(read_predictions(folder), CLASSES) for folder in runs["folder"]])
    runs = runs[[*runs.columns.difference(scores.columns)]].join(scores)
    gain = runs.groupby("arm")["least_recall"].mean().diff()["released"]
    assert gain > 0.2
    for table in (tables.networks_table(runs), comparison.external_table(runs)):
        assert table["least_recall"].diff()[1] == pytest.approx(gain)
    assert tables.attention_gain(runs)["least_recall_gain"].tolist() == pytest.approx([gain])
    assert ledger.ledger({"frozen": runs})["least_recall"][0] == pytest.approx(100 * gain, abs=3)
    analysis = Analysis(endpoint="least_recall", margins={"least_recall": 0.02}, draws=200)
    found = comparison.comparisons_table(runs, CLASSES, analysis)
    assert comparison.finding(found.iloc[0]).split(". ")[1].startswith("Least recall differs by +")
    assert comparison.verdicts({"frozen": found}, "least_recall")["points"][0] == pytest.approx(100 * gain, abs=10)


def test_one_training_of_each_arm_decides_nothing(make_runs, analysis):
    table = comparison.comparisons_table(make_runs(seeds=(0,)), CLASSES, analysis)
    assert table.low[0] > 0.2 and set(table.verdict) == {"undecided"}
    assert "one training each, so the interval is for other lesions only" in comparison.finding(table.iloc[0])


def test_equivalence_is_corrected_for_the_family_too(make_runs):
    runs = make_runs(arms={"baseline": 0.5, "released": 0.5, "paper": 0.5})
    alone = Analysis(comparisons=[("released", "baseline")], draws=200)
    family = Analysis(comparisons=[("released", "baseline"), ("paper", "baseline")], draws=200)
    one, two = (comparison.comparisons_table(runs, CLASSES, each).p_equivalence_holm[0] for each in (alone, family))
    assert two == pytest.approx(2 * one)


def test_the_test_over_runs_agrees_on_a_clear_gain(make_runs, analysis):
    runs = make_runs()
    (row,) = comparison.tests_table(runs, analysis).itertuples()
    assert row.runs == 4 and row.difference == pytest.approx(0.4) and row.p < 1e-6
    assert comparison.tests_table(runs[runs["fold"] == 0], analysis).empty


def test_the_t_test_knows_how_many_images_were_trained_on(make_runs):
    runs = make_runs()  # of five folds one is tested and, here, as many images choose the epoch: three are left
    assert comparison._tested_per_trained(runs) == pytest.approx(1 / 3)


def test_calibration_has_a_row_per_arm_in_their_order(make_runs):
    table = comparison.calibration_table(make_runs(arms={"released": 0.9, "baseline": 0.7}))
    assert table.arm.tolist() == ["baseline", "released"] and table.runs.tolist() == [4, 4]
    assert table.ece.to_numpy() == pytest.approx([0, 0.2], abs=0.05)
    assert (table.ece_after <= table.ece + 1e-6).all()


def test_images_that_chose_the_epoch_are_told_apart(make_runs):
    runs = make_runs(protocol="clean")
    assert list(comparison.unchosen({"clean": runs, "authors": runs.assign(protocol="authors")})) == ["clean"]


def test_reliability_is_drawn_for_every_arm(make_runs):
    runs = make_runs(protocol="clean")
    curves = comparison.reliability_curves({"frozen": runs, "redraws": runs.assign(protocol="authors")})
    assert curves.part.unique().tolist() == ["frozen"], "images that chose the epoch tell nothing of calibration"
    assert curves.arm.unique().tolist() == ["baseline", "released"]
    images = len(predictions(1))
    for arm, right in (("baseline", 0.5), ("released", 0.9)):
        (row,) = curves[curves.arm == arm].dropna().itertuples()  # every call has the same confidence
        assert row.count == 2 * images and row.accuracy == pytest.approx(right, abs=0.02)
        assert row.confidence == pytest.approx(0.7)
    (axes,) = figures.reliability_plot(curves, "t").axes
    assert len(axes.lines) == 3


def test_the_ledger_finds_what_was_put_in(make_runs):
    frozen = make_runs(arms={"baseline": 0.5, "released": 0.6})
    leak = make_runs("leak", arms={"baseline": 0.7, "released": 0.8}, images=one_each)
    weighted = make_runs("melanoma_weight", arms={"baseline": 0.4, "released": 0.5})
    table = ledger.ledger({"frozen": frozen, "leak": leak, "melanoma_weight": weighted})
    assert table["moves"].tolist() == [ledger.GAIN] + [ledger.SCORE] * 5  # two seeds are too few for more of the first
    table = table.set_index("entry")
    assert table.loc["attention itself", "balanced_accuracy"] == pytest.approx(10, abs=0.8)
    assert table.loc["leakage, all tested lesions", "balanced_accuracy"] == pytest.approx(20, abs=0.8)
    assert table["replicates"].tolist() == [4, 4, 4, 8, 8, 8]
    assert table.loc["leakage, lesions that leak", "images"] == sum(lesion % 3 == 0 for lesion in range(LESIONS))
    assert table.loc["melanoma weight 5", "balanced_accuracy"] == pytest.approx(-10, abs=0.8)
    clean = pd.concat([predictions(0.5, fold, 2) for fold in (0, 1)])
    single = clean[~clean.lesion_id.duplicated(keep=False)]
    expected = 100 * (accuracy(single) - accuracy(clean))
    assert table.loc["only lesions with a single image", "accuracy"] == pytest.approx(expected)
    nevi = table.loc["weighting by class frequency"]
    assert nevi["accuracy"] == pytest.approx(100 * (accuracy(clean) - 0.5), abs=0.8) and np.isnan(
        nevi["balanced_accuracy"]
    )
    for metric in ("accuracy", "weighted_precision"):
        assert (table[f"{metric}_low"] <= table[metric] + 1e-9).all()
        assert (table[metric] <= table[f"{metric}_high"] + 1e-9).all()


def test_the_ledger_tells_the_gain_apart_from_the_score(make_runs):
    """Both arms do better on lesions with one image; attention gains the same there and by every score."""
    table = ledger.ledger({"frozen": make_runs(seeds=(0, 1, 2))}).set_index(["moves", "entry"])
    assert table.index.get_level_values("moves").tolist() == [ledger.GAIN] * 3 + [ledger.SCORE] * 2
    assert table.loc[(ledger.GAIN, "attention itself"), "accuracy"] == pytest.approx(40, abs=1)
    clean = {right: predictions(right) for right in (0.5, 0.9)}
    single = {right: rows[~rows.lesion_id.duplicated(keep=False)] for right, rows in clean.items()}
    gain = {name: accuracy(rows[0.9]) - accuracy(rows[0.5]) for name, rows in (("all", clean), ("single", single))}
    pool = table.loc[(ledger.GAIN, "only lesions with a single image")]
    assert pool["accuracy"] == pytest.approx(100 * (gain["single"] - gain["all"]), abs=0.8)
    assert pool["accuracy_low"] <= pool["accuracy"] <= pool["accuracy_high"]


def test_the_ledger_has_what_leakage_and_a_class_weight_do_to_the_gain(make_runs):
    """Attention gains 10 points, 30 with a leak and 20 with the weight."""
    seeds, right = (0, 1, 2), {"baseline": 0.5, "released": 0.6}
    parts = {"frozen": make_runs(arms=right, seeds=seeds)}
    for part, gained in (("leak", 0.8), ("melanoma_weight", 0.7)):
        parts[part] = make_runs(part, arms=right | {"released": gained}, seeds=seeds)
    table = ledger.ledger(parts).set_index(["moves", "entry"]).loc[ledger.GAIN]
    entries = ["leakage, all tested lesions", "leakage, lesions that leak", "melanoma weight 5"]
    assert table.loc[entries, "balanced_accuracy"].tolist() == pytest.approx([20, 20, 10], abs=2)
    assert (table.loc[entries, "balanced_accuracy_low"] > 0).all()
    assert table.loc[entries, "replicates"].tolist() == [6, 6, 6]


def test_choosing_on_the_test_set_and_redraws(make_runs):
    arms = {"baseline": 0.6, "released": 0.7}
    redraws = make_runs("redraws", arms, seeds=(0, 1, 2), folds=(0,), names=("test",), images=one_each)
    for folder in redraws.folder:
        files.write_table(folder / predictions_file("validation-choice"), predictions(0.5, images=one_each))
    scored = redraws.assign(accuracy=redraws.balanced_accuracy, weighted_precision=redraws.balanced_accuracy)
    table = ledger.ledger({"frozen": make_runs(), "redraws": scored}).set_index(["moves", "entry"])
    checkpoint = table.loc[:, "checkpoint chosen on the test set", :]["balanced_accuracy"]
    assert checkpoint[ledger.SCORE] == pytest.approx(15, abs=0.8)
    assert checkpoint[ledger.GAIN] == pytest.approx(10, abs=0.8)  # the validation set's choice has no gain
    table = table.droplevel("moves")
    luck, noise = (table.loc[f"luck of {what}"] for what in ("split and training", f"{LESIONS} test images alone"))
    assert luck[["accuracy", "accuracy_low", "accuracy_high"]].tolist() == pytest.approx([0, 0, 0])  # all draws alike
    assert luck["range"] == noise["range"] == ledger.SPREAD
    apart = 0.1  # the share of the images that only one arm calls correctly
    binomial = 196 * np.sqrt((apart - apart**2) / LESIONS)
    assert [-noise["accuracy_low"], noise["accuracy_high"]] == pytest.approx([binomial] * 2, rel=0.15)
    (legend,) = figures.ledger_plot(table.reset_index(), in_table("ledger"), "t").legends
    assert [text.get_text() for text in legend.get_texts()] == [ledger.INTERVAL, ledger.SPREAD]


def test_a_study_without_the_parts_has_no_ledger(make_runs):
    assert ledger.ledger({"synthetic-clean": make_runs("")}).empty
    assert ledger.ledger({"frozen": make_runs(dataset="own")}).empty


def test_runs_without_a_partner_leave_their_entries_out(make_runs):
    frozen = make_runs(arms={"baseline": 0.5}, seeds=(0,))
    alone = make_runs("melanoma_weight", arms={"released": 0.5}, seeds=(0, 1))
    redraws = make_runs("redraws", arms={"baseline": 0.5}, seeds=(0, 1, 2), folds=(0,), names=("test",))
    table = ledger.ledger({"frozen": frozen, "melanoma_weight": alone, "leak": alone, "redraws": redraws})
    assert set(table["entry"]) == {"only lesions with a single image", "weighting by class frequency"}
    some = pd.concat([frozen, frozen.assign(arm="released", folder=alone["folder"][:2].to_list())])
    table = ledger.ledger({"frozen": some, "melanoma_weight": alone})
    (row,) = table[table["entry"] == "melanoma weight 5"].to_dict("records")
    assert row["replicates"] == 2 and row["balanced_accuracy"] == 0  # seed 1 has no partner


def test_the_replicate_of_a_score_is_the_seed_and_not_the_arm(make_runs):
    """The arms move by 10 and by 30 points in every seed: no seed differs from another, however much the arms do."""
    frozen, moved = {"baseline": 0.4, "released": 0.4}, {"baseline": 0.5, "released": 0.7}
    runs, other = make_runs(arms=frozen), make_runs("melanoma_weight", arms=moved)
    table = ledger.ledger({"frozen": runs, "melanoma_weight": other}).set_index("entry")
    row = table.loc["melanoma weight 5"]
    assert row["balanced_accuracy"] == pytest.approx(20, abs=1)
    assert row["balanced_accuracy_high"] - row["balanced_accuracy_low"] < 15


def test_every_backbone_has_its_own_ledger(make_runs):
    runs = pd.concat([make_runs(backbone=name, arms={"baseline": 0.5, "released": right}) for name, right in GAINS])
    table = ledger.ledger({"frozen": runs}).query("entry == 'attention itself'")
    assert table.backbone.tolist() == ["vgg16", "resnet34"]
    assert table.balanced_accuracy.tolist() == pytest.approx([10, 40], abs=0.8)


def test_the_published_gains_are_those_of_the_table():
    gain = ledger.published_gain()
    assert gain["weighted_precision"] == pytest.approx(3.2, abs=0.05)
    assert gain["accuracy"] == pytest.approx(2.3, abs=0.05)
