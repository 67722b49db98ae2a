"""Checksums of files: computed once, remembered until the file changes; SHA256SUMS lists."""

import hashlib
import json
from pathlib import Path

from tqdm.auto import tqdm

from soft_attention.files import atomic

SUMS = "SHA256SUMS"
_BLOCK = 1 << 20


def checksum(path: Path, memory: Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file, remembered in the folder `memory` while its size and time stay."""
    record = memory / ".checksums.json"
    known = json.loads(record.read_text()) if record.exists() else {}
    key, stat = f"{algorithm}:{path.resolve()}", path.stat()
    stamp = [stat.st_size, stat.st_mtime_ns]
    if known.get(key, [])[:2] != stamp:
        known[key] = [*stamp, _digest(path, algorithm)]
        with atomic(record) as temporary:
            temporary.write_text(json.dumps(known, indent=1, sort_keys=True))
    return known[key][2]


def read_sums(folder: Path) -> dict[str, str]:
    """The folder's SHA256SUMS, in the format of the command `sha256sum`, as name -> digest."""
    path = folder / SUMS
    lines = path.read_text().splitlines() if path.exists() else []
    pairs = (line.split(maxsplit=1) for line in lines)
    return {pair[1].lstrip("*"): pair[0].lower() for pair in pairs if len(pair) == 2}


def record_sum(path: Path, digest: str) -> None:
    """Add or renew a file's line in the SHA256SUMS beside it."""
    sums = {**read_sums(path.parent), path.name: digest}
    with atomic(path.parent / SUMS) as temporary:
        temporary.write_text("".join(f"{sums[name]}  {name}\n" for name in sorted(sums)))


def _digest(path: Path, algorithm: str) -> str:
    digest, size = hashlib.new(algorithm, usedforsecurity=False), path.stat().st_size
    bar = tqdm(total=size, desc=f"checking {path.name}", unit="B", unit_scale=True, leave=False, delay=1)
    with open(path, "rb") as stream, bar:
        while block := stream.read(_BLOCK):
            digest.update(block)
            bar.update(len(block))
    return digest.hexdigest()
