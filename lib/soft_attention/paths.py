"""The only place that knows folders, and how files are written so that a kill or a neighbour does no harm."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PARAMS = ROOT / "params"
RESULTS = ROOT / "results"


def data_dir() -> Path:
    """Where downloads and caches live: the environment variable DATA_DIR, or `data/` in the project."""
    return Path(os.environ.get("DATA_DIR") or ROOT / "data")


def temporary_name(path: Path) -> Path:
    """A new name beside `path` for what is to become it."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, remove it on failure.

    A file that exists under its final name is therefore complete, also after a kill.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder: of several processes, one works in it, others wait."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # freed when the file closes, also if we are killed
        yield


def leftovers(path: Path) -> list[Path]:
    """What killed processes left under a `temporary_name` of `path`; meant for whoever holds the folder's lock."""
    return list(path.parent.glob(f".{'[0-9a-f]' * 8}-{path.name}"))
