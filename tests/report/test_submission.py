"""Submissions in the challenge's form, and the scores of such files beside the official scorer's."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from soft_attention import files
from soft_attention.report import evaluate, submission
from soft_attention.study.folder import predictions_file

NAMES = [name.lower() for name in submission.CLASSES]


@pytest.fixture
def run(tmp_path):
    """A run folder with predictions of an outside test set, and the truth in the challenge's form."""
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(7), 30))
    raw = rng.random((len(truth), 7)) + np.eye(7)[truth] * rng.random((len(truth), 1))
    shares = (raw / raw.sum(axis=1, keepdims=True)).astype("float32")
    ids = [f"ISIC_{number:07d}" for number in rng.permutation(len(truth))]
    ids[0] = submission.NOT_SCORED
    table = pd.DataFrame(shares, columns=NAMES).assign(image_id=ids, lesion_id=ids, label=np.array(NAMES)[truth])
    files.write_table(tmp_path / predictions_file("external"), table)
    one_hot = pd.DataFrame(np.eye(7)[truth], columns=submission.CLASSES)
    one_hot.insert(0, "image", ids)
    one_hot = one_hot.sort_values("image")  # as the official file: its scorer takes the weights in the file's order
    files.write_csv(tmp_path / "truth.csv", one_hot)
    return tmp_path


def submit(run):
    assert submission.main([str(run), str(run / "out.csv")]) == 0
    return run / "out.csv"


def test_a_submission_has_the_columns_of_the_challenge(run):
    table = pd.read_csv(submit(run))
    assert list(table) == ["image", "MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
    assert table["image"].is_monotonic_increasing and len(table) == 210
    assert ((table[[*submission.CLASSES]] >= 0) & (table[[*submission.CLASSES]] <= 1)).all(axis=None)


def test_a_submission_scores_as_the_predictions_do(run):
    ours = pd.read_parquet(run / predictions_file("external"))
    ours = ours[ours["image_id"] != submission.NOT_SCORED]
    called = np.array(NAMES)[ours[NAMES].to_numpy().argmax(axis=1)]
    found = evaluate.evaluation(evaluate.read_scored(submit(run), run / "truth.csv"), draws=100).set_index("score")
    expected = balanced_accuracy_score(ours["label"], called)
    assert found.loc["balanced accuracy", "value"] == pytest.approx(expected)
    assert found.loc["balanced accuracy", "value_low"] < expected < found.loc["balanced accuracy", "value_high"]


@pytest.mark.filterwarnings("ignore")  # of the official scorer, which was written for pandas 2
def test_the_official_scorer_finds_our_balanced_accuracy(run, monkeypatch):
    official = pytest.importorskip("isic_challenge_scoring.classification")
    monkeypatch.setattr(pd.DataFrame, "applymap", pd.DataFrame.map, raising=False)  # pandas 3 has none
    metric = official.ClassificationMetric.BALANCED_ACCURACY
    theirs = official.ClassificationScore.from_file(run / "truth.csv", submit(run), metric)
    ours = evaluate.evaluation(evaluate.read_scored(run / "out.csv", run / "truth.csv"), draws=10).set_index("score")
    assert ours.loc["balanced accuracy", "value"] == pytest.approx(theirs.overall, abs=1e-12)
    assert ours.loc["macro AUC", "value"] == pytest.approx(theirs.macro_average["auc"], abs=1e-3)


def test_our_own_files_are_scored_as_they_are(run, capsys):
    assert evaluate.main([str(run / predictions_file("external"))]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("210 images of 210 lesions") and "\nbalanced accuracy    0." in printed


def test_what_cannot_be_scored_says_why(run, tmp_path, capsys):
    out, truth = submit(run), run / "truth.csv"
    pd.read_csv(out)[1:].to_csv(tmp_path / "short.csv", index=False)
    pd.read_csv(out).drop(columns="DF").to_csv(tmp_path / "narrow.csv", index=False)
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    cases = {
        ("short.csv", "--truth", str(truth)): "differ in 1 images",
        ("narrow.csv", "--truth", str(truth)): "has no column 'DF'",
        ("out.csv",): "give the challenge's ground truth with --truth",
        ("broken.parquet",): "cannot be read as parquet",
    }
    for (name, *options), message in cases.items():
        assert evaluate.main([str(tmp_path / name), *options]) == 1
        assert message in capsys.readouterr().err
    (run / predictions_file("external")).unlink()
    assert submission.main([str(run), str(out)]) == 1
    assert "external_test: true" in capsys.readouterr().err
