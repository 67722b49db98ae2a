"""The arms of a study beside each other: paired differences with intervals, tests, calibration, and verdicts.

`runs` is the table of finished runs of one part, dataset and protocol (`records.load_runs`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from soft_attention.study import calibration, records, scores, statistics
from soft_attention.study.config import Analysis
from soft_attention.study.scores import LABELS
from soft_attention.vocabulary import ARMS

MELANOMA = ("mel", "melanoma")  # its name in HAM10000 and in ISIC-2017
SPECIFICITY = 0.9


def predictions_of(runs: pd.DataFrame, arm: str, name: str = "test") -> pd.DataFrame:
    """The predictions of all runs of an arm, one below the other, with the columns run and seed.

    The seed tells the replicates apart. A replicate is what covers every image once: of test folds all folds of a seed
    together, otherwise each run.
    """
    whole = name == "external" or runs["fold"].nunique() == 1
    parts = [
        records.read_predictions(run.folder, name).assign(
            seed=1000 * run.seed + run.fold if whole else run.seed, run=f"{run.arm} {run.seed} {run.fold}"
        )
        for run in runs[runs["arm"] == arm].itertuples()
    ]
    return pd.concat(parts, ignore_index=True)


def complete(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    """The runs of the seeds and folds in which every one of `arms` has finished, and of these only whole seeds."""
    runs = runs[runs["arm"].isin(arms)]
    finished = runs.groupby(["seed", "fold"])["arm"].nunique() == len(set(arms))
    places = finished[finished].reset_index()[["seed", "fold"]]
    whole = places.groupby("seed")["fold"].transform("size") == runs["fold"].nunique()
    return runs.merge(places[whole], on=["seed", "fold"])


def answers(parts: Mapping[str, pd.DataFrame], analysis: Analysis) -> dict[str, pd.DataFrame]:
    """`comparisons_table` of every part that answers the study's question: arms to compare, and nothing injected."""
    tables = {
        name: comparisons_table(runs, runs["classes"].iloc[0], analysis)
        for name, runs in parts.items()
        if not runs["leak"].any()
    }
    return {name: table for name, table in tables.items() if len(table)}


def comparisons_table(
    runs: pd.DataFrame, classes: Sequence[str], analysis: Analysis, name: str = "test"
) -> pd.DataFrame:
    """Every comparison that the study fixed beforehand, on the endpoint and on the other metrics with a margin.

    Columns: arm, reference, metric, seeds, images, lesions, difference with low and high, the p-value after Holm's
    correction over the comparisons of a metric, the margin, the p-value of equivalence, and the verdict. Every lesion
    counts the same (see `statistics.paired_bootstrap`). A comparison whose arms have not both run is left out.
    """
    metrics = [analysis.endpoint, *(m for m in analysis.margins if m != analysis.endpoint)]
    found = {}
    for arm, reference in analysis.comparisons:
        paired = complete(runs, (arm, reference))
        if len(paired):
            tables = [predictions_of(paired, a, name) for a in (arm, reference)]
            pairs = statistics.pair_predictions(*tables, classes)
            differences = statistics.paired_bootstraps(pairs, classes, metrics, draws=analysis.draws)
            found |= {(arm, reference, metric): difference for metric, difference in differences.items()}
    rows = []
    for metric in metrics:
        family = {key: value for key, value in found.items() if key[2] == metric}
        corrected = statistics.holm([d.p_value() for d in family.values()]) if family else []
        for (arm, reference, _), difference, p_value in zip(family, family.values(), corrected, strict=True):
            rows.append(_row(arm, reference, metric, difference, float(p_value), analysis))
    return pd.DataFrame(rows)


def tests_table(runs: pd.DataFrame, classes: Sequence[str], analysis: Analysis) -> pd.DataFrame:
    """The comparisons by other tests, each with its own idea of chance.

    Columns: arm, reference; over runs, the mean difference of the endpoint with the interval and p-value of the
    corrected resampled t-test (where there are folds), and the variance between seeds, folds and what is left, as
    standard deviations; and, over one image per lesion of the first seed, the images that only one arm calls correctly
    with McNemar's mid-p, and the AUC of melanoma against the rest with DeLong's p.
    """
    rows = []
    for arm, reference in analysis.comparisons:
        paired = complete(runs, (arm, reference))
        if not len(paired):
            continue
        place = ["seed", "fold"]
        values = paired.pivot(index=place, columns="arm", values=analysis.endpoint)
        differences = (values[arm] - values[reference]).rename("difference").reset_index()
        row = {"arm": arm, "reference": reference, "runs": len(differences)}
        if (folds := runs["fold"].nunique()) > 1:
            t = statistics.corrected_t(differences["difference"], 1 / folds)
            low, high = t.interval(analysis.level)
            row |= {"difference": t.estimate, "low": low, "high": high, "p": t.p_value()}
        if min(differences["seed"].nunique(), differences["fold"].nunique()) > 1:
            spread = statistics.variance_components(differences, "difference")
            row |= {f"sd_{name}": np.sqrt(value) for name, value in spread.items()}
        rows.append(row | _first_seed_tests(paired, arm, reference, classes))
    return pd.DataFrame(rows)


def external_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Scores of each arm on the dataset's outside test set: means over the runs, and the number of images."""
    metrics = ("balanced_accuracy", "accuracy", "weighted_precision", "macro_auc")
    rows = []
    for run in runs.itertuples():
        found = scores.score(records.read_predictions(run.folder, "external"), run.classes)
        rows.append({"arm": run.arm, "images": found["n_images"]} | {metric: found[metric] for metric in metrics})
    return _arm_means(rows)


def calibration_table(runs: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """How far the probabilities of each arm can be trusted: means over its runs.

    Columns: arm, runs, brier, ece (expected calibration error), temperature (fitted on the validation images) and ece
    after it; and for melanoma the sensitivity at a specificity of .9, with the threshold taken from the validation
    images, beside the specificity that it has on the test images.
    """
    rows = []
    melanoma = next((name for name in MELANOMA if name in classes), None)
    for run in runs.itertuples():
        test, validation = (records.read_predictions(run.folder, name) for name in ("test", "validation"))
        temperature = calibration.fit_temperature(validation, classes)
        cooled = calibration.apply_temperature(test, classes, temperature)
        row = {
            "arm": run.arm,
            "brier": calibration.brier(test, classes),
            "ece": calibration.expected_calibration_error(test, classes),
            "temperature": temperature,
            "ece_after": calibration.expected_calibration_error(cooled, classes),
        }
        if melanoma:
            point = calibration.sensitivity_at_specificity(validation, test, classes, melanoma, SPECIFICITY)
            row |= {"melanoma_sensitivity": point.sensitivity, "at_specificity": point.specificity}
        rows.append(row)
    return _arm_means(rows)


def reliability_curves(runs: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`calibration.reliability` of each arm over all its test predictions, the runs one below the other."""
    curves = {}
    for arm in (name for name in ARMS if name in set(runs["arm"])):
        table = predictions_of(runs, arm)
        table["image_id"] = table["image_id"] + " " + table["seed"].astype(str)  # once per seed
        curves[arm] = calibration.reliability(table, classes)
    return curves


def sentence(row) -> str:
    """One row of `comparisons_table` for people, with its difference in points and what it rests on."""
    return (
        f"{row.arm} against {row.reference}: {row.verdict}. {LABELS[row.metric].capitalize()} differs by "
        f"{100 * row.difference:+.1f} points ({100 * row.low:+.1f} to {100 * row.high:+.1f}), "
        f"{row.images:,} images of {row.lesions:,} lesions, {row.seeds} seeds."
    )


def _arm_means(rows: list[dict]) -> pd.DataFrame:
    """Means over the runs of each arm, arms in their order, with the number of runs."""
    groups = pd.DataFrame(rows).groupby("arm", sort=False)
    table = groups.mean().reset_index()
    table.insert(1, "runs", groups.size().to_numpy())
    return table.sort_values("arm", key=lambda arms: arms.map(ARMS.index), ignore_index=True)


def _row(arm: str, reference: str, metric: str, difference, p_value: float, analysis: Analysis) -> dict:
    margin = analysis.margins[metric]
    low, high = difference.interval(analysis.level)
    return {
        "arm": arm,
        "reference": reference,
        "metric": metric,
        "seeds": difference.seeds,
        "images": difference.images,
        "lesions": difference.lesions,
        "difference": difference.estimate,
        "low": low,
        "high": high,
        "p_holm": p_value,
        "margin": margin,
        "p_equivalence": difference.p_equivalence(margin),
        "verdict": statistics.verdict(difference, margin, analysis.level, p_value),
    }


def _first_seed_tests(runs: pd.DataFrame, arm: str, reference: str, classes: Sequence[str]) -> dict:
    """McNemar and DeLong on the first replicate, with one image of each lesion, as both tests want independent ones."""
    first = runs[runs["seed"] == runs["seed"].min()]
    tables = []
    for name in (arm, reference):
        table = predictions_of(first, name).sort_values("image_id")
        tables.append(table[table["seed"] == table["seed"].min()].drop_duplicates("lesion_id"))
    one, other = tables
    probabilities = [table[list(classes)].to_numpy() for table in tables]
    called = [np.asarray(classes)[p.argmax(axis=1)] == one["label"].to_numpy() for p in probabilities]
    counts = statistics.mcnemar_midp(*called)
    found = {"only_arm_right": counts.arm_only, "only_reference_right": counts.reference_only}
    found["p_mcnemar"] = counts.p_value
    if melanoma := next((name for name in MELANOMA if name in classes), None):
        positive = (one["label"] == melanoma).to_numpy()
        auc = statistics.delong(positive, one[melanoma].to_numpy(), other[melanoma].to_numpy())
        found |= {"melanoma_auc_difference": auc.estimate, "p_delong": auc.p_value()}
    return found
