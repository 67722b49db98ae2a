"""TensorFlow greets on stderr when it is loaded. In a notebook that is a red banner, and not what a reader came for."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stderr_to(file: Path | str = os.devnull) -> Iterator[None]:
    """For a while send what this process, also its native code, and new processes write to stderr to a file."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(file, "wb") as elsewhere:
            os.dup2(elsewhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
