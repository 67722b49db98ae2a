"""The generated data: reproducible, exact where it claims to be, and not solved by its mean colour."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_attention.data.catalog import HAM10000, ISIC2017
from soft_attention.data.synthetic import generate as module
from soft_attention.data.synthetic.drawing import draw_lesion
from soft_attention.data.synthetic.generate import count_lesions, generate, plan_images
from soft_attention.errors import StudyError

SEVEN, THREE = HAM10000.class_counts, ISIC2017.partitions["train"]
SMALL = {"size": (48, 64), "floor": 2}


def digests(folder):
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def read(paths):
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.fixture(scope="module")
def balanced(tmp_path_factory):
    """A table of equally common classes, with its images, masks and cues."""
    table = generate(tmp_path_factory.mktemp("balanced"), dict.fromkeys(SEVEN, 1), 175, size=(60, 80))
    return table, *(read(table[column]) for column in ("image_path", "mask_path", "cue_path"))


# A data set


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        generate(tmp_path / name, SEVEN, 14, seed, **SMALL)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert first == again
    shared = first.keys() & other.keys() - {"table.csv"}
    assert len(shared) > 40
    assert not [name for name in shared if first[name] == other[name]]


def test_a_lesion_looks_the_same_in_a_larger_data_set(tmp_path):
    generate(tmp_path / "few", THREE, 6, **SMALL)
    generate(tmp_path / "many", THREE, 12, **SMALL)
    few, many = digests(tmp_path / "few"), digests(tmp_path / "many")
    del few["table.csv"]
    assert few.items() <= many.items()


def test_table_describes_the_files(balanced):
    table, images, masks, cues = balanced
    assert table.image_id.is_unique
    assert images.shape == (len(table), 60, 80, 3) and masks.shape == cues.shape == (len(table), 60, 80)
    assert masks.any(axis=(1, 2)).all() and cues.any(axis=(1, 2)).all()
    assert not (cues & ~masks).any()
    lesions = table.groupby("lesion_id")
    assert (lesions[["label", "skin_tone"]].nunique() == 1).all(axis=None)
    assert (lesions["view"].max() == lesions.size() - 1).all()
    assert lesions.size().max() > 1
    assert table.skin_tone.between(1, 6).all() and table.skin_tone.nunique() >= 5


def test_second_call_only_reads(tmp_path):
    first = generate(tmp_path, THREE, 6, **SMALL)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    second = generate(tmp_path, THREE, 6, **SMALL)
    assert second.equals(first)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == written


@pytest.mark.parametrize("other", [{"seed": 1}, {"lesions": 7}, {"centre_bias": 0.5}, {"size": (60, 80)}])
def test_a_folder_with_other_settings_is_refused_and_kept(tmp_path, other):
    settings = {"classes": THREE, "lesions": 6, **SMALL}
    generate(tmp_path, **settings)
    before = digests(tmp_path)
    with pytest.raises(StudyError, match="other settings or by an older generator: delete it"):
        generate(tmp_path, **settings | other)
    assert digests(tmp_path) == before


@pytest.mark.parametrize("left", [0, 60])
def test_half_a_table_of_what_was_drawn_is_refused(tmp_path, left):
    settings = {"classes": THREE, "lesions": 6, **SMALL}
    generate(tmp_path, **settings)
    table = tmp_path / "table.csv"
    table.write_bytes(table.read_bytes()[:left])
    with pytest.raises(StudyError, match=f"{tmp_path}.* delete"):
        generate(tmp_path, **settings)


def test_an_interrupted_drawing_is_done_again(tmp_path, monkeypatch):
    def stop_at_the_third(label, seed, *rest):
        if seed[2] == 2:
            raise KeyboardInterrupt
        return draw_lesion(label, seed, *rest)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "draw_lesion", stop_at_the_third)
        generate(tmp_path, THREE, 9, size=(48, 64), floor=3)
    left = digests(tmp_path)
    assert left and not any("/." in name or name == "table.csv" for name in left)
    generate(tmp_path, THREE, 9, size=(48, 64), floor=3)
    assert left.items() < digests(tmp_path).items()


# How many of what


@given(st.integers(84, 5000), st.sampled_from([SEVEN, THREE]))
def test_counts_add_up_and_keep_the_floor(lesions, classes):
    counts = count_lesions(classes, lesions, floor=12)
    assert sum(counts.values()) == lesions
    assert min(counts.values()) >= 12


def test_counts_follow_ham10000():
    counts = count_lesions(SEVEN, 10015, floor=12)
    assert counts == SEVEN


def test_lesions_have_as_many_views_as_in_ham10000():
    plan = plan_images(SEVEN, 3000, seed=0, floor=12)
    shares = plan.groupby("lesion_id").size().value_counts(normalize=True)
    assert shares[[1, 2, 3]].to_numpy() == pytest.approx([0.738, 0.190, 0.066], abs=0.025)


def test_unknown_class_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"'wart'.*akiec.*seborrheic_keratosis"):
        generate(tmp_path / "new", {"wart": 1, "nv": 2})
    assert not (tmp_path / "new").exists()


def test_too_few_lesions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="83 lesions are too few for 7 classes of at least 12"):
        generate(tmp_path, SEVEN, 83)


# What tells the class


def balanced_accuracy(features, table):
    """Cross-validated over lesions, of a linear classifier."""
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=1000))
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    options = {"groups": table.lesion_id, "cv": folds, "scoring": "balanced_accuracy"}
    return cross_val_score(model, features, table.label, **options).mean()


def test_mean_colour_does_not_tell_the_class(balanced):
    table, images, _, _ = balanced
    assert balanced_accuracy(images.mean(axis=(1, 2)), table) < 0.45


def test_the_cue_tells_the_class(balanced):
    table, images, _, cues = balanced
    pixels = [image[cue] for image, cue in zip(images, cues, strict=True)]
    features = np.stack([np.r_[patch.mean(axis=0), patch.std(axis=0)] for patch in pixels])
    assert balanced_accuracy(features, table) > 0.7
