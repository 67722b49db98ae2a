"""The pictures of the layer audit: what the unit reads to score one cell, and how many of its parameters matter."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Polygon, Rectangle

from soft_attention.report.figures import arm_colour

LENGTH, HEIGHT, DEPTH = 9.0, 2.4, np.array([1.15, 0.95])  # of the drawn block: channels, rows, columns (obliquely)
SAYS = {"paper": "what the paper writes", "released": "what the released code computes"}
GREY = "#8d99ae"


def what_is_read(shape: tuple[int, int, int], reach: Mapping[str, Mapping[str, Sequence[int]]], title: str) -> Figure:
    """A block of features (H, W, C) per variant, with the part that decides on the score of the middle cell coloured.

    `reach` holds for each variant the rows, columns and channels that are read (`audit.reach_by_impulse`).
    """
    figure, grid = plt.subplots(len(reach), 1, figsize=(10, 3.6 * len(reach) + 0.5), squeeze=False)
    for axes, (variant, read) in zip(grid[:, 0], reach.items(), strict=True):
        _block(axes, shape, read, arm_colour(variant))
        _map(axes, shape, arm_colour(variant))
        count = f"{len(read['channels'])} of {shape[2]} channels"
        axes.text(0, HEIGHT + DEPTH[1] + 0.95, count, fontsize=22, fontweight="bold", color=arm_colour(variant))
        size = f"{SAYS[variant]}: each in {len(read['rows'])} rows and {len(read['columns'])} columns"
        axes.text(0, HEIGHT + DEPTH[1] + 0.35, size, fontsize=13, color="0.25")
        axes.set(xlim=(-0.7, 14.7), ylim=(-0.7, HEIGHT + DEPTH[1] + 1.6), aspect="equal")
        axes.axis("off")
    figure.get_layout_engine().set(h_pad=0.12)
    figure.suptitle(title, x=0.083, ha="left", fontsize=17, fontweight="bold")
    return figure


def live_shares(counts: pd.DataFrame, title: str) -> Figure:
    """A bar for each row of `network`, `parameters`, `alive`: the share of the parameters that can matter."""
    figure, axes = plt.subplots(figsize=(9, 0.5 * len(counts) + 1.3))
    place, share = np.arange(len(counts)), counts["alive"] / counts["parameters"]
    axes.barh(place, 1, color="#e3e7ee", height=0.62)
    axes.barh(place, share, color=arm_colour("released"), height=0.62)
    for y, part, row in zip(place, share, counts.itertuples(), strict=True):
        text = f"{part:.1%}   ({row.alive:,} of {row.parameters:,})"
        axes.text(part + 0.012, y, text, va="center", fontsize=11)
    axes.set(yticks=place, xlim=(0, 1), xticks=[])
    axes.set_yticklabels(counts["network"], fontsize=12)
    axes.set_title(title, fontsize=14, pad=12)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.invert_yaxis()
    return figure


def _block(axes: Axes, shape: tuple[int, int, int], read: Mapping[str, Sequence[int]], colour: str) -> None:
    """The features as a glass block, channels to the right, and in it what is read."""
    whole = [(0, size) for size in shape]
    parts = [(min(read[name]), max(read[name]) + 1) for name in ("rows", "columns", "channels")]
    for face in _faces(shape, *whole, hidden=True):
        axes.add_patch(Polygon(face, facecolor="none", edgecolor="#c3cad6", linewidth=0.9, linestyle=(0, (4, 3))))
    for face, shade in zip(_faces(shape, *parts), (1.0, 0.82, 0.68), strict=True):
        axes.add_patch(Polygon(face, facecolor=_shaded(colour, shade), edgecolor="white", linewidth=0.5))
    for face in _faces(shape, *whole):
        axes.add_patch(Polygon(face, facecolor=(0.55, 0.6, 0.68, 0.12), edgecolor=GREY, linewidth=1.1))
    axes.text(LENGTH / 2, -0.2, f"{shape[2]} channels", ha="center", va="top", fontsize=11, color="0.35")
    axes.text(-0.15, HEIGHT / 2, f"{shape[0]} rows", ha="right", va="center", rotation=90, fontsize=11, color="0.35")
    side = np.array([LENGTH, 0]) + DEPTH / 2
    axes.text(side[0] + 0.15, side[1] - 0.1, f"{shape[1]} columns", va="top", fontsize=11, color="0.35")


def _map(axes: Axes, shape: tuple[int, int, int], colour: str) -> None:
    """The attention map at the right, with the cell that is scored."""
    left, size = LENGTH + DEPTH[0] + 1.9, 2.6
    bottom, cell = (HEIGHT + DEPTH[1] - size) / 2, size / max(shape[:2])
    for row in range(shape[0]):
        for column in range(shape[1]):
            middle = (row, column) == (shape[0] // 2, shape[1] // 2)
            corner = (left + column * cell, bottom + (shape[0] - 1 - row) * cell)
            face = colour if middle else "#f1f3f7"
            axes.add_patch(Rectangle(corner, cell, cell, facecolor=face, edgecolor="#c3cad6", linewidth=0.7))
    middle = (left + (shape[1] // 2) * cell, bottom + (shape[0] - 0.5 - shape[0] // 2) * cell)
    start = (LENGTH + DEPTH[0] + 0.15, HEIGHT + DEPTH[1] - 0.75)
    axes.add_patch(
        FancyArrowPatch(start, middle, arrowstyle="-|>", mutation_scale=16, color=colour, linewidth=1.8, zorder=5)
    )
    axes.text(left + size / 2, bottom - 0.2, "score of one cell", ha="center", va="top", fontsize=11, color="0.35")


def _faces(shape: tuple[int, int, int], rows, columns, channels, hidden: bool = False) -> list[np.ndarray]:
    """Front, top and right face of a box of rows, columns and channels, or the three that it hides: (4, 2) each."""
    (top, bottom), (near, far), (left, right) = rows, columns, channels

    def corner(row, column, channel):
        flat = np.array([channel / shape[2] * LENGTH, (1 - row / shape[0]) * HEIGHT])
        return flat + column / shape[1] * DEPTH

    def face(*corners):
        return np.array([corner(*place) for place in corners])

    if hidden:
        near, far, top, bottom, left, right = far, near, bottom, top, right, left
    return [
        face((top, near, left), (top, near, right), (bottom, near, right), (bottom, near, left)),
        face((top, near, left), (top, near, right), (top, far, right), (top, far, left)),
        face((top, near, right), (top, far, right), (bottom, far, right), (bottom, near, right)),
    ]


def _shaded(colour: str, share: float) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red * share, green * share, blue * share
