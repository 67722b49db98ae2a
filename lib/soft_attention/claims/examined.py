"""Each claim of the paper, examined: what the published numbers can show, and what they cannot.

Everything here is computed from the tables in `params/published/`, which name source and confidence of each number; no
run of ours is needed. The paper's own tables could not be opened: most numbers are outputs of the authors' notebooks.
"""

from collections.abc import Mapping

import pandas as pd

from soft_attention.claims.gains import HEADLINE, gain_tests, selection_effect, selection_gaps, sign_test, split_effect
from soft_attention.claims.rates import class_counts, rate_granularity
from soft_attention.claims.sensitivity import averages_check, sensitivity_check
from soft_attention.claims.wording import points, share
from soft_attention.errors import known
from soft_attention.evaluation.paired_tests import smallest_detectable_difference
from soft_attention.evaluation.verdict import EQUIVALENT, NOT_SUPPORTED, SUPPORTED, UNDECIDED
from soft_attention.published import NETWORK, published
from soft_attention.vocabulary import BACKBONES

UNCHECKABLE = "cannot be checked"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, EQUIVALENT, UNDECIDED, UNCHECKABLE)
SOURCES = {
    "ABS": "title and abstract",
    "PK": "quoted by a reproduction",
    "EV": "quoted by a literature audit",
    "NB": "the authors' notebooks",
}


def examined_claims(ours: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Each claim of the paper, where it stands, what its numbers can show, our result, and a verdict on the claim.

    The verdict rests on the published numbers alone. Ours are made with other networks, images or fewer epochs and
    stand beside it with a verdict of their own.

    Args:
        ours: our result in words by claim id, for as many claims as there is one (`own.own_results`).

    Returns:
        id, claim, stands (confidence, and where it was seen), published, can_show, verdict, ours (empty without one).

    Raises:
        ValueError: an id that is no examined claim.
    """
    ours, examined = ours or {}, _examined()
    for name in ours:
        known(name, examined, "claim")
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
                "verdict": verdict,
                "ours": ours.get(name, ""),
            }
        )
    return pd.DataFrame(rows)


def _examined() -> dict[str, tuple[str, str, str]]:
    """By claim id: the published numbers, what they can show, and the verdict on them, each in words."""
    gains = gain_tests().set_index("backbone")
    networks = published("networks").set_index(NETWORK)
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
    few, many = (points(smallest_detectable_difference(images, share), 2) for share in (0.04, 0.08))
    fallen = {}
    for metric in ("macro_recall", "weighted_auc"):
        scores = networks[metric].unstack("arm")
        worse = scores.index[scores["released"] < scores["baseline"]]
        fallen[metric] = " and ".join(BACKBONES[name].title for name in gains.index if name in worse)
    return (
        f"Correct images of {images}, with attention against without: {change}.",
        f"As tests on different images the five pairs have p = {', '.join(map(share, gains['p_independent']))}. "
        f"{signs['wins']} gains and {signs['ties']} tie give p = {share(signs['p'])} in a sign test; even five gains "
        f"would give {share(sign_test([1] * 5)['p'], 4)}. If 4 to 8 % of the {images} images are judged differently, "
        f"a paired test has a power of 80 % for differences of {few} to {many} points or more. Each network was "
        "trained once, ResNet34 with attention not from scratch, and the arms differ in more than attention: in "
        "pooling, dropout or the width of the next layer, depending on the network. Macro recall falls for "
        f"{fallen['macro_recall']}, weighted AUC for {fallen['weighted_auc']}.",
        f"{UNDECIDED}: one training per network, and no independent comparison below .05",
    )


def _on_scores(
    claim: pd.Series, head: pd.Series, before: pd.Series, after: pd.Series
) -> dict[str, tuple[str, str, str]]:
    images, nevi = after["test_images"], _tested_images()["nv"]
    curve = selection_effect().set_index(NETWORK).loc[(HEADLINE, "released")]
    peer = published("peer_scores").set_index(["who", "arm"]).loc[("kanhaiyak23", "released")]
    low, high = peer["weighted_precision_low"], peer["weighted_precision_high"]
    splits = split_effect()["accuracy"]
    one_training = f"{SUPPORTED}: as the score of one training on the images that also chose its epoch"
    unseen = "what it is on new images these numbers cannot show"
    return {
        "precision": (
            f"{share(claim['precision'])}; in the notebook {share(after['weighted_precision'], 4)} after rounding, "
            "where the paper cuts off.",
            "Only one table of counts fits the rates of the seven classes, and it gives this number: it agrees with "
            f"itself. {nevi} of the {images} images are nevi and carry {100 * nevi / images:.0f} % of the weight. At "
            f"the epoch of least test loss the accuracy is {share(curve['min_loss_accuracy'], 4)} instead of "
            f"{share(curve['best_accuracy'], 4)}. An interval needs the single predictions, which are not published; "
            f"a reproduction by others gives {share(peer['weighted_precision'])} ({share(low)} to {share(high)}).",
            f"{one_training}; {unseen}",
        ),
        "accuracy": (
            f"{share(claim['accuracy'])}; {after['correct']} of {images} images are {share(after['accuracy'], 4)}.",
            f"95 % interval {share(head['released_low'])} to {share(head['released_high'])}; without attention "
            f"{before['correct']} images, {share(head['baseline_low'])} to {share(head['baseline_high'])}: the two "
            f"overlap. Always saying nevus gives {nevi} images, {share(nevi / images)}. With 20 and 30 % tested the "
            f"accuracy is {share(splits[1], 4)} and {share(splits[2], 4)}.",
            f"{one_training}; {unseen}",
        ),
        "auc": (
            f"{share(claim['auc'])} against {share(claim['auc_baseline'])} without attention; in the notebooks "
            f"{share(after['weighted_auc'], 4)} against {share(before['weighted_auc'], 4)}.",
            f"The notebooks differ by {points(after['weighted_auc'] - before['weighted_auc'], 2)} points. An interval "
            "needs the predicted probabilities, which are not published.",
            f"{one_training}; a gain over the network without attention is not visible in it",
        ),
    }


def _on_external_gain(claim: pd.Series) -> tuple[str, str, str]:
    own = claim["precision_baseline"] - claim["precision_external"]
    return (
        f"{share(claim['precision'])} against {share(claim['precision_external'])}.",
        "The other network is another paper's; on which images and after which training it was measured is not known "
        f"here. The paper's own network without attention already has {share(claim['precision_baseline'])}, so "
        f"{points(own)} of the {points(claim['precision_gain_external'])} points come without attention.",
        f"{UNCHECKABLE}: two papers, two networks, and test images that are not known to be the same",
    )


def _on_gain(claim: pd.Series, head: pd.Series, before: pd.Series, after: pd.Series) -> tuple[str, str, str]:
    counts = class_counts().query("backbone == @HEADLINE").set_index(["class", "arm"])["correct"].unstack()
    change = counts["released"] - counts["baseline"]
    most = change.idxmax()
    gaps = selection_gaps()["gap"]
    scatter = selection_effect().set_index(NETWORK).loc[HEADLINE]["last30_sd"]
    second = split_effect().iloc[1]
    peer = published("peer_scores").query("who == 'kanhaiyak23'").set_index("arm")["weighted_precision"]
    return (
        f"{share(claim['precision'])} against {share(claim['precision_baseline'])}; in the notebooks "
        f"{share(after['weighted_precision'], 4)} against {share(before['weighted_precision'], 4)}, "
        f"{after['correct']} against {before['correct']} correct images.",
        f"Tested on different images, {head['gain_images']} images more have p = {share(head['p_independent'])}. "
        "Tested on the same images, which is not known, the counts by class allow p from "
        f"{share(head['p_fewest'])} ({head['fewest_discordant']} images judged differently, the fewest possible) to "
        f"{share(head['p_unrelated'])} ({head['unrelated_discordant']}, if errors within a class are unrelated), "
        f"before any correction for five pairs. One class makes the gain: {change[most]:+d} of "
        f"{_tested_images()[most]} {most}, all others together {change.sum() - change[most]:+d}. The accuracy gains "
        f"{points(gaps[0])} points at the epochs of highest test accuracy, {points(gaps[1])} at those of least test "
        f"loss and {points(gaps[2])} in the mean of the last 30 epochs, over which it scatters by "
        f"{points(scatter['released'])} points with and {points(scatter['baseline'])} without attention (standard "
        f"deviation). With {points(second['train_lost'], 0)} % fewer training images and other test images, the "
        f"network with attention has {share(second['accuracy'], 4)}, {points(second['over_baseline'])} points above "
        f"the one without. A reproduction by others gains {points(peer['released'] - peer['baseline'])} points of "
        "weighted precision.",
        f"{UNDECIDED}: one training per arm, whose epochs scatter at least as much as the gain",
    )


def _on_recall(before: pd.Series, after: pd.Series) -> tuple[str, str, str]:
    rates = rate_granularity().query("backbone == @HEADLINE").set_index(["class", "arm"])
    without, attended = rates.loc[("mel", "baseline")], rates.loc[("mel", "released")]
    rare = rates.loc[("df", "released")]
    return (
        "None in the paper, as a reproduction says; in the notebooks macro recall "
        f"{share(before['macro_recall'], 4)} without and {share(after['macro_recall'], 4)} with attention, melanomas "
        f"found {without['correct']} and {attended['correct']} of {attended['test_images']}.",
        f"Melanoma recall without attention {share(without['recall_low'])} to {share(without['recall_high'])}, with "
        f"it {share(attended['recall_low'])} to {share(attended['recall_high'])} (95 %). One of the "
        f"{rare['test_images']} dermatofibromas moves the recall of its class by {rare['recall_points']:.1f} points "
        f"and the macro recall by {rare['macro_recall_points']:.1f}.",
        f"{UNCHECKABLE}: the paper's tables could not be opened; in the notebooks' recalls, too few images of the rare "
        "classes decide",
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
            f"{share(value)}; for which task is stated in no source at hand.",
            f"No number of the {keratoses} seborrheic keratoses ({near[keratoses]}) and none of the {melanomas} "
            f"melanomas ({near[melanomas]}) in the official test set gives it, rounded or cut off; mlscorecheck "
            f"agrees. Possible are {possible}. A mean of several scores or other test images may give it too: "
            f"{mean['rounded']} of the {mean['combinations']:,} pairs of counts have means of the two sensitivities "
            "that round to it.",
            f"{UNCHECKABLE}: no code is released and the task is not stated; but the sensitivity for seborrheic "
            "keratosis or for melanoma, of one evaluation on the official test images, it is not",
        ),
        "isic2017_gain": (
            f"{share(value)} against {share(baseline)}.",
            f"{share(baseline)} can be {own} seborrheic keratoses, and {external} has this sensitivity for them. That "
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
