"""How files are written and read: complete or not at all, whatever a kill or a neighbour does."""

import errno
import fcntl
import json
import os
import re
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd

from soft_attention.errors import StudyError
from soft_attention.progress import say

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
UNLOCKABLE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
PATIENCE = 60  # seconds that a file system may take to answer whether a lock is free
QUIET = 2  # seconds to wait for another process before a person is told
_held: dict[Path, ExitStack] = {}


def temporary_name(path: Path) -> Path:
    """A new name beside `path` for what is to become it."""
    return path.with_name(f".{uuid.uuid4().hex[:8]}-{path.name}")


def free(folder: Path) -> str:
    """What is left on the disk that a folder is on or would be on, for people."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return f"{shutil.disk_usage(there).free / 2**20:,.0f} MiB"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says when `path` cannot be written into a StudyError that names it and its disk."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises both, and hides the number in its words
        number, elsewhere = _error_number(error), getattr(error, "filename", None)
        if number not in UNWRITABLE or (elsewhere and not Path(elsewhere).is_relative_to(path.parent)):
            raise
        full = f": {free(path.parent)} are free on its disk" if number in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StudyError(f"{path} cannot be written ({os.strerror(number)}){full}") from error


@contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success, remove it on failure.

    A file that exists under its final name is therefore complete, also after a kill.

    Raises:
        StudyError: the disk is full, or the folder is not to be written to.
    """
    path = Path(path)
    temporary = temporary_name(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder: of several processes, one works in it, others wait and say for whom.

    A process whose parent holds the lock does not wait: it is the notebook that a stage executes.

    Raises:
        StudyError: the folder cannot be written to, or its file system has no locks or does not answer.
    """
    with writing(folder / ".lock"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "a+")  # noqa: SIM115
    with lock:  # freed when the file closes, also if we are killed
        began, told = time.monotonic(), False
        while not _locked(lock.fileno(), folder):
            lock.seek(0)
            if (holder := lock.read()) == _process(os.getppid()):
                yield
                return
            if not told and time.monotonic() - began > QUIET:
                say(
                    f"waiting for process {holder or 'unknown'}, which works in {folder}: if that is a notebook that "
                    "you no longer need, restart its kernel"
                )
                told = True
            time.sleep(0.2)
        with writing(folder / ".lock"):
            lock.truncate(0)
            lock.write(_process(os.getpid()))
            lock.flush()
        yield


def hold(folder: Path) -> None:
    """Enter `one_at_a_time` until `let_go`, or until this process ends: for work that several cells do."""
    if folder not in _held:
        with ExitStack() as stack:
            stack.enter_context(one_at_a_time(folder))
            _held[folder] = stack.pop_all()


def let_go(folder: Path) -> None:
    """Leave a folder that `hold` entered."""
    if stack := _held.pop(folder, None):
        stack.close()


def _process(number: int) -> str:
    return f"{number} on {socket.gethostname()}"


@contextmanager
def scratch(prefix: str, longest: int) -> Iterator[Path]:
    """A new folder for temporary files, with a path of at most so many bytes; those of killed processes are removed.

    Raises:
        StudyError: no folder for temporary files can be written to.
    """
    place = Path(tempfile.gettempdir())
    if len(os.fsencode(place / f"{prefix}12345678")) > longest:  # also on macOS, whose own is long
        place = Path("/tmp")
    for old in place.glob(f"{prefix}*"):
        _remove_if_left(old)
    with writing(place / prefix):
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _remove_if_left(folder: Path) -> None:
    with suppress(OSError):  # another user's; or its owner is at work, or was faster
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - folder.stat().st_mtime > 60:  # between its making and its lock it has none
                shutil.rmtree(folder)
        finally:
            os.close(held)


def _locked(file: int, folder: Path) -> bool:
    """Try to lock an open file. On a network drive whose lock service is away, trying itself never returns."""
    answers = []

    def ask():
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            answers.append(0)
        except OSError as error:
            answers.append(error.errno)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if not answers or answers[0] in UNLOCKABLE:
        why = os.strerror(answers[0]) if answers else f"no answer within {PATIENCE} s"
        raise StudyError(
            f"the file system of {folder} locks no files ({why}): mount it with its lock service, or with "
            "local_lock=flock where one machine alone works in a folder"
        )
    if answers[0] not in (0, errno.EWOULDBLOCK):
        raise OSError(answers[0], os.strerror(answers[0]), str(folder))
    return not answers[0]


def _error_number(error: Exception) -> int | None:
    told = re.search(r"(?:errno = |\[Errno )(\d+)", str(error))
    return getattr(error, "errno", None) or (int(told[1]) if told else None)


def files_below(folder: Path, skip: Callable[[list[str]], bool] = lambda names: False) -> Iterator[Path]:
    """Every file of a folder, at any depth, by name; links are followed, also where they go round in circles.

    What is hidden (macOS leaves ._stubs) or lies in __MACOSX is left out, and so is a folder of whose names `skip` is
    true, with all below it.
    """
    seen = set()
    for place, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen or skip(names):
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith((".", "__MACOSX")))
        found = (Path(place, name) for name in sorted(names) if not name.startswith("."))
        yield from (file for file in found if file.is_file())


def leftovers(path: Path) -> list[Path]:
    """What killed processes left under a `temporary_name` of `path`; meant for whoever holds the folder's lock."""
    return list(path.parent.glob(f".{'[0-9a-f]' * 8}-{path.name}"))


def write_json(path: Path, values: Any) -> None:
    """Write JSON under a temporary name, then rename. ValueError for a number that JSON does not have, such as NaN."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n", encoding="utf-8")


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
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text
        raise StudyError(f"{path} is damaged ({error}): remove it and run again") from error


def read_memory(path: Path) -> dict:
    """A JSON file of what is found anew if need be: empty where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def read_table(path: Path) -> pd.DataFrame:
    """What `write_table` wrote; StudyError if the file is damaged."""
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow raises nearly anything
        raise StudyError(f"{path} is damaged ({error}): remove it and run again") from error


@contextmanager
def named_if_damaged(file: Path, folder: Path) -> Iterator[None]:
    """Turn what Keras says of a file of weights that it cannot read into a StudyError that names the file."""
    try:
        yield
    except Exception as error:
        raise StudyError(f"{file} {why_unreadable(error)}: remove {folder} to make that run again") from error


def why_unreadable(error: Exception) -> str:
    """What Keras says of a file, in half a sentence for people."""
    if "deserialization of a `Lambda`" in str(error):
        return "holds a Lambda layer, which is code of whoever made it and is never run"
    if "accessible `.keras` zip file" in str(error):  # Keras says that it does not find it
        return "is damaged (it is no whole archive)"
    return f"is damaged ({' '.join(str(error).split())})"
