"""Coverage of the bootstrap interval, size and power of the tests, by simulation; and the time of the bootstrap.

    python benchmarks/comparisons.py [--datasets 200] [--lesions 1500] [--seeds 5] [--draws 1000] [--effect 0.05]

The simulated arms differ by `effect` in the recall of every class, or not at all. Lesions have the classes and numbers
of images of HAM10000; every seed tests each of them once. There are four worlds: trainings do not matter; they do not,
but many a lesion suits one arm, with every seed; each run (seed and fold) has its own quality; each seed has. Behind
every share stands its Monte-Carlo standard error.

Read `difference 0` as the size of a test of difference, and `difference EFFECT` as its power; for equivalence, whose
margin is EFFECT, it is the other way round.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrix products: a second thread would only wait

import numpy as np
import pandas as pd
from scipy import stats

from soft_attention.evaluation.bootstrap import bootstrap_mean, paired_bootstraps, resample_lesions
from soft_attention.evaluation.paired_tests import auc_contributions, corrected_t

LESIONS = {"akiec": 228, "bcc": 327, "bkl": 727, "df": 73, "mel": 614, "nv": 5403, "vasc": 98}  # of HAM10000
RECALL = np.array([0.60, 0.75, 0.65, 0.60, 0.55, 0.85, 0.80])  # of the reference, at the order of published ones
IMAGES = {1: 5514, 2: 1423, 3: 490, 4: 43}  # lesions by number of images; 4 stands for 4 to 6
FOLDS, LEVEL = 5, 0.95
METRIC = "balanced_accuracy"
AUC_WORLD = "lesions suit an arm"
LESION, IMAGE = 0.4, 0.1  # variance of how hard a lesion and an image is for both arms; 1 in all, the rest is noise
WORLDS = {  # variance of how hard a lesion is for one arm; quality of a run and of a seed, where .1 is about 3 points
    "trainings do not matter": {"lesion_of_arm": 0.1},
    "lesions suit an arm": {"lesion_of_arm": 0.4},
    "runs differ": {"lesion_of_arm": 0.1, "run": 0.1},
    "seeds differ": {"lesion_of_arm": 0.1, "seed": 0.06},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--datasets", type=int, default=200, help="simulated per world and effect; five times as many for the AUC"
    )
    parser.add_argument("--lesions", type=int, default=1500, help="in a simulated dataset")
    parser.add_argument("--seeds", type=int, default=5, help="in a simulated dataset")
    parser.add_argument("--draws", type=int, default=1000, help="of a bootstrap")
    parser.add_argument("--effect", type=float, default=0.05, help="true difference, and margin of equivalence")
    options = parser.parse_args()
    sizes = (options.datasets, options.lesions, options.seeds)
    print(f"{options.datasets} datasets of {options.lesions} lesions, {options.seeds} seeds x {FOLDS} folds; percent")
    for world in WORLDS:
        tables = {
            effect: measure(world, effect, *sizes, options.draws, options.effect) for effect in (0.0, options.effect)
        }
        print(f"\n{world}")
        print(comparison(tables))
    many = 5 * options.datasets
    for trainings in (0.0, 0.01):
        print(f"\nmelanoma AUC, {many} datasets, {AUC_WORLD}; trainings differ by {trainings:g} in area")
        areas = {
            effect: measure_auc(trainings, effect, many, (*sizes[1:], options.draws))
            for effect in (0.0, options.effect)
        }
        print(comparison(areas))
    print(f"\n10,000 draws, 10,015 images, 5 seeds: {seconds_of_bootstrap():.1f} s")


def measure(
    world: str, effect: float, datasets: int, lesions: int, seeds: int, draws: int, margin: float
) -> pd.DataFrame:
    """One row per simulated dataset: what each interval and each test says of it, as booleans."""
    rng = np.random.default_rng([list(WORLDS).index(world), round(effect * 1000)])
    simulated = (simulate(rng, lesions, seeds, effect, **WORLDS[world]) for _ in range(datasets))
    return pd.DataFrame([judge(pairs, effect, margin, draws, rng) for pairs in simulated])


def simulate(
    rng: np.random.Generator,
    lesions: int,
    seeds: int,
    effect: float,
    lesion_of_arm: float,
    run: float = 0.0,
    seed: float = 0.0,
) -> pd.DataFrame:
    """Pairs as from `pair_predictions`, with a column fold.

    An image is called correctly where a standard normal variable stays below the quantile of the recall of its class.
    """
    counts = np.array(list(LESIONS.values()))
    classes = np.repeat(np.arange(len(counts)), np.round(counts / counts.sum() * lesions).astype(int))
    lesion = lesion_of_images(rng, len(classes))
    truth = classes[lesion]
    fold = np.stack([rng.permutation(len(classes))[lesion] % FOLDS for _ in range(seeds)])
    pairs = pd.DataFrame(
        {
            "seed": np.repeat(np.arange(seeds), len(lesion)),
            "fold": fold.ravel(),
            "image_id": np.tile(np.arange(len(lesion)), seeds),
            "lesion_id": np.tile(lesion, seeds),
            "truth": np.tile(truth, seeds),
        }
    )
    shared = shared_hardness(rng, lesion)
    noise = np.sqrt(1 - LESION - IMAGE - lesion_of_arm - run**2 - seed**2)
    for arm, gain in (("arm", effect), ("reference", 0.0)):
        own = np.sqrt(lesion_of_arm) * rng.normal(size=len(classes))[lesion]
        quality = run * rng.normal(size=(seeds, FOLDS)) + seed * rng.normal(size=(seeds, 1))
        hardness = shared + own - np.take_along_axis(quality, fold, axis=1) + noise * rng.normal(size=fold.shape)
        other = (truth + rng.integers(1, len(counts), fold.shape)) % len(counts)
        pairs[arm] = np.where(hardness < stats.norm.ppf(RECALL + gain)[truth], truth, other).ravel()
    return pairs


def lesion_of_images(rng: np.random.Generator, lesions: int) -> np.ndarray:
    """The lesion's number, for each image."""
    shares = np.array(list(IMAGES.values())) / sum(IMAGES.values())
    return np.repeat(np.arange(lesions), rng.choice(list(IMAGES), lesions, p=shares))


def shared_hardness(rng: np.random.Generator, lesion: np.ndarray) -> np.ndarray:
    """How hard each image is for both arms."""
    of_lesion, of_image = rng.normal(size=(2, len(lesion)))
    return np.sqrt(LESION) * of_lesion[lesion] + np.sqrt(IMAGE) * of_image


def judge(pairs: pd.DataFrame, effect: float, margin: float, draws: int, rng: np.random.Generator) -> dict[str, bool]:
    """What the study's interval and three simpler ones say of balanced accuracy, and the tests of the difference."""
    seed = int(rng.integers(2**32))
    bootstrap = paired_bootstraps(pairs, list(LESIONS), [METRIC], draws=draws, seed=seed)[METRIC]
    drawn = resample_lesions(pairs, list(LESIONS), [METRIC], "lesion", draws, seed)[METRIC][1]
    correct = pairs[["arm", "reference"]].eq(pairs["truth"], axis=0)
    gains = (correct["arm"].astype(float) - correct["reference"]).groupby([pairs[c] for c in ("seed", "fold", "truth")])
    runs = gains.mean().groupby(["seed", "fold"]).mean()
    return {
        "covers: bootstrap": _covers(bootstrap.interval(LEVEL), effect),
        **{
            f"covers: {name}": _covers(np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]), effect)
            for name, values in alternatives(drawn, rng).items()
        },
        "finds a difference: bootstrap": bootstrap.p_value() < 1 - LEVEL,
        "finds a difference: corrected t over runs": corrected_t(runs, 1 / (FOLDS - 1)).p_value() < 1 - LEVEL,
        "finds equivalence: bootstrap": bootstrap.p_equivalence(margin) < 1 - LEVEL,
    }


def alternatives(drawn: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Bootstrap distributions that `paired_bootstraps` does not use, from the same resamples."""
    draws, seeds = drawn.shape
    times = rng.multinomial(seeds, np.full(seeds, 1 / seeds), draws) / seeds
    anew = rng.permuted(drawn, axis=0)  # another draw of lesions in each seed
    return {
        "lesions only": drawn.mean(axis=1),
        "lesions x seeds": (times * drawn).sum(axis=1),
        "lesions within seeds": (times * anew).sum(axis=1),
    }


def measure_auc(trainings: float, effect: float, datasets: int, sizes: tuple[int, int, int]) -> pd.DataFrame:
    """One row per simulated dataset: what the bootstrap says of the difference of two areas, as booleans."""
    rng = np.random.default_rng([round(effect * 1000), round(trainings * 1000)])
    return pd.DataFrame([judge_auc(rng, effect, trainings, *sizes) for _ in range(datasets)])


def judge_auc(
    rng: np.random.Generator, effect: float, trainings: float, lesions: int, seeds: int, draws: int
) -> dict[str, bool]:
    """What the bootstrap says of normal scores, those of melanoma being higher; many a lesion suits one arm.

    The true area of a training varies by `trainings` (standard deviation) around its arm's.
    """
    lesion = lesion_of_images(rng, lesions)
    positive = lesion < lesions * LESIONS["mel"] / sum(LESIONS.values())
    shared, of_arm = shared_hardness(rng, lesion), WORLDS[AUC_WORLD]["lesion_of_arm"]
    suits = np.sqrt(of_arm) * rng.normal(size=(2, lesions))[:, lesion]

    def scores(area: float, suits: np.ndarray) -> np.ndarray:
        noise = np.sqrt(1 - LESION - IMAGE - of_arm) * rng.normal(size=len(lesion))
        return np.sqrt(2) * stats.norm.ppf(area + trainings * rng.normal()) * positive + shared + suits + noise

    by_seed = [(scores(0.85 + effect, suits[0]), scores(0.85, suits[1])) for _ in range(seeds)]
    images = {"image_id": np.arange(len(lesion)), "lesion_id": lesion}
    gains = pd.concat(
        pd.DataFrame(images | {"seed": seed, "gain": auc_contributions(positive, *pair)})
        for seed, pair in enumerate(by_seed)
    )
    found = bootstrap_mean(gains, "gain", draws, int(rng.integers(2**32)))
    return {
        "covers: bootstrap": _covers(found.interval(LEVEL), effect),
        "finds a difference: bootstrap": found.p_value() < 1 - LEVEL,
    }


def comparison(tables: dict[float, pd.DataFrame]) -> str:
    """Percent of the datasets with its Monte-Carlo standard error, of each column under each effect."""
    return pd.DataFrame({f"difference {effect:g}": shares(table) for effect, table in tables.items()}).to_string()


def shares(table: pd.DataFrame) -> pd.Series:
    share = table.mean()
    error = np.sqrt(share * (1 - share) / len(table))
    return (100 * share).map("{:.1f}".format) + " ± " + (100 * error).map("{:.1f}".format)


def seconds_of_bootstrap() -> float:
    """The time of 10,000 draws at the size of HAM10000 and five seeds."""
    pairs = simulate(np.random.default_rng(0), 7470, 5, 0.0, lesion_of_arm=0.1)
    start = time.perf_counter()
    paired_bootstraps(pairs, list(LESIONS), [METRIC])
    return time.perf_counter() - start


def _covers(interval: tuple[float, float] | np.ndarray, value: float) -> bool:
    return bool(interval[0] <= value <= interval[1])


if __name__ == "__main__":
    main()
