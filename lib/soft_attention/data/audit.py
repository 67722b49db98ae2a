"""Audit a split that somebody else made: what stands on two sides of it, by class.

    python -m soft_attention.data.audit DATASET

DATASET is a folder of one's own whose labels.csv has a column subset (or split, or partition), or the name of a data
set that has one, such as isic2017. Ends with 1 if a lesion or an image is on two sides.
"""

import argparse
import sys
import warnings

import pandas as pd

from soft_attention.data.content import identical_images
from soft_attention.data.datasets import load_dataset
from soft_attention.data.manifest import Dataset
from soft_attention.data.splits import SUBSETS, given_subsets
from soft_attention.errors import StudyError


def audit_given(dataset: Dataset) -> pd.DataFrame | None:
    """What a split that came with a dataset has on two sides; None if none came with it.

    Returns:
        A row per class and one for `all`: images in train, validation and test; `shared_lesions`, of which images are
        in two subsets, and `images_of_shared`, their images; `identical_images`, whose very bytes are in another
        subset as well. A lesion with images of two classes counts in both.

    Raises:
        ValueError: a subset of another name.
        StudyError: an image without a subset, or whose file is missing.
    """
    given = given_subsets(dataset)
    if given is None:
        return None
    table = dataset.table.reset_index(drop=True).assign(subset=given)
    twins = identical_images(table)
    table["shared"] = _sides(table, "lesion_id") > 1
    table["twin"] = (_sides(twins, "content") > 1).reindex(table.index, fill_value=False)
    return pd.DataFrame([_row(table[table["label"] == name], name) for name in dataset.classes] + [_row(table, "all")])


def leaks(audit: pd.DataFrame) -> list[str]:
    """What an audit by `audit_given` found on two sides, a sentence each; empty if nothing."""
    found = audit.set_index("class")
    kinds = {"shared_lesions": "lesions", "identical_images": "images, byte for byte,"}
    return [
        f"the split that came with the data has {count:,} {what} on two sides "
        f"({', '.join(f'{name} {part:,}' for name, part in found[column].drop('all').items() if part)})"
        for column, what in kinds.items()
        if (count := found.loc["all", column])
    ]


def _sides(table: pd.DataFrame, column: str) -> pd.Series:
    """In how many subsets the other images of each one's lesion, or of its content, stand."""
    return table.groupby(column)["subset"].transform("nunique")


def _row(table: pd.DataFrame, name: str) -> dict[str, str | int]:
    return {
        "class": name,
        **{subset: int((table["subset"] == subset).sum()) for subset in SUBSETS},
        "shared_lesions": int(table.loc[table["shared"], "lesion_id"].nunique()),
        "images_of_shared": int(table["shared"].sum()),
        "identical_images": int(table["twin"].sum()),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="audit a split that somebody else made")
    parser.add_argument("dataset", help="a folder with a labels.csv that has a column subset, or a data set's name")
    try:
        with warnings.catch_warnings(action="ignore"):  # they are printed below
            dataset = load_dataset(parser.parse_args(arguments).dataset)
        audit = audit_given(dataset)
        if audit is None:
            raise StudyError(f"{dataset.name} has no column subset, split or partition: there is no split to audit")
    except (StudyError, ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(audit.to_string(index=False))
    for warning in (*dataset.warnings, *leaks(audit)):
        print(f"warning: {warning}", file=sys.stderr)
    return int(bool(leaks(audit)))


if __name__ == "__main__":
    sys.exit(main())
