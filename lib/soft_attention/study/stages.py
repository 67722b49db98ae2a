"""The stages of a study. Each executes one notebook by papermill with the parameters of a study file.

From the shell, as the Snakefile does:

    python -m soft_attention.study.stages data STUDY DATASET
    python -m soft_attention.study.stages train STUDY RUN
    python -m soft_attention.study.stages attention STUDY RUN
    python -m soft_attention.study.stages summary STUDY
    python -m soft_attention.study.stages plan STUDY

STUDY is a name in `params/`; RUN is a run's folder below `results/STUDY/runs`.
"""

import argparse
import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from traitlets.config import Config

from soft_attention import files, paths, progress
from soft_attention.data.fetch.download import is_url
from soft_attention.errors import StudyError, WrongValue, known
from soft_attention.quiet import stderr_to
from soft_attention.study.config import PLAY, Run, Study
from soft_attention.study.data_record import is_recorded, record_file
from soft_attention.study.page import html_page
from soft_attention.study.plan import images_in, plan_text

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OURS = (StudyError.__name__, WrongValue.__name__)  # their messages are sentences for people
LEFT_BY_A_KILL = (".????????-*", "*.weights.h5", "notebook.failed.*")  # beside a finished run: of no more use


class OwnKernel(AsyncKernelManager):
    """A kernel of this very interpreter, whatever else a machine calls `python3`."""

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


def execute(notebook: Path, output: Path, parameters: dict[str, Any], name: str) -> None:
    """Execute `notebook` with `parameters` and keep the executed copy as `output`.

    Raises:
        StudyError: a parameter that the notebook does not have, or a cell that failed; the executed notebook with
            the error in it is then kept as `OUTPUT.failed.ipynb`, which the message names.
    """
    unknown = parameters.keys() - papermill.inspect_notebook(str(notebook)).keys()
    if unknown:
        raise StudyError(
            f"{notebook.name} has no parameter {', '.join(sorted(unknown))}: see its cell tagged parameters"
        )
    failed = output.with_suffix(".failed.ipynb")
    log = failed.with_suffix(".log")
    with files.writing(failed):
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.unlink(missing_ok=True)
        _show_progress(name)
        try:
            with stderr_to(log):  # TensorFlow's banners, crashes
                _papermill(notebook, failed, parameters)
        except papermill.PapermillExecutionError as error:
            kind = "" if error.ename in OURS else f"{error.ename}: "
            raise StudyError(
                f"{name} failed: {kind}{error.evalue}{_disks(error.evalue)}\n  the notebook with the error: {failed}"
            ) from None
        except DeadKernelError:
            raise StudyError(f"{name} failed: {_last_words(log)}\n  the notebook so far: {failed}") from None
        log.unlink(missing_ok=True)
        os.replace(failed, output)


def data(study: Study, dataset: str) -> None:
    """Get, verify, decode and split one dataset: `results/STUDY/data/DATASET.json`.

    Nothing is done if that record is there and holds every split of the study.
    """
    runs = [run for run in study.runs() if run.dataset == dataset]
    if not runs:
        raise StudyError(f"the study {study.name} has no runs on {dataset!r}")
    if is_recorded(study, dataset):
        return
    splits = [dict(split) for split in dict.fromkeys(run.split for run in runs)]
    parameters = {
        "study": study.name,
        "dataset": dataset,
        "splits": splits,
        "image_sizes": sorted({run.size for run in runs}),
    }
    output = record_file(study.name, dataset).with_suffix(".ipynb")
    execute(paths.NOTEBOOKS / "01_data.ipynb", output, parameters, f"{study.name}/data/{output.stem}")


def train(run: Run) -> None:
    """Train, predict and score one run: everything in its folder but the attention scores.

    A second process that is asked for the same run waits, and finds it finished.
    """
    with files.one_at_a_time(run.folder):
        if not (run.folder / "metrics.json").exists():
            notebook = paths.NOTEBOOKS / "02_train.ipynb"
            execute(notebook, run.folder / "notebook.ipynb", run.model_dump(), f"{run.study}/{run.id}")
        _tidy(run)


def attention(study: Study, run: Run) -> None:
    """Draw and score the attention of one finished run: `attention.json` and `attention/` in its folder."""
    parameters = {"study": run.study, "run": run.id, "perturbed_images": study.analysis.perturbed_images}
    output = run.folder / "attention.ipynb"
    execute(paths.NOTEBOOKS / "03_attention.ipynb", output, parameters, f"{run.study}/{run.id} attention")


def summary(study: Study) -> Path:
    """Make the tables of a study from its run folders, and the report, one self-contained HTML page."""
    for run in study.runs():
        _tidy(run)
    folder = paths.RESULTS / study.name
    notebook = folder / "summary" / "summary.ipynb"
    execute(paths.NOTEBOOKS / "06_summary.ipynb", notebook, {"study": study.name}, f"{study.name}/summary")
    report = folder / "report.html"
    with files.atomic(report) as temporary:
        temporary.write_text(html_page(notebook), encoding="utf-8")
    return report


def ensure_run(run: Run) -> Path:
    """The folder of a finished run; one of the studies smoke and play is made on the spot if it is not there.

    Raises:
        StudyError: a run of another study is not finished.
    """
    if not (run.folder / "metrics.json").exists():
        if run.study not in ("smoke", PLAY):
            raise StudyError(f"the run {run.study}/{run.id} is not finished: ./run_all.sh {run.study}")
        train(run)
    return run.folder


def find_run(study: Study, run_id: str) -> Run:
    """The run of a study with this id; WrongValue with the nearest id if there is none."""
    runs = {run.id: run for run in study.runs()}
    return runs[known(run_id, runs, f"run of the study {study.name}")]


def _papermill(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    # Sockets in a folder of its own: kernels that start at the same moment would race for free ports.
    with files.scratch("kernel-", longest=80) as folder:  # a socket's path has 103 bytes at most
        kernel = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters,
            kernel_name="python3",
            progress_bar=False,
            log_output=True,
            kernel_manager_class=OwnKernel,
            config=Config(KernelManager=kernel),
        )


def _tidy(run: Run) -> None:
    """Remove from the folder of a finished run what killed attempts at it left."""
    if (run.folder / "metrics.json").exists():
        for stale in [file for pattern in LEFT_BY_A_KILL for file in run.folder.glob(pattern)]:
            stale.unlink(missing_ok=True)


def _last_words(log: Path) -> str:
    """Why a kernel died, as far as it could say: the last line of its log. An empty log is removed."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    if words := [line for line in lines if line.strip()]:
        return f"its process died; its last words, of {log}: {words[-1].strip()}"
    log.unlink(missing_ok=True)
    return "its process was killed from outside, by a person or, most often, because memory ran out"


def _disks(error: str) -> str:
    """How full the study's disks are, if an error says that one is: where it says so, it seldom says which."""
    if "No space left" not in error and "quota" not in error:
        return ""
    folders = (paths.RESULTS, paths.data_dir())
    return "".join(f"\n  free on the disk of {folder}: {files.free(folder)}" for folder in folders)


def _show_progress(name: str) -> None:
    """Print what a running notebook marks for the terminal, under the name of the run."""

    class Progress(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in progress.marked(record.getMessage()):
                print(f"[{name}] {line}", flush=True)

    logger = logging.getLogger("papermill")
    logger.handlers = [Progress()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def _end_on_signals() -> None:
    """Let a signal to end unwind this process, so that it ends its kernel and removes its sockets."""

    def end(number, frame):
        for each in ENDING:
            signal.signal(each, signal.SIG_IGN)
        logging.getLogger("asyncio").disabled = True  # of tasks whose kernel dies it would print tracebacks
        sys.exit(128 + number)

    for each in ENDING:
        signal.signal(each, end)


def _plan(study: Study) -> int:
    print(plan_text(study))
    folder = paths.data_mirror()
    if not folder or is_url(folder):  # to look into one on the network is to download it
        return 0
    will_do, said = images_in(study, folder)
    if said:
        print(f"\nin {folder}:\n{said}")
    return int(not will_do)


def _failed(why: str) -> int:
    """Say why a stage failed: at once, and in the file FAILURES for whoever called it and many others."""
    print(f"error: {why}", file=sys.stderr)
    if file := os.environ.get("FAILURES"):
        with suppress(OSError), open(file, "a", encoding="utf-8") as failures:
            failures.write(f"{why}\n")
    return 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="execute one stage of a study")
    parser.add_argument("stage", choices=("data", "train", "attention", "summary", "plan"))
    parser.add_argument("study")
    parser.add_argument("what", nargs="?", help="the dataset, or the run's folder below results/STUDY/runs")
    options = parser.parse_args(arguments)
    _end_on_signals()
    try:
        study = Study.load(options.study)
        if options.stage == "data":
            data(study, options.what)
        elif options.stage == "plan":
            return _plan(study)
        elif options.stage == "summary":
            print(f"report: {summary(study)}")
        elif options.stage == "train":
            run = find_run(study, options.what)
            if not is_recorded(study, run.dataset):
                raise StudyError(f"{study.name} lacks a record of splits of {run.dataset}: ./run_all.sh {study.name}")
            train(run)
        else:
            attention(study, find_run(study, options.what))
    except (StudyError, ValueError) as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or options.study}: {error.strerror or error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
