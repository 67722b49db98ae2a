"""Kept tables: rounded to what they tell, tidy, and each leads to the function that makes it."""

import importlib

import numpy as np
import pandas as pd
import pytest

import list_tables
from soft_attention import paths
from soft_attention.report import kept

TABLES = kept.SUMMARY | {f"claims: {name}": table for name, table in kept.CLAIMS.items()}


def test_numbers_are_rounded_by_what_they_are():
    table = pd.DataFrame(
        {"gain": [0.12345678, -0.00001], "p": [0.00012345, 1], "p_holm": [0.5, np.nan], "runs": [3, 4]}
    )
    found = kept.rounded(table, 4)
    assert found["gain"].tolist() == [0.1235, 0] and str(found["gain"][1]) == "0.0"
    assert found["p"].tolist() == [0.000123, 1] and found["p_holm"][0] == 0.5 and np.isnan(found["p_holm"][1])
    assert found["runs"].tolist() == [3, 4]


def test_what_is_written_again_is_the_same_file(tmp_path):
    table = pd.DataFrame({"part": ["a"], "low": [1 / 3], "n": pd.array([None], dtype="Int64"), "remarks": [""]})
    kind = kept.Table("", "")
    kept.write(tmp_path / "a.csv", table, kind)
    nearly = table.assign(low=1 / 3 + 1e-12)  # another order of a sum
    kept.write(tmp_path / "b.csv", nearly, kind)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes() == b"part,low,n,remarks\na,0.3333,,\n"


def test_parts_stand_below_one_another():
    table = kept.tidy(
        {"a": pd.DataFrame({"x": [1], "part": ["?"]}), "none": pd.DataFrame(), "b": pd.DataFrame({"x": [2]})}
    )
    assert list(table) == ["part", "x"] and table.to_numpy().tolist() == [["a", 1], ["b", 2]]
    assert kept.tidy({}).empty


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_has_a_function(table):
    module, _, function = table.made_by.rpartition(".")
    assert callable(getattr(importlib.import_module(f"soft_attention.{module}"), function))


@pytest.mark.parametrize(("notebook", "tables"), [("06_summary", kept.SUMMARY), ("05_claims", kept.CLAIMS)])
def test_every_table_is_made_in_its_notebook(notebook, tables):
    code = (paths.NOTEBOOKS / f"{notebook}.ipynb").read_text(encoding="utf-8")
    for name, table in tables.items():
        assert f'\\"{name}\\"' in code or f'/ \\"{name}.csv\\"' in code, name
        assert table.made_by.rpartition(".")[2] in code, name


def test_the_list_of_tables_is_up_to_date():
    page = list_tables.PAGE.read_text(encoding="utf-8")
    assert page == list_tables.listed(page), "run python scripts/list_tables.py"
