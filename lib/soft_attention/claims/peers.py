"""The known reproductions of the paper beside the authors and, if there is one, a study of ours."""

import pandas as pd

from soft_attention.claims.rates import class_counts
from soft_attention.published import NETWORK, published
from soft_attention.vocabulary import BACKBONES

PEER_COLUMNS = (
    *("who", "backbone", "arm", "test_images", "accuracy", "weighted_precision", "macro_recall", "weighted_auc"),
    *("melanoma_correct", "melanoma_images", "melanoma_recall", "confidence"),
)


def peers_table(ours: pd.DataFrame | None = None) -> pd.DataFrame:
    """The scores of the authors, of the known reproductions and, if given, ours, by backbone and arm.

    Args:
        ours: rows with any of PEER_COLUMNS, at least who, backbone and arm (`own.own_scores`).

    Returns:
        PEER_COLUMNS; the arms are baseline (without attention) and those with it. What the peers ran, and what is
        special about it, is in `published("peers")`: test sets differ, so the rows are no ranking.

    Raises:
        ValueError: `ours` lacks who, backbone or arm.
    """
    networks = published("networks").assign(who="authors")
    melanoma = class_counts().query("`class` == 'mel'").set_index(NETWORK)
    melanoma = melanoma.rename(columns={"correct": "melanoma_correct", "test_images": "melanoma_images"})
    melanoma = melanoma.rename(columns={"recall": "melanoma_recall"}).filter(like="melanoma_")
    parts = [networks.join(melanoma, on=NETWORK), published("peer_scores")]
    if ours is not None:
        if missing := [name for name in ("who", *NETWORK) if name not in ours]:
            raise ValueError(f"our rows lack the column {missing[0]!r}")
        parts.append(ours)
    table = pd.concat([part.reindex(columns=PEER_COLUMNS) for part in parts if len(part)], ignore_index=True)
    counts = ["test_images", "melanoma_correct", "melanoma_images"]
    table = table.astype(dict.fromkeys(counts, "Int64"))
    return table.sort_values(
        "backbone", key=lambda names: names.map(list(BACKBONES).index), kind="stable", ignore_index=True
    )
