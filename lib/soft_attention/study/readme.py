"""Writes the main result into the README from the runs that are kept: `python -m soft_attention.study.readme`."""

import pandas as pd

from soft_attention import paths
from soft_attention.study import attention_tables, comparison, records
from soft_attention.study.config import Study
from soft_attention.study.statistics import NOT_SUPPORTED, SUPPORTED
from soft_attention.vocabulary import ARMS

STUDY = "cpu"
BEGIN, END = "<!-- main result: begin -->", "<!-- main result: end -->"


def main_result(study: str = STUDY) -> str:
    """The answer of a study as Markdown: verdicts, then where the networks look, then the scale of both.

    One row per part with all four arms, and one for its outside test set if it has one; one column per comparison of
    the study file, with the difference of the endpoint in points, its interval and the verdict.
    """
    plan = Study.load(study)
    runs = records.by_part(records.load_runs(study), plan.parts)
    parts = {name: part for name, part in runs.items() if part["arm"].nunique() == len(ARMS)}
    answers = comparison.answers(parts, plan.analysis)
    pairs = [f"{arm} - {reference}" for arm, reference in plan.analysis.comparisons]
    outside = comparison.answers(parts, plan.analysis, "external")
    rows = {}
    for name in answers:
        rows |= {name: answers[name]} | ({f"{name}, outside test set": outside[name]} if name in outside else {})
    rows = {name: table[table["metric"] == plan.analysis.endpoint] for name, table in rows.items()}
    lines = [
        f"{sum(map(len, runs.values()))} of the {len(plan.runs())} runs of the study `{study}` are finished.",
        "",
        f"Difference of {plan.analysis.endpoint.replace('_', ' ')} in points, with its 95 % interval:",
        "",
        f"| part of the study | {' | '.join(pairs)} |",
        f"|---|{'---|' * len(pairs)}",
        *(_row(name, table, pairs) for name, table in rows.items()),
        "",
        f"Half-widths of these intervals, in points: {'; '.join(_half_widths(*row) for row in rows.items())}.",
        "",
        *_attention_lines(records.load_attention(study, plan.parts)),
        *(f"*{name}: {_scale(parts[name])}*<br>" for name in answers),
    ]
    return "\n".join(lines)


def replace_main_result(text: str, result: str) -> str:
    """`text` with `result` between the two marks; ValueError if a mark is missing."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the README lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{result}\n{END}{after}"


def _row(name: str, answers: pd.DataFrame, pairs: list[str]) -> str:
    cells = dict.fromkeys(pairs, "not run")
    for row in answers.itertuples():
        numbers = f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f})"
        decided = row.verdict in (SUPPORTED, NOT_SUPPORTED)
        small = f" (less than {100 * row.margin:g} points)" if decided and abs(row.difference) < row.margin else ""
        cells[f"{row.arm} - {row.reference}"] = f"{numbers}, **{row.verdict}**{small}"
    return f"| {name} | {' | '.join(cells.values())} |"


def _half_widths(name: str, answers: pd.DataFrame) -> str:
    return f"{name} {', '.join(f'{50 * (row.high - row.low):.1f}' for row in answers.itertuples())}"


def _attention_lines(attention: pd.DataFrame) -> list[str]:
    """A table of the energy inside the lesion of each arm's attention, beside what it must beat; empty without runs."""
    if attention.empty:
        return []
    ways = ["attention", "uniform", "randomised unit", "centred Gaussian"]
    names = ["part of the study", "arm", "runs", *ways, "attention - Gaussian"]
    lines = ["Share of the map's weight that falls on the lesion:", "", f"| {' | '.join(names)} |", "|---" * 8 + "|"]
    energy = attention.pivot_table("energy", ["part", "arm"], "map")
    for row in attention_tables.lift_table(attention).itertuples():
        shares = energy.loc[(row.part, row.arm), ways]
        lift = f"{row.attention_lift:+.3f} ({row.attention_low:+.3f} to {row.attention_high:+.3f})"
        cells = [row.part, row.arm, str(row.runs), *(f"{share:.3f}" for share in shares), lift]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


def _scale(part: pd.DataFrame) -> str:
    first = part.iloc[0]
    seeds, folds = part["seed"].nunique(), part["fold"].nunique()
    trainings = f"{seeds} seed{'s' * (seeds > 1)}{f' x {folds} folds' * (folds > 1)}"
    return (
        f"{first.dataset}, {first.backbone}, {first.scale}, protocol {first.protocol}, images: {first.images}, "
        f"{trainings}, {len(part)} runs."
    )


def main() -> None:
    readme = paths.ROOT / "README.md"
    text = replace_main_result(readme.read_text(), main_result())
    with paths.atomic(readme) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    main()
