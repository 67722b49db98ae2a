"""What the runs of a study say on the paper's claims, in words."""

from collections.abc import Callable, Iterator, Mapping

import pandas as pd

from soft_attention.claims.wording import share
from soft_attention.report import comparison, tables
from soft_attention.study.config import Analysis
from soft_attention.vocabulary import BACKBONES

ATTENDED = "released"


def own_results(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> dict[str, str]:
    """Our result by claim id, for the claims of `examined.examined_claims` that these runs bear upon.

    Only the datasets of the paper count; runs on generated images say nothing about skin.

    Args:
        parts: the finished runs by part (`load.by_part`).
        answers: the comparisons of the parts that have some (`comparison.answers`).
        analysis: of the study.

    Returns:
        Sentences, each with the network, the part of the study and its scale.
    """
    parts = {name: parts[name] for name in answers}
    on_ham10000, on_isic2017 = (_where(parts, "dataset", dataset) for dataset in ("ham10000", "isic2017"))
    as_authors = _where(on_ham10000, "protocol", "authors")
    found = {
        "title": _each(
            on_ham10000 | on_isic2017, lambda name, backbone, runs: _verdict(answers[name], backbone, analysis)
        ),
        "precision": _each(as_authors, lambda *place: _score(place[-1], "weighted_precision")),
        "accuracy": _each(as_authors, lambda *place: _score(place[-1], "accuracy")),
        "auc": _each(on_ham10000, lambda *place: _both_arms(place[-1], "weighted_auc")),
        "precision_gain": _each(on_ham10000, lambda *place: _both_arms(place[-1], "weighted_precision")),
        "recall_absent": _each(on_ham10000, lambda *place: _both_arms(place[-1], "macro_recall")),
        "test_images": _each(as_authors, lambda *place: _test_images(place[-1])),
        "isic2017_sensitivity": _each(on_isic2017, lambda *place: _sensitivities(place[-1])),
    }
    return {claim: text for claim, text in found.items() if text}


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


def _each(parts: Mapping[str, pd.DataFrame], say: Callable[[str, str, pd.DataFrame], str]) -> str:
    """What there is to say of each part's networks, by network and scale."""
    said = {}
    for name, backbone, runs in _networks(parts):
        if text := say(name, backbone, runs):
            place = BACKBONES[backbone].title, "; ".join(runs["scale"].unique())
            said.setdefault(place, []).append(f"{name}: {text}")
    return " ".join(f"{title} ({scale}), {' '.join(texts)}" for (title, scale), texts in said.items())


def _networks(parts: Mapping[str, pd.DataFrame]) -> Iterator[tuple[str, str, pd.DataFrame]]:
    for name, part in parts.items():
        for backbone in (each for each in BACKBONES if each in set(part["backbone"])):
            yield name, backbone, part[part["backbone"] == backbone]


def _verdict(answers: pd.DataFrame, backbone: str, analysis: Analysis) -> str:
    rows = answers.query("backbone == @backbone and arm == @ATTENDED and reference == 'baseline'")
    rows = rows[rows["metric"] == analysis.endpoint]
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
