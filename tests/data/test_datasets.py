"""Every data set loads into the same verified table, from small mirrors made here."""

import hashlib
import io
import zipfile
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from soft_attention import paths
from soft_attention.data import datasets
from soft_attention.data.catalog import CATALOG, ISIC2017_PREFIXES
from soft_attention.data.datasets import duplicate_pairs, load_dataset
from soft_attention.errors import StudyError

SHARED = ["image_id", "label", "lesion_id", "image_path", "mask_path"]


def picture(size=(30, 20), kind="JPEG"):
    file = io.BytesIO()
    Image.new("L" if kind == "PNG" else "RGB", size).save(file, kind)
    return file.getvalue()


def write_zip(path, ids, suffix=".jpg", size=(30, 20), **extra):
    content = picture(size, "PNG" if suffix.endswith("png") else "JPEG")
    with zipfile.ZipFile(path, "w") as archive:
        for image in ids:
            archive.writestr(f"{path.stem}/{image}{suffix}", content)
        for name, text in extra.items():
            archive.writestr(f"{path.stem}/{name.replace('__', '.')}", text)


def list_sums(folder):
    """Make the folder a mirror: what it holds is as it is meant to be."""
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    sums.pop("SHA256SUMS", None)
    (folder / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def use_counts(monkeypatch, name, **changes):
    """Let the catalogue expect what a small mirror holds."""
    changes = {"files": no_checksums(name), "fingerprint": None, **changes}
    monkeypatch.setitem(CATALOG, name, replace(CATALOG[name], **changes))


def no_checksums(name):
    return tuple(replace(file, md5=None, size=None) for file in CATALOG[name].files)


# HAM10000 and its outside test set


@pytest.fixture
def ham(tmp_path, monkeypatch):
    """A mirror with four images of three lesions, and an outside test set of two."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "HAM10000_metadata.csv").write_text(
        "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
        "L2,I3,mel,histo,,female,back\nL1,I1,nv,follow_up,50,male,back\n"
        "L1,I2,nv,follow_up,50,male,back\nL3,I4,df,histo,40,male,foot\n"
    )
    write_zip(folder / "HAM10000_images_part_1.zip", ["I1", "I2"])
    write_zip(folder / "HAM10000_images_part_2.zip", ["I3", "I4"])
    write_zip(folder / "HAM10000_segmentations_lesion_tschandl.zip", ["I1"], "_segmentation.png")
    (folder / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nT1,0.0,1.0,0,0,0,0,0\nT2,0,0,0,1,0,0,0\n"
    )
    write_zip(folder / "ISIC2018_Task3_Test_Images.zip", ["T1", "T2"])
    counts = {"nv": 2, "mel": 1, "df": 1}
    use_counts(monkeypatch, "ham10000", images=4, lesions=3, class_counts=counts, ids=("I1", "I2", "I3", "I4"))
    lesions = {"T1": "M1", "T2": "M1"}
    counts = {"nv": 1, "akiec": 1}
    use_counts(monkeypatch, "isic2018_test", images=2, class_counts=counts, ids=("T1", "T2"), known_lesions=lesions)
    list_sums(folder)
    return folder


def test_ham10000_table(ham, tmp_path):
    dataset = load_dataset("ham10000", tmp_path / "data", ham)
    table = dataset.table
    assert list(table.columns) == [*SHARED, "dx_type", "age", "sex", "localization"]
    assert table["image_id"].tolist() == ["I1", "I2", "I3", "I4"]
    assert table["label"].tolist() == ["nv", "nv", "mel", "df"]
    assert table["lesion_id"].tolist() == ["L1", "L1", "L2", "L3"]
    assert table["mask_path"].notna().tolist() == [True, False, False, False]
    assert all(Image.open(path).size == (30, 20) for path in table["image_path"])
    assert dataset.source == "mirror (30x20 px)"
    assert dataset.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_files_with_the_official_checksums_are_official_wherever_they_lie(ham, tmp_path, monkeypatch):
    monkeypatch.setattr("soft_attention.data.fetch.source.is_official", lambda *_: True)
    assert load_dataset("ham10000", tmp_path / "data", ham).source == "official"


def test_a_mirror_of_several_sizes_says_so(ham, tmp_path):
    write_zip(ham / "HAM10000_images_part_2.zip", ["I3", "I4"], size=(40, 20))
    list_sums(ham)
    dataset = load_dataset("ham10000", tmp_path / "data", ham)
    assert dataset.source == "mirror (images of several sizes)"


def test_a_mirror_whose_images_are_no_images(ham, tmp_path):
    with zipfile.ZipFile(ham / "HAM10000_images_part_1.zip", "w") as archive:
        archive.writestr("I1.jpg", "text")
        archive.writestr("I2.jpg", "text")
    list_sums(ham)
    with pytest.raises(StudyError, match=r"I1\.jpg cannot be read as an image"):
        load_dataset("ham10000", tmp_path / "data", ham)


def test_a_mirror_may_lack_the_masks(ham, tmp_path):
    (ham / "HAM10000_segmentations_lesion_tschandl.zip").unlink()
    assert load_dataset("ham10000", tmp_path / "data", ham).table["mask_path"].isna().all()


def test_the_mirror_of_the_environment_is_the_default(ham, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_MIRROR", str(ham))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    assert len(load_dataset("ham10000").table) == 4
    assert (tmp_path / "data/ham10000/images/I1.jpg").exists()


def test_another_source_does_not_mix_with_the_images_of_before(ham, tmp_path):
    before = load_dataset("ham10000", tmp_path / "data", ham)
    for part, ids in (("1", ["I1", "I2"]), ("2", ["I3", "I4"])):
        write_zip(ham / f"HAM10000_images_part_{part}.zip", ids, size=(60, 40))
    list_sums(ham)
    after = load_dataset("ham10000", tmp_path / "data", ham)
    assert (before.source, after.source) == ("mirror (30x20 px)", "mirror (60x40 px)")
    assert {Image.open(path).size for path in after.table["image_path"]} == {(60, 40)}
    assert before.manifest_hash == after.manifest_hash


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (["I3"], r"HAM10000: 1 of 4 images are missing \(I4\)"),
        (["I3", "I4", "I5"], r"HAM10000: 1 images have an image file but no row \(I5\)"),
    ],
)
def test_rows_and_images_must_match(ham, tmp_path, ids, message):
    write_zip(ham / "HAM10000_images_part_2.zip", ids)
    list_sums(ham)
    with pytest.raises(StudyError, match=message):
        load_dataset("ham10000", tmp_path / "data", ham)


def test_fewer_images_than_published(ham, tmp_path, monkeypatch):
    monkeypatch.setitem(CATALOG, "ham10000", replace(CATALOG["ham10000"], class_counts={"nv": 3, "mel": 1, "df": 1}))
    with pytest.raises(StudyError, match="4 images found, 5 published"):
        load_dataset("ham10000", tmp_path / "data", ham)


def test_a_missing_archive_is_named(ham, tmp_path):
    (ham / "HAM10000_images_part_2.zip").unlink()
    with pytest.raises(
        StudyError, match=r"2 of 4 images are missing \(I3, I4\), which HAM10000_images_part_2\.zip would"
    ):
        load_dataset("ham10000", tmp_path / "data", ham)
    assert not (tmp_path / "data/ham10000/images").exists()


def test_the_outside_test_set_is_loaded_when_asked_for(ham, tmp_path):
    dataset = load_dataset("ham10000", tmp_path / "data", ham)
    assert not (tmp_path / "data/isic2018_test").exists()
    with pytest.warns(UserWarning, match="official test set: the lesions are those of the ISIC Archive"):
        table = dataset.external
    assert table["image_id"].tolist() == ["T1", "T2"]
    assert table["label"].tolist() == ["nv", "akiec"]
    assert table["lesion_id"].tolist() == ["M1", "M1"]
    assert dataset.external is table


def test_the_outside_test_set_under_its_official_names(ham, tmp_path):
    csv, images = ham / "ISIC2018_Task3_Test_GroundTruth.csv", ham / "ISIC2018_Task3_Test_Images.zip"
    write_zip(csv.with_suffix(".zip"), [], ISIC2018_Task3_Test_GroundTruth__csv=csv.read_text())
    csv.unlink()
    images.rename(ham / "ISIC2018_Task3_Test_Input.zip")
    list_sums(ham)
    dataset = load_dataset("ham10000", tmp_path / "data", ham)
    assert dataset.external["label"].tolist() == ["nv", "akiec"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("T2,1,0,0,1,0,0,0", r"do not have exactly one of the classes .* \(T2\)"),
        ("T2,0,0,0,0,0,0,0", r"do not have exactly one of the classes .* \(T2\)"),
        ("I1,0,0,0,1,0,0,0", r"ISIC2018_Task3_Test_GroundTruth\.csv has 1 rows too many"),
    ],
)
def test_an_outside_test_set_that_cannot_be_one(ham, tmp_path, row, message):
    (ham / "ISIC2018_Task3_Test_GroundTruth.csv").write_text(
        f"image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\nT1,0,1,0,0,0,0,0\n{row}\n"
    )
    list_sums(ham)
    with pytest.raises(StudyError, match=message):
        _ = load_dataset("ham10000", tmp_path / "data", ham).external


def test_the_film_prop_is_left_out_of_the_outside_test_set_and_said(ham, tmp_path):
    truth = ham / "ISIC2018_Task3_Test_GroundTruth.csv"
    truth.write_text(truth.read_text() + "ISIC_0035068,0,1,0,0,0,0,0\n")
    write_zip(ham / "ISIC2018_Task3_Test_Images.zip", ["T1", "T2", "ISIC_0035068"])
    list_sums(ham)
    with pytest.warns(UserWarning, match="ISIC_0035068 is left out: the picture of a film prop"):
        table = load_dataset("ham10000", tmp_path / "data", ham).external
    assert table["image_id"].tolist() == ["T1", "T2"]


def test_the_same_files_without_a_list_are_an_own_copy(ham, tmp_path):
    (ham / "SHA256SUMS").unlink()
    (ham / "HAM10000_metadata.csv").rename(ham / "HAM10000_metadata")
    dataset = load_dataset("ham10000", tmp_path / "data", ham)
    assert dataset.source == "own copy (30x20 px)"
    assert len(dataset.table) == 4


def test_the_folder_of_the_environment_may_stand_in_the_home(ham, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA_DIR", "~/data")
    load_dataset("ham10000", mirror="~/mirror")
    assert (tmp_path / "data/ham10000/images/I1.jpg").exists()
    assert paths.data_dir() == tmp_path / "data"


# ISIC 2017


@pytest.fixture
def isic2017(tmp_path, monkeypatch):
    """A mirror with one image per class in each partition; no masks and no ages for the test."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for n, (partition, prefix) in enumerate(ISIC2017_PREFIXES.items()):
        m, s, v = ids = [f"I{n}{kind}" for kind in "msv"]
        (folder / f"ISIC-2017_{prefix}_Part3_GroundTruth.csv").write_text(
            f"image_id,melanoma,seborrheic_keratosis\n{m},1.0,0.0\n{s},0.0,1.0\n{v},0.0,0.0\n"
        )
        ages = f"image_id,age_approximate,sex\n{m},55,female\n{s},unknown,unknown\n{v},30,male\n"
        inside = {f"ISIC-2017_{prefix}_Data_metadata__csv": ages} if partition == "validation" else {}
        write_zip(folder / f"ISIC-2017_{prefix}_Data.zip", ids, ISIC_0__png=b"superpixels", **inside)
        if partition == "train":
            (folder / f"ISIC-2017_{prefix}_Data_metadata.csv").write_text(ages)
        if partition != "test":
            masks = folder / f"ISIC-2017_{prefix}_Part1_GroundTruth.zip"
            write_zip(masks, ids, "_segmentation.png")
    one = dict.fromkeys(CATALOG["isic2017"].classes, 1)
    three = dict.fromkeys(one, 3)
    partitions = dict.fromkeys(ISIC2017_PREFIXES, one)
    use_counts(monkeypatch, "isic2017", images=9, class_counts=three, partitions=partitions)
    list_sums(folder)
    return folder


def test_isic2017_table(isic2017, tmp_path):
    dataset = load_dataset("isic2017", tmp_path / "data", isic2017)
    table = dataset.table.set_index("image_id")
    assert list(dataset.table.columns) == [*SHARED, "partition", "age", "sex"]
    assert table["label"].to_dict() == {
        f"I{n}{kind}": label
        for n in range(3)
        for kind, label in zip("msv", ("melanoma", "seborrheic_keratosis", "nevus"), strict=True)
    }
    assert (table["lesion_id"] == table.index).all()
    assert table["partition"].tolist() == ["train"] * 3 + ["validation"] * 3 + ["test"] * 3
    assert table["mask_path"].notna().groupby(table["partition"]).sum().to_dict() == {
        "test": 0,
        "train": 3,
        "validation": 3,
    }
    assert dataset.external is None


def test_isic2017_ages_come_alone_or_from_inside_the_archive(isic2017, tmp_path):
    table = load_dataset("isic2017", tmp_path / "data", isic2017).table.set_index("image_id")
    assert table.loc[["I0m", "I1m"], "age"].tolist() == [55, 55]
    assert table.loc[["I0s", "I2m"], "age"].isna().all()
    assert table.loc["I1v", "sex"] == "male"


def test_isic2017_counts_are_checked_per_partition(isic2017, tmp_path):
    for prefix, third in (("Training", "I0v,1,0"), ("Validation", "I1m,0,0")):
        path = isic2017 / f"ISIC-2017_{prefix}_Part3_GroundTruth.csv"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(third if line[:3] == third[:3] else line for line in lines))
    list_sums(isic2017)
    with pytest.raises(StudyError, match="ISIC 2017 Part 3, train: 3 images found, 3 published; per class"):
        load_dataset("isic2017", tmp_path / "data", isic2017)


def test_isic2017_with_two_diagnoses_for_one_image(isic2017, tmp_path):
    (isic2017 / "ISIC-2017_Test_v2_Part3_GroundTruth.csv").write_text(
        "image_id,melanoma,seborrheic_keratosis\nI2m,1,1\n"
    )
    list_sums(isic2017)
    with pytest.raises(StudyError, match=r"test: 1 images do not have one diagnosis \(I2m\)"):
        load_dataset("isic2017", tmp_path / "data", isic2017)


def test_isic2017_as_an_own_copy_beside_other_images(isic2017, tmp_path):
    (isic2017 / "SHA256SUMS").unlink()
    with zipfile.ZipFile(isic2017 / "ISIC-2017_Test_v2_Data.zip") as archive:
        archive.extractall(isic2017 / "unpacked")
    (isic2017 / "ISIC-2017_Test_v2_Data.zip").unlink()
    write_zip(isic2017 / "other.zip", ["ISIC_0024306"])
    dataset = load_dataset("isic2017", tmp_path / "data", isic2017)
    assert (len(dataset.table), dataset.source) == (9, "own copy (30x20 px)")


# Generated


@pytest.mark.parametrize("name", ["synthetic", "synthetic2017"])
def test_generated(name, tmp_path, monkeypatch):
    asked = []

    def generate(folder, classes, lesions, seed):
        asked.append((folder, tuple(sorted(classes)), lesions, seed))
        columns = dict.fromkeys([*SHARED, "cue_path"], "x")
        return pd.DataFrame([columns | {"image_id": "b"}, columns | {"image_id": "a"}])

    monkeypatch.setattr(datasets, "generate", generate)
    dataset = load_dataset(name, tmp_path)
    info = CATALOG[name]
    assert asked == [(tmp_path / name, info.classes, info.lesions, 0)]
    assert dataset.source == "generated"
    assert dataset.table["image_id"].tolist() == ["a", "b"]


# Names and pairs


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match=r"unknown dataset 'ham1000'.*did you mean 'ham10000'\?"):
        load_dataset("ham1000")


def test_the_outside_test_set_is_not_a_name_to_train_on():
    with pytest.raises(ValueError, match="unknown dataset 'isic2018_test'"):
        load_dataset("isic2018_test")


def test_duplicate_pairs():
    pairs = datasets.duplicate_pairs()
    assert list(pairs.columns) == ["image_id_a", "image_id_b", "similarity"]
    assert len(pairs) == 18
    assert (pairs["image_id_a"] != pairs["image_id_b"]).all()
    assert pairs["similarity"].between(0.95, 0.99).all()
    assert duplicate_pairs().equals(pairs)
