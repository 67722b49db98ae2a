"""How the time for a dataset grows with its images: loading, decoding, splitting, auditing, a batch. One run.

    python benchmarks/growth_images.py [--images 10000 100000]

The images are made up, thumbnails of 32 x 32 px with a label and a lesion each, in a folder as a person has one. The
goal: no step takes more time for an image where there are more of them, up to a half for noise.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

SIDE, CLASSES, GOAL = 32, ("mel", "nv", "bkl"), 1.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", nargs="+", type=int, default=[10_000, 100_000])
    rows = []
    for count in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["DATA_DIR"] = str(Path(folder, "data"))
            rows.append(measure(make_up(Path(folder, "mine"), count), count))
        print(pd.DataFrame(rows[-1:]).to_string(index=False, float_format="%.4f"), flush=True)
    first, last = rows[0], rows[-1]
    for name in list(first)[1:]:
        growth = last[name] / max(first[name], 1e-9)
        print(f"{name}: {growth:.2f} times from {first['images']:,} to {last['images']:,} images, goal {GOAL}")


def measure(folder: Path, count: int) -> dict[str, float]:
    """Milliseconds of the processor for an image, by step; for a batch as a whole, which many images must not slow."""
    from soft_attention import load_dataset, make_split, paths
    from soft_attention.data.images import open_images
    from soft_attention.data.splits import audit_split
    from soft_attention.run.batches import Batches

    row: dict[str, float] = {"images": count}

    def timed(name, function, share=count):
        start = time.process_time()
        found = function()
        row[f"{name}, ms"] = 1000 * (time.process_time() - start) / share
        return found

    data = timed("load", lambda: load_dataset(str(folder)))
    timed("hash", lambda: data.pixel_hashes)
    images = timed("decode", lambda: open_images(data.table, SIDE, paths.data_dir() / "cache"))
    split = timed("split", lambda: make_split(data, "clean"))
    timed("audit", lambda: audit_split(split))
    rows = np.flatnonzero(split["subset"] == "train")
    batches = Batches(images, split["label"].to_numpy(str), rows, CLASSES, batch_size=64, sampling="balanced")
    batches[0]
    timed("batch of 64", lambda: [batches[step % len(batches)] for step in range(200)], share=200)
    return row


def make_up(folder: Path, count: int) -> Path:
    """A folder of so many images, three of four with a lesion of their own, and its `labels.csv`."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    lesions = np.sort(rng.integers(0, 3 * count // 4, count))
    labels = rng.choice(CLASSES, 3 * count // 4, p=(0.2, 0.6, 0.2))[lesions]
    names = [f"i{number:07d}" for number in range(count)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)).save(folder / f"{name}.jpg")
    table = pd.DataFrame({"image_id": names, "label": labels, "lesion_id": [f"l{lesion}" for lesion in lesions]})
    table.to_csv(folder / "labels.csv", index=False)
    return folder


if __name__ == "__main__":
    main()
