"""Run folders with made-up predictions."""

import pandas as pd
import pytest

from soft_attention import files
from soft_attention.study.folder import predictions_file


@pytest.fixture
def keep_runs(tmp_path):
    """Keep tables of predictions as run folders: {(arm, seed): table} -> the table of these runs."""

    def keep(tables, classes, **facts):
        rows = []
        for (arm, seed), table in tables.items():
            folder = tmp_path / arm / str(seed)
            folder.mkdir(parents=True)
            files.write_table(folder / predictions_file(), table)
            place = {"backbone": "mobilenet", "arm": arm, "seed": seed, "fold": 0, "planned_folds": 1, "folder": folder}
            rows.append(place | {"classes": list(classes)} | facts)
        return pd.DataFrame(rows)

    return keep
