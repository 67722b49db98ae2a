"""What a network reads: images or kept features, and the mask that travels with its image."""

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from soft_attention.errors import StudyError
from soft_attention.run import training
from soft_attention.run.augmentation import random_affine
from soft_attention.run.inputs import Inputs, open_inputs
from soft_attention.study.config import Study

CLASSES = ("a", "b", "c")


@pytest.fixture(scope="module")
def run():
    smoke = Study.load("smoke").runs()[1]
    changed = {"arm": "lesion", "steps_per_epoch": 2, "batch_size": 6, "epochs": 2, "learning_rate": 1e-2}
    return smoke.model_copy(update=changed)


@pytest.fixture
def split(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for number in range(18):
        for kind in ("image", "mask"):
            pixels = rng.integers(0, 256, (64, 64, 3)) if kind == "image" else 255 * np.tri(64, k=number - 9)
            Image.fromarray(pixels.astype("uint8")).save(tmp_path / f"{kind}{number}.png")
        paths = {f"{kind}_path": str(tmp_path / f"{kind}{number}.png") for kind in ("image", "mask")}
        subset = "train" if number < 12 else "validation"
        rows.append({"image_id": f"I{number}", "label": CLASSES[number % 3], "subset": subset} | paths)
    return pd.DataFrame(rows)


def test_an_image_without_a_mask_says_which_subset_has_none(run, split, tmp_path):
    split.loc[[2, 14, 15], "mask_path"] = None
    with pytest.raises(StudyError, match=r"the arm lesion needs .* have none: 2 validation, 1 train \(I2, I14, I15"):
        open_inputs(run, training.build(run, CLASSES), split, tmp_path / "cache")


def test_a_mask_is_augmented_as_its_image(run):
    image, mask = keras.Input((32, 32, 3), name="image"), keras.Input((32, 32), name="mask")
    both = keras.Model({"image": image, "mask": mask}, keras.layers.Concatenate()([image, mask[..., None]]))
    lesions = np.zeros((8, 32, 32), "float32")
    lesions[:, 6:18, 3:13] = 1
    transforms = random_affine(np.random.default_rng(0), 8, 32)
    batch = {"image": np.repeat(lesions[..., None], 3, axis=3), "mask": lesions, "transform": transforms}
    moved = keras.ops.convert_to_numpy(training._augmented(both)(batch, training=True))
    picture, lesion = moved[..., 0], moved[..., 3]
    certain = (picture < 0.01) | (picture > 0.99)
    assert certain.mean() > 0.8 and not np.array_equal(lesion, lesions)
    np.testing.assert_array_equal(lesion[certain], picture[certain].round())
    still = keras.ops.convert_to_numpy(training._augmented(both)(batch, training=False))
    np.testing.assert_array_equal(still[..., 3], lesions)


@pytest.mark.parametrize("frozen", [False, True])
def test_the_oracle_trains_and_predicts_with_its_masks(run, split, tmp_path, frozen):
    run = run.model_copy(update={"frozen": frozen, "head_norm": True})
    training.prepare_backend(0)
    network = training.build(run, CLASSES)
    inputs = open_inputs(run, network, split, tmp_path / "cache")
    if frozen:  # a trunk of random weights leaves nothing of its features
        values = np.random.default_rng(0).random(inputs.values.shape).astype(inputs.values.dtype)
        inputs = Inputs(values, inputs.masks)
    history = training.train(run, network, inputs, split, CLASSES, tmp_path)
    assert len(history) == 2 and np.isfinite(history["loss"]).all()
    rows = np.arange(18)
    predicted = training.predict(network, inputs, rows)
    np.testing.assert_allclose(predicted.sum(axis=1), 1, atol=1e-5)
    elsewhere = Inputs(inputs.values, 1 - np.asarray(inputs.masks))
    assert np.abs(training.predict(network, elsewhere, rows) - predicted).max() > 1e-6
