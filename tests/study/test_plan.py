"""The plan of a study: every run, with the authors' time where it is their recipe."""

import pytest

from soft_attention.study.config import Study
from soft_attention.study.plan import plan_table, plan_text


def test_the_plan_of_the_recipe_gives_the_authors_hours():
    table = plan_table(Study.load("recipe")).set_index("run")
    assert len(table) == 12
    place = "ham10000/authors/inception_resnet_v2/released/seed-0-fold-0"
    headline = table.loc[f"table/{place}"]
    assert headline.hours_at_most == pytest.approx(150 * 146 / 3600)
    assert headline.hours_to_authors_last == pytest.approx(58 * 146 / 3600)
    assert table.loc[f"share_20/{place}"].hours_at_most == pytest.approx(150 * 146 * 892 / 919 / 3600)
    assert "GPU hours at the authors' seconds per epoch" in plan_text(Study.load("recipe"))


def test_other_studies_have_a_plan_without_hours():
    table = plan_table(Study.load("smoke"))
    assert len(table) == 2 and table.hours_at_most.isna().all()
    assert "GPU hours" not in plan_text(Study.load("smoke"))
