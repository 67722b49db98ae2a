"""Who is served how well: scores by sex, age, site, kind of confirmation and source of the images.

    python -m soft_attention.report.subgroups STUDY [PART ...]

makes `results/STUDY/summary/subgroups.csv` (of the first part, if none is named), where the dataset is at hand: what is
known of a patient comes from its table, which is not kept here.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from soft_attention import paths
from soft_attention.data.catalog import melanoma
from soft_attention.data.datasets import load_dataset
from soft_attention.errors import StudyError, known
from soft_attention.evaluation import bootstrap
from soft_attention.report import comparison, kept
from soft_attention.report.load import by_part, load_runs
from soft_attention.study.config import Study
from soft_attention.vocabulary import ARMS, BASELINE

FEWEST_LESIONS = 30  # a cell with fewer is not shown
DRAWS = 1_000
AGES = {"below 30": 30, "30 to 44": 45, "45 to 59": 60, "60 to 74": 75, "75 and above": np.inf}
UNKNOWN = "unknown"


def known_of_patients(table: pd.DataFrame) -> pd.DataFrame:
    """image_id and, as far as a dataset's table has them, the group of each image by sex, age, site and so on.

    Ages are in bands, confirmation is histology or another kind; what is missing is `UNKNOWN`.
    """
    groups = table[["image_id"]].copy()
    for name, column in (("sex", "sex"), ("site", "localization"), ("source", "dataset")):
        if column in table:
            groups[name] = table[column].fillna(UNKNOWN)
    if "age" in table:
        bands = pd.cut(table["age"], [-np.inf, *AGES.values()], right=False, labels=[*AGES])
        groups["age"] = bands.astype(object).fillna(UNKNOWN)
    if "dx_type" in table:
        histology = table["dx_type"].map({"histo": "histology"}).fillna("another kind")
        groups["confirmed by"] = histology.where(table["dx_type"].notna(), UNKNOWN)
    return groups


def subgroups_table(parts: Mapping[str, pd.DataFrame], groups: pd.DataFrame) -> pd.DataFrame:
    """One row per part, backbone, arm and group of at least `FEWEST_LESIONS` lesions, in points (hundredths).

    Columns: part, backbone, arm, by, group, lesions, classes (that occur in the group), balanced_accuracy (over these)
    and gain (what the arm gains of it over the baseline), and of melanomas, where as many lesions are some,
    melanoma_lesions, melanoma_sensitivity and melanoma_gain; each with _low and _high, 95 % for other lesions and other
    trainings, not corrected for the number of groups. Every lesion counts the same.

    Args:
        parts: from `load.by_part`. The arms of a part are taken in the seeds that they and the baseline have finished.
        groups: from `known_of_patients`.
    """
    rows = []
    for part, runs in parts.items():
        for backbone, of_backbone in runs.groupby("backbone", sort=False):
            for arm in (arm for arm in ARMS if arm in set(of_backbone["arm"])):
                paired = comparison.complete(of_backbone, (arm, BASELINE))
                if len(paired):
                    place = {"part": part, "backbone": backbone, "arm": arm}
                    rows += [place | row for row in _rows(paired, arm, groups)]
    return pd.DataFrame(rows)


def _rows(runs: pd.DataFrame, arm: str, groups: pd.DataFrame) -> Iterator[dict]:
    """A row per group, of one arm."""
    classes = runs["classes"].iloc[0]
    pairs = comparison.pairs_of_arms(runs, arm, BASELINE).merge(groups, on="image_id")
    positive = melanoma(classes)
    for by in groups.columns.drop("image_id"):
        for group, cell in pairs.groupby(by):
            lesions = cell["lesion_id"].nunique()
            if lesions < FEWEST_LESIONS:
                continue
            row = {"by": by, "group": group, "lesions": lesions, "classes": cell["truth"].nunique()}
            row |= _level_and_gain(cell, arm, classes, "balanced_accuracy", ("balanced_accuracy", "gain"))
            melanomas = cell[cell["truth"] == classes.index(positive)] if positive else cell[:0]
            if melanomas["lesion_id"].nunique() >= FEWEST_LESIONS:
                row["melanoma_lesions"] = melanomas["lesion_id"].nunique()
                names = ("melanoma_sensitivity", "melanoma_gain")  # of melanomas alone, accuracy is sensitivity
                row |= _level_and_gain(melanomas, arm, classes, "accuracy", names)
            yield row


def _level_and_gain(
    pairs: pd.DataFrame, arm: str, classes: Sequence[str], metric: str, names: tuple[str, str]
) -> dict[str, float]:
    """The score of the arm and its gain over the baseline, each with its ends."""
    wrong = pairs.assign(reference=(pairs["truth"] + 1) % len(classes))  # scores 0: the difference to it is the level
    found = {}
    for name, each in zip(names, (wrong, pairs), strict=True):
        if name == names[0] or arm != BASELINE:
            difference = bootstrap.paired_bootstraps(each, classes, [metric], draws=DRAWS)[metric]
            ends = np.clip(difference.interval(), 0 if each is wrong else -1, 1)
            values = zip(("", "_low", "_high"), (difference.estimate, *ends), strict=True)
            found |= {name + end: 100 * value for end, value in values}
    return found


def make(study: str, names: Sequence[str] = ()) -> pd.DataFrame:
    """`subgroups_table` of a study's parts, kept as `results/STUDY/summary/subgroups.csv`.

    Raises:
        StudyError: no finished runs, or the dataset is not at hand or tells nothing of its patients.
        FileNotFoundError: the dataset is an own folder that is no longer there.
        ValueError: there is no such part.
    """
    plan = Study.load(study)
    parts = by_part(load_runs(plan))
    chosen = {name: parts[known(name, parts, "part with finished runs")] for name in names or [next(iter(parts))]}
    tables = []
    for name, runs in chosen.items():
        dataset = runs["dataset"].iloc[0]
        groups = known_of_patients(load_dataset(dataset).table)
        if list(groups) == ["image_id"]:
            raise StudyError(f"the table of {dataset} tells nothing of its patients: leave the part {name} out")
        tables.append(subgroups_table({name: runs}, groups))
    table = pd.concat(tables, ignore_index=True)
    kept.write(paths.RESULTS / plan.name / "summary" / "subgroups.csv", table, kept.SUMMARY["subgroups"])
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="scores by groups of patients, from a study's kept predictions")
    parser.add_argument("study")
    parser.add_argument("part", nargs="*", help="parts of the study; the first one if none is named")
    options = parser.parse_args(arguments)
    try:
        table = make(options.study, options.part)
    except (StudyError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: results/{options.study}/summary/subgroups.csv, {len(table)} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
