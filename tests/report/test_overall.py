"""All parts together, on made-up comparisons."""

import pandas as pd
import pytest

from soft_attention.evaluation.random_effects import random_effects
from soft_attention.evaluation.verdict import Difference
from soft_attention.report import comparison, overall
from soft_attention.study.config import Analysis

POINTS = {"frozen": 2.0, "low_rate": 0.0, "tuned": -1.0, "once": 9.0}


@pytest.fixture
def answers():
    row = {"backbone": "mobilenet", "arm": "released", "reference": "baseline", "metric": "accuracy"}
    row |= {"standard_error": 0.005, "detectable": 0.014, "within_margin": 0.5, "p_equivalence_holm": 0.01}
    row |= {"verdict_at_half": "undecided"}
    tables = {}
    for name, points in POINTS.items():
        ends = {"difference": points / 100, "low": points / 100 - 0.01, "high": points / 100 + 0.01}
        found = {"seeds": 1 if name == "once" else 3, "verdict": "equivalent" if points == 0 else "better"}
        tables[name] = pd.DataFrame([row | ends | found])
    return tables


def test_the_mean_over_the_parts_leaves_out_single_trainings(answers):
    table = overall.over_parts(answers, "accuracy")
    assert table["part"].tolist() == [*POINTS, overall.MEAN]
    assert table["points"][:4].tolist() == pytest.approx([*POINTS.values()])
    assert table["detectable_points"][:4].tolist() == pytest.approx([1.4] * 4)
    assert table["percent_within_margin"][:4].tolist() == [50] * 4
    mean = table.iloc[-1]
    expected = random_effects([2.0, 0.0, -1.0], [0.5] * 3)
    assert (mean["points"], mean["points_low"]) == pytest.approx((1 / 3, expected.interval()[0]))
    assert mean["between_parts"] == pytest.approx(expected.between) and mean["is_mean"]


def test_two_parts_have_no_mean(answers):
    few = {name: answers[name] for name in ("frozen", "tuned", "once")}
    assert overall.MEAN not in set(overall.over_parts(few, "accuracy")["part"])


def test_what_is_equivalent_stands_beside_the_test_for_other_training_images(answers, monkeypatch):
    asked = Analysis(endpoint="accuracy", margins={"accuracy": 0.01})
    place = ("mobilenet", "released", "baseline")
    for error, says in ((0.002, "yes"), (0.02, "no")):
        monkeypatch.setattr(comparison, "corrected_t_tests", lambda *_, e=error: {place: Difference(0.001, e, 9)})
        (row,) = overall.equivalences(dict.fromkeys(answers), answers, asked).to_dict("records")
        assert (row["part"], row["equivalent_by_t"], row["t_points"]) == ("low_rate", says, pytest.approx(0.1))
    monkeypatch.setattr(comparison, "corrected_t_tests", lambda *_: {})
    (row,) = overall.equivalences(dict.fromkeys(answers), answers, asked).to_dict("records")
    assert "equivalent_by_t" not in row
