"""What a study would run, how long that took the authors on their GPU, and whether a folder has its images."""

import math

import pandas as pd

from soft_attention.data.catalog import CATALOG
from soft_attention.data.fetch.check import check
from soft_attention.published import published
from soft_attention.study.config import Run, Study


def plan_table(study: Study) -> pd.DataFrame:
    """One row per run: run, finished, epochs (at most), and hours: at most, and to the authors' last epoch.

    The hours are the authors' seconds per epoch on a GPU of Google Colab (`params/published/recipe.csv`), by the steps
    of the run; missing for a run that is not their recipe at their image size.
    """
    recipe, last = published("recipe").set_index("backbone"), published("curves").set_index(["backbone", "arm"])
    return pd.DataFrame([_row(run, recipe, last["last_epoch"]) for run in study.runs()])


def plan_text(study: Study) -> str:
    """The plan for the terminal, with the sum of the hours."""
    table = plan_table(study)
    hours = table["hours_at_most"]
    text = table.assign(finished=table["finished"].map({True: "yes", False: "no"})).to_string(
        index=False, float_format="{:.1f}".format, na_rep="-"
    )
    if hours.notna().any():
        text += f"\nat most {hours.sum():.0f} GPU hours at the authors' seconds per epoch (a GPU of Google Colab)"
    return text


def images_in(study: Study, folder: str) -> tuple[bool, str]:
    """Whether a folder will do for all public data sets of a study, and what to say of each; nothing is unpacked."""
    found = [check(folder, name) for name in _public(study)]
    return all(will_do for will_do, _ in found), "\n".join(said for _, said in found)


def _public(study: Study) -> list[str]:
    """The public data sets that a study reads, outside test sets too."""
    names: dict[str, None] = {}
    for run in study.runs():
        info = CATALOG.get(run.dataset)
        if info and info.files:
            names[info.name] = None
            if info.external and (run.external_test or run.protocol == "official"):
                names[info.external] = None
    return list(names)


def _row(run: Run, recipe: pd.DataFrame, last: pd.Series) -> dict:
    row = {"run": run.id, "finished": (run.folder / "metrics.json").exists(), "epochs": run.epochs}
    known = run.backbone in recipe.index and run.protocol == "authors" and run.steps_per_epoch and not run.frozen
    if not known or run.size != recipe.loc[run.backbone, "image_size"]:
        return row | {"hours_at_most": math.nan, "hours_to_authors_last": math.nan}
    facts = recipe.loc[run.backbone]
    epoch = facts["seconds_per_epoch"] * run.steps_per_epoch / facts["steps_per_epoch"] / 3600
    return row | {
        "hours_at_most": epoch * run.epochs,
        "hours_to_authors_last": epoch * last.get((run.backbone, run.arm), math.nan),
    }
