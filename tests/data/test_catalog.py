"""The catalogue agrees with itself and with the published counts."""

import re

import pytest

from soft_attention.data.catalog import CATALOG, DATASETS, HAM10000, ISIC2017, melanoma

REAL = [info for info in CATALOG.values() if info.files]


def test_what_a_run_may_name():
    assert DATASETS == ("ham10000", "isic2017", "synthetic", "synthetic2017")
    assert set(DATASETS) | {"isic2018_test"} == set(CATALOG)


def test_melanoma_is_found_under_both_of_its_names():
    assert [melanoma(info.classes) for info in (HAM10000, ISIC2017)] == ["mel", "melanoma"]
    assert melanoma(("naevus", "wart")) is None


@pytest.mark.parametrize("info", CATALOG.values(), ids=CATALOG)
def test_classes_are_sorted_because_predictions_are_columns_in_this_order(info):
    assert info.classes == tuple(sorted(info.classes))


@pytest.mark.parametrize("info", REAL, ids=lambda info: info.name)
def test_counts_add_up(info):
    assert sum(info.class_counts.values()) == info.images
    for label in info.classes if info.partitions else ():
        assert sum(part[label] for part in info.partitions.values()) == info.class_counts[label]


@pytest.mark.parametrize("info", [info for info in REAL if info.ids], ids=lambda info: info.name)
def test_every_image_has_one_identifier(info):
    assert len(info.ids) == len(set(info.ids)) == info.images
    assert set(info.ids).isdisjoint(info.left_out)
    assert info.known_lesions.keys() in (set(), set(info.ids))


def test_the_outside_test_set_shares_no_image_with_its_training_set():
    assert set(CATALOG["isic2018_test"].ids).isdisjoint(HAM10000.ids)


def test_partition_sizes_are_the_published_ones():
    sizes = {name: sum(counts.values()) for name, counts in ISIC2017.partitions.items()}
    assert sizes == {"train": 2000, "validation": 150, "test": 600}


@pytest.mark.parametrize("info", REAL, ids=lambda info: info.name)
def test_every_file_has_one_way_to_get_it(info):
    names = [file.name for file in info.files]
    assert len(set(names)) == len(names)
    for file in info.files:
        assert bool(file.urls) != bool(file.inside)
        assert file.inside is None or file.inside in names
        assert all(url.startswith("https://") for url in file.urls)
        assert file.md5 is None or re.fullmatch(r"[0-9a-f]{32}", file.md5)


def test_only_generated_pictures_may_be_passed_on():
    assert {info.name for info in CATALOG.values() if info.shareable} == {"synthetic", "synthetic2017"}
    assert all(info.licence and info.credit and info.citation for info in REAL)


def test_file_by_name():
    assert {file.name: file.size for file in HAM10000.files}["HAM10000_images_part_2.zip"] == 1_403_566_547
