"""Zip archives, unpacked safely: never outside, never half, never two sources in one folder."""

import json
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from tqdm.auto import tqdm

from soft_attention.data.fetch.checksums import checksum
from soft_attention.errors import StudyError
from soft_attention.files import leftovers, temporary_name

_MARKER = ".made_from.json"


def extract(archives: Sequence[Path], folder: Path, pattern: str = "*") -> None:
    """Unpack the entries of zip archives whose base name fits `pattern`, flat, into `folder`.

    The folder appears complete or not at all. It remembers the checksums of its archives; if it
    was made from others (a mirror, say), it is made anew, so two sources never mix. The caller holds the lock of
    the folder above: what a killed attempt left there is removed.

    Raises:
        StudyError: a damaged archive, an entry that points outside or comes twice, no space.
    """
    made_from = {path.name: checksum(path, folder.parent) for path in archives}
    marker = folder / _MARKER
    if marker.exists() and json.loads(marker.read_text()) == made_from:
        return
    for stale in leftovers(folder):
        shutil.rmtree(stale)
    temporary = temporary_name(folder)
    temporary.mkdir(parents=True)
    try:
        for archive in archives:
            _unpack(archive, temporary, pattern)
        (temporary / _MARKER).write_text(json.dumps(made_from, indent=1))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; damage found in it, then or later, is a StudyError that names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise StudyError(f"the archive {path} is damaged ({error}): delete it and get it anew") from error


def check_space(needed: int, folder: Path, what: str) -> None:
    """StudyError if `folder` has fewer than `needed` bytes left for `what`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StudyError(
            f"no space for {what}: it needs {needed / 1e9:.2f} GB and {folder} has "
            f"{free / 1e9:.2f} GB left; free some, or set DATA_DIR to a folder on another disk"
        )


def _unpack(path: Path, folder: Path, pattern: str) -> None:
    with open_archive(path) as archive:
        entries = [entry for entry in archive.infolist() if _wanted(entry, path, pattern)]
        check_space(sum(entry.file_size for entry in entries), folder, f"what {path.name} holds")
        for entry in tqdm(entries, desc=f"unpacking {path.name}", leave=False, delay=1):
            target = folder / PurePosixPath(entry.filename).name
            if target.exists():
                raise StudyError(f"{target.name} comes twice in {path}: get the official archive")
            with archive.open(entry) as source, open(target, "wb") as sink:
                shutil.copyfileobj(source, sink)


def _wanted(entry: zipfile.ZipInfo, path: Path, pattern: str) -> bool:
    """Whether an entry fits; StudyError if its name would leave the folder it is unpacked into."""
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
        raise StudyError(
            f"{path} holds an entry that points outside its folder, '{entry.filename}': do not "
            "use this file, get the official archive"
        )
    # macOS leaves stubs named ._X beside X.
    return not entry.is_dir() and not name.name.startswith(".") and fnmatch(name.name, pattern)
