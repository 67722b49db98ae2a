"""Getting one file: from its host, with downloads that resume, or from a mirror; always checked."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

import pooch
import requests
from tqdm.auto import tqdm

from soft_attention.data.catalog import RemoteFile
from soft_attention.data.fetch.archives import check_space
from soft_attention.data.fetch.checksums import SUMS, checksum, read_sums, record_sum
from soft_attention.errors import StudyError

_BLOCK = 1 << 16
_RETRIES = 2
_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte
_ABSENT = (403, 404, 410)  # object stores answer 403 for a name they do not hold
_BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
)


def fetch(file: RemoteFile, folder: Path, mirror: str | Path | None = None) -> Path | None:
    """The verified file on disk, downloaded into `folder` if need be.

    A mirror is a folder, used in place, or a URL prefix that holds files with the official names.
    Each of its files must have the official checksum or the one in the mirror's own SHA256SUMS;
    where there is neither, it is taken as it is.
    Without a mirror, a file must have the official checksum or, where the host publishes none,
    the one recorded in `folder`/SHA256SUMS at its first download.

    Returns:
        The path, or None if the source has no such file and it is optional or inside an archive.

    Raises:
        StudyError: no network, no space, no such file, or a checksum that differs.
    """
    if mirror is not None:
        return _from_mirror(file, folder, mirror)
    if not file.urls:
        return None
    path = folder / file.name
    if not path.exists():
        _download_from_any(file, path)
    _check_downloaded(file, path)
    return path


def is_official(file: RemoteFile, path: Path, memory: Path) -> bool:
    """Whether `path` has the checksum that its host publishes; False if the host has none."""
    if file.md5 is None or file.size not in (None, path.stat().st_size):
        return False
    return checksum(path, memory, "md5") == file.md5


# Checks


def _check_downloaded(file: RemoteFile, path: Path) -> None:
    recorded, got = read_sums(path.parent).get(path.name), checksum(path, path.parent)
    if recorded == got:
        return
    if recorded is not None:
        recorded += f" (recorded in {SUMS} at its first download)"
        raise _differs(path, recorded, got, "run again; if the host did change it, delete that line")
    if file.md5 and not is_official(file, path, path.parent):
        got = f"md5 {checksum(path, path.parent, 'md5')}"
        raise _differs(path, f"md5 {file.md5}", got, "run again to download it anew")
    record_sum(path, got)


def _check_mirrored(file: RemoteFile, path: Path, memory: Path) -> None:
    listed = read_sums(path.parent).get(path.name)
    nothing_to_compare = listed is None and file.md5 is None
    if nothing_to_compare or is_official(file, path, memory):
        return
    got = checksum(path, memory)
    if got != listed:
        expected = listed or f"md5 {file.md5}, or a line for it in the mirror's {SUMS}"
        raise _differs(path, expected, got, "copy it anew from its source")


def _differs(path: Path, expected: str, got: str, remedy: str) -> StudyError:
    return StudyError(f"the checksum of {path} differs: expected {expected}, got {got}; delete it and {remedy}")


# Mirrors


def _from_mirror(file: RemoteFile, folder: Path, mirror: str | Path) -> Path | None:
    names = (file.name, *file.aliases)
    if re.match(r"https?://", str(mirror)):
        store = _local_copy(names, folder, str(mirror).rstrip("/"))
    else:
        store = Path(mirror).expanduser()
        if not store.is_dir():
            raise StudyError(f"the mirror {store} is not a folder: correct DATA_MIRROR or unset it")
    path = next((store / name for name in names if (store / name).is_file()), None)
    if path is not None:
        _check_mirrored(file, path, folder)
    elif not (file.optional or file.inside):
        raise StudyError(
            f"{file.name} is not on the mirror {mirror}: add it, or unset DATA_MIRROR to download the official file"
        )
    return path


def _local_copy(names: Sequence[str], folder: Path, mirror: str) -> Path:
    """A folder for this mirror's files, apart from official ones, with the first of `names`."""
    store = folder / f"mirror-{hashlib.sha256(mirror.encode()).hexdigest()[:8]}"
    if not any((store / name).exists() for name in names):
        (store / SUMS).unlink(missing_ok=True)  # its list may have got a line since
        for wanted in ([SUMS], names):
            any(_present(f"{mirror}/{name}", store / name) for name in wanted)
    return store


def _present(url: str, path: Path) -> bool:
    if not path.exists():
        try:
            _download(url, path)
        except FileNotFoundError:
            return False
    return True


# Downloads


def _download_from_any(file: RemoteFile, path: Path) -> None:
    for url in file.urls:
        try:
            return _download(url, path, file.md5)
        except (StudyError, FileNotFoundError) as error:
            problem = error
    raise StudyError(
        f"{problem}; or put the file, under its name, into a folder and set DATA_MIRROR to it"
    ) from problem


def _download(url: str, path: Path, md5: str | None = None) -> None:
    """Download to `path`, which appears complete and checked; FileNotFoundError if not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")

    def resume_into(url, temporary, _manager):
        _resume(url, part)
        os.replace(part, temporary)

    manager = pooch.Pooch(
        path.parent,
        base_url="",
        registry={path.name: md5 and f"md5:{md5}"},
        urls={path.name: url},
        retry_if_failed=_RETRIES,
    )
    try:
        manager.fetch(path.name, downloader=resume_into)
    except requests.RequestException as error:
        kept = part.stat().st_size if part.exists() else 0
        raise StudyError(
            f"cannot download {path.name} from {url} ({error}): connect and run again, it "
            f"continues after the {kept:,} bytes that are here"
        ) from error
    except ValueError as error:  # from pooch: another checksum; it has deleted the file
        problem = str(error).split(". ")[0]
        raise StudyError(f"{url}: {problem}; run again to download it anew") from error


def _resume(url: str, part: Path) -> None:
    """Stream into `part`, again after each break for as long as a try brings new bytes."""
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            return _stream(url, part, before)
        except _BROKEN:
            if not part.exists() or part.stat().st_size <= before:
                raise


def _stream(url: str, part: Path, have: int) -> None:
    headers = {"User-Agent": "soft-attention-study", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code in _ABSENT:
            raise FileNotFoundError(f"{url} answers {response.status_code}: not there or not public")
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            if response.headers.get("Content-Range") == f"bytes */{have}":
                return  # all of it was here
            part.unlink()  # longer than the file on the server: start anew
            return _stream(url, part, 0)
        response.raise_for_status()
        have = have if response.status_code == requests.codes.partial_content else 0
        left = int(response.headers.get("Content-Length", 0))
        check_space(left, part.parent, part.stem)
        bar = tqdm(total=have + left, initial=have, desc=part.stem, unit="B", unit_scale=True, leave=False)
        with open(part, "ab" if have else "wb") as sink, bar:
            for block in response.iter_content(_BLOCK):
                sink.write(block)
                bar.update(len(block))
