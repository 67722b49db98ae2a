"""Tables of where the networks look: means, overlap with the lesion, lift over the centred Gaussian, also by group."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from soft_attention.evaluation.bootstrap import bootstrap_mean
from soft_attention.evaluation.saliency import ATTENTION, GAUSSIAN, QUANTILES
from soft_attention.files import read_table

SIZES = ("smallest third", "middle third", "largest third")
PLACE = ["part", "dataset", "protocol", "backbone", "arm"]


def energy_table(rows: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """One row per image: image_id, lesion_id, label, area, and the energy of each kind of map.

    `scores` is as from `saliency.compare`, every kind over the same images as `rows`.
    """
    wide = {name: part["energy"].to_numpy(np.float32) for name, part in scores.groupby("map", sort=False)}
    area = scores["area"].to_numpy(np.float32)[: len(rows)]
    facts = rows[["image_id", "lesion_id", "label"]].reset_index(drop=True)
    return facts.assign(area=area, **wide)


def lift_over_gaussian(energies: pd.DataFrame, kind: str = ATTENTION) -> dict[str, Any]:
    """The energy of a kind of map less the centred Gaussian's, image by image: mean, low, high, number of lesions.

    With a column `seed` the interval is for other lesions and other trainings, without one it is for other lesions; of
    one lesion there is none, and low and high are None.
    """
    table = energies[["image_id", "lesion_id"]].assign(seed=energies.get("seed", 0))
    table["lift"] = energies[kind] - energies[GAUSSIAN]
    lesions = int(table["lesion_id"].nunique())
    if lesions < 2:
        return {"mean": float(table["lift"].mean()), "low": None, "high": None, "lesions": lesions}
    found = bootstrap_mean(table, "lift")
    low, high = found.interval()
    return {"mean": found.estimate, "low": low, "high": high, "lesions": lesions}


def extreme_rows(energies: pd.DataFrame) -> np.ndarray:
    """Positions of the images on which attention did best, middling and worst against the centred Gaussian."""
    order = np.argsort((energies[ATTENTION] - energies[GAUSSIAN]).to_numpy(), kind="stable")
    return order[[-1, len(order) // 2, 0]]


def means_table(attention: pd.DataFrame) -> pd.DataFrame:
    """Mean scores of each kind of map, over images and runs, from `load.load_attention`.

    Insertion and deletion are measured on `perturbed_images` of each run; `chance` takes their places in random order.
    They are means over `perturbed_runs`, the runs in which the most kinds have them: all kinds stand on the same runs.
    """
    kinds = attention.groupby("folder")["insertion"].transform("count")
    most = kinds.groupby([attention[name] for name in PLACE]).transform("max")
    attention = attention.assign(**attention[["insertion", "deletion"]].where(kinds == most))
    groups = attention.groupby([*PLACE, "map"], sort=False)
    numbers = ["energy", "pointing", "iou", "entropy", "effective_cells", "head_correlation"]
    numbers += ["perturbed_images", "insertion", "deletion"]
    table = groups[[name for name in numbers if name in attention]].mean()
    table.insert(0, "runs", groups.size())
    table.insert(table.columns.get_loc("insertion"), "perturbed_runs", groups["insertion"].count())
    return table.reset_index()


def iou_table(attention: pd.DataFrame) -> pd.DataFrame:
    """The overlap of each kind of map with the lesion, the map cut at quantiles of its own pixels; means over runs.

    Columns: the place, map, and one for each of `saliency.QUANTILES`; empty where no image has a mask.
    """
    columns = [f"iou_{quantile}" for quantile in QUANTILES]
    table = attention.reindex(columns=[*PLACE, "map", *columns]).dropna(subset=columns)
    means = table.groupby([*PLACE, "map"], sort=False)[columns].mean().reset_index()
    return means.rename(columns=lambda name: name.removeprefix("iou_"))


def lift_table(attention: pd.DataFrame) -> pd.DataFrame:
    """By arm the energy that attention and Grad-CAM have above the centred Gaussian.

    Columns: the place, runs, seeds, images, lesions; for each of the two the mean `lift`, low and high, in shares
    of the map's weight, the interval over lesions and trainings, or with one seed over lesions; rank_unit and
    rank_network, the mean rank correlation of the attention with that of random weights.
    """
    rows = []
    for place, runs, energies in _arms(attention):
        row = place | {"runs": len(runs), "seeds": energies["seed"].nunique(), "images": energies["image_id"].nunique()}
        row |= {"lesions": energies["lesion_id"].nunique()} | _lift(energies, ATTENTION, "attention")
        row |= _lift(energies, "Grad-CAM", "grad_cam")
        rows.append(row | runs[["rank_unit", "rank_network"]].astype(float).mean().to_dict())
    return pd.DataFrame(rows)


def lift_by_group(attention: pd.DataFrame) -> pd.DataFrame:
    """The lift of `lift_table` for the attention, by class and by thirds of the lesions' share of the image."""
    rows = []
    for place, _, energies in _arms(attention):
        thirds = pd.cut(energies["area"].rank(pct=True, method="first"), [0, 1 / 3, 2 / 3, 1], labels=SIZES)
        for column, groups in (("class", energies["label"]), ("size", thirds)):
            for name, part in energies.groupby(groups, observed=True):
                facts = {"by": column, "group": str(name), "lesions": part["lesion_id"].nunique()}
                rows.append(place | facts | _lift(part, ATTENTION, "attention"))
    return pd.DataFrame(rows)


def _arms(attention: pd.DataFrame) -> Iterator[tuple[dict[str, str], pd.DataFrame, pd.DataFrame]]:
    """The place, the runs and the energies of all their images, for every arm that has images with a mask."""
    units = attention[attention["map"] == ATTENTION]
    for place, runs in units.groupby(PLACE, sort=False):
        tables = [
            read_table(file).assign(seed=run.seed)
            for run in runs.itertuples()
            if (file := run.folder / "attention.parquet").exists()
        ]
        if tables:
            energies = pd.concat(tables, ignore_index=True)
            yield dict(zip(PLACE, place, strict=True)), runs, energies


def _lift(energies: pd.DataFrame, kind: str, name: str) -> dict[str, float]:
    found = lift_over_gaussian(energies, kind)
    return {f"{name}_lift": found["mean"], f"{name}_lift_low": found["low"], f"{name}_lift_high": found["high"]}
