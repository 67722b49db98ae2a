"""Windows of images in which the lesion lies anywhere: what the middle of an image tells is taken away."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from soft_attention.data.images import open_masks, rows_with_mask
from soft_attention.errors import StudyError

MASK_SIZE = 64  # side in pixels at which the middle of a lesion is looked for


def off_centre(table: pd.DataFrame, share: float | None, cache_dir: Path | str) -> pd.DataFrame:
    """The table with a column `window`, which `open_images` and `open_masks` then show instead of the whole frame.

    A window has `share` of each side of its image and lies inside it. Its place is drawn, evenly, from all those that
    hold the middle of the lesion, by the image's identifier alone: every arm, seed and fold sees the same window.

    Args:
        table: with image_id, image_path and mask_path.
        share: above 0 and below 1; None gives the table back as it is.
        cache_dir: folder of the decoded masks.

    Returns:
        A copy; `window` holds (left, top, right, bottom) as shares of the sides.

    Raises:
        StudyError: an image has no mask, or an empty one.
    """
    if share is None:
        return table
    masks = open_masks(table, MASK_SIZE, cache_dir)
    without = table.drop(index=table.index[rows_with_mask(masks)])
    if len(without):
        raise StudyError(
            f"off_centre needs to know where the lesion is, and {len(without):,} images have no mask with a lesion in "
            f"it ({', '.join(without['image_id'].head(3))}, ...)"
        )
    return table.assign(
        window=[_window(image, mask, share) for image, mask in zip(table["image_id"], masks, strict=True)]
    )


def _window(image_id: str, mask: np.ndarray, share: float) -> tuple[float, float, float, float]:
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8]))
    middle = (np.argwhere(mask).mean(axis=0)[::-1] + 0.5) / len(mask)  # x, y
    left, top = rng.uniform(np.maximum(0, middle - share), np.minimum(1 - share, middle))
    return float(left), float(top), float(left + share), float(top + share)
