"""What lies at a mirror is official, a mirror or an own copy; what is missing is said in one sentence."""

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from soft_attention.data.catalog import CATALOG
from soft_attention.data.fetch import source as module
from soft_attention.data.fetch.layouts import Place
from soft_attention.data.fetch.source import Source
from soft_attention.errors import StudyError


@pytest.fixture
def source(folder, tmp_path):
    """Makes the source of a data set from the folder, anew with each call."""
    return lambda name="ham10000": Source(CATALOG[name], tmp_path / "data" / name, folder)


def official_names(make):
    make.images("HAM10000_images_part_1.zip", ["I1", "I2"])
    make.images("HAM10000_images_part_2.zip", ["I3", "I4"])
    make.table("HAM10000_metadata.csv")


def list_sums(folder):
    files = [path for path in folder.iterdir() if path.name != "SHA256SUMS"]
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  ./{path.name}\n" for path in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-16")


def pixels(source):
    return source.pixels([Place(Path(path)) for path in source.images().values()])


# Unpacked, from Kaggle, from the challenge, from isic-cli: what people have


def unpacked(make, ham, test_set):
    make.images("a/HAM10000_images_part_1", ["I1", "I2"])
    make.images("a/b c/HAM10000_images_part_2", ["I3", "I4"], ".JPG")
    make.table("HAM10000_metadata.csv")
    make.images("test", test_set["image_id"])
    make.one_hot("ISIC2018_Task3_Test_GroundTruth.csv", test_set)


def kaggle(make, ham, test_set):
    for name in ("HAM10000_images_part_1", "ham10000_images_part_1", "HAM10000_images_part_2/HAM10000_images_part_2"):
        make.images(name, ["I1", "I2", "I3", "I4"])
    make.table("HAM10000_metadata.csv")
    make.files("", {"hmnist_8_8_L.csv": b"pixel0000,label\n1,2\n"})


def kaggle_in_one_archive(make, ham, test_set):
    for part in ("HAM10000_images_part_1", "ham10000_images_part_1"):
        make.files("archive.zip", {f"{part}/{image}.jpg": make.picture((30, 20), 9) for image in ham["image_id"]})
    make.table("t.csv")
    make.files("archive.zip", {"HAM10000_metadata.csv": (make.folder / "t.csv").read_bytes()})
    (make.folder / "t.csv").unlink()


def dataverse(make, ham, test_set):
    make.images("HAM10000_images_part1.zip", ham["image_id"])
    make.table("HAM10000_metadata.tab", ham.assign(dataset="rosendahl"), sep="\t", quoting=1)
    make.images("ISIC2018_Task3_Test_Images.zip", test_set["image_id"])
    make.table("ISIC2018_Task3_Test_GroundTruth.tab", test_set, sep="\t")


def challenge(make, ham, test_set):
    make.images("ISIC2018_Task3_Training_Input.zip", ham["image_id"])
    make.one_hot("ISIC2018_Task3_Training_GroundTruth.csv")
    make.groupings("ISIC2018_Task3_Training_LesionGroupings.csv")
    make.images("ISIC2018_Task3_Test_Input.zip", [*test_set["image_id"], "ISIC_0035068"])
    make.one_hot("ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv", test_set)


def isic_cli(make, ham, test_set):
    make.images("ham", ham["image_id"])
    make.archive_table("ham/metadata.csv", ham)
    make.images("test", test_set["image_id"])
    make.archive_table("test/metadata.csv", test_set)


def packed_and_unpacked(make, ham, test_set):
    official_names(make)
    make.images("HAM10000_images_part_1", ["I1", "I2"])


LAYOUTS = [unpacked, kaggle, kaggle_in_one_archive, dataverse, challenge, isic_cli, packed_and_unpacked]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ham10000_as_people_have_it(layout, make, source, ham, test_set):
    layout(make, ham, test_set)
    found = source()
    table = found.rows.table.set_index("image_id")
    assert table["label"].to_dict() == dict(zip(ham["image_id"], ham["label"], strict=True))
    assert table["lesion_id"].str[-2:].to_dict() == dict(zip(ham["image_id"], ham["lesion_id"], strict=True))
    assert sorted(found.images()) == ["I1", "I2", "I3", "I4"]
    assert all(Path(path).is_file() for path in found.images().values())
    assert pixels(found) == "own copy (30x20 px)"
    assert found.notes() == []


@pytest.mark.parametrize("layout", [unpacked, dataverse, challenge, isic_cli])
def test_the_outside_test_set_as_people_have_it(layout, make, source, ham, test_set):
    layout(make, ham, test_set)
    found = source("isic2018_test")
    assert found.rows.table["lesion_id"].str[-2:].tolist() == ["M1", "M2", "M2"]
    assert sorted(found.images()) == ["T1", "T2", "T3"]
    assert pixels(found) == "own copy (30x20 px)"
    said = " ".join(found.notes())
    assert ("no table at hand has them" in said) == (layout in (unpacked, challenge))
    assert ("ISIC_0035068 is left out: the picture of a film prop" in said) == (layout is challenge)


def test_masks_of_an_own_copy(make, source):
    official_names(make)
    make.masks("masks/HAM10000_segmentations_lesion_tschandl", ["I1", "I4", "X1"])
    assert sorted(source().masks()) == ["I1", "I4"]


def test_official_names_are_a_mirror_by_its_list_and_official_by_their_checksums(make, folder, source, monkeypatch):
    official_names(make)
    list_sums(folder)
    assert pixels(source()) == "mirror (30x20 px)"
    make.table("HAM10000_metadata.csv", quoting=1)
    with pytest.raises(StudyError, match=r"checksum of .*HAM10000_metadata\.csv differs"):
        _ = source().rows
    monkeypatch.setattr(module, "is_official", lambda *_: True)
    monkeypatch.setattr(module, "proven", lambda file, folder, _: module.find(file, folder))
    assert pixels(source()) == "official"


def test_a_mirror_takes_lesions_from_another_table_that_lies_there(make, folder, source, test_set):
    make.images("ISIC2018_Task3_Test_Images.zip", test_set["image_id"])
    make.one_hot("ISIC2018_Task3_Test_GroundTruth.csv", test_set)
    make.archive_table("isic_cli_metadata.csv", test_set)
    list_sums(folder)
    found = source("isic2018_test")
    assert found.rows.table["lesion_id"].tolist() == ["IL_M1", "IL_M2", "IL_M2"]
    assert (pixels(found), found.notes()) == ("mirror (30x20 px)", [])


def test_an_image_too_many_in_the_archives_of_a_mirror_is_handed_on_to_be_refused(make, folder, source):
    official_names(make)
    make.images("HAM10000_images_part_2.zip", ["I5"])
    list_sums(folder)
    assert sorted(source().images()) == ["I1", "I2", "I3", "I4", "I5"]


def test_an_image_too_many_in_an_own_copy_is_left_out_and_said(make, source):
    official_names(make)
    make.images("more", ["X4", "X2", "X3", "X1", "T1"])
    found = source()
    assert sorted(found.images()) == ["I1", "I2", "I3", "I4"]
    assert found.notes() == ["4 images have no row in any table and are left out (X1, X2, X3, ...)"]


def test_what_is_missing_is_said_in_one_sentence(make, folder, source):
    make.images("HAM10000_images_part_1.zip", ["I1"])
    make.table("HAM10000_metadata.csv")
    with pytest.raises(StudyError) as error:
        _ = source().rows
    assert str(error.value) == (
        "HAM10000: 3 of 4 images are missing (I2, I3, I4), which HAM10000_images_part_2.zip would have "
        f"(looked in {folder}: mend that, or unset DATA_MIRROR to download the official files)"
    )


def test_table_and_images_missing_are_said_together(folder, source):
    with pytest.raises(StudyError, match=r"no table with its labels.*; HAM10000: 4 of 4 images are missing"):
        _ = source().rows


def test_an_archive_that_cannot_be_used_is_why_images_are_missing(make, folder, source):
    make.images("HAM10000_images_part_1.zip", ["I1", "I2"])
    make.files("", {"HAM10000_images_part_2.zip": b"half of it"})
    make.table("HAM10000_metadata.csv")
    with pytest.raises(StudyError, match=r"2 of 4 images are missing .*HAM10000_images_part_2\.zip is damaged"):
        _ = source().rows
    make.images("unpacked", ["I3", "I4"])
    assert len(source().images()) == 4


def test_images_that_lie_twice_with_other_bytes_are_refused_by_name(make, source):
    make.images("HAM10000_images_part_1")
    make.images("ham10000_images_part_1", ["I2", "I3"], shade=40)
    make.table("HAM10000_metadata.csv")
    with pytest.raises(
        StudyError, match=r"2 images lie twice with other bytes \(I2, I3\), say .*I2\.jpg and .*I2\.jpg"
    ):
        _ = source().rows


def test_pixels_of_several_sizes(make, source):
    make.images("a", ["I1", "I2"])
    make.images("b", ["I3", "I4"], size=(40, 20))
    make.table("HAM10000_metadata.csv")
    assert pixels(source()) == "own copy (images of several sizes)"


@pytest.mark.parametrize("place", ["loose", "packed.zip"])
def test_what_is_no_photo_is_named_and_no_program_is_started(place, make, source, monkeypatch):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a program was started"))
    make.files(place, {f"I{n}.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n" for n in (1, 2, 3, 4)})
    make.table("HAM10000_metadata.csv")
    found = source()
    with pytest.raises(StudyError, match=r"I1\.jpg.* cannot be read as an image: it is no JPEG, .* but EPS;"):
        found.pixels([places[0] for _, places in sorted(found.files.layout.images.items())])


def test_a_photo_of_a_billion_pixels_is_named(make, source):
    photo = make.picture((30, 20), 1)
    size = photo.index(b"\0\x14\0\x1e")  # height and width in the frame header
    make.files("loose", {"I1.jpg": photo[:size] + b"\xff\xff\xff\xff" + photo[size + 4 :]})
    with pytest.raises(StudyError, match=r"I1\.jpg has too many pixels"):
        source().pixels([Place(make.folder / "loose" / "I1.jpg")])


def test_a_file_that_may_not_be_read_is_named(make, source, monkeypatch):
    make.images("images")
    make.table("HAM10000_metadata.csv")
    real = open
    denied = PermissionError(13, "Permission denied")

    def closed(path, *options):
        if str(path).endswith("metadata.csv"):
            raise denied
        return real(path, *options)

    monkeypatch.setattr("soft_attention.data.fetch.layouts.open", closed, raising=False)
    with pytest.raises(StudyError, match=r"HAM10000_metadata\.csv cannot be read: Permission denied"):
        source().files  # noqa: B018


@pytest.fixture
def url(folder, monkeypatch):
    """The folder, served over HTTP on this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    handler = partial(QuietHandler, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_mirror_on_the_network_needs_no_list_either(make, folder, url, tmp_path):
    official_names(make)
    found = Source(CATALOG["ham10000"], tmp_path / "own", url)
    assert pixels(found) == "own copy (30x20 px)"
    list_sums(folder)
    found = Source(CATALOG["ham10000"], tmp_path / "listed", url)
    assert pixels(found) == "mirror (30x20 px)"


def test_without_a_mirror_the_files_come_from_their_hosts(make, folder, url, tmp_path):
    official_names(make)
    make.masks("HAM10000_segmentations_lesion_tschandl.zip", ["I1"])
    info = CATALOG["ham10000"]
    files = tuple(replace(file, urls=(f"{url}/{file.name}",)) for file in info.files)
    found = Source(replace(info, files=files), tmp_path / "data")
    assert pixels(found) == "official"
    assert list(found.masks()) == ["I1"]
    assert (tmp_path / "data/HAM10000_images_part_1.zip").is_file()


def test_a_mirror_that_is_no_folder(tmp_path):
    with pytest.raises(StudyError, match=r"the mirror .*typo is not a folder: correct DATA_MIRROR"):
        _ = Source(CATALOG["ham10000"], tmp_path, tmp_path / "typo").files


def test_a_mirror_of_the_home_or_the_working_folder(make, folder, tmp_path, monkeypatch):
    official_names(make)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.chdir(folder.parent)
    for place in (f"~/{folder.name}", folder.name):
        assert len(Source(CATALOG["ham10000"], tmp_path / "data", place).images()) == 4
