"""The published numbers: the only reader of `params/published/`."""

import pandas as pd

from soft_attention import paths
from soft_attention.errors import known

NETWORK = ["backbone", "arm"]  # what names a published network in every table that has one


def published(name: str) -> pd.DataFrame:
    """A table of `params/published/`, as it stands there: its header says what the columns are.

    Tables: `claims`, `networks`, `per_class`, `splits`, `curves`, `recipe`, `classes`, `isic2017`, `isic2017_external`,
    `peers`, `peer_scores`, `unit`. Each row has a source and a confidence.

    Raises:
        ValueError: there is no such table; the message names those that there are.
    """
    folder = paths.PARAMS / "published"
    known(name, sorted(file.stem for file in folder.glob("*.csv")), "published table")
    return pd.read_csv(folder / f"{name}.csv", comment="#")
