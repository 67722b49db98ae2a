"""The scores of a file of predictions, ours or anybody's, with intervals over lesions.

    python -m soft_attention.report.evaluate results/STUDY/runs/.../predictions.parquet
    python -m soft_attention.report.evaluate SUBMISSION.csv --truth ISIC2018_Task3_Test_GroundTruth.csv

Ours hold image_id, lesion_id, label and a probability per class, as parquet or CSV. A submission to the challenge has
the columns of `submission.submission`, and its truth the same columns with 0 and 1.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from soft_attention.data.manifest import read_table
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import METRICS, in_table, intervals, score
from soft_attention.report.submission import CLASSES, NOT_SCORED

FACTS = ("image_id", "lesion_id", "label", "seed", "fold")


def read_scored(file: Path, truth: Path | None = None) -> pd.DataFrame:
    """Predictions with their labels as `metrics.score` takes them; without lesions each image counts as one.

    In the challenge's form a row is divided by its sum, which may be anything above 0 there, and the image that the
    official scorer does not score is left out. (That scorer counts a tie of the highest as wrong; here the first one
    is predicted.)

    Raises:
        StudyError: the file cannot be read, has no labels, or its images are not those of the truth.
    """
    table = _read(file)
    if "image" in table:
        table = _of_challenge(table, file, truth)
    elif truth:
        raise StudyError(f"{file} has no column 'image', so it is no submission and --truth does not apply")
    if "label" not in table:
        raise StudyError(f"{file} has no column 'label': give a submission together with --truth")
    return table if "lesion_id" in table else table.assign(lesion_id=table["image_id"])


def evaluation(predictions: pd.DataFrame, draws: int = 1000) -> pd.DataFrame:
    """One row per score of a run: score, value with value_low and value_high, a 95 % interval over lesions."""
    classes = [name for name in predictions if name not in FACTS]
    found, ends = score(predictions, classes), intervals(predictions, classes, draws)
    rows = []
    for metric in in_table("run"):
        low, high = ends[metric] or (None, None)
        rows.append({"score": METRICS[metric].label, "value": found[metric], "value_low": low, "value_high": high})
    return pd.DataFrame(rows)


def _read(file: Path) -> pd.DataFrame:
    if file.suffix == ".csv":
        return read_table(file, [])
    try:
        return pd.read_parquet(file)
    except Exception as error:
        raise StudyError(f"{file} cannot be read as parquet ({error}): give a .csv or a .parquet file") from error


def _of_challenge(table: pd.DataFrame, file: Path, truth_file: Path | None) -> pd.DataFrame:
    if not truth_file:
        raise StudyError(f"{file} holds no labels: give the challenge's ground truth with --truth")
    both = {}
    for name, each in ((file, table), (truth_file, read_table(truth_file, ["image", *CLASSES]))):
        if missing := [column for column in CLASSES if column not in each]:
            raise StudyError(f"{name} has no column '{missing[0]}': it needs image, {', '.join(CLASSES)}")
        both[name] = each[each["image"] != NOT_SCORED].set_index("image")[[*CLASSES]]
    predicted, truth = both[file], both[truth_file]
    if odd := sorted(set(predicted.index) ^ set(truth.index)):
        raise StudyError(f"{file} and {truth_file} differ in {len(odd):,} images, the first is {odd[0]}")
    shares = predicted.div(predicted.sum(axis=1), axis=0).rename(columns=str.lower)
    labels = truth.reindex(shares.index).idxmax(axis=1).str.lower()
    return shares.assign(label=labels).rename_axis("image_id").reset_index()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="score a file of predictions")
    parser.add_argument("file", type=Path, help="predictions.parquet of a run, the same as CSV, or a submission")
    parser.add_argument("--truth", type=Path, help="the challenge's ground truth, for a submission")
    options = parser.parse_args(arguments)
    try:
        predictions = read_scored(options.file, options.truth)
        table = evaluation(predictions)
    except (StudyError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(predictions):,} images of {predictions['lesion_id'].nunique():,} lesions, 95 % intervals over lesions")
    for row in table.itertuples():
        print(f"{row.score:20s} {row.value:.4f}  ({row.value_low:.4f} to {row.value_high:.4f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
