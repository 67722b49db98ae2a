"""What a run writes into its folder, and the network read back from it."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from soft_attention import files, paths
from soft_attention.data.manifest import Dataset
from soft_attention.errors import StudyError
from soft_attention.files import named_if_damaged, write_json, write_table
from soft_attention.model.networks import learned_gamma
from soft_attention.study.config import PLAY, Run
from soft_attention.study.folder import changes, predictions_file, read_history

OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")  # set while git runs a hook, for a repository of its own
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

    It is this process's alone until `write_run`; another that wants it waits.

    Raises:
        StudyError: the folder holds a finished run, or one with other parameters. Neither is overwritten, except in
            the study `play`.
    """
    folder, file = run.folder, run.folder / "params.json"
    files.hold(folder)
    try:
        if file.exists() and (changed := changes(run, folder)):
            _empty_to_play(
                run, f"holds a run with other parameters ({changed}): remove it or give the study another name"
            )
        elif (folder / "metrics.json").exists():
            _empty_to_play(run, "holds this run, finished: remove it to train it again")
    except StudyError:
        files.let_go(folder)
        raise
    with files.atomic(file) as temporary:
        temporary.write_text(run.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return folder


def _empty_to_play(run: Run, problem: str) -> None:
    if run.study != PLAY:
        raise StudyError(f"{run.folder} {problem}")
    _empty(run.folder)


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
    write_json(folder / "metrics.json", metrics | {"gamma": learned_gamma(network)})
    for file in folder.glob("*.weights.h5"):
        file.unlink()
    files.let_go(folder)


def load_network(folder: Path) -> keras.Model:
    """The trained network of a finished run; StudyError if it is not there."""
    file = folder / "model.keras"
    if not file.exists():
        raise StudyError(f"{file} is not there (git keeps no networks): train one with the same settings in 02_train")
    with named_if_damaged(file, folder):
        return keras.saving.load_model(file, compile=False)


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
        **code(paths.ROOT),
        "source": dataset.source,
        "dataset_manifest": dataset.manifest_hash,
        "pixel_sha256": dataset.pixel_hashes,
        "split_manifest": split_hash,
        "weights": run.weights or "random",
        "scale": run.scale,
        "training_seconds": round(float(history["seconds"].sum()), 1),
        "peak_memory_mib": round(peak / 2**20),
    }


def code(root: Path) -> dict[str, str | bool | None]:
    """The commit of the project in `root`, and whether `lib/` or `notebooks/` differ from it; None where not known.

    A repository that the project was only unpacked into says nothing of its code.
    """
    top = _git(root, "rev-parse", "--show-toplevel")
    if top is None or not os.path.samefile(top, root):
        return {"git_commit": None, "git_changed": None}
    commit, changed = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain", "lib", "notebooks")
    return {"git_commit": commit, "git_changed": None if changed is None else bool(changed)}


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
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, without the line's end; None where it is missing or refuses."""
    surroundings = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=surroundings, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip("\n")
