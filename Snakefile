# The order of work: get the data, train every run, look at its attention, sum up. ./run_all.sh calls it.
import logging
import sys
from pathlib import Path

from soft_attention import paths
from soft_attention.study.config import Study
from soft_attention.study.data_record import is_recorded
from soft_attention.study.folder import changes
from soft_attention.errors import StudyError

memory = 5000  # MiB for a run: records of frozen ones show up to 6,100, but all except 600 of it is mapped features
stage = "python -m soft_attention.study.stages"
said = ("returned non-zero exit status 1.", "execution failed. Look above for error messages", "complete successfully.")

try:
    study = Study.load(Path(config.get("study", "demo")).name.removesuffix(".yaml"))
    runs = {run.id: run for run in study.runs()}
    for run in runs.values():
        if (run.folder / "params.json").exists() and (changed := changes(run, run.folder)):
            raise StudyError(f"{run.folder} was run with other parameters ({changed}): remove it or rename the study")
    datasets = dict.fromkeys(run.dataset for run in runs.values())
    unprepared = [dataset for dataset in datasets if not is_recorded(study, dataset)]
except StudyError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

results = paths.RESULTS / study.name

for handler in logging.getLogger("snakemake.logging").handlers:
    if handler.name == "DefaultStreamHandler":  # a stage that fails says why; these words of Snakemake stay in its log
        handler.addFilter(lambda record: not record.getMessage().endswith(said))


def marker(dataset):
    """Stands for a data stage that this Snakemake has run. Whether there is need of one, the record alone says."""
    return Path(".snakemake", f"{study.name}-{Path(dataset).name}-data")


def needed_data(wildcards):
    """A finished run needs no data: it is not trained again when the data stage is run again for others."""
    run = runs[wildcards.run]
    finished = (run.folder / "metrics.json").exists()
    return marker(run.dataset) if run.dataset in unprepared and not finished else []


if workflow.is_main_process:
    for dataset in unprepared:  # a Snakemake that was killed leaves its marker
        marker(dataset).unlink(missing_ok=True)

trained = [run.folder / "metrics.json" for run in runs.values()]
looked_at = [run.folder / "attention.json" for run in study.attention_runs()]


rule all:
    input:
        trained,  # asked for here too: Snakemake makes nothing that is missing behind a report that is newer
        looked_at,
        results / "report.html",


for dataset in datasets:

    rule:
        name:
            f"data_{Path(dataset).name}"
        output:
            temp(touch(marker(dataset))),
        params:
            dataset=dataset,
        shell:
            stage + " data {study.name:q} {params.dataset:q}"


rule train:
    input:
        needed_data,
    output:
        results / "runs" / "{run}" / "metrics.json",
    threads: study.threads
    resources:
        gpu=1,
        mem_mib=memory,
        runtime=1440,  # minutes, for a cluster; the longest of the authors' trainings takes 6 hours on their GPU
    shell:
        "THREADS={threads} " + stage + " train {study.name:q} {wildcards.run:q}"


rule attention:
    input:
        ancient(results / "runs" / "{run}" / "metrics.json"),
        lambda wildcards: ancient(runs[wildcards.run].baseline.folder / "metrics.json"),
    output:
        results / "runs" / "{run}" / "attention.json",
    threads: study.threads
    resources:
        gpu=1,
        mem_mib=memory,
    shell:
        "THREADS={threads} " + stage + " attention {study.name:q} {wildcards.run:q}"


rule summary:
    input:
        trained,
        looked_at,
    output:
        results / "report.html",
    shell:
        stage + " summary {study.name:q}"
