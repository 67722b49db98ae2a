"""The audit's tools against plain loops and against convolutions whose fault is known."""

import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soft_attention.errors import StudyError
from soft_attention.model import audit

LIVE = {  # alive, all: with 16 heads, counted by hand from the rule of SAME padding
    "vgg16": (7_936, 73_744),
    "resnet34": (7_936, 18_448),
    "resnet50": (1_888, 294_928),
    "densenet201": (1_888, 18_448),
    "inception_resnet_v2": (2_176, 27_664),
}
SHAPE = (8, 6, 24)


def random_features(shape, number=8):
    return np.random.default_rng(0).normal(size=(number, *shape)).astype("float32")


def same_convolution(volume, kernel, strides):
    """One volume (D0, D1, D2), one head (k0, k1, k2): number by number."""
    outputs = [-(-n // s) for n, s in zip(volume.shape, strides, strict=True)]
    sides = list(zip(volume.shape, outputs, kernel.shape, strides, strict=True))
    front = [max((o - 1) * s + k - n, 0) // 2 for n, o, k, s in sides]
    result = np.zeros(outputs)
    for place in np.ndindex(*outputs):
        for entry in np.ndindex(*kernel.shape):
            source = [p * s + e - f for p, s, e, f in zip(place, strides, entry, front, strict=True)]
            if all(0 <= i < n for i, n in zip(source, volume.shape, strict=True)):
                result[place] += volume[tuple(source)] * kernel[entry]
    return result


triples = st.tuples(*[st.integers(1, 5)] * 3)


@settings(max_examples=60, deadline=None)
@given(triples, triples, triples, st.integers(0, 2**31))
def test_the_definition_is_the_sum_that_it_says(sizes, sides, strides, seed):
    rng = np.random.default_rng(seed)
    volumes, kernel = rng.normal(size=(2, *sizes)), rng.normal(size=(*sides, 2))
    found = audit.conv3d_by_definition(volumes, kernel, strides)
    for number, head in np.ndindex(2, 2):
        expected = same_convolution(volumes[number], kernel[..., head], strides)
        np.testing.assert_allclose(found[number, ..., head], expected, atol=1e-12)


@pytest.mark.parametrize("backbone", audit.TENSORS)
@pytest.mark.parametrize("variant", ["released", "paper"])
def test_the_layer_computes_its_definition_at_the_shapes_of_the_networks(backbone, variant):
    heads = 4
    unit = audit.fresh_unit(variant, audit.TENSORS[backbone], heads)
    features = random_features(audit.TENSORS[backbone], number=1)
    kernel = unit.kernel.numpy()
    kernel = kernel if variant == "released" else kernel[:, :, :, None]
    scores = audit.scores_by_definition(features, kernel)
    if variant == "released":
        scores = np.maximum(scores, 0)
    exponentials = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    expected = (exponentials / exponentials.sum(axis=(1, 2), keepdims=True)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(unit.maps(features), expected, rtol=1e-3, atol=1e-7)


def test_impulses_find_three_channels_of_the_released_unit_and_all_of_the_papers():
    shape = audit.TENSORS["inception_resnet_v2"]
    near = [3, 4, 5]
    assert audit.reach_by_impulse(shape, "released") == {
        "rows": list(range(8)),
        "columns": near,
        "channels": [0, 1, 2],
    }
    assert audit.reach_by_impulse(shape, "paper") == {"rows": near, "columns": near, "channels": list(range(192))}


@pytest.mark.parametrize("backbone", LIVE)
def test_live_parameters_by_definition_and_by_gradient(backbone):
    shape, (live, every) = audit.TENSORS[backbone], LIVE[backbone]
    released, paper = (audit.fresh_unit(variant, shape, 16) for variant in ("released", "paper"))
    features = random_features(shape)
    assert released.count_params() == every
    assert audit.live_by_definition(shape, 16) == audit.live_by_gradient(released, features) == live
    assert audit.live_by_gradient(paper, features) == paper.count_params()
    assert audit.channels_by_gradient(released, features) == [0, 1, 2]
    assert audit.channels_by_gradient(paper, features) == list(range(shape[-1]))


def test_a_probe_of_the_definition_finds_no_fault():
    found = audit.probe(audit.scores_by_definition, SHAPE, heads=2, seed=0)
    assert found == {"shape": list(SHAPE), "error": 0, "channels": [0, 1, 2], "cells": 1}
    assert audit.verdict(found) == "as defined"


def test_a_probe_names_the_channels_that_were_read_instead():
    def from_the_tenth_on(features, kernel):
        return audit.scores_by_definition(np.roll(features, -10, axis=-1), kernel)

    found = audit.probe(from_the_tenth_on, SHAPE, heads=2, seed=0)
    assert found["channels"] == [10, 11, 12] and found["cells"] == 1 and found["error"] > 0.5
    assert audit.verdict(found) == "other channels"


def test_a_probe_counts_the_cells_that_stayed_in_their_place():
    def first_two_columns_exchanged(features, kernel):
        return audit.scores_by_definition(features, kernel)[:, :, [1, 0, 2, 3, 4, 5]]

    found = audit.probe(first_two_columns_exchanged, SHAPE, heads=2, seed=0)
    assert found["channels"] == [0, 1, 2] and found["cells"] == pytest.approx(4 / 6)
    assert audit.verdict(found) == "cells mixed up"


def test_this_machines_convolution_is_tried_in_a_process_of_its_own():
    """What it finds differs between machines; that it finds something, at every shape, does not."""
    found = audit.probe_tensorflow(onednn=True, heads=2, seed=0)
    assert [tuple(each["shape"]) for each in found] == list(audit.CONV3D_SHAPES)
    assert all(each["device"] in ("CPU", "GPU") and np.isfinite(each["error"]) for each in found)


def test_problems_are_one_sentence(monkeypatch):
    failed = subprocess.CompletedProcess([], 3, "", "no such operation")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(StudyError, match=r"conv3d could not be tried \(exit 3\): no such operation"):
        audit.probe_tensorflow(onednn=False, heads=2, seed=0)
    monkeypatch.setattr(audit.keras.backend, "backend", lambda: "jax")
    with pytest.raises(StudyError, match="KERAS_BACKEND=tensorflow"):
        audit.channels_by_gradient(audit.fresh_unit("paper", SHAPE, 2), random_features(SHAPE))
