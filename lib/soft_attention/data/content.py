"""What files hold: the SHA-256 of each, read once, and anew only when the file has changed."""

import contextlib
import hashlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from soft_attention import paths
from soft_attention.errors import StudyError
from soft_attention.files import one_at_a_time, read_memory, write_json

THREADS = 2  # that read files
SETTLED = 2_000_000_000  # ns; what was changed later than so may change again under the same time stamp


def content_hashes(files: Iterable[Path | str], cache_dir: Path | str | None = None) -> list[str]:
    """The SHA-256 of what each file holds, in their order; a file may come several times.

    A file is read again when its length or one of its times has changed; a mere `touch` then gives the same hash.

    Args:
        cache_dir: the hashes are kept in its folder `content`, one list for each folder of files; by default that of
            the decoded images. Where nothing can be written, nothing is kept.

    Raises:
        StudyError: a file is missing or cannot be read.
    """
    files = [os.path.abspath(file) for file in files]
    names = defaultdict(set)
    for file in files:
        names[os.path.dirname(file)].add(os.path.basename(file))
    kept_in = Path(cache_dir or paths.data_dir() / "cache") / "content"
    hashes = {folder: _hashes_in(folder, sorted(some), kept_in) for folder, some in names.items()}
    return [hashes[os.path.dirname(file)][os.path.basename(file)] for file in files]


def identical_images(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of images that are byte-identical to another one of the table, with a column `content` that tells which.

    Raises:
        StudyError: a file is missing or cannot be read.
    """
    table = table.assign(content=content_hashes(table["image_path"]))
    return table[table["content"].duplicated(keep=False)].sort_values(["content", "image_id"])


def _hashes_in(folder: str, names: list[str], kept_in: Path) -> dict[str, str]:
    """The hash of each file of a folder, by name."""
    stamps = {name: _stamp(os.path.join(folder, name)) for name in names}
    file = kept_in / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.json"
    kept = read_memory(file)
    hashes = {name: kept[name][-1] for name in names if name in kept and kept[name][:-1] == stamps[name]}
    unread = [name for name in names if name not in hashes]
    if unread:
        with ThreadPool(THREADS) as pool:
            read = pool.imap(_sha256, [os.path.join(folder, name) for name in unread])
            hashes |= zip(unread, tqdm(read, "hashes of images", len(unread), unit="file"), strict=True)
    before = time.time_ns() - SETTLED
    settled = {name: [*stamps[name], hashes[name]] for name in unread if max(stamps[name][1:]) < before}
    if settled:
        with contextlib.suppress(OSError, StudyError), one_at_a_time(kept_in):
            write_json(file, read_memory(file) | settled)
    return hashes


def _stamp(file: str) -> list[int]:
    """What changes with a file: its length, when its content changed, and when anything about it did."""
    try:
        found = os.stat(file)
    except OSError as error:
        raise StudyError(f"{file} is missing; restore it or delete its row from the table") from error
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def _sha256(file: str) -> str:
    try:
        with open(file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise StudyError(f"{file} cannot be read: {error.strerror}") from error
