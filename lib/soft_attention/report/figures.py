"""The figures of the notebooks. Every function returns a matplotlib figure and draws nothing by itself."""

import io
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soft_attention.vocabulary import ARMS, BACKBONES

MAP_COLOURS = "magma"
TIMES_UNIFORM = 4.0  # top of the colour scale of attention: four times the weight of a uniform map
KIND_COLOURS = {
    "attention": "#c8553d",
    "Grad-CAM": "#4c6a92",
    "Grad-CAM of the baseline": "#9db4cc",
    "randomised unit": "#d9a441",
    "centred Gaussian": "#3f7d5c",
    "uniform": "#b0b0b0",
}

plt.style.use(Path(__file__).with_name("study.mplstyle"))


def png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file; it is closed."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    plt.close(figure)
    return content.getvalue()


def arm_colour(arm: str) -> str:
    """Of the marks of an arm, also where it is named with its part, `PART:ARM`."""
    return ARMS[arm.rpartition(":")[2]].colour


def class_counts(table: pd.DataFrame, classes: Sequence[str], title: str) -> Figure:
    """Images and lesions per class, on a logarithmic axis."""
    images = table["label"].value_counts().reindex(classes)
    lesions = table.groupby("label")["lesion_id"].nunique().reindex(classes)
    figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(classes) + 1.2))
    place = np.arange(len(classes))
    for counts, name, offset in ((images, "images", -0.2), (lesions, "lesions", 0.2)):
        bars = axes.barh(place + offset, counts, height=0.38, label=name)
        axes.bar_label(bars, fmt="{:,.0f}", padding=3, fontsize=8)
    axes.set(yticks=place, yticklabels=classes, xscale="log", xlabel="count (logarithmic)", title=title)
    axes.invert_yaxis()
    axes.legend(loc="lower right")
    return figure


def gallery(
    images: Sequence[np.ndarray], captions: Sequence[str], title: str, masks: Sequence[np.ndarray | None] = ()
) -> Figure:
    """A row of images with captions; a mask is drawn as its outline."""
    figure, row = plt.subplots(1, len(images), figsize=(1.65 * len(images), 2.2), squeeze=False)
    for index, (axes, image, caption) in enumerate(zip(row[0], images, captions, strict=True)):
        _picture(axes, image, masks[index] if index < len(masks) else None)
        axes.set_title(caption, fontsize=9, fontweight="normal", loc="center")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def curves(history: pd.DataFrame, best: int, title: str, selecting: str) -> Figure:
    """Loss and accuracy over the epochs, with the selected epoch."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3))
    epochs = history["epoch"]
    left.plot(epochs, history["loss"], marker=".", label="training")
    left.plot(epochs, history[f"{selecting}_loss"], marker=".", label=selecting)
    left.set(title=title, xlabel="epoch", ylabel="cross-entropy (nats)")
    right.plot(epochs, history[f"{selecting}_accuracy"], marker=".", label=f"{selecting}: accuracy")
    right.plot(epochs, history[f"{selecting}_balanced_accuracy"], marker=".", label=f"{selecting}: balanced accuracy")
    right.set(xlabel="epoch", ylabel="share of images", ylim=(0, 1))
    for axes in (left, right):
        axes.axvline(best, color="0.5", linestyle=":", label="selected epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)
    return figure


def confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> Figure:
    """Counts, coloured by the share of the true class."""
    counts = np.asarray(matrix)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = plt.subplots(figsize=(0.62 * len(classes) + 2.4, 0.5 * len(classes) + 1.6))
    names = {"xticklabels": classes, "yticklabels": classes, "cbar_kws": {"label": "share of the true class"}}
    sns.heatmap(share, annot=counts, fmt="d", cmap="Blues", vmin=0, vmax=1, ax=axes, **names)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.tick_params(rotation=0)
    plt.setp(axes.get_xticklabels(), rotation=45, ha="right")
    return figure


def attention_panel(
    images: np.ndarray,
    captions: Sequence[str],
    maps: np.ndarray,
    cams: np.ndarray,
    masks: Sequence[np.ndarray | None],
    title: str,
    heads: int = 2,
) -> Figure:
    """One row per image: the image with its lesion, the summed map, the strongest heads, Grad-CAM.

    Args:
        images: uint8 `(N, S, S, 3)`.
        captions: one per image.
        maps: attention `(N, K, H, W)`, each map summing to 1.
        cams: Grad-CAM `(N, h, w)`, at least 0.
        masks: lesion masks `(S, S)` or None.
        title: of the figure.
        heads: how many of the heads with the highest peak are shown.

    Attention is coloured on one fixed scale: 0 to four times the weight that a uniform map gives a cell.
    """
    columns = [
        "image and lesion",
        "attention, all heads",
        *(f"head, rank {k + 1}" for k in range(heads)),
        "Grad-CAM",
    ]
    size = (1.75 * len(columns), 1.8 * len(images) + 0.9)
    figure, grid = plt.subplots(len(images), len(columns), figsize=size, squeeze=False)
    cells = maps.shape[2] * maps.shape[3]
    for row, image in enumerate(images):
        strongest = np.argsort(-maps[row].max(axis=(1, 2)))[:heads]
        layers = [maps[row].mean(axis=0) * cells, *(maps[row, k] * cells for k in strongest)]
        _picture(grid[row, 0], image, masks[row])
        grid[row, 0].set_ylabel(captions[row], rotation=0, ha="right", va="center", fontsize=9)
        for axes, layer in zip(grid[row, 1:], layers, strict=False):
            shown = _overlay(axes, image, layer, TIMES_UNIFORM)
        _overlay(grid[row, -1], image, cams[row], max(float(cams[row].max()), 1e-12))
    for axes, name in zip(grid[0], columns, strict=True):
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
    figure.colorbar(shown, ax=grid, shrink=0.6, location="bottom", aspect=50, label="attention, times a uniform map")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.get_layout_engine().set(h_pad=0.08)  # inches, between the title and the names of the columns
    return figure


def one_look(look, classes: Sequence[str], mask: np.ndarray | None, title: str, heads: int = 2) -> Figure:
    """What a network makes of one image: its probabilities, and where it looks; colours as in `attention_panel`.

    `look`: from `exploring.look`.
    """
    strongest = np.argsort(-look.heads.max(axis=(1, 2)))[:heads]
    cells = look.heads[0].size
    layers = {"attention, all heads": look.heads.mean(axis=0) * cells}
    layers |= {f"head, rank {rank + 1}": look.heads[head] * cells for rank, head in enumerate(strongest)}
    figure, row = plt.subplots(
        1, 3 + len(layers), figsize=(2.1 * (3 + len(layers)), 2.6), width_ratios=[1] * (2 + len(layers)) + [1.3]
    )
    _picture(row[0], look.image, mask)
    row[0].set_title("image", fontsize=9, fontweight="normal", loc="center")
    for axes, (name, layer) in zip(row[1:], layers.items(), strict=False):
        _overlay(axes, look.image, layer, TIMES_UNIFORM)
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
    _overlay(row[-2], look.image, look.cam, max(float(look.cam.max()), 1e-12))
    row[-2].set_title("Grad-CAM", fontsize=9, fontweight="normal", loc="center")
    bars = row[-1].barh(classes, look.probabilities, color="#9db4cc")
    bars[int(look.probabilities.argmax())].set_color(ARMS["paper"].colour)
    row[-1].set(xlim=(0, 1), xlabel="probability")
    row[-1].invert_yaxis()
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def mean_maps(maps: Mapping[str, np.ndarray], title: str, columns: int = 6) -> Figure:
    """Average maps `(H, W)`, each scaled to a mean of 1: where a method looks on average. Shows no photo."""
    figure, panels = _panels(maps, (1.9, 2.1), title, columns)
    for axes, values in zip(panels, maps.values(), strict=True):
        shown = axes.imshow(values / max(values.mean(), 1e-12), cmap=MAP_COLOURS, vmin=0, vmax=TIMES_UNIFORM)
        axes.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=panels, shrink=0.6, aspect=40, location="bottom", label="times a uniform map")
    return figure


def attention_scores(scores: pd.DataFrame, metric: str, label: str, title: str) -> Figure:
    """One score per image for each kind of map (column `map`), as boxes."""
    order = list(dict.fromkeys(scores["map"]))
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(order) + 1.2))
    sns.boxplot(scores, x=metric, y="map", order=order, ax=axes, color="#c9d3e0", width=0.6, fliersize=2)
    axes.set(title=title, xlabel=label, ylabel="", xlim=(0, 1))
    return figure


def iou_plot(curves: pd.DataFrame, title: str) -> Figure:
    """How far the highest places of a map are the lesion: a panel per part, backbone and arm, a line per kind of map.

    `curves`: from `attention_tables.iou_table`.
    """
    arms = by_panel(curves, ("part", "backbone", "arm"))
    kept = [name for name in curves if name.startswith("0.")]
    shares = [100 * (1 - float(quantile)) for quantile in kept]
    figure, panels = _panels(arms, (2.4, 2.3), title, sharey=True)
    for axes, kinds in zip(panels, arms.values(), strict=True):
        for kind in kinds.itertuples():
            line = {"color": KIND_COLOURS.get(kind.map, "0.5"), "linewidth": 2.2 if kind.map == "attention" else 1.2}
            axes.plot(shares, kinds.loc[kind.Index, kept], marker=".", label=kind.map, **line)
        axes.set_ylim(0, None)
    figure.supxlabel("highest pixels of the map that count (%)", fontsize=10)
    figure.supylabel("mean IoU with the lesion", fontsize=10)
    _legend(figure, panels)
    return figure


def learning_curves(losses: pd.DataFrame, title: str) -> Figure:
    """The loss over the epochs: a panel per part and backbone, a colour per arm.

    Where an arm was trained several times, each training is a faint line and their mean the strong one.

    `losses`: from `load.load_losses`.
    """
    parts = by_panel(losses, ("part", "backbone"))
    figure, panels = _panels(parts, (2.4, 2.3), title)
    for axes, runs in zip(panels, parts.values(), strict=True):
        for arm in ARMS:
            colour = arm_colour(arm)
            trainings = [run for _, run in runs[runs["arm"] == arm].groupby(["seed", "fold"])]
            for run in trainings if len(trainings) > 1 else ():
                axes.plot(run["epoch"], run["loss"], color=colour, alpha=0.2, linewidth=0.7)
            if trainings:
                mean = pd.concat(trainings).groupby("epoch")["loss"].mean()
                axes.plot(mean.index, mean, color=colour, marker=".", label=arm)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel("loss (nats)", fontsize=10)
    _legend(figure, panels)
    return figure


def interval_plot(rows: pd.DataFrame, label: str, title: str, margin: float | None = None) -> Figure:
    """Point and interval per row: columns `name`, `arm`, `value`, `low`, `high`.

    `margin`: the values are differences, and those within ±margin, drawn as a band, count as none.
    """
    figure, axes = plt.subplots(figsize=(7.5, 0.34 * len(rows) + 1.3))
    if margin is not None:
        axes.axvspan(-margin, margin, color="0.92", label=f"within ±{margin:g}: counts as none")
        axes.axvline(0, color="0.4", linewidth=1)
    place = np.arange(len(rows))
    for arm, part in rows.assign(place=place).groupby("arm", sort=False):
        width = np.abs([part["value"] - part["low"], part["high"] - part["value"]])
        style = {"fmt": "o", "capsize": 3, "color": arm_colour(arm), "label": ARMS[arm].title}
        axes.errorbar(part["value"], part["place"], xerr=width, **style)
    axes.set(yticks=place, yticklabels=rows["name"], xlabel=label)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.legend(fontsize=8, loc="outside lower center", ncols=4)
    return figure


def verdict_plot(verdicts: pd.DataFrame, margin: float, label: str) -> Figure:
    """Differences of arms in points with their intervals, part by part; the band is what counts as no difference.

    `verdicts`: from `comparison.verdicts`, the arms also as `PART:ARM`. A mark is open where the comparison is no test
    of attention: one training of each arm, or a silent unit.
    """
    heading = verdicts["part"] != verdicts["part"].shift()
    place = np.arange(len(verdicts)) + 1.3 * heading.cumsum()
    figure, axes = plt.subplots(figsize=(9, 0.26 * (place.max() + 1) + 1.5))
    axes.axvspan(-100 * margin, 100 * margin, color="0.92", label=f"within ±{100 * margin:g}: counts as none")
    axes.axvline(0, color="0.4", linewidth=1)
    for arm in verdicts["arm"].str.rpartition(":")[2].unique():
        axes.plot([], [], "o", color=arm_colour(arm), label=arm)
    no_test = verdicts["remarks"].str.contains("silent|one training")
    for row, height, is_open in zip(verdicts.itertuples(), place, no_test, strict=True):
        width = [[row.points - row.points_low], [row.points_high - row.points]]
        style = {"color": arm_colour(row.arm)} | ({"markerfacecolor": "white"} if is_open else {})
        axes.errorbar(row.points, height, xerr=width, fmt="o", capsize=3, **style)
    for part, height in zip(verdicts["part"][heading], place[heading], strict=True):
        axes.annotate(part, (0.01, height - 1), xycoords=("axes fraction", "data"), fontweight="bold", va="center")
    several = verdicts["backbone"].nunique() > 1
    names = [
        (f"{row.backbone}: " if several else "") + difference_name(row.arm, row.reference)
        for row in verdicts.itertuples()
    ]
    axes.set(yticks=place, yticklabels=names, ylim=(place.max() + 0.7, place.min() - 1.6), xlabel=label)
    title = "Differences between arms, with 95 % intervals"
    title += " (open mark: no test of attention)" if no_test.any() else ""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.legend(fontsize=8, loc="outside lower center", ncols=5)
    return figure


def difference_name(arm: str, reference: str) -> str:
    """A comparison in a few words; its sides may be `PART:ARM`.

    >>> difference_name("released", "baseline")
    'released - baseline'
    >>> difference_name("no_norm:released", "frozen:released")
    'released: no_norm - frozen'
    >>> difference_name("untrained:released", "frozen:uniform")
    'released in untrained - uniform in frozen'
    """
    (part, _, one), (other_part, _, other) = arm.rpartition(":"), reference.rpartition(":")
    if not part:
        return f"{arm} - {reference}"
    return f"{one}: {part} - {other_part}" if one == other else f"{one} in {part} - {other} in {other_part}"


def gains_plot(gains: pd.DataFrame, label: str, title: str, columns: int = 4) -> Figure:
    """What each arm gains over the baseline, a panel per part and backbone; a dashed line is the oracle's.

    `gains`: from `gained.gains_table`.
    """
    parts = by_panel(gains, ("part", "backbone"))
    arms = [arm for arm in sorted(ARMS, key=lambda arm: ARMS[arm].needs_mask) if arm in set(gains["arm"])]
    panel = 2.0 if len(parts) > 1 else 5.0  # room for the names, and for the label
    figure, panels = _panels(parts, (panel, 0.26 * len(arms) + 0.7), title, columns, sharex=True, sharey=True)
    for axes, rows in zip(panels, parts.values(), strict=True):
        axes.axvline(0, color="0.4", linewidth=1)
        for row in rows.itertuples():
            oracle = ARMS[row.arm].needs_mask
            if oracle:
                axes.axvline(row.gain, color=arm_colour(row.arm), linestyle="--", linewidth=1, label="the oracle")
            width = [[row.gain - row.gain_low], [row.gain_high - row.gain]]
            mark = {"fmt": "D" if oracle else "o", "color": arm_colour(row.arm), "capsize": 2, "markersize": 4}
            axes.errorbar(row.gain, arms.index(row.arm), xerr=width, **mark)
        axes.tick_params(labelbottom=True)
    panels[0].set(yticks=range(len(arms)), yticklabels=[ARMS[arm].title for arm in arms], ylim=(len(arms) - 0.4, -0.6))
    figure.supxlabel(label, fontsize=10)
    _legend(figure, panels)
    return figure


def reliability_plot(curves: pd.DataFrame, title: str) -> Figure:
    """Accuracy beside confidence of each arm, one panel per part and backbone; the diagonal is honest.

    `curves`: from `comparison.reliability_curves`.
    """
    parts = by_panel(curves.dropna(), ("part", "backbone"))
    figure, panels = _panels(parts, (2.4, 2.5), title, sharey=True)
    for axes, arms in zip(panels, parts.values(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, linestyle="--", label="as sure as right")
        for arm, table in arms.groupby("arm", sort=False):
            place = table["confidence"], table["accuracy"]
            axes.plot(*place, marker="o", markersize=3, color=arm_colour(arm), label=arm)
        axes.set(xlim=(0, 1), ylim=(0, 1))
    figure.supxlabel("probability of the predicted class", fontsize=10)
    figure.supylabel("share predicted correctly", fontsize=10)
    _legend(figure, panels)
    return figure


def ledger_plot(
    entries: pd.DataFrame, metrics: Sequence[str], title: str, published: Mapping[str, float] | None = None
) -> Figure:
    """Entries of the bias ledger in points, one panel per metric; an open mark has a spread, no interval.

    `published`: for some of the metrics a published number of points, drawn as a line to compare.
    """
    size = (3 * len(metrics) + 4, 0.42 * len(entries) + 1.3)
    figure, row = plt.subplots(1, len(metrics), figsize=size, sharex=True, sharey=True)
    place = np.arange(len(entries))
    for axes, metric in zip(row, metrics, strict=True):
        axes.axvline(0, color="0.4", linewidth=1)
        if metric in (published or {}):
            line = {"color": "#b5442e", "linewidth": 1, "linestyle": "--"}
            axes.axvline(published[metric], label="largest published gain", **line)
        for kind, part in entries.assign(place=place).groupby("range"):
            width = np.abs([part[metric] - part[f"{metric}_low"], part[f"{metric}_high"] - part[metric]])
            style = {"fmt": "o", "capsize": 3, "color": "#27567b"}
            style["markerfacecolor"] = "#27567b" if kind.endswith("interval") else "white"
            axes.errorbar(part[metric], part["place"], xerr=width, label=kind, **style)
        axes.set_title(metric.replace("_", " "), fontsize=9, fontweight="normal", loc="center")
        axes.set_xlabel("points")
    several = entries["backbone"].nunique() > 1
    row[0].set(yticks=place, yticklabels=(entries["backbone"] + ": " if several else "") + entries["entry"])
    _legend(figure, row)
    row[0].invert_yaxis()
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def by_panel(table: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """The rows of each panel of a figure, by its title: what of `columns`, part first, is not the same everywhere."""
    telling = [name for name in columns if table[name].nunique() > 1] or columns[1:]
    panels = {}
    for key, rows in table.groupby(list(columns), sort=False):
        words = dict(zip(columns, key, strict=True))
        words["backbone"] = BACKBONES[words["backbone"]].title
        panels["\n".join(words[name] for name in telling)] = rows
    return panels


def _panels(
    names: Collection[str], size: tuple[float, float], title: str, columns: int = 4, **shared
) -> tuple[Figure, list[Axes]]:
    """A figure with a panel for each of its `names`, row by row, each of `size` (inches)."""
    columns = min(columns, len(names))
    rows = math.ceil(len(names) / columns)
    width = 0.1 * len(title) + 0.3  # of the title
    figure, grid = plt.subplots(
        rows, columns, figsize=(max(size[0] * columns + 1, width), size[1] * rows + 0.5), squeeze=False, **shared
    )
    for axes in grid.flat[len(names) :]:
        axes.remove()
    panels = list(grid.flat[: len(names)])
    for axes, name in zip(panels, names, strict=True):
        axes.set_title(name, fontsize=9, fontweight="normal", loc="center")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure, panels


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """One legend beside the panels, of all that is drawn in any of them."""
    drawn = {label: mark for axes in panels for mark, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(drawn.values(), drawn, fontsize=8, loc="outside right center")


def _picture(axes: Axes, image: np.ndarray, mask: np.ndarray | None = None) -> None:
    axes.imshow(image)
    if mask is not None and 0 < mask.mean() < 1:
        axes.contour(mask, levels=[0.5], colors="#39ff88", linewidths=1)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _overlay(axes: Axes, image: np.ndarray, values: np.ndarray, top: float):
    height, width = image.shape[:2]
    axes.imshow(image)
    shown = axes.imshow(values, cmap=MAP_COLOURS, vmin=0, vmax=top, alpha=0.6, extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axes.spines[:].set_visible(False)
    return shown
