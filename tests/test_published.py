"""The published numbers: complete, with source and confidence, consistent, and what our study of the recipe runs."""

import re

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from soft_attention import paths
from soft_attention.data.catalog import HAM10000, ISIC2017
from soft_attention.published import NETWORK, published
from soft_attention.run.batches import authors_class_totals
from soft_attention.study.config import Study

FILES = sorted((paths.PARAMS / "published").glob("*.csv"))
CLASSES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
CONFIDENCES = {"first-hand", "copy", "cross-checked copy", "abstract", "derived", "second-hand", "unconfirmed"}
PEER_CONFIDENCES = {"own report", "doubtful"}


def images(subset: str, share: float | None = None) -> dict[str, int]:
    """Images by class of a subset, at a test share."""
    table = published("classes").query("subset == @subset")
    table = table[table["test_share"].isna() if share is None else table["test_share"] == share]
    assert table["class"].tolist() == CLASSES
    return dict(zip(table["class"], table["images"], strict=True))


# --- every table ----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_row_has_source_and_confidence(file):
    table = published(file.stem)
    assert len(table)
    assert table["source"].str.strip().ne("").all() and table["source"].notna().all()
    assert set(table["confidence"]) <= (PEER_CONFIDENCES if file.stem.startswith("peer") else CONFIDENCES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_table_explains_itself_and_is_read_whole(file):
    lines = file.read_text().splitlines()
    header = [line for line in lines if line.startswith("#")]
    assert lines[: len(header)] == header
    assert {"source", "confidence"} <= set(re.findall(r"\w+", " ".join(header).lower()))
    assert not any("#" in line for line in lines[len(header) :])  # the reader would cut the row there
    assert all(len(line) <= 120 for line in header)


@pytest.mark.parametrize("name", ["networks", "per_class"])
def test_tables_are_the_collected_facts(facts, name):
    collected = pd.read_csv(facts / f"published_{name}.csv")
    pd.testing.assert_frame_equal(published(name)[list(collected)], collected)


def test_unknown_table_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"unknown published table 'curve': expected one of .* did you mean 'curves'"):
        published("curve")


# --- the tables with each other -------------------------------------------------------------------


def test_reported_accuracy_is_the_best_of_its_curve():
    both = published("curves").merge(published("networks"), on=NETWORK, suffixes=("", "_network"))
    assert len(both) == 10
    known = both.dropna(subset="best_accuracy")
    assert known["best_accuracy"].tolist() == known["accuracy"].tolist()
    assert (known["min_loss_accuracy"].dropna() <= known["best_accuracy"].loc[known["min_loss_accuracy"].notna()]).all()
    headline, split = both.iloc[-1], published("splits").iloc[0]
    assert (headline["best_epoch"], headline["last_epoch"]) == (split["best_epoch"], split["last_epoch"])


def test_published_curves_are_those_of_the_notebooks():
    curves = published("curves").set_index(NETWORK)
    columns = ["best_epoch", "min_loss_accuracy", "last30_mean", "last30_sd"]
    assert curves.loc[("inception_resnet_v2", "baseline"), columns].tolist() == [53, 0.8937, 0.871, 0.047]
    assert curves.loc[("inception_resnet_v2", "released"), columns].tolist() == [54, 0.9046, 0.897, 0.024]
    ended = curves["last_epoch"].dropna().astype(int)
    assert ended.to_dict() == {
        ("vgg16", "released"): 135,
        ("resnet34", "released"): 83,
        ("resnet50", "released"): 116,
        ("densenet201", "released"): 64,
        ("inception_resnet_v2", "released"): 58,
    }


def test_class_counts_add_up_to_the_published_sizes():
    assert images("all") == HAM10000.class_counts
    assert sum(images("single_image").values()) == 5514
    first = published("per_class").iloc[:7]
    assert images("test", 0.15) == dict(zip(first["class"], first["test_images"], strict=True))
    for split in published("splits").itertuples():
        tested, trained = images("test", split.test_share), images("train", split.test_share)
        assert {name: tested[name] + trained[name] for name in CLASSES} == images("all")
        assert sum(tested.values()) == split.test_images
        assert sum(trained.values()) == split.train_images
        assert sum(images("train_augmented", split.test_share).values()) == split.train_images_augmented


@pytest.mark.parametrize("share", [0.15, 0.2, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_tested_classes_are_the_same_in_every_draw(share, seed):
    pool = np.repeat(CLASSES, list(images("single_image").values()))
    tested = train_test_split(pool, test_size=share, stratify=pool, random_state=seed)[1]
    assert pd.Series(tested).value_counts().to_dict() == images("test", share)


def test_isic2017_counts_are_those_of_the_official_tables():
    table = published("isic2017").set_index("class")
    assert table[["train_images", "validation_images", "test_images"]].sum().tolist() == [2000, 150, 600]
    assert table["test_images"].to_dict() == {"melanoma": 117, "seborrheic_keratosis": 90, "nevus": 393}
    assert table.sum(axis=1, numeric_only=True).to_dict() == ISIC2017.class_counts


def test_isic2017_baseline_is_a_published_keratosis_sensitivity():
    tasks = published("isic2017_external").set_index("task")["sensitivity"]
    claims = published("claims").set_index("id")["value"]
    assert tasks["seborrheic_keratosis"] == claims["isic2017_baseline"]
    assert tasks["melanoma"] == 0.658


def test_peers_scores_belong_to_a_peer_and_fit_their_counts():
    peers, scores = published("peers").set_index("who"), published("peer_scores")
    assert peers.index.is_unique
    for row in scores.itertuples():
        assert (row.source, row.confidence) == tuple(peers.loc[row.who, ["source", "confidence"]])
    counted = scores.dropna(subset="correct")
    assert (counted["correct"] / counted["test_images"]).tolist() == pytest.approx(
        counted["accuracy"].tolist(), abs=6e-4
    )
    assert (counted["melanoma_correct"] / counted["melanoma_images"]).round(3).tolist() == [0.441, 0.618]
    assert peers[["what", "protocol", "finding"]].notna().all(axis=None)


# --- the recipe as we run it ----------------------------------------------------------------------


def test_the_recipe_runs_the_published_recipe():
    recipe = published("recipe").set_index("backbone")
    runs = [run for run in Study.load("recipe").runs() if run.part == "table"]
    assert {(run.backbone, run.arm) for run in runs} == {
        (name, arm) for name in recipe.index for arm in ("baseline", "released")
    }
    for run in runs:
        row = recipe.loc[run.backbone]
        assert run.dataset == "ham10000" and run.protocol == "authors"
        assert (run.weights or "random", run.size) == (row.weights, row.image_size)
        assert (run.epochs, run.patience, run.min_delta) == (row.epochs, row.patience, row.min_delta)
        assert (run.batch_size, run.steps_per_epoch) == (row.batch_size, row.steps_per_epoch)
        assert (run.learning_rate, run.adam_epsilon) == (row.learning_rate, row.adam_epsilon)
        assert run.class_weights == {"mel": row.melanoma_weight}
        assert run.test_share == row.test_share
        assert (run.preprocessing, run.sampling, run.selection, run.schedule) == (
            *("authors", "authors", "accuracy", "constant"),
        )
        assert run.heads == 16 and run.augmentation and not (run.frozen or run.leak)


def test_the_recipe_runs_the_other_test_shares():
    runs = {run.test_share: run for run in Study.load("recipe").runs() if run.part != "table"}
    splits = published("splits").set_index("test_share").drop(index=0.15)
    assert set(runs) == set(splits.index)
    for share, run in runs.items():
        assert (run.backbone, run.arm) == tuple(splits.loc[share, ["backbone", "arm"]])
        assert run.steps_per_epoch == -(-splits.loc[share, "train_images"] // 10)


def test_the_recipe_fits_the_splits():
    recipe, split = published("recipe"), published("splits").iloc[0]
    for name in ("test_share", "test_images", "train_images", "train_images_augmented"):
        assert (recipe[name] == split[name]).all()
    assert (recipe["steps_per_epoch"] == -(-recipe["train_images"] // 10)).all()


@pytest.mark.parametrize(("share", "total"), [(0.15, 51_699), (0.2, 52_012), (0.3, 51_010)])
def test_our_augmentation_makes_the_published_totals(share, total):
    ours = authors_class_totals(images("train", share))
    assert ours == images("train_augmented", share)
    assert sum(ours.values()) == total
