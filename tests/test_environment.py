"""One set of versions: pyproject's packages are pinned, with hashes, in both locks, and conda takes the same file."""

import re
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
