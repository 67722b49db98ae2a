"""Each image is decoded once and rightly; a bad file is named and leaves nothing behind."""

import os
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from soft_attention.data import images as module
from soft_attention.data.images import NO_MASK, decode_image, decode_masks, open_images, open_masks
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


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "PA", "YCbCr"])
def test_other_colour_modes_become_rgb(mode, tmp_path, cache):
    file = tmp_path / ("image.tif" if mode in ("CMYK", "PA", "YCbCr") else "image.png")
    photo(0).convert("L").convert("RGB").convert(mode).save(file)
    image = open_images(pd.DataFrame({"image_path": [str(file)]}), 16, cache)[0].astype(int)
    assert np.abs(image - np.asarray(photo(0).convert("L").resize((16, 16)))[..., None]).max() < 40


@pytest.mark.parametrize("suffix", ["bmp", "png", "tif", "webp", "jpg"])
def test_every_format_shows_the_same(suffix, tmp_path):
    file = tmp_path / f"image.{suffix}"
    photo(0).save(file, **{"webp": {"lossless": True}, "jpg": {"quality": 100}}.get(suffix, {}))
    expected = np.asarray(photo(0).resize((16, 16), Image.Resampling.BILINEAR), int)
    assert np.abs(decode_image(file, 16) - expected).max() <= (5 if suffix == "jpg" else 0)


def test_a_jpeg_in_the_colours_of_print_is_not_inverted(tmp_path):
    photo(0).convert("CMYK").save(tmp_path / "print.jpg", quality=100)
    expected = np.asarray(photo(0).resize((16, 16), Image.Resampling.BILINEAR), int)
    assert np.abs(decode_image(tmp_path / "print.jpg", 16) - expected).max() < 10


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (2, "FLIP_LEFT_RIGHT"),
        (3, "ROTATE_180"),
        (4, "FLIP_TOP_BOTTOM"),
        (5, "TRANSPOSE"),
        (6, "ROTATE_90"),  # to be turned by 90 degrees clockwise to show
        (7, "TRANSVERSE"),
        (8, "ROTATE_270"),
    ],
)
def test_a_photo_is_turned_upright(suffix, orientation, stored, tmp_path, cache):
    file, upright, exif = tmp_path / f"side.{suffix}", photo(0), Image.Exif()
    exif[0x0112] = orientation
    upright.transpose(Image.Transpose[stored]).save(file, exif=exif)
    table = pd.DataFrame({"image_path": [str(file)], "mask_path": [str(tmp_path / "mask.png")]})
    image = open_images(table, 16, cache)[0]
    np.testing.assert_array_equal(image, upright.resize((16, 16), Image.Resampling.BILINEAR))
    Image.new("L", upright.size, 255).save(tmp_path / "mask.png")
    assert open_masks(table, 16, cache).all()


def test_an_exif_block_that_cannot_be_read_is_named(tmp_path):
    photo(0).save(tmp_path / "broken.png", exif=b"Exif\0\0bad")
    with pytest.raises(StudyError, match=r"broken\.png has an EXIF block that cannot be read .*remove that block"):
        decode_image(tmp_path / "broken.png", 16)


def cut_out(hidden: tuple[int, ...], mode: str = "RGBA") -> Image.Image:
    """A lesion cut out of its picture, with a colour that nobody sees around it."""
    image = Image.new("RGBA", (60, 45), (*hidden, 0))
    image.paste((120, 60, 40, 255), (10, 10, 40, 35))
    image.paste((120, 60, 40, 100), (40, 10, 45, 35))
    return image.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
@pytest.mark.parametrize("suffix", ["png", "webp", "tif"])
def test_colours_that_are_hidden_are_not_seen(mode, suffix, tmp_path):
    shown = []
    for hidden in ((0, 0, 0), (0, 255, 0), (255, 255, 255)):
        file = tmp_path / f"{hidden[1]}-{hidden[0]}.{suffix}"
        cut_out(hidden, mode).save(file, **({"lossless": True, "exact": True} if suffix == "webp" else {}))
        shown.append(decode_image(file, 16))
    np.testing.assert_array_equal(shown[0], shown[1])
    np.testing.assert_array_equal(shown[0], shown[2])
    assert shown[0][0, 0].max() == 0 and shown[0][7, 7].min() > 30


def test_a_transparent_colour_of_a_palette_or_of_greys_is_not_seen(tmp_path):
    stripes = np.arange(60 * 45, dtype=np.uint8).reshape(45, 60) // 30 % 2
    for hidden in (30, 255):
        image = Image.fromarray(stripes)
        image.putpalette([hidden, hidden, hidden, 120, 60, 40])
        image.save(tmp_path / f"p{hidden}.png", transparency=0)
        Image.fromarray(np.where(stripes, 90, hidden).astype(np.uint8)).save(
            tmp_path / f"l{hidden}.png", transparency=hidden
        )
    for kind in "pl":
        one, other = (decode_image(tmp_path / f"{kind}{hidden}.png", 45) for hidden in (30, 255))
        np.testing.assert_array_equal(one, other)
        assert one.min() == 0


def test_a_picture_of_which_nothing_can_be_seen_is_refused(tmp_path):
    Image.new("RGBA", (60, 45), (120, 60, 40, 0)).save(tmp_path / "empty.png")
    with pytest.raises(StudyError, match=r"empty\.png is transparent all over"):
        decode_image(tmp_path / "empty.png", 16)


def test_an_opaque_picture_shows_what_its_twin_without_alpha_does(tmp_path):
    for mode in ("RGB", "RGBA"):
        photo(0).convert(mode).save(tmp_path / f"{mode}.png")
    np.testing.assert_array_equal(decode_image(tmp_path / "RGB.png", 16), decode_image(tmp_path / "RGBA.png", 16))


def test_the_second_call_decodes_nothing(table, cache, monkeypatch):
    first = open_images(table, 32, cache)
    monkeypatch.setattr(module, "_read", lambda *_: pytest.fail("decoded again"))
    second = open_images(table, 32, cache)
    assert isinstance(second, np.memmap)
    np.testing.assert_array_equal(first, second)


def test_arrays_are_named_by_what_the_files_hold(table, cache, tmp_path, monkeypatch):
    first = open_images(table, 32, cache)
    moved = [tmp_path / f"other{i}.jpg" for i in range(5)]
    for old, new in zip(table["image_path"], moved, strict=True):
        new.write_bytes(Path(old).read_bytes())
    os.utime(moved[0], (1, 1))
    monkeypatch.setattr(module, "_read", lambda *_: pytest.fail("decoded again"))
    np.testing.assert_array_equal(open_images(table.assign(image_path=list(map(str, moved))), 32, cache), first)


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


def test_a_mask_is_tried_against_its_image_again_when_the_image_changes(tmp_path, cache):
    table = pd.DataFrame({"image_path": [str(tmp_path / "image.png")], "mask_path": [str(tmp_path / "mask.png")]})
    photo(0).save(tmp_path / "image.png")
    Image.new("L", (60, 45), 255).save(tmp_path / "mask.png")
    assert open_masks(table, 20, cache).all()
    photo(0, 45, 60).save(tmp_path / "image.png")
    with pytest.raises(StudyError, match="the mask would lie elsewhere"):
        open_masks(table, 20, cache)


def square(inside=255, outside=0, small=None) -> np.ndarray:
    """A quarter of the frame and, if asked for, a few pixels of another value."""
    values = np.full((64, 64), outside, np.uint8)
    values[16:48, 16:48] = inside
    if small is not None:
        values[18:26, 18:26] = small
    return values


def palette(values: np.ndarray, *colours: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(values)
    image.putpalette([part for colour in colours for part in colour])
    return image


def coloured(*channels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.stack(channels, axis=-1))


def decoded_mask(image: Image.Image, folder: Path, suffix: str = "png", **options) -> np.ndarray:
    image.save(folder / f"mask.{suffix}", **options)
    table = pd.DataFrame({"mask_path": [folder / f"mask.{suffix}"], "image_path": [folder / f"mask.{suffix}"]})
    return decode_masks(table, 64)[0]


OPAQUE, NOTHING = np.full((64, 64), 255, np.uint8), np.zeros((64, 64), np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        Image.fromarray(square()),
        Image.fromarray(square(1)),
        Image.fromarray(square(3)),
        Image.fromarray(square(128)),
        Image.fromarray(square(255, 8)),
        Image.fromarray(square()).convert("1"),
        Image.fromarray(square()).convert("CMYK"),
        palette(square(1), (0, 0, 0), (255, 255, 255)),
        palette(square(1), (0, 0, 0), (128, 0, 0)),
        palette(square(0, 1), (0, 200, 90), (0, 0, 0)),
        palette(square(1, small=2), (0, 0, 0), (255, 0, 0), (255, 0, 0)),
        coloured(square(), NOTHING, NOTHING),
        coloured(square(), square(), square(), OPAQUE),
        coloured(square(), OPAQUE),
        Image.fromarray(square()).resize((16, 16)).resize((64, 64), Image.Resampling.BILINEAR),
        Image.fromarray(square()).filter(ImageFilter.GaussianBlur(3)),
        coloured(square(), NOTHING, NOTHING).filter(ImageFilter.GaussianBlur(2)),
    ],
)
def test_one_lesion_on_black_is_understood(image, tmp_path):
    mask = decoded_mask(image, tmp_path, "tif" if image.mode == "CMYK" else "png")
    assert abs(mask.mean() - 0.25) < 0.01
    assert (mask != square(1)).mean() < 0.01


@pytest.mark.parametrize("options", [{"quality": 95}, {"quality": 75}])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_mask_may_be_a_jpeg(mode, options, tmp_path):
    mask = decoded_mask(Image.fromarray(square()).convert(mode), tmp_path, "jpg", **options)
    assert (mask != square(1)).mean() < 0.02


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.fromarray(square(1, small=3)), "with the levels 0, 1, 3, and which"),
        (Image.fromarray(square(1, 2)), "with the levels 1, 2,"),
        (Image.fromarray(square(1, 2, 0)), "with the levels 0, 1, 2,"),
        (Image.fromarray(square(255, small=128)), "with the levels 0, 128, 255,"),
        (Image.fromarray(square(255, small=85)), "with the levels 0, 85, 255,"),
        (Image.fromarray(square(255, 128)), "with the levels 128, 255,"),
        (Image.fromarray(square(7, 7)), "with the levels 7,"),
        (photo(0, 64, 64).convert("L"), "with the levels"),
        (photo(0, 64, 64), "of several colours"),
        (palette(square(1, small=2), (0, 0, 0), (0, 0, 128), (255, 255, 0)), "of several colours"),
        (palette(square(1), (255, 255, 255), (255, 0, 0)), "of several colours"),
        (palette(square(1, small=2), (0, 0, 0), (60, 0, 0), (120, 0, 0)), "with the levels 0, 60, 120,"),
        (coloured(square(), square(0, 255), NOTHING), "of several colours"),
        (coloured(OPAQUE, OPAQUE, OPAQUE, square()), "with transparent parts"),
        (coloured(NOTHING, NOTHING, NOTHING, square()), "with transparent parts"),
        (coloured(NOTHING, square(100)), "with transparent parts"),
        (Image.fromarray(square().astype(np.uint16) * 257), "more than 8 bits"),
    ],
)
def test_a_mask_of_which_the_lesion_is_not_clear_is_refused(image, message, tmp_path):
    with pytest.raises(StudyError, match=rf"mask\.png .*{message}"):
        decoded_mask(image, tmp_path)


@pytest.mark.parametrize(("kind", "mode"), [("uint16", "I;16"), ("int32", "I"), ("float32", "F")])
def test_an_image_of_more_than_eight_bits_is_refused_and_not_cut_off(kind, mode, tmp_path, cache):
    file = tmp_path / "deep.tif"
    Image.fromarray(np.arange(2700, dtype=kind).reshape(45, 60)).save(file)
    with pytest.raises(StudyError, match=rf"deep\.tif has more than 8 bits in a channel \(mode {mode}\)"):
        open_images(pd.DataFrame({"image_path": [str(file)]}), 16, cache)


@pytest.mark.parametrize(("kind", "mode"), [(0, "I;16B"), (2, "RGB;16B"), (4, "LA;16B"), (6, "RGBA;16B")])
@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_png_of_sixteen_bits_is_refused_in_every_colour_mode(kind, mode, interlaced, tmp_path):
    file = tmp_path / "deep.png"
    rows = b"".join(bytes(1) + b"\x0f\xff" * 60 * {0: 1, 2: 3, 4: 2, 6: 4}[kind] for _ in range(45))
    head = struct.pack(">IIBBBBB", 60, 45, 16, kind, 0, 0, interlaced)
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND"))
    with pytest.raises(StudyError, match=rf"deep\.png has more than 8 bits in a channel \(mode {mode}\)"):
        decode_image(file, 16)


def test_a_tiff_of_sixteen_bits_in_colour_is_refused(tmp_path):
    pixels = b"\xff\x0f" * 12 * 9 * 3
    tags = [(256, 3, 1, 12), (257, 3, 1, 9), (258, 3, 3, 122), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 128),
            (277, 3, 1, 3), (278, 3, 1, 9), (279, 4, 1, len(pixels))]  # fmt: skip
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    (tmp_path / "deep.tif").write_bytes(head + struct.pack("<HHH", 16, 16, 16) + pixels)
    with pytest.raises(StudyError, match=r"deep\.tif has more than 8 bits in a channel \(mode RGB\)"):
        decode_image(tmp_path / "deep.tif", 8)


def test_colours_that_do_not_become_rgb_are_named(tmp_path):
    Image.new("LAB", (60, 45)).save(tmp_path / "lab.tif")
    with pytest.raises(StudyError, match=r"lab\.tif has the colours of the mode LAB; save it as RGB"):
        decode_image(tmp_path / "lab.tif", 8)


@pytest.mark.parametrize("name", ["pages.tif", "moves.webp", "moves.png"])
def test_a_file_of_several_pictures_is_refused(name, tmp_path):
    photo(0).save(tmp_path / name, save_all=True, append_images=[photo(1), photo(2)])
    with pytest.raises(StudyError, match=rf"{name} holds 3 pictures; save the one that is meant"):
        decode_image(tmp_path / name, 8)


def test_a_jpeg_with_a_preview_behind_it_is_the_picture(tmp_path):
    photo(0).save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[photo(1)], quality=95)
    expected = np.asarray(photo(0).resize((16, 16), Image.Resampling.BILINEAR), int)
    assert np.abs(decode_image(tmp_path / "phone.jpg", 16) - expected).max() <= 12


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("GIF", b"GIF89a\1\0\1\0\0\0\0"),
        ("EPS", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("PDF", b"%PDF-1.7"),
        ("HEIC", b"\0\0\0\x18ftypheic"),
        ("DICOM", bytes(128) + b"DICM"),
    ],
)
def test_other_formats_are_named_and_no_program_is_started(kind, content, tmp_path, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(StudyError, match=rf"photo\.jpg cannot be read as an image: it is no JPEG, .* but {kind};"):
        decode_image(tmp_path / "photo.jpg", 8)


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
        with pytest.raises(StudyError, match=r"images-32-.*npy cannot be written"):
            open_images(table, 32, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(cache.glob("*.npy"))


def test_a_damaged_cache_is_named(table, cache):
    open_images(table, 32, cache)
    truncate(next(cache.glob("images-*.npy")))
    with pytest.raises(StudyError, match=r"images-32-.*npy is damaged .* delete it and run again"):
        open_images(table, 32, cache)
