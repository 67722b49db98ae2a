"""The only place that knows folders."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
PARAMS = ROOT / "params"
RESULTS = ROOT / "results"


def data_dir() -> Path:
    """Where downloads and caches live: the environment variable DATA_DIR, or `data/` in the project."""
    return Path(os.environ.get("DATA_DIR") or ROOT / "data").expanduser().absolute()


def data_mirror() -> str | None:
    """The folder or URL prefix from which public data come: the environment variable DATA_MIRROR, if set."""
    return os.environ.get("DATA_MIRROR") or None
