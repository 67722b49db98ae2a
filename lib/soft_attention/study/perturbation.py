"""Insertion and deletion: does the prediction depend on the places that a map marks? (Petsiuk et al. 2018, RISE)"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from soft_attention.study.saliency import resize_maps

STEPS = 8
BLUR = 0.1  # deviation of the blur as a share of the image's side


def deletion(
    predict: Callable, images: np.ndarray, maps: np.ndarray, classes: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """A class's probability while the highest places of a map are painted over, mean over the steps: (N,).

    Low is good: what the map marks is what the prediction needs. Painted over means the mean colour of the image.

    Args:
        predict: uint8 images `(n, S, S, 3)` -> class probabilities `(n, classes)`.
        images: uint8 `(N, S, S, 3)`.
        maps: `(N, H, W)`, any grid.
        classes: `(N,)`, the class whose probability is followed: the one predicted for the whole image.
        steps: how many equal shares of the pixels are painted over, one after the other.
    """
    empty = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).astype(np.uint8)
    return _area_under_curve(predict, images, empty, classes, maps, steps)


def insertion(
    predict: Callable, images: np.ndarray, maps: np.ndarray, classes: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """The same while the highest places are put back into a blurred image. High is good: they alone suffice.

    Arguments and result as for `deletion`.
    """
    blurred = np.stack([gaussian_filter(i, (BLUR * len(i), BLUR * len(i), 0)) for i in images])
    return _area_under_curve(predict, blurred, images, classes, maps, steps)


def random_maps(count: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Maps (count, H, W) that rank the cells by chance: what a perturbation does without any map."""
    return np.random.default_rng(seed).random((count, *shape))


def _area_under_curve(predict, first, last, chosen, maps, steps) -> np.ndarray:
    """Mean probability of the classes `chosen` (N,) while `first` turns into `last`, highest places first."""
    size = first.shape[1:3]
    order = np.argsort(-resize_maps(maps, size).reshape(len(maps), -1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1).reshape(len(maps), *size, 1) / order.shape[1]
    images = np.arange(len(maps))
    curve = [predict(np.where(rank < step / steps, last, first))[images, chosen] for step in range(steps + 1)]
    return np.trapezoid(curve, dx=1 / steps, axis=0)
