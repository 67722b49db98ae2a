"""Each image is decoded once and rightly; a bad file is named and leaves nothing behind."""

import os
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from soft_attention.data import images as module
from soft_attention.data.images import NO_MASK, open_images, open_masks
from soft_attention.errors import StudyError


def photo(seed: int, width: int = 60, height: int = 45) -> Image.Image:
    """A smooth picture, so that JPEG keeps it well."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def table(tmp_path) -> pd.DataFrame:
    files = [tmp_path / f"image{i}.jpg" for i in range(5)]
    for i, file in enumerate(files):
        photo(i).save(file, quality=95)
    return pd.DataFrame({"image_id": [f.stem for f in files], "image_path": [str(f) for f in files]})


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder


def test_images_are_squeezed_to_a_square_in_the_order_of_the_table(table, cache):
    shuffled = table.iloc[[3, 0, 4, 1, 2]]
    images = open_images(shuffled, 32, cache)
    assert images.shape == (5, 32, 32, 3) and images.dtype == np.uint8
    for i, file in enumerate(shuffled["image_path"]):
        expected = Image.open(file).resize((32, 32), Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(images[i], expected)


def test_a_big_jpeg_decoded_at_a_fraction_looks_the_same(tmp_path, cache):
    file = tmp_path / "big.jpg"
    photo(0, 1600, 1200).save(file, quality=95)
    image = open_images(pd.DataFrame({"image_path": [str(file)]}), 64, cache)[0]
    expected = np.asarray(Image.open(file).resize((64, 64), Image.Resampling.BILINEAR), int)
    assert np.abs(image - expected).max() <= 3


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_other_colour_modes_become_rgb(mode, tmp_path, cache):
    file = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    photo(0).convert("L").convert("RGB").convert(mode).save(file)
    image = open_images(pd.DataFrame({"image_path": [str(file)]}), 16, cache)[0].astype(int)
    assert np.abs(image - np.asarray(photo(0).convert("L").resize((16, 16)))[..., None]).max() < 40


def test_a_photo_taken_sideways_is_turned_upright(tmp_path, cache):
    upright, exif = photo(0), Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "side.png", exif=exif)
    image = open_images(pd.DataFrame({"image_path": [str(tmp_path / "side.png")]}), 16, cache)[0]
    np.testing.assert_array_equal(image, upright.resize((16, 16), Image.Resampling.BILINEAR))


def test_the_second_call_decodes_nothing(table, cache, monkeypatch):
    first = open_images(table, 32, cache)
    monkeypatch.setattr(module, "_read", lambda *_: pytest.fail("decoded again"))
    second = open_images(table, 32, cache)
    assert isinstance(second, np.memmap)
    np.testing.assert_array_equal(first, second)


def test_a_changed_image_another_size_and_another_order_are_decoded_anew(table, cache):
    before = open_images(table, 32, cache)
    photo(99).save(table["image_path"][0], quality=95)
    after = open_images(table, 32, cache)
    assert (before[0] != after[0]).any()
    np.testing.assert_array_equal(before[1:], after[1:])
    assert open_images(table, 16, cache).shape == (5, 16, 16, 3)
    np.testing.assert_array_equal(open_images(table[::-1], 32, cache), after[::-1])


def test_an_image_replaced_by_one_of_the_same_length_is_decoded_anew(table, cache):
    file = table["image_path"][0]
    before = open_images(table, 32, cache)
    data = bytearray(Path(file).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8] = bytes(8)
    Path(file).write_bytes(data)
    os.utime(file, (1, 1))
    assert (open_images(table, 32, cache)[0] != before[0]).any()


def test_masks_are_zero_and_one_and_a_missing_one_is_marked(tmp_path, cache):
    lesion = np.zeros((45, 60), np.uint8)
    lesion[:, :30] = 1
    Image.fromarray(lesion * 255).save(tmp_path / "white.png")
    Image.fromarray(lesion * 255).convert("1").save(tmp_path / "bits.png")
    Image.fromarray(lesion).save(tmp_path / "one.png")
    Image.fromarray(lesion * 0).save(tmp_path / "empty.png")
    paths = [str(tmp_path / name) for name in ("white.png", "bits.png", "one.png", "empty.png")]
    table = pd.DataFrame({"mask_path": [*paths, None, float("nan")], "image_path": paths[0]})
    masks = open_masks(table, 20, cache)
    left_half = np.repeat([[1] * 10 + [0] * 10], 20, axis=0)
    assert masks.dtype == np.uint8
    for mask in masks[:3]:
        np.testing.assert_array_equal(mask, left_half)
    assert (masks[3] == 0).all()
    assert (masks[4:] == NO_MASK).all()


@pytest.mark.parametrize(("size", "fits"), [((60, 45), True), ((31, 23), True), ((45, 60), False), ((50, 45), False)])
def test_a_mask_of_another_shape_than_its_image_is_refused(size, fits, tmp_path, cache):
    photo(0).save(tmp_path / "image.png")
    Image.new("L", size, 255).save(tmp_path / "mask.png")
    table = pd.DataFrame({"image_path": [str(tmp_path / "image.png")], "mask_path": [str(tmp_path / "mask.png")]})
    if fits:
        assert open_masks(table, 20, cache).all()
        return
    with pytest.raises(StudyError, match=rf"mask\.png is a mask of {size[0]} x {size[1]} .*image\.png has 60 x 45"):
        open_masks(table, 20, cache)


def test_the_mask_of_a_photo_taken_sideways_stands_upright(tmp_path, cache):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(0, 60, 45).save(tmp_path / "side.jpg", exif=exif)
    Image.new("L", (45, 60), 255).save(tmp_path / "mask.png")
    table = pd.DataFrame({"image_path": [str(tmp_path / "side.jpg")], "mask_path": [str(tmp_path / "mask.png")]})
    assert open_masks(table, 20, cache).all()


@pytest.mark.parametrize(("kind", "mode"), [("uint16", "I;16"), ("int32", "I"), ("float32", "F")])
def test_an_image_of_more_than_eight_bits_is_refused_and_not_cut_off(kind, mode, tmp_path, cache):
    file = tmp_path / "deep.tif"
    Image.fromarray(np.arange(2700, dtype=kind).reshape(45, 60)).save(file)
    with pytest.raises(StudyError, match=rf"deep\.tif has more than 8 bits in a channel \(mode {mode}\)"):
        open_images(pd.DataFrame({"image_path": [str(file)]}), 16, cache)


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT")


def truncate(file):
    data = Path(file).read_bytes()
    Path(file).write_bytes(data[: len(data) * 2 // 3])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "cannot be read as an image"),
        (lambda file: Path(file).write_text("<html>404</html>"), "cannot be read as an image"),
        (lambda file: Path(file).write_bytes(b""), "cannot be read as an image"),
        (lambda file: Path(file).write_bytes(png_header(40000, 25000)), "too many pixels"),
        (lambda file: Path(file).write_bytes(png_header(10000, 10000)), "100,000,000 pixels"),
        (os.remove, "is missing"),
    ],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bad_file_is_named_and_nothing_is_left(damage, message, table, cache):
    damage(table["image_path"][2])
    with pytest.raises(StudyError, match=rf"image2\.jpg .*{message}"):
        open_images(table, 32, cache)
    assert not list(cache.glob("*.npy"))


def test_a_disk_without_room_is_named_and_nothing_is_left(table, cache):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(StudyError, match=r"cannot write .*images-32-.*npy"):
            open_images(table, 32, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(cache.glob("*.npy"))


def test_a_damaged_cache_is_named(table, cache):
    open_images(table, 32, cache)
    truncate(next(cache.glob("images-*.npy")))
    with pytest.raises(StudyError, match=r"images-32-.*npy is damaged .* delete it and run again"):
        open_images(table, 32, cache)
