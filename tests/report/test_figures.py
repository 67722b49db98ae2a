"""Figures: they draw what they are given, in the units that they name."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from soft_attention.report import figures


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_class_counts_are_the_tables():
    table = pd.DataFrame({"label": ["a", "a", "b"], "lesion_id": ["1", "1", "2"]})
    (axes,) = figures.class_counts(table, ["a", "b"], "t").axes
    assert [bar.get_width() for bar in axes.patches] == [2, 1, 1, 1]


def test_attention_has_one_fixed_scale_in_units_of_a_uniform_map():
    images = np.zeros((2, 8, 8, 3), "uint8")
    maps = np.full((2, 3, 2, 2), 0.25)
    maps[1, 0] = [[1, 0], [0, 0]]
    mask = np.zeros((8, 8))
    mask[2:5, 2:5] = 1
    figure = figures.attention_panel(images, ["one", "two"], maps, np.ones((2, 2, 2)), [None, mask], "t", heads=2)
    panels = np.array(figure.axes[:10]).reshape(2, 5)
    overlays = [[axes.images[1] for axes in row[1:4]] for row in panels]
    assert {overlay.get_clim() for row in overlays for overlay in row} == {(0.0, figures.TIMES_UNIFORM)}
    assert np.allclose(overlays[0][0].get_array(), 1)  # a uniform map is 1 everywhere
    assert overlays[1][1].get_array().max() == 4  # the strongest head comes first
    assert panels[1, 0].collections and not panels[0, 0].collections  # an outline only where there is a mask


def test_mean_maps_are_scaled_to_a_mean_of_one():
    figure = figures.mean_maps({"a": np.array([[2.0, 6.0]]), "b": np.ones((1, 2))}, "t")
    assert np.allclose(figure.axes[0].images[0].get_array(), [[0.5, 1.5]])


def test_curves_mark_the_selected_epoch():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3, 2, 1.0]})
    for name in ("loss", "accuracy", "balanced_accuracy"):
        history[f"validation_{name}"] = [0.1, 0.2, 0.3]
    figure = figures.curves(history, 2, "t", "validation")
    assert [axes.lines[-1].get_xdata() for axes in figure.axes] == [[2, 2], [2, 2]]


def test_confusion_shows_counts():
    figure = figures.confusion([[5, 1], [0, 2]], ["a", "b"], "t")
    assert [text.get_text() for text in figure.axes[0].texts] == ["5", "1", "0", "2"]


def test_intervals_are_drawn_from_low_to_high():
    rows = pd.DataFrame({"name": ["x"], "arm": ["paper"], "value": [0.5], "low": [0.4], "high": [0.8]})
    (axes,) = figures.interval_plot(rows, "l", "t").axes
    (bar,) = axes.containers[0].lines[2]
    assert np.allclose(bar.get_segments()[0][:, 0], [0.4, 0.8])


def test_verdicts_are_drawn_in_points_and_open_where_nothing_is_tested():
    rows = pd.DataFrame({"part": ["a", "a", "b"], "backbone": "vgg16", "arm": ["released", "paper", "paper"]})
    rows = rows.assign(reference="baseline", points=1.0, points_low=-1.0, points_high=4.0)
    rows["remarks"] = ["size open", "unit silent in 1 of 1 runs", "one training each"]
    (axes,) = figures.verdict_plot(rows, 0.02, "points").axes
    bars = [container.lines[2][0].get_segments()[0] for container in axes.containers]
    assert all(np.allclose(bar[:, 0], [-1, 4]) for bar in bars)
    marks = [container.lines[0].get_markerfacecolor() for container in axes.containers]
    assert marks == [figures.arm_colour("released"), "white", "white"]
    assert [text.get_text() for text in axes.texts] == ["a", "b"]


def test_overlap_is_drawn_over_the_share_of_the_map_that_counts():
    place = {"part": "", "backbone": "mobilenet", "arm": "paper"}
    curves = pd.DataFrame([{"map": "attention", "0.5": 0.3, "0.9": 0.1}, {"map": "uniform", "0.5": 0.2, "0.9": 0.05}])
    (axes,) = figures.iou_plot(curves.assign(**place), "t").axes
    drawn = {line.get_label(): line.get_xydata().round(6).tolist() for line in axes.lines}
    assert drawn == {"attention": [[50, 0.3], [10, 0.1]], "uniform": [[50, 0.2], [10, 0.05]]}


def test_several_trainings_of_an_arm_are_faint_and_their_mean_is_strong():
    runs = [("paper", 0, [2.0, 1.0]), ("paper", 1, [4.0, 2.0, 1.0]), ("baseline", 0, [2.0, 1.0])]
    losses = [
        {"part": "", "backbone": "vgg16", "arm": arm, "seed": seed, "fold": 0, "epoch": epoch + 1, "loss": loss}
        for arm, seed, losses in runs
        for epoch, loss in enumerate(losses)
    ]
    (axes,) = figures.learning_curves(pd.DataFrame(losses), "t").axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines if not line.get_label().startswith("_")}
    assert drawn == {"baseline": [2, 1], "paper": [3, 1.5, 1]}
    assert sum(line.get_alpha() is not None for line in axes.lines) == 2


def test_panels_are_named_by_what_tells_them_apart():
    columns = ("part", "backbone", "arm")
    table = pd.DataFrame([("a", "vgg16", "paper"), ("b", "vgg16", "paper"), ("a", "vgg16", "paper")], columns=columns)
    assert {name: len(rows) for name, rows in figures.by_panel(table, columns).items()} == {"a": 2, "b": 1}
    assert list(figures.by_panel(table[1:2], columns)) == ["VGG16\npaper"]
    figure = figures.mean_maps(dict.fromkeys("abcde", np.ones((2, 2))), "t", columns=3)
    assert [axes.get_title("center") for axes in figure.axes[:5]] == list("abcde")
