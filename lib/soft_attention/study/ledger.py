"""The bias ledger: by how many points each choice of the authors' protocol moves a result, one choice at a time.

Each entry compares two tables of predictions of the same images (or one table with a part of it) that differ in that
choice alone; one says how widely a result scatters by chance. Every image counts the same here, as in the published
scores. Points are hundredths.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from soft_attention.study import comparison, records, statistics, tables
from soft_attention.vocabulary import BACKBONES

METRICS = ("accuracy", "weighted_precision", "balanced_accuracy")
DRAWS = 2_000
LEVEL = 0.95
INTERVAL, SPREAD = "95 % interval", "middle 95 % of the draws"
ARMS = ("released", "baseline")

Parts = Mapping[str, pd.DataFrame]


def ledger(parts: Parts) -> pd.DataFrame:
    """One row per backbone and entry that the finished runs on HAM10000 allow.

    Args:
        parts: runs by name of the part: `frozen`, `redraws`, `leak`, `melanoma_weight`; those that are missing leave
            their entries out, and without `frozen` there are none.

    Returns:
        Columns: backbone, entry, compared (what with what), trainings (of the first), images, range (what low and high
        are: `INTERVAL`, over lesions and seeds, or `SPREAD`), and for each of `METRICS` the points, low and high.
    """
    parts = {name: runs[runs["dataset"] == "ham10000"] for name, runs in parts.items()}
    rows = [
        {"backbone": backbone} | row
        for backbone in BACKBONES
        for row in _entries({name: runs[runs["backbone"] == backbone] for name, runs in parts.items()})
    ]
    return pd.DataFrame(rows)


def published_gain() -> dict[str, float]:
    """What the paper's networks gained by attention, InceptionResNetV2: points of weighted precision and accuracy."""
    table = tables.published_networks().query("backbone == 'inception_resnet_v2'").set_index("arm")
    return {
        metric: 100 * float(table.loc["released", metric] - table.loc["baseline", metric])
        for metric in ("weighted_precision", "accuracy")
    }


def published_gain_text() -> str:
    gain = published_gain()
    return f"{gain['weighted_precision']:+.1f} weighted precision, {gain['accuracy']:+.1f} accuracy."


def redraw_gains(runs: pd.DataFrame) -> pd.DataFrame:
    """What attention gained in each redraw of the authors' split: seed, and for each metric the points gained."""
    values = runs.pivot(index="seed", columns="arm", values=list(METRICS)).dropna()
    gains = {metric: 100 * (values[metric]["released"] - values[metric]["baseline"]) for metric in METRICS}
    return pd.DataFrame(gains).reset_index()


# --- the entries ----------------------------------------------------------------------------------


def _entries(parts: Parts) -> Iterator[dict]:
    """The entries of one backbone."""
    frozen = parts.get("frozen", pd.DataFrame())
    if frozen.empty:
        return
    finished = {name: runs for name, runs in parts.items() if len(runs)}
    yield from _attention(frozen)
    if "redraws" in finished:
        yield from _redraws(finished["redraws"])
    baselines = comparison.complete(frozen, ("baseline",))
    if len(baselines):
        table = comparison.predictions_of(baselines, "baseline")
        pairs = statistics.pair_predictions(table, table, _classes(frozen))
        yield _test_pool(pairs, _classes(frozen))
        yield _weighting(pairs, _classes(frozen))
    if "leak" in finished:
        yield from _leak(finished["leak"], frozen)
    if "melanoma_weight" in finished:
        yield from _melanoma_weight(finished["melanoma_weight"], frozen)


def _attention(frozen: pd.DataFrame) -> Iterator[dict]:
    runs = comparison.complete(frozen, ARMS)
    if len(runs):
        arm, reference = (comparison.predictions_of(runs, name) for name in ARMS)
        compared = "arm released - baseline, lesions apart, validation chooses"
        yield _entry("attention itself", compared, arm, reference, _classes(runs))


def _redraws(runs: pd.DataFrame) -> Iterator[dict]:
    """Who chooses the epoch; and, not a shift but a spread, what attention gained draw by draw."""
    chosen = (_predictions(runs, name) for name in ("test", "validation-choice"))
    compared = "best epoch by test accuracy - by validation accuracy, same trainings"
    yield _entry("checkpoint chosen on the test set", compared, *chosen, _classes(runs))
    gains = redraw_gains(runs)
    if len(gains) > 2:
        compared = f"gain by attention in each of {len(gains)} draws of the authors' split, each trained anew"
        row = {"entry": "luck of split and training", "compared": compared, "trainings": len(gains)}
        row |= {"images": int(runs["n_images"].iloc[0]), "range": SPREAD}
        for metric in METRICS:
            low, high = np.quantile(gains[metric], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            row |= {metric: float(gains[metric].mean()), f"{metric}_low": float(low), f"{metric}_high": float(high)}
        yield row


def _test_pool(pairs: pd.DataFrame, classes: list[str]) -> dict:
    """The same networks on the lesions that have a single image, and on all."""
    single = pairs.groupby(["seed", "lesion_id"])["image_id"].transform("size") == 1
    compared = "tested on those - on all, same trainings, arm baseline"
    row = _facts("only lesions with a single image", compared, pairs[single])
    return row | _points(pairs.assign(arm_weight=single.astype(float)), classes)


def _weighting(pairs: pd.DataFrame, classes: list[str]) -> dict:
    """The same calls by scores that weigh the classes by their images, and by scores that count them alike."""
    nevi = (pairs["truth"] == classes.index("nv")).mean()
    kinder = {"accuracy": ("accuracy", "balanced_accuracy")}
    kinder["weighted_precision"] = ("weighted_precision", "macro_precision")
    compared = f"accuracy - balanced, weighted - macro precision: {nevi:.0%} of the images are nevi, arm baseline"
    return _facts("weighting by class frequency", compared, pairs) | _points(pairs, classes, kinder)


def _leak(runs: pd.DataFrame, frozen: pd.DataFrame) -> Iterator[dict]:
    """What it is worth to have trained on other images of the tested lesions: on all of them, and where it can help."""
    arm, clean = _predictions(runs), _predictions(_partners(runs, frozen))
    images = clean.groupby("lesion_id")["image_id"].nunique()
    reference = clean.merge(arm[["seed", "image_id"]], on=["seed", "image_id"])
    compared = "other images of tested lesions trained on - not"
    yield _entry("leakage, all tested lesions", compared, arm, reference, _classes(runs))
    several = images.index[images > 1]
    pair = (table[table["lesion_id"].isin(several)] for table in (arm, reference))
    yield _entry("leakage, lesions that leak", f"{compared}, lesions with several images", *pair, _classes(runs))


def _melanoma_weight(runs: pd.DataFrame, frozen: pd.DataFrame) -> Iterator[dict]:
    arm, reference = _predictions(runs), _predictions(_partners(runs, frozen))
    yield _entry("melanoma weight 5", "melanoma five times in the loss - once", arm, reference, _classes(runs))


# --- help -----------------------------------------------------------------------------------------


def _classes(runs: pd.DataFrame) -> list[str]:
    return runs["classes"].iloc[0]


def _partners(runs: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Of `others`, the runs that stand in the places of `runs`."""
    return others.merge(runs[["arm", "seed", "fold"]], on=["arm", "seed", "fold"])


def _predictions(runs: pd.DataFrame, name: str = "test") -> pd.DataFrame:
    """The predictions of all runs of all arms; every arm and seed is a replicate."""
    parts = [
        records.read_predictions(run.folder, name).assign(seed=f"{run.arm} {run.seed}", fold=run.fold)
        for run in runs.itertuples()
    ]
    return pd.concat(parts, ignore_index=True)


def _entry(entry: str, compared: str, arm: pd.DataFrame, reference: pd.DataFrame, classes: list[str]) -> dict:
    return _facts(entry, compared, arm) | _points(statistics.pair_predictions(arm, reference, classes), classes)


def _facts(entry: str, compared: str, table: pd.DataFrame) -> dict:
    trainings = len(table[["seed", "fold"]].drop_duplicates())
    images = table["image_id"].nunique()
    return {"entry": entry, "compared": compared, "trainings": trainings, "images": images, "range": INTERVAL}


def _points(
    pairs: pd.DataFrame, classes: list[str], metrics: Mapping[str, str | tuple[str, str]] | None = None
) -> dict[str, float]:
    """By metric of the ledger the points with their interval; `metrics`: where two scores stand against each other."""
    row, metrics = {}, metrics or dict(zip(METRICS, METRICS, strict=True))
    found = statistics.paired_bootstraps(pairs, classes, list(metrics.values()), unit="image", draws=DRAWS)
    for name, metric in metrics.items():
        low, high = found[metric].interval(LEVEL)
        row |= {name: 100 * found[metric].estimate, f"{name}_low": 100 * low, f"{name}_high": 100 * high}
    return row
