"""The counts behind the published rates: exactly one table fits, and an impossible rate is found out."""

import pytest
from mlscorecheck.check.binary import check_1_testset_no_kfold

from soft_attention.claims import rates as module
from soft_attention.claims.rates import class_counts, rate_granularity, rates_check
from soft_attention.evaluation import paired_tests
from soft_attention.report import tables


def test_each_network_has_exactly_one_table_of_counts():
    check = rates_check()
    assert len(check) == 10
    assert (check["consistent_classes"] == check["classes"]).all()
    assert (check["classes"] == 7).all()
    assert (check["fitting_tables"] == 1).all()
    assert (check["count_tables"] > 1).all()


def test_mlscorecheck_finds_the_same_classes_possible():
    rates = class_counts().query("backbone == 'vgg16'")
    rates.loc[rates.index[0], "recall"] = 0.25  # no share of 23 images
    for row in rates.itertuples():
        testset, scores = {"p": row.test_images, "n": 828 - row.test_images}, {"ppv": row.precision, "sens": row.recall}
        found = check_1_testset_no_kfold(testset=testset, scores=scores, eps=0.005)
        assert found["inconsistency"] == (len(module._class_pairs(row, 828)) == 0) == (row.Index == rates.index[0])


def test_counts_give_every_published_rate():
    counts = class_counts()
    networks = tables.published_networks().set_index(["backbone", "arm"])
    assert (counts["correct"] / counts["test_images"] - counts["recall"]).abs().max() <= 0.005 + 1e-9
    assert (counts["correct"] / counts["predicted"] - counts["precision"]).abs().max() <= 0.005 + 1e-9
    sums = counts.groupby(["backbone", "arm"])[["correct", "predicted"]].sum()
    assert (sums["correct"] == networks["correct"].loc[sums.index]).all()
    assert (sums["predicted"] == 828).all()


def test_the_headline_networks_counted_by_hand():
    counts = class_counts().query("backbone == 'inception_resnet_v2'")
    assert counts.query("arm == 'baseline'")["correct"].tolist() == [15, 22, 29, 2, 19, 658, 10]
    assert counts.query("arm == 'released'")["correct"].tolist() == [12, 23, 55, 1, 22, 651, 10]
    assert counts.query("arm == 'baseline'")["predicted"].tolist() == [18, 26, 34, 3, 27, 710, 10]
    assert counts.query("arm == 'released'")["predicted"].tolist() == [12, 26, 76, 1, 33, 670, 10]


def test_impossible_rates_are_found_out(monkeypatch):
    true = module.published

    def changed(name):
        table = true(name)
        if name == "per_class":
            table.loc[table.query("backbone == 'vgg16' and arm == 'baseline' and `class` == 'df'").index, "recall"] = (
                0.25
            )
        return table

    monkeypatch.setattr(module, "published", changed)
    first = rates_check().iloc[0]
    assert (first["consistent_classes"], first["count_tables"], first["fitting_tables"]) == (6, 0, 0)
    with pytest.raises(ValueError, match="rates of vgg16, baseline fit 0 tables, not one"):
        class_counts()


def test_what_one_image_is_worth(cell):
    rates = rate_granularity()
    assert len(rates) == 70
    rare = cell(rates, backbone="vgg16", arm="baseline", **{"class": "df"})
    assert (round(rare["recall_points"], 1), round(rare["macro_recall_points"], 1)) == (16.7, 2.4)
    melanoma = cell(rates, backbone="inception_resnet_v2", arm="released", **{"class": "mel"})
    assert (melanoma["correct"], melanoma["test_images"], melanoma["predicted"]) == (22, 34, 33)
    assert (melanoma["recall_low"], melanoma["recall_high"]) == paired_tests.wilson(22, 34)
    assert (melanoma["precision_low"], melanoma["precision_high"]) == paired_tests.wilson(22, 33)
