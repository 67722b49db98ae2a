"""How the study's files are written and read: complete or not at all, and a damaged one is named."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from soft_attention import paths
from soft_attention.errors import StudyError


def write_json(path: Path, values: Any) -> None:
    """Write JSON under a temporary name, then rename. ValueError for a number that JSON does not have, such as NaN."""
    with paths.atomic(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write CSV under a temporary name, then rename."""
    with paths.atomic(path) as temporary:
        table.to_csv(temporary, index=False)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write parquet under a temporary name, then rename. Encoded for size: git keeps hundreds of these."""
    floats = table.select_dtypes("floating").columns
    identifiers = [name for name in ("image_id", "lesion_id") if name in table]
    encoding = dict.fromkeys(floats, "BYTE_STREAM_SPLIT") | dict.fromkeys(identifiers, "DELTA_BYTE_ARRAY")
    dictionary = [name for name in table if name not in encoding]
    with paths.atomic(path) as temporary:
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
