"""The package's doors: its public names."""

import pytest

import soft_attention
from soft_attention.errors import known


def test_the_public_names_are_those_of_the_design():
    names = "SoftAttention build_network load_dataset make_split attention_maps BACKBONES ARMS DATASETS PROTOCOLS"
    assert set(soft_attention.__all__) == set(names.split())
    assert all(getattr(soft_attention, name) is not None for name in soft_attention.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        soft_attention.nothing  # noqa: B018


def test_known_names_the_nearest():
    assert known("a", ["a", "b"], "letter") == "a"
    with pytest.raises(ValueError, match=r"unknown letter 'aple': expected one of apple, pear; did you mean 'apple'\?"):
        known("aple", ["apple", "pear"], "letter")
