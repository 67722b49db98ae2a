"""The committed tables are what the committed predictions say: a few are made again and compared."""

import io

import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.report import comparison, tables
from soft_attention.report.load import by_part, load_runs
from soft_attention.study.config import Study

STUDY, PART = "cpu", "frozen"
SUMMARY = paths.ROOT / "results" / STUDY / "summary"


@pytest.fixture(scope="module")
def runs():
    if not (SUMMARY / f"networks-{PART}.csv").exists():
        pytest.skip(f"no tables of the study {STUDY} are kept")
    return by_part(load_runs(Study.load(STUDY)))[PART]


def assert_is_kept(table: pd.DataFrame, name: str) -> None:
    written, kept = pd.read_csv(io.StringIO(table.to_csv(index=False))), pd.read_csv(SUMMARY / f"{name}.csv")
    pd.testing.assert_frame_equal(written[list(kept)], kept, rtol=1e-6)  # a column may be newer than what is kept


def test_scores_of_the_networks(runs):
    assert_is_kept(tables.networks_table(runs), f"networks-{PART}")


def test_differences_of_the_arms_and_their_verdicts(runs):
    found = comparison.comparisons_table(runs, runs["classes"].iloc[0], Study.load(STUDY).analysis)
    assert_is_kept(found, f"comparisons-{PART}")
