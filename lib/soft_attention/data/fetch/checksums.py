"""Checksums of files: computed once, remembered until the file changes; SHA256SUMS lists."""

import codecs
import hashlib
import json
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from tqdm.auto import tqdm

from soft_attention.errors import StudyError
from soft_attention.files import atomic, read_memory

SUMS = "SHA256SUMS"
_BLOCK = 1 << 20
_LINE = re.compile(r"\\?([0-9a-fA-F]{64})\s+\*?(.+)")  # as sha256sum writes it
_ABOVE = re.compile(r"^((\.[/\\])+|([A-Za-z]:)?[/\\](.*[/\\])?)")  # ./NAME, or the whole path of a file
_TAGGED = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")  # as sha256sum --tag and BSD write it


def checksum(path: Path, memory: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file, remembered in the folder `memory` while its size and time stay."""
    return checksums([path], memory, algorithm)[path]


def checksums(paths: Iterable[Path], memory: Path, algorithm: str) -> dict[Path, str]:
    """`checksum` of many files, the memory being read and written once; `algorithm` may also be "crc32"."""
    record = memory / ".checksums.json"
    known = read_memory(record)
    found, new = {}, False
    for path in paths:
        key, stat = f"{algorithm}:{path.resolve()}", path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        if known.get(key, [])[:2] != stamp:
            known[key], new = [*stamp, _digest(path, algorithm)], True
        found[path] = known[key][2]
    if new:
        with atomic(record) as temporary:
            temporary.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    return found


def read_sums(folder: Path) -> dict[str, str]:
    """The folder's SHA256SUMS as name -> digest: as `sha256sum` writes it, in UTF-8 or, with its mark, UTF-16.

    Raises:
        StudyError: a line that is neither a checksum, empty nor a comment (#).
    """
    path = folder / SUMS
    content = path.read_bytes() if path.exists() else b""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        lines = content.decode("utf-16" if wide else "utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StudyError(f"{path} is no text in UTF-8 ({error}): write it anew with sha256sum") from error
    return dict(_read_line(line.strip(), path) for line in lines if line.strip() and not line.startswith("#"))


def _read_line(line: str, path: Path) -> tuple[str, str]:
    if match := _LINE.fullmatch(line):
        digest, name = match.groups()
    elif match := _TAGGED.fullmatch(line):
        name, digest = match.groups()
    else:
        raise StudyError(f"{path}: the line {line[:60]!r} is no checksum: write the list anew with sha256sum")
    return _ABOVE.sub("", name), digest.lower()


def record_sum(path: Path, digest: str) -> None:
    """Add or renew a file's line in the SHA256SUMS beside it."""
    sums = {**read_sums(path.parent), path.name: digest}
    with atomic(path.parent / SUMS) as temporary:
        temporary.write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)), encoding="utf-8")


class _Crc32:
    """The CRC-32 that zip archives list for what they hold, with the methods of a hash."""

    value = 0

    def update(self, block: bytes) -> None:
        self.value = zlib.crc32(block, self.value)

    def hexdigest(self) -> str:
        return f"{self.value:08x}"


def _digest(path: Path, algorithm: str) -> str:
    digest = _Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)
    size = path.stat().st_size
    bar = tqdm(total=size, desc=f"checking {path.name}", unit="B", unit_scale=True, leave=False, delay=1)
    with open(path, "rb") as stream, bar:
        while block := stream.read(_BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()
