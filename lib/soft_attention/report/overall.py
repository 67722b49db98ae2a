"""All parts of a study taken together: what one comparison found everywhere, and what its equivalence rests on."""

from collections.abc import Mapping

import pandas as pd

from soft_attention.evaluation.random_effects import random_effects
from soft_attention.evaluation.verdict import EQUIVALENT
from soft_attention.report import comparison
from soft_attention.study.config import Analysis

FEWEST_PARTS = 3
MEAN = "mean over the parts"


def over_parts(answers: Mapping[str, pd.DataFrame], metric: str) -> pd.DataFrame:
    """Every comparison in every part, and below them the mean over the parts, by one metric, in points (hundredths).

    Columns: arm, reference, part, backbone, points with points_low and points_high, detectable_points (the difference
    that this part finds with 80 %), percent_within_margin (of the draws), verdict, verdict_at_half (were the margin
    half of it), is_mean and, for the mean, between_parts: the standard deviation of the true differences.

    The mean is that of `random_effects`, over the parts with two seeds or more, where there are `FEWEST_PARTS`. It
    takes the parts as independent; those that test the same lesions are not, so it says where they lie together and
    decides nothing.

    Args:
        answers: from `comparison.answers`.
    """
    tables = [table[table["metric"] == metric].assign(part=name) for name, table in answers.items()]
    rows = []
    for (arm, reference), found in pd.concat(tables).groupby(["arm", "reference"], sort=False):
        place = {"arm": arm, "reference": reference}
        rows += [place | _row(row) for row in found.itertuples()]
        several = found[(found["seeds"] > 1) & (found["standard_error"] > 0)]
        if len(several) >= FEWEST_PARTS:
            mean = random_effects(100 * several["difference"], 100 * several["standard_error"])
            facts = {"part": MEAN, "is_mean": True, "between_parts": mean.between}
            rows.append(place | facts | _points(mean.estimate, *mean.interval()))
    return pd.DataFrame(rows)


def equivalences(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> pd.DataFrame:
    """The comparisons that are called equivalent, for these training images, beside the test that also asks for others.

    Columns: part, backbone, arm, reference, points with points_low and points_high, p_equivalence_holm, and of the
    corrected resampled t-test over runs, for other training images too: t_points with t_points_low and t_points_high
    (every image counts the same), p_equivalence_t (uncorrected), and equivalent_by_t. Missing where there are no folds.
    By the endpoint.
    """
    keys, rows = ["backbone", "arm", "reference"], []
    for name, table in answers.items():
        found = table[(table["metric"] == analysis.endpoint) & (table["verdict"] == EQUIVALENT)]
        if found.empty:
            continue
        asked = analysis.model_copy(update={"comparisons": [*zip(found["arm"], found["reference"], strict=True)]})
        runs, margin = parts[name], analysis.margins[analysis.endpoint]
        tests = comparison.corrected_t_tests(runs, asked)
        for row in found.itertuples():
            numbers = _points(row.difference, row.low, row.high, 100) | {"p_equivalence_holm": row.p_equivalence_holm}
            place = {"part": name} | {key: getattr(row, key) for key in keys}
            if t := tests.get((row.backbone, row.arm, row.reference)):
                numbers |= {f"t_{key}": value for key, value in _points(t.estimate, *t.interval(), 100).items()}
                p_value = t.p_equivalence(margin)
                numbers |= {"p_equivalence_t": p_value, "equivalent_by_t": "yes" if p_value < 0.05 else "no"}
            rows.append(place | numbers)
    return pd.DataFrame(rows)


def _row(row) -> dict:
    return {
        "part": row.part,
        "backbone": row.backbone,
        **_points(row.difference, row.low, row.high, 100),
        "verdict": row.verdict,
        "detectable_points": 100 * row.detectable,
        "percent_within_margin": 100 * row.within_margin,
        "verdict_at_half": row.verdict_at_half,
        "is_mean": False,
    }


def _points(value: float, low: float, high: float, times: float = 1) -> dict[str, float]:
    return {"points": times * value, "points_low": times * low, "points_high": times * high}
