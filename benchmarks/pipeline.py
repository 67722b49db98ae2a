"""Images per second of the study's input pipeline beside three others, measured in one run.

    python benchmarks/pipeline.py [--images 512] [--batches 12] [--rounds 3]

Rates depend on the machine; the ratios are what this script is for. With DATA_MIRROR set to a
folder with `HAM10000_images_part_1.zip` the images are real, otherwise random, of 300 x 225 px.
"""

import argparse
import os
import platform
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator
from PIL import Image

from soft_attention.data.images import open_images
from soft_attention.run.augmentation import apply_affine
from soft_attention.run.batches import Batches

BATCH = 32
RECIPE = {
    "rotation_range": 180,
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "zoom_range": 0.1,
    "horizontal_flip": True,
    "vertical_flip": True,
    "fill_mode": "nearest",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512, help="how many JPEG files")
    parser.add_argument("--batches", type=int, default=12, help=f"batches of {BATCH} in a measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each, of which the best counts")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, {_devices()}, Keras {keras.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        table = write_jpegs(Path(folder), options.images)
        rates = {size: measure(table, size, folder, options) for size in (128, 224)}
    report(pd.DataFrame(rates).T)


def measure(table: pd.DataFrame, size: int, folder: str, options: argparse.Namespace) -> dict[str, float]:
    """The best rate of each pipeline in images per second; they take turns on the same machine."""
    images = open_images(table, size, folder)
    sources = {
        "one resample": one_resample(images),
        "generator": generator(table, size),
        "layers": layers(images),
    }
    if size == 128:
        sources["step"] = training_step(size)
    rates = {name: [] for name in sources}
    for source in sources.values():
        source()  # tracing and compilation
    for _ in range(options.rounds):
        for name, source in sources.items():
            start = time.perf_counter()
            for _ in range(options.batches):
                source()
            rates[name].append(options.batches * BATCH / (time.perf_counter() - start))
    return {name: max(rate) for name, rate in rates.items()}


def one_resample(images: np.ndarray) -> Callable:
    """The study: rows of the array on disk, moved by one compiled resampling."""
    batches = _endless(images, augment=True)
    augment = tf.function(apply_affine)

    def next_batch():
        inputs, _ = next(batches)
        return augment(inputs["image"], inputs["transform"]).numpy()

    return next_batch


def generator(table: pd.DataFrame, size: int) -> Callable:
    """The released code's generator: reads JPEG files in every epoch and moves them one by one."""
    flow = ImageDataGenerator(**RECIPE).flow_from_dataframe(
        table,
        x_col="image_path",
        class_mode=None,
        target_size=(size, size),
        batch_size=BATCH,
        validate_filenames=False,
        verbose=0,
    )
    return lambda: next(flow)


def layers(images: np.ndarray) -> Callable:
    """Keras' own augmentation layers, one resampling each, on the same array on disk."""
    batches = _endless(images, augment=False)
    chain = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal_and_vertical"),
            keras.layers.RandomRotation(0.5, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            keras.layers.RandomZoom((-0.1, 0.1), (-0.1, 0.1), fill_mode="nearest"),
        ]
    )
    augment = tf.function(lambda images: chain(tf.cast(images, "float32"), training=True))
    return lambda: augment(next(batches)[0]["image"]).numpy()


def training_step(size: int) -> Callable:
    """What consumes the images: one step of the smallest network of the study."""
    model = keras.applications.MobileNet((size, size, 3), alpha=0.75, weights=None, classes=7)
    model.compile("adam", "categorical_crossentropy")
    images = np.random.default_rng(0).random((BATCH, size, size, 3), np.float32)
    labels = np.eye(7, dtype=np.float32)[np.arange(BATCH) % 7]
    return lambda: model.train_on_batch(images, labels)


def report(rates: pd.DataFrame) -> None:
    targets = {("generator", 128): 5, ("generator", 224): 4}
    targets |= {("layers", 128): 2.5, ("layers", 224): 2.5, ("step", 128): 2}
    print("\nimages per second\n" + rates.rename_axis("px").to_string(float_format="%.0f", na_rep=""))
    print("\none resample, times as fast as")
    for (name, size), target in targets.items():
        ratio = rates.loc[size, "one resample"] / rates.loc[size, name]
        print(f"  {name:10} {size} px {ratio:6.1f}   goal {target:3}  {'met' if ratio >= target else 'MISSED'}")


def write_jpegs(folder: Path, count: int) -> pd.DataFrame:
    """The first images of the mirror, or random ones of the same size."""
    if mirror := os.environ.get("DATA_MIRROR"):
        with zipfile.ZipFile(Path(mirror) / "HAM10000_images_part_1.zip") as archive:
            names = [name for name in archive.namelist() if name.endswith(".jpg")][:count]
            files = [archive.extract(name, folder) for name in names]
    else:
        rng = np.random.default_rng(0)
        files = [str(folder / f"{i}.jpg") for i in range(count)]
        for file in files:
            coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
            coarse.resize((300, 225)).save(file)
    return pd.DataFrame({"image_path": files})


def _endless(images: np.ndarray, augment: bool):
    labels = np.full(len(images), "any")
    batches = Batches(images, labels, range(len(images)), ["any"], batch_size=BATCH, augment=augment)
    while True:
        for step in range(len(batches)):
            yield batches[step]
        batches.on_epoch_end()


def _devices() -> str:
    return ", ".join(device.name for device in tf.config.list_logical_devices())


if __name__ == "__main__":
    main()
