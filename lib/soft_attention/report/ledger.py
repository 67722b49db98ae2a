"""The bias ledger: by how many points each choice of the authors' protocol moves a result, one choice at a time.

Each entry compares two tables of predictions of the same images (or one table with a part of it) that differ in that
choice alone; one says how widely a result scatters by chance. A choice may move the scores of all arms alike and leave
what attention gains where it was, so the two are told apart. Every image counts the same here, as in the published
scores. Points are hundredths.

A score is that of all calls of a seed together: where both arms stand in a row, accuracy and balanced accuracy are the
mean of the arms, a precision is the pooled one, of both arms' calls.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import scipy

from soft_attention.evaluation import bootstrap
from soft_attention.evaluation.metrics import in_table
from soft_attention.evaluation.verdict import Difference
from soft_attention.report import comparison, tables
from soft_attention.study.folder import predictions_file
from soft_attention.vocabulary import BACKBONES, BASELINE

KINDER = {"accuracy": "balanced_accuracy", "weighted_precision": "macro_precision"}  # than the one beside it
NOISE_DRAWS = 200  # of the test images of each redraw
EACH = {"unit": "image", "draws": 2_000}
INTERVAL, SPREAD = "95 % interval", "where 95 % of further draws fall"
PAIR = ("released", BASELINE)
GAIN, SCORE = "attention's gain", "a score"  # what an entry moves
FEWEST_SEEDS = 3  # with two, the interval of a change of the gain says nothing

Parts = Mapping[str, pd.DataFrame]


def ledger(parts: Parts) -> pd.DataFrame:
    """One row per backbone and entry that the finished runs on HAM10000 allow.

    Args:
        parts: runs by name of the part: `frozen`, `redraws`, `leak`, `melanoma_weight`; those that are missing leave
            their entries out, and without `frozen` there are none.

    Returns:
        Columns: backbone, moves (`GAIN` or `SCORE`, in this order), entry, compared (what with what), replicates (pairs
        of trainings where a gain is moved, else trainings), images, range (what low and high are: `INTERVAL`, over
        lesions and seeds, or `SPREAD`, around 0), and for each metric of the ledger the points, low and high.
    """
    parts = {name: runs[runs["dataset"] == "ham10000"] for name, runs in parts.items()}
    rows = [
        {"backbone": backbone} | row
        for backbone in BACKBONES
        for row in _entries({name: runs[runs["backbone"] == backbone] for name, runs in parts.items()})
    ]
    return pd.DataFrame(rows)


def published_gain() -> dict[str, float]:
    """The paper's largest gain by attention, InceptionResNetV2's: points of weighted precision and accuracy."""
    table = tables.published_networks().query("backbone == 'inception_resnet_v2'").set_index("arm")
    return {
        metric: 100 * float(table.loc["released", metric] - table.loc["baseline", metric])
        for metric in ("weighted_precision", "accuracy")
    }


def published_gain_text() -> str:
    gain = published_gain()
    of = "the largest of five, InceptionResNetV2's"
    return f"{gain['weighted_precision']:+.1f} weighted precision, {gain['accuracy']:+.1f} accuracy ({of})"


def redraw_gains(runs: pd.DataFrame) -> pd.DataFrame:
    """What attention gained in each redraw of the authors' split: seed, and for each metric the points gained."""
    values = runs.pivot(index="seed", columns="arm", values=list(in_table("ledger"))).dropna()
    gains = {metric: 100 * (values[metric]["released"] - values[metric]["baseline"]) for metric in in_table("ledger")}
    return pd.DataFrame(gains).reset_index()


# --- the entries ----------------------------------------------------------------------------------


def _entries(parts: Parts) -> list[dict]:
    """The entries of one backbone."""
    frozen = parts.get("frozen", pd.DataFrame())
    if frozen.empty:
        return []
    rows = [*_attention(frozen), *_baseline_scores(frozen)]
    for name, entries in (("redraws", _redraws), ("leak", _leak), ("melanoma_weight", _melanoma_weight)):
        if len(parts.get(name, ())):
            rows += entries(parts[name], frozen)
    return sorted(rows, key=lambda row: (GAIN, SCORE).index(row["moves"]))


def _attention(frozen: pd.DataFrame) -> Iterator[dict]:
    """What attention gains, and how much of that depends on the tested lesions and on the score."""
    runs, classes = comparison.complete(frozen, PAIR), _classes(frozen)
    if runs.empty:
        return
    pairs = comparison.pairs_of_arms(runs, *PAIR)
    compared = "arm released - baseline, lesions apart, validation chooses"
    found = bootstrap.paired_bootstraps(pairs, classes, in_table("ledger"), **EACH)
    yield _row(GAIN, "attention itself", compared, pairs, found)
    weight = _single(pairs).astype(float)
    single = pairs.assign(arm_weight=weight, reference_weight=weight)
    yield from _gain("only lesions with a single image", "gain on those - on all", single, pairs, classes)
    kinder = {name: (name, balanced) for name, balanced in KINDER.items()}
    compared = "gain of accuracy - of balanced, of weighted - of macro precision"
    yield from _gain("weighting by class frequency", compared, pairs, pairs, classes, kinder)


def _baseline_scores(frozen: pd.DataFrame) -> Iterator[dict]:
    """The same calls on the lesions that have a single image, and by scores that weigh the classes by their images."""
    runs, classes = comparison.complete(frozen, (BASELINE,)), _classes(frozen)
    if runs.empty:
        return
    table = comparison.predictions_of(runs)
    pairs = bootstrap.pair_predictions(table, table, classes)
    single = _single(pairs)
    compared = "tested on those - on all, same trainings, arm baseline"
    weighted = pairs.assign(arm_weight=single.astype(float))
    found = bootstrap.paired_bootstraps(weighted, classes, in_table("ledger"), **EACH)
    yield _row(SCORE, "only lesions with a single image", compared, pairs[single], found)
    nevi = (pairs["truth"] == classes.index("nv")).mean()
    compared = f"accuracy - balanced, weighted - macro precision: {nevi:.0%} of the images are nevi, arm baseline"
    found = bootstrap.paired_bootstraps(pairs, classes, list(KINDER.items()), **EACH)
    found = {name: found[name, balanced] for name, balanced in KINDER.items()}
    yield _row(SCORE, "weighting by class frequency", compared, pairs, found)


def _redraws(runs: pd.DataFrame, _: pd.DataFrame) -> Iterator[dict]:
    """Who chooses the epoch; and, not a shift but a spread, what attention gained draw by draw."""
    compared = "best epoch by test accuracy - by validation accuracy, same trainings"
    choices, both = ("test", "validation-choice"), comparison.complete(runs, PAIR)
    if all((folder / predictions_file(choices[1])).exists() for folder in runs["folder"]):
        chosen = (_predictions(runs, name) for name in choices)
        yield _score("checkpoint chosen on the test set", compared, *chosen, _classes(runs))
        if len(both):
            pairs = (comparison.pairs_of_arms(both, *PAIR, name) for name in choices)
            yield from _gain("checkpoint chosen on the test set", compared, *pairs, _classes(runs))
    gains = redraw_gains(both) if len(both) else ()
    if len(gains) > 2:
        compared = f"gain by attention in {len(gains)} draws of the authors' split, each trained anew, around its mean"
        images = int(runs["n_images"].iloc[0])
        yield _spread("luck of split and training", compared, gains, images, len(gains))
        compared = "the same of each draw's networks when its test images are drawn again: what no training changes"
        yield _spread(f"luck of {images:,} test images alone", compared, _image_noise(both), images, len(gains))


def _image_noise(runs: pd.DataFrame) -> pd.DataFrame:
    """How attention's gain moves when each seed's test images are drawn again, in points; a row per draw."""
    pairs, classes = comparison.pairs_of_arms(runs, *PAIR), _classes(runs)
    noise = []
    for _, of_seed in pairs.groupby("seed"):
        found = bootstrap.paired_bootstraps(of_seed, classes, in_table("ledger"), unit="image", draws=NOISE_DRAWS)
        noise.append(pd.DataFrame({metric: 100 * (each.draws - each.estimate) for metric, each in found.items()}))
    return pd.concat(noise)


def _spread(entry: str, compared: str, gains: pd.DataFrame, images: int, replicates: int) -> dict:
    """A row whose range is Student's interval for one more draw, around 0: quantiles of 20 draws would be too near."""
    row = {"moves": GAIN, "entry": entry, "compared": compared, "replicates": replicates, "images": images}
    row["range"] = SPREAD
    for metric in in_table("ledger"):
        half = scipy.stats.t.ppf(0.975, len(gains) - 1) * gains[metric].std() * np.sqrt(1 + 1 / len(gains))
        row |= {metric: 0.0, f"{metric}_low": -half, f"{metric}_high": half}
    return row


def _leak(runs: pd.DataFrame, frozen: pd.DataFrame) -> Iterator[dict]:
    """What it is worth to have trained on other images of the tested lesions: on all of them, and where it can help."""
    runs, partners = _partners(runs, frozen)
    if runs.empty:
        return
    arm, clean = _predictions(runs), _predictions(partners)
    images = clean.groupby("lesion_id")["image_id"].nunique()
    tested = ["seed", "fold", "image_id"]
    reference = clean.merge(arm[tested], on=tested)
    compared = "other images of tested lesions trained on - not"
    yield _score("leakage, all tested lesions", compared, arm, reference, _classes(runs))
    several = images.index[images > 1]
    pair = (table[table["lesion_id"].isin(several)] for table in (arm, reference))
    several_only = f"{compared}, lesions with several images"
    yield _score("leakage, lesions that leak", several_only, *pair, _classes(runs))
    yield from _gain_there("leakage, all tested lesions", compared, runs, partners)
    yield from _gain_there("leakage, lesions that leak", several_only, runs, partners, several)


def _melanoma_weight(runs: pd.DataFrame, frozen: pd.DataFrame) -> Iterator[dict]:
    runs, partners = _partners(runs, frozen)
    if runs.empty:
        return
    entry, compared = "melanoma weight 5", "melanoma five times in the loss - once"
    yield _score(entry, compared, _predictions(runs), _predictions(partners), _classes(runs))
    yield from _gain_there(entry, compared, runs, partners)


# --- help -----------------------------------------------------------------------------------------


def _classes(runs: pd.DataFrame) -> list[str]:
    return runs["classes"].iloc[0]


def _partners(runs: pd.DataFrame, others: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of each table that stand in the same place as one of the other; these places are all that count."""
    place = ["arm", "seed", "fold"]
    runs, others = runs.merge(others[place], on=place), others.merge(runs[place], on=place)
    return tuple(table.assign(planned_folds=table["fold"].nunique()) for table in (runs, others))


def _predictions(runs: pd.DataFrame, name: str = "test") -> pd.DataFrame:
    """The predictions of all runs. A seed is the replicate: its arms stand in it as folds that test the same images."""
    return comparison.predictions_of(runs.assign(fold=runs["arm"] + " " + runs["fold"].astype(str)), name)


def _single(pairs: pd.DataFrame) -> pd.Series:
    """Whether an image is the only one of its lesion."""
    return pairs.groupby(["seed", "lesion_id"])["image_id"].transform("size") == 1


def _score(entry: str, compared: str, arm: pd.DataFrame, reference: pd.DataFrame, classes: list[str]) -> dict:
    pairs = bootstrap.pair_predictions(arm, reference, classes)
    return _row(SCORE, entry, compared, arm, bootstrap.paired_bootstraps(pairs, classes, in_table("ledger"), **EACH))


def _gain(
    entry: str,
    compared: str,
    pairs: pd.DataFrame,
    others: pd.DataFrame,
    classes: list[str],
    metrics: Mapping[str, tuple[str, str]] | None = None,
) -> Iterator[dict]:
    """How much more the arms of `pairs` differ than those of `others`; nothing with too few seeds."""
    if pairs["seed"].nunique() >= FEWEST_SEEDS:
        metrics = metrics or {name: (name, name) for name in in_table("ledger")}
        yield _row(
            GAIN, entry, compared, pairs, bootstrap.bootstraps_of_change(pairs, others, classes, metrics, **EACH)
        )


def _gain_there(
    entry: str, compared: str, runs: pd.DataFrame, partners: pd.DataFrame, lesions: pd.Index | None = None
) -> Iterator[dict]:
    """`_gain` of the arms in `runs` above that in `partners`, on the images (of `lesions`) that both tested."""
    runs, partners = (comparison.complete(each, PAIR) for each in (runs, partners))
    if runs.empty:
        return
    pairs, others = (comparison.pairs_of_arms(each, *PAIR) for each in (runs, partners))
    if lesions is not None:
        pairs = pairs[pairs["lesion_id"].isin(lesions)]
    tested = ["seed", "fold", "image_id"]
    yield from _gain(entry, compared, pairs, others.merge(pairs[tested], on=tested), _classes(runs))


def _row(moves: str, entry: str, compared: str, table: pd.DataFrame, found: Mapping[str, Difference]) -> dict:
    counts = {"replicates": len(table[["seed", "fold"]].drop_duplicates()), "images": table["image_id"].nunique()}
    row = {"moves": moves, "entry": entry, "compared": compared} | counts | {"range": INTERVAL}
    for name, difference in found.items():
        low, high = difference.interval()
        row |= {name: 100 * difference.estimate, f"{name}_low": 100 * low, f"{name}_high": 100 * high}
    return row
