"""Getting one file: from its host, with downloads that resume, or from a mirror; always checked."""

import hashlib
import os
import re
from collections.abc import Sequence
from itertools import chain
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


def fetch(file: RemoteFile, folder: Path) -> Path | None:
    """The verified file on disk, downloaded into `folder` if need be; None for one that is only inside an archive.

    It must have the official checksum or, where the host publishes none, the one recorded in
    `folder`/SHA256SUMS at its first download.

    Raises:
        StudyError: no network, no space, no such file, or a checksum that differs.
    """
    if not file.urls:
        return None
    path = folder / file.name
    if not path.exists():
        _download_from_any(file, path)
    _check_downloaded(file, path)
    return path


def is_url(mirror: str | Path) -> bool:
    """Whether a mirror is a URL prefix, and not a folder."""
    return re.match(r"https?://", str(mirror)) is not None


def copy_mirror(files: Sequence[RemoteFile], folder: Path, mirror: str) -> Path:
    """A folder below `folder` for this mirror alone, with its SHA256SUMS and what it holds of some files.

    Raises:
        StudyError: no network, no space, or a file that must be there is not.
    """
    mirror = mirror.rstrip("/")
    store = folder / f"mirror-{hashlib.sha256(mirror.encode()).hexdigest()[:8]}"
    lacking = [file for file in files if find(file, store) is None]
    if lacking:
        (store / SUMS).unlink(missing_ok=True)  # its list may have got a line since
        _copy_first([SUMS], store, mirror)
    answers = {file.name: _copy_first((file.name, *file.aliases), store, mirror) for file in lacking}
    here = [file for file in files if find(file, store)]
    for file in lacking:
        if file not in here and not can_do_without(file, here):
            raise StudyError(
                f"{file.name} is not on the mirror {mirror} ({answers[file.name]}): add it, or unset DATA_MIRROR to "
                "download the official file"
            )
    return store


def find(file: RemoteFile, folder: Path) -> Path | None:
    """A file in a folder, under its official name or another that is known."""
    return next((folder / name for name in (file.name, *file.aliases) if (folder / name).is_file()), None)


def can_do_without(file: RemoteFile, here: Sequence[RemoteFile]) -> bool:
    """Whether a file need not be there: optional, or inside an archive, or what is inside it lies beside it."""
    return file.optional or file.inside is not None or any(other.inside == file.name for other in here)


def proven(file: RemoteFile, folder: Path, memory: Path) -> Path | None:
    """The file of a mirror, if its checksum is the official one or the one in the mirror's own SHA256SUMS.

    Raises:
        StudyError: SHA256SUMS lists another checksum.
    """
    path = find(file, folder)
    if path is None or is_official(file, path, memory):
        return path
    listed = read_sums(folder).get(path.name)
    if listed not in (None, got := checksum(path, memory)):
        raise _differs(path, f"{listed} (by the mirror's {SUMS})", got, "copy it anew from its source")
    return None if listed is None else path


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


def _differs(path: Path, expected: str, got: str, remedy: str) -> StudyError:
    return StudyError(f"the checksum of {path} differs: expected {expected}, got {got}; delete it and {remedy}")


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


def _copy_first(names: Sequence[str], store: Path, mirror: str) -> str | None:
    """Copy the first of some names that a mirror has; None, or why it has none of them."""
    for name in names:
        try:
            return _download(f"{mirror}/{name}", store / name)
        except FileNotFoundError as error:
            answer = str(error)
    return answer


def _download(url: str, path: Path, md5: str | None = None) -> None:
    """Download to `path`, which appears complete and checked; FileNotFoundError if it, or only a page, is there."""
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
        if have and not response.headers.get("Content-Range", f"bytes {have}-").startswith(f"bytes {have}-"):
            part.unlink()  # another range than was asked for
            return _stream(url, part, 0)
        blocks = response.iter_content(_BLOCK)
        head = next(blocks, b"")
        if not have and _is_page(response, head):
            raise FileNotFoundError(f"{url} answers with a page instead of the file: does it want a login?")
        left = int(response.headers.get("Content-Length", 0))
        check_space(left, part.parent, part.stem)
        bar = tqdm(total=have + left, initial=have, desc=part.stem, unit="B", unit_scale=True, leave=False)
        with open(part, "ab" if have else "wb") as sink, bar:
            for block in chain([head], blocks):
                sink.write(block)
                bar.update(len(block))


def _is_page(response: requests.Response, head: bytes) -> bool:
    """Whether an answer is HTML, which hosts and proxies give for files with the status of success."""
    kind = response.headers.get("Content-Type", "")
    return kind.startswith("text/html") or head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html"))
