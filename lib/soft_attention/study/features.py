"""Features of a frozen trunk: computed once per image and view, kept on disk, read by every later training."""

import hashlib
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from tqdm.auto import tqdm

from soft_attention import paths
from soft_attention.data.source import one_at_a_time
from soft_attention.errors import StudyError
from soft_attention.model.networks import FEATURES

BATCH = 32


@lru_cache(maxsize=2)  # asked again for the same network, it keeps the graphs that were traced
def divide(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """A network in two that share its layers: images -> the features that the unit sees -> probabilities."""
    features = network.get_layer(FEATURES).output
    return keras.Model(network.input, features, name="trunk"), keras.Model(features, network.output, name="head")


def dihedral(images: np.ndarray, view: int) -> np.ndarray:
    """One of the eight turned and mirrored copies of square images (N, S, S, C); view 0 is the image itself."""
    if not 0 <= view < 8:
        raise ValueError(f"a square has the views 0 to 7, not {view}")
    turned = np.rot90(images, view % 4, axes=(1, 2))
    return turned[:, :, ::-1] if view >= 4 else turned


def open_features(trunk: keras.Model, images: np.ndarray, views: int, cache_dir: Path | str) -> np.ndarray:
    """The trunk's features of all images and views, computed by the first call, memory-mapped by later ones.

    Args:
        trunk: as from `divide`; its weights name the file, so other weights make another one.
        images: (N, S, S, 3) uint8, as from `open_images`: the name of its file names the content.
        views: how many of the `dihedral` views.
        cache_dir: folder of the arrays.

    Returns:
        (N, views, H, W, C) float16, read-only.

    Raises:
        StudyError: the disk is full, or the file is damaged. Nothing half-written is left.
    """
    folder = Path(cache_dir)
    file = folder / f"features-{_fingerprint(trunk, images)}-{views}.npy"
    with one_at_a_time(folder):
        if not file.exists():
            _write(file, trunk, images, views)
    try:
        return np.load(file, mmap_mode="r")
    except ValueError as error:
        raise StudyError(f"{file} is damaged ({error}); delete it and run again") from error


def _fingerprint(trunk: keras.Model, images: np.ndarray) -> str:
    file = getattr(images, "filename", None)
    whole = file is not None and 0 < Path(file).stat().st_size - images.nbytes < 1024  # no slice: all but the header
    content = Path(file).name if whole else hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
    scaling = trunk.get_layer("preprocessing").mode
    digest = hashlib.sha256(f"{content} {images.shape} {scaling}".encode())
    for weight in trunk.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return digest.hexdigest()[:16]


def _write(file: Path, trunk: keras.Model, images: np.ndarray, views: int) -> None:
    shape = (len(images), views, *trunk.output_shape[1:])
    try:
        with paths.atomic(file) as temporary, temporary.open("wb") as out:
            header = {"descr": "<f2", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(out, header)
            for start in tqdm(range(0, len(images), BATCH), f"features of {views} views", unit="batch"):
                out.write(_features(trunk, images[start : start + BATCH], views).tobytes())
    except OSError as error:
        size = np.prod(shape) * 2 / 1e9
        raise StudyError(f"cannot write {file} ({size:.1f} GB): {error.strerror or error}") from error


def _features(trunk: keras.Model, images: np.ndarray, views: int) -> np.ndarray:
    """(n, S, S, 3) -> (n, views, H, W, C) float16; always BATCH images at once, so that one graph serves all."""
    padded = np.resize(images, (BATCH, *images.shape[1:]))
    parts = [
        trunk.predict_on_batch(np.ascontiguousarray(dihedral(padded, view)))[: len(images)] for view in range(views)
    ]
    return np.stack(parts, axis=1).astype(np.float16)
