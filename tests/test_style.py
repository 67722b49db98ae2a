"""The lint that the project keeps, as a test, so that plain pytest checks it too."""

import subprocess
import sys

import pytest

from soft_attention import paths


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "lib", "tests", "notebooks", "benchmarks"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
