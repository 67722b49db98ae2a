"""Who trains, validates, tests: three protocols, and the audit that no lesion is on two sides."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from soft_attention import paths
from soft_attention.data.arrays import open_array
from soft_attention.data.datasets import duplicate_pairs
from soft_attention.data.manifest import Dataset, refuse
from soft_attention.data.own_table import SIDES
from soft_attention.errors import StudyError, WrongValue, known
from soft_attention.vocabulary import PROTOCOLS

SUBSETS = ("train", "validation", "test")
LARGE = 2000  # images: a table of so many is divided once, and its folds are kept on disk


def make_split(
    dataset: Dataset,
    protocol: str,
    seed: int = 0,
    fold: int = 0,
    *,
    split_folds: int = 5,
    test_share: float = 0.15,
    validation_share: float | None = None,
    leak: bool = False,
) -> pd.DataFrame:
    """Give every image of a dataset its subset.

    Args:
        dataset: as from `load_dataset`.
        protocol: `"authors"`: the authors' rule. The test set is a stratified `test_share` of the
            lesions that have exactly one image, all other images train. There is no validation
            set, as the released code selects its checkpoint on the test set, unless
            `validation_share` asks for one; then whole lesions of the training images validate.
            `"clean"`: of `split_folds` stratified folds over whole lesions, `fold` is the test set; about
            `validation_share` (0.15) of the rest, again whole lesions, validates.
            `"official"`: the dataset's own test set. For `ham10000` that is the ISIC 2018 Task 3
            test set, with about `validation_share` (0.15) of HAM10000 for validation; for `isic2017`
            the three published partitions. A column `subset`, `split` or `partition` of a person's own
            dataset is taken likewise; without validation rows, that share of the training lesions validates.
        seed: moves every random choice of the split.
        fold: which fold is the test set, 0 to `split_folds` - 1; only `clean` has folds.
        leak: inject a leak, to measure what one is worth: see `inject_leak`.

    Returns:
        The table in its own order (`official` on `ham10000`: followed by the test set) with the
        columns `group`, what the protocol keeps together, and `subset`, one of train, validation,
        test and, with `leak`, unused. A group is a lesion; `clean` and `official` also join lesions of
        which two images are nearly identical (`duplicate_pairs`), which the authors could not know.

    Raises:
        WrongValue: unknown protocol or subset, a fold that does not exist, or no official test set.
        StudyError: a class without an image in one of the subsets, or too few lesions to divide.

    >>> from soft_attention import load_dataset
    >>> split = make_split(load_dataset("synthetic"), "clean", seed=0, fold=0)
    >>> sorted(split["subset"].unique())
    ['test', 'train', 'validation']
    """
    rule = PROTOCOLS[known(protocol, PROTOCOLS, "protocol")]
    if not 0 <= fold < split_folds:
        raise WrongValue(f"fold {fold} does not exist: with {split_folds} folds it is 0 to {split_folds - 1}")
    table, share = dataset.table.reset_index(drop=True), validation_share or rule.validation_share
    if protocol == "authors":
        split = _authors(table, test_share, seed, share)
    elif protocol == "clean":
        split = _clean(table, seed, fold, split_folds, share)
    else:
        split = _official(dataset, table, seed, share)
    if leak:
        split = inject_leak(split, seed)
    where = f"{dataset.name}, protocol {protocol}, seed {seed}, fold {fold}"
    _check_classes(split, dataset.classes, where)
    return split


def given_subsets(dataset: Dataset) -> pd.Series | None:
    """The subset that somebody else gave each image, in a column `subset`, `split` or `partition`; None without one.

    Raises:
        WrongValue: a name that is not in `SUBSETS`, whatever its case.
        StudyError: two such columns, or an image without a subset.
    """
    columns = [name for name in SIDES if name in dataset.table]
    if not columns:
        return None
    if len(columns) > 1:
        raise StudyError(f"{dataset.name}: the columns {' and '.join(columns)} both say who trains and tests; keep one")
    given = dataset.table[columns[0]].reset_index(drop=True)
    refuse(dataset.table["image_id"][given.isna().to_numpy()], f"have no {columns[0]}", dataset.name)
    given = given.astype(str).str.strip().str.lower()
    for name in given.unique():
        known(name, SUBSETS, columns[0])
    return given


def inject_leak(split: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Train on the tested lesions, as a split by image does, without changing size or classes of the training set.

    One image of each tested lesion, drawn by `seed`, stays in the test set. The others move to the training set, and
    as many training images of their class leave it. A network trained on the split before the injection, tested on the
    same images, shows what the leak is worth.

    Raises:
        StudyError: no tested lesion has a second image, or too few training images of a class are there to replace.
    """
    rng = np.random.default_rng([seed, len(split)])
    test = split.index[split["subset"] == "test"]
    kept = split.loc[rng.permutation(test)].drop_duplicates("lesion_id").index
    siblings = test.difference(kept)
    if siblings.empty:
        raise StudyError("no tested lesion has a second image: there is nothing to leak")
    subset = split["subset"].copy()
    for label, count in split.loc[siblings, "label"].value_counts().items():
        trained = split.index[(split["subset"] == "train") & (split["label"] == label)]
        if len(trained) < count:
            raise StudyError(f"class {label!r} has {len(trained)} training images, fewer than the {count} that leak")
        subset[rng.choice(trained, count, replace=False)] = "unused"
    subset[siblings] = "train"
    return split.assign(subset=subset)


def audit_split(split: pd.DataFrame, leak: bool = False) -> dict:
    """Prove that a split leaks nothing, and describe it.

    Args:
        split: as from `make_split`.
        leak: it was made with an injected leak; the audit must then find one and counts what it finds.

    Returns:
        `counts` (images by subset and class), `images`, `lesions`, `shared_lesions` and
        `shared_groups` (0 without `leak`: otherwise this raises), `near_duplicates` (how many
        `duplicate_pairs` lie in two subsets; only the protocol authors can have some) and `sha256` of the manifest,
        the CSV of image_id, label, group and subset sorted by image_id.

    Raises:
        StudyError: names an image that has two rows, or a lesion or group that is in two subsets; or the leak that
            was asked for is not there.
    """
    if (twice := split["image_id"].duplicated()).any():
        image = split.loc[twice, "image_id"].iloc[0]
        raise StudyError(f"image {image!r} has two rows; every image needs exactly one")
    shared = {column: _shared(split, column) for column in ("lesion_id", "group")}
    for column, values in shared.items():
        if len(values) and not leak:
            raise _leakage(split, column, values[0])
    if leak and not len(shared["lesion_id"]):
        raise StudyError("this split was to have an injected leak, and the audit finds none")
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
        "shared_lesions": len(shared["lesion_id"]),
        "shared_groups": len(shared["group"]),
        "near_duplicates": int(divided.sum()),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }


def _authors(table: pd.DataFrame, test_share: float, seed: int, validation_share: float | None) -> pd.DataFrame:
    images = table.groupby("lesion_id")["image_id"].transform("size")
    pool = table[images == 1]
    rare = pool["label"].value_counts().loc[lambda n: n < 2]
    if len(rare):
        raise StudyError(
            f"class {rare.index[0]!r} has one lesion with a single image: the protocol authors "
            "divides such lesions between train and test and needs two"
        )
    try:
        _, test = train_test_split(pool.index, test_size=test_share, stratify=pool["label"], random_state=seed)
    except ValueError as error:
        raise StudyError(
            f"{len(pool)} lesions with a single image are too few to test {test_share:.0%} of them, every class "
            f"included ({error}): use another test_share, or the protocol clean"
        ) from error
    table = table.assign(group=table["lesion_id"])
    if validation_share:
        return _carve_validation(table, test, validation_share, seed)
    subset = pd.Series("train", table.index)
    subset[test] = "test"
    return table.assign(subset=subset)


def _clean(table: pd.DataFrame, seed: int, fold: int, folds: int, validation_share: float) -> pd.DataFrame:
    table = table.assign(group=_merged_lesions(table))
    test = _fold(table, folds, fold, seed)
    return _carve_validation(table, test, validation_share, seed)


def _official(dataset: Dataset, table: pd.DataFrame, seed: int, validation_share: float) -> pd.DataFrame:
    table = table.assign(group=_merged_lesions(table))
    if (given := given_subsets(dataset)) is not None:
        if (given == "validation").any():
            return table.assign(subset=given)
        return _carve_validation(table, table.index[given == "test"], validation_share, seed)
    if dataset.external is None:
        raise WrongValue(
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
    try:
        assignment = _assignment(tuple(table["label"]), tuple(table["group"]), folds, seed)
    except ValueError as error:
        raise StudyError(
            f"{table['group'].nunique()} lesions cannot be divided into {folds} parts with every class in each "
            f"({error}): use fewer folds, a larger validation_share, or more lesions"
        ) from error
    return table.index[assignment == fold]


@lru_cache(maxsize=4)  # the folds of a seed are asked for one by one
def _assignment(labels: tuple[str, ...], groups: tuple[str, ...], folds: int, seed: int) -> np.ndarray:
    """The fold of each image. A large table takes seconds, and every run of a seed asks for it: it is kept on disk."""

    def divided() -> Iterator[np.ndarray]:
        folder = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        assignment = np.empty(len(labels), np.int16)
        for fold, (_, members) in enumerate(folder.split(labels, labels, groups)):
            assignment[members] = fold
        yield assignment

    if len(labels) < LARGE:
        return next(divided())
    content = json.dumps([labels, groups, folds, seed, version("scikit-learn")])
    name = f"folds-{hashlib.sha256(content.encode()).hexdigest()[:16]}.npy"
    return np.array(open_array(paths.data_dir() / "cache" / "folds" / name, np.int16, (len(labels),), divided))


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
    for subset in (name for name in SUBSETS if name != "validation" or (split["subset"] == name).any()):
        present = set(split.loc[split["subset"] == subset, "label"])
        if missing := [name for name in classes if name not in present]:
            raise StudyError(
                f"{where}: no image of class {missing[0]!r} in the {subset} subset; "
                "use fewer folds, another share, or more lesions of that class"
            )


def _shared(split: pd.DataFrame, column: str) -> pd.Index:
    """The values of a column, lesions or groups, that stand in two subsets that are used."""
    sides = split[split["subset"].isin(SUBSETS)].groupby(column)["subset"].nunique()
    return sides.index[sides > 1]


def _leakage(split: pd.DataFrame, column: str, value: str) -> StudyError:
    where = sorted(split.loc[split[column] == value, "subset"].unique())
    return StudyError(f"leakage: {column} {value!r} is in {' and '.join(where)}; make the split anew")
