"""The package's doors: public names, and that reading a plan stays light."""

import ast
import subprocess
import sys

import pytest

import soft_attention
from soft_attention import paths
from soft_attention.errors import known


def test_the_public_names_are_those_of_the_design():
    names = "SoftAttention build_network load_dataset make_split attention_maps BACKBONES ARMS DATASETS PROTOCOLS"
    assert set(soft_attention.__all__) == set(names.split())
    assert all(getattr(soft_attention, name) is not None for name in soft_attention.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        soft_attention.nothing  # noqa: B018


def test_reading_a_plan_does_not_load_tensorflow():
    code = (
        "import sys; from soft_attention.study.config import Study; Study.load('clean').runs();"
        "print({'tensorflow', 'keras', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_each_package_may_import():
    """data and model neither study nor claims nor each other; study not claims."""
    barred = {"data": {"model", "study", "claims"}, "model": {"data", "study", "claims"}, "study": {"claims"}}
    for place, foreign in barred.items():
        for file in (paths.ROOT / "lib" / "soft_attention" / place).glob("*.py"):
            assert not imported(file) & foreign, file


def imported(file):
    """The packages of soft_attention that a file imports, anywhere in it."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("soft_attention.")}


def test_known_names_the_nearest():
    assert known("a", ["a", "b"], "letter") == "a"
    with pytest.raises(ValueError, match=r"unknown letter 'aple': expected one of apple, pear; did you mean 'apple'\?"):
        known("aple", ["apple", "pear"], "letter")
