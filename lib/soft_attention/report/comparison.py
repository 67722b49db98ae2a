"""The arms of a study beside each other: paired differences with intervals, tests, calibration, and verdicts.

`runs` is the table of finished runs of one part, dataset and protocol (`load.load_runs`). Networks of different
backbones are never compared.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import pandas as pd

from soft_attention.data.catalog import melanoma
from soft_attention.evaluation import bootstrap, calibration, paired_tests
from soft_attention.evaluation.metrics import METRICS, in_table
from soft_attention.evaluation.verdict import (
    BETTER,
    EQUIVALENT,
    UNDECIDED,
    WORSE,
    BootstrapDifference,
    Difference,
    holm,
    verdict,
)
from soft_attention.report import styling, tables
from soft_attention.report.kept import tidy
from soft_attention.report.load import scores
from soft_attention.report.remembered import remembered
from soft_attention.study.config import Analysis
from soft_attention.study.folder import predictions_file, read_predictions
from soft_attention.vocabulary import BACKBONES, BASELINE, PROTOCOLS

SPECIFICITY = 0.9
SIZE_OPEN = "size open"
ACROSS = "part against part"


def predictions_of(runs: pd.DataFrame, name: str = "test") -> pd.DataFrame:
    """The predictions of all `runs`, one below the other, with the columns seed and fold."""
    parts = [read_predictions(run.folder, name).assign(seed=run.seed, fold=run.fold) for run in runs.itertuples()]
    return pd.concat(parts, ignore_index=True)


def pairs_of_arms(runs: pd.DataFrame, arm: str, reference: str, name: str = "test") -> pd.DataFrame:
    """`bootstrap.paired` of two arms of `runs`."""
    classes = tuple(runs["classes"].iloc[0])
    return bootstrap.paired(*(_predicted(_places(runs, each, name), name, classes) for each in (arm, reference)))


def _places(runs: pd.DataFrame, arm: str, name: str) -> tuple[tuple, ...]:
    """The folders of an arm with their seed and fold, and when their predictions have last changed."""
    of_arm = runs[runs["arm"] == arm]
    files = [folder / predictions_file(name) for folder in of_arm["folder"]]
    changed = [file.stat().st_mtime_ns if file.exists() else None for file in files]  # whoever reads it says so
    return tuple(zip(of_arm["folder"], of_arm["seed"], of_arm["fold"], changed, strict=True))


# An arm stands in several comparisons, and these in several tables.


@lru_cache(maxsize=2)
def _predictions(places: tuple[tuple, ...], name: str) -> pd.DataFrame:
    """`predictions_of` some `_places`, sorted by seed, fold and image."""
    table = predictions_of(pd.DataFrame(places, columns=["folder", "seed", "fold", "changed"]), name)
    table = table.astype(dict.fromkeys(["image_id", "lesion_id", "label"], "category"))  # the same in every seed
    return table.sort_values(["seed", "fold", "image_id"], ignore_index=True)


@lru_cache(maxsize=8)
def _predicted(places: tuple[tuple, ...], name: str, classes: tuple[str, ...]) -> pd.DataFrame:
    return bootstrap.predicted_classes(_predictions(places, name), classes)


def complete(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """The runs of the seeds and folds in which every one of `arms` has finished, and of these only whole seeds."""
    runs = runs[runs["arm"].isin(arms)]
    finished = runs.groupby(["seed", "fold"])["arm"].nunique() == len(set(arms))
    places = finished[finished].reset_index()[["seed", "fold"]]
    whole = places.groupby("seed")["fold"].transform("size") >= runs["planned_folds"].min()
    return runs.merge(places[whole], on=["seed", "fold"])


def answers(parts: Mapping[str, pd.DataFrame], analysis: Analysis, name: str = "test") -> dict[str, pd.DataFrame]:
    """`comparisons_table` of every part that answers the study's question: arms to compare, and nothing injected.

    With the name `external` on the outside test set, of the runs that predicted one: an arm that needs lesion masks
    has none there.
    """
    predicted = {part: runs[runs["external"]] if name == "external" else runs for part, runs in parts.items()}
    found = {
        part: remembered(comparisons_table, runs, runs["classes"].iloc[0], analysis, name)
        for part, runs in predicted.items()
        if len(runs) and not runs["leak"].any()
    }
    return {part: table for part, table in found.items() if len(table)}


def comparisons_table(
    runs: pd.DataFrame, classes: Sequence[str], analysis: Analysis, name: str = "test"
) -> pd.DataFrame:
    """Every comparison that the study fixed beforehand, on the endpoint and on the other metrics with a margin.

    Columns: backbone, arm, reference, metric, seeds, images, lesions, difference with low and high, the p-values of a
    difference and of equivalence after Holm's correction over the comparisons of a metric, the margin, the verdict,
    gamma_at_most_0: in how many of the arm's runs the learned scale of its unit ended there, empty if in none; and, of
    one comparison by itself, the standard error, within_margin (the share of the draws that are within ±margin),
    detectable (the difference that is found with 80 %, uncorrected), and verdict_at_half, were the margin half of it.
    Every lesion counts the same (see `bootstrap.paired_bootstraps`). One training of each arm decides nothing, whatever
    the lesions say. A comparison whose arms have not both run is left out.
    """
    metrics = [analysis.endpoint, *(m for m in analysis.margins if m != analysis.endpoint)]
    by_place = dict(compared(runs, analysis))
    gammas = {place: _gamma_at_most_0(paired[paired["arm"] == place[1]]) for place, paired in by_place.items()}

    found = {}
    for place, paired in by_place.items():
        pairs = pairs_of_arms(paired, *place[1:], name)
        resampled = bootstrap.paired_bootstraps(pairs, classes, metrics, draws=analysis.draws)
        found |= {(*place, metric): each for metric, each in resampled.items()}
    rows = []
    for metric in metrics:
        family = {key: value for key, value in found.items() if key[-1] == metric}
        if not family:
            continue
        margin = analysis.margins[metric]
        p_values = [
            _holm(d.p_value() for d in family.values()),
            _holm(d.p_equivalence(margin) for d in family.values()),
            _holm(d.p_equivalence(margin / 2) for d in family.values()),
        ]
        for place, difference, p_value, *p_equivalence in zip(family, family.values(), *p_values, strict=True):
            names = dict(zip(("backbone", "arm", "reference", "metric"), place, strict=True))
            numbers = _numbers(difference, margin, p_value, p_equivalence[0])
            precision = _precision(difference, margin, p_value, p_equivalence[1])
            rows.append(names | numbers | {"gamma_at_most_0": gammas[place[:-1]]} | precision)
    return pd.DataFrame(rows)


def across_table(parts: Mapping[str, pd.DataFrame], analysis: Analysis) -> pd.DataFrame:
    """`comparisons_table` of the arms of two parts, one family: the pairs `analysis.across` of a study's file.

    The columns arm and reference are `PART:ARM`. Only whole seeds that both have count. A pair whose parts have not
    both run is left out, as is a part of several datasets or protocols.
    """
    runs = _sides(parts, analysis)
    return comparisons_table(runs, runs["classes"].iloc[0], _of_sides(analysis)) if len(runs) else pd.DataFrame()


def _sides(parts: Mapping[str, pd.DataFrame], analysis: Analysis) -> pd.DataFrame:
    """The runs that the pairs across parts compare, with `PART:ARM` for an arm."""
    sides = dict.fromkeys(side for pair in analysis.across for side in pair)
    found = [
        runs[runs["arm"] == arm].assign(arm=side)
        for side, (part, _, arm) in {side: side.partition(":") for side in sides}.items()
        if (runs := parts.get(part)) is not None
    ]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def _of_sides(analysis: Analysis) -> Analysis:
    return analysis.model_copy(update={"comparisons": analysis.across})


def preferred(parts: Mapping[str, pd.DataFrame], analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Of the parts that are alternatives, for each arm, seed and fold the run that its validation images prefer.

    By the endpoint; of two alike runs the first. A place that not all of the parts have is left out. The column part
    keeps where a run came from; the name of the whole is that of the parts. Nothing where a part has no run.
    """
    names = analysis.alternatives
    if not names or not parts.keys() >= set(names):
        return {}
    place = ["backbone", "arm", "seed", "fold"]
    runs = pd.concat([parts[name] for name in names])
    runs = runs[runs.groupby(place)["part"].transform("nunique") == len(names)].reset_index(drop=True)
    validation = [scores(run.folder, run.classes, "validation")[analysis.endpoint] for run in runs.itertuples()]
    best = runs.assign(validation=validation).groupby(place, sort=False)["validation"].idxmax()
    return {name_of_preferred(analysis): runs.loc[best.to_numpy()].reset_index(drop=True)}


def name_of_preferred(analysis: Analysis) -> str:
    """What `preferred` calls the whole; empty where no parts are alternatives."""
    return " or ".join(analysis.alternatives)


def preferences(chosen: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """In how many runs of each arm the validation images preferred which part, from `preferred`.

    Columns: part (the whole), arm, prefers (a part of it), runs.
    """
    counts = {name: runs.value_counts(["arm", "part"], sort=False) for name, runs in chosen.items()}
    return tidy(
        {name: found.rename_axis(["arm", "prefers"]).reset_index(name="runs") for name, found in counts.items()}
    )


def tests_table(runs: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """The comparisons by another test, whose idea of chance is the run.

    Columns: backbone, arm, reference, runs; the mean difference of the endpoint with the interval and p-value of the
    corrected resampled t-test (where there are folds), that p-value after Holm's correction, and the variance between
    seeds, folds and what is left, as standard deviations. A run's score counts every image the same and is taken fold
    by fold, so the mean is not that of `comparisons_table`. Without folds there are no rows.
    """
    rows = []
    for (backbone, arm, reference), paired in compared(runs, analysis):
        differences = _run_differences(paired, arm, reference, analysis.endpoint)
        t = _corrected_t(paired, differences["difference"])
        if t is None:
            continue
        low, high = t.interval()
        row = {"backbone": backbone, "arm": arm, "reference": reference, "runs": len(differences)}
        row |= {"difference": t.estimate, "low": low, "high": high, "p": t.p_value()}
        if differences["seed"].nunique() > 1:
            spread = paired_tests.variance_components(differences, "difference")
            row |= {f"sd_{name}": np.sqrt(value) for name, value in spread.items()}
        rows.append(row)
    table = pd.DataFrame(rows)
    if rows:
        table.insert(table.columns.get_loc("p") + 1, "p_holm", _holm(table["p"]))
    return table


def all_tests(parts: Mapping[str, pd.DataFrame], compared: Sequence[str], analysis: Analysis) -> pd.DataFrame:
    """`tests_table` of all that a study compares, with the column part; each part is a family.

    Args:
        parts: runs by name of the part.
        compared: the names of those whose arms are compared, and of `preferred`, if that is.

    The pairs across parts stand under `ACROSS`.
    """
    runs = {name: found for name, found in (parts | preferred(parts, analysis)).items() if name in compared}
    tables = {name: remembered(tests_table, found, analysis) for name, found in runs.items()}
    sides = _sides(parts, analysis)
    return tidy(tables | ({ACROSS: remembered(tests_table, sides, _of_sides(analysis))} if len(sides) else {}))


def corrected_t_tests(runs: pd.DataFrame, analysis: Analysis) -> dict[tuple[str, str, str], Difference]:
    """The corrected resampled t-test of `tests_table` by (backbone, arm, reference), where there are folds."""
    found = {
        place: _corrected_t(paired, _run_differences(paired, *place[1:], analysis.endpoint)["difference"])
        for place, paired in compared(runs, analysis)
    }
    return {place: t for place, t in found.items() if t}


def external_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Scores of each backbone and arm that predicted the outside test set: means over the runs, and the images."""
    rows = []
    for run in runs[runs["external"]].itertuples():
        found = scores(run.folder, run.classes, "external")
        outside = {metric: found[metric] for metric in in_table("external")}
        rows.append(_place(run) | {"images": found["n_images"]} | outside)
    return _means(rows)


def choices_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The test images predicted with the epoch that they chose, and with the one that validation images chose.

    Columns: backbone, arm, runs; of each metric the mean over the runs as `METRIC_by_test` and `METRIC_by_validation`.
    Only runs that keep both choices count (`both_choices`); without one there are no rows.
    """
    rows = []
    for run in runs.itertuples():
        own = PROTOCOLS[run.protocol].chooses
        other = "validation" if own == "test" else "test"
        if (run.folder / predictions_file(f"{other}-choice")).exists():
            by = {own: scores(run.folder, run.classes), other: scores(run.folder, run.classes, f"{other}-choice")}
            found = {f"{m}_by_{who}": by[who][m] for m in in_table("external") for who in ("test", "validation")}
            rows.append(_place(run) | found)
    return _means(rows) if rows else pd.DataFrame()


def unchosen(parts: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The parts whose test images did not choose the epoch."""
    return {name: runs for name, runs in parts.items() if PROTOCOLS[runs["protocol"].iloc[0]].chooses != "test"}


def calibration_table(runs: pd.DataFrame) -> pd.DataFrame:
    """How far the probabilities of each backbone and arm can be trusted: means over its runs.

    Columns: backbone, arm, runs, brier, ece (expected calibration error), temperature (fitted on the validation images)
    and ece after it; and for melanoma the sensitivity at a specificity of .9, with the threshold taken from the
    validation images, beside the specificity that it has on the test images.
    """
    rows, classes = [], runs["classes"].iloc[0]
    positive = melanoma(classes)
    for run in runs.itertuples():
        test, validation = (read_predictions(run.folder, name) for name in ("test", "validation"))
        temperature = calibration.fit_temperature(validation, classes)
        cooled = calibration.apply_temperature(test, classes, temperature)
        row = _place(run) | {
            "brier": calibration.brier(test, classes),
            "ece": calibration.expected_calibration_error(test, classes),
            "temperature": temperature,
            "ece_after": calibration.expected_calibration_error(cooled, classes),
        }
        if positive:
            point = calibration.sensitivity_at_specificity(validation, test, classes, positive, SPECIFICITY)
            row |= {"melanoma_sensitivity": point.sensitivity, "test_specificity": point.specificity}
        rows.append(row)
    return _means(rows)


def reliability_curves(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`calibration.reliability` of each part, backbone and arm over all its test predictions.

    Columns: part, backbone, arm and those of `calibration.reliability`. A test set that chose the epoch is left out.
    """
    curves = []
    for name, part in unchosen(parts).items():
        of_part = []
        for (backbone, arm), rows in part.groupby(["backbone", "arm"]):
            table = predictions_of(rows)
            table["image_id"] += " " + table["seed"].astype(str)  # once per seed
            found = calibration.reliability(table, part["classes"].iloc[0])
            of_part.append(found.assign(part=name, backbone=backbone, arm=arm))
        curves.append(tables.ordered(pd.concat(of_part)))
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


def gamma_table(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The learned scale of the arm `paper` after training.

    Columns: part, backbone, runs; its least, mean and largest value; at_most_0, the runs in which it ended there. Where
    no feature is negative, nothing of the attended ones is then left (see `networks.learned_gamma`).
    """
    rows = []
    for name, part in parts.items():
        for backbone, runs in part.dropna(subset="gamma").groupby("backbone", sort=False):
            gamma = runs["gamma"].astype(float)
            row = {"part": name, "backbone": backbone, "runs": len(runs)}
            row |= {"least": gamma.min(), "mean": gamma.mean(), "largest": gamma.max()}
            rows.append(row | {"at_most_0": int((gamma <= 0).sum())})
    return pd.DataFrame(rows)


def melanoma_table(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Melanoma against all other classes: its AUC, means over the runs, and what an arm gains over the baseline.

    Columns: part, backbone, arm, auc; gain with gain_low and gain_high, for other lesions and other trainings; of
    how many seeds, and in how many the gain is above 0. No rows without a class of melanoma, or without a baseline.
    """
    cases = []
    for name, part in parts.items():
        positive = melanoma(part["classes"].iloc[0])
        for (backbone, arm), runs in part.groupby(["backbone", "arm"], sort=False):
            paired = complete(part[part["backbone"] == backbone], (arm, BASELINE))
            if positive and arm != BASELINE and len(paired):
                auc = np.mean([found[positive]["auc"] for found in runs["per_class"]])
                cases.append(({"part": name, "backbone": backbone, "arm": arm, "auc": auc}, paired, positive))

    def row(place: dict, paired: pd.DataFrame, positive: str) -> dict:
        return place | remembered(_melanoma_gain, paired, place["arm"], positive)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(row, *zip(*cases, strict=True))) if cases else []
    gain = ["gain", "gain_low", "gain_high", "seeds", "seeds_above"]
    return pd.DataFrame(rows, columns=["part", "backbone", "arm", "auc", *gain])


def melanoma_difference(
    paired: pd.DataFrame, arm: str, reference: str, positive: str
) -> tuple[BootstrapDifference, pd.Series]:
    """The difference in AUC of melanoma against the rest of two arms, mean over runs, and that of each seed."""
    gains = _auc_gains(paired, arm, reference, positive)
    return bootstrap.bootstrap_mean(gains, "gain"), gains.groupby("seed")["gain"].mean()


def verdicts(answers: Mapping[str, pd.DataFrame], metric: str) -> pd.DataFrame:
    """What a study found, for reading: one row per part and comparison of `answers`, by one metric.

    Columns: part, backbone, arm, reference, points (the difference, hundredths) with points_low and points_high,
    verdict, remarks (see `remarks`), seeds, images, lesions.
    """
    rows = pd.concat([table[table["metric"] == metric].assign(part=name) for name, table in answers.items()])
    for name, column in (("points", "difference"), ("points_low", "low"), ("points_high", "high")):
        rows[name] = 100 * rows[column]
    rows["remarks"] = [", ".join(remarks(row)) for row in rows.itertuples()]
    of_place, found = ["part", "backbone", "arm", "reference"], ["points", "points_low", "points_high", "verdict"]
    return rows[[*of_place, *found, "remarks", "seeds", "images", "lesions"]].reset_index(drop=True)


def remarks(row) -> list[str]:
    """What a reader must know beside the verdict of a row of `comparisons_table`.

    *size open*: decided, but the interval also holds differences too small to matter; that equivalence is shown for the
    images that were trained on; a unit that its learned scale has silenced; one training of each arm, so that the
    interval is for other lesions only and nothing is decided.
    """
    found = []
    decided = row.verdict in (BETTER, WORSE)
    if decided and min(abs(row.low), abs(row.high)) < row.margin:
        found.append(SIZE_OPEN)
    if row.verdict == EQUIVALENT:
        found.append("for these training images")
    if row.gamma_at_most_0:
        found.append(f"unit silent in {row.gamma_at_most_0} runs")
    if row.seeds == 1:
        found.append("one training each")
    return found


def finding(row) -> str:
    """One row of `comparisons_table` in words: the verdict, the difference in points, what it rests on."""
    seeds = f"{row.seeds} seeds" if row.seeds > 1 else "one training each, so the interval is for other lesions only"
    points = styling.points(row, unit=" points")
    rests_on = f"{row.images:,} images of {row.lesions:,} lesions, {seeds}"
    differs = f"{METRICS[row.metric].label.capitalize()} differs by {points}, {rests_on}"
    at_most_0 = row.gamma_at_most_0
    scale = f" The learned scale of its unit ended at or below 0 in {at_most_0} runs." if at_most_0 else ""
    trained = " for these training images" if row.verdict == EQUIVALENT else ""
    return f"{row.arm} against {row.reference}: {row.verdict}{trained}. {differs}.{scale}"


def compared(runs: pd.DataFrame, analysis: Analysis) -> Iterator[tuple[tuple[str, str, str], pd.DataFrame]]:
    """(backbone, arm, reference) and the runs of both arms, for every comparison whose arms have both run."""
    for backbone in (name for name in BACKBONES if name in set(runs["backbone"])):
        for arm, reference in analysis.comparisons:
            paired = complete(runs[runs["backbone"] == backbone], (arm, reference))
            if len(paired):
                yield (backbone, arm, reference), paired


def _melanoma_gain(paired: pd.DataFrame, arm: str, positive: str) -> dict[str, float]:
    gain, by_seed = melanoma_difference(paired, arm, BASELINE, positive)
    low, high = gain.interval()
    found = {"gain": gain.estimate, "gain_low": low, "gain_high": high}
    return found | {"seeds": len(by_seed), "seeds_above": int((by_seed > 0).sum())}


def _auc_gains(runs: pd.DataFrame, arm: str, reference: str, positive: str) -> pd.DataFrame:
    """image_id, lesion_id, seed and the image's contribution to the difference in AUC of its seed and fold: `gain`."""
    pairs = pairs_of_arms(runs, arm, reference)  # refuses arms that did not predict the same images
    one, other = (_predictions(_places(runs, each, "test"), "test") for each in (arm, reference))
    gain = [
        paired_tests.auc_contributions(one["label"][rows] == positive, one[positive][rows], other[positive][rows])
        for rows in one.groupby(["seed", "fold"]).groups.values()
    ]
    return pairs[["image_id", "lesion_id", "seed"]].assign(gain=np.concatenate(gain))


def _gamma_at_most_0(runs: pd.DataFrame) -> str:
    gammas = runs["gamma"].dropna() if "gamma" in runs else ()
    count = sum(gamma <= 0 for gamma in gammas)
    return f"{count} of {len(gammas)}" if count else ""


def _place(run) -> dict[str, str]:
    return {"backbone": run.backbone, "arm": run.arm}


def _means(rows: list[dict]) -> pd.DataFrame:
    """Means over the runs of each backbone and arm, in their order, with the number of runs."""
    groups = pd.DataFrame(rows).groupby(["backbone", "arm"])
    table = groups.mean().reset_index()
    table.insert(2, "runs", groups.size().to_numpy())
    return tables.ordered(table)


def _holm(p_values: Iterable[float]) -> list[float]:
    return holm(list(p_values)).tolist()


def _numbers(difference, margin: float, p_value: float, p_equivalence: float) -> dict:
    low, high = difference.interval()
    found = verdict(difference, margin, p_value=p_value, p_equivalence=p_equivalence)
    return {
        "seeds": difference.seeds,
        "images": difference.images,
        "lesions": difference.lesions,
        "difference": difference.estimate,
        "low": low,
        "high": high,
        "p_holm": p_value,
        "margin": margin,
        "p_equivalence_holm": p_equivalence,
        "verdict": found if difference.seeds > 1 else UNDECIDED,
    }


def _precision(difference, margin: float, p_value: float, p_equivalence_at_half: float) -> dict:
    at_half = verdict(difference, margin / 2, p_value=p_value, p_equivalence=p_equivalence_at_half)
    return {
        "standard_error": difference.standard_error,
        "within_margin": difference.share_within(margin),
        "detectable": difference.detectable(),
        "verdict_at_half": at_half if difference.seeds > 1 else UNDECIDED,
    }


def _run_differences(paired: pd.DataFrame, arm: str, reference: str, metric: str) -> pd.DataFrame:
    """seed, fold and the difference of two arms' scores there."""
    values = paired.pivot(index=["seed", "fold"], columns="arm", values=metric)
    return (values[arm] - values[reference]).rename("difference").reset_index()


def _corrected_t(paired: pd.DataFrame, differences: pd.Series) -> Difference | None:
    """None without folds."""
    if paired["fold"].nunique() > 1:
        return paired_tests.corrected_t(differences, _tested_per_trained(paired))
    return None


def _tested_per_trained(runs: pd.DataFrame) -> float:
    """Images tested in a run over images trained on, means over the runs of whole seeds of the protocol `clean`."""
    tested = runs["n_images"].mean()
    chosen_by = np.mean([len(read_predictions(folder, "validation")) for folder in runs["folder"]])
    return tested / (tested * runs["split_folds"].iloc[0] - tested - chosen_by)
