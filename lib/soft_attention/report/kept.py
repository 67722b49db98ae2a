"""The tables that the notebooks keep as CSV: one tidy file for each kind, its caption, and what makes it.

A table of several parts of a study has them below one another, with their names in the column `part`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from soft_attention import files
from soft_attention.report.remembered import remembered


@dataclass(frozen=True)
class Table:
    """A kind of table.

    Attributes:
        caption: says what it is.
        made_by: the function, dotted, below `soft_attention`.
        decimals: that are written; a share with 4 tells a hundredth of a point. 6 where README rounds them again.
        digits: that are shown.
    """

    caption: str
    made_by: str
    decimals: int = 4
    digits: int = 3


SUMMARY = {  # results/STUDY/summary, in the order of 06_summary
    "gains": Table("What each arm gains over the baseline, in points", "report.gained.gains_table", 2, 1),
    "verdicts": Table("The verdicts: points, with 95 % intervals", "report.comparison.verdicts", 2, 1),
    "comparisons": Table(
        "Every comparison, with p-values; 95 % intervals over lesions and trainings", "report.comparison.answers", 6
    ),
    "preferred": Table("In how many runs validation images prefer which part", "report.comparison.preferences"),
    "gamma": Table(
        "Gamma, the learned scale of the arm paper, after training, and in how many runs it is at most 0",
        "report.comparison.gamma_table",
    ),
    "overview": Table("Finished runs, and their scale", "report.tables.overview"),
    "claims": Table("Our results on the paper's claims", "claims.own.own_results"),
    "networks": Table("Scores of the networks, every image counting the same", "report.tables.networks_table"),
    "choices": Table(
        "The same networks with the epoch that the test images chose, and with that of the validation images",
        "report.comparison.choices_table",
    ),
    "gain": Table("Mean difference from the baseline, every image counting the same", "report.tables.attention_gain"),
    "tests": Table("The same differences by the corrected t-test over runs", "report.comparison.all_tests"),
    "across": Table("Arms of one part against arms of another, compared", "report.comparison.across_table", 6),
    "scores": Table("Every score by the comparisons of the endpoint, in points", "report.scores.scores_table", 2, 1),
    "over-parts": Table("Every comparison, and its mean over the parts, in points", "report.overall.over_parts", 2, 1),
    "equivalences": Table(
        "What is equivalent for these training images, and whether it is for others", "report.overall.equivalences"
    ),
    "external": Table("ISIC 2018 Task 3 test set, means over the runs", "report.comparison.external_table"),
    "external-comparisons": Table("Differences on the outside test set", "report.comparison.answers", 6),
    "melanoma": Table(
        "Melanoma against all other classes: AUC, and the gain over the baseline", "report.comparison.melanoma_table"
    ),
    "subgroups": Table("Scores and gains by group of patients, in points", "report.subgroups.subgroups_table", 2, 1),
    "per-class": Table("Precision, recall and AUC of each class", "report.tables.per_class_table"),
    "tasks": Table("The two tasks of ISIC-2017", "report.tables.isic2017_table"),
    "calibration": Table("Calibration, before and after a temperature", "report.comparison.calibration_table"),
    "ledger": Table("By how many points each choice moves a result", "report.ledger.ledger", 2, 1),
    "attention-lift": Table(
        "Energy above the centred Gaussian, and what random weights do", "report.attention_tables.lift_table"
    ),
    "attention-groups": Table(
        "By class and by size of the lesion: energy above the centred Gaussian",
        "report.attention_tables.lift_by_group",
    ),
    "attention": Table(
        "Attention against lesion masks, means over images and runs; insertion and deletion",
        "report.attention_tables.means_table",
    ),
    "attention-iou": Table(
        "Overlap with the lesion, by the quantile at which a map is cut", "report.attention_tables.iou_table"
    ),
    "peers": Table("Scores of the authors, of the reproductions and ours", "claims.peers.peers_table"),
    "environments": Table("Where and with what the runs were made", "report.load.load_environments"),
}
CLAIMS = {  # results/claims, in the order of 05_claims
    "claims": Table("Each claim, and a verdict on it", "claims.examined.examined_claims"),
    "gains": Table("The five published gains, as tests", "claims.gains.gain_tests"),
    "score-changes": Table("What each published score changes by with attention", "claims.gains.score_changes", 4, 4),
    "class-changes": Table("Correct images of each class of InceptionResNetV2", "claims.gains.class_changes"),
    "selection": Table(
        "The epoch of best test accuracy against that of least test loss", "claims.gains.selection_effect", 4, 4
    ),
    "gaps": Table(
        "What attention gains on InceptionResNetV2, by the epoch that is compared", "claims.gains.selection_gaps", 4, 4
    ),
    "splits": Table("The same network at three sizes of the test set", "claims.gains.split_effect", 4, 4),
    "counts": Table(
        "Can 828 images give the published rates, and by how many tables of counts?", "claims.rates.rates_check"
    ),
    "rates": Table("Class counts beside the published rates: what one image is worth", "claims.rates.rate_granularity"),
    "sensitivity": Table(
        "Counts that the published ISIC-2017 sensitivity can and cannot be", "claims.sensitivity.sensitivity_check"
    ),
    "averages": Table("Counts whose mean sensitivity would be printed so", "claims.sensitivity.averages_check"),
}


def write(file: Path, table: pd.DataFrame, kind: Table) -> None:
    """Write a table as CSV, rounded to what it tells, so that a file changes only where a result does."""
    files.write_csv(file, rounded(table, kind.decimals))


def rounded(table: pd.DataFrame, decimals: int) -> pd.DataFrame:
    """Floats with `decimals` decimals, p-values (columns `p`, `p_...`) with three significant digits."""

    def cell(name: str, value: Any) -> Any:
        if not isinstance(value, float) or pd.isna(value):
            return value
        of_p = name == "p" or name.startswith("p_")
        return (float(f"{value:.3g}") if of_p else round(value, decimals)) + 0.0  # no -0.0

    return table.apply(lambda column: column.map(lambda value: cell(str(column.name), value)))


def tidy(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables of several parts below one another, with the column `part` in front; no row where there are none."""
    found = [table.drop(columns="part", errors="ignore") for table in tables.values()]
    named = [table.assign(part=name)[["part", *table]] for name, table in zip(tables, found, strict=True) if len(table)]
    return pd.concat(named, ignore_index=True) if named else pd.DataFrame()


def of_parts(parts: Mapping[str, pd.DataFrame], make: Callable[..., pd.DataFrame], *arguments: Any) -> pd.DataFrame:
    """`tidy` of the tables that `make` makes of the runs of each part; `remembered`, as most parts stay as they are."""
    return tidy({name: remembered(make, runs, *arguments) for name, runs in parts.items()})
