"""Says beforehand whether a folder holds the public data sets:

    python -m soft_attention.data.fetch.check [FOLDER] [SET ...]

Without FOLDER it is DATA_MIRROR. Nothing is unpacked. The exit status is 0 if every SET that is named will do, or,
where none is named, at least one that can be trained on.
"""

import argparse
import sys

from soft_attention import files, paths
from soft_attention.data.catalog import CATALOG, DATASETS
from soft_attention.data.fetch.source import Source
from soft_attention.errors import StudyError

_LOOKED_AT = 10  # images whose size is read: in an archive each takes a while
_PUBLISHED = [info for info in CATALOG.values() if info.files]


def check(folder: str, name: str) -> tuple[bool, str]:
    """Whether one data set is all in a folder, and what to say of it, for the terminal."""
    will_do, (title, *lines) = _examined(folder, name)
    return will_do, "\n".join([title, *(f"  {line.removeprefix(f'{CATALOG[name].title}: ')}" for line in lines)])


def _examined(folder: str, name: str) -> tuple[bool, list[str]]:
    info = CATALOG[name]
    source = Source(info, paths.data_dir() / name, folder)
    with files.one_at_a_time(source.folder):
        try:
            found, problems = source.examined
            if found is not None and not problems:
                return True, _described(source, found)
        except StudyError as error:
            problems = [str(error)]
        return False, [f"{info.title}: will not do", *problems]


def _described(source: Source, found) -> list[str]:
    ids, layout = found.table["image_id"], source.files.layout
    masks = sum(image in layout.masks for image in ids)
    lesions = found.table["lesion_id"].nunique()
    pixels = source.pixels([layout.images[image][0] for image in sorted(ids)[:_LOOKED_AT]])
    facts = f"{len(ids):,} images, {masks:,} masks, {lesions:,} lesions; labels from {found.named}"
    return [f"{source.info.title}: will do as {pixels}", facts, *source.notes()]


def main(arguments: list[str] | None = None) -> int:
    """Print what a folder holds and lacks; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument(
        "folder", nargs="?", default=paths.data_mirror(), help="a folder or URL; by default DATA_MIRROR"
    )
    parser.add_argument("sets", nargs="*", metavar="set", help=", ".join(info.name for info in _PUBLISHED))
    given = parser.parse_args(arguments)
    names = [info.name for info in _PUBLISHED]
    if given.folder is None or not set(given.sets) <= set(names):
        parser.error(f"give a folder, or set DATA_MIRROR; and of the sets any of {', '.join(names)}")
    good = set()
    for name in given.sets or names:
        will_do, said = check(given.folder, name)
        print(said)
        good |= {name} if will_do else set()
    return int(not (good.issuperset(given.sets) and good.intersection(given.sets or DATASETS)))


if __name__ == "__main__":
    sys.exit(main())
