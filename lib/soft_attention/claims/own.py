"""What the runs of a study say on the paper's claims, in words."""

from collections.abc import Iterator, Mapping

import pandas as pd

from soft_attention.claims.wording import share
from soft_attention.report import comparison, tables
from soft_attention.study.config import Analysis
from soft_attention.vocabulary import BACKBONES

ATTENDED = "released"


def own_results(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> pd.DataFrame:
    """What our runs say on each claim of `examined.examined_claims` that they bear upon.

    Only the datasets of the paper count; runs on generated images say nothing about skin.

    Args:
        parts: the finished runs by part (`load.by_part`).
        answers: the comparisons of the parts that have some (`comparison.answers`).
        analysis: of the study.

    Returns:
        id (of the claim), part, network, scale, ours (in words); a row for each claim, part and network.
    """
    parts = {name: parts[name] for name in answers}
    on_ham10000, on_isic2017 = (_where(parts, "dataset", dataset) for dataset in ("ham10000", "isic2017"))
    as_authors = _where(on_ham10000, "protocol", "authors")
    say = {
        "title": (on_ham10000 | on_isic2017, lambda name, runs: _verdict(answers[name], runs, analysis)),
        "precision": (as_authors, lambda _, runs: _score(runs, "weighted_precision")),
        "accuracy": (as_authors, lambda _, runs: _score(runs, "accuracy")),
        "auc": (on_ham10000, lambda _, runs: _both_arms(runs, "weighted_auc")),
        "precision_gain": (on_ham10000, lambda _, runs: _both_arms(runs, "weighted_precision")),
        "recall_absent": (on_ham10000, lambda _, runs: _both_arms(runs, "macro_recall")),
        "test_images": (as_authors, lambda _, runs: _test_images(runs)),
        "isic2017_sensitivity": (on_isic2017, lambda _, runs: _sensitivities(runs)),
    }
    rows = [
        {"id": claim, "part": name, "network": BACKBONES[backbone].title, "scale": _scale(runs), "ours": text}
        for claim, (about, words) in say.items()
        for name, backbone, runs in _networks(about)
        if (text := words(name, runs))
    ]
    return pd.DataFrame(rows, columns=["id", "part", "network", "scale", "ours"])


def own_scores(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame | None:
    """Our networks on HAM10000 for `peers.peers_table`, means over the runs; None where there are none.

    The protocol authors only, as the authors and their reproductions tested single-image lesions; `confidence` holds
    the scale.
    """
    rows = []
    for name, backbone, runs in _networks(_where(_where(parts, "dataset", "ham10000"), "protocol", "authors")):
        means = runs.groupby("arm")[["accuracy", "weighted_precision", "macro_recall", "weighted_auc"]].mean()
        facts = {"who": f"this study, {name}", "backbone": backbone, "confidence": runs["scale"].iloc[0]}
        facts["test_images"] = int(runs["n_images"].iloc[0])
        rows += [facts | {"arm": arm} | scores for arm, scores in means.to_dict(orient="index").items()]
    return pd.DataFrame(rows) if rows else None


def _where(parts: Mapping[str, pd.DataFrame], column: str, value: str) -> dict[str, pd.DataFrame]:
    return {name: runs for name, runs in parts.items() if runs[column].iloc[0] == value}


def _networks(parts: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for name, part in parts.items():
        for backbone in (each for each in BACKBONES if each in set(part["backbone"])):
            yield name, backbone, part[part["backbone"] == backbone]


def _scale(runs: pd.DataFrame) -> str:
    return "; ".join(runs["scale"].unique())


def _verdict(answers: pd.DataFrame, runs: pd.DataFrame, analysis: Analysis) -> str:
    rows = answers[answers["backbone"].isin(runs["backbone"]) & (answers["metric"] == analysis.endpoint)]
    rows = rows.query("arm == @ATTENDED and reference == 'baseline'")
    return " ".join(comparison.finding(row) for row in rows.itertuples())


def _score(runs: pd.DataFrame, metric: str) -> str:
    values = runs[runs["arm"] == ATTENDED][metric]
    if values.empty:
        return ""
    if len(values) == 1:
        return f"{share(values.iloc[0])} in one training."
    spread = f"{share(values.min())} to {share(values.max())}"
    return f"{share(values.mean())} in the mean of {len(values)} trainings, {spread}."


def _both_arms(runs: pd.DataFrame, metric: str) -> str:
    means = runs.groupby("arm")[metric].mean()
    if not {ATTENDED, "baseline"} <= set(means.index):
        return ""
    gain = 100 * (means[ATTENDED] - means["baseline"])
    return f"{share(means[ATTENDED])} against {share(means['baseline'])} without attention ({gain:+.1f} points)."


def _test_images(runs: pd.DataFrame) -> str:
    counts = sorted({int(count) for count in runs["n_images"]})
    draws = runs["seed"].nunique()
    return f"{', '.join(map(str, counts))} in {f'each of {draws} draws' if draws > 1 else 'one draw'}."


def _sensitivities(runs: pd.DataFrame) -> str:
    tasks = tables.isic2017_table(runs).query("source == 'ours' and arm == @ATTENDED")
    found = ", ".join(f"{row.task.replace('_', ' ')} {share(row.sensitivity)}" for row in tasks.itertuples())
    return f"{found}." if found else ""
