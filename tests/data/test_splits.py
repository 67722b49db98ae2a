"""No lesion on two sides, the authors' numbers, and every image in exactly one subset."""

import hashlib

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soft_attention.data import splits
from soft_attention.data.manifest import Dataset
from soft_attention.data.splits import PROTOCOLS, audit_split, make_split
from soft_attention.errors import StudyError
from soft_attention.run.batches import authors_class_totals

HAM_CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


@pytest.fixture(scope="module")
def ham(mirror) -> Dataset:
    table = pd.read_csv(mirror / "HAM10000_metadata.csv").rename(columns={"dx": "label"})
    truth = pd.read_csv(mirror / "ISIC2018_Task3_Test_GroundTruth.csv", index_col="image")
    label = truth.idxmax(axis="columns").str.lower()
    external = pd.DataFrame({"image_id": label.index, "label": label.values, "lesion_id": label.index})
    return Dataset("ham10000", table, HAM_CLASSES, "mirror", external)


def lesions(sizes: dict[str, list[int]], name: str = "own") -> Dataset:
    """A dataset: for each class, lesions with so many images; those of a lesion lie apart."""
    rows = [
        (view, label, f"{label}-{number}")
        for label, counts in sizes.items()
        for number, count in enumerate(counts)
        for view in range(count)
    ]
    table = pd.DataFrame(sorted(rows), columns=["view", "label", "lesion_id"])
    table["image_id"] = table["lesion_id"] + "-" + table["view"].astype(str)
    return Dataset(name, table, tuple(sizes), "own")


def counts(split: pd.DataFrame, subset: str) -> dict[str, int]:
    return split.loc[split["subset"] == subset, "label"].value_counts().to_dict()


@pytest.mark.parametrize("seed", [0, 1, 2021])
def test_authors_gives_the_authors_counts_for_every_seed(ham, seed):
    split = make_split(ham, "authors", seed)
    assert (split["subset"] == "train").sum() == 9187
    assert [counts(split, "test")[name] for name in HAM_CLASSES] == [23, 26, 66, 6, 34, 663, 10]
    assert [counts(split, "train")[name] for name in HAM_CLASSES] == [
        304,
        488,
        1033,
        109,
        1079,
        6042,
        132,
    ]
    assert set(split["subset"]) == {"train", "test"}


@pytest.mark.parametrize(("share", "test", "augmented"), [(0.15, 828, 51699), (0.2, 1103, 52012), (0.3, 1655, 51010)])
def test_authors_gives_the_authors_totals_at_every_share(ham, share, test, augmented):
    split = make_split(ham, "authors", test_share=share)
    assert (split["subset"] == "test").sum() == test
    assert sum(authors_class_totals(counts(split, "train")).values()) == augmented


def test_authors_tests_on_single_image_lesions_only_and_cannot_know_near_duplicates(ham):
    split = make_split(ham, "authors", 0)
    images = split.groupby("lesion_id")["image_id"].transform("size")
    assert (images[split["subset"] == "test"] == 1).all()
    facts = audit_split(split)
    assert facts["shared_lesions"] == 0
    assert 0 < facts["near_duplicates"] <= 18


def test_clean_folds_of_ham10000_are_stratified(ham):
    split = make_split(ham, "clean", seed=3, fold=2)
    facts = audit_split(split)
    assert facts["near_duplicates"] == facts["shared_groups"] == 0
    assert facts["images"] == 10015 and facts["lesions"] == 7470
    assert split["group"].nunique() == 7470 - 18
    for subset, share in {"train": 0.8 * 6 / 7, "validation": 0.8 / 7, "test": 0.2}.items():
        shares = pd.Series(facts["counts"][subset]) / ham.table["label"].value_counts()
        assert (shares - share).abs().max() < 0.01


@pytest.mark.parametrize("protocol", ["authors", "clean"])
def test_a_seed_repeats_and_another_seed_differs(protocol):
    dataset = lesions({"a": [1, 1, 2, 3] * 10, "b": [1, 1, 2, 3] * 10})
    hashes = [audit_split(make_split(dataset, protocol, seed))["sha256"] for seed in (0, 0, 1)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_folds_of_a_large_table_are_kept_on_disk(tmp_path, monkeypatch):
    dataset = lesions({"a": [1, 1, 2, 3] * 10, "b": [1, 1, 2, 3] * 10})
    drawn = audit_split(make_split(dataset, "clean", seed=1, fold=2))["sha256"]
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(splits, "LARGE", 1)
    for _ in range(2):
        splits._assignment.cache_clear()
        assert audit_split(make_split(dataset, "clean", seed=1, fold=2))["sha256"] == drawn
        monkeypatch.setattr(splits, "StratifiedGroupKFold", None)  # the second time nothing is divided
    assert len(list((tmp_path / "cache" / "folds").glob("*.npy"))) == 2  # the test fold, the validation fold
    splits._assignment.cache_clear()


def test_official_test_set_of_ham10000_is_the_external_one(ham):
    split = make_split(ham, "official", 0)
    assert list(split["image_id"]) == [*ham.table["image_id"], *ham.external["image_id"]]
    facts = audit_split(split)
    test = {"nv": 909, "bkl": 217, "mel": 171, "bcc": 93, "df": 44, "akiec": 43, "vasc": 35}
    assert facts["counts"]["test"] == test
    assert facts["near_duplicates"] == 0
    assert sum(facts["counts"]["validation"].values()) == pytest.approx(10015 / 7, rel=0.01)


def test_official_partitions_are_taken_as_published():
    dataset = lesions({"a": [1] * 6, "b": [1] * 6}, "isic2017")
    dataset.table["partition"] = ["train", "train", "validation", "test"] * 3
    split = make_split(dataset, "official")
    assert list(split["subset"]) == list(dataset.table["partition"])


def test_partitions_without_a_validation_set_have_one_carved_from_the_training_lesions():
    dataset = lesions({"a": [2] * 20, "b": [2] * 20}, "own")
    tested = dataset.table["lesion_id"].str.endswith("1")
    dataset.table["partition"] = tested.map({True: "test", False: "train"})
    split = make_split(dataset, "official", validation_share=0.25)
    assert ((split["subset"] == "test") == tested).all()
    carved = counts(split, "validation")
    assert set(carved) == {"a", "b"} and sum(carved.values()) == pytest.approx(0.25 * (~tested).sum(), abs=2)
    assert audit_split(split)["shared_lesions"] == 0


def test_a_partition_of_another_name_is_refused():
    dataset = lesions({"a": [1] * 10, "b": [1] * 10}, "own")
    dataset.table["partition"] = ["training", "training", "val", "test"] * 5
    with pytest.raises(ValueError, match=r"unknown partition 'training'.*did you mean 'train'"):
        make_split(dataset, "official")
    dataset.table["partition"] = "train"
    with pytest.raises(StudyError, match="no image of class 'a' in the test subset"):
        make_split(dataset, "official")


many_lesions = st.lists(st.integers(1, 4), min_size=15, max_size=30)


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries({"a": many_lesions, "b": many_lesions, "c": many_lesions}),
    st.integers(0, 2**32 - 1),
)
def test_clean_never_divides_a_lesion_and_uses_every_row_once(sizes, seed):
    dataset = lesions(sizes)
    tested = []
    for fold in range(3):
        split = make_split(dataset, "clean", seed, fold, split_folds=3, validation_share=0.25)
        assert list(split["image_id"]) == list(dataset.table["image_id"])
        assert (split.groupby("lesion_id")["subset"].nunique() == 1).all()
        assert set(split["subset"]) == {"train", "validation", "test"}
        tested += list(split.loc[split["subset"] == "test", "image_id"])
    assert sorted(tested) == sorted(dataset.table["image_id"])


@settings(max_examples=25, deadline=None)
@given(st.fixed_dictionaries({"a": many_lesions, "b": many_lesions}), st.integers(0, 2**32 - 1))
def test_authors_never_tests_on_a_lesion_with_two_images(sizes, seed):
    dataset = lesions({label: [1, 1, 1, *counts] for label, counts in sizes.items()})
    split = make_split(dataset, "authors", seed, test_share=0.3)
    assert (split.loc[split["subset"] == "test"].groupby("lesion_id").size() == 1).all()
    assert (split.groupby("lesion_id")["subset"].nunique() == 1).all()
    assert list(split["image_id"]) == list(dataset.table["image_id"])


def test_near_duplicate_pairs_join_lesions_also_in_a_chain(monkeypatch):
    dataset = lesions({"a": [2] * 10, "b": [1] * 10})
    pairs = pd.DataFrame(
        [("a-1-0", "a-2-1"), ("a-2-0", "a-3-0"), ("a-4-0", "elsewhere")],
        columns=["image_id_a", "image_id_b"],
    )
    monkeypatch.setattr(splits, "duplicate_pairs", lambda: pairs)
    split = make_split(dataset, "clean", split_folds=3, validation_share=0.3)
    group = split.set_index("image_id")["group"]
    assert set(group[["a-1-0", "a-1-1", "a-2-0", "a-2-1", "a-3-0", "a-3-1"]]) == {"a-1"}
    assert group["a-4-0"] == "a-4"
    assert split["group"].nunique() == 18


def leak(split: pd.DataFrame, column: str) -> str:
    """Move one of several images of a group to another subset; returns its `column`."""
    row = split.index[split["group"].duplicated()][0]
    split.loc[row, "subset"] = "test" if split.loc[row, "subset"] == "train" else "train"
    return split.loc[row, column]


def test_audit_names_a_lesion_on_two_sides():
    split = make_split(lesions({"a": [2] * 20, "b": [2] * 20}), "clean")
    lesion = leak(split, "lesion_id")
    with pytest.raises(StudyError, match=f"lesion_id '{lesion}' is in"):
        audit_split(split)


def test_audit_names_a_group_of_near_duplicates_on_two_sides(monkeypatch):
    pairs = pd.DataFrame({"image_id_a": ["a-0-0"], "image_id_b": ["a-7-0"]})
    monkeypatch.setattr(splits, "duplicate_pairs", lambda: pairs)
    split = make_split(lesions({"a": [1] * 20, "b": [1] * 20}), "clean")
    leak(split, "group")
    with pytest.raises(StudyError, match="group 'a-0' is in"):
        audit_split(split)


def test_audit_names_an_image_with_two_rows():
    split = make_split(lesions({"a": [1] * 20, "b": [1] * 20}), "authors")
    with pytest.raises(StudyError, match="image 'a-0-0' has two rows"):
        audit_split(pd.concat([split, split[split["image_id"] == "a-0-0"]], ignore_index=True))


def test_manifest_hash_is_that_of_the_sorted_rows():
    rows = [("i2", "b", "l2", "l2", "test"), ("i1", "a", "l1", "l1", "train")]
    split = pd.DataFrame(rows, columns=["image_id", "label", "lesion_id", "group", "subset"])
    text = b"image_id,label,group,subset\ni1,a,l1,train\ni2,b,l2,test\n"
    facts = audit_split(split)
    assert facts["sha256"] == hashlib.sha256(text).hexdigest()
    assert facts["counts"] == {"train": {"a": 1}, "test": {"b": 1}}


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_class_missing_from_a_subset_is_named():
    with pytest.raises(StudyError, match=r"no image of class 'rare' in the (validation|test) subset"):
        make_split(lesions({"a": [1] * 50, "rare": [3, 3]}), "clean")
    with pytest.raises(StudyError, match="no image of class 'rare' in the test subset"):
        make_split(lesions({"a": [1] * 50, "rare": [3, 3]}), "authors")
    with pytest.raises(StudyError, match="class 'rare' has one lesion with a single image"):
        make_split(lesions({"a": [1] * 50, "rare": [1, 3]}), "authors")


def test_too_few_lesions_are_told():
    with pytest.raises(StudyError, match="0 lesions with a single image are too few to test 15% of them"):
        make_split(lesions({"a": [2] * 9, "b": [3] * 9}), "authors")
    with pytest.raises(StudyError, match="4 lesions cannot be divided into 5 parts with every class in each"):
        make_split(lesions({"a": [1] * 2, "b": [1] * 2}), "clean")


def test_impossible_requests_are_refused():
    dataset = lesions({"a": [1] * 20, "b": [1] * 20})
    with pytest.raises(ValueError, match=r"unknown protocol 'claen'.*did you mean 'clean'"):
        make_split(dataset, "claen")
    with pytest.raises(ValueError, match="fold 5 does not exist: with 5 folds it is 0 to 4"):
        make_split(dataset, "clean", fold=5)
    with pytest.raises(ValueError, match="'own' has no official test set; ham10000 and isic2017 have one"):
        make_split(dataset, "official")
    assert tuple(PROTOCOLS) == ("authors", "clean", "official")


def test_an_injected_leak_keeps_the_training_set_in_size_and_classes_and_the_audit_finds_it():
    dataset = lesions({"a": [3, 2, 1, 1, 2, 1, 3, 1, 1, 1], "b": [1, 2, 1, 3, 1, 2, 1, 1, 2, 1]})
    clean, leaky = (make_split(dataset, "clean", 1, 0, split_folds=3, leak=leak) for leak in (False, True))
    assert counts(clean, "train") == counts(leaky, "train")
    test, trained = (leaky[leaky["subset"] == subset] for subset in ("test", "train"))
    assert not test["lesion_id"].duplicated().any()
    assert set(test["lesion_id"]) == set(clean.loc[clean["subset"] == "test", "lesion_id"])
    siblings = clean[(clean["subset"] == "test") & ~clean["image_id"].isin(test["image_id"])]
    assert len(siblings) and set(siblings["image_id"]) <= set(trained["image_id"])
    assert set(clean["subset"][clean["subset"] == "validation"].index) == set(
        leaky.index[leaky["subset"] == "validation"]
    )
    with pytest.raises(StudyError, match=r"leakage: lesion_id '.*' is in test and train"):
        audit_split(leaky)
    assert audit_split(leaky, leak=True)["shared_lesions"] == siblings["lesion_id"].nunique()
    with pytest.raises(StudyError, match="was to have an injected leak, and the audit finds none"):
        audit_split(clean, leak=True)


def test_a_leak_needs_lesions_with_several_images():
    with pytest.raises(StudyError, match="no tested lesion has a second image"):
        make_split(lesions({"a": [1] * 30, "b": [1] * 30}), "clean", split_folds=3, leak=True)


def test_the_authors_protocol_has_a_validation_set_if_one_is_asked_for():
    dataset = lesions({"a": [1] * 30 + [2] * 10, "b": [1] * 30 + [2] * 10})
    plain, checked = (make_split(dataset, "authors", 3, validation_share=share) for share in (None, 0.2))
    assert set(plain["subset"]) == {"train", "test"}
    tests = [split.loc[split["subset"] == "test", "image_id"].tolist() for split in (plain, checked)]
    assert tests[0] == tests[1]
    assert (checked["subset"] == "validation").sum() == pytest.approx(0.2 * (plain["subset"] == "train").sum(), abs=3)
    audit_split(checked)
