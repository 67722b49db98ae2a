"""The run folders of a study, read into tables."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from soft_attention import paths
from soft_attention.errors import StudyError
from soft_attention.evaluation.metrics import score
from soft_attention.files import read_json
from soft_attention.report.remembered import remembered
from soft_attention.study.config import Run, Study
from soft_attention.study.folder import read_history, read_predictions
from soft_attention.vocabulary import PROTOCOLS

PART = ("part", "dataset", "protocol")  # runs that have these in common belong into one table


def load_runs(plan: Study) -> pd.DataFrame:
    """One row per finished run of a study's file, in its order: its place in the grid, its scale, and its scores.

    The scores are recomputed from the predictions; of `metrics.json`, which marks that the run is finished, only the
    intervals and the learned scale are taken. Other runs in the study's folder do not count: `left_over` tells of them.

    Raises:
        StudyError: no run of the file is finished, a file of one is missing or damaged, or runs saw other pixels of
            one dataset under the same names.
    """
    rows, folds = [_run_row(folder) for folder in _finished(plan)], defaultdict(set)
    for run in plan.runs():
        folds[_part(_place(run))].add(run.fold)
    if not rows:
        raise StudyError(f"there are no finished runs in {_root(plan)}: start them with ./run_all.sh {plan.name}")
    _check_pixels(rows)
    return pd.DataFrame([row | {"planned_folds": len(folds[_part(row)])} for row in rows])


def scores(folder: Path, classes: Sequence[str], name: str = "test") -> dict[str, Any]:
    """`metrics.score` of one of a run's tables of predictions, `remembered`."""
    return remembered(_scores, folder, name, list(classes))


def left_over(plan: Study) -> str:
    """A sentence on the finished runs in a study's folder that its file does not have (any more); empty if none."""
    others = {file.parent for file in _root(plan).glob("**/metrics.json")}.difference(_finished(plan))
    if not others:
        return ""
    first = min(others).relative_to(_root(plan)).as_posix()
    return f"Finished, but not in the study's file and not counted: {len(others)} ({first}, ...)."


def by_part(runs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The runs of each part, dataset and protocol, which belong into one table, by a name for it."""
    keys = list(PART)
    several = runs[keys].drop_duplicates()["part"].value_counts()
    return {
        part if part and several[part] == 1 else "-".join(filter(None, (part, Path(dataset).name, protocol))): rows
        for (part, dataset, protocol), rows in runs.groupby(keys, sort=False)
    }


def unfinished(plan: Study, parts: Mapping[str, pd.DataFrame]) -> list[str]:
    """Which of `parts`, from `by_part`, lack runs of the plan, so that their verdicts may change: `NAME 3 of 20`."""
    planned = Counter(_part(_place(run)) for run in plan.runs())
    of_part = {name: planned[_part(runs.iloc[0])] for name, runs in parts.items()}
    return [f"{name} {len(runs)} of {of_part[name]}" for name, runs in parts.items() if len(runs) < of_part[name]]


def named(table: pd.DataFrame) -> pd.DataFrame:
    """A table of runs with the names of `by_part` in its column part."""
    return pd.concat([rows.assign(part=name) for name, rows in by_part(table).items()]) if len(table) else table


def load_losses(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The loss of the images that choose the epoch, a row per run and epoch, of `parts` from `by_part`.

    Columns: part, backbone, arm, seed, fold, epoch, loss.
    """
    histories = []
    for name, part in parts.items():
        for run in part.itertuples():
            history = read_history(run.folder)
            loss = history[f"{PROTOCOLS[run.protocol].chooses}_loss"]
            losses = pd.DataFrame({"epoch": history["epoch"], "loss": loss})
            place = {"backbone": run.backbone, "arm": run.arm, "seed": run.seed, "fold": run.fold}
            histories.append(losses.assign(part=name, **place))
    return pd.concat(histories, ignore_index=True)


def load_attention(plan: Study) -> pd.DataFrame:
    """One row per run and kind of map (column `map`) with the mean scores against lesion masks; may be empty.

    The runs are those of the study's file, in its order.

    Columns beside them: the place of the run, `images` and `folder`; for each quantile of `saliency.QUANTILES` the mean
    overlap with the lesion of the map cut there, `iou_0.5` and so on; and only for the attention itself `mean_map`,
    `head_correlation`, and `rank_unit` and `rank_network`, its correlation with that of random weights.
    """
    rows = []
    for folder in _finished(plan, "attention.json"):
        found = read_json(folder / "attention.json")
        place = _place(Run.read(folder / "params.json")) | {
            name: found[name] for name in ("source", "perturbed_images")
        }
        place["folder"] = folder
        ranks = {f"rank_{name}": value for name, value in found["rank_correlation_with_random"].items()}
        of_attention = ranks | {"head_correlation": found["head_correlation"], "mean_map": np.array(found["mean_map"])}
        for name in found["scores"] | found["perturbations"]:
            measured = found["scores"].get(name, {}) | found["perturbations"].get(name, {})
            measured |= {f"iou_{quantile}": iou for quantile, iou in found["iou_curve"].get(name, {}).items()}
            rows.append(place | {"map": name} | measured | (of_attention if name == "attention" else {}))
    return pd.DataFrame(rows)


def load_environments(plan: Study) -> pd.DataFrame:
    """Processor, system, versions and code of the finished runs, one row per different one, with its number of runs."""
    rows = []
    for folder in _finished(plan):
        found = read_json(folder / "environment.json")
        versions = ", ".join(f"{name} {number}" for name, number in found["packages"].items())
        rows.append(
            {key: found[key] for key in ("processor", "platform", "backend", "git_commit")} | {"versions": versions}
        )
    table = pd.DataFrame(rows)
    return table.groupby(list(table.columns), as_index=False, dropna=False).size().rename(columns={"size": "runs"})


def _scores(folder: Path, name: str, classes: Sequence[str]) -> dict[str, Any]:
    return score(read_predictions(folder, name), classes)


def _root(plan: Study) -> Path:
    return paths.RESULTS / plan.name / "runs"


def _finished(plan: Study, mark: str = "metrics.json") -> list[Path]:
    """The folders of a study's runs that hold the file which is written last, in the order of the study's file."""
    return [run.folder for run in plan.runs() if (run.folder / mark).exists()]


def _check_pixels(rows: list[dict[str, Any]]) -> None:
    """StudyError if two runs on one dataset say that they saw other pixels; older runs say nothing of them."""
    first: dict[str, tuple[str, Path]] = {}
    for row in rows:
        pixels = (read_json(row["folder"] / "environment.json").get("pixel_sha256") or {}).get("images")
        seen, folder = first.setdefault(row["dataset"], (pixels, row["folder"])) if pixels else (None, None)
        if seen != pixels:
            raise StudyError(
                f"{folder} and {row['folder']} were made with other pixels of {row['dataset']} under the same names "
                "and cannot be compared: remove the one whose images are no longer there"
            )


def _part(place: Mapping[str, Any]) -> tuple:
    return tuple(place[key] for key in PART)


def _place(run: Run) -> dict[str, Any]:
    keys = ("study", "part", "dataset", "protocol", "backbone", "arm", "seed", "fold")
    return {key: getattr(run, key) for key in keys}


def _run_row(folder: Path) -> dict[str, Any]:
    run, facts, stored = (
        Run.read(folder / "params.json"),
        read_json(folder / "environment.json"),
        read_json(folder / "metrics.json"),
    )
    found = {key: facts[key] for key in ("source", "training_seconds", "peak_memory_mib")}
    found |= {"scale": run.scale, "leak": run.leak, "external": run.external_test, "split_folds": run.split_folds}
    found |= {"folder": folder, "intervals": stored["intervals"], "gamma": stored.get("gamma")}
    return _place(run) | found | scores(folder, stored["classes"])
