"""The order of work, planned by Snakemake in a copy of the project: what is missing is made, and nothing else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from soft_attention import paths
from soft_attention.study.config import Study

SMOKE = yaml.safe_load((paths.PARAMS / "smoke.yaml").read_text())


@pytest.fixture
def project(tmp_path):
    """A copy of the project with a study of two seeds, of which those of seed 0 are finished and in a report."""
    shutil.copytree(paths.ROOT / "lib", tmp_path / "lib", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    shutil.copy(paths.ROOT / "Snakefile", tmp_path)
    (tmp_path / "params").mkdir()
    study = tmp_path / "params" / "mine.yaml"
    study.write_text(yaml.safe_dump(SMOKE | {"seeds": [0, 1]}))
    for run in Study.load(study).runs()[:2]:
        folder = tmp_path / run.folder.relative_to(paths.ROOT)
        folder.mkdir(parents=True)
        for name in ("metrics.json", "attention.json"):
            (folder / name).write_text("{}")
    (tmp_path / "results" / "mine" / "report.html").write_text("newer than all of them")
    return tmp_path


def snakemake(project: Path, *options: str) -> subprocess.CompletedProcess:
    """Snakemake as run_all.sh calls it, with a `python` before others on PATH that is the project's own, if any."""
    options = ["--cores", "1", "--rerun-triggers", "mtime", "--nolock", "--config", "study=mine", *options]
    command = [sys.executable, "-m", "snakemake", *options]
    environment = os.environ | {"PYTHONPATH": str(project / "lib"), "PATH": f"{project}:{os.environ['PATH']}"}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)


def plan(project: Path, *options: str) -> str:
    """What `run_all.sh -n` shows."""
    done = snakemake(project, "-n", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def planned(project: Path) -> dict[str, int]:
    """Jobs by rule."""
    lines = [line.split() for line in plan(project).splitlines()]
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit() and line[0][-1] != ":"}


def test_new_seeds_are_trained_behind_a_report_and_the_finished_runs_are_left_alone(project):
    jobs = planned(project)
    assert jobs == {"data_synthetic": 1, "train": 2, "attention": 1, "summary": 1, "all": 1, "total": 6}


def test_a_finished_study_has_nothing_to_do_and_needs_no_data(project):
    (project / "params" / "mine.yaml").write_text(yaml.safe_dump(SMOKE))
    assert planned(project) == {}


def test_a_run_asks_for_memory_but_never_for_more_than_there_is(project):
    asked = re.findall(r"mem_mib=(\d+)", plan(project))
    assert asked == ["5000"] * 3  # two trainings and the attention of one
    assert set(re.findall(r"mem_mib=(\d+)", plan(project, "--resources", "mem_mib=3000"))) == {"3000"}


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("echo 'error: no disk' >&2; exit 1", False), ("kill -KILL $$", True)],
    ids=["that says why it fails", "that is killed"],
)
def test_of_a_stage(project, stage, shown):
    """Snakemake's words come to the terminal only where the stage could not say any; in its log they always are."""
    (project / "python").write_text(f"#!/bin/sh\n{stage}\n")
    (project / "python").chmod(0o755)
    done = snakemake(project, "--quiet", "rules")
    assert done.returncode == 1
    assert ("error: no disk" in done.stderr) != shown
    (log,) = (project / ".snakemake" / "log").iterdir()
    for text, words in ((done.stderr, shown), (log.read_text(), True)):
        assert ("RuleException" in text) == words
    assert "Look above" not in done.stderr and "At least one job" not in done.stderr


def test_a_mistake_in_the_study_file_is_one_sentence(project):
    (project / "params" / "mine.yaml").write_text(yaml.safe_dump(SMOKE | {"arms": ["releasd"]}))
    done = snakemake(project, "-n")
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    assert said.startswith("error: ") and "did you mean 'released'?" in said
