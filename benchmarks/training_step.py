"""Images per second of training from JPEG files: the study, the authors' form, and a plain PyTorch loop, in one run.

    pip install torch torchvision        # optional: without them the form `pytorch` is left out
    python benchmarks/training_step.py [--images 128] [--rounds 3] [--networks resnet50 vgg16] [--sizes 64 128]

Each form is a process of its own. All read the same files, in batches of 16, and in every round each trains on all of
them once, one form after the other; a ratio is the median over the rounds of the ratio within a round.

- `study`: decodes the files anew in every round, which a study does once; the released network with its unit.
- `study_bf16`: the same in `precision: mixed_bfloat16`.
- `authors`: Keras' generator over folders, which reads the files in every epoch, and the unit by `tf.nn.conv3d`. It
  moves no image: the authors had moved copies on disk.
- `pytorch`: torchvision's network, without a unit, and its transforms; a loader with two workers.

With DATA_MIRROR set to a folder with `HAM10000_images_part_1.zip` the images are real, else random, of 300 x 225 px.
"""

import argparse
import importlib.util
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from soft_attention.quiet import stderr_to

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH = 16
CLASSES = tuple("abcdefg")
OURS = ("study", "study_bf16")
GOALS = {"authors": 3.0, "pytorch": 1.2}  # times as fast, the better of ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128, help=f"how many JPEG files, a multiple of {BATCH}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=["resnet50", "vgg16"])
    parser.add_argument("--sizes", nargs="+", type=int, default=[64, 128])
    parser.add_argument("--form", nargs=4, help=argparse.SUPPRESS)  # FORM NETWORK SIZE FOLDER: be one of the processes
    options = parser.parse_args()
    if options.form:
        form, network, size, folder = options.form
        with stderr_to():  # TensorFlow's banners, bars of progress
            serve(FORMS[form](network, int(size), Path(folder)))
        return
    names = [name for name in FORMS if name != "pytorch" or importlib.util.find_spec("torchvision")]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores; batches of {BATCH}")
    rates = " ".join(f"{name + ', images/s':>20s}" for name in names)
    print(f"{'network':10s} {'px':>4s} {rates}   times as fast as")
    with tempfile.TemporaryDirectory() as folder:
        write_jpegs(Path(folder), options.images)
        for network in options.networks:
            for size in options.sizes:
                seconds = compare(names, network, size, folder, options.rounds)
                print(line(network, size, names, seconds, options.images), flush=True)


def line(network: str, size: int, names: list[str], seconds: np.ndarray, images: int) -> str:
    rates = " ".join(f"{images / np.median(column):20.1f}" for column in seconds.T)
    columns = dict(zip(names, seconds.T, strict=True))
    said = []
    for name, goal in GOALS.items():
        if name in columns:
            ratios = {own: np.median(columns[name] / columns[own]) for own in OURS}
            both = ", ".join(f"{own} {ratio:.1f}" for own, ratio in ratios.items())
            said.append(f"{name}: {both} (goal {goal:g}: {'met' if max(ratios.values()) >= goal else 'MISSED'})")
    return f"{network:10s} {size:4d} {rates}   {'; '.join(said)}"


def compare(names: list[str], network: str, size: int, folder: str, rounds: int, script: str = __file__) -> np.ndarray:
    """Seconds of an epoch of each form that `script` knows, `(rounds, forms)`."""
    command = [sys.executable, script, "--form"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, name, network, str(size), folder], **pipes) for name in names]
    try:
        for worker in workers:
            answer(worker)  # it is ready: graph and first steps are made
        return np.array([[float(ask(worker)) for worker in workers] for _ in range(rounds)])
    finally:
        for worker in workers:
            worker.stdin.close()
            worker.wait()


def ask(worker: subprocess.Popen) -> str:
    worker.stdin.write("go\n")
    worker.stdin.flush()
    return answer(worker)


def answer(worker: subprocess.Popen) -> str:
    """The next line that a process has marked as its answer; what libraries print is passed over."""
    for text in worker.stdout:
        if text.startswith("answer "):
            return text.removeprefix("answer ")
    raise SystemExit(f"{' '.join(worker.args[2:])} has ended without an answer")


def serve(epoch: Callable[[], None]) -> None:
    """Make an epoch to warm up, then one for each line of the standard input, and print its seconds."""
    epoch()
    print("answer ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        epoch()
        print("answer", time.perf_counter() - start, flush=True)


def study(network: str, size: int, folder: Path, precision: str = "float32") -> Callable[[], None]:
    import pandas as pd

    from soft_attention.data.images import open_images
    from soft_attention.run.batches import Batches

    trainer = _trainer(network, size, precision)
    files = sorted(folder.rglob("*.jpg"))
    table = pd.DataFrame({"image_path": [str(file) for file in files]})
    labels = np.array([file.parent.name for file in files])

    def epoch() -> None:
        with tempfile.TemporaryDirectory() as cache:
            images = open_images(table, size, cache)
            batches = Batches(images, labels, np.arange(len(files)), CLASSES, batch_size=BATCH)
            trainer.fit(batches, shuffle=False, callbacks=[batches.follow()], verbose=0)

    return epoch


def authors(network: str, size: int, folder: Path) -> Callable[[], None]:
    import tensorflow as tf
    from keras._tf_keras.keras.preprocessing.image import ImageDataGenerator

    from soft_attention import SoftAttention

    def by_conv3d(unit, features):
        scores = tf.nn.conv3d(features[..., None], unit.kernel, (1, 1, 1, features.shape[-1], 1), "SAME")
        return tf.nn.relu(scores[:, :, :, 0] + unit.bias)

    SoftAttention._released_scores = by_conv3d
    trainer = _trainer(network, size, augmented=False)
    flow = ImageDataGenerator().flow_from_directory(folder, (size, size), batch_size=BATCH, shuffle=True)
    return lambda: trainer.fit(flow, verbose=0)


def _trainer(network: str, size: int, precision: str = "float32", augmented: bool = True):
    """The released network with its unit, compiled as a run does it."""
    from soft_attention.run import training
    from soft_attention.study.config import Study

    runs = Study.load("recipe_64px").runs()
    run = next(run for run in runs if run.arm == "released")
    changes = {"backbone": network, "image_size": size, "batch_size": BATCH, "precision": precision}
    run = run.model_copy(update=changes)
    training.prepare_backend(run.seed, run.precision)
    built = training.build(run, CLASSES)
    if augmented:
        return training._trainer(built, run, steps=1000)
    built.compile(training.adam(run.learning_rate, run.adam_epsilon), "categorical_crossentropy")
    return built


def pytorch(network: str, size: int, folder: Path) -> Callable[[], None]:
    import torch
    import torchvision
    from torchvision.transforms import v2

    moves = v2.Compose(
        [
            v2.Resize((size, size)),
            v2.RandomAffine(180, (0.1, 0.1), (0.9, 1.1)),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    images = torchvision.datasets.ImageFolder(folder, moves)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=2, persistent_workers=True)
    model = torchvision.models.get_model(network, num_classes=len(CLASSES)).train()
    optimizer, loss = torch.optim.Adam(model.parameters(), 1e-4), torch.nn.CrossEntropyLoss()

    def epoch() -> None:
        for batch, labels in loader:
            optimizer.zero_grad()
            loss(model(batch), labels).backward()
            optimizer.step()

    return epoch


def study_bf16(network: str, size: int, folder: Path) -> Callable[[], None]:
    return study(network, size, folder, "mixed_bfloat16")


FORMS = {"study": study, "study_bf16": study_bf16, "authors": authors, "pytorch": pytorch}


def write_jpegs(folder: Path, count: int) -> None:
    """The first images of the mirror, or random ones of the same size, in a folder for each class."""
    from pipeline import write_jpegs as write

    for number, file in enumerate(map(Path, write(folder, count)["image_path"])):
        place = folder / CLASSES[number % len(CLASSES)]
        place.mkdir(exist_ok=True)
        file.rename(place / file.name)


if __name__ == "__main__":
    main()
