"""A generated data set: drawn lesions with exact masks, several views of one lesion, and a known telling cue.

A stranger can run the whole study on it without any real data, and it has known answers: a structure at a
known place tells the class, and views of one lesion on both sides of a split are a leak.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from soft_attention.data.synthetic.drawing import Picture, draw_lesion
from soft_attention.data.synthetic.lesions import RECIPES
from soft_attention.errors import StudyError, known
from soft_attention.files import atomic

GENERATOR = 1  # raise it when lesions are drawn differently: images of an older generator are then refused
DRAWN_AS = {"melanoma": "mel", "nevus": "nv", "seborrheic_keratosis": "bkl"}
VIEWS = np.array([5514, 1423, 490, 34, 5, 4])  # lesions of HAM10000 with 1, 2, ... 6 images


def generate(
    folder: Path | str,
    classes: Mapping[str, float],
    lesions: int = 500,
    seed: int = 0,
    *,
    size: tuple[int, int] = (150, 200),
    centre_bias: float = 0.6,
    floor: int = 12,
) -> pd.DataFrame:
    """Write a data set into a folder, or read it if it is already there.

    A lesion depends on the seed, its class and its number within the class, and on nothing else: it looks the
    same in a larger data set.

    Args:
        folder: gets `images/` (JPEG), `masks/` and `cues/` (1-bit PNG) and, when all are there, `table.csv`.
        classes: class names and how common they are, in any unit, e.g. `HAM10000.class_counts`.
        lesions: number of lesions; there are about a third more images, as in HAM10000.
        seed: fixes everything.
        size: height and width of the images in pixels.
        centre_bias: 1 puts every lesion in the middle of the image, 0 anywhere.
        floor: the fewest lesions of a class.

    Returns:
        One row per image: image_id, label, lesion_id, number (of the lesion in its class), view, the
        settings, skin_tone (Fitzpatrick type), image_path, mask_path, and cue_path (a mask of the place
        where the structure was drawn that tells the class).

    Raises:
        ValueError: for an unknown class, or too few lesions for the floor.
        StudyError: if the folder holds a data set with other settings.
    """
    folder = Path(folder)
    plan = plan_images(classes, lesions, seed, floor)
    plan = plan.assign(generator=GENERATOR, seed=seed, height=size[0], width=size[1], centre_bias=float(centre_bias))
    if not (folder / "table.csv").exists():
        draw_all(folder, plan, seed, size, centre_bias)
    try:
        table = pd.read_csv(folder / "table.csv")
    except ValueError as error:
        raise StudyError(f"{folder / 'table.csv'} is damaged ({error}): delete {folder}") from error
    if not table.reindex(columns=plan.columns).equals(plan):
        raise StudyError(f"{folder} holds images made with other settings or by an older generator: delete it")
    paths = ["image_path", "mask_path", "cue_path"]
    table[paths] = table[paths].map(lambda path: str(folder / path))
    return table


def plan_images(classes: Mapping[str, float], lesions: int, seed: int, floor: int) -> pd.DataFrame:
    """One row per image to draw; how many images a lesion has is drawn as in HAM10000."""
    rows = []
    for label, count in count_lesions(classes, lesions, floor).items():
        for number in range(count):
            rng = np.random.default_rng(lesion_seed(seed, label, number))
            views = 1 + rng.choice(VIEWS.size, p=VIEWS / VIEWS.sum())
            rows += [(label, number, view) for view in range(views)]
    plan = pd.DataFrame(rows, columns=["label", "number", "view"])
    plan["lesion_id"] = plan.label + "-" + plan.number.astype(str).str.zfill(5)
    plan["image_id"] = plan.lesion_id + "-" + plan["view"].astype(str)
    return plan[["image_id", "label", "lesion_id", "number", "view"]]


def count_lesions(classes: Mapping[str, float], lesions: int, floor: int) -> dict[str, int]:
    """Lesions per class: in proportion, but at least `floor`; the commonest class takes the rest."""
    for label in classes:
        known(label, [*RECIPES, *DRAWN_AS], "class to draw")
    total, commonest = sum(classes.values()), max(classes, key=classes.get)
    counts = {label: max(floor, int(lesions * share / total)) for label, share in classes.items()}
    counts[commonest] += lesions - sum(counts.values())
    if counts[commonest] < floor:
        raise ValueError(
            f"{lesions} lesions are too few for {len(classes)} classes of at least {floor}: "
            "ask for more lesions or lower the floor"
        )
    return counts


def lesion_seed(seed: int, label: str, number: int) -> list[int]:
    """Seed of the n-th lesion of a class, whatever else is drawn."""
    return [seed, list(RECIPES).index(DRAWN_AS.get(label, label)), number]


def draw_all(folder: Path, plan: pd.DataFrame, seed: int, size: tuple[int, int], centre_bias: float) -> None:
    """Draw and write every image of the plan, then the table, whose presence says that all is there."""
    table = plan.assign(
        image_path="images/" + plan.image_id + ".jpg",
        mask_path="masks/" + plan.image_id + ".png",
        cue_path="cues/" + plan.image_id + ".png",
    )
    tones = []
    for row in tqdm(table.itertuples(), total=len(table), desc="Drawing lesions", unit="image"):
        label = DRAWN_AS.get(row.label, row.label)
        picture = draw_lesion(label, lesion_seed(seed, label, row.number), row.view, size, centre_bias)
        write_picture(folder, row, picture)
        tones.append(picture.skin_tone)
    with atomic(folder / "table.csv") as path:
        table.assign(skin_tone=tones).to_csv(path, index=False)


def write_picture(folder: Path, row, picture: Picture) -> None:
    """Write an image, its mask and its cue; each appears whole, even if another process draws the same."""
    with atomic(folder / row.image_path) as path:
        Image.fromarray(picture.image).save(path, quality=92)
    with atomic(folder / row.mask_path) as path:
        Image.fromarray(picture.mask).save(path)
    with atomic(folder / row.cue_path) as path:
        Image.fromarray(picture.cue).save(path)
