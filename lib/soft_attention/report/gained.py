"""What was there to gain, and what of it was gained: every arm beside the oracle that is told where the lesion is."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from soft_attention.evaluation.metrics import METRICS
from soft_attention.evaluation.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from soft_attention.report import comparison
from soft_attention.study.config import Analysis, Study
from soft_attention.vocabulary import ARMS, BACKBONES

BASELINE = "baseline"
ORACLES = tuple(name for name, arm in ARMS.items() if arm.needs_mask)
DRAWS = 2_000  # for the arms that the study does not compare with the baseline
COLUMNS = ["part", "backbone", "arm", "gain", "gain_low", "gain_high", "percent_of_ceiling", "seeds", "lesions"]

# What each sentence of the headline is about: its comparisons, with the words that lead to what each of them found.
HEADLINE = {
    "What there was to gain": {
        ("lesion", BASELINE): "An oracle, which is told where the lesion is as no real system is,",
        ("centre", BASELINE): "a fixed Gaussian in the middle of every image, without a parameter,",
    },
    "What the released unit gains": {
        ("released", BASELINE): "Against the network without attention it",
        ("released", "uniform"): "against a uniform map, the same frame with every place weighted alike, it",
    },
    "Against the fixed Gaussian": {
        ("released", "centre"): "The released unit",
        ("lesion", "centre"): "the oracle",
    },
}
IN_SHORT = {
    ("lesion", BASELINE): "Knowing where the lesion is",
    ("centre", BASELINE): "A fixed Gaussian in the middle of every image",
    ("released", BASELINE): "The released attention unit",
}
HELPS = {
    BETTER: "helps",
    WORSE: "harms",
    EQUIVALENT: "changes nothing that counts",
    UNDECIDED: "is not shown to help",
}
BESIDE_GAUSSIAN = {BETTER: "does better than that Gaussian", WORSE: "does worse than that Gaussian"}


def gains_table(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> pd.DataFrame:
    """What each arm gains over the baseline in each part of `answers`, by the endpoint, in points (hundredths).

    Columns: part, backbone, arm (an oracle last), gain with gain_low and gain_high (95 %), seeds, lesions, and
    percent_of_ceiling: the gain over that of the oracle, missing where the oracle's interval does not exclude 0. Parts
    and arms without a baseline are left out.

    Args:
        parts, answers: from `load.by_part` and `comparison.answers`. What the study compares with the baseline is taken
            from there, the other arms are compared here, with fewer draws.
    """
    tables = [_gains(parts[name], table, analysis).assign(part=name) for name, table in answers.items()]
    gains = pd.concat([table for table in tables if len(table)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)
    ceiling = gains[gains["arm"].isin(ORACLES) & (gains["gain_low"] > 0)].set_index(["part", "backbone"])["gain"]
    places = pd.MultiIndex.from_frame(gains[["part", "backbone"]])
    shares = 100 * gains["gain"].to_numpy(float) / ceiling.reindex(places).to_numpy(float)
    gains["percent_of_ceiling"] = np.where(gains["arm"].isin(ORACLES), np.nan, shares)
    return gains[COLUMNS]


def headline(
    answers: Mapping[str, pd.DataFrame], study: Study, names: Sequence[str], unfinished: Sequence[str] = ()
) -> list[str]:
    """Sentences in Markdown: in short; what there was to gain, what the released unit gains, also beside a Gaussian.

    Args:
        answers: from `comparison.answers`.
        study: the sentences are on its endpoint, and say what its parts are.
        names: the parts to speak of, in this order; the first that has run is the one of the short answer, and a last
            sentence names those that have not run.
        unfinished: from `load.unfinished`: a sentence says of which of these parts runs are missing.

    Of every comparison stands what its verdict allows, no more, with the interval.
    """
    analysis = study.analysis
    points = f" (points of {METRICS[analysis.endpoint].label}, with 95 % intervals)"
    measured, absent = ([name for name in names if (name in answers) is known] for known in (True, False))
    waiting = [entry for entry in unfinished if entry.partition(" ")[0] in names]
    sentences = [_in_short(answers[measured[0]], analysis)] if measured else []
    sentences += [f"**Preliminary:** {', '.join(waiting)} runs are finished. Verdicts may change."] if waiting else []
    sentences += [f"**What was trained.** {_about(study, measured)}."] if measured else []
    for title, comparisons in HEADLINE.items():
        found = [_in_parts(answers, analysis, pair, measured or names) for pair in comparisons]
        clauses = [f"{words} {text}" for words, text in zip(comparisons.values(), found, strict=True)]
        sentences.append(f"**{title}**{'' if title != next(iter(HEADLINE)) else points}. {'; '.join(clauses)}.")
    return [*sentences, *([f"**Not measured yet.** {_about(study, absent)}."] if absent else [])]


def _in_short(rows: pd.DataFrame, analysis: Analysis) -> str:
    """What the verdicts on one network say, in one bold line without a number."""
    rows = rows[(rows["metric"] == analysis.endpoint) & (rows["backbone"] == rows["backbone"].iloc[0])]
    verdicts = {(row.arm, row.reference): row.verdict for row in rows.itertuples()}
    said = [f"{words} {HELPS[verdicts[pair]]}" for pair, words in IN_SHORT.items() if pair in verdicts]
    if beside := BESIDE_GAUSSIAN.get(verdicts.get(("released", "centre"), "")):
        said[-1] += f", and {beside}"
    return f"**{'. '.join(said)}.**"


def _about(study: Study, names: Sequence[str]) -> str:
    return ". ".join(f"`{name}`: {study.parts[name].about}" if name in study.parts else f"`{name}`" for name in names)


def _gains(runs: pd.DataFrame, table: pd.DataFrame, analysis: Analysis) -> pd.DataFrame:
    """The rows of one part without its name."""
    asked = {arm for arm, reference in analysis.comparisons if reference == BASELINE}
    others = [(arm, BASELINE) for arm in ARMS if arm in set(runs["arm"]) - asked - {BASELINE}]
    endpoint = {analysis.endpoint: analysis.margins[analysis.endpoint]}
    rest = analysis.model_copy(update={"comparisons": others, "margins": endpoint, "draws": min(DRAWS, analysis.draws)})
    found = pd.concat([table, comparison.comparisons_table(runs, runs["classes"].iloc[0], rest)])
    found = found[(found["metric"] == analysis.endpoint) & (found["reference"] == BASELINE)]
    rank = {name: place for place, name in enumerate((*BACKBONES, *sorted(ARMS, key=ORACLES.count)))}
    found = found.sort_values(["backbone", "arm"], key=lambda names: names.map(rank))
    points = {
        f"gain{end}": 100 * found[column] for end, column in (("", "difference"), ("_low", "low"), ("_high", "high"))
    }
    return found[["backbone", "arm", "seeds", "lesions"]].assign(**points)


def _in_parts(answers, analysis: Analysis, pair: tuple[str, str], names: Sequence[str]) -> str:
    """What one comparison found, part by part; the parts in which it has not run stand together."""
    said, missing = [], []
    for name in names:
        rows = answers[name].itertuples() if name in answers else ()
        rows = [row for row in rows if ((row.arm, row.reference), row.metric) == (pair, analysis.endpoint)]
        missing += [] if rows else [f"`{name}`"]
        for row in rows:
            network = f" with {BACKBONES[row.backbone].title}" if len(rows) > 1 else ""
            once = " (one training each)" if row.seeds == 1 else ""
            place = f" in `{name}`" if len(names) > 1 else ""
            said.append(f"{_found(row)}{place}{network}{once}")
    if missing:
        said.append(f"has not been measured in {' and '.join(missing)}")
    return ", ".join(said)


def _found(row) -> str:
    """What the verdict on a row of `comparison.comparisons_table` allows to say."""
    numbers = f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
    if row.verdict == EQUIVALENT:
        return f"changes nothing that counts for these training images, {numbers}"
    if row.verdict == UNDECIDED:
        return f"is not shown to gain or lose, {numbers}"
    return f"gains {numbers}" if row.difference > 0 else f"is worse, {numbers}"
