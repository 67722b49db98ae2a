"""A run's predictions of the ISIC 2018 Task 3 test set in the challenge's form, as its official scorer takes them.

python -m soft_attention.report.submission RUN_FOLDER OUT.csv
isic-challenge-scoring classification ISIC2018_Task3_Test_GroundTruth.csv OUT.csv
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from soft_attention import files
from soft_attention.data.catalog import ISIC2018_TEST
from soft_attention.errors import StudyError
from soft_attention.study.folder import predictions_file, read_predictions

CLASSES = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")  # in the challenge's order
(NOT_SCORED,) = ISIC2018_TEST.left_out  # the official scorer wants a row of it and gives it no weight


def submission(predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns image, MEL, NV, BCC, AKIEC, BKL, DF, VASC of predictions with the classes of HAM10000, by image.

    The image that is not scored has a row of equal shares where it was not predicted.

    Raises:
        StudyError: a class is missing.
    """
    names = {name.lower(): name for name in CLASSES}
    if missing := [name for name in names if name not in predictions]:
        raise StudyError(f"the challenge wants the seven classes of HAM10000, these predictions lack {missing[0]}")
    table = predictions[["image_id", *names]].rename(columns=names | {"image_id": "image"})
    if NOT_SCORED not in set(table["image"]):
        alike = dict.fromkeys(CLASSES, 1 / len(CLASSES))
        table = pd.concat([table, pd.DataFrame([{"image": NOT_SCORED} | alike])])
    return table.sort_values("image", ignore_index=True)


def write_submission(folder: Path, output: Path) -> None:
    """Write the submission of a run folder; StudyError if the run did not predict the outside test set."""
    if not (folder / predictions_file("external")).exists():
        raise StudyError(
            f"{folder} holds no {predictions_file('external')}: only runs on ham10000 with external_test: true predict "
            "the ISIC 2018 test set"
        )
    files.write_csv(output, submission(read_predictions(folder, "external")))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="write predictions of the ISIC 2018 test set as the challenge's CSV")
    parser.add_argument("run_folder", type=Path, help="results/STUDY/runs/...")
    parser.add_argument("output", type=Path, help="the CSV to write")
    options = parser.parse_args(arguments)
    try:
        write_submission(options.run_folder, options.output)
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"written: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
