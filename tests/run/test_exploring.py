"""Exploring: what is offered, what a look holds, and that a strange photo is named."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from soft_attention import build_network, paths
from soft_attention.data import images
from soft_attention.errors import StudyError
from soft_attention.report import figures
from soft_attention.run import exploring
from soft_attention.study.config import Study


@pytest.fixture(scope="module")
def seen():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    return exploring.look(build_network("mobilenet", "released", 3, 64), image)


def leave(run, *files):
    """A run folder with some files, of which only the parameters hold anything."""
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / "params.json").write_text(run.model_dump_json())
    for name in files:
        (run.folder / name).touch()


def test_only_finished_runs_with_attention_and_their_network_are_offered(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    baseline, released = Study.load("smoke").runs()
    leave(baseline, "model.keras", "metrics.json")
    leave(released, "model.keras")
    assert exploring.explorable() == [] and exploring.not_explorable() == ""
    leave(released, "metrics.json")
    left = released.folder.parent / "seed-9-fold-0"  # what `git clean` leaves of a run: the network, which git ignores
    left.mkdir()
    (left / "model.keras").touch()
    assert exploring.explorable() == [f"smoke/{released.id}"]


def test_a_run_of_any_study_is_offered_and_those_without_network_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    run = Study.load("smoke").runs()[1].model_copy(update={"study": "mine", "part": "whole", "arm": "paper"})
    leave(run, "model.keras", "metrics.json")
    for seed in (1, 2):
        leave(run.model_copy(update={"study": "kept", "seed": seed}), "metrics.json")
    assert exploring.explorable() == ["mine/whole/synthetic/clean/mobilenet/paper/seed-0-fold-0"]
    assert "(2 of kept)" in exploring.not_explorable() and "same settings in 02_train" in exploring.not_explorable()


def test_a_run_that_cannot_be_opened_says_why_before_any_image_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    monkeypatch.setattr(exploring, "load_dataset", lambda name: pytest.fail("images are fetched"))
    baseline, released = Study.load("smoke").runs()
    with pytest.raises(StudyError, match=r"there is no finished run smoke/nowhere: choose one"):
        exploring.open_run("smoke/nowhere")
    leave(baseline, "model.keras", "metrics.json")
    with pytest.raises(StudyError, match=r"has no attention to look at: choose a run of the arm released or paper"):
        exploring.open_run(f"smoke/{baseline.id}")
    leave(released, "metrics.json")
    with pytest.raises(StudyError, match=r"model\.keras is not there .* train one with the same settings"):
        exploring.open_run(f"smoke/{released.id}")


def test_a_look_holds_probabilities_maps_and_a_cam(seen):
    assert seen.probabilities.shape == (3,) and seen.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert seen.heads.shape[0] == 16 and np.allclose(seen.heads.sum(axis=(1, 2)), 1, atol=1e-5)
    assert seen.cam.shape == seen.heads.shape[1:] and (seen.cam >= 0).all()


def test_a_look_is_drawn_with_its_probabilities(seen):
    figure = figures.one_look(seen, ("a", "b", "c"), None, "t")
    assert [bar.get_width() for bar in figure.axes[-1].patches] == pytest.approx(seen.probabilities.tolist())
    overlay = figure.axes[1].images[1]
    assert overlay.get_clim() == (0, figures.TIMES_UNIFORM) and np.asarray(overlay.get_array()).mean() == pytest.approx(
        1
    )
    assert Image.open(io.BytesIO(figures.png(figure))).format == "PNG"
    assert not plt.fignum_exists(figure.number)


def content(width, height, form="PNG"):
    """An image, red in its middle third and blue elsewhere, as a file's bytes."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (width // 3, 0, width - width // 3, height))
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def test_a_photo_of_the_frame_of_the_study_is_seen_whole():
    photo = exploring.own_photo("../../spot.png", content(120, 90), 32)
    assert photo.pixels.shape == (32, 32, 3) and photo.pixels.dtype == np.uint8
    assert (photo.pixels[:, 0] == [0, 0, 255]).all() and (photo.pixels[:, 16] == [255, 0, 0]).all()
    assert photo.made == "The photo of 120 x 90 pixels was scaled to a square of 32 pixels."


@pytest.mark.parametrize(("width", "height", "seen"), [(1200, 300, "400 x 300"), (300, 1200, "300 x 400")])
def test_of_a_long_photo_the_middle_is_taken_and_that_is_said(width, height, seen):
    photo = exploring.own_photo("spot.png", content(width, height), 32)
    frame = f"{width:,} x {height:,} pixels"
    cropped = f"cropped to the {seen} pixels in its middle"
    assert photo.made == f"The photo of {frame} was {cropped} and scaled to a square of 32 pixels."
    inside = photo.pixels[1:-1, 1:-1]  # at the edge of a window what lies beside it shines in
    assert (inside == [255, 0, 0]).all() == (width > height)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("notes.txt", b"no photo", r"^the file notes\.txt is not a JPEG or PNG; choose another photo$"),
        ("empty.jpg", b"", r"^the file empty\.jpg is not a JPEG or PNG; choose another photo$"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(200), r"^the file a\.heic is not a JPEG or PNG but HEIC; choose"),
        ("half.jpg", content(300, 200, "JPEG")[:900], r"^the file half\.jpg is not a JPEG or PNG that can be read \("),
    ],
)
def test_what_is_no_photo_is_said_in_the_words_of_an_upload(name, data, said):
    with pytest.raises(StudyError, match=said):
        exploring.own_photo(name, data, 32)


def test_a_photo_of_too_many_pixels_is_named_as_it_was_uploaded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    with pytest.raises(StudyError, match=r"^the file big\.png has 200 pixels, more than 100; make it smaller$"):
        exploring.own_photo("big.png", content(20, 10), 32)
