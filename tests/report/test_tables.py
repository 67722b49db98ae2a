import numpy as np
import pandas as pd
import pytest

from soft_attention import paths
from soft_attention.evaluation.metrics import in_table, score
from soft_attention.published import published
from soft_attention.report import tables

TAGS = {"ABS", "PK", "EV", "SE", "FC", "NB", "NBc"}
BACKBONES = ["vgg16", "resnet34", "resnet50", "densenet201", "inception_resnet_v2"]


def runs(dataset="ham10000", **columns):
    """Runs of one cell of the grid each; every metric defaults to .5."""
    rows = pd.DataFrame(columns)
    place = {"study": "s", "part": "", "dataset": dataset, "protocol": "clean", "seed": 0, "fold": 0, "n_images": 100}
    if "per_class" not in rows:
        rows["per_class"] = [{"mel": {"support": 25}, "nv": {"support": 75}}] * len(rows)
    for name, value in (place | dict.fromkeys(in_table("networks"), 0.5)).items():
        if name not in rows:
            rows[name] = value
    return rows


def row(table, **key):
    """The one row of a table with these values."""
    found = table[np.logical_and.reduce([table[name] == value for name, value in key.items()])]
    assert len(found) == 1
    return found.iloc[0]


# --- published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["networks", "per_class"])
def test_published_numbers_are_the_collected_ones(facts, name):
    collected = pd.read_csv(facts / f"published_{name}.csv")
    ours = pd.read_csv(paths.PARAMS / "published" / f"{name}.csv", comment="#")
    pd.testing.assert_frame_equal(ours[list(collected)], collected)


def test_ten_networks_with_parameters_and_sources():
    table = tables.published_networks()
    assert table["backbone"].tolist() == [name for name in BACKBONES for _ in range(2)]
    assert table["arm"].tolist() == ["baseline", "released"] * 5
    assert row(table, backbone="inception_resnet_v2", arm="released")["parameters"] == 47_535_287
    assert row(table, backbone="vgg16", arm="baseline")["parameters"] == 60_217_671
    assert set(table["source"]) == {"NB", "NBc"}
    assert (table["confidence"].eq("first-hand") == table["source"].eq("NB")).all()


def test_published_accuracies_are_their_counts():
    table = tables.published_networks()
    assert (table["correct"] / table["test_images"]).round(4).tolist() == table["accuracy"].tolist()
    low, high = row(table, backbone="inception_resnet_v2", arm="released")[["accuracy_low", "accuracy_high"]]
    assert (round(low, 3), round(high, 3)) == (0.916, 0.950)


def test_published_classes_agree_with_the_networks():
    """Recall times images per class gives the correct images, macro means the macro columns."""
    classes, networks = published("per_class"), tables.published_networks()
    assert len(classes) == 70
    for (backbone, arm), part in classes.groupby(["backbone", "arm"]):
        network = row(networks, backbone=backbone, arm=arm)
        assert part["test_images"].sum() == network["test_images"] == 828
        assert (part["recall"] * part["test_images"]).sum() == pytest.approx(network["correct"], abs=5)
        assert part["recall"].mean() == pytest.approx(network["macro_recall"], abs=0.005)
        assert part["precision"].mean() == pytest.approx(network["macro_precision"], abs=0.005)
        assert part["auc"].mean() == pytest.approx(network["macro_auc"], abs=0.001)


def test_published_splits_contain_the_headline_network():
    splits = published("splits")
    assert splits["test_share"].tolist() == [0.15, 0.2, 0.3]
    assert (splits["test_images"] + splits["train_images"]).tolist() == [10_015] * 3
    network = row(tables.published_networks(), backbone="inception_resnet_v2", arm="released")
    for name in ("test_images", "accuracy", "weighted_precision", "macro_recall", "weighted_auc"):
        assert splits[name].iloc[0] == network[name]


@pytest.mark.parametrize(
    ("claim", "arm", "metric"),
    [
        ("precision", "released", "weighted_precision"),
        ("accuracy", "released", "accuracy"),
        ("auc", "released", "weighted_auc"),
        ("precision_baseline", "baseline", "weighted_precision"),
        ("auc_baseline", "baseline", "weighted_auc"),
    ],
)
def test_claims_are_the_notebook_values_cut_to_three_digits(claim, arm, metric):
    claims = published("claims").set_index("id")
    network = row(tables.published_networks(), backbone="inception_resnet_v2", arm=arm)
    assert -0.00005 <= network[metric] - claims.loc[claim, "value"] < 0.00125


def test_claimed_gains_are_the_differences_of_the_claims():
    value = published("claims").set_index("id")["value"]
    assert value["precision"] - value["precision_external"] == pytest.approx(value["precision_gain_external"])
    assert value["precision"] - value["precision_baseline"] == pytest.approx(value["precision_gain"])
    assert value["isic2017_sensitivity"] - value["isic2017_baseline"] == pytest.approx(value["isic2017_gain"])
    assert np.isnan(value["recall_absent"])


def test_missing_published_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    with pytest.raises(ValueError, match="unknown published table 'networks'"):
        tables.published_networks()


# --- beside ours ----------------------------------------------------------------------------------


def test_what_stands_in_a_table_of_several_parts_once():
    rows = [
        ("a", "mobilenet", None),
        ("a", "none", 0.6),
        ("b", "mobilenet", None),
        ("b", "none", 0.6),
        ("c", "none", 0.5),
    ]
    networks = pd.DataFrame(rows, columns=["part", "backbone", "published_accuracy"])
    assert tables.unpublished(networks) == ["published_accuracy"] and tables.repeated_majority(networks) == [3]
    networks.loc[0, "published_accuracy"] = 0.9
    assert tables.unpublished(networks) == []


def test_networks_table_averages_runs_beside_the_published_values():
    table = tables.networks_table(
        runs(
            backbone=["resnet50", "resnet50", "mobilenet", "resnet50"],
            arm=["released", "released", "paper", "baseline"],
            fold=[0, 1, 0, 0],
            n_images=[100, 201, 100, 100],
            accuracy=[0.5, 0.7, 0.9, 0.4],
        )
    )
    found = row(table, backbone="resnet50", arm="released")
    assert found["runs"] == 2
    assert found["images"] == 150
    assert found["accuracy"] == pytest.approx(0.6)
    assert found["published_accuracy"] == 0.9155
    assert found["published_weighted_auc"] == 0.9786
    assert pd.isna(row(table, backbone="mobilenet", arm="paper")["published_accuracy"])
    assert len(table) == 4
    assert table["backbone"].drop_duplicates().tolist() == ["resnet50", "mobilenet", "none"]
    always = row(table, arm="always nv")
    assert (always["accuracy"], always["balanced_accuracy"], always["images"]) == (0.75, 0.5, 100)
    assert always["published_accuracy"] == pytest.approx(663 / 828) and pd.isna(always["runs"])
    metric_columns = [name for name in table if name.endswith(in_table("networks"))]
    assert metric_columns[:2] == ["weighted_precision", "published_weighted_precision"]
    assert "published_balanced_accuracy" not in table


def test_synthetic_images_keep_the_published_columns_isic2017_has_none():
    cell = {"backbone": ["vgg16"], "arm": ["baseline"]}
    assert tables.networks_table(runs("synthetic", **cell))["published_accuracy"][0] == 0.8696
    table = tables.networks_table(runs("isic2017", **cell))
    assert len(table) == 2
    assert table["published_accuracy"].isna().all()
    assert "no yardstick" in tables.comparison_note("synthetic", "authors")
    assert "Nothing is published for mine" in tables.comparison_note("mine", "clean")
    notes = {tables.comparison_note("ham10000", protocol) for protocol in ("authors", "clean")}
    assert len(notes) == 2


def test_runs_of_several_datasets_make_no_table():
    both = pd.concat([runs(name, backbone=["vgg16"], arm=["baseline"]) for name in ("ham10000", "isic2017")])
    for table in (tables.networks_table, tables.attention_gain):
        with pytest.raises(ValueError, match="runs of one dataset, these are of ham10000, isic2017"):
            table(both)


def test_per_class_table_from_scores():
    classes = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    probabilities = pd.DataFrame(np.eye(7)[:6], columns=list(classes))
    names = [f"i{number}" for number in range(6)]
    predictions = probabilities.assign(image_id=names, lesion_id=names, label=classes[:6])
    part = score(predictions, classes)["per_class"]
    table = tables.per_class_table(
        runs(backbone=["vgg16"] * 2, arm=["baseline"] * 2, fold=[0, 1], per_class=[part, part])
    )
    assert len(table) == 7
    found = row(table, backbone="vgg16", arm="baseline", **{"class": "bcc"})
    assert (found["runs"], found["support"], found["recall"], found["auc"]) == (2, 1, 1.0, 1.0)
    assert (found["published_recall"], found["published_auc"]) == (0.77, 0.978)
    assert pd.isna(row(table, backbone="vgg16", arm="baseline", **{"class": "vasc"})["auc"])


def test_isic2017_table_sets_two_sensitivities_below_ours():
    task = {"auc": 0.8, "accuracy": 0.7, "sensitivity": 0.6, "specificity": None, "positives": 3}
    both = {"seborrheic_keratosis": task, "melanoma": task | {"auc": 0.9}}
    grid = {"backbone": ["vgg16"] * 2, "arm": ["released", "baseline"]}
    table = tables.isic2017_table(runs("isic2017", **grid, tasks=[both, both]))
    ours, published = table[table["source"] == "ours"], table[table["source"] != "ours"]
    assert ours["arm"].tolist() == ["baseline"] * 2 + ["released"] * 2
    assert ours["task"].tolist() == ["melanoma", "seborrheic_keratosis"] * 2
    assert ours["auc"].tolist() == [0.9, 0.8] * 2
    assert ours["specificity"].isna().all()
    assert published["sensitivity"].tolist() == [0.916, 0.878]
    assert published["task"].tolist() == ["not stated"] * 2
    assert published["source"].tolist() == ["published, unconfirmed"] * 2
    assert published[["runs", "auc", "accuracy", "specificity"]].isna().all(axis=None)
    with pytest.raises(ValueError, match="no scores by task"):
        tables.isic2017_table(runs("ham10000", **grid))


def test_attention_gain_is_the_mean_of_paired_differences():
    grid = runs(
        backbone=["resnet50"] * 5 + ["vgg16"],
        arm=["baseline", "released", "baseline", "released", "released", "released"],
        seed=[0, 0, 1, 1, 2, 0],
        accuracy=[0.5, 0.6, 0.7, 0.75, 0.1, 0.9],
    )
    table = tables.attention_gain(grid)
    assert len(table) == 1  # vgg16 has no baseline run, seed 2 of resnet50 neither
    assert table["pairs"].tolist() == [2]
    assert table["accuracy_gain"].tolist() == pytest.approx([0.075])
    assert table["published_accuracy_gain"].tolist() == pytest.approx([0.9155 - 0.9046])
    assert table["weighted_auc_gain"].tolist() == [0]


def test_attention_gain_over_another_arm_has_no_published_value():
    grid = runs(backbone=["vgg16"] * 3, arm=["baseline", "control", "released"], accuracy=[0.1, 0.4, 0.6])
    table = tables.attention_gain(grid, reference="control")
    assert row(table, arm="released")["accuracy_gain"] == pytest.approx(0.2)
    assert row(table, arm="baseline")["accuracy_gain"] == pytest.approx(-0.3)
    assert table["published_accuracy_gain"].isna().all()


def test_attention_gain_without_pairs_is_an_empty_table():
    assert tables.attention_gain(runs(backbone=["vgg16"], arm=["baseline"])).empty


def test_attention_gain_refuses_a_run_twice():
    grid = runs(backbone=["vgg16"] * 2, arm=["baseline"] * 2)
    with pytest.raises(ValueError, match="same place of the grid: backbone vgg16, seed 0, fold 0, arm baseline"):
        tables.attention_gain(grid)


def test_overview_counts_runs_by_scale():
    table = tables.overview(
        runs(
            backbone=["vgg16", "vgg16", "resnet50"],
            arm=["baseline", "released", "baseline"],
            source=["official"] * 3,
            scale=["64 px"] * 3,
            n_images=[10, 10, 10],
        )
    )
    (found,) = table.to_dict("records")
    assert (found["backbones"], found["arms"], found["runs"], found["test_images"]) == (2, 2, 3, 10)


def test_interval_points_name_seed_and_fold_only_where_they_differ():
    columns = {"backbone": ["vgg16"] * 2, "arm": ["released", "baseline"], "accuracy": [0.5, 0.6]}
    intervals = [{"accuracy": [0.4, 0.7]}, {"accuracy": [0.5, 0.8]}]
    one = tables.interval_points(runs(**columns, intervals=intervals), "accuracy")
    assert one[["name", "arm", "low"]].values.tolist() == [
        ["ham10000, vgg16", "baseline", 0.5],
        ["ham10000, vgg16", "released", 0.4],
    ]
    two = tables.interval_points(runs(**columns, intervals=intervals, fold=[0, 1]), "accuracy")
    assert two["name"].tolist() == ["ham10000, vgg16, seed 0, fold 0", "ham10000, vgg16, seed 0, fold 1"]
