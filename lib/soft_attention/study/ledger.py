"""The bias ledger: by how many points each choice of the authors' protocol moves a result, one choice at a time.

Each entry compares two tables of predictions of the same images (or one table with a part of it) that differ in that
choice alone. Every image counts the same here, as in the published scores. Points are hundredths.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from soft_attention.study import comparison, records, statistics, tables

METRICS = ("accuracy", "weighted_precision", "balanced_accuracy")
DRAWS = 2_000
LEVEL = 0.95


def ledger(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """One row per entry that the finished runs allow.

    Args:
        parts: runs by name of the part: `frozen`, `redraws`, `leak`, `melanoma_weight`; those that are missing leave
            their entries out.
        classes: of HAM10000.

    Returns:
        Columns: entry, compared (what with what), trainings (of the first), images, and for each of `METRICS` the
        points, low and high.
    """
    entries: list[tuple[str, Callable]] = [
        ("frozen", _attention),
        ("redraws", _selection),
        ("redraws", _split_luck),
        ("frozen", _test_pool),
        ("leak", _leak),
        ("leak", _leak_where_it_leaks),
        ("melanoma_weight", _melanoma_weight),
    ]
    rows = [entry(parts, classes) for part, entry in entries if part in parts and "frozen" in parts]
    return pd.DataFrame([row for row in rows if row])


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


def flattery(runs: pd.DataFrame) -> pd.DataFrame:
    """How much kinder the weighted scores are than the macro ones, on the same predictions: mean over runs, by arm."""
    means = runs.groupby("arm")[["accuracy", "weighted_precision", "macro_precision", "balanced_accuracy"]].mean()
    return means.assign(flattery=means["weighted_precision"] - means["balanced_accuracy"]).reset_index()


def redraw_gains(runs: pd.DataFrame) -> pd.DataFrame:
    """What attention gained in each redraw of the authors' split: seed, and for each metric the points gained."""
    values = runs.pivot(index="seed", columns="arm", values=list(METRICS)).dropna()
    gains = {metric: 100 * (values[metric]["released"] - values[metric]["baseline"]) for metric in METRICS}
    return pd.DataFrame(gains).reset_index()


# --- the entries ----------------------------------------------------------------------------------


def _attention(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict | None:
    runs = comparison.complete(parts["frozen"], ("released", "baseline"))
    if runs.empty:
        return None
    arm, reference = (comparison.predictions_of(runs, name) for name in ("released", "baseline"))
    return _entry(
        "attention itself", "arm released - baseline, lesions apart, validation chooses", arm, reference, classes
    )


def _selection(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict:
    runs = parts["redraws"]
    chosen = {name: _all(runs, name) for name in ("test", "validation-choice")}
    return _entry(
        "checkpoint chosen on the test set",
        "best epoch by test accuracy - by validation accuracy, same trainings",
        chosen["test"],
        chosen["validation-choice"],
        classes,
    )


def _split_luck(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict | None:
    """Not a shift but a spread: 95 % of the draws of the split lie within these points of their mean."""
    gains = redraw_gains(parts["redraws"])
    if len(gains) < 3:
        return None
    row = {
        "entry": "luck of the split",
        "compared": f"gain by attention over {len(gains)} draws of the authors' split: middle 95 %, not an interval",
        "trainings": len(parts["redraws"]),
        "images": int(parts["redraws"]["n_images"].iloc[0]),
    }
    for metric in METRICS:
        low, high = np.quantile(gains[metric], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        row |= {metric: float(gains[metric].mean()), f"{metric}_low": float(low), f"{metric}_high": float(high)}
    return row


def _test_pool(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict:
    """The same networks on the lesions that have a single image, and on all."""
    table = comparison.predictions_of(comparison.complete(parts["frozen"], ("baseline",)), "baseline")
    pairs = statistics.pair_predictions(table, table, classes)
    single = pairs.groupby(["seed", "lesion_id"])["image_id"].transform("size") == 1
    row = _facts("only lesions with a single image", "tested on those - on all, same trainings, arm baseline", table)
    return row | _all_points(pairs.assign(arm_weight=single.astype(float)), classes)


def _leak(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict | None:
    arm, reference = _leaked(parts)
    return _entry(
        "leakage, all tested lesions", "other images of tested lesions trained on - not", arm, reference, classes
    )


def _leak_where_it_leaks(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict | None:
    arm, reference = _leaked(parts)
    clean = pd.concat([_run_predictions(run) for run in _partners(parts["leak"], parts["frozen"]).itertuples()])
    images = clean.groupby("lesion_id")["image_id"].nunique()
    several = images.index[images > 1]
    arm, reference = (table[table["lesion_id"].isin(several)] for table in (arm, reference))
    return _entry("leakage, lesions that leak", "the same, only lesions with several images", arm, reference, classes)


def _melanoma_weight(parts: dict[str, pd.DataFrame], classes: Sequence[str]) -> dict:
    runs = parts["melanoma_weight"]
    arm, reference = _all(runs), _all(_partners(runs, parts["frozen"]))
    return _entry("melanoma weight 5", "melanoma five times in the loss - once", arm, reference, classes)


# --- help -----------------------------------------------------------------------------------------


def _leaked(parts: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions of the runs with the leak, and of those without it on the same images."""
    arm, reference = _all(parts["leak"]), _all(_partners(parts["leak"], parts["frozen"]))
    return arm, reference.merge(arm[["seed", "image_id"]], on=["seed", "image_id"])


def _partners(runs: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Of `others`, the runs that stand in the places of `runs`."""
    return others.merge(runs[["arm", "seed", "fold"]], on=["arm", "seed", "fold"])


def _all(runs: pd.DataFrame, name: str = "test") -> pd.DataFrame:
    """The predictions of all runs, every run a replicate of its own."""
    return pd.concat([_run_predictions(run, name) for run in runs.itertuples()], ignore_index=True)


def _run_predictions(run, name: str = "test") -> pd.DataFrame:
    replicate = f"{run.arm} {run.seed} {run.fold}"
    return records.read_predictions(run.folder, name).assign(seed=replicate, run=replicate)


def _entry(entry: str, compared: str, arm: pd.DataFrame, reference: pd.DataFrame, classes: Sequence[str]) -> dict:
    pairs = statistics.pair_predictions(arm, reference, classes)
    return _facts(entry, compared, arm) | _all_points(pairs, classes)


def _facts(entry: str, compared: str, table: pd.DataFrame) -> dict:
    return {
        "entry": entry,
        "compared": compared,
        "trainings": table["run"].nunique(),
        "images": table["image_id"].nunique(),
    }


def _all_points(pairs: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    row = {}
    differences = statistics.paired_bootstraps(pairs, classes, METRICS, unit="image", draws=DRAWS)
    for metric, difference in differences.items():
        low, high = difference.interval(LEVEL)
        row |= {metric: 100 * difference.estimate, f"{metric}_low": 100 * low, f"{metric}_high": 100 * high}
    return row
