"""Large arrays on disk: written once, block by block, and memory-mapped by every later call."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from soft_attention.errors import StudyError
from soft_attention.files import atomic, leftovers, one_at_a_time


def open_array(
    file: Path, kind: np.typing.DTypeLike, shape: tuple[int, ...], blocks: Callable[[], Iterable[np.ndarray]]
) -> np.memmap:
    """The array in `file`, a .npy; the first call writes it, and others that want it wait meanwhile.

    Args:
        file: where it is kept; its name stands for its content.
        kind: type of its numbers.
        shape: of the whole array.
        blocks: gives the array's parts, in order along the first axis; only called to write the file.

    Returns:
        The array, read-only.

    Raises:
        StudyError: the disk is full, or the file is damaged. Nothing half-written is left, and what a killed process
            left is removed.
    """
    if not file.exists():
        with one_at_a_time(file.parent):
            for stale in leftovers(file):
                stale.unlink()
            if not file.exists():
                _write(file, np.dtype(kind), shape, blocks())
    try:
        return np.load(file, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise StudyError(f"{file} is damaged ({error}); delete it and run again") from error


def _write(file: Path, kind: np.dtype, shape: tuple[int, ...], blocks: Iterable[np.ndarray]) -> None:
    # Plain writing, not a memory map: on a full disk a map kills the process, a write raises, and `atomic` says so.
    with atomic(file) as temporary, temporary.open("wb") as out:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(out, header)
        for block in blocks:
            out.write(block.astype(kind, copy=False).tobytes())
