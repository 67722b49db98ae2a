"""Every other score by the comparisons of the endpoint: what is not the endpoint is shown too, decided or not."""

from collections.abc import Mapping, Sequence

import pandas as pd

from soft_attention.data.catalog import melanoma
from soft_attention.evaluation import bootstrap
from soft_attention.evaluation.metrics import of_predictions
from soft_attention.evaluation.verdict import BootstrapDifference, holm
from soft_attention.report import comparison
from soft_attention.study.config import Analysis

MELANOMA_AUC = "melanoma_auc"
DRAWS = 2_000  # for the scores without a verdict
HIGHER, LOWER, OPEN = "higher", "lower", "open"


def scores_table(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> pd.DataFrame:
    """One row per part, score and comparison that the study fixed: the endpoint's references for every score.

    Columns: part, backbone, arm, reference, score, points (hundredths) with points_low and points_high (95 %, for other
    lesions and other trainings), p_holm (over the comparisons of a part and score), decided: `HIGHER` or `LOWER` where
    p_holm is below .05, else `OPEN`, as always with one training of each arm; and seeds, with seeds_above, in how many
    of them the difference is above 0, for the AUC of melanoma.

    Args:
        parts, answers: from `load.by_part` and `comparison.answers`. What has a margin is taken from the answers; the
            others, where every lesion counts the same, and the AUC of melanoma, where every image does, are computed
            here.
    """
    rows = []
    for name, table in answers.items():
        given = [_row(row, row.metric, row.p_holm) for row in table.itertuples()]
        rows += [{"part": name} | row for row in [*given, *_others(parts[name], analysis)]]
    return pd.DataFrame(rows)


def _others(runs: pd.DataFrame, analysis: Analysis) -> list[dict]:
    """The rows of one part for the scores without a margin."""
    classes = runs["classes"].iloc[0]
    metrics = [metric for metric in of_predictions() if metric not in analysis.margins]
    positive = melanoma(classes)
    found = {metric: [] for metric in [*metrics, *([MELANOMA_AUC] if positive else [])]}
    for place, paired in comparison.compared(runs, analysis):
        facts = dict(zip(("backbone", "arm", "reference"), place, strict=True))
        pairs = comparison.pairs_of_arms(paired, *place[1:])
        draws = min(DRAWS, analysis.draws)
        differences = bootstrap.paired_bootstraps(pairs, classes, metrics, draws=draws) if metrics else {}
        for metric, difference in differences.items():
            found[metric].append((facts, difference))
        if positive:
            difference, by_seed = comparison.melanoma_difference(paired, *place[1:], positive)
            found[MELANOMA_AUC].append((facts | {"seeds_above": int((by_seed > 0).sum())}, difference))
    return [row for metric, family in found.items() for row in _family(metric, family)]


def _family(metric: str, family: Sequence[tuple[dict, BootstrapDifference]]) -> list[dict]:
    corrected = holm([difference.p_value() for _, difference in family]).tolist() if family else []
    rows = []
    for (facts, difference), p_value in zip(family, corrected, strict=True):
        low, high = difference.interval()
        numbers = {"difference": difference.estimate, "low": low, "high": high, "seeds": difference.seeds}
        rows.append(_row(pd.Series(facts | numbers), metric, p_value) | {"seeds_above": facts.get("seeds_above")})
    return rows


def _row(row, score: str, p_value: float) -> dict:
    is_decided = p_value < 0.05 and row.seeds > 1
    return {
        "backbone": row.backbone,
        "arm": row.arm,
        "reference": row.reference,
        "score": score.replace("_", " "),
        "points": 100 * row.difference,
        "points_low": 100 * row.low,
        "points_high": 100 * row.high,
        "p_holm": p_value,
        "decided": (HIGHER if row.difference > 0 else LOWER) if is_decided else OPEN,
        "seeds": row.seeds,
    }
