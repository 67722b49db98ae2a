"""Writes docs/results.md and README's headline: `python -m soft_attention.report.results_page`.

The numbers of `cpu` are made from its kept runs, the sentences on `ceiling` from the tables that its summary keeps.
"""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from soft_attention import files, paths
from soft_attention.evaluation.metrics import METRICS
from soft_attention.report import attention_tables, comparison, gained, ledger, styling
from soft_attention.report.load import by_part, load_attention, load_runs, unfinished
from soft_attention.study.config import Study
from soft_attention.vocabulary import BACKBONES, BASELINE, PROTOCOLS

STUDY = "cpu"
BEGIN, END = "<!-- main result: begin -->", "<!-- main result: end -->"
CEILING, CEILING_PARTS = "ceiling", ("frozen", "fine_tuned", gained.OFF_CENTRE)
HEADLINE_BEGIN, HEADLINE_END = "<!-- headline: begin -->", "<!-- headline: end -->"
DETAILS_BEGIN, DETAILS_END = "<!-- details: begin -->", "<!-- details: end -->"
OUTSIDE = ", ISIC 2018 test set"
PLACE = "part of the study"

Tables = Mapping[str, pd.DataFrame]


def main_result(study: str = STUDY) -> str:
    """The answer of a study as Markdown: how far it is, verdicts with their scale, the ledger, where the networks look.

    One row per part that compares arms, one for its outside test set if it has one, and one for parts among which
    validation images choose.
    """
    plan = Study.load(study)
    parts = by_part(load_runs(plan))
    answers = comparison.answers(parts, plan.analysis)
    outside = comparison.answers(parts, plan.analysis, "external")
    tables = {}
    for name in answers:
        tables |= {name: answers[name]} | ({name + OUTSIDE: outside[name]} if name in outside else {})
    tables |= comparison.answers(comparison.preferred(parts, plan.analysis), plan.analysis)
    finished = f"{sum(map(len, parts.values()))} of the {len(plan.runs())} runs of the study `{study}` are finished."
    missing = unfinished(plan, {name: parts[name] for name in answers})
    lines = [
        finished + (f" Verdicts of unfinished parts are interim: {', '.join(missing)} runs." if missing else ""),
        "",
        f"Differences of {METRICS[plan.analysis.endpoint].label} in points (hundredths), with their 95 % interval:",
        "",
        *_difference_lines(tables, parts, plan),
        "",
        *_test_lines(parts, plan),
        *_decided_lines(tables, plan),
        *_melanoma_lines({name: parts[name] for name in answers}),
        *_ledger_lines(parts),
        "Share of the map's weight that falls on the lesion:",
        "",
        *_attention_lines(load_attention(plan), comparison.gamma_table(parts)),
    ]
    return "\n".join(lines)


def headline(study: str = CEILING, names: Sequence[str] = CEILING_PARTS) -> str:
    """`gained.headline` of a study's kept tables as a list in Markdown, whatever of it has run."""
    answers = gained.of_each_part(_kept(study, "comparisons"))
    if not answers:
        return f"- What there was to gain is not known yet: the study `{study}` has not run."
    plan = Study.load(study)
    runs = load_runs(plan)
    waiting, left = unfinished(plan, by_part(runs)), len(plan.runs()) - len(runs)
    tests, across = (_kept(study, name) for name in ("tests", "across"))
    return _list(gained.headline(plan, answers, names, tests, across, waiting, left))


def details(study: str = CEILING, names: Sequence[str] = CEILING_PARTS) -> str:
    """`gained.details` of a study's kept tables, and what its first part says of melanoma, as a list in Markdown."""
    answers, outside = (gained.of_each_part(_kept(study, name)) for name in ("comparisons", "external-comparisons"))
    tests, across, melanoma = (_kept(study, name) for name in ("tests", "across", "melanoma"))
    sentences = gained.details(Study.load(study), answers, names, outside, tests, across)
    return _list([*sentences, *([gained.melanoma(melanoma, names[0])] if len(melanoma) else [])])


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _kept(study: str, name: str) -> pd.DataFrame:
    file = paths.RESULTS / study / "summary" / f"{name}.csv"
    return pd.read_csv(file, keep_default_na=False) if file.exists() else pd.DataFrame()


def replace_main_result(text: str, result: str, begin: str = BEGIN, end: str = END) -> str:
    """`text` with `result` between the two marks; ValueError if a mark is missing."""
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"the text lacks the marks {begin} and {end}")
    return f"{before}{begin}\n{result}\n{end}{after}"


def _difference_lines(tables: Tables, parts: Tables, plan: Study) -> list[str]:
    compared = list(plan.analysis.comparisons)
    rows = []
    for name, table in tables.items():
        cells = dict.fromkeys(compared, "not run")
        for row in table[table["metric"] == plan.analysis.endpoint].itertuples():
            cells[row.arm, row.reference] = _cell(row)
        rows.append([_part(name, parts), *cells.values()])
    return styling.markdown([PLACE, *(f"{arm} - {reference}" for arm, reference in compared)], rows)


def _part(name: str, parts: Tables) -> str:
    if name.endswith(OUTSIDE):
        return f"`{name.removesuffix(OUTSIDE)}`{OUTSIDE}"
    if name not in parts:
        return (
            f"`{name.replace(' or ', '` or `')}`<br><sub>for each run the one that its validation images prefer</sub>"
        )
    return f"`{name}`<br><sub>{_scale(parts[name])}</sub>"


def _cell(row) -> str:
    found = styling.points(row)
    return ", ".join([found, f"**{row.verdict}**", *comparison.remarks(row)])


def _test_lines(parts: Tables, plan: Study) -> Iterator[str]:
    """The primary comparison, the first one of the first part, by the more conservative test over runs."""
    tests = comparison.tests_table(next(iter(parts.values())), plan.analysis)
    arm, reference = plan.analysis.comparisons[0]
    for row in tests.itertuples():
        if (row.arm, row.reference) == (arm, reference):
            found = styling.points(row)
            confirms = "confirms" if row.p_holm < gained.CLEAR else "does not confirm"
            yield "In this table every lesion counts the same. A stricter test, the corrected t-test over the"
            yield f"{row.runs} runs, where every image counts the same, {confirms} its first difference: {found},"
            yield f"p = {row.p_holm:.3f} after Holm's correction."
            yield ""


def _decided_lines(tables: Tables, plan: Study) -> Iterator[str]:
    """The other metrics, where something is decided on the unit as released."""
    for metric in plan.analysis.margins:
        found = [
            f"`{name.removesuffix(OUTSIDE)}`{OUTSIDE * name.endswith(OUTSIDE)} {_cell(row)}"
            for name, table in tables.items()
            for row in table[table["metric"] == metric].itertuples()
            if (row.arm, row.reference) == ("released", BASELINE) and row.verdict in gained.DECIDED
        ]
        if metric != plan.analysis.endpoint and found:
            yield f"{METRICS[metric].label.capitalize()} of the unit as released, where decided: {'; '.join(found)}."
            yield ""


def _melanoma_lines(parts: Tables) -> Iterator[str]:
    """A table of the AUC of melanoma, in points above the baseline; nothing without such a class."""
    gains = comparison.melanoma_table(parts).set_index(["part", "arm"])
    arms = [arm for arm in ("released", "paper", "control") if arm in gains.index.get_level_values("arm")]
    if not arms:
        return
    yield "Melanoma against all other classes: points of AUC above the baseline, with the 95 % interval, and in"
    yield "how many seeds the gain is above 0:"
    yield ""
    rows = [
        [f"`{part}`", *(_gain(gains.loc[part, arm]) if (part, arm) in gains.index else "not run" for arm in arms)]
        for part in gains.index.get_level_values("part").unique()
    ]
    yield from styling.markdown([PLACE, *arms], rows)
    yield ""


def _gain(row: pd.Series) -> str:
    points = styling.interval(100 * row["gain"], 100 * row["gain_low"], 100 * row["gain_high"])
    return f"{points}, {row['seeds_above']:.0f} of {row['seeds']:.0f}"


def _ledger_lines(parts: Tables) -> list[str]:
    """What moves attention's gain, from the bias ledger, beside the published gain."""
    entries = ledger.ledger(parts)
    if entries.empty:
        return []
    metrics = tuple(ledger.published_gain())
    rows = []
    for row in entries[entries["moves"] == ledger.GAIN].to_dict("records"):
        ends = [(row[name], row[f"{name}_low"], row[f"{name}_high"]) for name in metrics]
        rows.append([row["entry"], *(styling.interval(*each) for each in ends)])
    return [
        "What attention gains, and what a choice adds to that (luck is how the gain scatters around its mean, "
        f"{ledger.SPREAD}); every image counts the same, as in the paper. Published: {ledger.published_gain_text()}:",
        "",
        *styling.markdown(["points", *(METRICS[name].label for name in metrics)], rows),
        "",
    ]


def _attention_lines(attention: pd.DataFrame, gammas: pd.DataFrame) -> list[str]:
    """A table of the energy inside the lesion of each arm's attention, beside what it must beat; empty without runs."""
    if attention.empty:
        return []
    kinds = ["attention", "uniform", "randomised unit", "centred Gaussian"]
    rows = []
    energy = attention.pivot_table("energy", ["part", "arm"], "map")
    silent = set(gammas[gammas["at_most_0"] == gammas["runs"]]["part"])
    for row in attention_tables.lift_table(attention).itertuples():
        shares = energy.loc[(row.part, row.arm), kinds]
        lift = styling.interval(row.attention_lift, row.attention_lift_low, row.attention_lift_high, 3)
        arm = row.arm + ", silent" * (row.arm == "paper" and row.part in silent)
        rows.append([f"`{row.part}`", arm, f"{row.images:,}", *(f"{share:.3f}" for share in shares), lift])
    return styling.markdown([PLACE, "arm", "images", *kinds, "attention - Gaussian"], rows)


def _scale(part: pd.DataFrame) -> str:
    """What a number of this part rests on, in a line."""
    first = part.iloc[0]
    seeds, folds = part["seed"].nunique(), part["fold"].nunique()
    trainings = f"{seeds} seed{'s' * (seeds > 1)}{f' x {folds} folds' * (folds > 1)}"
    chosen = ", epoch chosen on the test images" * (PROTOCOLS[first.protocol].chooses == "test")
    balanced = part[part["arm"] == BASELINE]["balanced_accuracy"].mean()
    return (
        f"{first.dataset}, {BACKBONES[first.backbone].title}, {first.scale}; protocol {first.protocol}{chosen}, "
        f"{trainings}; source: {first.source}; baseline {balanced:.3f}"
    )


def main() -> None:
    _rewrite("docs/results.md", details(), DETAILS_BEGIN, DETAILS_END)
    _rewrite("docs/results.md", main_result(), BEGIN, END)
    _rewrite("README.md", headline(), HEADLINE_BEGIN, HEADLINE_END)


def _rewrite(name: str, result: str, begin: str, end: str) -> None:
    page = paths.ROOT / name
    text = replace_main_result(page.read_text(encoding="utf-8"), result, begin, end)
    with files.atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
