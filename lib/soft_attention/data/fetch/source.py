"""One data set's files: fetched from its hosts or a mirror, unpacked, and read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd
from PIL import Image

from soft_attention.data.catalog import DatasetInfo
from soft_attention.data.fetch.archives import extract, open_archive
from soft_attention.data.fetch.download import fetch, is_official
from soft_attention.data.manifest import read_table
from soft_attention.errors import StudyError

_MASK_SUFFIX = "_segmentation"
_LOOKED_AT = 100  # images whose size is read to describe a mirror


@dataclass(frozen=True)
class Source:
    """Where the files of a data set come from (`mirror`, or else its hosts) and go to (`folder`)."""

    info: DatasetInfo
    folder: Path
    mirror: str | Path | None = None

    def fetch(self, name: str) -> Path | None:
        return fetch(self.info.file(name), self.folder, self.mirror)

    def table(self, name: str, columns: list[str]) -> pd.DataFrame | None:
        """A CSV by its official name, alone or inside its archive; None if optional and absent."""
        file = self.info.file(name)
        if (path := self.fetch(name)) is not None:
            return read_table(path, columns)
        archive_path = self.fetch(file.inside)
        with open_archive(archive_path) as archive:
            entries = [entry for entry in archive.namelist() if PurePosixPath(entry).name == name]
            if entries:
                with archive.open(entries[0]) as stream:
                    return read_table(stream, columns, f"{name} in {archive_path}")
        if file.optional:
            return None
        raise StudyError(f"{archive_path} holds no {name}: get the official archive")

    def images(self, archives: Sequence[str]) -> dict[str, str]:
        """Unpack the JPEGs of archives into `folder`/images; file by image identifier."""
        folder = self.folder / "images"
        extract([self.fetch(name) for name in archives], folder, "*.jpg")
        return {path.stem: str(path) for path in sorted(folder.glob("*.jpg"))}

    def masks(self, archives: Sequence[str]) -> dict[str, str]:
        """Unpack the lesion masks, as far as there are, into `folder`/masks; file by image."""
        folder = self.folder / "masks"
        present = [path for name in archives if (path := self.fetch(name)) is not None]
        if not present:
            return {}
        extract(present, folder, f"*{_MASK_SUFFIX}.png")
        paths = sorted(folder.glob("*.png"))
        return {path.stem.removesuffix(_MASK_SUFFIX): str(path) for path in paths}

    def pixels(self, archives: Sequence[str], images: dict[str, str]) -> str:
        """What the pixels are: "official", or "mirror" with the size its images really have."""
        files = [self.info.file(name) for name in archives]
        if self.mirror is None or all(is_official(f, self.fetch(f.name), self.folder) for f in files):
            return "official"
        sizes = {_size(path) for path in list(images.values())[:_LOOKED_AT]}
        return f"mirror ({sizes.pop()} px)" if len(sizes) == 1 else "mirror (images of several sizes)"


def _size(path: str) -> str:
    try:
        with Image.open(path) as image:
            return f"{image.width}x{image.height}"
    except OSError as error:
        raise StudyError(f"{path} cannot be read as an image: get its archive anew") from error
