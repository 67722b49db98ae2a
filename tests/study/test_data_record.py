"""The record of a dataset: a split that was recorded stays what it was, one that is new is added."""

import json

import pytest

from soft_attention import paths
from soft_attention.errors import StudyError
from soft_attention.study import stages
from soft_attention.study.config import Study
from soft_attention.study.data_record import (
    check_pixels,
    check_source,
    check_split,
    data_warnings,
    record_file,
    recorded_splits,
    write_record,
)

FIRST, SECOND = {"protocol": "clean", "seed": 0}, {"protocol": "clean", "seed": 1}


@pytest.fixture(autouse=True)
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    return tmp_path


def record(**hashes):
    audits = [{"split": {"first": FIRST, "second": SECOND}[name], "sha256": sha} for name, sha in hashes.items()]
    return {"dataset": "toy", "source": "official", "splits": audits}


def test_a_split_that_is_not_the_recorded_one_is_an_error():
    check_split("mine", "toy", FIRST, "anything: nothing is recorded yet")
    write_record("mine", record(first="abc"))
    check_split("mine", "toy", FIRST, "abc")
    check_split("mine", "toy", SECOND, "anything: this split is not recorded yet")
    with pytest.raises(StudyError, match=r"toy .*\(protocol clean, seed 0\) is not the one recorded in .*toy\.json"):
        check_split("mine", "toy", FIRST, "abd")


def test_a_new_split_is_added_and_a_changed_one_is_not_written_over():
    write_record("mine", record(first="abc"))
    write_record("mine", record(second="xyz"))
    assert {audit["sha256"] for audit in recorded_splits("mine", "toy")} == {"abc", "xyz"}
    with pytest.raises(StudyError, match="seed 0"):
        write_record("mine", record(first="abd", second="xyz"))
    assert {audit["sha256"] for audit in recorded_splits("mine", "toy")} == {"abc", "xyz"}


def test_runs_on_other_images_do_not_join_those_that_were_recorded():
    check_source("mine", "toy", "mirror (300x225 px)")
    write_record("mine", record(first="abc"))
    check_source("mine", "toy", "official")
    with pytest.raises(
        StudyError, match=r"mine on toy used other images \(official\) than .*\(mirror \(300x225 px\)\)"
    ):
        check_source("mine", "toy", "mirror (300x225 px)")
    with pytest.raises(StudyError, match="DATA_MIRROR"):
        write_record("mine", record(second="xyz") | {"source": "mirror (300x225 px)"})
    assert [audit["sha256"] for audit in recorded_splits("mine", "toy")] == ["abc"]


def test_runs_on_changed_pixels_do_not_join_those_that_were_recorded():
    before = {"images": "abc", "masks": None}
    write_record("mine", record(first="abc"))
    check_pixels("mine", "toy", before)  # an older record has no hashes
    write_record("mine", record(first="abc") | {"pixel_sha256": before})
    check_pixels("mine", "toy", before)
    check_pixels("mine", "toy", {"images": "abc", "masks": "found since"})
    check_pixels("mine", "toy", {"images": None, "masks": None})
    with pytest.raises(StudyError, match=r"the images of toy are not those that the study mine was made with"):
        check_pixels("mine", "toy", {"images": "abd", "masks": None})
    with pytest.raises(StudyError, match=r"the images of toy"):
        write_record("mine", record(second="xyz") | {"pixel_sha256": {"images": "abd", "masks": None}})


def test_the_record_of_the_study_play_is_made_anew():
    write_record("play", record(first="abc", second="xyz"))
    write_record("play", record(first="abd"))
    assert recorded_splits("play", "toy") == [{"split": FIRST, "sha256": "abd"}]


def test_a_damaged_record_is_named():
    record_file("mine", "toy").parent.mkdir(parents=True)
    record_file("mine", "toy").write_text("{")
    with pytest.raises(StudyError, match=r"toy\.json is damaged .*remove it"):
        recorded_splits("mine", "/somewhere/toy")


def test_the_data_stage_is_done_again_when_the_study_has_splits_that_are_not_recorded(monkeypatch):
    asked = []
    monkeypatch.setattr(stages, "execute", lambda notebook, output, parameters, name: asked.append(parameters))
    study = Study.load("smoke")
    write_record(
        study.name,
        {
            "dataset": "synthetic",
            "source": "generated",
            "splits": [{"split": dict(study.runs()[0].split), "sha256": "abc"}],
        },
    )
    stages.data(study, "synthetic")
    assert not asked
    stages.data(study.model_copy(update={"seeds": [0, 1]}), "synthetic")
    assert [split["seed"] for split in asked[0]["splits"]] == [0, 1]


def test_what_to_know_of_the_data_is_read_from_every_record(tmp_path):
    assert data_warnings("mine") == []
    for name, found in (("a", ["two images are alike"]), ("b", [])):
        (tmp_path / "mine" / "data").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / "data" / f"{name}.json").write_text(json.dumps({"dataset": name, "warnings": found}))
    assert data_warnings("mine") == ["a: two images are alike"]
