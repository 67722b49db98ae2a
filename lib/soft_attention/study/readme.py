"""Writes the main result into the README from the runs that are kept: `python -m soft_attention.study.readme`."""

from collections.abc import Iterator, Mapping

import pandas as pd

from soft_attention import paths
from soft_attention.study import attention_tables, comparison, ledger, records
from soft_attention.study.config import Study
from soft_attention.study.statistics import NOT_SUPPORTED, SUPPORTED
from soft_attention.vocabulary import ARMS

STUDY = "cpu"
BEGIN, END = "<!-- main result: begin -->", "<!-- main result: end -->"
OUTSIDE = ", outside test set"

Tables = Mapping[str, pd.DataFrame]


def main_result(study: str = STUDY) -> str:
    """The answer of a study as Markdown: how far it is, verdicts, where the networks look, and the scale of both.

    One row per part with all four arms, and one for its outside test set if it has one; one column per comparison of
    the study file, with the difference of the endpoint in points, its interval and the verdict.
    """
    plan = Study.load(study)
    runs = records.by_part(records.load_runs(plan))
    parts = {name: part for name, part in runs.items() if part["arm"].nunique() == len(ARMS)}
    answers = comparison.answers(parts, plan.analysis)
    outside = comparison.answers(parts, plan.analysis, "external")
    tables = {}
    for name in answers:
        tables |= {name: answers[name]} | ({name + OUTSIDE: outside[name]} if name in outside else {})
    finished = f"{sum(map(len, runs.values()))} of the {len(plan.runs())} runs of the study `{study}` are finished."
    lines = [
        finished + _open(plan, parts),
        "",
        f"Difference of {plan.analysis.endpoint.replace('_', ' ')} in points, with its 95 % interval:",
        "",
        *_difference_lines(tables, plan),
        "",
        *_decided_lines(tables, plan),
        *_melanoma_lines(parts),
        *_ledger_lines(runs),
        "Share of the map's weight that falls on the lesion:",
        "",
        *_attention_lines(records.load_attention(plan)),
        "",
        *(f"*{name}: {_scale(parts[name])} {_half_widths(answers[name], plan)}*<br>" for name in answers),
    ]
    return "\n".join(lines)


def replace_main_result(text: str, result: str) -> str:
    """`text` with `result` between the two marks; ValueError if a mark is missing."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the README lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{result}\n{END}{after}"


def _open(plan: Study, parts: Tables) -> str:
    """Which parts lack seeds of the plan, whose verdicts may still change."""
    planned = {name: {run.seed for run in plan.runs() if run.part == name} for name in parts}
    short = [
        f"`{name}` {done} of {len(planned[name])} seeds"
        for name, part in parts.items()
        if (done := comparison.complete(part, ARMS)["seed"].nunique()) < len(planned[name])
    ]
    return f" Verdicts of unfinished parts are interim: {', '.join(short)}." if short else ""


def _difference_lines(tables: Tables, plan: Study) -> list[str]:
    pairs = [f"{arm} - {reference}" for arm, reference in plan.analysis.comparisons]
    lines = [f"| part of the study | {' | '.join(pairs)} |", f"|---|{'---|' * len(pairs)}"]
    for name, table in tables.items():
        cells = dict.fromkeys(pairs, "not run")
        for row in table[table["metric"] == plan.analysis.endpoint].itertuples():
            cells[f"{row.arm} - {row.reference}"] = _cell(row)
        lines.append(f"| {name} | {' | '.join(cells.values())} |")
    return lines


def _cell(row) -> str:
    notes = [f"**{row.verdict}**"]
    if _decided(row) and min(abs(row.low), abs(row.high)) < row.margin:
        notes.append("size open")
    if row.scale_at_most_0:
        notes.append("unit silent")
    return f"{_interval(100 * row.difference, 100 * row.low, 100 * row.high)}, {', '.join(notes)}"


def _decided_lines(tables: Tables, plan: Study) -> Iterator[str]:
    """The other metrics, where something is decided on the unit as released."""
    for metric in plan.analysis.margins:
        found = [
            f"{name} {row.arm} - {row.reference} {_cell(row)}"
            for name, table in tables.items()
            for row in table[table["metric"] == metric].itertuples()
            if row.arm == "released" and _decided(row)
        ]
        if metric != plan.analysis.endpoint and found:
            yield f"{metric.replace('_', ' ').capitalize()}, where decided: {'; '.join(found)}."
            yield ""


def _melanoma_lines(parts: Tables) -> Iterator[str]:
    gains = comparison.melanoma_table(parts).query("arm == 'released'")
    if len(gains):
        listed = [f"{row.part} {100 * row.gain:+.1f} ({row.seeds_above} of {row.seeds})" for row in gains.itertuples()]
        yield "Melanoma against the rest, AUC, released - baseline in points, and in how many seeds it is higher:"
        yield f"{'; '.join(listed)}."
        yield ""


def _ledger_lines(parts: Tables) -> list[str]:
    """What moves attention's gain, from the bias ledger, beside the published gain."""
    entries = ledger.ledger(parts)
    if entries.empty:
        return []
    metrics = ("weighted_precision", "accuracy")
    names = [name.replace("_", " ") for name in metrics]
    lines = [
        "What attention gains, and what a choice adds to that (the luck of a draw is the gain itself, "
        f"{ledger.SPREAD}); published: {ledger.published_gain_text()}",
        "",
        f"| points | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for row in entries[entries["moves"] == ledger.GAIN].to_dict("records"):
        ends = [(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in metrics]
        lines.append(f"| {row['entry']} | {' | '.join(_interval(*each) for each in ends)} |")
    return [*lines, ""]


def _attention_lines(attention: pd.DataFrame) -> list[str]:
    """A table of the energy inside the lesion of each arm's attention, beside what it must beat; empty without runs."""
    if attention.empty:
        return []
    ways = ["attention", "uniform", "randomised unit", "centred Gaussian"]
    names = ["part of the study", "arm", "runs", "images", *ways, "attention - Gaussian"]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    energy = attention.pivot_table("energy", ["part", "arm"], "map")
    for row in attention_tables.lift_table(attention).itertuples():
        shares = energy.loc[(row.part, row.arm), ways]
        lift = _interval(row.attention_lift, row.attention_lift_low, row.attention_lift_high, 3)
        cells = [row.part, row.arm, str(row.runs), f"{row.images:,}", *(f"{share:.3f}" for share in shares), lift]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _scale(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    seeds, folds = part["seed"].nunique(), part["fold"].nunique()
    trainings = f"{seeds} seed{'s' * (seeds > 1)}{f' x {folds} folds' * (folds > 1)}"
    balanced, accuracy = part[part["arm"] == "baseline"][["balanced_accuracy", "accuracy"]].mean()
    return (
        f"{first.dataset}, {first.backbone}, {first.scale}, protocol {first.protocol}, images: {first.images}, "
        f"{trainings}, {len(part)} runs; the baseline has a balanced accuracy of {balanced:.3f}, an accuracy of "
        f"{accuracy:.3f}."
    )


def _half_widths(answers: pd.DataFrame, plan: Study) -> str:
    rows = answers[answers["metric"] == plan.analysis.endpoint]
    halves = 50 * (rows["high"] - rows["low"])
    return f"Half-widths of its intervals: {', '.join(f'{half:.1f}' for half in halves)} points."


def _decided(row) -> bool:
    return row.verdict in (SUPPORTED, NOT_SUPPORTED)


def _interval(value: float, low: float, high: float, digits: int = 1) -> str:
    return f"{value:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"


def main() -> None:
    readme = paths.ROOT / "README.md"
    text = replace_main_result(readme.read_text(), main_result())
    with paths.atomic(readme) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    main()
