"""The package's doors: its public names."""

import re

import nbformat
import pytest
from nbclient import NotebookClient

import soft_attention
from soft_attention.errors import StudyError, known


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
    with pytest.raises(
        StudyError, match=r"expected one of 0, 1, .*, 19, \.\.\. \(1,135 in all\); did you mean '1120'\?$"
    ):
        known("11200", map(str, range(1135)), "number")


def test_a_notebook_shows_an_error_that_a_person_can_mend_as_its_sentence():
    cell = nbformat.v4.new_code_cell("from soft_attention.errors import StudyError\nraise StudyError('mend it')")
    other = nbformat.v4.new_code_cell("1 / 0")
    notebook = nbformat.v4.new_notebook(cells=[cell, other])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True).execute()
    (sentence,), (trace,) = notebook.cells[0].outputs, notebook.cells[1].outputs
    assert (sentence.ename, sentence.evalue) == ("StudyError", "mend it")
    assert re.sub(r"\x1b\[\d*m", "", "\n".join(sentence.traceback)) == "mend it"
    assert "Traceback" in "\n".join(trace.traceback)
