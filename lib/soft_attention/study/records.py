"""The run folder: what a run writes, and how the tables read it back."""

import platform
import resource
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from soft_attention import files, paths
from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.files import named_if_damaged, read_json, write_json, write_table
from soft_attention.model.networks import learned_scale
from soft_attention.study import scores
from soft_attention.study.config import Run, Study, changes
from soft_attention.vocabulary import CHOOSING

FILES = (
    "params.json",
    "history.csv",
    "model.keras",
    "predictions.parquet",
    "environment.json",
    "metrics.json",
)
PART = ("part", "dataset", "protocol")  # runs that have these in common belong into one table
PACKAGES = (
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "jax",
    "torch",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "pillow",
)


def open_run_folder(run: Run) -> Path:
    """The run's folder with its `params.json`, ready to train in or to resume.

    Raises:
        StudyError: the folder holds a finished run, or one with other parameters. Neither is overwritten, except in
            the smoke study, whose runs are there to be played with.
    """
    folder, file = run.folder, run.folder / "params.json"
    if file.exists() and (changed := changes(run, folder)):
        if run.study != "smoke":
            raise StudyError(
                f"{folder} holds a run with other parameters ({changed}): remove it or give the study another name"
            )
        _empty(folder)
    elif (folder / "metrics.json").exists():
        if run.study != "smoke":
            raise StudyError(f"{folder} holds this run, finished: remove it to train it again")
        _empty(folder)
    with files.atomic(file) as temporary:
        temporary.write_text(run.model_dump_json(indent=2) + "\n")
    return folder


def _empty(folder: Path) -> None:
    """Remove what a run left, but not what whoever executes its notebook now holds open: the lock, notebook and log."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".lock" and not path.name.startswith("notebook.failed."):
            path.unlink(missing_ok=True)


def write_run(
    run: Run,
    folder: Path,
    dataset: Dataset,
    split_hash: str,
    network: keras.Model,
    predictions: Mapping[str, pd.DataFrame],
    metrics: dict[str, Any],
) -> None:
    """Write what a trained run leaves, then `metrics.json`: the run is complete, and its checkpoints are removed.

    `predictions` holds a table for `test`, which becomes `predictions.parquet`, and for each other NAME one that
    becomes `predictions-NAME.parquet`.
    """
    with files.atomic(folder / "model.keras") as temporary:
        network.save(temporary)
    for name, table in predictions.items():
        write_table(folder / predictions_file(name), table)
    write_json(folder / "environment.json", environment(run, dataset, split_hash, read_history(folder)))
    write_json(folder / "metrics.json", metrics | {"gamma": learned_scale(network)})
    for file in folder.glob("*.weights.h5"):
        file.unlink()


def load_network(folder: Path) -> keras.Model:
    """The trained network of a finished run; StudyError if it is not there."""
    file = folder / "model.keras"
    if not file.exists():
        raise StudyError(f"{file} is not there (git keeps no networks): remove {folder} and train that run again")
    with named_if_damaged(file, folder):
        return keras.saving.load_model(file, compile=False)


def read_history(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "history.csv")


def predictions_file(name: str = "test") -> str:
    return "predictions.parquet" if name == "test" else f"predictions-{name}.parquet"


def environment(run: Run, dataset: Dataset, split_hash: str, history: pd.DataFrame) -> dict[str, Any]:
    """Where, with what and from what a run came: versions, hardware, code, data, time and memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "python": platform.python_version(),
        "backend": keras.backend.backend(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "devices": _devices(),
        "git_commit": _git("rev-parse", "HEAD"),
        "git_changed": bool(_git("status", "--porcelain", "--untracked-files=no", "lib", "notebooks")),
        "images": dataset.images,
        "dataset_manifest": dataset.manifest_hash,
        "pixel_sha256": dataset.pixel_hashes,
        "split_manifest": split_hash,
        "weights": run.weights or "random",
        "scale": run.scale,
        "training_seconds": round(float(history["seconds"].sum()), 1),
        "peak_memory_mib": round(peak / 2**20),
    }


def read_predictions(folder: Path, name: str = "test") -> pd.DataFrame:
    """One of a run's tables of predictions, as `write_run` named them; StudyError if it is missing or damaged."""
    file = folder / predictions_file(name)
    try:
        return _read_parquet(file, file.stat().st_mtime_ns).copy(deep=False)
    except Exception as error:
        raise StudyError(f"{file} is missing or damaged ({error}): run it again") from error


@lru_cache(maxsize=4096)
def _read_parquet(file: Path, changed: int) -> pd.DataFrame:
    """A summary asks for the same predictions about five times."""
    return pd.read_parquet(file)


def load_runs(plan: Study) -> pd.DataFrame:
    """One row per finished run of a study's file, in its order: its place in the grid, its scale, and its scores.

    The scores are recomputed from the predictions; of `metrics.json`, which marks that the run is finished, only the
    intervals and the learned scale are taken. Other runs in the study's folder do not count: `left_over` tells of them.

    Raises:
        StudyError: no run of the file is finished, or a file of one is missing or damaged.
    """
    rows = [_run_row(folder) for folder in _finished(plan)]
    if not rows:
        raise StudyError(f"there are no finished runs in {_root(plan)}: start them with ./run_all.sh {plan.name}")
    return pd.DataFrame(rows)


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
    planned = Counter(tuple(getattr(run, key) for key in PART) for run in plan.runs())
    of_part = {name: planned[tuple(runs[key].iloc[0] for key in PART)] for name, runs in parts.items()}
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
            losses = pd.DataFrame({"epoch": history["epoch"], "loss": history[f"{CHOOSING[run.protocol]}_loss"]})
            place = {"backbone": run.backbone, "arm": run.arm, "seed": run.seed, "fold": run.fold}
            histories.append(losses.assign(part=name, **place))
    return pd.concat(histories, ignore_index=True)


def load_attention(plan: Study) -> pd.DataFrame:
    """One row per run and way to look (column `map`) with the mean scores against lesion masks; may be empty.

    The runs are those of the study's file, in its order.

    Columns beside them: the place of the run, `images` and `folder`; for each quantile of `saliency.QUANTILES` the mean
    overlap with the lesion of the map cut there, `iou_0.5` and so on; and only for the attention itself `mean_map`,
    `head_correlation`, and `rank_unit` and `rank_network`, its correlation with that of random weights.
    """
    rows = []
    for folder in _finished(plan, "attention.json"):
        found = read_json(folder / "attention.json")
        place = _place(_run(folder)) | {name: found[name] for name in ("images", "perturbed_images")}
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


def _root(plan: Study) -> Path:
    return paths.RESULTS / plan.name / "runs"


def _finished(plan: Study, mark: str = "metrics.json") -> list[Path]:
    """The folders of a study's runs that hold the file which is written last, in the order of the study's file."""
    return [run.folder for run in plan.runs() if (run.folder / mark).exists()]


def _run(folder: Path) -> Run:
    return Run.check(read_json(folder / "params.json"), str(folder / "params.json"))


def _place(run: Run) -> dict[str, Any]:
    keys = ("study", "part", "dataset", "protocol", "backbone", "arm", "seed", "fold")
    return {key: getattr(run, key) for key in keys}


def _run_row(folder: Path) -> dict[str, Any]:
    run, facts, stored = _run(folder), read_json(folder / "environment.json"), read_json(folder / "metrics.json")
    found = {key: facts[key] for key in ("images", "training_seconds", "peak_memory_mib")}
    found |= {"scale": run.scale, "leak": run.leak, "external": run.external_test, "split_folds": run.split_folds}
    found |= {"folder": folder, "intervals": stored["intervals"], "gamma": stored.get("gamma")}
    return _place(run) | found | scores.score(read_predictions(folder), stored["classes"])


def _devices() -> list[str]:
    if keras.backend.backend() == "torch":  # for which Keras lists none
        import torch

        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] or ["cpu"]
    return [str(device) for device in keras.distribution.list_devices()]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except Exception:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=paths.ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
