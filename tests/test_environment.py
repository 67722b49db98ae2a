"""One set of versions: pyproject's packages are pinned, with hashes, in both locks, and conda takes the same file."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

from soft_attention import paths

LOCKS = {name: (paths.ROOT / f"requirements-{name}.lock").read_text() for name in ("cpu", "gpu")}
PIN = re.compile(r"^([a-z0-9._-]+)==(\S+)(?: ;.*?)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def pins(lock):
    return {(name, version) for name, version, _ in PIN.findall(LOCKS[lock])}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_pin_with_hashes(lock):
    rest = [line for line in PIN.sub("", LOCKS[lock]).splitlines() if line and not line.startswith("#")]
    assert rest == []
    assert "://" not in LOCKS[lock]


def test_both_locks_hold_every_direct_dependency_in_one_version():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[<>=\[; ]", requirement)[0] for requirement in wanted}
    for name in names:
        versions = {lock: {v for n, v in pins(lock) if n == name} for lock in LOCKS}
        assert len(versions["cpu"]) == 1 and versions["cpu"] == versions["gpu"], (name, versions)


def test_both_builds_are_the_same_tensorflow():
    cpu = {version for name, version in pins("cpu") if name in ("tensorflow", "tensorflow-cpu")}
    assert len(cpu) == 1 and ("tensorflow", *cpu) in pins("gpu")


def test_conda_takes_its_packages_from_the_lock():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text())
    assert {"pip": ["-r requirements-cpu.lock"]} in environment["dependencies"]


@pytest.fixture
def machine(tmp_path):
    """A folder whose `.venv/` is older than its lock file, and a Python that only pretends to install."""
    shutil.copy(paths.ROOT / "scripts" / "environment.sh", tmp_path)
    (tmp_path / "requirements-cpu.lock").write_text("new")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "installed.lock").write_text("old")
    python = tmp_path / "bin" / "python3.12"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\n[ "$2" != venv ] || { mkdir -p .venv/bin; cp "$0" .venv/bin/python; }\n')
    python.chmod(0o755)
    return tmp_path


def set_up(machine, then="true"):
    environment = {"PATH": f"{machine / 'bin'}:{os.environ['PATH']}", "DEVICE": "cpu"}
    script = f"set -euo pipefail; source environment.sh; set_up_environment; {then}"
    return subprocess.run(["bash", "-c", script], cwd=machine, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(not shutil.which("flock"), reason="without flock nothing is locked")
def test_packages_that_are_in_use_are_not_replaced(machine):
    with open(machine / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        done = set_up(machine)
    assert done.returncode == 1 and "use those in .venv/: wait until they have ended" in done.stderr
    assert (machine / ".venv" / "installed.lock").read_text() == "old"
    assert set_up(machine).returncode == 0
    assert (machine / ".venv" / "installed.lock").read_text() == "new"


@pytest.mark.skipif(not shutil.which("flock"), reason="without flock nothing is locked")
def test_several_may_use_the_packages_and_hold_them_until_they_end(machine):
    nested = "bash -c 'source environment.sh; set_up_environment' && ! flock --nonblock .venv.lock true && echo held"
    done = set_up(machine, nested)
    assert done.stdout.splitlines()[-1] == "held", done.stderr
    with open(machine / ".venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(("folder", "code"), [(paths.ROOT, 0), ("/", 1)])
def test_the_packages_of_another_checkout_are_not_used(folder, code):
    script = f'source {paths.ROOT}/scripts/environment.sh; has_this_study "{sys.executable}"'
    assert subprocess.run(["bash", "-c", script], cwd=folder).returncode == code


def test_the_commands_keep_their_line_ends_where_git_would_change_them(tmp_path):
    for name in (".gitattributes", "run_all.sh"):
        shutil.copy(paths.ROOT / name, tmp_path)
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in ("init -q", "add .", "commit -qm x", "rm -q run_all.sh", "reset -q --hard"):
        subprocess.run([*git, *command.split()], cwd=tmp_path, check=True)
    assert b"\r" not in (tmp_path / "run_all.sh").read_bytes()
