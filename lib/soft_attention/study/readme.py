"""Writes the main result into the README from the runs that are kept: `python -m soft_attention.study.readme`."""

from soft_attention import paths
from soft_attention.study import records
from soft_attention.study.scores import LABELS
from soft_attention.vocabulary import ARMS

STUDY = "cpu"
SHOWN = ("balanced_accuracy", "accuracy", "weighted_precision", "macro_auc")
BEGIN, END = "<!-- main result: begin -->", "<!-- main result: end -->"


def main_result(study: str = STUDY) -> str:
    """The scores of every run of a study as a Markdown table, each with its interval and the scale of all."""
    runs = records.load_runs(study)
    runs = runs.sort_values("arm", key=lambda arms: arms.map(ARMS.index)).sort_values("dataset", kind="stable")
    lines = [
        f"| dataset | arm | {' | '.join(LABELS[name] for name in SHOWN)} |",
        f"|---|---|{'---|' * len(SHOWN)}",
        *(
            f"| {run.dataset} | {run.arm} | {' | '.join(_cell(run, name) for name in SHOWN)} |"
            for run in runs.itertuples()
        ),
        "",
        *(f"*{text}*" for text in _scales(runs)),
    ]
    return "\n".join(lines)


def replace_main_result(text: str, result: str) -> str:
    """`text` with `result` between the two marks; ValueError if a mark is missing."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"the README lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{result}\n{END}{after}"


def _cell(run, metric: str) -> str:
    low, high = run.intervals[metric]
    return f"{getattr(run, metric):.3f} ({low:.3f} to {high:.3f})"


def _scales(runs) -> list[str]:
    seeds = sorted(set(runs.seed))
    return [
        f"{dataset}: {part.backbone.iloc[0]}, {part.scale.iloc[0]}, protocol {protocol}, images: {images}, "
        f"{part.n_images.iloc[0]} test images, {len(part)} runs, seeds {seeds}."
        for (dataset, protocol, images), part in runs.groupby(["dataset", "protocol", "images"])
    ]


def main() -> None:
    readme = paths.ROOT / "README.md"
    text = replace_main_result(readme.read_text(), main_result())
    with paths.atomic(readme) as temporary:
        temporary.write_text(text)


if __name__ == "__main__":
    main()
