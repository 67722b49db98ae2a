"""The verdict on each claim of the paper, from its published numbers alone; `05_claims` shows what they rest on."""

import pandas as pd

from soft_attention.published import published

SUPPORTED, UNDECIDED, UNCHECKABLE = "supported", "undecided", "cannot be checked"
ONE_TRAINING = "as the score of one training on the images that also chose its epoch"
VERDICTS = {
    "title": (UNDECIDED, "one training per network, and no independent comparison below 0.05"),
    "precision": (SUPPORTED, f"{ONE_TRAINING}; what it is on new images these numbers cannot show"),
    "accuracy": (SUPPORTED, f"{ONE_TRAINING}; what it is on new images these numbers cannot show"),
    "auc": (SUPPORTED, f"{ONE_TRAINING}; a gain over the network without attention is not visible in it"),
    "precision_gain_external": (
        UNCHECKABLE,
        "two papers, two networks, and test images that are not known to be the same",
    ),
    "precision_gain": (UNDECIDED, "one training per arm, whose epochs scatter at least as much as the gain"),
    "recall_absent": (
        UNCHECKABLE,
        "the paper's tables could not be opened; in the notebooks' recalls, too few images of the rare classes decide",
    ),
    "test_images": (SUPPORTED, "the released rule gives this number, class by class"),
    "isic2017_sensitivity": (
        UNCHECKABLE,
        "no code is released and the task is not stated; but the sensitivity for seborrheic keratosis or for melanoma, "
        "of one evaluation on the official test images, it is not",
    ),
    "isic2017_gain": (UNCHECKABLE, "it is not known that both numbers measure the same thing on the same images"),
}
SOURCES = {
    "ABS": "title and abstract",
    "PK": "quoted by a reproduction",
    "EV": "quoted by a literature audit",
    "NB": "the authors' notebooks",
}


def examined_claims() -> pd.DataFrame:
    """Each claim of the paper with a verdict that rests on the published numbers alone.

    Our results (`own.own_results`) are made with other networks, images or fewer epochs and change no verdict.

    Returns:
        id, claim, value (as claimed), stands (confidence, and where it was seen), verdict, because.
    """
    claims = published("claims").set_index("id")
    rows = []
    for name, (verdict, because) in VERDICTS.items():
        claim = claims.loc[name]
        seen = ", ".join(SOURCES[tag] for tag in claim["source"].split())
        facts = {
            "id": name,
            "claim": claim["claim"],
            "value": claim["value"],
            "stands": f"{claim['confidence']} ({seen})",
        }
        rows.append(facts | {"verdict": verdict, "because": because})
    return pd.DataFrame(rows)
