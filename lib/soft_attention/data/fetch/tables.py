"""What tables say of the images of a data set, in every form in which HAM10000 and ISIC are passed on.

A table is known by its header: HAM10000's own form (also of the test set on Dataverse), the challenge's one-hot form
and its lesion groupings, and the ISIC Archive's, as its command-line tool writes it. Official names go before others.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

import pandas as pd

from soft_attention.data.catalog import CATALOG, ISIC2017_PREFIXES, SEVEN_CLASSES, DatasetInfo
from soft_attention.data.fetch.layouts import Layout, Table
from soft_attention.data.manifest import check_counts, read_table, refuse
from soft_attention.errors import StudyError

_ONE_HOT = [name.upper() for name in SEVEN_CLASSES]
_OFFICIAL = re.compile("HAM10000_metadata|ISIC2018_Task3_|metadata", re.IGNORECASE)  # how names begin

# The ISIC Archive's diagnosis_2 and diagnosis_3 (empty: "") of HAM10000 and its test set, as this study's classes.
DIAGNOSES = {
    ("Indeterminate epidermal proliferations", "Solar or actinic keratosis"): "akiec",
    ("Malignant epidermal proliferations", "Squamous cell carcinoma, NOS"): "akiec",
    ("Malignant adnexal epithelial proliferations - Follicular", "Basal cell carcinoma"): "bcc",
    ("Benign epidermal proliferations", "Pigmented benign keratosis"): "bkl",
    ("Benign soft tissue proliferations - Fibro-histiocytic", "Dermatofibroma"): "df",
    ("Malignant melanocytic proliferations (Melanoma)", "Melanoma, NOS"): "mel",
    ("Benign melanocytic proliferations", "Nevus"): "nv",
    ("Benign soft tissue proliferations - Vascular", ""): "vasc",
}


class Rows(NamedTuple):
    """One row per image with image_id, label, lesion_id and columns of the source; what is to be said; its tables."""

    table: pd.DataFrame
    notes: list[str]
    named: str


def rows(info: DatasetInfo, layout: Layout) -> Rows:
    """What the tables of a layout say of a data set: proved by identifiers, counts and labels, or refused.

    Raises:
        StudyError: no table; a row that is missing, too many, twice or unclear; other labels or lesions than published.
    """
    found = _isic2017(info, layout) if info.partitions else _seven_classes(info, layout)
    check_counts(found.table, info.class_counts, info.title)
    if info.fingerprint not in (None, fingerprint(found.table, lesions=info.lesions is not None)):
        raise StudyError(
            f"{info.title}: the labels or lesions in {found.named} are not the published ones: get that table anew"
        )
    return found


def fingerprint(table: pd.DataFrame, lesions: bool) -> str:
    """SHA-256 over image_id and label, sorted, and with `lesions` which images show one lesion, whatever its name."""
    facts = table[["image_id", "label"]].sort_values("image_id")
    if lesions:
        facts["lesion"] = table.groupby("lesion_id")["image_id"].transform("min")
    return hashlib.sha256(facts.to_csv(index=False, header=False, lineterminator="\n").encode()).hexdigest()


def without_row(layout: Layout) -> set[str]:
    """Images of a layout that stand in none of its tables and belong to no data set of this study."""
    others = set(layout.images).difference(
        *(info.ids for info in CATALOG.values()), *(i.left_out for i in CATALOG.values())
    )
    for column in ("image_id", "image", "isic_id") if others else ():
        for table in _with_columns(layout, [column]):
            others.difference_update(_read(table, [column])[column])
    return others


def first(images: Iterable[str]) -> str:
    """The first three of some images, for a message: "(a, b, c, ...)"."""
    names = sorted(map(str, images))
    return f"({', '.join(names[:3])}{', ...' * (len(names) > 3)})"


# The seven classes: HAM10000 and its test set


class _Form(NamedTuple):
    """A form of table: the columns by which it is known, and what makes image_id, label, lesion_id and others of it."""

    columns: list[str]
    read: Callable[[pd.DataFrame], pd.DataFrame]
    whole: bool = True  # a table is of one data set, so that other images in it are too many


def _metadata(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"dx": "label"})


def _one_hot(table: pd.DataFrame) -> pd.DataFrame:
    answers = table[_ONE_HOT]
    clear = answers.isin([0, 1]).all(axis=1) & (answers.sum(axis=1) == 1)
    return pd.DataFrame({"image_id": table["image"], "label": answers.idxmax(axis=1).str.lower().where(clear)})


def _groupings(table: pd.DataFrame) -> pd.DataFrame:
    return table[["image", "lesion_id"]].rename(columns={"image": "image_id"})


def _archive(table: pd.DataFrame) -> pd.DataFrame:
    """The archive's table; a diagnosis that is not in DIAGNOSES stays as it is, so that it can be named."""
    others = {"isic_id": "image_id", "age_approx": "age", "anatom_site_general": "localization"}
    kept = [name for name in (*others, "lesion_id", "sex") if name in table]
    return table[kept].rename(columns=others).assign(label=diagnoses(table))


def diagnoses(table: pd.DataFrame) -> pd.Series:
    """The classes of the rows of an ISIC Archive table; where it has another diagnosis, that one."""
    pairs = zip(table["diagnosis_2"].fillna(""), table["diagnosis_3"].fillna(""), strict=True)
    return pd.Series([DIAGNOSES.get(pair, " - ".join(pair)) for pair in pairs], table.index, dtype="str")


_FORMS = (
    _Form(["image_id", "dx"], _metadata),
    _Form(["image", *_ONE_HOT], _one_hot),
    _Form(["image", "lesion_id"], _groupings),
    _Form(["isic_id", "diagnosis_1", "diagnosis_2", "diagnosis_3"], _archive, whole=False),
)
_WANTED = {
    "ham10000": "HAM10000_metadata (.csv, .tab), the challenge's ISIC2018_Task3_Training_GroundTruth.csv with "
    "ISIC2018_Task3_Training_LesionGroupings.csv, or isic-cli's metadata.csv",
    "isic2018_test": "ISIC2018_Task3_Test_GroundTruth.csv, or isic-cli's metadata.csv",
}


def _seven_classes(info: DatasetInfo, layout: Layout) -> Rows:
    forms = [_of_form(form, info, layout) for form in _FORMS]
    labelled = [(table, named) for table, named in forms if "label" in table]
    if not labelled:
        raise StudyError(f"{info.title}: no table with its labels: add {_WANTED[info.name]}")
    table, named = max(labelled, key=lambda item: len(item[0]))  # the first of the longest
    missing = set(info.ids) - set(table["image_id"])
    if missing:
        raise StudyError(f"{info.title}: {named} lacks {len(missing):,} of {len(info.ids):,} rows {first(missing)}")
    unclear = table["image_id"][~table["label"].isin(info.classes)]
    refuse(unclear, f"do not have exactly one of the classes {', '.join(info.classes)} in {named}", info.title)
    lesions, notes = _lesions(info, forms)
    return Rows(table.assign(lesion_id=table["image_id"].map(lesions)), notes, named)


def _lesions(info: DatasetInfo, forms: list[tuple[pd.DataFrame, str]]) -> tuple[pd.Series, list[str]]:
    """The lesion of each image by the first form that has all of them, else the known ones, which is said."""
    for table, named in forms:
        if "lesion_id" in table:
            lesions = table.set_index("image_id")["lesion_id"].dropna()
            if set(info.ids) <= set(lesions.index):
                return lesions, _other_grouping(info, lesions, named)
    if not info.known_lesions:
        raise StudyError(f"{info.title}: no table says which images show one lesion: add {_WANTED[info.name]}")
    note = "the lesions are those of the ISIC Archive, as this study keeps them, for no table at hand has them"
    return pd.Series(info.known_lesions), [f"{info.title}: {note}"]


def _other_grouping(info: DatasetInfo, lesions: pd.Series, named: str) -> list[str]:
    """Says that a table groups the images otherwise than the known lesions do, as far as those are kept."""
    known = lesions.index.map(info.known_lesions)
    pairs = len(set(zip(lesions, known, strict=True)))
    if not info.known_lesions or pairs == lesions.nunique() == known.nunique():
        return []
    found = f"{lesions.nunique():,} lesions in {named}, {known.nunique():,} by the ISIC Archive"
    return [f"{info.title}: images are grouped otherwise than this study knows: {found}"]


def _of_form(form: _Form, info: DatasetInfo, layout: Layout) -> tuple[pd.DataFrame, str]:
    """The rows of a data set in all tables of a form, and the names of those; unlike rows of one image are refused."""
    parts, named, wanted = [], [], frozenset(info.ids)
    tables = _with_columns(layout, form.columns)
    for found in [table for table in tables if _OFFICIAL.match(table.place.name)] or tables:
        table, place = form.read(_read(found, form.columns)), found.place
        ids = table["image_id"]
        known = ids.map(wanted.__contains__)
        if not known.any():
            continue
        refuse(ids[ids.duplicated()], f"come twice in {place}", info.title)
        other = set(ids) - wanted - set(info.left_out)
        if form.whole and other:
            raise StudyError(f"{info.title}: {place} has {len(other):,} rows too many {first(other)}")
        parts.append(table[known])
        named.append(place.name)
    if not parts:
        return pd.DataFrame({"image_id": []}), ""
    table = pd.concat(parts, ignore_index=True)
    facts = table.columns.intersection(["image_id", "label", "lesion_id"])
    table = table[~table.duplicated(list(facts))]
    ids = table["image_id"]
    refuse(ids[ids.duplicated()], f"are not the same in {' and '.join(named)}", info.title)
    return table.reset_index(drop=True), " and ".join(dict.fromkeys(named))


# ISIC 2017: labels from two questions, in a table for each partition


def _isic2017(info: DatasetInfo, layout: Layout) -> Rows:
    """Three partitions in one table. No lesion identifiers: each image counts as a lesion."""
    parts = []
    for partition, prefix in ISIC2017_PREFIXES.items():
        parts.append(_isic2017_partition(info, layout, partition, prefix))
        check_counts(parts[-1], info.partitions[partition], f"{info.title}, {partition}")
    return Rows(pd.concat(parts, ignore_index=True), [], f"{len(parts)} tables ISIC-2017_..._Part3_GroundTruth.csv")


def _isic2017_partition(info: DatasetInfo, layout: Layout, partition: str, prefix: str) -> pd.DataFrame:
    """Labels from the two published questions (neither: nevus), with age and sex where known."""
    questions = ["melanoma", "seborrheic_keratosis"]
    truth = _named(layout, f"ISIC-2017_{prefix}_Part3_GroundTruth", ["image_id", *questions])
    if truth is None:
        raise StudyError(f"{info.title}: no table with its labels: add ISIC-2017_{prefix}_Part3_GroundTruth.csv")
    ids, answers = truth["image_id"], truth[questions]
    unclear = ~answers.isin([0, 1]).all(axis=1) | (answers.sum(axis=1) > 1)
    refuse(ids[unclear], "do not have one diagnosis", f"{info.title}, {partition}")
    labels = answers.idxmax(axis=1).where(answers.any(axis=1), "nevus")
    table = pd.DataFrame({"image_id": ids, "label": labels, "lesion_id": ids, "partition": partition})
    people = _named(layout, f"ISIC-2017_{prefix}_Data_metadata", ["image_id", "age_approximate", "sex"])
    if people is None:
        return table
    refuse(people["image_id"][people["image_id"].duplicated()], "come twice in the table of patients", info.title)
    people = people.set_index("image_id")
    age = pd.to_numeric(people["age_approximate"], errors="coerce")
    return table.assign(age=ids.map(age), sex=ids.map(people["sex"]))


def _named(layout: Layout, stem: str, columns: list[str]) -> pd.DataFrame | None:
    """The first table whose name begins so; those that lie loose go before those inside an archive."""
    for table in _with_columns(layout, columns):
        if table.place.name.lower().startswith(stem.lower()):
            return _read(table, columns)
    return None


def _with_columns(layout: Layout, columns: list[str]) -> list[Table]:
    return [table for table in layout.tables if table.columns.issuperset(columns)]


def _read(table: Table, columns: list[str]) -> pd.DataFrame:
    with table.place.open() as stream:
        return read_table(stream, columns, str(table.place), sep=table.delimiter, encoding="utf-8-sig")
