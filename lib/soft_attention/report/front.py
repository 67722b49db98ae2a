"""The first screen of a report: what was asked, the answer of this study, and the scale."""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from soft_attention.data.catalog import CATALOG
from soft_attention.evaluation.metrics import METRICS
from soft_attention.evaluation.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from soft_attention.report import attention_tables, gained, styling
from soft_attention.report.comparison import name_of_preferred
from soft_attention.report.remembered import remembered
from soft_attention.study.config import Study
from soft_attention.vocabulary import ARMS, BACKBONES

GENERATED = "generated"
EXPLAINED = {"balanced_accuracy": "the share of lesions predicted correctly, every class counting the same"}
NOT_DECIDED = "these images and trainings do not decide it"
UNIT = "the attention unit of Datta et al. (2021)"

Tables = Mapping[str, pd.DataFrame]


def question(plan: Study, gains: pd.DataFrame) -> str:
    """What the study asks, in Markdown. `gains`: from `gained.gains_table`."""
    score = METRICS[plan.analysis.endpoint].label
    if explained := EXPLAINED.get(plan.analysis.endpoint, ""):
        score = f"{score} ({explained})"
    if with_oracle(gains):
        asked = f"How much does a network gain when it is told where the lesion is? How much of this does {UNIT} gain?"
    else:
        asked = f"Does a network classify skin lesions better with {UNIT} than without it?"
    return f"{asked} The score is {score}; a point is a hundredth. *This study:* {plan.about}."


def answer(
    plan: Study,
    answers: Tables,
    gains: pd.DataFrame,
    outside: Tables,
    tests: pd.DataFrame,
    across: pd.DataFrame,
    melanoma: pd.DataFrame,
    attention: pd.DataFrame,
    generated: bool,
) -> list[str]:
    """The answer in a few sentences of Markdown, made from the results of this study.

    Args:
        answers, outside: from `comparison.answers`, of the test sets, also of `comparison.preferred`, and of the
            outside test set.
        gains: from `gained.gains_table`.
        tests: from `comparison.all_tests`.
        across, melanoma: from `comparison.across_table` and `comparison.melanoma_table`.
        attention: from `load.load_attention`, with named parts.
        generated: the images are.
    """
    if names := with_oracle(gains):
        found = gained.headline(plan, answers, names, tests, across)
        found += gained.details(plan, answers, names, outside, tests, across)
        return [*found, *([gained.melanoma(melanoma, names[0])] if len(melanoma) else [])]
    rows = unit_rows(plan, {name: answers[name] for name in answers if name != name_of_preferred(plan.analysis)})
    if rows.empty:
        return ["**Nothing can be said yet.** The arms that this study compares have not both run."]
    last = "**The images are generated.** They show that the study works, and say nothing about skin or the paper."
    return [
        _overall(plan, rows),
        _main(plan, rows, unit_rows(plan, outside)),
        *([last] if generated else _looks(plan, attention)),
    ]


def with_oracle(gains: pd.DataFrame) -> list[str]:
    """The parts in which an oracle ran: the study asks what there is to gain."""
    return list(dict.fromkeys(gains[gains["arm"].isin(gained.ORACLES)]["part"]))


def unit_rows(plan: Study, answers: Tables) -> pd.DataFrame:
    """The first comparison of the study's file by the endpoint: a row per part and backbone.

    Columns: those of `comparison.comparisons_table`, part, and name, value, low and high in points for a figure.
    """
    arm, reference = plan.analysis.comparisons[0]
    tables = [table.assign(part=part) for part, table in answers.items()]
    rows = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["arm", "reference", "metric"])
    rows = rows[(rows["arm"] == arm) & (rows["reference"] == reference) & (rows["metric"] == plan.analysis.endpoint)]
    if rows.empty:
        return rows
    titles = rows["backbone"].map(lambda name: BACKBONES[name].title)
    names = rows["part"] if rows["backbone"].nunique() == 1 else titles
    if rows["backbone"].nunique() > 1 and rows["part"].nunique() > 1:
        names = rows["part"] + ", " + titles
    points = {name: 100 * rows[column] for name, column in (("value", "difference"), ("low", "low"), ("high", "high"))}
    return rows.assign(name=names, **points).reset_index(drop=True)


def alternative(rows: pd.DataFrame) -> str:
    """The figure of `unit_rows` in words."""
    cells = (f"{row.name}: {styling.interval(row.value, row.low, row.high)}" for row in rows.itertuples(index=False))
    return f"Gain in points with its 95 % interval. {'; '.join(cells)}"


def scale(plan: Study, runs: pd.DataFrame, answers: Tables) -> str:
    """What the numbers rest on, in Markdown: the images tested, their size, the networks, the trainings."""
    tested: dict[str, int] = {}
    for part, rows in runs.groupby("part", sort=False):
        dataset = rows["dataset"].iloc[0]
        found = answers[part]["images"].max() if part in answers else rows["n_images"].max()
        tested[dataset] = max(tested.get(dataset, 0), int(found))
    sources = {dataset: ", ".join(rows["source"].unique()) for dataset, rows in runs.groupby("dataset")}
    images = "; ".join(
        f"{count:,} of {CATALOG[name].title if name in CATALOG else name}, {sources[name]}"
        for name, count in tested.items()
    )
    finished = set(runs["folder"])
    sizes = sorted({run.size for run in plan.runs() if run.folder in finished})
    networks = ", ".join(BACKBONES[name].title for name in BACKBONES if name in set(runs["backbone"]))
    trainings = f"{len(runs):,} finished of {len(plan.runs()):,} planned"
    facts = {"Test images": images, "Input size": f"{' and '.join(map(str, sizes))} px", "Networks": networks}
    return " · ".join(f"**{name}:** {text}" for name, text in (facts | {"Trainings": trainings}).items())


def _overall(plan: Study, rows: pd.DataFrame) -> str:
    """What came out of all comparisons."""
    unit, counts, total = _unit(plan), Counter(rows["verdict"]), len(rows)
    margin = 100 * plan.analysis.margins[plan.analysis.endpoint]
    said = {
        BETTER: "helps",
        WORSE: "makes the result worse",
        EQUIVALENT: f"changes the result by less than {margin:g} points, for these training images",
    }
    if counts[UNDECIDED] == total:
        once = (rows["seeds"] == 1).all()
        why = "each network was trained once, and one training decides nothing" if once else NOT_DECIDED
        return f"**It is not decided whether {unit} helps.** {_capital(why)}."
    if total == 1:
        (verdict,) = counts
        return f"**{_capital(unit)} {said[verdict]}.**"
    if counts[BETTER]:
        lead = f"{unit} helps in {counts[BETTER]} of {total} comparisons."
    else:
        lead = f"{unit} is not shown to help in any of {total} comparisons."
    rest = [f"in {counts[verdict]} it {said[verdict]}" for verdict in (WORSE, EQUIVALENT) if counts[verdict]]
    rest += [f"in {counts[UNDECIDED]} {NOT_DECIDED}"] if counts[UNDECIDED] else []
    return f"**{_capital(lead)}** {_capital('; '.join(rest))}." if rest else f"**{_capital(lead)}**"


def _main(plan: Study, rows: pd.DataFrame, outside: pd.DataFrame) -> str:
    """What came out of the first part, in numbers."""
    main = rows[rows["part"] == rows["part"].iloc[0]]
    score = METRICS[plan.analysis.endpoint].label
    reference = plan.analysis.comparisons[0][1]
    against = "without attention" if reference == gained.BASELINE else f"with the {ARMS[reference].title}"
    if len(main) > 1:
        ends = f"{main['value'].min():+.1f} to {main['value'].max():+.1f} points"
        lead = f"**With the unit, {score} differs by {ends}, depending on the network.**"
        return f"{lead} Each network is compared with the same network {against}."
    row = main.iloc[0]
    where = f" in the main part, `{row['part']}`" if len(rows) > 1 else ""
    text = f"**With the unit, {score} differs by {row['value']:+.1f} points{where}** (95 % interval "
    text += f"{row['low']:+.1f} to {row['high']:+.1f}) from that of the network {against}"
    for found in outside[outside["part"] == row["part"]].itertuples() if len(outside) else ():
        shown = {BETTER: "it gains", WORSE: "it loses"}.get(found.verdict, "no gain is shown")
        text += f"; on another test set {shown}, {styling.interval(found.value, found.low, found.high)}"
    return f"{text}."


def _looks(plan: Study, attention: pd.DataFrame) -> list[str]:
    """Whether the unit looks at the lesion more than a Gaussian in the middle does; nothing where that is not known."""
    lifts = remembered(attention_tables.lift_table, attention) if len(attention) else pd.DataFrame({"arm": []})
    lifts = lifts[lifts["arm"] == plan.analysis.comparisons[0][0]]
    lifts = lifts.dropna(subset=["attention_lift_low"]) if len(lifts) else lifts
    if lifts.empty:
        return []
    counts = {"less": (lifts["attention_lift_high"] < 0).sum(), "more": (lifts["attention_lift_low"] > 0).sum()}
    said = [f"{word} in {count} of {len(lifts)} comparisons" for word, count in counts.items() if count]
    first = lifts.iloc[0]
    lift = styling.interval(*(100 * first[f"attention_lift{end}"] for end in ("", "_low", "_high")))
    lead = f"Does {_unit(plan)} put more weight on the lesion than a Gaussian in the middle of every image?"
    found = _capital(", ".join(said)) or "Neither more nor less is shown"
    several = lifts["backbone"].nunique() > 1
    network = f", {BACKBONES[first['backbone']].title}," if several else ""
    return [f"**{lead}** {found}. In `{first['part']}`{network} the difference is {lift} points of the weight."]


def _unit(plan: Study) -> str:
    return f"the {ARMS[plan.analysis.comparisons[0][0]].title}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
