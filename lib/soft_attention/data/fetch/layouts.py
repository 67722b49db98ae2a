"""What lies in a folder, by the part it plays: images and lesion masks by image, and tables.

Files may lie loose at any depth or in zip archives, with suffixes in any case.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple
from zipfile import ZipInfo

from soft_attention.data.fetch.archives import MARKER, entries, extract, open_archive
from soft_attention.data.fetch.checksums import checksums
from soft_attention.errors import StudyError
from soft_attention.files import files_below

_IMAGE = re.compile(r"(.+)\.jpe?g", re.IGNORECASE)
_MASK = re.compile(r"(.+)_segmentation\.png", re.IGNORECASE)
_LONGEST_HEADER = 1 << 16  # bytes
_TABLE = re.compile(r".+\.(csv|tab|tsv)|[^.]*(metadata|groundtruth|lesiongroupings)", re.IGNORECASE)


class Place(NamedTuple):
    """Where one file lies: at `path`, or as an entry of the archive there."""

    path: Path
    entry: ZipInfo | None = None

    def __str__(self) -> str:
        return f"{self.entry.filename} in {self.path}" if self.entry else str(self.path)

    @property
    def name(self) -> str:
        """The base name of the file."""
        return self.entry.filename.replace("\\", "/").split("/")[-1] if self.entry else self.path.name

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The file, open to read; StudyError if it may not be read, or its archive is damaged."""
        if self.entry is None:
            try:
                stream = open(self.path, "rb")  # noqa: SIM115
            except OSError as error:
                raise StudyError(f"{self.path} cannot be read: {error.strerror}") from error
            with stream:
                yield stream
        else:
            with open_archive(self.path) as archive, archive.open(self.entry) as stream:
                yield stream


class Table(NamedTuple):
    """What may be a table: where it lies, its delimiter and the names in its first line."""

    place: Place
    delimiter: str
    columns: frozenset[str]

    @classmethod
    def at(cls, place: Place) -> "Table":
        with place.open() as stream:
            line = stream.readline(_LONGEST_HEADER).decode("utf-8-sig", errors="replace").rstrip("\r\n")
        delimiter = "\t" if "\t" in line else ","
        return cls(place, delimiter, frozenset(next(csv.reader([line], delimiter=delimiter), ())))


@dataclass
class Layout:
    """Files by the part they play; an image or a mask may lie at several places.

    Attributes:
        images: the places of each image, by its identifier.
        masks: the places of each lesion mask, by the identifier of its image.
        tables: what may be a table, loose ones first.
        archives: names of the archives that were looked into.
        unusable: what is wrong with archives that could not be.
    """

    images: dict[str, list[Place]] = field(default_factory=dict)
    masks: dict[str, list[Place]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    archives: list[str] = field(default_factory=list)
    unusable: list[str] = field(default_factory=list)

    def add(self, name: str, place: Place) -> None:
        """Note a file by its base name."""
        if (mask := mask_of(name)) is not None:
            self.masks.setdefault(mask, []).append(place)
        elif (image := image_of(name)) is not None:
            self.images.setdefault(image, []).append(place)
        elif _TABLE.fullmatch(name):
            self.tables.append(Table.at(place))


def look(*paths: Path) -> Layout:
    """The files at `paths` and in the folders and archives there; folders that this study unpacked are passed over."""
    layout = Layout()
    for path in dict.fromkeys(chain.from_iterable(map(_files, paths))):
        if path.suffix.lower() != ".zip":
            layout.add(path.name, Place(path))
            continue
        try:
            for name, entry in entries(path, _with_a_part):
                layout.add(name, Place(path, entry))
            layout.archives.append(path.name)
        except StudyError as error:
            layout.unusable.append(str(error))
    layout.tables.sort(key=lambda table: table.place.entry is not None)
    return layout


def image_of(name: str) -> str | None:
    """The identifier of the image in a file of this name, None for another file."""
    return match[1] if (match := _IMAGE.fullmatch(name)) else None


def mask_of(name: str) -> str | None:
    """The identifier of the image whose lesion mask a file of this name is, None for another file."""
    return match[1] if (match := _MASK.fullmatch(name)) else None


def _with_a_part(name: str) -> str | None:
    return name if any(part.fullmatch(name) for part in (_IMAGE, _MASK, _TABLE)) else None


def differing(places: Mapping[str, list[Place]], ids: Iterable[str], memory: Path) -> dict[str, list[Place]]:
    """Those of `ids` that lie at several places with unlike bytes (by length and CRC-32, which archives list)."""
    several = {key: places[key] for key in ids if len(places.get(key, ())) > 1}
    loose = [place.path for found in several.values() for place in found if place.entry is None]
    sums = checksums(loose, memory, "crc32")

    def content(place: Place) -> tuple[int, str]:
        if place.entry is not None:
            return place.entry.file_size, f"{place.entry.CRC:08x}"
        return place.path.stat().st_size, sums[place.path]

    return {key: found for key, found in several.items() if len(set(map(content, found))) > 1}


def gather(
    places: Mapping[str, list[Place]], ids: Iterable[str], folder: Path, name: Callable[[str], str | None]
) -> dict[str, str]:
    """Files by identifier, as far as there are: loose ones where they lie, the others unpacked into `folder`.

    Args:
        places: of each identifier.
        ids: those that are wanted.
        folder: for what lies in archives.
        name: gives the name on disk for the base name of an entry, None for one that is not wanted.
    """
    ids = [key for key in ids if key in places]
    files = {key: str(place.path) for key in ids for place in reversed(places[key]) if place.entry is None}
    packed = {key: places[key][0] for key in ids if key not in files}
    archives = dict.fromkeys(place.path for key in packed for place in places[key])
    if archives:
        extract(list(archives), folder, name)
    return files | {key: str(folder / name(place.name)) for key, place in packed.items()}


def _files(path: Path) -> Iterator[Path]:
    """A file itself, or the files in a folder but for what was unpacked there."""
    return iter([path]) if path.is_file() else files_below(path, skip=lambda names: MARKER in names)
