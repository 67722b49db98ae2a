"""One drawn picture: what is shown where, at every size and from every view."""

import dataclasses

import numpy as np
import pytest

from soft_attention.data.synthetic.drawing import draw_lesion
from soft_attention.data.synthetic.lesions import RECIPES


@pytest.mark.parametrize("label", RECIPES)
def test_picture_has_the_size_asked_for_and_the_cue_lies_in_the_lesion(label):
    picture = draw_lesion(label, 5, size=(60, 80))
    assert picture.image.shape == (60, 80, 3) and picture.image.dtype == np.uint8
    assert picture.mask.shape == picture.cue.shape == (60, 80)
    assert picture.mask.dtype == picture.cue.dtype == bool
    assert 0.1 < picture.mask.mean() < 0.6
    assert not (picture.cue & ~picture.mask).any()
    assert 0.2 < picture.cue.sum() / picture.mask.sum() < 0.8


@pytest.mark.parametrize("label", [label for label in RECIPES if label != "nv"])
def test_nothing_of_the_lesion_lies_outside_its_mask(label):
    one, other = draw_lesion(label, 11), draw_lesion("nv", 11)
    outside = ~(one.mask | other.mask)
    assert (one.image[outside] == other.image[outside]).all()
    assert (one.image[one.mask] != other.image[one.mask]).any(axis=-1).mean() > 0.8


@pytest.mark.parametrize("label", RECIPES)
def test_nothing_of_the_cue_lies_outside_its_place(label, monkeypatch):
    told = draw_lesion(label, 12)
    monkeypatch.setitem(RECIPES, label, dataclasses.replace(RECIPES[label], cue=()))
    untold = draw_lesion(label, 12)
    assert (told.image[~told.cue] == untold.image[~told.cue]).all()
    assert (told.image[told.cue] != untold.image[told.cue]).any(axis=-1).mean() > 0.5


def test_the_lesion_is_the_same_at_every_size():
    small, large = draw_lesion("mel", 3, size=(75, 100)), draw_lesion("mel", 3, size=(150, 200))
    assert (large.mask[::2, ::2] == small.mask).mean() > 0.97
    assert (large.cue[::2, ::2] == small.cue).mean() > 0.97


def test_views_show_one_lesion_differently():
    views = [draw_lesion("bkl", 4, view, size=(75, 100), centre_bias=1) for view in range(4)]
    areas = [view.mask.sum() for view in views]
    assert max(areas) / min(areas) < (1.1 / 0.9) ** 2 * 1.02
    assert len({view.image.tobytes() for view in views}) == 4
    assert len({view.skin_tone for view in views}) == 1
    shares = [view.cue.sum() / view.mask.sum() for view in views]
    assert np.ptp(shares) < 0.03


def test_centre_bias_moves_lesions_to_the_middle():
    def distance(bias):
        masks = [draw_lesion("nv", seed, size=(60, 80), centre_bias=bias).mask for seed in range(30)]
        return np.mean([np.hypot(*(np.argwhere(mask).mean(0) - (29.5, 39.5))) for mask in masks])

    assert distance(1) < 0.5 * distance(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("mole", 0), "'mole'.*akiec, bcc, bkl, df, mel, nv, vasc"), (("nv", 0, 0, (9, 9), 2), "centre_bias")],
)
def test_picture_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_lesion(*arguments)
