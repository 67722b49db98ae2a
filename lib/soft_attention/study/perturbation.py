"""Insertion and deletion: does the prediction depend on the places that a map marks? (Petsiuk et al. 2018, RISE)

Deletion paints the highest places of a map over, step by step: a class's probability that falls soon, with a small area
under its curve, rested on them. Insertion puts them back into a blurred image: a large area says that they suffice.
"""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import gaussian_filter

from soft_attention.study.saliency import resize_maps

STEPS = 8
BLUR = 0.1  # deviation of the blur as a share of the image's side


def painted_over(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S, 3) that have their own mean colour everywhere: what deletion ends with."""
    return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S, 3) of which only the coarsest colours are left: what insertion begins with."""
    return np.stack([gaussian_filter(i, (BLUR * len(i), BLUR * len(i), 0)) for i in images])


def area_under_curve(
    predict: Callable, first: np.ndarray, last: np.ndarray, maps: np.ndarray, classes: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """Mean probability, 0 to 1, of a class while images turn into others, the highest places of a map first: (N,).

    Args:
        predict: uint8 images `(n, S, S, 3)` -> class probabilities `(n, classes)`.
        first, last: uint8 `(N, S, S, 3)`; for deletion the images and `painted_over`, for insertion `blurred` and the
            images.
        maps: `(N, H, W)`, any grid.
        classes: `(N,)`, the class whose probability is followed: the one predicted for the whole image.
        steps: how many equal shares of the pixels are changed, one after the other.
    """
    size = first.shape[1:3]
    order = np.argsort(-resize_maps(maps, size).reshape(len(maps), -1), axis=1, kind="stable")
    rank = np.argsort(order, axis=1).reshape(len(maps), *size, 1) / order.shape[1]
    images = np.concatenate([np.where(rank < step / steps, last, first) for step in range(steps + 1)])
    followed = predict(images)[np.arange(len(images)), np.tile(classes, steps + 1)]
    return np.trapezoid(followed.reshape(steps + 1, -1), dx=1 / steps, axis=0)


def random_maps(count: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Maps (count, H, W) that rank the cells by chance: what a perturbation does without any map."""
    return np.random.default_rng(seed).random((count, *shape))
