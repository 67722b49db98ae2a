"""Our results beside the claims: only runs on real images speak, each for its own backbone."""

import pandas as pd
import pytest

from soft_attention.claims.examined import examined_claims
from soft_attention.claims.own import own_results, own_scores
from soft_attention.study.config import Analysis

SCORES = ("accuracy", "weighted_precision", "macro_recall", "weighted_auc")


@pytest.fixture
def make_part():
    def make(scores, dataset="ham10000", protocol="clean", images="mirror", part=""):
        rows = [
            dict.fromkeys(SCORES, score)
            | {"part": part, "study": "s", "backbone": backbone, "arm": arm, "seed": seed, "n_images": 828}
            | {"dataset": dataset, "protocol": protocol, "images": images, "scale": "64 px"}
            | {"tasks": {"melanoma": dict.fromkeys(("auc", "accuracy", "sensitivity", "specificity"), score)}}
            for (backbone, arm), values in scores.items()
            for seed, score in enumerate(values)
        ]
        return pd.DataFrame(rows)

    return make


def answer(backbone="vgg16", verdict="undecided"):
    row = {"backbone": backbone, "arm": "released", "reference": "baseline", "metric": "balanced_accuracy"}
    numbers = {
        "difference": 0.012,
        "low": -0.01,
        "high": 0.034,
        "images": 828,
        "lesions": 828,
        "seeds": 1,
        "gamma_at_most_0": "",
    }
    return pd.DataFrame([row | numbers | {"verdict": verdict}])


def by_claim(table):
    return dict(zip(table["id"], table["ours"], strict=True))


PAIR = {("vgg16", "baseline"): [0.5], ("vgg16", "released"): [0.512]}


def test_runs_of_the_authors_protocol_speak_to_the_claimed_scores(make_part):
    parts = {"small": make_part(PAIR, protocol="authors")}
    table = own_results(parts, {"small": answer()}, Analysis())
    assert (table[["part", "network", "scale"]] == ["small", "VGG16", "64 px"]).all(axis=None)
    found = by_claim(table)
    assert found["precision"] == ".512 in one training."
    assert found["precision_gain"] == ".512 against .500 without attention (+1.2 points)."
    assert found["test_images"] == "828 in one draw."
    assert found["title"].startswith("released against baseline: undecided. Balanced")
    assert "+1.2 points (-1.0 to +3.4), 828 images of 828 lesions, one training each," in found["title"]
    assert "isic2017_sensitivity" not in found
    assert found.keys() <= set(examined_claims()["id"])


def test_every_part_and_network_has_a_row(make_part):
    pairs = PAIR | {("mobilenet", arm): scores for (_, arm), scores in PAIR.items()}
    parts = {"small": make_part(pairs), "long": make_part(PAIR)}
    table = own_results(parts, dict.fromkeys(parts, answer()), Analysis()).query("id == 'auc'")
    assert table[["part", "network"]].to_numpy().tolist() == [
        ["small", "VGG16"],
        ["small", "MobileNet 0.75"],
        ["long", "VGG16"],
    ]


def test_several_trainings_are_shown_with_their_spread(make_part):
    parts = {"small": make_part({("vgg16", "released"): [0.5, 0.6, 0.7]}, protocol="authors")}
    found = by_claim(own_results(parts, {"small": answer()}, Analysis()))
    assert found["accuracy"] == ".600 in the mean of 3 trainings, .500 to .700."
    assert "precision_gain" not in found  # no baseline


def test_clean_runs_say_nothing_of_the_authors_test_set(make_part):
    found = by_claim(own_results({"small": make_part(PAIR)}, {"small": answer()}, Analysis()))
    assert set(found) == {"title", "auc", "precision_gain", "recall_absent"}


def test_isic2017_is_told_by_task(make_part):
    parts = {"small": make_part(PAIR, dataset="isic2017", protocol="official")}
    found = by_claim(own_results(parts, {"small": answer()}, Analysis()))
    assert found.keys() == {"title", "isic2017_sensitivity"}
    assert found["isic2017_sensitivity"] == "melanoma .512."


def test_generated_images_say_nothing(make_part):
    parts = {"small": make_part(PAIR, dataset="synthetic", images="generated")}
    assert own_results(parts, {"small": answer()}, Analysis()).empty


def test_scores_for_the_peers_are_those_on_single_image_lesions(make_part):
    parts = {"small": make_part(PAIR, protocol="authors"), "clean": make_part(PAIR)}
    table = own_scores(parts)
    assert table[["who", "backbone", "arm", "test_images", "accuracy", "confidence"]].to_numpy().tolist() == [
        ["this study, small", "vgg16", "baseline", 828, 0.5, "64 px"],
        ["this study, small", "vgg16", "released", 828, 0.512, "64 px"],
    ]
    assert own_scores({"clean": make_part(PAIR)}) is None
