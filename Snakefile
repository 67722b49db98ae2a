# The order of work: get the data, train every run, look at its attention, sum up. ./run_all.sh calls it.
from pathlib import Path

from soft_attention import paths
from soft_attention.study.config import Study, changes
from soft_attention.errors import StudyError

study = Study.load(Path(config.get("study", "demo")).stem)  # a name in params/, also given as params/NAME.yaml
results = paths.RESULTS / study.name
runs = {run.id: run for run in study.runs()}
stage = "python -m soft_attention.study.stages"

for run in runs.values():
    if (run.folder / "params.json").exists() and (changed := changes(run, run.folder)):
        raise StudyError(f"{run.folder} was run with other parameters ({changed}): remove it or rename the study")


def dataset_record(dataset):
    return results / "data" / f"{Path(dataset).name}.json"


rule all:
    input:
        results / "report.html",


for dataset in dict.fromkeys(run.dataset for run in runs.values()):

    rule:
        name:
            f"data_{Path(dataset).name}"
        output:
            dataset_record(dataset),
        params:
            dataset=dataset,
        shell:
            stage + " data {study.name} {params.dataset:q}"


rule train:
    input:
        lambda wildcards: ancient(dataset_record(runs[wildcards.run].dataset)),
    output:
        results / "runs" / "{run}" / "metrics.json",
    threads: study.threads
    resources:
        gpu=1,
    shell:
        "THREADS={threads} " + stage + " train {study.name} {wildcards.run:q}"


rule attention:
    input:
        ancient(results / "runs" / "{run}" / "metrics.json"),
        lambda wildcards: ancient(runs[wildcards.run].baseline.folder / "metrics.json"),
    output:
        results / "runs" / "{run}" / "attention.json",
    threads: study.threads
    resources:
        gpu=1,
    shell:
        "THREADS={threads} " + stage + " attention {study.name} {wildcards.run:q}"


rule summary:
    input:
        [run.folder / "metrics.json" for run in runs.values()],
        [run.folder / "attention.json" for run in study.attention_runs()],
    output:
        results / "report.html",
    shell:
        stage + " summary {study.name}"
