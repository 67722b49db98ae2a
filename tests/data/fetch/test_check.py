"""The command says beforehand whether a folder will do, and unpacks nothing."""

import pytest

from soft_attention.data.fetch.check import main


@pytest.fixture(autouse=True)
def data_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("DATA_MIRROR", raising=False)
    return tmp_path / "data"


def test_a_folder_that_will_do(make, folder, test_set, capsys, data_dir):
    make.images("a.zip")
    make.masks("masks", ["I1"])
    make.table("HAM10000_metadata.csv")
    make.images("test", test_set["image_id"])
    make.one_hot("ISIC2018_Task3_Test_GroundTruth.csv", test_set)
    assert main([str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "HAM10000: will do as own copy (30x20 px)",
        "  4 images, 1 masks, 3 lesions; labels from HAM10000_metadata.csv",
    ]
    assert "ISIC 2017 Part 3: will not do" in lines
    assert "ISIC 2018 Task 3, official test set: will do as own copy (30x20 px)" in lines
    assert lines[-1].startswith("  the lesions are those of the ISIC Archive")
    assert list(data_dir.rglob("*.jpg")) == []


def test_a_folder_that_will_not_do(make, folder, capsys, monkeypatch):
    make.images("images", ["I1", "I2", "I4"])
    make.table("HAM10000_metadata.csv")
    monkeypatch.setenv("DATA_MIRROR", str(folder))
    assert main([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "HAM10000: will not do"
    assert lines[1].startswith("  1 of 4 images are missing (I3), which HAM10000_images_part_1.zip or ")


def test_an_image_that_cannot_be_read(make, folder, capsys):
    make.images("images")
    make.table("HAM10000_metadata.csv")
    (image,) = folder.rglob("I1.jpg")
    image.write_bytes(b"")
    assert main([str(folder), "ham10000", "isic2018_test"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "HAM10000: will not do" and "I1.jpg" in lines[1]
    assert "ISIC 2018 Task 3, official test set: will not do" in lines


def test_every_set_that_is_named_must_do(make, folder, capsys):
    make.images("images")
    make.table("HAM10000_metadata.csv")
    assert main([str(folder)]) == 0
    assert main([str(folder), "ham10000"]) == 0
    assert main([str(folder), "ham10000", "isic2018_test"]) == 1


def test_no_folder(folder, capsys):
    assert main([f"{folder}/typo", "ham10000"]) == 1
    assert "typo is not a folder" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    with pytest.raises(SystemExit):
        main([str(folder), "ham1000"])
