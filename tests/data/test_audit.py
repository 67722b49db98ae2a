"""A split that somebody else made is told by class what it has on two sides."""

import numpy as np
import pytest
from PIL import Image

from soft_attention.data.audit import audit_given, main
from soft_attention.data.datasets import load_dataset
from soft_attention.data.splits import audit_split, make_split
from soft_attention.errors import StudyError

COLUMNS = ["class", "train", "validation", "test", "shared_lesions", "images_of_shared", "identical_images"]


@pytest.fixture
def folder(tmp_path):
    """Two lesions per class in each subset, each with its own picture."""
    for number in range(12):
        picture = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number:02}.png")
    return tmp_path


def write(folder, column="subset", sides=None, **lesions):
    sides = sides or ["train", "validation", "test"] * 4
    rows = [f"{n:02},{'ab'[n % 2]},{lesions.get(f'L{n}', f'L{n}')},{side}" for n, side in enumerate(sides)]
    (folder / "labels.csv").write_text("\n".join([f"image_id,label,lesion_id,{column}", *rows, ""]))
    return load_dataset(folder)


@pytest.mark.parametrize("column", ["subset", "split", "partition", " Split"])
def test_official_takes_the_split_that_a_folder_came_with(folder, column):
    dataset = write(folder, column, ["Train", "validation", "TEST "] * 4)
    split = make_split(dataset, "official")
    assert split["subset"].tolist() == ["train", "validation", "test"] * 4
    assert audit_split(split)["shared_lesions"] == 0
    assert audit_given(dataset)[COLUMNS].values.tolist() == [
        ["a", 2, 2, 2, 0, 0, 0],
        ["b", 2, 2, 2, 0, 0, 0],
        ["all", 4, 4, 4, 0, 0, 0],
    ]
    assert main([str(folder)]) == 0


def test_lesions_and_identical_images_on_two_sides_are_counted_by_class(folder, capsys):
    (folder / "07.png").write_bytes((folder / "00.png").read_bytes())  # b in validation, a in train
    (folder / "09.png").write_bytes((folder / "03.png").read_bytes())  # both train
    with pytest.warns(UserWarning, match="byte-identical"):
        dataset = write(folder, L2="L0", L4="L0", L9="L3")  # L0: train, test, validation; L3: train twice
    assert audit_given(dataset)[COLUMNS].values.tolist() == [
        ["a", 2, 2, 2, 1, 3, 1],
        ["b", 2, 2, 2, 0, 0, 1],
        ["all", 4, 4, 4, 1, 3, 2],
    ]
    assert main([str(folder)]) == 1
    said = capsys.readouterr()
    assert "images_of_shared" in said.out
    assert "warning: the split that came with the data has 1 lesions on two sides (a 1)\n" in said.err
    assert "has 2 images, byte for byte, on two sides (a 1, b 1)\n" in said.err
    with pytest.raises(StudyError, match="leakage: lesion_id 'L0' is in test and train and validation"):
        audit_split(make_split(dataset, "official"))


def test_a_split_that_is_unclear_is_refused(folder, capsys):
    with pytest.raises(ValueError, match=r"unknown split 'training': .*did you mean 'train'"):
        audit_given(write(folder, "split", ["training", "test", "test"] * 4))
    with pytest.raises(StudyError, match=r"4 images have no split \(02, 05, 08, 11\)"):
        audit_given(write(folder, "split", ["train", "test", ""] * 4))
    with pytest.raises(StudyError, match="the columns subset and split both say"):
        audit_given(write(folder, "subset,split", ["train,test", "test,test", "test,train"] * 4))
    assert audit_given(write(folder, "room")) is None
    assert main([str(folder)]) == 1
    assert "has no column subset, split or partition" in capsys.readouterr().err
    assert main([str(folder / "nowhere")]) == 1
    assert "labels.csv does not exist" in capsys.readouterr().err
