"""Scores by groups of patients, against scikit-learn on made-up predictions."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, recall_score

from soft_attention import paths
from soft_attention.report import subgroups

CLASSES = ("mel", "nv")


@pytest.fixture
def patients():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"image_id": [f"I{number}" for number in range(300)], "label": rng.choice(CLASSES, 300)})
    table["sex"] = rng.choice(["female", "male"], 300)
    table.loc[:9, "sex"] = None
    return table.assign(
        lesion_id=table["image_id"],
        age=np.linspace(0, 90, 300),
        localization=["ear"] * 20 + ["back"] * 280,
        dx_type=["histo", "follow_up", "consensus"] * 100,
    )


def predictions(table, right, seed):
    """Called correctly with these chances, melanoma and not."""
    correct = np.random.default_rng(seed).random(len(table)) < np.where(table["label"] == "mel", *right)
    called_mel = ((table["label"] == "mel") == correct).to_numpy()
    shares = np.where(called_mel[:, None], [0.8, 0.2], [0.2, 0.8])
    return table[["image_id", "lesion_id", "label"]].assign(**dict(zip(CLASSES, shares.T, strict=True)))


def called(table):
    return np.array(CLASSES)[table[[*CLASSES]].to_numpy().argmax(axis=1)]


def test_groups_are_those_of_the_table(patients):
    groups = subgroups.known_of_patients(patients)
    assert list(groups) == ["image_id", "sex", "site", "age", "confirmed by"], "there is no source in this table"
    assert set(groups["sex"]) == {"female", "male", "unknown"}
    ages = dict(zip(patients["age"], groups["age"], strict=True))
    assert ages[0] == "below 30" and ages[90] == "75 and above" and len(set(groups["age"])) == 5
    assert all((band == "30 to 44") == (30 <= age < 45) for age, band in ages.items())
    assert groups["confirmed by"][:3].tolist() == ["histology", "another kind", "another kind"]
    assert list(subgroups.known_of_patients(patients[["image_id"]])) == ["image_id"]


def test_scores_of_a_group_are_those_of_scikit_learn(patients, keep_runs):
    chances = {"baseline": (0.5, 0.7), "released": (0.8, 0.7)}
    tables = {(arm, seed): predictions(patients, right, seed) for arm, right in chances.items() for seed in (0, 1)}
    groups = subgroups.known_of_patients(patients)
    found = subgroups.subgroups_table({"frozen": keep_runs(tables, CLASSES)}, groups)
    assert not {"ear", "unknown"} & set(found["group"]), "20 and 10 lesions are too few"
    assert (found["lesions"] >= 30).all() and set(found["part"]) == {"frozen"}
    found = found.set_index(["arm", "by", "group"])
    women = (groups["sex"] == "female").to_numpy()
    scores = {
        arm: 100
        * np.mean(
            [
                (
                    balanced_accuracy_score(table["label"][women], called(table)[women]),
                    recall_score(table["label"][women], called(table)[women], pos_label="mel"),
                )
                for (name, _), table in tables.items()
                if name == arm
            ],
            axis=0,
        )
        for arm in chances
    }
    names = ["balanced_accuracy", "melanoma_sensitivity"]
    for arm, expected in scores.items():
        assert found.loc[(arm, "sex", "female"), names].tolist() == pytest.approx(expected)
    gains = found.loc[("released", "sex", "female"), ["gain", "melanoma_gain"]].tolist()
    assert gains == pytest.approx(scores["released"] - scores["baseline"])
    row = found.loc[("released", "sex", "female")]
    for name in (*names, "gain", "melanoma_gain"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], name
    assert row["lesions"] == women.sum() and row["classes"] == 2
    assert found["gain"].isna().tolist() == [arm == "baseline" for arm, *_ in found.index]
    ends = found.filter(like="balanced_accuracy")
    assert ((ends >= 0) & (ends <= 100)).all(axis=None)


def test_melanomas_too_few_to_tell_are_not_shown(patients, keep_runs):
    few = patients.assign(label=["mel"] * 20 + ["nv"] * 280)
    tables = {(arm, 0): predictions(few, (0.5, 0.5), 0) for arm in ("baseline", "released")}
    found = subgroups.subgroups_table({"frozen": keep_runs(tables, CLASSES)}, subgroups.known_of_patients(few))
    assert len(found) and "melanoma_sensitivity" not in found


def test_a_study_without_runs_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    assert subgroups.main(["smoke"]) == 1
    assert "no finished runs" in capsys.readouterr().err
