"""Decode every image once, into one array on disk that later runs open in milliseconds."""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, ImageOps
from tqdm.auto import tqdm

from soft_attention.data.arrays import open_array
from soft_attention.errors import StudyError

MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MB as RGB
NO_MASK = 255
DEEP_MODES = ("I", "F")  # and those that begin so: more than 8 bits, which Pillow would cut off at 255
ASPECT_TOLERANCE = 0.05  # of a mask and its image; rounding sides of 30 px makes less
SIDEWAYS = (5, 6, 7, 8)  # the EXIF orientations that exchange width and height


def open_images(table: pd.DataFrame, image_size: int, cache_dir: Path | str, workers: int = 2) -> np.memmap:
    """All images of a table as one array, decoded by the first call, memory-mapped by later ones.

    The whole frame is squeezed to a square, as the released code does, with antialiased bilinear
    interpolation. A changed file (its length or time of modification) makes a new array.

    Args:
        table: with the column image_path and, where windows of the images are wanted, window (see `windows`).
        image_size: side S in pixels.
        cache_dir: folder of the arrays.
        workers: threads that decode.

    Returns:
        (N, S, S, 3) uint8, read-only, rows in the order of the table.

    Raises:
        StudyError: a file is missing, damaged, not an image, larger than `MAX_PIXELS` or of more than
            8 bits in one channel, or the disk is full. Nothing is left in `cache_dir`.
    """
    items = list(zip(_files(table["image_path"]), _windows(table), strict=True))
    decode = partial(_decode_window, size=image_size)
    return _open(items, items, decode, (image_size, image_size, 3), cache_dir, "images", workers)


def open_masks(table: pd.DataFrame, image_size: int, cache_dir: Path | str, workers: int = 2) -> np.memmap:
    """All lesion masks of a table as one array, made and kept as by `open_images`.

    Args:
        table: with the columns mask_path (missing allowed) and image_path.

    Returns:
        (N, S, S) uint8, read-only: 1 on the lesion, 0 beside it, and `NO_MASK` (255) all over for
        an image without mask_path.

    Raises:
        StudyError: as `open_images`, or a mask has another ratio of width to height than its image.
    """
    files, windows = _files(table["mask_path"]), _windows(table)
    items = list(zip(files, _files(table["image_path"]), windows, strict=True))
    decode = partial(_decode_mask, size=image_size)
    named = list(zip(files, windows, strict=True))
    return _open(named, items, decode, (image_size, image_size), cache_dir, "masks", workers)


def decode_masks(table: pd.DataFrame, image_size: int) -> np.ndarray:
    """A few masks as `open_masks` gives them, decoded anew and not kept."""
    items = zip(_files(table["mask_path"]), _files(table["image_path"]), _windows(table), strict=True)
    return np.stack([_decode_mask(item, image_size) for item in items])


def rows_with_mask(masks: np.ndarray) -> np.ndarray:
    """The rows of `open_masks` that have a mask with a lesion in it."""
    return np.flatnonzero([mask[0, 0] != NO_MASK and mask.any() for mask in masks])


def _files(column: pd.Series) -> list[Path | None]:
    return [None if pd.isna(file) else Path(file) for file in column]


def _windows(table: pd.DataFrame) -> list[tuple[float, float, float, float] | None]:
    return list(table["window"]) if "window" in table else [None] * len(table)


def _open(
    named: list[tuple],
    items: list,
    decode: Callable,
    shape: tuple[int, ...],
    cache_dir: Path | str,
    kind: str,
    workers: int,
) -> np.memmap:
    """The array of `decode(item)` for each item; it is kept under a name made from `named`, files and windows."""
    cache = Path(cache_dir) / f"{kind}-{shape[0]}-{_fingerprint(named)}.npy"

    def decoded() -> Iterator[np.ndarray]:
        with ThreadPool(workers) as pool:
            yield from tqdm(pool.imap(decode, items), f"{kind} at {shape[0]} px", len(items), unit="image")

    return open_array(cache, np.uint8, (len(items), *shape), decoded)


def _fingerprint(named: list[tuple]) -> str:
    """Names the content of a list of files, and of windows of them, without reading them."""
    digest = hashlib.sha256()
    for file, window in named:
        if file is not None and not file.is_file():
            raise StudyError(f"{file} is missing; restore it or delete its row from the table")
        stat = file and file.stat()
        digest.update(repr(stat and (str(file), stat.st_size, stat.st_mtime_ns)).encode())
        if window:
            digest.update(repr(window).encode())
    return digest.hexdigest()[:16]


def decode_image(file: Path, size: int) -> np.ndarray:
    """One image file as `open_images` keeps it, (size, size, 3) uint8; StudyError as there."""
    return np.asarray(_read(file, "RGB", size))


def _decode_window(item: tuple[Path, tuple | None], size: int) -> np.ndarray:
    file, window = item
    return np.asarray(_read(file, "RGB", size, window))


def _decode_mask(item: tuple[Path | None, Path, tuple | None], size: int) -> np.ndarray:
    file, image, window = item
    if file is None:
        return np.full((size, size), NO_MASK, np.uint8)
    mask = np.asarray(_read(file, "L", size, window))
    (width, height), (image_width, image_height) = _upright_size(file), _upright_size(image)
    if abs(math.log(width * image_height / (height * image_width))) > ASPECT_TOLERANCE:
        raise StudyError(
            f"{file} is a mask of {width} x {height} pixels and its image {image} has {image_width} x {image_height}: "
            "the mask would lie elsewhere; give it the frame of the image"
        )
    return (mask > mask.max() / 2).astype(np.uint8)  # the lesion is 255 in some files, 1 in others


def _read(file: Path, mode: str, size: int, window: tuple | None = None) -> Image.Image:
    """One file, or a window of it, as a square of `size` pixels; StudyError names the file if that fails."""
    with _opened(file) as image:
        if image.mode.startswith(DEEP_MODES):
            raise StudyError(f"{file} has more than 8 bits in a channel (mode {image.mode}); save it with 8")
        left, top, right, bottom = window or (0, 0, 1, 1)
        enough = math.ceil(2 * size / min(right - left, bottom - top))
        image.draft(mode, (enough, enough))  # a large JPEG decodes at a fraction of its size
        upright = ImageOps.exif_transpose(image).convert(mode)
        width, height = upright.size
        box = (left * width, top * height, right * width, bottom * height)
        return upright.resize((size, size), Image.Resampling.BILINEAR, box)


def _upright_size(file: Path) -> tuple[int, int]:
    """Width and height of an image as it is to be seen, from the head of its file."""
    with _opened(file) as image:
        sideways = image.getexif().get(ExifTags.Base.Orientation) in SIDEWAYS
        return image.size[::-1] if sideways else image.size


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """An image file, open to read; whatever is wrong with it becomes a StudyError that names it."""
    try:
        with Image.open(file) as image:
            if (pixels := image.width * image.height) > MAX_PIXELS:
                raise StudyError(f"{file} has {pixels:,} pixels, more than {MAX_PIXELS:,}; make it smaller")
            yield image
    except StudyError:
        raise
    except Image.DecompressionBombError as error:
        raise StudyError(f"{file} has too many pixels to be a photo ({error}); make it smaller") from error
    except Exception as error:  # a damaged file can raise nearly anything in Pillow's decoders
        raise StudyError(f"{file} cannot be read as an image ({error}); download it again or delete it") from error
