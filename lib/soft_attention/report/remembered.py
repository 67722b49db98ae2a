"""What was computed from predictions that have not changed since is not computed again.

A result is kept under the SHA-256 of everything that it follows from: the function, its arguments with the content of
their files, and the code that computes. So a result that is found is the one that would be computed.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from soft_attention import files, paths
from soft_attention.errors import StudyError

COMPUTING = ("evaluation/*.py", "report/*.py", "study/folder.py", "vocabulary.py", "data/catalog.py", "data/*.csv")
PACKAGES = ("numpy", "pandas", "scipy")


def remembered(make: Callable[..., Any], *arguments: Any) -> Any:
    """`make(*arguments)`, from an earlier time if nothing has changed that it follows from.

    Args:
        make: a pure function that returns a table, or values that JSON has.
        arguments: run folders (with the tables in them), tables (with those of the run folders in their column
            `folder`), models, mappings of these, or values that JSON has.
    """
    folder = paths.RESULTS / ".remembered" / _code()
    name = folder / _digest(f"{make.__module__}.{make.__qualname__}", *map(_content, arguments))
    for file, read in ((name.with_suffix(".json"), files.read_json), (name.with_suffix(".parquet"), files.read_table)):
        with suppress(StudyError):  # half of one is none
            if file.exists():
                return read(file)
    _forget_others(folder)
    found = make(*arguments)
    if isinstance(found, pd.DataFrame):
        files.write_table(name.with_suffix(".parquet"), found)
    else:
        files.write_json(name.with_suffix(".json"), found)
    return found


def _content(value: Any) -> str:
    if isinstance(value, Path):
        return _digest(*(_digest_of_file(file, file.stat().st_mtime_ns) for file in sorted(value.glob("*.parquet"))))
    if isinstance(value, pd.DataFrame):
        rest = value.drop(columns="folder", errors="ignore").to_json(double_precision=15)
        return _digest(rest, *map(_content, value.get("folder", ())))
    if isinstance(value, Mapping):
        return json.dumps({key: _content(each) for key, each in value.items()})
    return value.model_dump_json() if isinstance(value, BaseModel) else json.dumps(value)


@cache
def _digest_of_file(file: Path, changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@cache
def _code() -> str:
    here = Path(__file__).resolve().parents[1]
    sources = sorted(file for pattern in COMPUTING for file in here.glob(pattern))
    return _digest(*(file.read_text() for file in sources), *map(version, PACKAGES))[:16]


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _forget_others(folder: Path) -> None:
    """Remove what other code has left."""
    for other in folder.parent.glob("*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
