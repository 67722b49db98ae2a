"""The published counts, found in the real files. Skipped without a mirror of them."""

import time

import pandas as pd
import pytest

from soft_attention.data.datasets import duplicate_pairs, load_dataset


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def ham10000(mirror, data_dir):
    return load_dataset("ham10000", data_dir, mirror)


@pytest.fixture(scope="session")
def isic2017(mirror, data_dir):
    return load_dataset("isic2017", data_dir, mirror)


def test_ham10000(ham10000):
    table = ham10000.table
    assert len(table) == table["image_id"].nunique() == 10_015
    assert table["label"].value_counts().to_dict() == {
        "nv": 6705,
        "mel": 1113,
        "bkl": 1099,
        "bcc": 514,
        "akiec": 327,
        "vasc": 142,
        "df": 115,
    }
    views = table["lesion_id"].value_counts().value_counts().sort_index()
    assert views.to_dict() == {1: 5514, 2: 1423, 3: 490, 4: 34, 5: 5, 6: 4}


def test_every_ham10000_image_has_a_mask(ham10000):
    assert ham10000.table["mask_path"].notna().all()


def test_the_18_pairs_are_in_ham10000_under_different_lesions(ham10000):
    lesion = ham10000.table.set_index("image_id")["lesion_id"]
    pairs = duplicate_pairs()
    assert (lesion[pairs["image_id_a"]].values != lesion[pairs["image_id_b"]].values).all()


def test_the_outside_test_set(ham10000):
    table = ham10000.external
    assert table["label"].value_counts().to_dict() == {
        "nv": 908,
        "bkl": 217,
        "mel": 171,
        "bcc": 93,
        "df": 44,
        "akiec": 43,
        "vasc": 35,
    }
    assert set(table["image_id"]).isdisjoint(ham10000.table["image_id"])
    assert set(table["lesion_id"]).isdisjoint(ham10000.table["lesion_id"])


def test_the_outside_test_set_has_lesions(ham10000):
    lesions = ham10000.external["lesion_id"].value_counts()
    assert lesions.value_counts().to_dict() == {1: 996, 2: 166, 3: 57, 4: 3}
    assert "ISIC_0035068" not in set(ham10000.external["image_id"])


def test_isic2017(isic2017):
    counts = pd.crosstab(isic2017.table["partition"], isic2017.table["label"])
    assert list(counts.columns) == ["melanoma", "nevus", "seborrheic_keratosis"]
    assert counts.loc["train"].tolist() == [374, 1372, 254]
    assert counts.loc["validation"].tolist() == [30, 78, 42]
    assert counts.loc["test"].tolist() == [117, 393, 90]
    known = isic2017.table[isic2017.table["partition"] != "test"]
    assert known["mask_path"].notna().all()
    assert known["age"].notna().mean() > 0.5


def test_the_pixels_are_described(ham10000, isic2017):
    for dataset in (ham10000, isic2017):
        assert dataset.source == "official" or dataset.source.startswith(("mirror (", "own copy ("))


def test_a_second_load_is_fast(ham10000, mirror, data_dir):
    start = time.process_time()  # of this process alone: others may keep the machine busy
    again = load_dataset("ham10000", data_dir, mirror)
    assert time.process_time() - start < 3
    assert again.manifest_hash == ham10000.manifest_hash
