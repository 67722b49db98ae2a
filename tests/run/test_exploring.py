"""Exploring: what is offered, what a look holds, and that a strange photo is named."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from soft_attention import build_network, paths
from soft_attention.errors import StudyError
from soft_attention.report import figures
from soft_attention.run import exploring
from soft_attention.study.config import Study


@pytest.fixture(scope="module")
def seen():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("uint8")
    return exploring.look(build_network("mobilenet", "released", 3, 64), image)


def test_only_finished_runs_with_attention_and_their_network_are_offered(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    baseline, released = Study.load("smoke").runs()
    for run, files in ((baseline, ("model.keras", "metrics.json")), (released, ("model.keras",))):
        run.folder.mkdir(parents=True)
        (run.folder / "params.json").write_text(run.model_dump_json())
        for name in files:
            (run.folder / name).touch()
    assert exploring.explorable() == {}
    (released.folder / "metrics.json").touch()
    left = released.folder.parent / "seed-9-fold-0"  # what `git clean` leaves of a run: the network, which git ignores
    left.mkdir()
    (left / "model.keras").touch()
    name = f"smoke/{released.id}"
    assert exploring.explorable() == {name: released}
    with pytest.raises(StudyError, match=r"smoke/nowhere is no finished run .* train it first"):
        exploring.open_run("smoke/nowhere")


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


def test_a_photo_of_ones_own_is_read_or_named():
    content = io.BytesIO()
    Image.new("RGB", (90, 60), "red").save(content, "PNG")
    photo = exploring.own_photo("../../spot.png", content.getvalue(), 32)
    assert photo.shape == (32, 32, 3) and photo.dtype == np.uint8 and (photo == [255, 0, 0]).all()
    with pytest.raises(StudyError, match=r"notes\.txt cannot be read as an image"):
        exploring.own_photo("notes.txt", b"no photo", 32)
