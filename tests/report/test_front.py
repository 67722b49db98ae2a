"""The first screen of a report: the sentences follow from the results, on made-up comparisons."""

import pandas as pd
import pytest

from soft_attention.report import front
from soft_attention.study.config import Study

NO_GAINS = pd.DataFrame({"part": [], "arm": []})
NO_ATTENTION = pd.DataFrame()
NONE = pd.DataFrame()
NO_TESTS = pd.DataFrame({"part": [], "p_holm": []})
PLAN = Study.load("cpu")


def table(points, verdict, seeds=3, backbone="mobilenet", arm="released"):
    row = {"backbone": backbone, "arm": arm, "reference": "baseline", "metric": "balanced_accuracy", "seeds": seeds}
    ends = {"difference": points / 100, "low": points / 100 - 0.01, "high": points / 100 + 0.01}
    facts = {"verdict": verdict, "images": 10, "lesions": 9, "margin": 0.02, "gamma_at_most_0": ""}
    return pd.DataFrame([row | ends | facts])


def answer(answers, outside=None, attention=NO_ATTENTION, generated=False):
    return front.answer(PLAN, answers, NO_GAINS, outside or {}, NO_TESTS, NONE, NONE, attention, generated)


def test_the_answer_counts_the_comparisons_and_gives_the_main_one_in_numbers():
    answers = {"frozen": table(1.7, "better"), "tuned": table(0.1, "equivalent"), "isic": table(-1, "undecided")}
    overall, main = answer(answers, {"frozen": table(0.6, "undecided")})
    assert overall == (
        "**The released unit helps in 1 of 3 comparisons.** In 1 it changes the result by less than 2 points, for "
        "these training images; in 1 these images and trainings do not decide it."
    )
    assert main == (
        "**With the unit, balanced accuracy differs by +1.7 points in the main part, `frozen`** (95 % interval +0.7 to "
        "+2.7) from that of the network without attention; on another test set no gain is shown, +0.6 (-0.4 to +1.6)."
    )


@pytest.mark.parametrize(
    ("verdict", "lead"),
    [
        ("better", "**The released unit helps.**"),
        ("worse", "**The released unit makes the result worse.**"),
        ("equivalent", "**The released unit changes the result by less than 2 points, for these training images.**"),
        ("undecided", "**It is not decided whether the released unit helps.** These images and trainings do not"),
    ],
)
def test_every_verdict_has_its_sentence(verdict, lead):
    assert answer({"a": table(1, verdict)})[0].startswith(lead)


def test_one_training_and_generated_images_are_named():
    overall, _, last = answer({"a": table(9, "undecided", seeds=1)}, generated=True)
    assert "one training decides nothing" in overall and last.startswith("**The images are generated.**")


def test_several_networks_are_told_by_their_ends():
    both = pd.concat([table(-14.5, "undecided"), table(8.5, "undecided", backbone="vgg16")])
    assert "-14.5 to +8.5 points, depending on the network" in answer({"a": both})[1]
    assert front.unit_rows(PLAN, {"a": both})["name"].tolist() == ["MobileNet 0.75", "VGG16"]


def test_without_both_arms_nothing_is_said():
    assert answer({}) == ["**Nothing can be said yet.** The arms that this study compares have not both run."]


def test_an_oracle_makes_it_a_question_of_the_ceiling():
    gains = pd.DataFrame({"part": ["frozen", "frozen", "isic"], "arm": ["lesion", "released", "released"]})
    assert front.with_oracle(gains) == ["frozen"]
    assert front.question(PLAN, gains).startswith("How much does a network gain when it is told where the lesion is?")
    sentences = front.answer(
        PLAN, {"frozen": table(6, "better", arm="lesion")}, gains, {}, NO_TESTS, NONE, NONE, NO_ATTENTION, False
    )
    titles = [sentence.partition("**")[2].partition("**")[0] for sentence in sentences]
    assert titles == [
        "In short, for MobileNet 0.75 in the part `frozen`: knowing the lesion's place helps.",
        "What there was to gain over no attention, in points of balanced accuracy with 95 % intervals.",
        "What the released unit gains.",
        "Against the fixed Gaussian.",
        "What was trained.",
    ]


@pytest.mark.parametrize(
    ("lifts", "said"),
    [
        (
            [(-3, -1), (-2, -1)],
            "in the middle of every image?** Less in 2 of 2 comparisons. In ",
        ),
        (
            [(-3, -1), (1, 2)],
            "Less in 1 of 2 comparisons, more in 1 of 2 comparisons. In ",
        ),
        (
            [(-1, 1), (None, None)],
            "Neither more nor less is shown. In ",
        ),
        ([(None, None)], None),
    ],
)
def test_where_the_unit_looks_is_counted_both_ways(lifts, said, monkeypatch):
    rows = [
        {"part": "p", "backbone": backbone, "arm": "released", "attention_lift": 0.0}
        | {"attention_lift_low": low, "attention_lift_high": high}
        for backbone, (low, high) in zip(("vgg16", "mobilenet"), lifts, strict=False)
    ]
    monkeypatch.setattr(
        front, "remembered", lambda make, table: pd.DataFrame(rows).astype({"attention_lift_low": float})
    )
    sentences = answer({"a": table(1, "better")}, attention=pd.DataFrame({"arm": ["released"]}))
    assert len(sentences) == 2 if said is None else said in sentences[2]
    if said:
        assert (", VGG16, the difference" in sentences[2]) == (lifts[1][0] is not None)
