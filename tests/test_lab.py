"""`scripts/lab.sh` opens copies of the notebooks, and never touches one that a person has changed."""

import os
import shutil
import subprocess

import pytest

from soft_attention import paths


@pytest.fixture
def project(tmp_path):
    """A project of one notebook, with a set-up that does nothing and a JupyterLab that says how it was started."""
    for folder in ("scripts", "notebooks", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(paths.ROOT / "scripts" / "lab.sh", tmp_path / "scripts")
    (tmp_path / "scripts" / "environment.sh").write_text("set_up_environment() { :; }\n")
    (tmp_path / "notebooks" / "a.ipynb").write_text("first")
    (tmp_path / "bin" / "jupyter").write_text('#!/bin/sh\necho "$PWD: $*"\n')
    (tmp_path / "bin" / "jupyter").chmod(0o755)
    return tmp_path


def opened(project, *options) -> str:
    surroundings = os.environ | {"PATH": f"{project / 'bin'}:{os.environ['PATH']}"}
    command = ["bash", project / "scripts" / "lab.sh", *options]
    return subprocess.run(command, cwd="/", env=surroundings, check=True, capture_output=True, text=True).stdout


def test_jupyterlab_starts_in_the_project_and_opens_a_copy(project):
    assert opened(project, "--no-browser") == (
        f"{project.resolve()}: lab --LabApp.default_url=/lab/tree/play/explore.ipynb --no-browser\n"
    )
    assert (project / "play" / "a.ipynb").read_text() == "first"


def test_a_copy_follows_its_notebook_until_a_person_changes_it(project):
    opened(project)
    (project / "notebooks" / "a.ipynb").write_text("second")
    opened(project)
    copy = project / "play" / "a.ipynb"
    assert copy.read_text() == "second"
    copy.write_text("second, and outputs")
    assert "is yours" not in opened(project)
    (project / "notebooks" / "a.ipynb").write_text("third")
    assert "play/a.ipynb is yours by now" in opened(project) and copy.read_text() == "second, and outputs"
    assert (project / "notebooks" / "a.ipynb").read_text() == "third"
