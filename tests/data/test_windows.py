"""Windows of images in which the lesion lies anywhere."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from soft_attention.data.images import open_images, open_masks
from soft_attention.data.windows import off_centre
from soft_attention.errors import StudyError


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Forty pictures that are their own masks: a white square in the middle of a black frame, 80 x 60."""
    folder = tmp_path_factory.mktemp("pictures")
    picture = np.zeros((60, 80), np.uint8)
    picture[25:35, 35:45] = 255
    rows = []
    for number in range(40):
        file = folder / f"{number}.png"
        Image.fromarray(picture).save(file)
        rows.append({"image_id": f"I{number}", "image_path": str(file), "mask_path": str(file)})
    return pd.DataFrame(rows)


def test_without_a_share_the_table_stays_as_it_is(table, tmp_path):
    assert off_centre(table, None, tmp_path) is table


def test_a_window_has_its_share_and_holds_the_middle_of_the_lesion(table, tmp_path):
    windows = np.array(list(off_centre(table, 0.5, tmp_path)["window"]))
    np.testing.assert_allclose(windows[:, 2:] - windows[:, :2], 0.5)
    assert (windows[:, :2] <= 0.5).all() and (windows[:, 2:] >= 0.5).all()
    assert (windows >= 0).all() and (windows <= 1).all()
    assert windows[:, 0].std() > 0.1 and windows[:, 1].std() > 0.1  # anywhere


def test_the_window_hangs_on_the_identifier_alone(table, tmp_path):
    shuffled = off_centre(table.sample(frac=1, random_state=1), 0.5, tmp_path).sort_index()
    assert list(shuffled["window"]) == list(off_centre(table, 0.5, tmp_path)["window"])


def test_a_picture_and_its_mask_are_cut_alike(table, tmp_path):
    windows = off_centre(table, 0.5, tmp_path)
    images, masks = open_images(windows, 40, tmp_path), open_masks(windows, 40, tmp_path)
    np.testing.assert_array_equal(images[..., 0] > 127, masks == 1)
    assert len({mask.tobytes() for mask in masks}) > 20
    whole = open_images(table, 40, tmp_path)
    assert not np.array_equal(whole, images)


def test_an_image_without_a_lesion_is_named(table, tmp_path):
    table.loc[3, "mask_path"] = None
    with pytest.raises(StudyError, match=r"1 images have no mask with a lesion in it \(I3"):
        off_centre(table, 0.5, tmp_path)
