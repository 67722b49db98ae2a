"""The menus of the explorer: they follow the run, and no answer outlives the question."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from soft_attention.errors import StudyError
from soft_attention.run import exploring
from soft_attention.run.menus import Explorer
from soft_attention.study.config import Study

RUNS = {"a/run": (("mel", "nv"), "mel nv nv nv"), "b/run": (("bcc", "mel", "nv"), "mel mel")}


@pytest.fixture
def opened(monkeypatch):
    """Two runs that open at once and predict their last class, and one that does not open; the names asked for."""
    asked = []

    def open_run(name):
        asked.append(name)
        if name not in RUNS:
            raise StudyError(f"{name} is <damaged>")
        classes, labels = RUNS[name]
        table = pd.DataFrame({"label": labels.split()})
        table["image_id"] = [f"image-{row}" for row in table.index]
        images = np.zeros((len(table), 8, 8, 3), np.uint8)
        return exploring.Opened(name, Study.load("smoke").runs()[1], None, classes, "generated", table, images, {})

    def look(network, image):
        return exploring.Look(image, np.array([0.25, 0.75]), np.ones((1, 2, 2)) / 4, np.ones((2, 2)))

    monkeypatch.setattr(exploring, "explorable", lambda: [*RUNS, "c/run"])
    monkeypatch.setattr(exploring, "not_explorable", lambda: "")
    monkeypatch.setattr(exploring, "open_run", open_run)
    monkeypatch.setattr(exploring, "look", look)
    monkeypatch.setattr(
        exploring, "own_photo", lambda name, content, size: SimpleNamespace(pixels=content, made=f"scaled to {size}.")
    )
    return asked


def draw(look, classes, mask, title):
    return b"picture"


@pytest.fixture
def explorer(opened):
    return Explorer("a/run", draw)


def shown(place):
    """Every value that a widget takes from now on."""
    values = []
    place.observe(lambda change: values.append(change["new"]), "value")
    return values


def uploaded(name):
    return {"name": name, "content": memoryview(b"photo"), "type": "", "size": 5, "last_modified": datetime.now(UTC)}


def options(menu):
    return [name for name, _ in menu.options]


def test_menus_are_those_of_the_chosen_run(explorer):
    assert options(explorer.label) == ["all (4)", "mel (1)", "nv (3)"] and explorer.number.max == 4
    assert explorer.about == "4 test images, classes mel, nv"
    explorer.run.value = "b/run"
    assert options(explorer.label) == ["all (2)", "mel (2)"] and explorer.number.max == 2


def test_a_class_that_the_next_run_has_stays_chosen(explorer):
    explorer.label.value = "mel"
    explorer.run.value = "b/run"
    assert explorer.label.value == "mel" and "Image 1 of 2" in explorer.image_answer.value
    explorer.run.value = "a/run"
    explorer.label.value = "nv"
    explorer.run.value = "b/run"
    assert explorer.label.value == ""


def test_the_arrows_go_round_the_images_of_the_class(explorer):
    explorer.label.value = "nv"
    seen = []
    for button in (explorer.next, explorer.next, explorer.next, explorer.previous):
        button.click()
        seen.append(explorer.number.value)
        assert f"for image-{explorer.number.value}." in explorer.image_answer.value
    assert seen == [2, 3, 1, 3]


def test_a_choice_replaces_the_old_answer_at_once(explorer):
    values = shown(explorer.image_answer)
    explorer.run.value = "b/run"
    assert "opening b/run" in values[0] and "fa-spin" in values[0]
    assert not any("<img" in value for value in values[:-1]) and "<img" in values[-1]
    explorer.next.click()
    assert "<img" not in values[-2] and "predicting image-1" in values[-2]


def test_a_change_of_run_asks_once_for_each_answer(explorer, opened):
    explorer.label.value, explorer.number.value = "nv", 3
    opened.clear()
    values = shown(explorer.image_answer)
    explorer.run.value = "b/run"
    assert opened == ["b/run"] and sum("<img" in value for value in values) == 1


def test_an_answer_names_its_run_its_image_and_its_prediction(explorer):
    answer = explorer.image_answer.value
    assert "a/run predicts nv (probability 0.75) for image-0. Its label is mel." in answer
    assert 'alt="a/run predicts nv' in answer


def test_a_run_that_cannot_be_opened_is_a_sentence_and_the_next_one_opens(explorer):
    explorer.run.value = "c/run"
    assert "c/run is &lt;damaged&gt;" in explorer.image_answer.value and "<img" not in explorer.image_answer.value
    explorer.next.click()
    explorer.run.value = "a/run"
    assert "a/run predicts" in explorer.image_answer.value


def test_a_run_that_is_not_there_is_said_and_the_others_are_offered(opened):
    explorer = Explorer("z/run", draw)
    assert explorer.run.value is None and "z/run is &lt;damaged&gt;" in explorer.image_answer.value
    assert explorer.about.startswith("no run is open")
    explorer.run.value = "a/run"
    assert "a/run predicts" in explorer.image_answer.value


def test_a_photo_is_asked_again_of_every_run(explorer):
    assert explorer.photo_answer.value == ""
    explorer.upload.value = [uploaded("<b>.jpg")]
    assert "a/run predicts nv (probability 0.75) for &lt;b&gt;.jpg." in explorer.photo_answer.value
    assert "scaled to 64." in explorer.photo_answer.value
    values = shown(explorer.photo_answer)
    explorer.run.value = "b/run"
    assert "<img" not in values[0] and "b/run predicts" in values[-1]
    explorer.run.value = "c/run"
    assert "c/run is &lt;damaged&gt;" in explorer.photo_answer.value


def test_a_photo_that_cannot_be_read_is_said_in_the_page(explorer, monkeypatch):
    def refuse(name, content, size):
        raise StudyError(f"the file {name} is not a JPEG or PNG")

    monkeypatch.setattr(exploring, "own_photo", refuse)
    explorer.upload.value = [uploaded("notes.txt")]
    assert "the file notes.txt is not a JPEG or PNG" in explorer.photo_answer.value


def test_an_error_of_ours_ends_the_busy_sign_too(explorer, monkeypatch):
    monkeypatch.setattr(exploring, "look", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        explorer.number.value = 2
    assert "ZeroDivisionError" in explorer.image_answer.value and "fa-spin" not in explorer.image_answer.value
