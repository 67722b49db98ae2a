"""How files are written and read: complete or not at all, whatever a kill or a neighbour does."""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from soft_attention.errors import StudyError


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


def write_json(path: Path, values: Any) -> None:
    """Write JSON under a temporary name, then rename. ValueError for a number that JSON does not have, such as NaN."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write CSV under a temporary name, then rename."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write parquet under a temporary name, then rename. Encoded for size: git keeps hundreds of these."""
    floats = table.select_dtypes("floating").columns
    identifiers = [name for name in ("image_id", "lesion_id") if name in table]
    encoding = dict.fromkeys(floats, "BYTE_STREAM_SPLIT") | dict.fromkeys(identifiers, "DELTA_BYTE_ARRAY")
    dictionary = [name for name in table if name not in encoding]
    with atomic(path) as temporary:
        table.to_parquet(
            temporary, index=False, compression="zstd", use_dictionary=dictionary, column_encoding=encoding
        )


def read_json(path: Path) -> Any:
    """What `write_json` wrote; StudyError if the file is missing or damaged."""
    if not path.exists():
        raise StudyError(f"{path} does not exist: the run is not finished")
    try:
        return json.loads(path.read_text())
    except ValueError as error:  # no JSON, or no text
        raise StudyError(f"{path} is damaged ({error}): remove it and run again") from error


@contextmanager
def named_if_damaged(file: Path, folder: Path) -> Iterator[None]:
    """Turn what Keras says of a file of weights that it cannot read into a StudyError that names the file."""
    try:
        yield
    except Exception as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{file} is damaged ({reason}): remove {folder} to make that run again") from error
