"""Features of a frozen trunk: computed once per image and view, kept on disk, read by every later training."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
from tqdm.auto import tqdm

from soft_attention.data.arrays import open_array
from soft_attention.model.networks import FEATURES, LESION
from soft_attention.run.augmentation import dihedral
from soft_attention.run.forward import outputs

BATCH = 32


@lru_cache(maxsize=2)  # asked again for the same network, it keeps the graphs that were traced
def divide(network: keras.Model) -> tuple[keras.Model, keras.Model]:
    """A network in two that share its layers: images -> the features that the unit sees -> probabilities.

    The head of the arm `lesion` takes a list: the features and the mask.
    """
    features = network.get_layer(FEATURES).output
    trunk = keras.Model(network.get_layer("image").output, features, name="trunk")
    # Cut behind the input layer: one that two models read cannot be saved (Keras 3.15).
    seen = [features, network.get_layer(LESION).output] if isinstance(network.input, dict) else features
    return trunk, keras.Model(seen, network.output, name="head")


def open_features(trunk: keras.Model, images: np.ndarray, views: int, cache_dir: Path | str) -> np.ndarray:
    """The trunk's features of all images and views, computed by the first call, memory-mapped by later ones.

    Args:
        trunk: as from `divide`; its weights and precision name the file, so others make another one.
        images: (N, S, S, 3) uint8, as from `open_images`: the name of its file names the content.
        views: how many of the `dihedral` views.
        cache_dir: folder of the arrays.

    Returns:
        (N, views, H, W, C) float16, read-only.

    Raises:
        StudyError: the disk is full, or the file is damaged. Nothing half-written is left.
    """
    file = Path(cache_dir) / f"features-{_fingerprint(trunk, images)}-{views}.npy"

    def computed() -> Iterator[np.ndarray]:
        for start in tqdm(range(0, len(images), BATCH), f"features of {views} views", unit="batch"):
            yield _features(trunk, images[start : start + BATCH], views)

    return open_array(file, np.float16, (len(images), views, *trunk.output_shape[1:]), computed)


def _fingerprint(trunk: keras.Model, images: np.ndarray) -> str:
    file = getattr(images, "filename", None)
    whole = file is not None and 0 < Path(file).stat().st_size - images.nbytes < 1024  # no slice: all but the header
    content = Path(file).name if whole else hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()
    scaling = trunk.get_layer("preprocessing").mode
    precision = "" if trunk.output.dtype == "float32" else f" {trunk.output.dtype}"
    digest = hashlib.sha256(f"{content} {images.shape} {scaling}{precision}".encode())
    for weight in trunk.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).data)
    return digest.hexdigest()[:16]


def _features(trunk: keras.Model, images: np.ndarray, views: int) -> np.ndarray:
    """(n, S, S, 3) -> (n, views, H, W, C) float16."""

    def of_view(view: int) -> np.ndarray:
        return outputs(trunk, lambda at: np.ascontiguousarray(dihedral(images[at], view)), len(images), BATCH)

    return np.stack([of_view(view) for view in range(views)], axis=1).astype(np.float16)
