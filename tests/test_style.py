"""What the project keeps at each commit, as tests, so that plain pytest checks it too."""

import subprocess
import sys

import pytest

from soft_attention import paths

LARGEST = 5_000_000  # bytes


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=paths.ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [name for name in done.stdout.split("\0") if name and (paths.ROOT / name).exists()]


@pytest.mark.parametrize("command", [("check",), ("format", "--check")], ids=" ".join)
def test_ruff(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_large_file_is_tracked():
    assert not [name for name in tracked() if (paths.ROOT / name).stat().st_size > LARGEST]


def test_no_photograph_is_tracked():
    assert not [
        name for name in tracked() if name.lower().endswith((".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".keras"))
    ]
