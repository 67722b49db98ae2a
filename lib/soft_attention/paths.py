"""The only place that knows folders."""

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


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, remove it on failure.

    A file that exists under its final name is therefore complete, also after a kill.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
