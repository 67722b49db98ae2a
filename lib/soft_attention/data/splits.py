"""Who trains, validates, tests: three protocols, and the audit that no lesion is on two sides."""

import hashlib

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from soft_attention.data.datasets import Dataset, duplicate_pairs
from soft_attention.errors import StudyError, known
from soft_attention.vocabulary import PROTOCOLS

SUBSETS = ("train", "validation", "test")


def make_split(
    dataset: Dataset,
    protocol: str,
    seed: int = 0,
    fold: int = 0,
    *,
    folds: int = 5,
    test_share: float = 0.15,
    validation_share: float = 0.15,
) -> pd.DataFrame:
    """Give every image of a dataset its subset.

    Args:
        dataset: as from `load_dataset`.
        protocol: `"released"`: the authors' rule. The test set is a stratified `test_share` of the
            lesions that have exactly one image, all other images train. There is no validation
            set: the released code selects its checkpoint on the test set.
            `"clean"`: of `folds` stratified folds over whole lesions, `fold` is the test set; about
            `validation_share` of the rest, again whole lesions, validates.
            `"official"`: the dataset's own test set. For `ham10000` that is the ISIC 2018 Task 3
            test set, with about `validation_share` of HAM10000 for validation; for `isic2017` the
            three published partitions.
        seed: moves every random choice of the split.
        fold: which fold is the test set, 0 to `folds` - 1; only `clean` has folds.

    Returns:
        The table in its own order (`official` on `ham10000`: followed by the test set) with the
        columns `group`, what the protocol keeps together, and `subset`, one of train, validation,
        test. A group is a lesion; `clean` and `official` also join lesions of which two images are
        nearly identical (`duplicate_pairs`), which the authors could not know.

    Raises:
        ValueError: unknown protocol, a fold that does not exist, or no official test set.
        StudyError: a class without an image in one of the subsets.
    """
    known(protocol, PROTOCOLS, "protocol")
    if not 0 <= fold < folds:
        raise ValueError(f"fold {fold} does not exist: with {folds} folds it is 0 to {folds - 1}")
    table = dataset.table.reset_index(drop=True)
    if protocol == "released":
        split = _released(table, test_share, seed)
    elif protocol == "clean":
        split = _clean(table, seed, fold, folds, validation_share)
    else:
        split = _official(dataset, table, seed, validation_share)
    where = f"{dataset.name}, protocol {protocol}, seed {seed}, fold {fold}"
    _check_classes(split, dataset.classes, where)
    return split


def audit_split(split: pd.DataFrame) -> dict:
    """Prove that a split leaks nothing, and describe it.

    Returns:
        `counts` (images by subset and class), `images`, `lesions`, `shared_lesions` and
        `shared_groups` (0: otherwise this raises), `near_duplicates` (how many `duplicate_pairs`
        lie in two subsets; only the released protocol can have some) and `sha256` of the manifest,
        the CSV of image_id, label, group and subset sorted by image_id.

    Raises:
        StudyError: names an image that has two rows, or a lesion or group that is in two subsets.
    """
    if (twice := split["image_id"].duplicated()).any():
        image = split.loc[twice, "image_id"].iloc[0]
        raise StudyError(f"image {image!r} has two rows; every image needs exactly one")
    for column in ("lesion_id", "group"):
        _check_apart(split, column)
    subset = split.set_index("image_id")["subset"]
    pairs = _pairs_within(split)
    divided = subset[pairs.image_id_a].values != subset[pairs.image_id_b].values
    counts = split.groupby("subset")["label"].value_counts()
    manifest = split.sort_values("image_id")[["image_id", "label", "group", "subset"]]
    text = manifest.to_csv(index=False, lineterminator="\n")
    return {
        "counts": {name: counts[name].sort_index().to_dict() for name in SUBSETS if name in counts},
        "images": len(split),
        "lesions": int(split["lesion_id"].nunique()),
        "shared_lesions": 0,
        "shared_groups": 0,
        "near_duplicates": int(divided.sum()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _released(table: pd.DataFrame, test_share: float, seed: int) -> pd.DataFrame:
    images = table.groupby("lesion_id")["image_id"].transform("size")
    pool = table[images == 1]
    rare = pool["label"].value_counts().loc[lambda n: n < 2]
    if len(rare):
        raise StudyError(
            f"class {rare.index[0]!r} has one lesion with a single image: the released protocol "
            "divides such lesions between train and test and needs two"
        )
    _, test = train_test_split(pool.index, test_size=test_share, stratify=pool["label"], random_state=seed)
    subset = pd.Series("train", table.index)
    subset[test] = "test"
    return table.assign(group=table["lesion_id"], subset=subset)


def _clean(table: pd.DataFrame, seed: int, fold: int, folds: int, validation_share: float) -> pd.DataFrame:
    table = table.assign(group=_merged_lesions(table))
    test = _fold(table, folds, fold, seed)
    return _carve_validation(table, test, validation_share, seed)


def _official(dataset: Dataset, table: pd.DataFrame, seed: int, validation_share: float) -> pd.DataFrame:
    table = table.assign(group=_merged_lesions(table))
    if "partition" in table:
        return table.assign(subset=table["partition"])
    if dataset.external is None:
        raise ValueError(
            f"{dataset.name!r} has no official test set; ham10000 and isic2017 have one: use protocol 'clean'"
        )
    external = dataset.external.assign(group=dataset.external["lesion_id"])
    table = pd.concat([table, external], ignore_index=True)
    test = table.index[-len(external) :]
    return _carve_validation(table, test, validation_share, seed)


def _carve_validation(table: pd.DataFrame, test: pd.Index, share: float, seed: int) -> pd.DataFrame:
    """Divide what is not `test`: one of round(1 / share) folds validates."""
    validation = _fold(table.drop(index=test), round(1 / share), 0, seed)
    subset = pd.Series("train", table.index)
    subset[validation], subset[test] = "validation", "test"
    return table.assign(subset=subset)


def _fold(table: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Index:
    """The index of one of `folds` sets of whole groups, each with its share of every class."""
    folder = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return table.index[list(folder.split(table, table["label"], table["group"]))[fold][1]]


def _merged_lesions(table: pd.DataFrame) -> pd.Series:
    """The lesion of each image; lesions linked by near-identical images share one name."""
    codes, lesions = pd.factorize(table["lesion_id"], sort=True)
    code = pd.Series(codes, table["image_id"])
    pairs = _pairs_within(table)
    ends = code[pairs.image_id_a].values, code[pairs.image_id_b].values
    links = coo_array(([True] * len(pairs), ends), shape=(len(lesions), len(lesions)))
    component = connected_components(links, directed=False)[1]
    _, first = np.unique(component, return_index=True)
    return pd.Series(lesions[first[component]][codes], table.index)


def _pairs_within(table: pd.DataFrame) -> pd.DataFrame:
    """The known pairs of near-identical images of which both are in the table."""
    pairs = duplicate_pairs()
    return pairs[pairs.image_id_a.isin(table["image_id"]) & pairs.image_id_b.isin(table["image_id"])]


def _check_classes(split: pd.DataFrame, classes: tuple[str, ...], where: str) -> None:
    for subset in (name for name in SUBSETS if (split["subset"] == name).any()):
        present = set(split.loc[split["subset"] == subset, "label"])
        if missing := [name for name in classes if name not in present]:
            raise StudyError(
                f"{where}: no image of class {missing[0]!r} in the {subset} subset; "
                "use fewer folds, another share, or more lesions of that class"
            )


def _check_apart(split: pd.DataFrame, column: str) -> None:
    sides = split.groupby(column)["subset"].nunique()
    if (sides > 1).any():
        value = sides.index[sides > 1][0]
        where = sorted(split.loc[split[column] == value, "subset"].unique())
        raise StudyError(f"leakage: {column} {value!r} is in {' and '.join(where)}; make the split anew")
