"""What was there to gain, and what of it was gained: every arm beside the oracle that is told where the lesion is."""

from collections.abc import Mapping, Sequence

import pandas as pd

from soft_attention.evaluation.metrics import METRICS
from soft_attention.evaluation.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from soft_attention.report import comparison, styling
from soft_attention.study.config import Analysis, Study
from soft_attention.vocabulary import ARMS, BACKBONES, BASELINE

Tables = Mapping[str, pd.DataFrame]

ORACLES = tuple(name for name, arm in ARMS.items() if arm.needs_mask)
DRAWS = 2_000  # for the arms that the study does not compare with the baseline
COLUMNS = ["part", "backbone", "arm", "gain", "gain_low", "gain_high", "seeds", "lesions"]

# What each sentence of the headline is about: its comparisons, with the words that lead to what each of them found.
TO_GAIN = {
    ("lesion", BASELINE): "An oracle is told where the lesion is; no real system is. It",
    ("centre", BASELINE): "a Gaussian, the same bell-shaped weights in the middle of every image,",
}
OF_THE_UNIT = {
    ("released", BASELINE): "Against the network without attention it",
    ("released", "uniform"): "against a uniform map, the same frame with every place weighted alike, it",
}
BESIDE_THE_GAUSSIAN = {("released", "centre"): "The released unit", ("lesion", "centre"): "the oracle"}
ELSEWHERE = {
    ("centre", BASELINE): "Against the network without attention the Gaussian",
    ("released", BASELINE): "against it the released unit",
    ("released", "centre"): "against the Gaussian the released unit",
}
OFF_CENTRE = "off_centre"
ANYWHERE = {
    ("lesion", BASELINE): "Against the network without attention the oracle",
    ("centre", BASELINE): "against it the Gaussian",
    ("released", BASELINE): "against it the released unit",
    ("lesion", "centre"): "against the Gaussian the oracle",
}
FRAME = {
    ("frame_pool_dropout:baseline", "frozen:baseline"): (
        "Its max-pooling and dropout, put into the network without attention: that network"
    ),
    ("frame_untrained:released", "frozen:uniform"): "a unit left at its random weights, against a uniform map,",
}
NO_NORM = "frame_no_norm"
NORM_REMOVED = {(f"{NO_NORM}:baseline", "frozen:baseline"): "Without it the network without attention"}
WITHOUT_NORM = {
    ("released", BASELINE): "also without it, the unit against no attention",
    ("released", "uniform"): "also without it, the unit against a uniform map",
}
IN_SHORT = {
    ("lesion", BASELINE): "knowing the lesion's place {}",
    ("centre", BASELINE): "a fixed Gaussian in the middle of every image {}",
    ("released", BASELINE): "the released attention unit {}",
}
HELPS = {
    BETTER: "helps",
    WORSE: "harms",
    EQUIVALENT: "changes the result by less than {margin:g} points, for these training images",
    UNDECIDED: "is not shown to help",
}
AGAINST_GAUSSIAN = {BETTER: "the unit does better than the Gaussian", WORSE: "the unit does worse than the Gaussian"}
CLEAR = 0.05
AFTER_HOLM = " after Holm's correction (which intervals are without)"
RESERVE = " (a stricter test does not confirm it)"
DECIDED = (BETTER, WORSE)


def gains_table(
    parts: Mapping[str, pd.DataFrame], answers: Mapping[str, pd.DataFrame], analysis: Analysis
) -> pd.DataFrame:
    """What each arm gains over the baseline in each part of `answers`, by the endpoint, in points (hundredths).

    Columns: part, backbone, arm (an oracle last), gain with gain_low and gain_high (95 %), seeds, lesions. Parts and
    arms without a baseline are left out.

    Args:
        parts, answers: from `load.by_part` and `comparison.answers`. What the study compares with the baseline is taken
            from there, the other arms are compared here, with fewer draws.
    """
    tables = [_gains(parts[name], table, analysis).assign(part=name) for name, table in answers.items()]
    gains = pd.concat([table for table in tables if len(table)] or [pd.DataFrame(columns=COLUMNS)], ignore_index=True)
    return gains[COLUMNS]


def headline(
    study: Study,
    answers: Tables,
    names: Sequence[str],
    tests: pd.DataFrame,
    across: pd.DataFrame,
    unfinished: Sequence[str] = (),
    left: int = 0,
) -> list[str]:
    """Sentences in Markdown: in short; what there was to gain, what the released unit gains, also beside a Gaussian.

    Args:
        study: the sentences are on its endpoint, and say what its parts are.
        answers: from `comparison.answers`, of the test sets.
        names: the parts to speak of, in this order; each that has run has a short answer, and a last sentence names
            those that have not run. `OFF_CENTRE` stands in `details`.
        tests: from `comparison.all_tests`.
        across: from `comparison.across_table`.
        unfinished: from `load.unfinished`: a sentence says of which of these parts runs are missing.
        left: how many runs of the study are not made yet.

    Of every comparison stands what its verdict allows, no more, with the interval.
    """
    names = [name for name in names if name != OFF_CENTRE] or list(names)
    measured, absent = ([name for name in names if (name in answers) == ran] for ran in (True, False))
    waiting = [entry for entry in unfinished if entry.partition(" ")[0] in names]
    points = f"in points of {METRICS[study.analysis.endpoint].label} with 95 % intervals"

    def found(title: str, comparisons: Mapping[tuple[str, str], str]) -> str:
        return _of_parts(title, comparisons, answers, study.analysis, measured or names)

    of_part = of_each_part(tests)
    sentences = [_in_short(name, answers[name], of_part, study.analysis) for name in measured]
    sentences += [preliminary(waiting)] if waiting else []
    sentences += [
        found(f"What there was to gain over no attention, {points}", TO_GAIN),
        found("What the released unit gains", OF_THE_UNIT) + _channels(across, study.analysis, of_part),
        found("Against the fixed Gaussian", BESIDE_THE_GAUSSIAN),
    ]
    sentences += [f"**What was trained.** {_about(study, measured)}."] if measured else []
    count = f"{left:,} of the {len(study.runs()):,} planned trainings, among them " if left else ""
    return [*sentences, *([f"**Not measured yet.** {count}{_about(study, absent)}."] if absent else [])]


def details(
    study: Study, answers: Tables, names: Sequence[str], outside: Tables, tests: pd.DataFrame, across: pd.DataFrame
) -> list[str]:
    """Sentences in Markdown on what the `headline` hangs on; of those parts that have run.

    The rate that validation images choose, windows with the lesion anywhere, the frame around the unit, the
    normalisation, another test set, and a stricter test.

    Args:
        study, names, across: as of `headline`.
        tests: from `comparison.all_tests`.
        answers: also of `comparison.preferred`.
        outside: from `comparison.answers`, of the outside test set.
    """
    measured = [name for name in names if name in answers and name != OFF_CENTRE]
    of_part = of_each_part(tests)
    sentences = [
        *_at_chosen(study, answers, of_part),
        *(_off_centre(study, answers, of_part) if OFF_CENTRE in names and OFF_CENTRE in answers else []),
        *_frame(study, across, of_part),
        *_normalisation(study, answers, across, of_part),
    ]
    if seen := {name: table for name, table in outside.items() if name in measured}:
        title = f"On another test set, ISIC 2018 Task 3, in {METRICS[study.analysis.endpoint].label}"
        sentences.append(_of_parts(title, ELSEWHERE, seen, study.analysis, measured))
    if measured and measured[0] in of_part:
        sentences.append(_stricter(measured[0], {**answers, comparison.ACROSS: across}, of_part, study.analysis))
    return sentences


def melanoma(gains: pd.DataFrame, part: str) -> str:
    """A sentence in Markdown on what the arms of a part gain for melanoma. `gains`: `comparison.melanoma_table`."""
    rows = gains[(gains["part"] == part) & gains["arm"].isin(["released", "centre", *ORACLES])]
    said = (
        f"{ARMS[row.arm].title} {styling.interval(100 * row.gain, 100 * row.gain_low, 100 * row.gain_high)}"
        for row in rows.itertuples()
    )
    lead = f"**Melanoma.** Gain of its AUC in `{part}`, in points, the intervals without Holm's correction:"
    return f"{lead} {'; '.join(said)}."


def preliminary(unfinished: Sequence[str]) -> str:
    """A sentence in Markdown on parts that lack runs. `unfinished`: from `load.unfinished`."""
    return f"**Preliminary.** Finished runs: {', '.join(unfinished)}. Verdicts may change."


def of_each_part(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each part of a table with the column part, in their order; none of an empty one."""
    return dict(list(table.groupby("part", sort=False))) if len(table) else {}


def _of_parts(
    title: str, comparisons: Mapping[tuple[str, str], str], tables: Tables, analysis: Analysis, names: Sequence[str]
) -> str:
    """A sentence on what each of some comparisons found in the parts `names`, behind its words."""
    clauses = (f"{words} {_in_parts(tables, analysis, pair, names)}" for pair, words in comparisons.items())
    return f"**{title}.** {'; '.join(clauses)}."


def _channels(across: pd.DataFrame, analysis: Analysis, tests: Tables) -> str:
    """What the unit gains over no attention where it reads other channels, the parts `channels_*`; empty without."""
    if across.empty:
        return ""
    rows = across[across["arm"].str.startswith("channels_") & (across["metric"] == analysis.endpoint)]
    if rows.empty:
        return ""
    low, high = 100 * rows["difference"].min(), 100 * rows["difference"].max()
    better, found = rows[rows["verdict"] == BETTER], tests.get(comparison.ACROSS)
    sure = len(better) - len(_unconfirmed(_verdicts(better, analysis), found))
    lead = f" Where it reads three other channels, drawn by chance ({rows['seeds'].max()} seeds),"
    gain = f"{low:+.1f} to {high:+.1f}, better in {len(better)} of {len(rows)}"
    return f"{lead} it gains {gain}{f' (a stricter test confirms {sure} of these)' if found is not None else ''}."


def _frame(study: Study, across: pd.DataFrame, tests: Tables) -> list[str]:
    """What comes with the unit, and what it is worth untrained."""
    said = _measured(study, across, FRAME, tests.get(comparison.ACROSS))
    title = "**The frame of the unit, and the unit untrained.**"
    return [f"{title} {'; '.join(said)}."] if said else []


def _normalisation(study: Study, answers: Tables, across: pd.DataFrame, tests: Tables) -> list[str]:
    """What hangs on the normalisation that only the frozen networks of this study have."""
    said = _measured(study, across, NORM_REMOVED, tests.get(comparison.ACROSS))
    said += _measured(study, answers.get(NO_NORM), WITHOUT_NORM, tests.get(NO_NORM))
    title = "**The normalisation before the last layer** is ours: frozen networks have it here, released ones do not."
    return [f"{title} {'; '.join(said)}."] if said else []


def _at_chosen(study: Study, answers: Tables, tests: Tables) -> list[str]:
    """What is gained where each run is the one of several that its validation images prefer."""
    name = comparison.name_of_preferred(study.analysis)
    said = _measured(study, answers.get(name), ELSEWHERE, tests.get(name))
    *names, last = (f"`{name}`" for name in study.analysis.alternatives or ("",))
    title = f"**When validation images choose** for each run between {', '.join(names)} and {last}."
    return [f"{title} {'; '.join(said)}."] if said else []


def _off_centre(study: Study, answers: Tables, tests: Tables) -> list[str]:
    """What is gained where the middle tells little."""
    said = _measured(study, answers[OFF_CENTRE], ANYWHERE, tests.get(OFF_CENTRE))
    title = f"**Where the lesion is anywhere**, in windows of half of each side (`{OFF_CENTRE}`)."
    return [f"{title} {'; '.join(said)}."] if said else []


def _measured(
    study: Study, rows: pd.DataFrame | None, asked: Mapping[tuple[str, str], str], tests: pd.DataFrame | None
) -> list[str]:
    """What those of the comparisons `asked` that have run found, each behind its words.

    Those that the test over runs does not confirm say so; `tests`: its rows of this part.
    """
    if rows is None or rows.empty:
        return []
    ran = set(zip(rows["arm"], rows["reference"], strict=True))
    unsure = _unconfirmed(_verdicts(rows, study.analysis), tests)
    return [
        f"{words} {_in_parts({'': rows}, study.analysis, pair, [''])}{RESERVE if pair in unsure else ''}"
        for pair, words in asked.items()
        if pair in ran
    ]


def _in_short(name: str, rows: pd.DataFrame, tests: Tables, analysis: Analysis) -> str:
    """What the verdicts on one network in one part say, in one bold line without a number."""
    network = rows["backbone"].iloc[0]
    verdicts = _verdicts(rows[rows["backbone"] == network], analysis)
    unsure = _unconfirmed(verdicts, tests.get(name))
    reserve = {pair: RESERVE if pair in unsure else "" for pair in verdicts}
    helps = {verdict: text.format(margin=100 * analysis.margins[analysis.endpoint]) for verdict, text in HELPS.items()}
    said = [words.format(helps[verdicts[at]]) + reserve[at] for at, words in IN_SHORT.items() if at in verdicts]
    said += filter(None, [AGAINST_GAUSSIAN.get(verdicts.get(("released", "centre"), ""))])
    return f"**In short, for {BACKBONES[network].title} in the part `{name}`: {'; '.join(said) or 'nothing yet'}.**"


def _stricter(name: str, answers: Tables, tests: Tables, analysis: Analysis) -> str:
    """How many of the differences that the verdicts call better or worse stay clear by the test over runs."""
    verdicts = {part: _verdicts(answers[part], analysis) for part in tests if part in answers}
    unsure = {part: _unconfirmed(found, tests[part]) for part, found in verdicts.items()}
    decided = {part: sum(verdict in DECIDED for verdict in found.values()) for part, found in verdicts.items()}
    confirmed = {part: decided[part] - len(unsure[part]) for part in decided}
    text = f"confirms {confirmed[name]} of the {decided[name]} differences of `{name}` that are called better or worse"
    if unsure[name]:
        named = (f"{_title(arm)} against {_title(other)} (p = {p:.2f})" for (arm, other), p in unsure[name].items())
        text += f". It does not confirm: {', '.join(named)}"
    if others := sum(decided.values()) - decided[name]:
        text += (
            f". Elsewhere, where there are folds, it confirms {sum(confirmed.values()) - confirmed[name]} of {others}"
        )
    return f"**A stricter test**, the corrected t-test over runs, {text}."


def _verdicts(rows: pd.DataFrame, analysis: Analysis) -> dict[tuple[str, str], str]:
    """By arm and reference, by the endpoint."""
    rows = rows[rows["metric"] == analysis.endpoint]
    return {(row.arm, row.reference): row.verdict for row in rows.itertuples()}


def _unconfirmed(verdicts: Mapping[tuple[str, str], str], tests: pd.DataFrame | None) -> dict[tuple[str, str], float]:
    """The comparisons called better or worse that the test over runs does not find, with its corrected p-value.

    Where the test was not made, as there are no folds, none.
    """
    found = {} if tests is None else {(row.arm, row.reference): row.p_holm for row in tests.itertuples()}
    return {pair: p for pair, p in found.items() if verdicts.get(pair) in DECIDED and p >= CLEAR}


def _title(arm: str) -> str:
    return "no attention" if arm == BASELINE else ARMS[arm].title


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
    numbers = styling.points(row)
    if row.verdict == EQUIVALENT:
        return f"differs by less than {100 * row.margin:g} points, for these training images, {numbers}"
    if row.verdict == UNDECIDED:
        corrected = row.seeds > 1 and row.low * row.high > 0
        return f"is not shown to gain or lose{AFTER_HOLM * corrected}, {numbers}"
    small = f", perhaps less than {100 * row.margin:g} points" * (comparison.SIZE_OPEN in comparison.remarks(row))
    return f"{'gains' if row.difference > 0 else 'is worse,'} {numbers}{small}"
