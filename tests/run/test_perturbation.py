"""Insertion and deletion of an image of which one known place decides."""

import numpy as np
import pytest

from soft_attention.run import perturbation

SIZE = 16


@pytest.fixture
def images():
    """Grey, with a bright square in the top left quarter."""
    images = np.full((2, SIZE, SIZE, 3), 100, np.uint8)
    images[:, :8, :8] = 250
    return images


def predict(images):
    """Class 1 is as likely as the top left quarter is bright."""
    bright = (images[:, :8, :8].mean(axis=(1, 2, 3)) - 100) / 150
    return np.stack([1 - bright, bright], axis=1)


def quarter(row, column):
    maps = np.zeros((2, 2, 2))
    maps[:, row, column] = 1
    return maps


def deletion(predict, images, maps, *rest):
    painted = perturbation.painted_over(images)
    return perturbation.areas_under_curves(predict, images, painted, {"way": maps}, *rest)["way"]


def insertion(predict, images, maps, *rest):
    blurred = perturbation.blurred(images)
    return perturbation.areas_under_curves(predict, blurred, images, {"way": maps}, *rest)["way"]


def test_deletion_is_low_and_insertion_high_where_the_map_marks_what_decides(images):
    classes = predict(images).argmax(axis=1)
    assert classes.tolist() == [1, 1]
    right, wrong, chance = quarter(0, 0), quarter(1, 1), perturbation.random_maps(2, (2, 2))
    deleted = [deletion(predict, images, maps, classes).mean() for maps in (right, chance, wrong)]
    inserted = [insertion(predict, images, maps, classes).mean() for maps in (right, chance, wrong)]
    assert deleted[0] < deleted[2] and deleted[0] <= deleted[1] <= deleted[2]
    assert inserted[0] > inserted[2] and inserted[0] >= inserted[1] >= inserted[2]


def test_a_prediction_that_does_not_depend_on_the_image_stays(images):
    def constant(images):
        return np.tile([0.3, 0.7], (len(images), 1))

    for curve in (deletion, insertion):
        assert curve(constant, images, quarter(0, 0), np.array([1, 1])) == pytest.approx([0.7, 0.7])


def test_every_way_has_its_own_curve(images):
    classes, kinds = np.array([1, 1]), {"right": quarter(0, 0), "wrong": quarter(1, 1)}
    found = perturbation.areas_under_curves(predict, images, perturbation.painted_over(images), kinds, classes)
    for name, maps in kinds.items():
        np.testing.assert_array_equal(found[name], deletion(predict, images, maps, classes))


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_images_are_predicted_in_full_batches(images, batch):
    """Of one turn, two ends for all maps together and what lies between for each."""
    sizes = []

    def counted(changed):
        sizes.append(len(changed))
        return predict(changed)

    classes, kinds = np.array([1, 0]), {"right": quarter(0, 0), "wrong": quarter(1, 1)}
    found = perturbation.areas_under_curves(counted, images, images // 2, kinds, classes, steps=4, batch=batch)
    together = perturbation.areas_under_curves(predict, images, images // 2, kinds, classes, steps=4)
    assert {name: areas.tolist() for name, areas in found.items()} == {k: a.tolist() for k, a in together.items()}
    assert sum(sizes) == 2 * (2 + 2 * 3) and set(sizes[:-1]) <= {batch}


def test_deletion_by_hand(images):
    """The four quarters go one after the other: of five probabilities 1, 0 or what the mean colour gives."""
    maps = np.array([[[4.0, 3.0], [2.0, 1.0]]] * 2).repeat(8, axis=1).repeat(8, axis=2)
    left = (images[0].mean().astype(np.uint8) - 100) / 150
    expected = (1 / 2 + 3 * left + left / 2) / 4
    found = deletion(predict, images, maps, np.array([1, 1]), 4)
    assert found == pytest.approx([expected] * 2, abs=0.02)


def test_places_that_a_map_ranks_alike_come_by_chance(images):
    classes, chance = np.array([1, 1]), perturbation.random_maps(2, (4, 4))
    constant = deletion(predict, images, np.zeros((2, 4, 4)), classes)
    np.testing.assert_array_equal(constant, deletion(predict, images, chance, classes))
    upside_down = images[:, ::-1].copy()
    after = deletion(lambda changed: predict(changed[:, ::-1]), upside_down, np.zeros((2, 4, 4)), classes)
    assert np.abs(after - constant).max() < 0.5  # from the top down it would be .9 and .1
