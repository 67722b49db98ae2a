"""The paper's tables: the published numbers beside ours.

`runs` is everywhere the table of finished runs (`load.load_runs`): one row per run with study,
part, dataset, protocol, backbone, arm, seed, fold and its scores. A table takes the runs of one study,
part, dataset and protocol: others do not belong into one mean.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from soft_attention.data.catalog import CATALOG, SEVEN_CLASSES
from soft_attention.evaluation.metrics import in_table, of_majority
from soft_attention.evaluation.paired_tests import wilson
from soft_attention.published import published
from soft_attention.vocabulary import ARMS, BACKBONES, PROTOCOLS

PUBLISHED_METRICS = ("weighted_precision", "weighted_auc", "accuracy", "macro_recall")  # in the paper's tables
CLASS_METRICS = ("precision", "recall", "auc")
NO_BACKBONE = "none"  # a model that always predicts the most frequent class
TASK_METRICS = ("auc", "accuracy", "sensitivity", "specificity")


# --- published numbers ----------------------------------------------------------------------------


def published_networks() -> pd.DataFrame:
    """The ten networks on HAM10000; accuracy_low and _high are the accuracy's 95 % Wilson interval."""
    table = published("networks")
    table["accuracy_low"], table["accuracy_high"] = wilson(table["correct"], table["test_images"])
    return table


def comparison_note(dataset: str, protocol: str, leak: bool = False) -> str:
    """One sentence for a caption: how far the published columns can be compared with ours."""
    if dataset not in CATALOG:
        return f"Nothing is published for {dataset}."
    ours = "are others, of lesions that were trained on" if leak else PROTOCOLS[protocol].ours
    return CATALOG[dataset].published.format(ours=ours)


# --- beside ours ----------------------------------------------------------------------------------


def overview(runs: pd.DataFrame) -> pd.DataFrame:
    """Backbones, arms and runs of each dataset, protocol and scale, and the images tested per run (mean)."""
    keys = ["part", "dataset", "protocol", "source", "scale"]
    counts = {"backbones": ("backbone", "nunique"), "arms": ("arm", "nunique"), "runs": ("seed", "size")}
    table = runs.groupby(keys, as_index=False, sort=False).agg(**counts, test_images=("n_images", "mean"))
    return table.assign(test_images=table["test_images"].round().astype(int))


def interval_points(runs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row per run for an interval plot: name, arm, value, low, high; named by seed and fold where they differ."""
    several = runs[["seed", "fold"]].drop_duplicates().shape[0] > 1
    place = ", seed " + runs["seed"].astype(str) + ", fold " + runs["fold"].astype(str) if several else ""
    table = pd.DataFrame(
        {
            "name": runs["dataset"] + ", " + runs["backbone"] + place,
            "backbone": runs["backbone"],
            "arm": runs["arm"],
            "value": runs[metric],
            "low": [found[metric][0] for found in runs["intervals"]],
            "high": [found[metric][1] for found in runs["intervals"]],
        }
    )
    return ordered(table).sort_values("name", kind="stable", ignore_index=True)


def networks_table(runs: pd.DataFrame) -> pd.DataFrame:
    """The paper's network table: one row per backbone and arm that was run, with what is published for it.

    Columns: backbone, arm, runs (how many, over seeds and folds), images (tested per run, mean),
    and for every metric our mean over the runs and, as `published_...`, the published value.
    Balanced accuracy is not published; where every class occurs, as in the published test set, it
    equals macro recall. The last row, of no network, is always to predict the most frequent class.
    """
    keys, metrics = ["backbone", "arm"], in_table("networks")
    theirs = _applicable(published_networks(), _dataset(runs))[[*keys, *PUBLISHED_METRICS]]
    means = _means(runs, keys, ["n_images", *metrics]).rename(columns={"n_images": "images"})
    table = _beside(means, theirs, keys, metrics)
    always = _majority([{name: each["support"] for name, each in classes.items()} for classes in runs["per_class"]])
    if len(theirs):
        always |= {f"published_{name}": value for name, value in published_majority().items()}
    return _whole(pd.concat([table, pd.DataFrame([always]).reindex(columns=table.columns)], ignore_index=True))


def unpublished(networks: pd.DataFrame) -> list[str]:
    """The columns of `networks_table`, of one part or several, that hold a published value of none of its networks."""
    columns = [name for name in networks if name.startswith("published_")]
    return [name for name in columns if networks.loc[networks["backbone"] != NO_BACKBONE, name].isna().all()]


def repeated_majority(networks: pd.DataFrame) -> list[int]:
    """The rows of `networks_table`, of several parts, that predict the same majority as a row of an earlier part."""
    majority = networks[networks["backbone"] == NO_BACKBONE].drop(columns="part", errors="ignore")
    return majority.index[majority.duplicated()].tolist()


def published_majority() -> dict[str, float | str]:
    """The row of `published_networks` for always predicting the most frequent class of the published test set."""
    classes = published("per_class").drop_duplicates("class").set_index("class")["test_images"]
    row = _majority([classes.to_dict()])
    return row | {"correct": round(row["accuracy"] * row["images"]), "test_images": row["images"]}


def _majority(supports: Sequence[Mapping[str, int]]) -> dict[str, float | str]:
    """Backbone and arm as words, images, and the metrics; means over test sets that are given by their `supports`."""
    found = [of_majority(support) for support in supports]
    images = sum(sum(support.values()) for support in supports) / len(supports)
    scores = pd.DataFrame([scores for _, scores in found]).mean().to_dict()
    return {"backbone": NO_BACKBONE, "arm": f"always {found[0][0]}", "images": images} | scores


def per_class_table(runs: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and AUC of each class: our mean over the runs, and the published value.

    Ours are read from the column `per_class`. A class that a run did not test has no AUC; the mean
    is over the runs that have one.
    """
    keys = ["backbone", "arm", "class"]
    theirs = _applicable(published("per_class"), _dataset(runs))[[*keys, *CLASS_METRICS]]
    means = _means(_expand(runs, "per_class", "class"), keys, ["support", *CLASS_METRICS])
    return _beside(means, theirs, keys, CLASS_METRICS)


def isic2017_table(runs: pd.DataFrame) -> pd.DataFrame:
    """AUC, accuracy, sensitivity and specificity of each ISIC-2017 task: our mean over the runs.

    Ours are read from the column `tasks`. Below them stands what is published: two sensitivities
    that no source at hand ties to a task (task "not stated").
    """
    _dataset(runs)
    means = _means(_expand(runs, "tasks", "task"), ["backbone", "arm", "task"], TASK_METRICS)
    claims = published("claims").query("dataset == 'isic2017' and metric == 'sensitivity'")
    theirs = claims[["backbone", "arm"]].assign(
        source="published, " + claims["confidence"], task="not stated", sensitivity=claims["value"]
    )
    table = pd.concat([ordered(means).assign(source="ours"), theirs], ignore_index=True)
    return _whole(table)[["source", "backbone", "arm", "task", "runs", *TASK_METRICS]]


def attention_gain(runs: pd.DataFrame, reference: str = "baseline") -> pd.DataFrame:
    """What an arm adds to the `reference` arm of the same backbone, seed and fold, on average.

    Columns: backbone, arm, pairs (runs that have their partner; the others do not count), and for
    every metric the mean paired difference `..._gain` and, against the baseline,
    `published_..._gain`, which rests on one pair of trainings.
    """
    keys, metrics = ["backbone", "arm"], in_table("networks")
    theirs = _applicable(published_networks(), _dataset(runs))
    known_gains = _differences(theirs, ["backbone"], PUBLISHED_METRICS, reference)
    ours = _differences(runs, ["backbone", "seed", "fold"], metrics, reference)
    gains = _means(ours, keys, metrics).rename(columns={"runs": "pairs"})
    table = _beside(gains, known_gains, keys, metrics)
    return table.rename(columns=lambda name: f"{name}_gain" if name.endswith(metrics) else name)


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Sorted by backbone and arm, as the study lists them, then by class or task."""
    rank = {name: place for place, name in enumerate((*BACKBONES, *ARMS))}
    keys = [name for name in ("backbone", "arm", "class", "task") if name in table]
    return table.sort_values(keys, key=lambda names: names.map(lambda name: rank.get(name, name)), ignore_index=True)


def _dataset(runs: pd.DataFrame) -> str:
    """The dataset of the runs, once sure that they are of one study, dataset and protocol."""
    for column in ("study", "part", "dataset", "protocol"):
        values = runs[column].unique()
        if len(values) != 1:
            raise ValueError(f"a table takes the runs of one {column}, these are of {', '.join(sorted(values))}")
    return runs["dataset"].iloc[0]


def _applicable(theirs: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The published rows for a dataset of their seven classes, none for another one."""
    return theirs if dataset in CATALOG and CATALOG[dataset].classes == SEVEN_CLASSES else theirs[:0]


def _means(runs: pd.DataFrame, keys: list[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Mean of the metrics and the number of runs per key."""
    groups = runs.groupby(keys)
    means = groups[list(metrics)].mean()
    means.insert(0, "runs", groups.size())
    return means.reset_index()


def _expand(runs: pd.DataFrame, column: str, name: str) -> pd.DataFrame:
    """The nested scores in `column`, one row per run and entry: backbone, arm, entry, its scores."""
    if column not in runs:
        raise ValueError(f"these runs have no scores by {name}: their column {column} is missing")
    rows = [
        {"backbone": run.backbone, "arm": run.arm, name: entry, **scores}
        for run in runs.itertuples()
        for entry, scores in getattr(run, column).items()
    ]
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(table.columns[3:], float))  # a missing AUC is None until here


def _beside(ours: pd.DataFrame, theirs: pd.DataFrame, keys: list[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Ours with the published row of the same `keys` if there is one, each metric followed by its published column."""
    theirs = theirs.rename(columns={metric: f"published_{metric}" for metric in metrics})
    table = ours.merge(theirs, on=keys, how="left")
    pairs = [name for metric in metrics for name in (metric, f"published_{metric}") if name in table]
    rest = [name for name in ours if name not in metrics]
    return _whole(ordered(table[[*rest, *pairs]]))


def _whole(table: pd.DataFrame) -> pd.DataFrame:
    """Counts as integers, also beside missing ones."""
    counts = [name for name in ("runs", "images", "pairs", "support") if name in table]
    return table.assign(**{name: table[name].round().astype("Int64") for name in counts})


def _differences(table: pd.DataFrame, keys: list[str], metrics: Sequence[str], reference: str) -> pd.DataFrame:
    """Every other arm minus the reference arm with the same keys; rows without a partner are left out."""
    repeated = table[table.duplicated([*keys, "arm"])]
    if not repeated.empty:
        place = ", ".join(f"{key} {repeated[key].iloc[0]}" for key in [*keys, "arm"])
        raise ValueError(f"two runs stand in the same place of the grid: {place}")
    table = table[[*keys, "arm", *metrics]]
    base, others = table[table["arm"] == reference], table[table["arm"] != reference]
    pairs = others.merge(base.drop(columns="arm"), on=keys, suffixes=("", "_of_reference"))
    for metric in metrics:
        pairs[metric] -= pairs.pop(f"{metric}_of_reference")
    return pairs
