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


def plan(project: Path, *options: str) -> str:
    """What `run_all.sh -n` shows."""
    options = ["-n", "--cores", "1", "--rerun-triggers", "mtime", "--nolock", "--config", "study=mine", *options]
    command = [sys.executable, "-m", "snakemake", *options]
    environment = os.environ | {"PYTHONPATH": str(project / "lib")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
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
