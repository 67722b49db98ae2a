"""The result in numbers is what the kept runs say."""

import subprocess

import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.report import results_page
from soft_attention.report.results_page import (
    BEGIN,
    CEILING,
    DETAILS_BEGIN,
    DETAILS_END,
    END,
    HEADLINE_BEGIN,
    HEADLINE_END,
    STUDY,
    details,
    headline,
    main_result,
    replace_main_result,
)


def as_committed(study):
    folder = f"results/{study}"
    status = ["git", "status", "--porcelain", folder]
    done = subprocess.run(status, cwd=paths.ROOT, capture_output=True, text=True)
    return (paths.ROOT / folder / "runs").exists() and done.returncode == 0 and not done.stdout.strip()


@pytest.mark.skipif(not as_committed(STUDY), reason=f"the runs of {STUDY} are not those of the commit")
def test_the_page_shows_the_kept_runs():
    text = (paths.ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert text == replace_main_result(text, main_result()), "run python -m soft_attention.report.results_page"


def test_the_headline_reads_the_kept_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert "is not known yet" in headline("ceiling", ["frozen"])
    (tmp_path / "ceiling" / "summary").mkdir(parents=True)
    row = {
        "part": "frozen",
        "backbone": "mobilenet",
        "arm": "lesion",
        "reference": "baseline",
        "metric": "balanced_accuracy",
        "seeds": 9,
    }
    row |= {"difference": 0.06, "low": 0.05, "high": 0.07, "verdict": "better", "margin": 0.02, "gamma_at_most_0": ""}
    pd.DataFrame([row]).to_csv(tmp_path / "ceiling" / "summary" / "comparisons.csv")
    monkeypatch.setattr(results_page, "load_runs", lambda plan: plan.runs()[:400])
    monkeypatch.setattr(results_page, "by_part", lambda runs: {})
    text = headline("ceiling", ["frozen", "fine_tuned"])
    assert "- **Where" not in details("ceiling")
    assert "gains +6.0 (+5.0 to +7.0)" in text and "735 of the 1,135 planned trainings, among them `fine_tuned`" in text


@pytest.mark.skipif(not as_committed(CEILING), reason=f"the runs of {CEILING} are not those of the commit")
@pytest.mark.parametrize(
    "page, made, begin, end",
    [("README.md", headline, HEADLINE_BEGIN, HEADLINE_END), ("docs/results.md", details, DETAILS_BEGIN, DETAILS_END)],
)
def test_the_pages_say_what_the_kept_tables_of_ceiling_say(page, made, begin, end):
    text = (paths.ROOT / page).read_text(encoding="utf-8")
    assert text == replace_main_result(text, made(), begin, end), "run python -m soft_attention.report.results_page"


def test_only_what_is_between_the_marks_is_replaced():
    text = f"before\n{BEGIN}\nold\n{END}\nafter"
    assert replace_main_result(text, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter"
    with pytest.raises(ValueError, match="lacks the marks"):
        replace_main_result("no marks", "new")
