"""What the published networks gained by attention, and how much of it depends on the epoch and the split chosen."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import binom, fisher_exact
from statsmodels.stats.proportion import proportions_ztest

from soft_attention.claims.rates import class_counts
from soft_attention.evaluation.paired_tests import mcnemar_midp, wilson
from soft_attention.published import NETWORK, published

HEADLINE = "inception_resnet_v2"
SAME_IMAGES = ("fewest_discordant", "p_fewest", "unrelated_discordant", "p_unrelated")  # columns of `gain_tests`


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
    counts = class_counts().set_index(NETWORK)
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


def class_changes() -> pd.DataFrame:
    """InceptionResNetV2's correct images of each class without and with attention.

    Returns:
        class, images, baseline, released, change (images).
    """
    counts = class_counts().query("backbone == @HEADLINE")
    table = counts.pivot(index="class", columns="arm", values="correct")
    table.insert(0, "images", counts.groupby("class")["test_images"].first())
    return table.assign(change=table["released"] - table["baseline"]).rename_axis(columns=None).reset_index()


def score_changes() -> pd.DataFrame:
    """What each published score changes by with attention, as a share: backbone, then a column for each score."""
    table = published("networks").set_index(NETWORK)
    scores = table[["accuracy", "weighted_precision", "macro_recall", "weighted_auc"]]
    change = scores.xs("released", level="arm") - scores.xs("baseline", level="arm")
    return change.loc[table.index.unique("backbone")].reset_index()


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
        "p_fewest": mcnemar_midp(won, lost),
        "unrelated_discordant": unrelated_won + unrelated_lost,
        "p_unrelated": mcnemar_midp(unrelated_won, unrelated_lost),
    }


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
        missing), correct, accuracy, accuracy_low and _high (95 % Wilson interval), difference (accuracy minus that at
        15 %), p_independent, p_fisher (of that difference), over_baseline (accuracy minus that of the network without
        attention at 15 %), melanoma_images, melanoma_correct, melanoma_recall.
    """
    table = published("splits")
    table["correct"] = (table["accuracy"] * table["test_images"]).round().astype(int)
    table["accuracy_low"], table["accuracy_high"] = wilson(table["correct"], table["test_images"])
    first = table.iloc[0]
    table["train_lost"] = 1 - table["train_images"] / first["train_images"]
    table["difference"] = table["accuracy"] - first["accuracy"]
    tests = [
        independent_tests(first["correct"], first["test_images"], row.correct, row.test_images)
        for row in table.itertuples()
    ]
    table = table.join(pd.DataFrame(tests))
    networks = published("networks").set_index(NETWORK)
    table["over_baseline"] = table["accuracy"] - networks.loc[(HEADLINE, "baseline"), "accuracy"]
    melanoma = published("classes").query("subset == 'test' and `class` == 'mel'").set_index("test_share")["images"]
    table["melanoma_images"] = table["test_share"].map(melanoma)
    table["melanoma_correct"] = (table["melanoma_recall"] * table["melanoma_images"]).round().astype(int)
    names = [
        "test_share",
        "test_images",
        "train_images",
        "train_lost",
        "correct",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
    ]
    names += ["difference", "p_independent", "p_fisher", "over_baseline"]
    return table[[*names, "melanoma_images", "melanoma_correct", "melanoma_recall"]]
