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
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from traitlets.config import Config

from soft_attention import files, paths
from soft_attention.errors import StudyError, known
from soft_attention.quiet import stderr_to
from soft_attention.study.config import Run, Study
from soft_attention.study.data_record import record_file, recorded_splits
from soft_attention.study.page import contents, shown
from soft_attention.study.plan import plan_text

PAGE = """\
{%- extends "lab/index.html.j2" -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<style>
body.jp-Notebook { max-width: 70rem; margin: 0 auto; }
.jp-RenderedHTMLCommon :is(td, th) { text-align: right; vertical-align: top; padding: 0.3em 0.5em; }
.jp-RenderedHTMLCommon :is(td, th).text, .jp-RenderedMarkdown :is(td, th) { text-align: left; }
</style>
{%- endblock -%}
"""
SHOWN = ("epoch ", "resumed ", "restarted: ")


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
    failed.parent.mkdir(parents=True, exist_ok=True)
    failed.unlink(missing_ok=True)
    _show_progress(name)
    log = failed.with_suffix(".log")
    try:
        with stderr_to(log):  # TensorFlow's banners, crashes
            _papermill(notebook, failed, parameters)
    except papermill.PapermillExecutionError as error:
        raise StudyError(
            f"{name} failed: {error.ename}: {error.evalue}\n  the notebook with the error: {failed}"
        ) from None
    except Exception as error:  # the kernel died: out of memory, a crash in native code
        raise StudyError(f"{name} failed: {error}\n  the notebook so far: {failed}, its last words: {log}") from error
    log.unlink(missing_ok=True)
    os.replace(failed, output)


def data(study: Study, dataset: str) -> None:
    """Get, verify, decode and split one dataset: `results/STUDY/data/DATASET.json`.

    Nothing is done if that record is there and holds every split of the study.
    """
    runs = [run for run in study.runs() if run.dataset == dataset]
    if not runs:
        raise StudyError(f"the study {study.name} has no runs on {dataset!r}")
    splits = [dict(split) for split in dict.fromkeys(run.split for run in runs)]
    recorded = [audit.get("split") for audit in recorded_splits(study.name, dataset)]
    if all(split in recorded for split in splits):
        return
    parameters = {
        "study": study.name,
        "dataset": dataset,
        "splits": splits,
        "image_sizes": sorted({run.size for run in runs}),
    }
    output = record_file(study.name, dataset).with_suffix(".ipynb")
    execute(paths.NOTEBOOKS / "01_data.ipynb", output, parameters, f"{study.name}/data/{dataset}")


def train(run: Run) -> None:
    """Train, predict and score one run: everything in its folder but the attention scores.

    A second process that is asked for the same run waits, and finds it finished.
    """
    with files.one_at_a_time(run.folder):
        if not (run.folder / "metrics.json").exists():
            notebook = paths.NOTEBOOKS / "02_train.ipynb"
            execute(notebook, run.folder / "notebook.ipynb", run.model_dump(), f"{run.study}/{run.id}")


def attention(study: Study, run: Run) -> None:
    """Draw and score the attention of one finished run: `attention.json` and `attention/` in its folder."""
    parameters = {"study": run.study, "run": run.id, "perturbed_images": study.analysis.perturbed_images}
    output = run.folder / "attention.ipynb"
    execute(paths.NOTEBOOKS / "03_attention.ipynb", output, parameters, f"{run.study}/{run.id} attention")


def summary(study: Study) -> Path:
    """Make the tables of a study from its run folders, and the report, one self-contained HTML page."""
    folder = paths.RESULTS / study.name
    notebook = folder / "summary" / "summary.ipynb"
    execute(paths.NOTEBOOKS / "06_summary.ipynb", notebook, {"study": study.name}, f"{study.name}/summary")
    report = folder / "report.html"
    with files.atomic(report) as temporary:
        temporary.write_text(html_page(notebook))
    return report


def html_page(notebook: Path) -> str:
    """A notebook as one HTML page without code, that needs no network: figures are embedded, no scripts are linked."""
    exporter = HTMLExporter(
        raw_template=PAGE,
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
    )
    content = nbformat.read(notebook, as_version=4)
    content.cells = shown(content.cells)
    content.cells.insert(1, nbformat.v4.new_markdown_cell(contents(content.cells), id="contents"))
    return exporter.from_notebook_node(content, {"metadata": {"name": content.metadata.get("title", notebook.stem)}})[0]


def ensure_run(run: Run) -> Path:
    """The folder of a finished run; a missing run of the smoke study is made on the spot, any other is an error."""
    if not (run.folder / "metrics.json").exists():
        if run.study != "smoke":
            raise StudyError(f"the run {run.study}/{run.id} is not finished: ./run_all.sh {run.study}")
        train(run)
    return run.folder


def find_run(study: Study, run_id: str) -> Run:
    """The run of a study with this id; ValueError with the nearest id if there is none."""
    runs = {run.id: run for run in study.runs()}
    return runs[known(run_id, runs, f"run of the study {study.name}")]


def _papermill(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    # Sockets in a folder of its own: kernels that start at the same moment would race for free ports.
    with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
        papermill.execute_notebook(
            str(notebook),
            str(output),
            parameters,
            kernel_name="python3",
            progress_bar=False,
            log_output=True,
            config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/socket"}),
        )


def _show_progress(name: str) -> None:
    """Print the lines of a running notebook that tell its progress, under the name of the run."""

    class Progress(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in record.getMessage().splitlines():
                if line.startswith(SHOWN):
                    print(f"[{name}] {line}", flush=True)

    logger = logging.getLogger("papermill")
    logger.handlers = [Progress()]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="execute one stage of a study")
    parser.add_argument("stage", choices=("data", "train", "attention", "summary", "plan"))
    parser.add_argument("study")
    parser.add_argument("what", nargs="?", help="the dataset, or the run's folder below results/STUDY/runs")
    options = parser.parse_args(arguments)
    try:
        study = Study.load(options.study)
        if options.stage == "data":
            data(study, options.what)
        elif options.stage == "plan":
            print(plan_text(study))
        elif options.stage == "summary":
            print(f"report: {summary(study)}")
        elif options.stage == "train":
            train(find_run(study, options.what))
        else:
            attention(study, find_run(study, options.what))
    except (StudyError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
