"""The plan of a study: every run, with the authors' time where it is their recipe."""

import pytest

from soft_attention.study import stages
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


def test_a_plan_says_whether_the_mirror_has_the_images_of_the_study(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATA_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    assert stages.main(["plan", "cpu"]) == 1
    said = capsys.readouterr().out.partition(f"\nin {tmp_path / 'mirror'}:\n")[2].splitlines()
    assert [line for line in said if line.endswith("will not do")] == [
        "HAM10000: will not do",
        "ISIC 2018 Task 3, official test set: will not do",
        "ISIC 2017 Part 3: will not do",
    ]
    assert "  10,015 of 10,015 images are missing (ISIC_0024306, ISIC_0024307, ISIC_0024308, ...)" in "\n".join(said)
    for study, mirror in (("smoke", tmp_path / "mirror"), ("cpu", "http://127.0.0.1:9/never-asked")):
        monkeypatch.setenv("DATA_MIRROR", str(mirror))
        assert stages.main(["plan", study]) == 0
        assert "will" not in capsys.readouterr().out
