"""Zip archives, unpacked safely: never outside, never half, never two sources in one folder, never without end."""

import json
import lzma
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm.auto import tqdm

from soft_attention.data.fetch.checksums import checksum
from soft_attention.errors import StudyError
from soft_attention.files import leftovers, read_memory, temporary_name

MARKER = ".made_from.json"
_ENCRYPTED = 0x41  # flag bits of an entry: any encryption, strong encryption
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_LONGEST_NAME = 255  # bytes, of one file on any usual disk
_MAX_RATIO = 20  # of what an archive holds to its own size: photos and masks hardly shrink, a table does by 10
_ALWAYS_ALLOWED = 64 << 20  # bytes
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError)


def extract(archives: Sequence[Path], folder: Path, name: Callable[[str], str | None] = str) -> None:
    """Unpack entries of zip archives, flat, into `folder`; what comes twice with the same bytes is unpacked once.

    The folder appears complete or not at all. It remembers the checksums of its archives; if it
    was made from others (a mirror, say), it is made anew, so two sources never mix. The caller holds the lock of
    the folder above: what a killed attempt left there is removed.

    Args:
        archives: zip files.
        folder: where to.
        name: gives the name on disk for the base name of an entry, None for one that is not wanted.

    Raises:
        StudyError: a damaged or encrypted archive, one packed in another way than Python knows, a wanted entry that
            points outside or comes twice with other bytes, more bytes than such an archive can hold, no space.
    """
    different: dict[str, Path] = {}  # by checksum: people keep an archive twice
    for path in archives:
        different.setdefault(checksum(path, folder.parent), path)
    names = [path.name for path in different.values()]
    made_from = {str(p) if names.count(p.name) > 1 else p.name: digest for digest, p in different.items()}
    marker = folder / MARKER
    if read_memory(marker) == made_from:
        return
    for stale in leftovers(folder):
        shutil.rmtree(stale)
    temporary = temporary_name(folder)
    temporary.mkdir(parents=True)
    try:
        unpacked: dict[str, tuple[int, int]] = {}
        for archive in different.values():
            _unpack(archive, temporary, name, unpacked)
        (temporary / MARKER).write_text(json.dumps(made_from, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def entries(path: Path, name: Callable[[str], str | None] = str) -> list[tuple[str, zipfile.ZipInfo]]:
    """The wanted entries of an archive with their names on disk, as for `extract`; StudyError if it is unusable."""
    with open_archive(path) as archive:
        files = [(_parts(entry)[-1], entry) for entry in archive.infolist() if _parts(entry)[-1]]
    shown = [(base, entry) for base, entry in files if not base.startswith(".")]  # macOS leaves ._X beside X
    wanted = [(target, entry) for base, entry in shown if (target := name(base)) is not None]
    for _, entry in wanted:
        _check_method(entry, path)
    _check_size(path, sum(entry.file_size for _, entry in wanted))
    return wanted


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive; damage found in it, then or later, is a StudyError that names it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _BROKEN as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is None:  # what the decompressor of bzip2 says
            raise _damaged(path, error) from error
        raise StudyError(f"cannot unpack {path}: {error.strerror} ({error.filename or 'its target'})") from error


def check_space(needed: int, folder: Path, what: str) -> None:
    """StudyError if `folder` has fewer than `needed` bytes left for `what`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StudyError(
            f"no space for {what}: it needs {needed / 1e9:.2f} GB and {folder} has "
            f"{free / 1e9:.2f} GB left; free some, or set DATA_DIR to a folder on another disk"
        )


def _damaged(path: Path, error: Exception) -> StudyError:
    return StudyError(f"the archive {path} is damaged ({error}): delete it and get it anew")


def _unpack(path: Path, folder: Path, name: Callable, unpacked: dict[str, tuple[int, int]]) -> None:
    """Unpack one archive; `unpacked` has the length and CRC-32 of every file that is there already."""
    wanted = entries(path, name)
    for _, entry in wanted:
        _check_place(entry, path)
    check_space(sum(entry.file_size for _, entry in wanted), folder, f"what {path.name} holds")
    with open_archive(path) as archive:
        for target, entry in tqdm(wanted, desc=f"unpacking {path.name}", leave=False, delay=1):
            content = (entry.file_size, entry.CRC)
            if unpacked.setdefault(target, content) != content:
                raise StudyError(f"{target} comes twice in {path}, with other bytes: get the official archive")
            if not (folder / target).exists():
                with archive.open(entry) as source, open(folder / target, "wb") as sink:
                    shutil.copyfileobj(source, sink)


def _check_place(entry: zipfile.ZipInfo, path: Path) -> None:
    """StudyError for an entry that would leave the folder it is unpacked into, or whose name no disk takes."""
    parts = _parts(entry)
    if not parts[0] or ".." in parts or re.match("[A-Za-z]:", parts[0]):
        raise StudyError(
            f"{path} holds an entry that points outside its folder, '{entry.filename}': do not "
            "use this file, get the official archive"
        )
    if len(parts[-1].encode()) > _LONGEST_NAME:
        raise StudyError(f"{path} holds an entry whose name is too long for a file, '{parts[-1][:40]}...': rename it")


def _check_method(entry: zipfile.ZipInfo, path: Path) -> None:
    """StudyError for an entry that cannot be unpacked here."""
    if entry.flag_bits & _ENCRYPTED:
        raise StudyError(f"{path} is protected by a password: unpack it and give the folder, or pack it without one")
    if entry.compress_type not in _METHODS:
        method = zipfile.compressor_names.get(entry.compress_type, f"number {entry.compress_type}")
        raise StudyError(
            f"{path} is packed by the method {method}, which Python cannot unpack (Windows' own packer uses deflate64 "
            "above 2 GB): unpack it with the program that made it and give the folder, or pack it anew with another"
        )


def _check_size(path: Path, held: int) -> None:
    """StudyError for an archive that claims to hold more bytes than photos, masks and tables can shrink by."""
    size = path.stat().st_size
    if held > max(_ALWAYS_ALLOWED, _MAX_RATIO * size):
        raise StudyError(
            f"{path} has {size / 1e6:.1f} MB and would unpack to {held / 1e6:,.0f} MB, more than {_MAX_RATIO} times as "
            "much: do not use this file, get the official archive"
        )


def _parts(entry: zipfile.ZipInfo) -> list[str]:
    """An entry's name in its parts; Windows writes some with backslashes."""
    return entry.filename.replace("\\", "/").split("/")
