"""Does a map look at the lesion? Reference maps, and measures of maps against lesion masks.

A map is an array (H, W) of non-negative weights on its own coarse grid; only its proportions
count. An all-zero map, which Grad-CAM can produce, prefers nothing and is read as the uniform map.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import scipy  # its parts are loaded when they are first used: most tables need none
from tqdm.auto import tqdm

ATTENTION, GAUSSIAN, UNIFORM = "attention", "centred Gaussian", "uniform"  # kinds of map
SCORES = ("area", "energy", "pointing", "iou", "entropy", "effective_cells")
QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


# --- reference maps -------------------------------------------------------------------------------


def uniform_map(shape: tuple[int, int]) -> np.ndarray:
    """The map without a preference: every cell of (H, W) weighs the same, all together 1."""
    return np.full(shape, 1 / np.prod(shape))


def centred_gaussian(shape: tuple[int, int], sigma: float = 0.25) -> np.ndarray:
    """The map of one who only knows that lesions are centred: a bell in the middle of (H, W), sum 1.

    `sigma` is the standard deviation as a share of each side.
    """
    if sigma <= 0:
        raise ValueError(f"the width of a Gaussian must be positive, not sigma={sigma}")
    rows, columns = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / sigma) ** 2) for n in shape)
    bell = np.outer(rows, columns)
    return bell / bell.sum()


def resize_maps(maps: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Maps (..., H, W) as (..., S, S): bilinear between cell centres, edges extended outward."""
    height, width = (size, size) if np.isscalar(size) else size
    rows = _interpolation(maps.shape[-2], height)
    columns = _interpolation(maps.shape[-1], width)
    return rows @ maps @ columns.T


def _interpolation(cells: int, pixels: int) -> np.ndarray:
    """The matrix (pixels, cells) of one axis: row p holds the shares of the cells at pixel p."""
    position = (np.arange(pixels) + 0.5) * cells / pixels - 0.5
    return np.stack([np.interp(position, np.arange(cells), cell) for cell in np.eye(cells)], axis=1)


# --- maps against masks: (N, S, S) and (N, S, S) -> (N,) ------------------------------------------


def energy_inside(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Share of a map's weight inside the lesion, 0 to 1.

    The energy-based pointing game of Wang et al. (2020, Score-CAM). The uniform map scores the
    lesion's area share.
    """
    maps, masks = _flat(maps, masks)
    return (maps * masks).sum(axis=1) / maps.sum(axis=1)


def pointing_game(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """1 where the map's maximum lies in the lesion, else 0; of tied maxima, the share that does.

    Zhang et al. (2016). The uniform map scores the lesion's area share.
    """
    maps, masks = _flat(maps, masks)
    maps = _comparable(maps)
    peak = maps == maps.max(axis=1, keepdims=True)
    return (peak & masks).sum(axis=1) / peak.sum(axis=1)


def iou_at_area(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Intersection over union of the lesion and as many of the map's highest pixels as it has.

    Pixels tied at the threshold share the places that are left, so the uniform map scores
    s / (2 - s) for a lesion of area share s: what as many pixels at random positions would score.
    """
    maps, masks = _flat(maps, masks)
    maps = _comparable(maps)
    return _iou(_highest(maps, _descending(maps), masks.sum(axis=1)), masks)


def iou_curve(maps: np.ndarray, masks: np.ndarray, quantiles: tuple[float, ...] = QUANTILES) -> np.ndarray:
    """Intersection over union with the map cut at quantiles of its own pixels: (N, quantiles)."""
    maps, masks = _flat(maps, masks)
    maps = _comparable(maps)
    descending = _descending(maps)
    kept = [max(1, round((1 - quantile) * maps.shape[1])) for quantile in quantiles]
    counts = [np.full(len(maps), pixels) for pixels in kept]
    return np.stack([_iou(_highest(maps, descending, count), masks) for count in counts], axis=1)


def _flat(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps as weights (N, pixels) that sum to 1, and masks as (N, pixels) of bool."""
    maps, masks = np.asarray(maps), np.asarray(masks)
    if maps.shape != masks.shape:
        raise ValueError(f"maps {maps.shape} and masks {masks.shape} differ: use resize_maps first")
    masks = masks.reshape(len(masks), -1) > 0
    empty = np.flatnonzero(~masks.any(axis=1))
    if empty.size:
        raise ValueError(f"mask {empty[0]} marks no lesion: leave that image out")
    return _weights(maps), masks


def _weights(maps: np.ndarray) -> np.ndarray:
    """Maps (N, H, W) as weights (N, cells) that sum to 1; an all-zero map becomes uniform."""
    weights = np.array(maps, np.float64).reshape(len(maps), -1)
    if not (weights.min() >= 0 and weights.max() < np.inf):  # also false for NaN
        raise ValueError("a map holds a weight that is negative or not a number")
    weights[~weights.any(axis=1)] = 1
    return weights / weights.sum(axis=1, keepdims=True)


def _descending(maps: np.ndarray) -> np.ndarray:
    return -np.sort(-maps, axis=1)


def _highest(maps: np.ndarray, descending: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Membership, 0 to 1, of every pixel in the `counts` (N,) highest; ties share what is left."""
    threshold = np.take_along_axis(descending, counts[:, None] - 1, axis=1)
    above, tied = maps > threshold, maps == threshold
    left = (counts - above.sum(axis=1)) / tied.sum(axis=1)
    return above + tied * left[:, None]


def _comparable(maps: np.ndarray) -> np.ndarray:
    """Maps as float32, so that equal cells stay equal after the rounding of an interpolation."""
    return maps.astype(np.float32)


def _iou(members: np.ndarray, masks: np.ndarray) -> np.ndarray:
    inside = (members * masks).sum(axis=1)
    return inside / (members.sum(axis=1) + masks.sum(axis=1) - inside)


# --- maps alone -----------------------------------------------------------------------------------


def entropy(maps: np.ndarray) -> np.ndarray:
    """How spread maps (N, H, W) are: entropy over the uniform map's; 0 one cell, 1 uniform.

    A grid of one cell leaves no room for a preference and scores 1.
    """
    weights = _weights(maps)
    cells = weights.shape[1]
    logs = np.log(np.where(weights > 0, weights, 1))
    return -(weights * logs).sum(axis=1) / np.log(cells) if cells > 1 else np.ones(len(weights))


def effective_cells(maps: np.ndarray) -> np.ndarray:
    """On how many cells, 1 to H * W, maps (N, H, W) rest: 1 / sum(a²), a summing to 1."""
    return 1 / (_weights(maps) ** 2).sum(axis=1)


def head_correlation(maps: np.ndarray) -> np.ndarray:
    """Mean Pearson correlation between the heads of maps (N, K, H, W): (N,); 1 is one map K times.

    A head that is constant over the image has no correlation and is left out; NaN where fewer than
    two heads remain.
    """
    images, heads = maps.shape[:2]
    flat = np.asarray(maps, np.float64).reshape(images, heads, -1)
    centred = flat - flat.mean(axis=2, keepdims=True)
    norm = np.linalg.norm(centred, axis=2, keepdims=True)
    # In float32 a uniform head is not exactly constant: rounding must not count as a preference.
    alive = norm > 1e-5 * np.linalg.norm(flat, axis=2, keepdims=True)
    unit = np.where(alive, centred / np.where(alive, norm, 1), 0)
    number = alive.sum(axis=(1, 2))
    total = (unit.sum(axis=1) ** 2).sum(axis=1)  # all pairs, each head with itself included
    pairs = number * (number - 1)
    return np.divide(total - number, pairs, out=np.full(images, np.nan), where=pairs > 0)


def rank_correlation(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's correlation over the cells of two maps (N, H, W) of the same images: (N,); NaN for a constant map.

    The sanity check of Adebayo et al. (2018): with randomised weights a map must become another one.
    """
    if maps.shape != others.shape:
        raise ValueError(f"maps {maps.shape} and {others.shape} differ")
    ranks = [scipy.stats.rankdata(_comparable(m).reshape(len(m), -1), axis=1) for m in (maps, others)]
    centred = [r - r.mean(axis=1, keepdims=True) for r in ranks]
    norms = np.prod([np.linalg.norm(c, axis=1) for c in centred], axis=0)
    product = (centred[0] * centred[1]).sum(axis=1)
    return np.divide(product, norms, out=np.full(len(maps), np.nan), where=norms > 0)


def score_maps(maps: np.ndarray, masks: np.ndarray, batch_size: int = 128) -> pd.DataFrame:
    """Every measure of maps (N, H, W) against lesion masks (N, S, S): one row per image.

    Columns: area (the lesion's share of the image), energy, pointing, iou (at the lesion's area),
    and, on the map's own grid, entropy and effective_cells. For several heads give their sum.
    """
    if maps.ndim != 3 or len(maps) != len(masks):
        raise ValueError(f"expected maps (N, H, W) and as many masks, received {maps.shape} and {masks.shape}")
    parts = []
    for start in tqdm(range(0, len(maps), batch_size), desc="Scoring maps", leave=False):
        own, lesions = (array[start : start + batch_size] for array in (maps, masks))
        large = resize_maps(own, lesions.shape[1:])
        columns = {
            "area": (lesions > 0).mean(axis=(1, 2)),
            "energy": energy_inside(large, lesions),
            "pointing": pointing_game(large, lesions),
            "iou": iou_at_area(large, lesions),
            "entropy": entropy(own),
            "effective_cells": effective_cells(own),
        }
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def iou_curves(
    kinds: Mapping[str, np.ndarray], masks: np.ndarray, batch_size: int = 256
) -> dict[str, dict[str, float]]:
    """For each kind of map the mean `iou_curve`: quantile -> IoU; empty with no images."""
    found = {}
    for name, maps in kinds.items() if len(masks) else ():
        batches = (slice(start, start + batch_size) for start in range(0, len(masks), batch_size))
        curves = [iou_curve(resize_maps(maps[rows], masks.shape[1:]), masks[rows]) for rows in batches]
        found[name] = dict(zip(map(str, QUANTILES), np.concatenate(curves).mean(axis=0).tolist(), strict=True))
    return found


def compare(kinds: Mapping[str, np.ndarray], masks: np.ndarray) -> pd.DataFrame:
    """`score_maps` of several kinds of map of the same images, one below the other, named in the column `map`.

    With no images the table is empty and has its columns.
    """
    if not len(masks):
        return pd.DataFrame(columns=[*SCORES, "map"])
    return pd.concat([score_maps(maps, masks).assign(map=name) for name, maps in kinds.items()], ignore_index=True)
