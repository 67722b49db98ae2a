"""The command: which study it runs, from where it may be called, and that it ends with all it has started."""

import os
import shutil
import signal
import subprocess
import time

import pytest
from snakemake.cli import parse_config

from soft_attention import paths


@pytest.fixture
def project(tmp_path):
    """The command in a folder with an odd name, beside a Python and a Snakemake that only pretend."""
    folder = tmp_path / "eigene Prüfung"
    (folder / "bin").mkdir(parents=True)
    shutil.copy(paths.ROOT / "run_all.sh", folder)
    shutil.copytree(paths.ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    pretend(folder, "python", 'echo "$PYTHONPATH" >pythonpath; locale charmap >charmap')
    pretend(folder, "snakemake", 'printf "%s\\n" "$PWD" "$@"')
    return folder


def pretend(project, name, script):
    (project / "bin" / name).write_text(f"#!/bin/bash\n{script}\n")
    (project / "bin" / name).chmod(0o755)


def surroundings(project):
    return os.environ | {
        "PATH": f"{project / 'bin'}:{os.environ['PATH']}",
        "CONDA_PREFIX": "x",
        "PYTHONPATH": "foreign",
    }


def call(project, *command):
    done = subprocess.run(command, cwd="/", env=surroundings(project), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("study", ["abc.v2", "2026", "007", "1e3", "True", "1_2", "params/abc.v2.yaml"])
def test_snakemake_is_given_the_very_file_of_the_study(project, study):
    said = call(project, project / "run_all.sh", study)
    given = said[said.index("--config") + 1]
    assert given == f"study=params/{study.removeprefix('params/').removesuffix('.yaml')}.yaml"
    assert parse_config([given]) == {"study": given.removeprefix("study=")}, "a number, where it looks like one"


def test_the_command_may_be_called_through_a_link_and_by_sh(project, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(project / "run_all.sh")
    for command in ((link,), ("sh", project / "run_all.sh"), ("sh", link)):
        assert call(project, *command)[0] == str(project)


def test_packages_of_a_foreign_path_are_not_found(project):
    call(project, project / "run_all.sh")
    assert (project / "pythonpath").read_text() == "\n"


def test_text_is_utf_8_under_any_locale(project, monkeypatch):
    monkeypatch.setenv("LC_ALL", "en_US.ISO-8859-1")
    call(project, project / "run_all.sh")
    assert (project / "charmap").read_text() == "UTF-8\n"


@pytest.mark.parametrize(
    "to_cluster", ["--profile x", "--profile=x", "--executor slurm", "--executor=slurm", "-e slurm"]
)
def test_a_cluster_is_not_limited_by_the_machine_at_hand(project, to_cluster):
    command = project / "run_all.sh"
    assert "--cores" in call(project, command, "demo")
    assert "--cores" not in call(project, command, "demo", *to_cluster.split())


def test_a_project_that_cannot_be_written_to_is_named(project):
    (project / ".run_all.lock").mkdir()
    done = subprocess.run([project / "run_all.sh"], env=surroundings(project), capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith(f"error: {project} cannot be written to (by ")


@pytest.mark.parametrize("odd", ["{x}", "<x>"])
def test_a_folder_whose_name_snakemake_would_read_is_refused(project, odd):
    folder = project.rename(project.with_name(odd))
    done = subprocess.run([folder / "run_all.sh"], env=surroundings(folder), capture_output=True, text=True)
    assert done.returncode == 1 and f"error: the folder {folder} has one of" in done.stderr


def test_the_end_says_once_what_failed_of_many(project):
    pretend(project, "snakemake", 'printf "seed-0 failed: why\\n  the notebook\\n%.0s" 1 2 >>"$FAILURES"; exit 1')
    for _ in range(2):  # what failed in an earlier call is not told
        done = subprocess.run([project / "run_all.sh"], env=surroundings(project), capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr == "error: part of the study 'demo' failed:\nseed-0 failed: why\n  the notebook\n"


def test_a_mistake_in_a_study_file_is_said_and_nothing_more(project):
    pretend(project, "snakemake", "echo 'error: unknown key' >&2; exit 2")
    done = subprocess.run([project / "run_all.sh"], env=surroundings(project), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: unknown key\n")


@pytest.fixture
def running(project):
    """The command at work: its Snakemake has started a training, which is told to end in vain."""
    pretend(project, "snakemake", "bash -c 'echo $$ >training; sleep 300 & wait' &\necho $$ >snakemake\nwait")
    process = subprocess.Popen(
        ["./run_all.sh"], cwd=project, env=surroundings(project), stderr=subprocess.PIPE, text=True
    )
    while not all((project / name).exists() and (project / name).read_text() for name in ("training", "snakemake")):
        time.sleep(0.05)
    yield process
    process.kill()
    subprocess.run(["kill", "-KILL", "--", f"-{(project / 'snakemake').read_text().strip()}"], capture_output=True)


def alive(project, name):
    pid = (project / name).read_text().strip()
    return subprocess.run(["kill", "-0", pid], capture_output=True).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_ends_the_command_ends_all_it_has_started(project, running, number):
    running.send_signal(number)
    assert "error: interrupted: nothing runs any more" in running.communicate(timeout=60)[1]
    assert running.returncode == 1
    assert not alive(project, "training") and not alive(project, "snakemake")


def test_a_snakemake_that_is_killed_leaves_no_training(project, running):
    os.kill(int((project / "snakemake").read_text()), signal.SIGKILL)
    assert "part of the study 'demo' failed" in running.communicate(timeout=60)[1]
    assert not alive(project, "training")


@pytest.mark.skipif(not shutil.which("flock"), reason="without flock nothing is locked")
def test_a_second_call_names_the_first_or_what_is_left_of_it(project, running):
    def again():
        options = {"cwd": project, "env": surroundings(project), "capture_output": True, "text": True}
        return subprocess.run(["./run_all.sh"], **options).stderr

    assert f"at work in this folder: process {running.pid}; wait for it, or end it: kill {running.pid}" in again()
    running.kill()
    running.wait()
    group = (project / "snakemake").read_text().strip()
    assert f"process {running.pid} was killed and what it started goes on; end that: kill -TERM -- -{group}" in again()


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("mirror", "{here}/mirror"),
        ("/data/m", "/data/m"),
        ("~/m", "~/m"),
        ("https://host/m", "https://host/m"),
        ("", ""),
    ],
)
def test_a_relative_folder_is_meant_from_where_the_command_is_given(tmp_path, given, meant):
    checkout, here = tmp_path / "checkout", tmp_path / "some where"
    here.mkdir()
    (checkout / "scripts").mkdir(parents=True)
    (checkout / "scripts" / "environment.sh").write_text('echo "$DATA_MIRROR|$DATA_DIR"; exit\n')
    command = shutil.copy(paths.ROOT / "run_all.sh", checkout)
    environment = os.environ | {"DATA_MIRROR": given, "DATA_DIR": given}
    done = subprocess.run(["bash", command, "cpu"], cwd=here, env=environment, capture_output=True, text=True)
    assert done.stdout == "{0}|{0}\n".format(meant.format(here=here)), done.stderr
