"""Insertion and deletion: does the prediction depend on the places that a map marks? (Petsiuk et al. 2018, RISE)

Deletion paints the highest places of a map over, step by step: a class's probability that falls soon, with a small area
under its curve, rested on them. Insertion puts them back into a blurred image: a large area says that they suffice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from soft_attention.evaluation.saliency import resize_maps

STEPS = 8
BLUR = 0.1  # deviation of the blur as a share of the image's side


def painted_over(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S, 3) that have their own mean colour everywhere: what deletion ends with."""
    return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).astype(np.uint8)


def blurred(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S, 3) of which only the coarsest colours are left: what insertion begins with."""
    return np.stack([gaussian_filter(i, (BLUR * len(i), BLUR * len(i), 0)) for i in images])


def areas_under_curves(
    predict: Callable,
    first: np.ndarray,
    last: np.ndarray,
    kinds: Mapping[str, np.ndarray],
    classes: np.ndarray,
    steps: int = STEPS,
    batch: int = 64,
) -> dict[str, np.ndarray]:
    """Mean probability, 0 to 1, of a class while images turn into others, the highest places of a map first.

    Args:
        predict: uint8 images `(n, S, S, 3)` -> class probabilities `(n, classes)`.
        first, last: uint8 `(N, S, S, 3)`; for deletion the images and `painted_over`, for insertion `blurred` and the
            images.
        kinds: by name the maps `(N, H, W)` of each kind, any grid.
        classes: `(N,)`, the class whose probability is followed: the one predicted for the whole image.
        steps: how many equal shares of the pixels are changed, one after the other.
        batch: how many images `predict` is given at once, the last time what is left.

    Returns:
        By name the means, `(N,)`.
    """

    def frames() -> Iterator[np.ndarray]:
        yield from (first, last)  # the same for every map
        for maps in kinds.values():
            rank = _ranks(maps, first.shape[1:3])
            yield from (np.where(rank < step / steps, last, first) for step in range(1, steps))

    probabilities = np.concatenate([predict(images) for images in _in_batches(frames(), batch)])
    followed = np.resize(classes, len(probabilities))
    start, end, *between = probabilities[np.arange(len(followed)), followed].reshape(-1, len(classes))
    curves = np.reshape(between, (len(kinds), steps - 1, len(classes)))
    return {
        name: np.trapezoid([start, *curve, end], dx=1 / steps, axis=0)
        for name, curve in zip(kinds, curves, strict=True)
    }


def _in_batches(parts: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """What the arrays hold, one below the other, `size` rows at a time."""
    rest = np.empty(0)
    for part in parts:
        rest = np.concatenate([rest, part]) if len(rest) else part
        while len(rest) >= size:
            yield rest[:size]
            rest = rest[size:]
    if len(rest):
        yield rest


def _ranks(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Share of an image's pixels that come before each, the highest of its map first: (N, S, S, 1), 0 to below 1.

    Pixels that a map ranks alike, such as the zeros of Grad-CAM, come in random order and not from the top down.
    """
    by_chance = random_maps(len(maps), maps.shape[1:])
    keys = [-resize_maps(ranked, size).reshape(len(maps), -1) for ranked in (by_chance, maps)]
    order = np.lexsort(keys, axis=1)
    return np.argsort(order, axis=1).reshape(len(maps), *size, 1) / order.shape[1]


def random_maps(count: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Maps (count, H, W) that rank the cells by chance: what a perturbation does without any map."""
    return np.random.default_rng(seed).random((count, *shape))
