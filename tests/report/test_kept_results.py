"""The committed tables are what the committed predictions and the published numbers say: some are made again."""

import io

import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.claims import examined, gains, rates, sensitivity
from soft_attention.report import comparison, kept, tables
from soft_attention.report.load import by_part, load_runs
from soft_attention.study.config import Study

STUDY, PART = "cpu", "frozen"
SUMMARY = paths.ROOT / "results" / STUDY / "summary"
CLAIMS = paths.ROOT / "results" / "claims"


@pytest.fixture(scope="module")
def runs():
    if not (SUMMARY / "networks.csv").exists():
        pytest.skip(f"no tables of the study {STUDY} are kept")
    return by_part(load_runs(Study.load(STUDY)))[PART]


def assert_is_kept(table: pd.DataFrame, name: str) -> None:
    kind = kept.SUMMARY[name]
    written = pd.read_csv(io.StringIO(kept.rounded(table, kind.decimals).to_csv(index=False)))
    there = pd.read_csv(SUMMARY / f"{name}.csv").query("part == @PART").drop(columns="part")
    pd.testing.assert_frame_equal(
        written, there.reset_index(drop=True), check_dtype=False, atol=1.1 * 10**-kind.decimals
    )


def test_scores_of_the_networks(runs):
    assert_is_kept(tables.networks_table(runs), "networks")


def test_differences_of_the_arms_and_their_verdicts(runs):
    found = comparison.comparisons_table(runs, runs["classes"].iloc[0], Study.load(STUDY).analysis)
    assert_is_kept(found, "comparisons")


@pytest.mark.parametrize("study", [file.stem for file in paths.PARAMS.glob("*.yaml")])
def test_nothing_is_kept_that_no_code_makes(study):
    folder = paths.ROOT / "results" / study / "summary"
    assert {file.stem for file in folder.glob("*.csv")} <= kept.SUMMARY.keys()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("claims", examined.examined_claims),
        ("gains", gains.gain_tests),
        ("splits", gains.split_effect),
        ("rates", rates.rate_granularity),
        ("sensitivity", sensitivity.sensitivity_check),
    ],
)
def test_tables_of_the_claims_are_the_same_on_every_machine(name, make):
    kind = kept.CLAIMS[name]
    assert (CLAIMS / f"{name}.csv").read_text() == kept.rounded(make(), kind.decimals).to_csv(index=False)
