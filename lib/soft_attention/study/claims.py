"""The published claims, examined: what the published numbers can show, and what they cannot.

Everything here is computed from the tables in `params/published/`, which name source and confidence of each number; no
run of ours is needed. The paper's own tables could not be opened: most numbers are outputs of the authors' notebooks.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from mlscorecheck.check.binary import check_1_testset_no_kfold
from mlscorecheck.check.bundles.skinlesion import check_isic2017
from scipy.stats import binom, fisher_exact
from statsmodels.stats.proportion import proportions_ztest

from soft_attention.errors import known
from soft_attention.study.published import published
from soft_attention.study.statistics import (
    EQUIVALENT,
    NOT_SUPPORTED,
    SUPPORTED,
    UNDECIDED,
    mcnemar_midp,
    smallest_detectable_difference,
)
from soft_attention.study.tables import wilson
from soft_attention.vocabulary import BACKBONES

logging.getLogger("mlscorecheck").setLevel(logging.WARNING)  # it reports every step otherwise

UNCHECKABLE = "cannot be checked"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, EQUIVALENT, UNDECIDED, UNCHECKABLE)
SOURCES = {
    "ABS": "title and abstract",
    "PK": "quoted by a reproduction",
    "EV": "quoted by a literature audit",
    "NB": "the authors' notebooks",
}
PAIR = ["backbone", "arm"]
HEADLINE = "inception_resnet_v2"
PEER_COLUMNS = (
    *("who", "backbone", "arm", "test_images", "accuracy", "weighted_precision", "macro_recall", "weighted_auc"),
    *("melanoma_correct", "melanoma_images", "melanoma_recall", "confidence"),
)
ISIC2017_CODES = {"melanoma": "M", "seborrheic_keratosis": "SK", "nevus": "N"}
ISIC2017_READINGS = {
    ("seborrheic_keratosis",): "sensitivity for seborrheic keratosis",
    ("melanoma",): "sensitivity for melanoma",
    ("nevus",): "sensitivity for nevus",
    ("melanoma", "nevus"): "specificity for seborrheic keratosis",
    ("seborrheic_keratosis", "nevus"): "specificity for melanoma",
    ("melanoma", "seborrheic_keratosis"): "specificity for nevus",
    ("melanoma", "seborrheic_keratosis", "nevus"): "accuracy, or mean sensitivity weighted by class size",
}


# --- counts behind the rates ----------------------------------------------------------------------


def class_counts() -> pd.DataFrame:
    """Whole images behind the published precision and recall of each class, for the ten networks.

    The notebooks print rates with two decimals, and the accuracy, weighted precision, macro precision and macro recall
    of each network with four. Only one table of counts agrees with all of them; it is found by trying every one.

    Returns:
        One row per backbone, arm and class: test_images (of the class), correct (of these, called by their class),
        predicted (images of any class that were given this class), precision, recall, auc.

    Raises:
        ValueError: a network's published numbers fit no table of counts, or several.
    """
    parts = []
    for network, classes in _networks_and_classes():
        tables = _count_tables(network, classes)
        if len(tables) != 1:
            raise ValueError(
                f"the published rates of {network.backbone}, {network.arm} fit {len(tables)} tables, not one"
            )
        correct, predicted = tables[0].T
        counts = classes[[*PAIR, "class", "test_images"]].assign(correct=correct, predicted=predicted)
        parts.append(counts.join(classes[["precision", "recall", "auc"]]))
    return pd.concat(parts, ignore_index=True)


def rates_check() -> pd.DataFrame:
    """Whether the published rates on HAM10000 can come from 828 images at all, network by network.

    Returns:
        backbone, arm; classes (how many were checked); consistent_classes (how many of them mlscorecheck finds
        possible: precision and recall of the class against the rest, two decimals); count_tables (tables of counts
        that fit the rates of every class); fitting_tables (those of them that also give the network's number of correct
        images, 828 predictions in all, and its weighted and macro scores to four decimals).
    """
    rows = []
    for network, classes in _networks_and_classes():
        pairs = [_class_pairs(row, network.test_images) for row in classes.itertuples()]
        rows.append(
            {
                "backbone": network.backbone,
                "arm": network.arm,
                "classes": len(classes),
                "consistent_classes": sum(_consistent(row, network.test_images) for row in classes.itertuples()),
                "count_tables": int(np.prod([len(found) for found in pairs])),
                "fitting_tables": len(_count_tables(network, classes)),
            }
        )
    return pd.DataFrame(rows)


def rate_granularity() -> pd.DataFrame:
    """Class counts beside every published rate, and what one image is worth.

    Returns:
        One row per backbone, arm and class: the columns of `class_counts`; recall_low, recall_high, precision_low,
        precision_high (95 % Wilson intervals of correct among test_images and among predicted); recall_points and
        macro_recall_points (points, of 100, by which one image moves the recall of the class and the macro recall).
    """
    table = class_counts()
    table["recall_low"], table["recall_high"] = wilson(table["correct"], table["test_images"])
    table["precision_low"], table["precision_high"] = wilson(table["correct"], table["predicted"])
    table["recall_points"] = 100 / table["test_images"]
    table["macro_recall_points"] = table["recall_points"] / table["class"].nunique()
    return table


def _networks_and_classes():
    """Each published network (a named tuple) with its rows of the per-class table, index from 0."""
    groups = dict(iter(published("per_class").groupby(PAIR)))
    for network in published("networks").itertuples():
        yield network, groups[network.backbone, network.arm].reset_index(drop=True)


def _class_pairs(rates, total: int) -> np.ndarray:
    """Every (correct, predicted) of a class that gives its precision and recall, rounded to two decimals; (P, 2)."""
    correct, predicted = np.arange(rates.test_images + 1), np.arange(1, total + 1)
    correct = correct[_rounds_to(correct / rates.test_images, rates.recall, 2)][:, None]
    possible = (correct <= predicted) & (predicted - correct <= total - rates.test_images)
    row, column = np.nonzero(possible & _rounds_to(correct / predicted, rates.precision, 2))
    return np.stack([correct[row, 0], predicted[column]], axis=1)


def _count_tables(network, classes: pd.DataFrame) -> np.ndarray:
    """Every table of counts, (T, classes, 2) with correct and predicted last, that gives all of a network's numbers."""
    pairs = [_class_pairs(row, network.test_images) for row in classes.itertuples()]
    tables = np.array(list(product(*pairs)), int).reshape(-1, len(classes), 2)
    correct, predicted = tables[..., 0], tables[..., 1]
    images = classes["test_images"].to_numpy()
    precision, recall = correct / predicted, correct / images
    fits = (correct.sum(axis=1) == network.correct) & (predicted.sum(axis=1) == network.test_images)
    fits &= _rounds_to(precision @ (images / images.sum()), network.weighted_precision, 4)
    fits &= _rounds_to(precision.mean(axis=1), network.macro_precision, 4)
    fits &= _rounds_to(recall.mean(axis=1), network.macro_recall, 4)
    return tables[fits]


def _rounds_to(values: np.ndarray, printed: float, decimals: int) -> np.ndarray:
    return np.abs(values - printed) <= 0.5 * 10.0**-decimals + 1e-9  # a tie may have been rounded either way


def _consistent(rates, total: int) -> bool:
    """mlscorecheck: whether some counts of the class against the rest give its precision and recall."""
    testset = {"p": rates.test_images, "n": total - rates.test_images}
    scores = {"ppv": rates.precision, "sens": rates.recall}
    return not check_1_testset_no_kfold(testset=testset, scores=scores, eps=0.005)["inconsistency"]


# --- what attention added -------------------------------------------------------------------------


def gain_tests() -> pd.DataFrame:
    """The five published pairs of networks with the comparisons that their counts allow.

    Independent: the two networks as if tested on different images (score test and Fisher's exact test). Paired: as if
    on the same images, which the notebooks neither prove nor disprove. Which images were judged differently is
    not published, so the paired p has a range, see `paired_range`; the counts are those by class.

    Returns:
        One row per backbone: images; correct, low and high of each arm (`baseline_...`, `released_...`, 95 % Wilson
        intervals as shares); gain_images; gain (share); p_independent, p_fisher; fewest_discordant, p_fewest,
        unrelated_discordant, p_unrelated; note.
    """
    counts = class_counts().set_index(PAIR)
    rows = []
    for backbone, pair in published("networks").groupby("backbone", sort=False):
        images = int(pair["test_images"].iloc[0])
        correct = pair.set_index("arm")["correct"]
        row = {"backbone": backbone, "images": images}
        for arm in ("baseline", "released"):
            low, high = wilson(correct[arm], images)
            row |= {f"{arm}_correct": int(correct[arm]), f"{arm}_low": low, f"{arm}_high": high}
        row["gain_images"] = row["released_correct"] - row["baseline_correct"]
        row["gain"] = row["gain_images"] / images
        row |= independent_tests(row["baseline_correct"], images, row["released_correct"], images)
        baseline, released = counts.loc[(backbone, "baseline")], counts.loc[(backbone, "released")]
        row |= paired_range(baseline["correct"], released["correct"], baseline["test_images"])
        row["note"] = "with attention not trained from scratch" if backbone == "resnet34" else ""
        rows.append(row)
    return pd.DataFrame(rows)


def independent_tests(first: int, first_images: int, second: int, second_images: int) -> dict[str, float]:
    """Two-sided p of two shares of different images: score test (`p_independent`) and Fisher's (`p_fisher`)."""
    table = [[first, first_images - first], [second, second_images - second]]
    score = proportions_ztest([first, second], [first_images, second_images])[1]
    return {"p_independent": float(score), "p_fisher": float(fisher_exact(table).pvalue)}


def paired_range(first: Sequence[int], second: Sequence[int], images: Sequence[int]) -> dict[str, float]:
    """Between which p a paired test of two networks lies, when only their correct images by class are known.

    An image is discordant when one network is right and the other wrong. `fewest_discordant`: the least number that
    the counts allow, |second - first| of each class; the smallest p. `unrelated_discordant`: the number to expect if,
    within a class, the errors of the two networks had nothing to do with each other; networks trained on the same
    images usually fail on the same difficult ones, so the true number is most likely between the two. More is possible
    only if the networks tend to fail on different images.

    Args:
        first, second: correct images of each class.
        images: test images of each class.

    Returns:
        fewest_discordant, p_fewest, unrelated_discordant, p_unrelated; p is McNemar's mid-p, two-sided.
    """
    first, second, images = (np.asarray(values) for values in (first, second, images))
    gain = second - first
    lost, won = int((-gain).clip(0).sum()), int(gain.clip(0).sum())
    unrelated_lost = round((first * (images - second) / images).sum())
    unrelated_won = unrelated_lost + int(gain.sum())
    return {
        "fewest_discordant": won + lost,
        "p_fewest": _paired_p(won, lost),
        "unrelated_discordant": unrelated_won + unrelated_lost,
        "p_unrelated": _paired_p(unrelated_won, unrelated_lost),
    }


def _paired_p(won: int, lost: int) -> float:
    """McNemar's mid-p of so many images that only the second network gets right, and only the first."""
    second = np.arange(won + lost) < won
    return mcnemar_midp(second, ~second).p_value


def sign_test(gains: Sequence[float]) -> dict[str, float]:
    """Wins, losses and ties among the gains, and the two-sided p of the sign test (ties left out)."""
    gains = np.asarray(gains)
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    p = min(1.0, 2 * float(binom.sf(max(wins, losses) - 1, wins + losses, 0.5)))
    return {"wins": wins, "losses": losses, "ties": len(gains) - wins - losses, "p": p}


# --- how the epoch and the split were chosen ------------------------------------------------------


def selection_effect() -> pd.DataFrame:
    """What choosing the epoch by the highest test accuracy is worth, for the networks whose curves are known.

    Returns:
        backbone, arm, best_accuracy, best_epoch, min_loss_accuracy (at the epoch of least test loss), advantage (best
        minus min_loss), advantage_images (of 828), last30_mean, last30_sd (of the test accuracy, last 30 epochs).
    """
    curves = published("curves").dropna(subset="min_loss_accuracy").drop(columns=["source", "confidence", "last_epoch"])
    advantage = curves["best_accuracy"] - curves["min_loss_accuracy"]
    images = published("networks")["test_images"].iloc[0]
    place = curves.columns.get_loc("min_loss_accuracy") + 1
    curves.insert(place, "advantage", advantage)
    curves.insert(place + 1, "advantage_images", (advantage * images).round().astype(int))
    return curves.astype({"best_epoch": int}).reset_index(drop=True)


def selection_gaps() -> pd.DataFrame:
    """InceptionResNetV2 with minus without attention, by the epoch that is compared.

    Returns:
        choice, baseline, released (test accuracy), gap (share), gap_images (of 828).
    """
    arms = selection_effect().query("backbone == @HEADLINE").set_index("arm")
    choices = {
        "highest test accuracy (published)": "best_accuracy",
        "least test loss": "min_loss_accuracy",
        "mean of the last 30 epochs": "last30_mean",
    }
    table = pd.DataFrame(
        [{"choice": choice, **arms[column][["baseline", "released"]]} for choice, column in choices.items()]
    )
    table["gap"] = table["released"] - table["baseline"]
    images = published("networks")["test_images"].iloc[0]
    return table.assign(gap_images=(table["gap"] * images).round().astype(int))


def split_effect() -> pd.DataFrame:
    """InceptionResNetV2 with attention at test shares of 15, 20 and 30 %: one training each, different test images.

    Returns:
        test_share, test_images, train_images, train_lost (share of the training images of the 15 % split that are
        missing), correct, accuracy, low, high (95 % Wilson interval), difference (accuracy minus that at 15 %),
        p_independent, p_fisher (of that difference), over_baseline (accuracy minus that of the network without
        attention at 15 %), melanoma_images, melanoma_correct, melanoma_recall.
    """
    table = published("splits")
    table["correct"] = (table["accuracy"] * table["test_images"]).round().astype(int)
    table["low"], table["high"] = wilson(table["correct"], table["test_images"])
    first = table.iloc[0]
    table["train_lost"] = 1 - table["train_images"] / first["train_images"]
    table["difference"] = table["accuracy"] - first["accuracy"]
    tests = [
        independent_tests(first["correct"], first["test_images"], row.correct, row.test_images)
        for row in table.itertuples()
    ]
    table = table.join(pd.DataFrame(tests))
    networks = published("networks").set_index(PAIR)
    table["over_baseline"] = table["accuracy"] - networks.loc[(HEADLINE, "baseline"), "accuracy"]
    melanoma = published("classes").query("subset == 'test' and `class` == 'mel'").set_index("test_share")["images"]
    table["melanoma_images"] = table["test_share"].map(melanoma)
    table["melanoma_correct"] = (table["melanoma_recall"] * table["melanoma_images"]).round().astype(int)
    names = ["test_share", "test_images", "train_images", "train_lost", "correct", "accuracy", "low", "high"]
    names += ["difference", "p_independent", "p_fisher", "over_baseline"]
    return table[[*names, "melanoma_images", "melanoma_correct", "melanoma_recall"]]


# --- ISIC-2017 ------------------------------------------------------------------------------------


def sensitivity_check(value: float = 0.916, decimals: int = 3) -> pd.DataFrame:
    """Which counts on the 600 official test images of ISIC-2017 a printed share can be.

    Every k of n is tried, with n the size of each class and of the classes together; mlscorecheck answers the same
    question from its own class counts. A share that no count gives is not that score of one evaluation on these
    images. It may still be a mean of several scores, see `averages_check`, or of several trainings, or come from other
    test images.

    Args:
        value: the printed share, 0 to 1.
        decimals: its number of decimals.

    Returns:
        One row per group of classes, smallest first: images, reading (what score such a share would be), below and
        above (the nearest counts on both sides, as text), rounded and cut_off (the counts that give `value` when
        rounded or when cut off, as text, empty if none), mlscorecheck_rounded and mlscorecheck_cut_off (whether
        mlscorecheck finds the share possible).

    Raises:
        ValueError: `value` is not between 0 and 1, or has more decimals.
    """
    printed = _printed(value, decimals)
    sizes = published("isic2017").set_index("class")["test_images"]
    rows = []
    for group, reading in ISIC2017_READINGS.items():
        images = int(sizes[list(group)].sum())
        counts = np.arange(images + 1)
        below = int(np.searchsorted(counts / images, value, side="right")) - 1
        rows.append(
            {
                "images": images,
                "reading": reading,
                "below": _fraction(below, images, decimals),
                "above": _fraction(min(below + 1, images), images, decimals),
                "rounded": ", ".join(f"{k}/{images}" for k in counts[_rounded(counts, images, decimals) == printed]),
                "cut_off": ", ".join(f"{k}/{images}" for k in counts[_cut_off(counts, images, decimals) == printed]),
                "mlscorecheck_rounded": _isic2017_possible(group, value, 0.5 * 10**-decimals),
                "mlscorecheck_cut_off": _isic2017_possible(group, value + 0.5 * 10**-decimals, 0.5 * 10**-decimals),
            }
        )
    return pd.DataFrame(rows).sort_values("images", ignore_index=True)


def averages_check(value: float = 0.916, decimals: int = 3) -> pd.DataFrame:
    """How many pairs or triples of counts on the official ISIC-2017 test set have a mean sensitivity of `value`.

    Returns:
        mean_of (classes), combinations (that there are), rounded and cut_off (how many of them give `value`).

    Raises:
        ValueError: as `sensitivity_check`.
    """
    printed = _printed(value, decimals)
    sizes = published("isic2017").set_index("class")["test_images"]
    rows = []
    for group in (["melanoma", "seborrheic_keratosis"], ["melanoma", "seborrheic_keratosis", "nevus"]):
        images = [int(sizes[name]) for name in group]
        common = int(np.lcm.reduce(images))
        sums = np.zeros(1, int)
        for n in images:
            sums = np.add.outer(sums, np.arange(n + 1) * (common // n)).ravel()
        whole = len(group) * common
        rows.append(
            {
                "mean_of": ", ".join(group),
                "combinations": len(sums),
                "rounded": int((_rounded(sums, whole, decimals) == printed).sum()),
                "cut_off": int((_cut_off(sums, whole, decimals) == printed).sum()),
            }
        )
    return pd.DataFrame(rows)


def _printed(value: float, decimals: int) -> int:
    """The digits of a printed share as a whole number: .916 with three decimals is 916."""
    if not 0 <= value <= 1:
        raise ValueError(f"a share lies between 0 and 1, {value} does not")
    if round(value, decimals) != value:
        raise ValueError(f"the share {value} has more than {decimals} decimals")
    return round(value * 10**decimals)


def _rounded(counts: np.ndarray, images: int, decimals: int) -> np.ndarray:
    """The digits of counts / images, rounded half up; in whole numbers, so that no binary fraction decides."""
    return (2 * counts * 10**decimals + images) // (2 * images)


def _cut_off(counts: np.ndarray, images: int, decimals: int) -> np.ndarray:
    """The digits of counts / images after which the rest is left away."""
    return counts * 10**decimals // images


def _fraction(count: int, images: int, decimals: int) -> str:
    return f"{count}/{images} = {_share(count / images, decimals + 1)}"


def _isic2017_possible(group: Sequence[str], value: float, eps: float) -> bool:
    """mlscorecheck: whether `value`, give or take `eps`, is a sensitivity for these classes against the others."""
    against = [code for name, code in ISIC2017_CODES.items() if name not in group]
    target = [ISIC2017_CODES[name] for name in group]
    return not check_isic2017(target=target, against=against, scores={"sens": value}, eps=eps)["inconsistency"]


# --- all together ---------------------------------------------------------------------------------


def examined_claims(ours: Mapping[str, str] | None = None, verdicts: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Each claim of the paper, where it stands, what its numbers can show, our result and a verdict.

    Without `verdicts` a verdict rests on the published numbers alone; our own study may decide what they cannot.

    Args:
        ours: our result in words by claim id, for as many claims as there is one.
        verdicts: by claim id, in place of the verdict on the published numbers: one of VERDICTS, then, if there is more
            to say, a colon and the reason.

    Returns:
        id, claim, stands (confidence, and where it was seen), published, can_show, ours (None without a result),
        verdict.

    Raises:
        ValueError: an id that is no examined claim, or a verdict that does not begin with one of VERDICTS.
    """
    ours, verdicts = dict(ours or {}), dict(verdicts or {})
    examined = _examined()
    for name in (*ours, *verdicts):
        known(name, examined, "claim")
    for name, text in verdicts.items():
        if text.split(":")[0] not in VERDICTS:
            raise ValueError(f"the verdict on {name} must begin with one of {', '.join(VERDICTS)}: {text!r} does not")
    claims = published("claims").set_index("id")
    rows = []
    for name, (shown, can_show, verdict) in examined.items():
        seen = ", ".join(SOURCES[tag] for tag in claims.loc[name, "source"].split())
        rows.append(
            {
                "id": name,
                "claim": claims.loc[name, "claim"],
                "stands": f"{claims.loc[name, 'confidence']} ({seen})",
                "published": shown,
                "can_show": can_show,
                "ours": ours.get(name),
                "verdict": verdicts.get(name, verdict),
            }
        )
    return pd.DataFrame(rows)


def peers_table(ours: pd.DataFrame | None = None) -> pd.DataFrame:
    """The scores of the authors, of the known reproductions and, if given, ours, by backbone and arm.

    Args:
        ours: rows with at least backbone and arm, and any of PEER_COLUMNS; `who` is set to "this study".

    Returns:
        PEER_COLUMNS; the arms are baseline (without attention) and those with it. What the peers ran, and what is
        special about it, is in `published("peers")`: test sets differ, so the rows are no ranking.

    Raises:
        ValueError: `ours` lacks backbone or arm.
    """
    networks = published("networks").assign(who="authors")
    melanoma = class_counts().query("`class` == 'mel'").set_index(PAIR)
    melanoma = melanoma.rename(columns={"correct": "melanoma_correct", "test_images": "melanoma_images"})
    melanoma = melanoma.rename(columns={"recall": "melanoma_recall"}).filter(like="melanoma_")
    parts = [networks.join(melanoma, on=PAIR), published("peer_scores")]
    if ours is not None:
        if missing := [name for name in PAIR if name not in ours]:
            raise ValueError(f"our rows lack the column {missing[0]!r}")
        parts.append(ours.assign(who="this study"))
    table = pd.concat([part.reindex(columns=PEER_COLUMNS) for part in parts if len(part)], ignore_index=True)
    counts = ["test_images", "melanoma_correct", "melanoma_images"]
    table = table.astype(dict.fromkeys(counts, "Int64"))
    return table.sort_values(
        "backbone", key=lambda names: names.map(list(BACKBONES).index), kind="stable", ignore_index=True
    )


def _examined() -> dict[str, tuple[str, str, str]]:
    """By claim id: the published numbers, what they can show, and the verdict on them, each in words."""
    gains = gain_tests().set_index("backbone")
    networks = published("networks").set_index(PAIR)
    claim = published("claims").set_index("id")["value"]
    before, after = networks.loc[(HEADLINE, "baseline")], networks.loc[(HEADLINE, "released")]
    return {
        "title": _on_title(gains, networks),
        **_on_scores(claim, gains.loc[HEADLINE], before, after),
        "precision_gain_external": _on_external_gain(claim),
        "precision_gain": _on_gain(claim, gains.loc[HEADLINE], before, after),
        "recall_absent": _on_recall(before, after),
        "test_images": _on_test_images(),
        **_on_isic2017(claim),
    }


def _on_title(gains: pd.DataFrame, networks: pd.DataFrame) -> tuple[str, str, str]:
    images = gains["images"].iloc[0]
    change = ", ".join(f"{BACKBONES[name].title} {row.gain_images:+d}" for name, row in gains.iterrows())
    signs = sign_test(gains["gain_images"])
    few, many = (_points(smallest_detectable_difference(images, share), 2) for share in (0.04, 0.08))
    fallen = {}
    for metric in ("macro_recall", "weighted_auc"):
        scores = networks[metric].unstack("arm")
        worse = scores.index[scores["released"] < scores["baseline"]]
        fallen[metric] = " and ".join(BACKBONES[name].title for name in gains.index if name in worse)
    return (
        f"Correct images of {images}, with attention against without: {change}.",
        f"As tests on different images the five pairs have p = {', '.join(map(_share, gains['p_independent']))}. "
        f"{signs['wins']} gains and {signs['ties']} tie give p = {_share(signs['p'])} in a sign test; even five gains "
        f"would give {_share(sign_test([1] * 5)['p'], 4)}. If 4 to 8 % of the {images} images are judged differently, "
        f"a paired test finds a difference of {few} to {many} points in four studies of five. Each network was trained "
        "once, ResNet34 with attention not from scratch, and the arms differ in more than attention: in pooling, "
        "dropout or the width of the next layer, depending on the network. Macro recall falls for "
        f"{fallen['macro_recall']}, weighted AUC for {fallen['weighted_auc']}.",
        f"{UNDECIDED}: one training per network, and no independent comparison below .05",
    )


def _on_scores(
    claim: pd.Series, head: pd.Series, before: pd.Series, after: pd.Series
) -> dict[str, tuple[str, str, str]]:
    images, nevi = after["test_images"], _tested_images()["nv"]
    curve = selection_effect().set_index(PAIR).loc[(HEADLINE, "released")]
    peer = published("peer_scores").set_index(["who", "arm"]).loc[("kanhaiyak23", "released")]
    low, high = peer["weighted_precision_low"], peer["weighted_precision_high"]
    splits = split_effect()["accuracy"]
    one_training = f"{SUPPORTED}: as the score of one training on the images that also chose its epoch"
    unseen = "what it is on new images these numbers cannot show"
    return {
        "precision": (
            f"{_share(claim['precision'])}; in the notebook {_share(after['weighted_precision'], 4)} after rounding, "
            "where the paper cuts off.",
            "Only one table of counts fits the rates of the seven classes, and it gives this number: it agrees with "
            f"itself. {nevi} of the {images} images are nevi and carry {100 * nevi / images:.0f} % of the weight. At "
            f"the epoch of least test loss the accuracy is {_share(curve['min_loss_accuracy'], 4)} instead of "
            f"{_share(curve['best_accuracy'], 4)}. An interval needs the single predictions, which are not published; "
            f"a reproduction by others gives {_share(peer['weighted_precision'])} ({_share(low)} to {_share(high)}).",
            f"{one_training}; {unseen}",
        ),
        "accuracy": (
            f"{_share(claim['accuracy'])}; {after['correct']} of {images} images are {_share(after['accuracy'], 4)}.",
            f"95 % interval {_share(head['released_low'])} to {_share(head['released_high'])}; without attention "
            f"{before['correct']} images, {_share(head['baseline_low'])} to {_share(head['baseline_high'])}: the two "
            f"overlap. Always saying nevus gives {nevi} images, {_share(nevi / images)}. With 20 and 30 % tested the "
            f"accuracy is {_share(splits[1], 4)} and {_share(splits[2], 4)}.",
            f"{one_training}; {unseen}",
        ),
        "auc": (
            f"{_share(claim['auc'])} against {_share(claim['auc_baseline'])} without attention; in the notebooks "
            f"{_share(after['weighted_auc'], 4)} against {_share(before['weighted_auc'], 4)}.",
            f"The notebooks differ by {_points(after['weighted_auc'] - before['weighted_auc'], 2)} points. An interval "
            "needs the predicted probabilities, which are not published.",
            f"{one_training}; a gain over the network without attention is not visible in it",
        ),
    }


def _on_external_gain(claim: pd.Series) -> tuple[str, str, str]:
    own = claim["precision_baseline"] - claim["precision_external"]
    return (
        f"{_share(claim['precision'])} against {_share(claim['precision_external'])}.",
        "The other network is another paper's; on which images and after which training it was measured is not known "
        f"here. The paper's own network without attention already has {_share(claim['precision_baseline'])}, so "
        f"{_points(own)} of the {_points(claim['precision_gain_external'])} points come without attention.",
        f"{UNCHECKABLE}: two papers, two networks, and test images that are not known to be the same",
    )


def _on_gain(claim: pd.Series, head: pd.Series, before: pd.Series, after: pd.Series) -> tuple[str, str, str]:
    counts = class_counts().query("backbone == @HEADLINE").set_index(["class", "arm"])["correct"].unstack()
    change = counts["released"] - counts["baseline"]
    most = change.idxmax()
    gaps = selection_gaps()["gap"]
    scatter = selection_effect().set_index(PAIR).loc[HEADLINE]["last30_sd"]
    second = split_effect().iloc[1]
    peer = published("peer_scores").query("who == 'kanhaiyak23'").set_index("arm")["weighted_precision"]
    return (
        f"{_share(claim['precision'])} against {_share(claim['precision_baseline'])}; in the notebooks "
        f"{_share(after['weighted_precision'], 4)} against {_share(before['weighted_precision'], 4)}, "
        f"{after['correct']} against {before['correct']} correct images.",
        f"Tested on different images, {head['gain_images']} images more have p = {_share(head['p_independent'])}. "
        "Tested on the same images, which is not known, the counts by class allow p from "
        f"{_share(head['p_fewest'])} ({head['fewest_discordant']} images judged differently, the fewest possible) to "
        f"{_share(head['p_unrelated'])} ({head['unrelated_discordant']}, if errors within a class are unrelated), "
        f"before any correction for five pairs. One class makes the gain: {change[most]:+d} of "
        f"{_tested_images()[most]} {most}, all others together {change.sum() - change[most]:+d}. The accuracy gains "
        f"{_points(gaps[0])} points at the epochs of highest test accuracy, {_points(gaps[1])} at those of least test "
        f"loss and {_points(gaps[2])} in the mean of the last 30 epochs, over which it scatters by "
        f"{_points(scatter['released'])} points with and {_points(scatter['baseline'])} without attention (standard "
        f"deviation). With {_points(second['train_lost'], 0)} % fewer training images and other test images, the "
        f"network with attention has {_share(second['accuracy'], 4)}, {_points(second['over_baseline'])} points above "
        f"the one without. A reproduction by others gains {_points(peer['released'] - peer['baseline'])} points of "
        "weighted precision.",
        f"{UNDECIDED}: one training per arm, whose epochs scatter at least as much as the gain",
    )


def _on_recall(before: pd.Series, after: pd.Series) -> tuple[str, str, str]:
    rates = rate_granularity().query("backbone == @HEADLINE").set_index(["class", "arm"])
    without, attended = rates.loc[("mel", "baseline")], rates.loc[("mel", "released")]
    rare = rates.loc[("df", "released")]
    return (
        f"None in the paper; in the notebooks macro recall {_share(before['macro_recall'], 4)} without and "
        f"{_share(after['macro_recall'], 4)} with attention, melanomas found {without['correct']} and "
        f"{attended['correct']} of {attended['test_images']}.",
        f"Melanoma recall without attention {_share(without['recall_low'])} to {_share(without['recall_high'])}, with "
        f"it {_share(attended['recall_low'])} to {_share(attended['recall_high'])} (95 %). One of the "
        f"{rare['test_images']} dermatofibromas moves the recall of its class by {rare['recall_points']:.1f} points "
        f"and the macro recall by {rare['macro_recall_points']:.1f}.",
        f"{UNDECIDED}: too few images of the rare classes",
    )


def _on_test_images() -> tuple[str, str, str]:
    tested = _tested_images()
    pool = published("classes").query("subset == 'single_image'")["images"].sum()
    return (
        f"{tested.sum()}: {', '.join(f'{name} {count}' for name, count in tested.items())}.",
        f"A stratified 15 % of the {pool:,} lesions with one image gives these counts in every draw. Which images they "
        "were is not known: the split has no seed.",
        f"{SUPPORTED}: the released rule gives this number, class by class",
    )


def _on_isic2017(claim: pd.Series) -> dict[str, tuple[str, str, str]]:
    value, baseline = claim["isic2017_sensitivity"], claim["isic2017_baseline"]
    sizes = published("isic2017").set_index("class")["test_images"]
    keratoses, melanomas = sizes["seborrheic_keratosis"], sizes["melanoma"]
    check = sensitivity_check(value).set_index("images")
    near = {images: f"{check.loc[images, 'below']}, {check.loc[images, 'above']}" for images in (keratoses, melanomas)}
    possible = "; ".join(_can_be(row) for row in check.itertuples() if row.rounded or row.cut_off)
    mean = averages_check(value).iloc[0]
    own = sensitivity_check(baseline).set_index("images").loc[keratoses, "rounded"]
    external = published("isic2017_external").query("sensitivity == @baseline")["network"].iloc[0]
    return {
        "isic2017_sensitivity": (
            f"{_share(value)}; for which task is stated in no source at hand.",
            f"No number of the {keratoses} seborrheic keratoses ({near[keratoses]}) and none of the {melanomas} "
            f"melanomas ({near[melanomas]}) in the official test set gives it, rounded or cut off; mlscorecheck "
            f"agrees. Possible are {possible}. A mean of several scores or other test images may give it too: "
            f"{mean['rounded']} of the {mean['combinations']:,} pairs of counts have means of the two sensitivities "
            "that round to it.",
            f"{UNCHECKABLE}: no code is released and the task is not stated; but the sensitivity for seborrheic "
            "keratosis or for melanoma, of one evaluation on the official test images, it is not",
        ),
        "isic2017_gain": (
            f"{_share(value)} against {_share(baseline)}.",
            f"{_share(baseline)} can be {own} seborrheic keratoses, and {external} has this sensitivity for them. That "
            "the paper compares with this network is likely, not proven. If it does, the first number should be a "
            f"share of these {keratoses} images too, and none of their counts gives it.",
            f"{UNCHECKABLE}: it is not known that both numbers measure the same thing on the same images",
        ),
    }


def _tested_images() -> pd.Series:
    """Images of each class among the 828 of the 15 % split."""
    tested = published("classes").query("subset == 'test' and test_share == 0.15")
    return tested.set_index("class")["images"]


def _can_be(row) -> str:
    how = "rounded or cut off" if row.rounded and row.cut_off else "rounded" if row.rounded else "cut off"
    return f"{row.rounded or row.cut_off} ({row.reading}, {how})"


def _share(value: float, decimals: int = 3) -> str:
    """A share as text, without the zero before the point."""
    return f"{value:.{decimals}f}".removeprefix("0")


def _points(share: float, decimals: int = 1) -> str:
    """A share in points, of 100."""
    return f"{100 * share:.{decimals}f}"
