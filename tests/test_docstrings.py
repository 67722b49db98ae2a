"""The examples in the public docstrings run."""

import doctest
from importlib import import_module

import pytest

HOMES = {
    "SoftAttention": "model.attention",
    "build_network": "model.networks",
    "load_dataset": "data.datasets",
    "make_split": "data.splits",
    "area_shares": "model.units",
}


@pytest.mark.parametrize("name", HOMES)
def test_the_example_of(name):
    module = import_module(f"soft_attention.{HOMES[name]}")
    examples = [
        found
        for found in doctest.DocTestFinder(recurse=False).find(getattr(module, name), name, module)
        if found.examples
    ]
    assert examples, "a usage example is wanted"
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0
