"""One data set's files: from its hosts, a mirror or a person's own copy; examined, unpacked, and read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.fetch.download import can_do_without, copy_mirror, fetch, find, is_official, is_url, proven
from soft_attention.data.fetch.layouts import Layout, Place, differing, gather, image_of, look, mask_of
from soft_attention.data.fetch.tables import Rows, first, rows, without_row
from soft_attention.data.images import stored_size
from soft_attention.errors import StudyError

_LOOKED_AT = 100  # images whose size is read to describe a mirror


class Files(NamedTuple):
    """The files at hand by the part they play, and what they are: "official", "mirror" or "own copy"."""

    layout: Layout
    what: str


@dataclass(frozen=True)
class Source:
    """Where the files of a data set come from (`mirror`, or else its hosts) and go to (`folder`)."""

    info: DatasetInfo
    folder: Path
    mirror: str | Path | None = None

    @cached_property
    def files(self) -> Files:
        """The official files, proved by checksums; or else everything in a folder, for its content to prove.

        Raises:
            StudyError: no such folder, no network, no space, or a checksum that differs.
        """
        info, memory = self.info, self.folder
        if self.mirror is None:
            paths = [path for file in info.files if (path := fetch(file, memory)) is not None]
            return Files(look(*paths), "official")
        at = copy_mirror(info.files, memory, str(self.mirror)) if is_url(self.mirror) else _folder(self.mirror)
        here = {file: path for file in info.files if (path := proven(file, at, memory)) is not None}
        if not all(file in here or (not find(file, at) and can_do_without(file, list(here))) for file in info.files):
            return Files(look(at), "own copy")
        official = all(is_official(file, path, memory) for file, path in here.items() if file.has_images)
        return Files(look(*here.values(), *sorted(at.glob("*metadata.csv"))), "official" if official else "mirror")

    @cached_property
    def examined(self) -> tuple[Rows | None, list[str]]:
        """What the tables say of the images (None: they cannot be used), and all that is wrong with the files."""
        info, layout = self.info, self.files.layout
        problems, found = [], None
        try:
            found = rows(info, layout)
        except StudyError as error:
            problems.append(str(error))
        ids = info.ids or ([] if found is None else sorted(found.table["image_id"]))
        if missing := set(ids) - set(layout.images):
            problems.append(
                f"{info.title}: {len(missing):,} of {len(ids):,} images are missing {first(missing)}{self._absent()}"
            )
        if problems:
            problems += layout.unusable
        for kind, places in (("images", layout.images), ("masks", layout.masks)):
            if unlike := differing(places, ids, self.folder):
                one, other = next(iter(unlike.values()))[:2]
                problems.append(
                    f"{info.title}: {len(unlike):,} {kind} lie twice with other bytes {first(unlike)}, say {one} and "
                    f"{other}: leave one of them in the folder"
                )
        return found, problems

    @property
    def rows(self) -> Rows:
        """What the tables say of the images, each of which is there.

        Raises:
            StudyError: what is missing, too much, or not as published.
        """
        found, problems = self.examined
        if found is None or problems:
            remedy = "mend that, or unset DATA_MIRROR to download the official files" if self.mirror else "mend that"
            raise StudyError(f"{'; '.join(problems)} (looked in {self.mirror or self.folder}: {remedy})")
        return found

    def notes(self) -> list[str]:
        """What is to be said of the rows and of what is left out, in sentences."""
        info, layout = self.info, self.files.layout
        notes = [f"{info.title}: {i} is left out: {why}" for i, why in info.left_out.items() if i in layout.images]
        if self.files.what == "own copy" and (others := without_row(layout)):
            notes.append(f"{len(others):,} images have no row in any table and are left out {first(others)}")
        return self.rows.notes + notes

    def images(self) -> dict[str, str]:
        """The image files by identifier, unpacked into `folder`/images where they lie in archives."""
        return self._gather(self.files.layout.images, "images", image_of, ".jpg")

    def masks(self) -> dict[str, str]:
        """The files of lesion masks, as far as there are, by image; unpacked into `folder`/masks."""
        return self._gather(self.files.layout.masks, "masks", mask_of, "_segmentation.png")

    def pixels(self, images: Sequence[Place]) -> str:
        """What the pixels are: "official", or "mirror" or "own copy" with the size that the `images` really have."""
        what = self.files.what
        if what == "official":
            return what
        sizes = set(map(_size, images[:_LOOKED_AT]))
        return f"{what} ({sizes.pop()} px)" if len(sizes) == 1 else f"{what} (images of several sizes)"

    def _gather(self, places: dict[str, list[Place]], folder: str, of: Callable, suffix: str) -> dict[str, str]:
        # The archives of one data set must hold nothing else, so there an image without a row is found later.
        own = self.files.what == "own copy"
        wanted = frozenset(self.rows.table["image_id"] if own else set(places).difference(self.info.left_out))

        def name(base: str) -> str | None:
            return f"{of(base)}{suffix}" if of(base) in wanted else None

        return gather(places, sorted(wanted), self.folder / folder, name)

    def _absent(self) -> str:
        """Names the official archives of images that are not among the files at hand."""
        have = {name.lower() for name in self.files.layout.archives}
        files = [file for file in self.info.files if file.has_images]
        absent = [f.name for f in files if have.isdisjoint(name.lower() for name in (f.name, *f.aliases))]
        return f", which {' or '.join(absent)} would have" if absent else ""


def _folder(mirror: str | Path) -> Path:
    folder = Path(mirror).expanduser().absolute()
    if not folder.is_dir():
        raise StudyError(f"the mirror {folder} is not a folder: correct DATA_MIRROR or unset it")
    return folder


def _size(place: Place) -> str:
    with place.open() as stream:
        width, height = stored_size(str(place), stream)
    return f"{width}x{height}"
