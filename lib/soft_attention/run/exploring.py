"""One image at a time: what a trained network says of it, and where it looks. What `explore.ipynb` shows."""

import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from soft_attention import paths
from soft_attention.data import windows
from soft_attention.data.datasets import load_dataset
from soft_attention.data.images import decode_image, open_images, open_masks, rows_with_mask
from soft_attention.data.splits import make_split
from soft_attention.errors import StudyError
from soft_attention.files import read_json
from soft_attention.model.networks import FEATURES, attention_maps
from soft_attention.run import record, training
from soft_attention.run.gradcam import grad_cam
from soft_attention.run.inputs import Inputs
from soft_attention.study.config import Run
from soft_attention.vocabulary import ARMS


@dataclass(frozen=True)
class Opened:
    """A finished run with all that is needed to look at its test images."""

    run: Run
    network: keras.Model
    classes: tuple[str, ...]
    source: str  # official, a mirror's, generated, or a person's own
    table: pd.DataFrame  # the test images
    images: np.ndarray  # (N, S, S, 3) uint8, as `table`
    masks: dict[int, np.ndarray]  # row of `table` -> (S, S), for those with a lesion mask


@dataclass(frozen=True)
class Look:
    """What a network makes of one image."""

    image: np.ndarray  # (S, S, 3) uint8
    probabilities: np.ndarray  # (classes,)
    heads: np.ndarray  # (K, H, W), each summing to 1
    cam: np.ndarray  # (H, W), Grad-CAM of the class called


def explorable() -> dict[str, Run]:
    """The finished runs with attention whose networks are on this machine, by `STUDY/RUN`."""
    runs = {}
    for file in sorted(paths.RESULTS.glob("*/runs/**/metrics.json")):
        if not (file.parent / "model.keras").exists():
            continue
        run = Run.check(read_json(file.parent / "params.json"), str(file.parent / "params.json"))
        if ARMS[run.arm].maps:
            runs[f"{run.study}/{run.id}"] = run
    return runs


@lru_cache(maxsize=1)
def open_run(name: str) -> Opened:
    """Open a run of `explorable` by its name; the last one stays open.

    Raises:
        StudyError: there is no such run, or its images or network cannot be had.
    """
    runs = explorable()
    if name not in runs:
        raise StudyError(f"{name} is no finished run with attention whose network is on this machine: train it first")
    run, cache = runs[name], paths.data_dir() / "cache"
    training.prepare_backend(run.seed)
    data = load_dataset(run.dataset)
    split = windows.off_centre(make_split(data, **dict(run.split)), run.off_centre, cache)
    test = np.flatnonzero(split["subset"] == "test")
    masks = open_masks(split, run.size, cache)[test]
    return Opened(
        run=run,
        network=record.load_network(run.folder),
        classes=data.classes,
        source=data.source,
        table=split.iloc[test].reset_index(drop=True),
        images=open_images(split, run.size, cache)[test],
        masks={row: masks[row] for row in rows_with_mask(masks)},
    )


def look(network: keras.Model, image: np.ndarray) -> Look:
    """Ask a network with attention about one image `(S, S, 3)`, uint8."""
    batch = image[None]
    return Look(
        image=image,
        probabilities=training.predict(network, Inputs(batch), np.arange(1), batch_size=1)[0],
        heads=attention_maps(network, batch)[0],
        cam=grad_cam(network, batch, FEATURES)[0],
    )


def own_photo(name: str, content: bytes, size: int) -> np.ndarray:
    """A photo of one's own, as the file `name` holds it, in the form a network takes: (size, size, 3) uint8.

    Raises:
        StudyError: it is no image, or one too large or too deep.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / Path(name).name
        file.write_bytes(content)
        return decode_image(file, size)
