"""Decode every image once, into one array on disk that later runs open in milliseconds."""

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import product
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from PIL import ExifTags, Image, UnidentifiedImageError
from tqdm.auto import tqdm

from soft_attention.data.arrays import open_array
from soft_attention.data.content import THREADS, content_hashes
from soft_attention.errors import StudyError

MAX_PIXELS = 89_478_485  # Pillow's own limit: 256 MB as RGB
NO_MASK = 255
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")  # an allowed list: for an EPS, Pillow would start Ghostscript
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr")  # what becomes RGB
ASPECT_TOLERANCE = 0.05  # of a mask and its image; rounding sides of 30 px makes less
DECODING = 1  # another number whenever the same file is to be shown otherwise: arrays kept before then do not count
BORDER = (0.1, 0.9)  # of a mask's white: what lies between is the soft border of a lesion
_TURNS = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_270 TRANSVERSE ROTATE_90"
UPRIGHT = {2 + number: Image.Transpose[name] for number, name in enumerate(_TURNS.split())}  # by EXIF's orientation
_CLEAR = "and which of them is the lesion is not clear; save it with the lesion white and everything else black"


class UnreadableImage(StudyError):
    """A file that is no image in one of `FORMATS`, or a damaged one; `than` goes on after "is no image"."""

    def __init__(self, message: str, than: str):
        super().__init__(message)
        self.than = than


def open_images(table: pd.DataFrame, image_size: int, cache_dir: Path | str) -> np.memmap:
    """All images of a table as one array, decoded by the first call, memory-mapped by later ones.

    The whole frame is squeezed to a square, as the released code does, with antialiased bilinear
    interpolation. What is transparent becomes black. A file of other content makes a new array.

    Args:
        table: with the column image_path and, where windows of the images are wanted, window (see `windows`).
        image_size: side S in pixels.
        cache_dir: folder of the arrays.

    Returns:
        (N, S, S, 3) uint8, read-only, rows in the order of the table.

    Raises:
        StudyError: a file is missing, damaged, not one image in one of `FORMATS` and `MODES`, larger than
            `MAX_PIXELS` or of more than 8 bits in one channel, or the disk is full. Nothing is left in `cache_dir`.
    """
    items = list(zip(_files(table["image_path"]), _windows(table), strict=True))
    decode = partial(_decode_window, size=image_size)
    return _open(items, decode, (image_size, image_size, 3), cache_dir, "images")


def open_masks(table: pd.DataFrame, image_size: int, cache_dir: Path | str) -> np.memmap:
    """All lesion masks of a table as one array, made and kept as by `open_images`.

    Args:
        table: with the columns mask_path (missing allowed) and image_path.

    Returns:
        (N, S, S) uint8, read-only: 1 on the lesion, 0 beside it, and `NO_MASK` (255) all over for
        an image without mask_path.

    Raises:
        StudyError: as `open_images`; a mask has another ratio of width to height than its image; or it is not clear
            what its lesion is: see `_lesion`.
    """
    items = list(zip(_files(table["mask_path"]), _files(table["image_path"]), _windows(table), strict=True))
    decode = partial(_decode_mask, size=image_size)
    return _open(items, decode, (image_size, image_size), cache_dir, "masks")


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


def _open(items: list[tuple], decode: Callable, shape: tuple[int, ...], cache_dir: Path | str, kind: str) -> np.memmap:
    """The array of `decode(item)` for each item; it is kept under a name made from what their files hold."""
    cache = Path(cache_dir) / f"{kind}-{shape[0]}-{_fingerprint(items, cache_dir)}.npy"

    def decoded() -> Iterator[np.ndarray]:
        with ThreadPool(THREADS) as pool:
            yield from tqdm(pool.imap(decode, items), f"{kind} at {shape[0]} px", len(items), unit="image")

    return open_array(cache, np.uint8, (len(items), *shape), decoded)


def _fingerprint(items: list[tuple], cache_dir: Path | str) -> str:
    """Names the content of files, wherever they lie, and of windows of them."""
    files = [part for item in items for part in item if isinstance(part, Path)]
    hashes = dict(zip(files, content_hashes(files, cache_dir), strict=True))
    content = [[hashes.get(part, part) for part in item] for item in items]
    return hashlib.sha256(repr((DECODING, content)).encode()).hexdigest()[:16]


def decode_image(file: Path, size: int, window: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """One image file, or a window of it, as `open_images` keeps it: (size, size, 3) uint8; StudyError as there."""
    return _decode_window((file, window), size)


def _decode_window(item: tuple[Path, tuple | None], size: int) -> np.ndarray:
    file, window = item
    return np.asarray(_read(file, _photo, size, window))


def _decode_mask(item: tuple[Path | None, Path, tuple | None], size: int) -> np.ndarray:
    file, image, window = item
    if file is None:
        return np.full((size, size), NO_MASK, np.uint8)
    mask = np.asarray(_read(file, _lesion, size, window))
    (width, height), (image_width, image_height) = upright_size(file), upright_size(image)
    if abs(math.log(width * image_height / (height * image_width))) > ASPECT_TOLERANCE:
        raise StudyError(
            f"{file} is a mask of {width} x {height} pixels and its image {image} has {image_width} x {image_height}: "
            "the mask would lie elsewhere; give it the frame of the image"
        )
    return (mask > mask.max() / 2).astype(np.uint8)


def _read(file: Path, shown: Callable, size: int, window: tuple | None = None) -> Image.Image:
    """What is shown of one file, or of a window of it, as a square of `size` pixels; StudyError names the file."""
    with _opened(file) as image:
        left, top, right, bottom = window or (0, 0, 1, 1)
        if shown is _photo:
            enough = math.ceil(2 * size / min(right - left, bottom - top))
            image.draft("RGB", (enough, enough))  # a large JPEG decodes at a fraction of its size
        turn = UPRIGHT.get(_orientation(file, image))
        upright = shown(file, image.transpose(turn) if turn is not None else image)
        width, height = upright.size
        box = (left * width, top * height, right * width, bottom * height)
        return upright.resize((size, size), Image.Resampling.BILINEAR, box)


def _photo(file: Path, image: Image.Image) -> Image.Image:
    """An image as RGB; what is transparent shows a black ground, not the colours that are hidden there."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema()[1] == 0:
        raise StudyError(f"{file} is transparent all over: nothing of it can be seen; save it without transparency")
    ground = Image.new("RGB", image.size)
    ground.paste(image, mask=alpha)
    return ground


def _lesion(file: Path, image: Image.Image) -> Image.Image:
    """A mask as greys: 255 on the lesion, 0 beside it, and what lies between on a soft border.

    One colour on black may be the lesion, be it white, red or the index 1. A border may be soft; more colours, or areas
    of other greys, would be several classes.

    Raises:
        StudyError: several classes, no black, or transparent parts.
    """
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise StudyError(f"{file} is a mask with transparent parts, {_CLEAR}")
    greys = np.asarray(image.convert("L")) if image.mode in ("1", "L", "LA") else _along_one_colour(file, image)
    levels, white = np.unique(greys), greys.max()
    if len(levels) == 1:
        clear = white in (0, 1, 255)
    elif white < 128 or len(levels) == 2:  # indices of classes
        clear = len(levels) == 2 and levels[0] <= BORDER[0] * white
    else:
        clear = not _has_areas((greys > BORDER[0] * white) & (greys < BORDER[1] * white), greys)
    if not clear:
        some = ", ".join(map(str, levels[:4])) + ", ..." * (len(levels) > 4)
        raise StudyError(f"{file} is a mask with the levels {some}, {_CLEAR}")
    return Image.fromarray((greys * (255 / max(white, 1))).round().astype(np.uint8))


def _along_one_colour(file: Path, image: Image.Image) -> np.ndarray:
    """A mask in one colour and black as greys, (H, W) uint8; StudyError if there are other colours."""
    colours = np.asarray(image.convert("RGB"), np.float32)
    lesion = colours.reshape(-1, 3)[colours.sum(axis=2).argmax()]
    share = colours @ lesion / max(float(lesion @ lesion), 1)
    if abs(colours - share[..., None] * lesion).max() > 255 * BORDER[0]:
        raise StudyError(f"{file} is a mask of several colours, {_CLEAR}")
    return (share * lesion.max()).round().clip(0, 255).astype(np.uint8)


def _has_areas(mid: np.ndarray, greys: np.ndarray) -> bool:
    """Whether greys are more than a border: half of a mask, or areas of 3 x 3 pixels that are quite the same."""
    height, width = greys.shape
    alike = mid[1:-1, 1:-1].copy()
    for down, right in product(range(3), repeat=2):
        alike &= greys[down : height - 2 + down, right : width - 2 + right] == greys[1:-1, 1:-1]
    return bool(alike.any() or mid.mean() > 0.5)


def upright_size(file: Path) -> tuple[int, int]:
    """Width and height of an image as it is to be seen, from the head of its file."""
    with _opened(file) as image:
        return image.size[::-1] if _orientation(file, image) >= 5 else image.size


def stored_size(name: str, stream: IO[bytes]) -> tuple[int, int]:
    """Width and height of an image as its file lists them; `name` is what a StudyError calls it."""
    with _opened(name, stream) as image:
        return image.size


def _orientation(file: Path, image: Image.Image) -> int:
    """How a photo was held, as EXIF counts; 1: upright, as Pillow turns every TIFF by itself."""
    if image.format == "TIFF":
        return 1
    try:
        said = image.getexif().get(ExifTags.Base.Orientation)
    except Exception as error:  # Pillow's parser raises nearly anything
        raise StudyError(
            f"{file} has an EXIF block that cannot be read ({error}), so that it is not known which side is up: "
            "remove that block (exiftool -all= FILE), or save the image anew"
        ) from error
    return said if said in UPRIGHT else 1


@contextmanager
def _opened(file: Path | str, stream: IO[bytes] | None = None) -> Iterator[Image.Image]:
    """An image file, or a stream of this name, open to read; whatever is wrong becomes a StudyError that names it."""
    try:
        with Image.open(stream or file, formats=FORMATS) as image:
            _check(file, image)
            yield image
    except StudyError:
        raise
    except Image.DecompressionBombError as error:
        raise StudyError(f"{file} has too many pixels to be a photo ({error}); make it smaller") from error
    except UnidentifiedImageError as error:
        known, found = ", ".join(FORMATS), _found(stream or file)
        raise UnreadableImage(
            f"{file} cannot be read as an image: it is no {known}{found}; save it as one of these, or delete it", found
        ) from error
    except Exception as error:  # a damaged file can raise nearly anything in Pillow's decoders
        message = f"{file} cannot be read as an image ({error}); download it again or delete it"
        raise UnreadableImage(message, f" that can be read ({error})") from error


def _check(file: Path | str, image: Image.Image) -> None:
    if (pixels := image.width * image.height) > MAX_PIXELS:
        raise StudyError(f"{file} has {pixels:,} pixels, more than {MAX_PIXELS:,}; make it smaller")
    coding = str(image.tile[0].args) if image.format == "PNG" else image.mode
    bits = max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,))) if image.format == "TIFF" else 8
    if bits > 8 or ";16" in coding or image.mode.startswith(("I", "F")):
        raise StudyError(f"{file} has more than 8 bits in a channel (mode {coding}); save it with 8")
    if image.mode not in MODES:
        raise StudyError(f"{file} has the colours of the mode {image.mode}; save it as RGB")
    if image.format != "MPO" and (count := getattr(image, "n_frames", 1)) > 1:  # an MPO is a JPEG with previews
        raise StudyError(f"{file} holds {count} pictures; save the one that is meant")


def _found(file: Path | IO[bytes]) -> str:
    """What another file is, for a message, if its first bytes tell."""
    with nullcontext(file) if hasattr(file, "read") else open(file, "rb") as content:
        content.seek(0)
        start = content.read(132)
    kinds = {
        "GIF": (0, b"GIF8"),
        "EPS": (0, b"%!PS"),
        "PDF": (0, b"%PDF"),
        "HEIC": (4, b"ftyp"),
        "DICOM": (128, b"DICM"),
    }
    return "".join(f" but {kind}" for kind, (place, mark) in kinds.items() if start[place:].startswith(mark))
