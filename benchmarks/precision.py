"""Which precision pays on this processor: images per second of a training step of each network, in one run.

    python benchmarks/precision.py [--images 128] [--rounds 3] [--networks vgg16 ...]
    python benchmarks/precision.py --scores smoke synthetic/clean/mobilenet/released/seed-0-fold-0

`mixed_bfloat16` against `float32`, each with TensorFlow's graph optimiser and without. The study leaves the optimiser
off in float32 and on in mixed precision. Measured as in `training_step.py`, released networks at 64 px, the smallest
size that leaves InceptionResNetV2 a map of 2 x 2 cells at 107.

With `--scores STUDY RUN` the run is trained in both precisions, in the study `play`, and their scores are compared.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import training_step

from soft_attention.evaluation.bootstrap import pair_predictions, paired_bootstraps
from soft_attention.files import read_json
from soft_attention.quiet import stderr_to
from soft_attention.study import stages
from soft_attention.study.config import PLAY, Study
from soft_attention.study.folder import read_predictions
from soft_attention.vocabulary import BACKBONES

FORMS = {
    "float32": ("float32", False),
    "float32, optimised": ("float32", True),
    "bfloat16": ("mixed_bfloat16", False),
    "bfloat16, optimised": ("mixed_bfloat16", True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=128, help="images of a measurement, a multiple of 16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", default=list(BACKBONES))
    parser.add_argument("--form", nargs=4, help=argparse.SUPPRESS)  # FORM NETWORK SIZE FOLDER: be one of the processes
    parser.add_argument("--scores", nargs=2, metavar=("STUDY", "RUN"), help="compare the scores of a short training")
    options = parser.parse_args()
    if options.scores:
        compare_scores(*options.scores)
        return
    if options.form:
        form, network, size, folder = options.form
        with stderr_to():
            training_step.serve(prepared(form, network, int(size), Path(folder)))
        return
    print(f"{os.cpu_count()} cores; images/s\n{'network':22s} {' '.join(f'{name:>20s}' for name in FORMS)}  it pays")
    with tempfile.TemporaryDirectory() as folder:
        training_step.write_jpegs(Path(folder), options.images)
        for network in options.networks:
            size = max(64, BACKBONES[network].minimum_size)
            seconds = training_step.compare(list(FORMS), network, size, folder, options.rounds, __file__)
            rates = " ".join(f"{options.images / np.median(column):20.1f}" for column in seconds.T)
            gain = np.median(seconds[:, 0] / seconds[:, 3])
            print(f"{network:22s} {rates}  {'yes' if gain > 1 else 'no'}: {gain:.2f} times", flush=True)


def compare_scores(study: str, name: str, metric: str = "balanced_accuracy") -> None:
    """Print what a run scores in each precision, and their paired difference, for other lesions."""
    run = stages.find_run(Study.load(study), name)
    tables = {}
    for precision in ("float32", "mixed_bfloat16"):
        folder = stages.ensure_run(run.model_copy(update={"study": PLAY, "part": "", "precision": precision}).placed)
        tables[precision] = read_predictions(folder).assign(seed=run.seed, fold=run.fold)
        scores = read_json(folder / "metrics.json")
        low, high = scores["intervals"][metric]
        print(f"{precision}: {metric} {scores[metric]:.3f} ({low:.3f} to {high:.3f})", flush=True)
    classes = scores["classes"]
    pairs = pair_predictions(tables["mixed_bfloat16"], tables["float32"], classes)
    found = paired_bootstraps(pairs, classes, [metric], unit="image")[metric]
    low, high = found.interval()
    agree = "agree" if low <= 0 <= high else "DIFFER"
    print(f"bfloat16 - float32: {found.estimate:+.3f} ({low:+.3f} to {high:+.3f}): they {agree}")


def prepared(form: str, network: str, size: int, folder: Path):
    """The study's epoch in one precision, the graph optimiser on or off."""
    import tensorflow as tf

    precision, optimised = FORMS[form]
    epoch = training_step.study(network, size, folder, precision)
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimised})
    return epoch


if __name__ == "__main__":
    main()
