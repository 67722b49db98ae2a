"""One image at a time: what a trained network predicts for it, and where it looks. What `menus` shows."""

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from soft_attention import paths
from soft_attention.data import windows
from soft_attention.data.datasets import load_dataset
from soft_attention.data.images import (
    UnreadableImage,
    decode_image,
    open_images,
    open_masks,
    rows_with_mask,
    upright_size,
)
from soft_attention.data.splits import make_split
from soft_attention.errors import StudyError
from soft_attention.model.networks import FEATURES, attention_maps
from soft_attention.run import record, training
from soft_attention.run.gradcam import grad_cam
from soft_attention.run.inputs import Inputs
from soft_attention.study.config import Run
from soft_attention.vocabulary import ARMS, no_maps

WIDEST = 4 / 3  # of a photo, long side by short side: the images that the networks were trained on are 4:3


@dataclass(frozen=True)
class Opened:
    """A finished run with all that is needed to look at its test images."""

    name: str  # STUDY/RUN
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
    cam: np.ndarray  # (H, W), Grad-CAM of the predicted class


@dataclass(frozen=True)
class Photo:
    """A photo of one's own in the form that a network takes."""

    pixels: np.ndarray  # (S, S, 3) uint8
    made: str  # how it was made square, for people


def explorable() -> list[str]:
    """The finished runs with attention, of any study, whose networks are on this machine, as `STUDY/RUN`."""
    return [name for name, folder in _with_attention() if _network(folder).exists()]


def not_explorable() -> str:
    """A sentence on the finished runs with attention whose networks are not here; empty if there are none."""
    studies = Counter(name.partition("/")[0] for name, folder in _with_attention() if not _network(folder).exists())
    if not studies:
        return ""
    counts = ", ".join(f"{count:,} of {study}" for study, count in studies.items())
    return (
        f"Not in this menu: finished runs whose networks are not on this machine, as git keeps none ({counts}). "
        "To look at such a network, train it with the same settings in 02_train."
    )


def open_run(name: str) -> Opened:
    """Open a finished run by its name, `STUDY/RUN`; the last one stays open until it is trained anew.

    Raises:
        StudyError: there is no such run, it has no attention, or its network or images cannot be had.
    """
    study, _, run_id = name.partition("/")
    folder = paths.RESULTS / study / "runs" / run_id
    finished = folder / "metrics.json"
    if not finished.exists():
        raise StudyError(f"there is no finished run {name}: choose one from the menu, or train it first")
    return _open(name, folder, finished.stat().st_mtime_ns)


def look(network: keras.Model, image: np.ndarray) -> Look:
    """Ask a network with attention about one image `(S, S, 3)`, uint8."""
    batch = image[None]
    return Look(
        image=image,
        probabilities=training.predict(network, Inputs(batch), np.arange(1), batch_size=1)[0],
        heads=attention_maps(network, batch)[0],
        cam=grad_cam(network, batch, FEATURES)[0],
    )


def own_photo(name: str, content: bytes, size: int) -> Photo:
    """A photo of one's own, as the uploaded file `name` holds it, for a network that takes `size` pixels.

    Of a photo longer than `WIDEST` the middle is taken, and squeezed to a square, as every image of the study is.

    Raises:
        StudyError: it is no image, a damaged one, or one too large or too deep.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo"
        file.write_bytes(content)
        said = f"the file {Path(name).name}"
        try:
            width, height = upright_size(file)
            window = _middle(width, height)
            return Photo(decode_image(file, size, window), _made(width, height, window, size))
        except UnreadableImage as error:
            raise StudyError(f"{said} is not a JPEG or PNG{error.than}; choose another photo") from error
        except StudyError as error:
            raise StudyError(str(error).replace(str(file), said)) from error


def _with_attention() -> Iterator[tuple[str, Path]]:
    """Every finished run with attention: its name, `STUDY/RUN`, and its folder."""
    for file in sorted(paths.RESULTS.glob("*/runs/**/metrics.json")):
        study, _, *run = file.parent.relative_to(paths.RESULTS).parts
        if len(run) > 1 and (arm := ARMS.get(run[-2])) and arm.maps:
            yield "/".join((study, *run)), file.parent


def _network(folder: Path) -> Path:
    return folder / "model.keras"


@lru_cache(maxsize=1)
def _open(name: str, folder: Path, changed: int) -> Opened:
    run = Run.read(folder / "params.json")
    if not ARMS[run.arm].maps:
        raise StudyError(no_maps(name))
    training.prepare_backend(run.seed, run.precision)
    network = record.load_network(folder)  # before the images: without it none need be fetched
    cache = paths.data_dir() / "cache"
    data = load_dataset(run.dataset)
    split = windows.off_centre(make_split(data, **dict(run.split)), run.off_centre, cache)
    test = np.flatnonzero(split["subset"] == "test")
    masks = open_masks(split, run.size, cache)[test]
    return Opened(
        name=name,
        run=run,
        network=network,
        classes=data.classes,
        source=data.source,
        table=split.iloc[test].reset_index(drop=True),
        images=open_images(split, run.size, cache)[test],
        masks={row: masks[row] for row in rows_with_mask(masks)},
    )


def _middle(width: int, height: int) -> tuple[float, float, float, float]:
    """The window in the middle of a frame that is no longer than `WIDEST`: left, top, right, bottom as shares."""
    across, down = min(1, WIDEST * height / width), min(1, WIDEST * width / height)
    return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2


def _made(width: int, height: int, window: tuple[float, float, float, float], size: int) -> str:
    left, top, right, bottom = window
    frame = f"{width:,} x {height:,} pixels"
    seen = f"{round((right - left) * width):,} x {round((bottom - top) * height):,} pixels"
    cropped = f" cropped to the {seen} in its middle and" if seen != frame else ""
    return f"The photo of {frame} was{cropped} scaled to a square of {size} pixels."
