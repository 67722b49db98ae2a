"""The package's doors: public names, and that reading a plan stays light."""

import subprocess
import sys

import pytest

import soft_attention
from soft_attention import paths
from soft_attention.errors import StudyError, known


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


def test_data_and_model_import_neither_study_nor_each_other():
    for place, foreign in {"data": ("model", "study"), "model": ("data", "study")}.items():
        for file in (paths.ROOT / "lib" / "soft_attention" / place).glob("*.py"):
            for other in foreign:
                assert f"soft_attention.{other}" not in file.read_text(), file


def test_a_file_that_fails_half_way_is_not_there(tmp_path):
    with pytest.raises(ZeroDivisionError), paths.atomic(tmp_path / "sub" / "file.txt") as temporary:
        temporary.write_text("half")
        1 / 0  # noqa: B018
    assert list((tmp_path / "sub").iterdir()) == []
    with paths.atomic(tmp_path / "file.txt") as temporary:
        temporary.write_text("whole")
    assert (tmp_path / "file.txt").read_text() == "whole"


def test_known_names_the_nearest():
    assert known("a", ["a", "b"], "letter") == "a"
    with pytest.raises(ValueError, match=r"unknown letter 'aple': expected one of apple, pear; did you mean 'apple'\?"):
        known("aple", ["apple", "pear"], "letter")
    assert issubclass(StudyError, Exception)
