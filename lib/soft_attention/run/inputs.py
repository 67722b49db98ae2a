"""What a run's network reads: images, or kept features of a frozen trunk, and lesion masks if its unit needs them."""

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from soft_attention.data.images import NO_MASK, open_images, open_masks
from soft_attention.errors import StudyError
from soft_attention.run import features
from soft_attention.study.config import Run
from soft_attention.vocabulary import ARMS


@dataclass(frozen=True)
class Inputs:
    """The images of a table, row by row, as a network reads them.

    Attributes:
        values: uint8 images `(N, S, S, 3)`, or kept features `(N, V, H, W, C)` of V views.
        masks: `(N, S, S)` uint8, 1 on the lesion and 0 beside it; None for a network that needs none.
    """

    values: np.ndarray
    masks: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def kept(self) -> bool:
        """Whether the values are kept features."""
        return self.values.ndim == 5

    def reader(self, network: keras.Model) -> keras.Model:
        """The part of a network that reads these: all of it, or what follows the features."""
        return features.divide(network)[1] if self.kept else network

    def batch(self, rows: np.ndarray) -> np.ndarray | list[np.ndarray] | dict[str, np.ndarray]:
        """What the reader takes of some rows; of kept features the first view, the image as it is."""
        values = np.asarray(self.values[rows, 0] if self.kept else self.values[rows])
        if self.masks is None:
            return values
        masks = np.asarray(self.masks[rows])
        return [values, masks] if self.kept else {"image": values, "mask": masks}


def open_inputs(
    run: Run, network: keras.Model, rows: pd.DataFrame, cache_dir: Path, views: int | None = None
) -> Inputs:
    """The inputs of the rows of a split or of an outside test set.

    Args:
        run, network: as from `training.build`.
        rows: table with image_path, mask_path, subset and, where windows of the images are shown, window.
        cache_dir: folder of the arrays.
        views: other than the run's own; images that are only predicted need 1.

    Raises:
        StudyError: the arm needs the lesion mask of every image, and some have none.
    """
    masks = _lesions(run, rows, cache_dir) if ARMS[run.arm].needs_mask else None
    images = open_images(rows, run.size, cache_dir)
    if not run.frozen:
        return Inputs(images, masks)
    return Inputs(features.open_features(features.divide(network)[0], images, views or run.views, cache_dir), masks)


def _lesions(run: Run, rows: pd.DataFrame, cache_dir: Path) -> np.ndarray:
    masks = open_masks(rows, run.size, cache_dir)
    without = rows[(masks[:, 0, 0] == NO_MASK)]
    if len(without):
        counts = ", ".join(f"{count:,} {subset}" for subset, count in without["subset"].value_counts().items())
        raise StudyError(
            f"the arm {run.arm} needs the lesion mask of every image, and these images of {run.dataset} have none: "
            f"{counts} ({', '.join(without['image_id'].head(3))}, ...); leave the arm out there"
        )
    return masks
