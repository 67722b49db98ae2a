"""The published sensitivity on ISIC-2017: which counts on the official test images can give it, and which cannot."""

import numpy as np
import pandas as pd

from soft_attention.claims.wording import share
from soft_attention.published import published

ISIC2017_READINGS = {
    ("seborrheic_keratosis",): "sensitivity for seborrheic keratosis",
    ("melanoma",): "sensitivity for melanoma",
    ("nevus",): "sensitivity for nevus",
    ("melanoma", "nevus"): "specificity for seborrheic keratosis",
    ("seborrheic_keratosis", "nevus"): "specificity for melanoma",
    ("melanoma", "seborrheic_keratosis"): "specificity for nevus",
    ("melanoma", "seborrheic_keratosis", "nevus"): "accuracy, or mean sensitivity weighted by class size",
}


def sensitivity_check(value: float = 0.916, decimals: int = 3) -> pd.DataFrame:
    """Which counts on the 600 official test images of ISIC-2017 a printed share can be.

    Every k of n is tried, with n the size of each class and of the classes together. A share that no count gives is
    not that score of one evaluation on these images. It may still be a mean of several scores, see `averages_check`, or
    of several trainings, or come from other test images.

    Args:
        value: the printed share, 0 to 1.
        decimals: its number of decimals.

    Returns:
        One row per group of classes, smallest first: images, reading (what score such a share would be), below and
        above (the nearest counts on both sides, as text), rounded and cut_off (the counts that give `value` when
        rounded or when cut off, as text, empty if none).

    Raises:
        ValueError: `value` is not between 0 and 1, or has more decimals.
    """
    printed = _printed(value, decimals)
    sizes = published("isic2017").set_index("class")["test_images"]
    rows = []
    for group, reading in ISIC2017_READINGS.items():
        images = int(sizes[list(group)].sum())
        counts = np.arange(images + 1)
        below = int(np.searchsorted(counts / images, value, side="right")) - 1
        rows.append(
            {
                "images": images,
                "reading": reading,
                "below": _fraction(below, images, decimals),
                "above": _fraction(min(below + 1, images), images, decimals),
                "rounded": ", ".join(f"{k}/{images}" for k in counts[_rounded(counts, images, decimals) == printed]),
                "cut_off": ", ".join(f"{k}/{images}" for k in counts[_cut_off(counts, images, decimals) == printed]),
            }
        )
    return pd.DataFrame(rows).sort_values("images", ignore_index=True)


def averages_check(value: float = 0.916, decimals: int = 3) -> pd.DataFrame:
    """How many pairs or triples of counts on the official ISIC-2017 test set have a mean sensitivity of `value`.

    Returns:
        mean_of (classes), combinations (that there are), rounded and cut_off (how many of them give `value`).

    Raises:
        ValueError: as `sensitivity_check`.
    """
    printed = _printed(value, decimals)
    sizes = published("isic2017").set_index("class")["test_images"]
    rows = []
    for group in (["melanoma", "seborrheic_keratosis"], ["melanoma", "seborrheic_keratosis", "nevus"]):
        images = [int(sizes[name]) for name in group]
        common = int(np.lcm.reduce(images))
        sums = np.zeros(1, int)
        for n in images:
            sums = np.add.outer(sums, np.arange(n + 1) * (common // n)).ravel()
        whole = len(group) * common
        rows.append(
            {
                "mean_of": ", ".join(group),
                "combinations": len(sums),
                "rounded": int((_rounded(sums, whole, decimals) == printed).sum()),
                "cut_off": int((_cut_off(sums, whole, decimals) == printed).sum()),
            }
        )
    return pd.DataFrame(rows)


def _printed(value: float, decimals: int) -> int:
    """The digits of a printed share as a whole number: .916 with three decimals is 916."""
    if not 0 <= value <= 1:
        raise ValueError(f"a share lies between 0 and 1, {value} does not")
    if round(value, decimals) != value:
        raise ValueError(f"the share {value} has more than {decimals} decimals")
    return round(value * 10**decimals)


def _rounded(counts: np.ndarray, images: int, decimals: int) -> np.ndarray:
    """The digits of counts / images, rounded half up; in whole numbers, so that no binary fraction decides."""
    return (2 * counts * 10**decimals + images) // (2 * images)


def _cut_off(counts: np.ndarray, images: int, decimals: int) -> np.ndarray:
    """The digits of counts / images after which the rest is left away."""
    return counts * 10**decimals // images


def _fraction(count: int, images: int, decimals: int) -> str:
    return f"{count}/{images} = {share(count / images, decimals + 1)}"
