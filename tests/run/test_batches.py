"""Order and moves depend on seed, epoch and step only; the augmented folder is the authors'."""

import os
import subprocess
import sys
from collections import Counter
from functools import partial

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soft_attention.errors import StudyError
from soft_attention.run.augmentation import AffineAugmentation, dihedral, identity
from soft_attention.run.batches import Batches, FeatureBatches, authors_class_totals

CLASSES = ("a", "b", "c")
SIZE = 8
HAM_TRAIN = {"akiec": 304, "bcc": 488, "bkl": 1033, "df": 109, "mel": 1079, "nv": 6042, "vasc": 132}


def images_of(count: int) -> np.ndarray:
    """Images that carry their own row number in every pixel."""
    rows = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(rows, (count, SIZE, SIZE, 3)).copy()


LABELS = np.array(["a"] * 30 + ["b"] * 8 + ["c"] * 4)


def make(sampling: str = "natural", **options) -> Batches:
    options = {"rows": np.arange(len(LABELS)), "batch_size": 5, "seed": 3, **options}
    return Batches(images_of(len(LABELS)), LABELS, classes=CLASSES, sampling=sampling, **options)


def epochs(batches: Batches, count: int) -> list[tuple]:
    """Every batch of the next epochs."""
    out = []
    for _ in range(count):
        out += [batches[step] for step in range(len(batches))]
        batches.on_epoch_end()
    return out


def rows_of(batches: list[tuple]) -> np.ndarray:
    return np.concatenate([batch[0]["image"][:, 0, 0, 0] for batch in batches])


def transforms_of(batches: list[tuple]) -> np.ndarray:
    return np.concatenate([batch[0]["transform"] for batch in batches])


def assert_same(first: list[tuple], second: list[tuple]) -> None:
    for (x, *rest), (x_, *rest_) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x["image"], x_["image"])
        np.testing.assert_array_equal(x["transform"], x_["transform"])
        for array, array_ in zip(rest, rest_, strict=True):
            np.testing.assert_array_equal(array, array_)


def test_a_batch_has_the_shapes_of_the_contract():
    (inputs, targets) = make()[0]
    assert inputs["image"].shape == (5, SIZE, SIZE, 3) and inputs["image"].dtype == np.uint8
    assert inputs["transform"].shape == (5, 8) and inputs["transform"].dtype == np.float32
    assert targets.shape == (5, 3) and targets.dtype == np.float32
    names = np.array(CLASSES)[targets.argmax(axis=1)]
    np.testing.assert_array_equal(names, LABELS[inputs["image"][:, 0, 0, 0]])


@pytest.mark.parametrize("sampling", ["natural", "balanced", "authors"])
def test_a_resumed_source_goes_on_where_it_was(sampling):
    whole = epochs(make(sampling), 6)
    resumed = make(sampling)
    resumed.epoch = 4
    assert_same(whole[4 * len(resumed) :], epochs(resumed, 2))


@pytest.mark.parametrize("sampling", ["natural", "balanced", "authors"])
def test_the_seed_moves_order_and_transforms(sampling):
    first, other = epochs(make(sampling, seed=1), 1), epochs(make(sampling, seed=2), 1)
    assert (rows_of(first) != rows_of(other)).any()
    moved, moved_ = (set(map(bytes, transforms_of(b))) - {identity(1).tobytes()} for b in (first, other))
    assert moved and not moved & moved_


def test_steps_of_one_epoch_are_moved_differently_each_time():
    transforms = transforms_of(epochs(make(), 3))
    assert len(np.unique(transforms, axis=0)) == len(transforms)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_natural_passes_show_every_row_equally_often(batch_size, seed):
    batches = make(batch_size=batch_size, seed=seed)
    count = len(LABELS)
    assert len(batches) == -(-count // batch_size)
    seen = rows_of(epochs(batches, 3))
    assert len(seen) == 3 * len(batches) * batch_size
    for turn in range(3):
        assert sorted(seen[turn * count : (turn + 1) * count]) == list(range(count))


def test_only_the_given_rows_are_used():
    rows = np.array([1, 5, 31, 40])
    assert set(rows_of(epochs(make(rows=rows, batch_size=2), 4))) == set(rows)


def test_balanced_passes_show_every_class_equally_often():
    batches = make("balanced", batch_size=6)
    assert batches.size == 42 and len(batches) == 7
    seen = rows_of(epochs(batches, 1))
    assert Counter(LABELS[seen]) == {"a": 14, "b": 14, "c": 14}
    repeats = Counter(seen)
    assert {repeats[row] for row in range(30)} == {0, 1}
    assert {repeats[row] for row in range(30, 38)} == {1, 2}
    assert {repeats[row] for row in range(38, 42)} == {3, 4}


def test_authors_totals_are_those_of_the_authors_log():
    totals = {
        "akiec": 6992,
        "bcc": 7858,
        "bkl": 7931,
        "df": 5877,
        "mel": 7903,
        "nv": 8042,
        "vasc": 7096,
    }
    assert authors_class_totals(HAM_TRAIN) == totals
    assert sum(totals.values()) == 51699


def test_authors_totals_agree_with_counting_batches():
    for n in [1, 49, 50, 51, 109, 304, 1079, 6042, 7999, 8000, 9000]:
        total = position = 0
        for _ in range(max(0, int(np.ceil((8000 - n) / 50)))):
            size = min(50, n - position)
            position = (position + size) % n
            total += size
        assert authors_class_totals({"x": n}) == {"x": n + total}


def test_authors_epoch_is_the_authors():
    labels = np.repeat(list(HAM_TRAIN), list(HAM_TRAIN.values()))
    images = np.zeros((1, 2, 2, 3), np.uint8)
    batches = Batches(images, labels, np.arange(9187), list(HAM_TRAIN), sampling="authors")
    assert len(batches) == 919 and batches.size == 51699
    assert len(batches) * batches.batch_size == 14704


def test_authors_copies_never_change_and_originals_are_not_moved():
    batches = make("authors", rows=np.arange(30, 42), steps=10, batch_size=100)
    totals = authors_class_totals({"b": 8, "c": 4})
    assert batches.size == sum(totals.values())
    stream = epochs(batches, 4)
    rows, transforms = rows_of(stream), transforms_of(stream)
    passes = [
        sorted(zip(rows[start : start + batches.size], map(bytes, transforms[start:]), strict=False))
        for start in (0, batches.size)
    ]
    assert passes[0] == passes[1]
    assert len(set(passes[0])) == batches.size
    assert Counter(LABELS[row] for row, _ in passes[0]) == totals
    still = [row for row, transform in passes[0] if transform == identity(1).tobytes()]
    assert still == list(range(30, 42))


@pytest.mark.parametrize("sampling", ["natural", "balanced", "authors"])
def test_without_augmentation_nothing_is_moved(sampling):
    transforms = transforms_of(epochs(make(sampling, augment=False), 1))
    np.testing.assert_array_equal(transforms, identity(len(transforms)))


def test_class_weights_follow_the_labels():
    for inputs, _, weights in epochs(make(class_weights={"b": 5.0}), 1):
        labels = LABELS[inputs["image"][:, 0, 0, 0]]
        np.testing.assert_array_equal(weights, np.where(labels == "b", 5, 1))


def network() -> tuple[keras.Model, keras.Model]:
    """What trains, and the network inside that takes images alone."""
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8", name="image")
    transform = keras.Input((8,), name="transform")
    inner = keras.Sequential(
        [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    model = keras.Model({"image": image, "transform": transform}, inner(AffineAugmentation()((image, transform))))
    model.compile("sgd", "categorical_crossentropy")
    return model, inner


def trained(start: list, batches: Batches, first: int, last: int) -> list:
    """The weights after `fit` has gone from one epoch to another."""
    model, _ = network()
    model.set_weights(start)
    callbacks = [batches.follow()]
    model.fit(batches, initial_epoch=first, epochs=last, shuffle=False, callbacks=callbacks, verbose=0)
    return model.get_weights()


def test_fit_takes_the_batches_of_each_epoch_in_order():
    by_hand, _ = network()
    start, batches = by_hand.get_weights(), make(class_weights={"b": 2.0})
    for batch in epochs(batches, 3):
        by_hand.train_on_batch(*batch)
    by_fit = trained(start, make(class_weights={"b": 2.0}), 0, 3)
    for weight, expected in zip(by_fit, by_hand.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_fit_resumed_ends_in_the_same_weights():
    start = network()[0].get_weights()
    whole = trained(start, make(), 0, 3)
    half = trained(start, make(), 0, 1)
    for weight, expected in zip(trained(half, make(), 1, 3), whole, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match=r"unknown sampling 'balance'.*did you mean 'balanced'"):
        make("balance")
    with pytest.raises(ValueError, match="unknown class in class_weights 'mel'"):
        make(class_weights={"mel": 5.0})
    with pytest.raises(ValueError, match="no rows"):
        make(rows=[])
    with pytest.raises(StudyError, match="no training image of class 'c'"):
        make("balanced", rows=np.arange(35))
    with pytest.raises(StudyError, match="label 'c' is not one of the classes a, b"):
        Batches(images_of(42), LABELS, np.arange(42), ("a", "b"))


def test_kept_features_come_in_random_views_or_as_they_are():
    features = np.arange(6 * 4, dtype=np.float16).reshape(6, 4, 1, 1, 1)  # the number tells row and view
    make = partial(FeatureBatches, features, list("ababab"), np.arange(6), ("a", "b"), batch_size=6, seed=1)
    (values, targets), (again, _) = make()[0], make()[0]
    assert values.shape == (6, 1, 1, 1) and np.array_equal(values, again)
    rows, views = np.divmod(values.ravel().astype(int), 4)
    assert sorted(rows) == list(range(6)) and len(set(views)) > 1
    assert np.array_equal(targets.argmax(axis=1), rows % 2)
    plain = make(augment=False)[0][0].ravel().astype(int)
    assert set(plain % 4) == {0}
    with pytest.raises(ValueError, match="sampling 'authors' needs images"):
        make(sampling="authors")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_take_the_same_batches(backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", "test_fit"]
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert "2 passed" in done.stdout, done.stdout


def test_a_mask_turns_with_the_view_of_its_features():
    masks = (np.random.default_rng(5).random((9, 6, 6)) > 0.5).astype("uint8")
    features = np.stack([dihedral(masks, view) for view in range(8)], axis=1)[..., None].astype("float16")
    batches = FeatureBatches(features, ["a", "b", "c"] * 3, range(9), ("a", "b", "c"), batch_size=9, masks=masks)
    seen = [batches[step][0] for step in range(len(batches))]
    assert any((mask != masks[batches.rows[batches._items(0)]]).any() for _, mask in seen)
    for turned, mask in seen:
        np.testing.assert_array_equal(mask, turned[..., 0])
