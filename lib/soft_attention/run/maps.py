"""The attention of one run, beside other maps of the same images and with randomised weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from soft_attention.evaluation import saliency
from soft_attention.evaluation.saliency import ATTENTION, GAUSSIAN, UNIFORM
from soft_attention.model.networks import attention_unit, maps_of_features
from soft_attention.model.units import Unit
from soft_attention.run import features, perturbation
from soft_attention.run.forward import outputs
from soft_attention.run.gradcam import grad_cam
from soft_attention.run.inputs import Inputs

MASK_SIZE = 64  # side in pixels at which maps and masks are compared: finer than any map here
BATCH = 64


def measured_subset(split: pd.DataFrame, with_mask: np.ndarray) -> str:
    """The test images; or, where none of them has a lesion mask and validation images have, those."""
    masked = split["subset"].iloc[with_mask]
    return "validation" if (masked == "validation").any() and not (masked == "test").any() else "test"


def saliency_maps(
    network: keras.Model, baseline: keras.Model, inputs: Inputs, rows: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The attention of a network, and five other kinds of map of the same images.

    Args:
        network: of an arm with attention.
        baseline: the network of the arm `baseline`, same backbone, seed and fold.
        inputs: as from `open_inputs`.
        rows: the N rows of `inputs` to make maps of.
        seed: of the randomised unit.

    Returns:
        The maps of the heads, `(N, K, H, W)`, and by kind the maps `(N, H, W)`: `attention` (the sum of the heads),
        `Grad-CAM` of the same network, `Grad-CAM of the baseline`, `randomised unit` (the same features, the unit's
        weights drawn anew), `centred Gaussian` and `uniform`.
    """
    unit = attention_unit(network)
    other = randomised(unit, seed)
    heads, kinds = [], {ATTENTION: [], "Grad-CAM": [], "Grad-CAM of the baseline": [], "randomised unit": []}
    for start in tqdm(range(0, len(rows), BATCH), "Computing maps", unit="batch"):
        batch = rows[start : start + BATCH]
        own, plain = _features(network, inputs, batch), _features(baseline, inputs, batch)
        heads.append(maps_of_features(unit, own))
        kinds[ATTENTION].append(heads[-1].sum(axis=1))
        kinds["Grad-CAM"].append(_cam(network, own))
        kinds["Grad-CAM of the baseline"].append(_cam(baseline, plain))
        kinds["randomised unit"].append(maps_of_features(other, own).sum(axis=1))
    kinds = {name: np.concatenate(parts) for name, parts in kinds.items()}
    shape = kinds[ATTENTION].shape
    kinds[GAUSSIAN] = np.broadcast_to(saliency.centred_gaussian(shape[1:]), shape)
    kinds[UNIFORM] = np.broadcast_to(saliency.uniform_map(shape[1:]), shape)
    return np.concatenate(heads), kinds


def randomised(unit: Unit, seed: int) -> Unit:
    """The unit with new random weights."""
    keras.utils.set_random_seed(seed)
    other = type(unit).from_config(unit.get_config() | {"name": "randomised"})
    other.build(unit.input.shape)
    return other


def randomisation(network: keras.Model, images: np.ndarray, kinds: dict[str, np.ndarray]) -> dict[str, float | None]:
    """Mean rank correlation of the attention with that of random weights (Adebayo et al. 2018).

    `unit`: the unit's weights drawn anew, over all images. `network`: the weights of every layer shuffled within it,
    which keeps their size, over `images` `(n, S, S, 3)`, the first n of those in `kinds`. None where a map is constant
    everywhere.
    """
    attention = kinds[ATTENTION]
    with shuffled_weights(network):
        maps = maps_of_features(attention_unit(network), _features_of_images(network, images)).sum(axis=1)
    return {
        "unit": known_mean(saliency.rank_correlation(attention, kinds["randomised unit"])),
        "network": known_mean(saliency.rank_correlation(attention[: len(images)], maps)),
    }


@contextmanager
def shuffled_weights(network: keras.Model, seed: int = 0) -> Iterator[None]:
    """For a while every kernel of a network has its numbers in random order; biases and normalisations stay."""
    rng, weights = np.random.default_rng(seed), network.get_weights()
    network.set_weights([rng.permutation(w.ravel()).reshape(w.shape) if w.ndim > 1 else w for w in weights])
    try:
        yield
    finally:
        network.set_weights(weights)


def perturbations(
    network: keras.Model, images: np.ndarray, kinds: dict[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """Insertion and deletion of `images` `(n, S, S, 3)` by the maps `(n, H, W)` of each kind and by chance, means."""
    compared = {name: maps for name, maps in kinds.items() if name != UNIFORM}  # it ranks no place above another
    compared["chance"] = perturbation.random_maps(len(images), kinds[ATTENTION].shape[1:])

    def predict(changed: np.ndarray) -> np.ndarray:
        values = _features_of_images(network, changed)
        return outputs(features.divide(network)[1], lambda at: values[at], len(values), BATCH)

    classes = predict(images).argmax(axis=1)
    turns = {
        "insertion": (perturbation.blurred(images), images),
        "deletion": (images, perturbation.painted_over(images)),
    }
    areas = {
        measure: perturbation.areas_under_curves(predict, first, last, compared, classes, batch=BATCH)
        for measure, (first, last) in tqdm(turns.items(), "Insertion and deletion")
    }
    return {name: {measure: float(areas[measure][name].mean()) for measure in turns} for name in compared}


def balanced_rows(labels: pd.Series, count: int) -> np.ndarray:
    """Positions of `count` images, classes in turn, each in the table's order."""
    turn = labels.reset_index(drop=True).groupby(labels.to_numpy()).cumcount()
    order = pd.DataFrame({"turn": turn, "label": labels.to_numpy()}).sort_values(["turn", "label"], kind="stable")
    return order.index[:count].to_numpy()


def _features(network: keras.Model, inputs: Inputs, rows: np.ndarray) -> np.ndarray:
    """Float32 features (n, H, W, C) of some rows: kept ones as they are, of images those of the network's trunk."""
    values = inputs.batch(rows)
    return values.astype(np.float32) if inputs.kept else _features_of_images(network, values)


def _features_of_images(network: keras.Model, images: np.ndarray) -> np.ndarray:
    """Float32 features (n, H, W, C) of images (n, S, S, 3)."""
    trunk = features.divide(network)[0]
    return outputs(trunk, lambda at: images[at], len(images), BATCH).astype(np.float32)


def _cam(network: keras.Model, values: np.ndarray) -> np.ndarray:
    head = features.divide(network)[1]
    return grad_cam(head, values, head.input, batch_size=BATCH)


def known_mean(values: np.ndarray) -> float | None:
    """The mean of the values that are no NaN; None where there are none."""
    return None if np.isnan(values).all() else float(np.nanmean(values))
