"""Images per second whose attention is computed and scored against lesion masks, and what each step takes of the time.

    python benchmarks/saliency.py [--images 1024] [--rounds 3] [--backbone mobilenet] [--size 224]

The network has random weights and the images are generated: neither changes the time. From images the whole network
runs; from kept features, as in a frozen run, the unit alone.
"""

import argparse
import os
import platform
import time

import keras
import numpy as np

from soft_attention import build_network
from soft_attention.evaluation import saliency
from soft_attention.model.networks import attention_unit, maps_of_features
from soft_attention.run.features import divide
from soft_attention.run.maps import BATCH, MASK_SIZE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3, help="measurements, of which the best counts")
    parser.add_argument("--backbone", default="mobilenet")
    parser.add_argument("--size", type=int, default=224, help="side of the images in pixels")
    options = parser.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores, {keras.backend.backend()}, Keras {keras.__version__}")
    steps = np.array([seconds(options) for _ in range(options.rounds)])
    trunk, unit, scores = steps[steps.sum(axis=1).argmin()] / options.images
    print(f"{options.backbone}, {options.size} px, {options.images} images, the best of {options.rounds} rounds")
    print(f"  from images         {1 / (trunk + unit + scores):8.0f} images a second")
    print(f"  from kept features  {1 / (unit + scores):8.0f} images a second")
    for name, step in {"trunk": trunk, "unit": unit, "scores": scores}.items():
        print(f"  {name:8s} {1e3 * step:6.2f} ms an image")


def seconds(options: argparse.Namespace) -> tuple[float, float, float]:
    """The time of the trunk, of the unit and of the scores, over all images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (options.images, options.size, options.size, 3), np.uint8)
    masks = np.zeros((options.images, MASK_SIZE, MASK_SIZE), np.uint8)
    masks[:, MASK_SIZE // 4 : MASK_SIZE // 2, MASK_SIZE // 4 : MASK_SIZE // 2] = 1
    network = build_network(options.backbone, "released", image_size=options.size)
    trunk, unit = divide(network)[0], attention_unit(network)
    trunk.predict(images[:BATCH], BATCH, verbose=0)  # tracing
    marks = [time.perf_counter()]
    features = trunk.predict(images, BATCH, verbose=0)
    marks.append(time.perf_counter())
    maps = [maps_of_features(unit, features[i : i + BATCH]).sum(axis=1) for i in range(0, len(images), BATCH)]
    marks.append(time.perf_counter())
    saliency.score_maps(np.concatenate(maps), masks)
    marks.append(time.perf_counter())
    return tuple(np.diff(marks))


if __name__ == "__main__":
    main()
