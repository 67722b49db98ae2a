"""What was there to gain: the table and the sentences, on made-up comparisons whose answers are known."""

import pandas as pd
import pytest

from soft_attention.report import comparison, figures, gained
from soft_attention.study.config import Analysis, Study

PAIRS = [("lesion", "baseline"), ("centre", "baseline"), ("released", "baseline"), ("released", "uniform")]
ASKED = Analysis(comparisons=[*PAIRS, ("released", "centre"), ("lesion", "centre")], draws=100)


def answer(arm, reference, points, half_width=1.0, verdict=None, **facts):
    """A row as of `comparison.comparisons_table`, with the verdict that its interval allows."""
    clear = abs(points) > half_width
    verdict = verdict or (("better" if points > 0 else "worse") if clear else "undecided")
    row = {"backbone": "mobilenet", "arm": arm, "reference": reference, "metric": "balanced_accuracy"}
    ends = {"low": (points - half_width) / 100, "high": (points + half_width) / 100}
    row |= {"difference": points / 100, "margin": 0.02, "verdict": verdict, "gamma_at_most_0": ""}
    return row | ends | {"seeds": 5, "lesions": 700} | facts


def runs(*arms):
    return pd.DataFrame(
        {
            "arm": arms,
            "backbone": "mobilenet",
            "classes": [["a", "b"]] * len(arms),
            "fold": 0,
            "seed": 0,
            "planned_folds": 1,
        }
    )


def gains(answers, *arms):
    parts = {name: runs("baseline", *arms) for name in answers}
    return gained.gains_table(parts, {name: pd.DataFrame(rows) for name, rows in answers.items()}, ASKED)


def test_the_gains_stand_in_the_order_of_the_arms_with_the_oracle_last():
    frozen = [answer("lesion", "baseline", 6), answer("centre", "baseline", 5), answer("released", "baseline", 1.5)]
    tuned = [answer("lesion", "baseline", 0.5), answer("released", "baseline", -0.5), answer("released", "uniform", 3)]
    table = gains({"frozen": frozen, "tuned": tuned}, "lesion", "centre", "released")
    assert (table["part"] + " " + table["arm"]).tolist() == [
        *("frozen released", "frozen centre", "frozen lesion", "tuned released", "tuned lesion")
    ]
    assert (table["gain"] - table["gain_low"]).tolist() == pytest.approx([1] * 5)
    figure = figures.gains_plot(table, "points", "t")
    lines = [[line.get_label() for line in axes.lines if line.get_linestyle() == "--"] for axes in figure.axes]
    assert lines == [["the oracle"]] * 2
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["released unit", "centred Gaussian", "true lesion (oracle)"]


def test_without_a_baseline_nothing_is_gained():
    assert gains({"frozen": [answer("released", "uniform", 3)]}, "released").empty
    assert gained.gains_table({}, {}, ASKED).empty


NO_ACROSS = pd.DataFrame()
NO_TESTS = pd.DataFrame({"part": [], "p_holm": []})


def test_the_headline_says_what_the_verdicts_allow():
    frozen = [answer(*pair, points) for pair, points in zip(ASKED.comparisons, (6, 5, 1.5, 0.5, -3.5, 1), strict=True)]
    tuned = [answer("lesion", "baseline", 0.2, verdict="equivalent"), answer("centre", "baseline", 0.5, seeds=1)]
    answers = {"frozen": pd.DataFrame(frozen), "fine_tuned": pd.DataFrame(tuned)}
    outside = {"frozen": pd.DataFrame([answer("released", "baseline", 0.6)]), "rate": pd.DataFrame()}
    tests = pd.DataFrame(
        {"part": "frozen", "arm": ["lesion", "centre"], "reference": "baseline", "p_holm": [0.01, 0.06]}
    )
    study = Study.load("ceiling").model_copy(update={"analysis": ASKED})
    names = ["frozen", "fine_tuned", "frozen_isic2017", "off_centre"]
    short, of_tuned, preliminary, to_gain, gain, gaussian, trained, absent = gained.headline(
        study, answers, names, tests, NO_ACROSS, ["fine_tuned 3 of 9"], left=735
    )
    elsewhere, stricter = gained.details(study, answers, names, outside, tests, NO_ACROSS)
    assert short == (
        "**In short, for MobileNet 0.75 in the part `frozen`: knowing the lesion's place helps; a fixed Gaussian in "
        "the middle of every image helps (a stricter test does not confirm it); the released attention unit helps; "
        "the unit does worse than the Gaussian.**"
    )
    assert of_tuned == (
        "**In short, for MobileNet 0.75 in the part `fine_tuned`: knowing the lesion's place changes the result by "
        "less than 2 points, for these training images; a fixed Gaussian in the middle of every image is not shown to "
        "help.**"
    )
    assert preliminary == "**Preliminary.** Finished runs: fine_tuned 3 of 9. Verdicts may change."
    assert to_gain == (
        "**What there was to gain over no attention, in points of balanced accuracy with 95 % "
        "intervals.** An oracle is told where the lesion is; no real system is. It gains +6.0 (+5.0 to +7.0) in "
        "`frozen`, differs by less than 2 points, for these training images, +0.2 (-0.8 to +1.2) in `fine_tuned`; a "
        "Gaussian, the same bell-shaped weights in the middle of every image, gains +5.0 (+4.0 to +6.0) in `frozen`, "
        "is not shown to gain or lose, +0.5 (-0.5 to +1.5) in `fine_tuned` (one training each)."
    )
    assert "every place weighted alike, it is not shown to gain or lose, +0.5 (-0.5 to +1.5) in `frozen`" in gain
    assert gaussian.startswith("**Against the fixed Gaussian.** The released unit is worse, -3.5 (-4.5 to -2.5)")
    assert "against it the released unit is not shown to gain or lose, +0.6 (-0.4 to +1.6) in `frozen`" in elsewhere
    assert stricter.endswith(
        "over runs, confirms 3 of the 4 differences of `frozen` that are called better or worse. It does not confirm: "
        "centred Gaussian against no attention (p = 0.06)."
    )
    assert trained.startswith("**What was trained.** `frozen`: only the unit and the last layer")
    assert "`fine_tuned`: the whole network is trained" in trained
    assert absent.startswith(
        "**Not measured yet.** 735 of the 1,135 planned trainings, among them `frozen_isic2017`: as frozen"
    )


def test_the_frame_and_the_normalisation_are_spoken_of_where_they_were_taken_apart():
    study, rows = Study.load("ceiling"), pd.DataFrame([answer("released", "baseline", 1)])
    across = pd.DataFrame(
        [
            answer("frame_pool_dropout:baseline", "frozen:baseline", -4),
            answer("frame_untrained:released", "frozen:uniform", 0.1, verdict="equivalent"),
            answer("frame_no_norm:baseline", "frozen:baseline", -9),
            answer("channels_1:released", "frozen:baseline", 2),
        ]
    )
    without = pd.DataFrame([answer("released", "baseline", 0.5), answer("released", "uniform", -1.5)])
    tests = pd.DataFrame({"part": "frame_no_norm", "arm": ["released"], "reference": "uniform", "p_holm": [0.8]})
    answers = {"frozen": rows, "frame_no_norm": without}
    gain = gained.headline(study, answers, ["frozen"], tests, across)[2]
    other = "Where it reads three other channels, drawn by chance (5 seeds), it gains +2.0 to +2.0, better in 1 of 1"
    assert gain.endswith(f"{other}.")
    tested = pd.DataFrame({"part": comparison.ACROSS, "arm": ["channels_1:released"], "reference": "frozen:baseline"})
    gain = gained.headline(study, answers, ["frozen"], tested.assign(p_holm=0.2), across)[2]
    assert gain.endswith(f"{other} (a stricter test confirms 0 of these).")
    assert gained.details(study, answers, ["frozen"], {}, tests, across)[:2] == [
        "**The frame of the unit, and the unit untrained.** Its max-pooling and dropout, put into the network without "
        "attention: that network is worse, -4.0 (-5.0 to -3.0); a unit left at its random weights, against a uniform "
        "map, differs by less than 2 points, for these training images, +0.1 (-0.9 to +1.1).",
        "**The normalisation before the last layer** is ours: frozen networks have it here, released ones do not. "
        "Without it the network without attention is worse, -9.0 (-10.0 to -8.0); also without it, the unit against no "
        "attention is not shown to gain or lose, +0.5 (-0.5 to +1.5); also without it, the unit against a uniform map "
        "is worse, -1.5 (-2.5 to -0.5), perhaps less than 2 points (a stricter test does not confirm it).",
    ]


def test_windows_with_the_lesion_anywhere_have_a_sentence_of_their_own():
    rows = [answer("lesion", "centre", 3), answer("lesion", "baseline", 1.5, verdict="undecided")]
    answers = {"frozen": pd.DataFrame([answer("lesion", "baseline", 4)]), "off_centre": pd.DataFrame(rows)}
    study = Study.load("ceiling")
    assert (
        "It gains +4.0 (+3.0 to +5.0); a Gaussian"
        in gained.headline(study, answers, [*answers], NO_TESTS, NO_ACROSS)[1]
    )
    assert gained.details(study, answers, [*answers], {}, NO_TESTS, NO_ACROSS) == [
        "**Where the lesion is anywhere**, in windows of half of each side (`off_centre`). Against the network without "
        "attention the oracle is not shown to gain or lose after Holm's correction (which intervals are without), +1.5 "
        "(+0.5 to +2.5); against the Gaussian the oracle gains +3.0 (+2.0 to +4.0)."
    ]


def test_runs_that_validation_images_prefer_have_a_sentence_too():
    study, rows = Study.load("ceiling"), pd.DataFrame([answer("centre", "baseline", 4)])
    answers = {"frozen": rows, comparison.name_of_preferred(study.analysis): rows}
    assert gained.details(study, answers, ["frozen"], {}, NO_TESTS, NO_ACROSS) == [
        "**When validation images choose** for each run between `rate_0.001`, `rate_0.003`, `frozen` and `rate_0.03`. "
        "Against the network without attention the Gaussian gains +4.0 (+3.0 to +5.0)."
    ]


def test_a_gain_that_may_be_too_small_is_said_to_be():
    rows = pd.DataFrame([answer("released", "baseline", 1.5), answer("released", "uniform", 3.5)])
    _, _, gain, *_ = gained.headline(Study.load("ceiling"), {"frozen": rows}, ["frozen"], NO_TESTS, NO_ACROSS)
    assert "it gains +1.5 (+0.5 to +2.5), perhaps less than 2 points; against" in gain
    assert gain.endswith("it gains +3.5 (+2.5 to +4.5).")


def test_melanoma_has_a_sentence_of_the_arms_that_the_answer_is_about():
    rows = [("frozen", "released", -0.007), ("frozen", "se", 0.01), ("other", "centre", 0), ("frozen", "lesion", 0.002)]
    table = pd.DataFrame(rows, columns=["part", "arm", "gain"]).assign(gain_low=-0.01, gain_high=0.01)
    assert gained.melanoma(table, "frozen") == (
        "**Melanoma.** Gain of its AUC in `frozen`, in points, the intervals without Holm's correction: "
        "released unit -0.7 (-1.0 to +1.0); "
        "true lesion (oracle) +0.2 (-1.0 to +1.0)."
    )


def test_one_part_is_named_once():
    rows = pd.DataFrame([answer("lesion", "baseline", -3), answer("released", "baseline", 0.1, verdict="equivalent")])
    study = Study.load("ceiling")
    short, *rest, _, _ = gained.headline(study, {"frozen": rows}, ["frozen", "fine_tuned"], NO_TESTS, NO_ACROSS)
    assert "place harms" in short and "changes the result by less than 2 points, for these training images.**" in short
    assert not any("in `frozen`" in sentence and "has not been measured" not in sentence for sentence in rest)


@pytest.mark.parametrize("pairs", [[("released", "centre")], [("centre", "baseline"), ("released", "centre")]])
def test_the_short_answer_takes_any_comparisons(pairs):
    rows = pd.DataFrame([answer(*pair, -3) for pair in pairs])
    short, *_ = gained.headline(Study.load("ceiling"), {"frozen": rows}, ["frozen"], NO_TESTS, NO_ACROSS)
    assert short.endswith("the unit does worse than the Gaussian.**")


def test_a_study_that_has_not_run_claims_nothing():
    *sentences, absent = gained.headline(Study.load("ceiling"), {}, ["frozen"], NO_TESTS, NO_ACROSS)
    assert absent.startswith("**Not measured yet.** `frozen`: ") and len(sentences) == 3
    for sentence in sentences:
        assert sentence.count("has not been measured in `frozen`") == 2 and "gains +" not in sentence
