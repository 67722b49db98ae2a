# The order of work: get the data, train every run, look at its attention, sum up. ./run_all.sh calls it.
from pathlib import Path

from soft_attention import paths
from soft_attention.study.config import Study
from soft_attention.study.folder import changes
from soft_attention.errors import StudyError

study = Study.load(Path(config.get("study", "demo")).stem)  # a name in params/, also given as params/NAME.yaml
results = paths.RESULTS / study.name
runs = {run.id: run for run in study.runs()}
memory = 5000  # MiB for a run: records of frozen ones show up to 6,100, but all except 600 of it is mapped features
stage = "python -m soft_attention.study.stages"

for run in runs.values():
    if (run.folder / "params.json").exists() and (changed := changes(run, run.folder)):
        raise StudyError(f"{run.folder} was run with other parameters ({changed}): remove it or rename the study")


def prepared(dataset):
    """Marks a dataset whose data stage is done for as many splits as the study has; gone after its last training."""
    splits = {run.split for run in runs.values() if run.dataset == dataset}
    return f".snakemake/{study.name}-{Path(dataset).name}-{len(splits)}-splits"


def needed_data(wildcards):
    """A finished run needs no data: it is not trained again when the data stage is run again for others."""
    run = runs[wildcards.run]
    return [] if (run.folder / "metrics.json").exists() else datasets[run.dataset]


datasets = {dataset: prepared(dataset) for dataset in dict.fromkeys(run.dataset for run in runs.values())}
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
            temp(touch(datasets[dataset])),
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
