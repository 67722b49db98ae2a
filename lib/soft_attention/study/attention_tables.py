"""Tables of where the networks look: means, lift over the centred Gaussian, by class and by size of the lesion."""

import pandas as pd

from soft_attention.study import saliency
from soft_attention.study.attention import ATTENTION, GAUSSIAN

SIZES = ("smallest third", "middle third", "largest third")
PLACE = ["part", "dataset", "protocol", "backbone", "arm"]


def means_table(attention: pd.DataFrame) -> pd.DataFrame:
    """Mean scores of each way to look, over images and runs, from `records.load_attention`."""
    groups = attention.groupby([*PLACE, "map"], sort=False)
    numbers = ["energy", "pointing", "iou", "entropy", "effective_cells", "insertion", "deletion", "head_correlation"]
    table = groups[[name for name in numbers if name in attention]].mean()
    table.insert(0, "runs", groups.size())
    return table.reset_index()


def lift_table(attention: pd.DataFrame) -> pd.DataFrame:
    """By arm the energy that attention and Grad-CAM have above the centred Gaussian, with intervals over lesions.

    Columns: the place, runs, images, lesions, and for each way the mean `lift`, low and high (shares of the map's
    weight); rank_unit and rank_network, the mean rank correlation of the attention with that of random weights.
    """
    units = attention[attention["map"] == ATTENTION]
    rows = []
    for place, runs in units.groupby(PLACE, sort=False):
        energies = _energies(runs)
        if energies.empty:
            continue
        row = dict(zip(PLACE, place, strict=True)) | {"runs": len(runs), "images": energies["image_id"].nunique()}
        row["lesions"] = energies["lesion_id"].nunique()
        for name, way in (("attention", ATTENTION), ("grad_cam", "Grad-CAM")):
            row |= _lift(energies, way, name)
        rows.append(row | runs[["rank_unit", "rank_network"]].astype(float).mean().to_dict())
    return pd.DataFrame(rows)


def lift_by_group(attention: pd.DataFrame) -> pd.DataFrame:
    """The lift of `lift_table` for the attention, by class and by thirds of the lesions' share of the image."""
    units = attention[attention["map"] == ATTENTION]
    rows = []
    for place, runs in units.groupby(PLACE, sort=False):
        energies = _energies(runs)
        if energies.empty:
            continue
        thirds = pd.qcut(energies["area"], 3, labels=SIZES)
        for column, groups in (("class", energies["label"]), ("size", thirds)):
            for name, part in energies.groupby(groups, observed=True):
                facts = {"by": column, "group": str(name), "lesions": part["lesion_id"].nunique()}
                rows.append(dict(zip(PLACE, place, strict=True)) | facts | _lift(part, ATTENTION, "attention"))
    return pd.DataFrame(rows)


def _energies(runs: pd.DataFrame) -> pd.DataFrame:
    """The energies of every image of some runs, one below the other; empty where no image has a mask."""
    files = [folder / "attention.parquet" for folder in runs["folder"]]
    tables = [pd.read_parquet(file) for file in files if file.exists()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _lift(energies: pd.DataFrame, way: str, name: str) -> dict[str, float]:
    difference = (energies[way] - energies[GAUSSIAN]).to_numpy()
    mean, low, high = saliency.lesion_interval(difference, energies["lesion_id"].to_numpy())
    return {f"{name}_lift": mean, f"{name}_low": low, f"{name}_high": high}
