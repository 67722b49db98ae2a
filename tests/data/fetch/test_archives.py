"""Archives unpack flat and completely, or not at all."""

import shutil
import zipfile
from collections import namedtuple

import pytest

from soft_attention.data.fetch.archives import extract
from soft_attention.errors import StudyError


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def archive(tmp_path):
    noise = bytes(i * i % 251 for i in range(20_000))
    return write_zip(tmp_path / "a.zip", {"in/x.jpg": noise, "in/y.jpg": b"y", "in/note.txt": b""})


def test_several_archives_go_flat_into_one_folder(archive, tmp_path):
    other = write_zip(tmp_path / "b.zip", {"z.jpg": b"z", "__MACOSX/._z.jpg": b"stub", "d/": b""})
    extract([archive, other], tmp_path / "images", "*.jpg")
    assert visible(tmp_path / "images") == ["x.jpg", "y.jpg", "z.jpg"]
    assert (tmp_path / "images/z.jpg").read_bytes() == b"z"


def test_a_complete_folder_is_left_alone(archive, tmp_path):
    extract([archive], tmp_path / "images")
    (tmp_path / "images/x.jpg").write_bytes(b"touched")
    extract([archive], tmp_path / "images")
    assert (tmp_path / "images/x.jpg").read_bytes() == b"touched"


def test_another_archive_of_the_same_name_replaces_everything(archive, tmp_path):
    extract([archive], tmp_path / "images")
    write_zip(archive, {"y.jpg": b"from the mirror"})
    extract([archive], tmp_path / "images")
    assert visible(tmp_path / "images") == ["y.jpg"]
    assert (tmp_path / "images/y.jpg").read_bytes() == b"from the mirror"


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "..\\evil.jpg", "C:evil.jpg"])
def test_an_entry_that_points_outside_is_refused(tmp_path, name):
    archive = write_zip(tmp_path / "a.zip", {"fine.jpg": b"", name: b"evil"})
    with pytest.raises(StudyError, match=r"a\.zip holds an entry that points outside.*evil"):
        extract([archive], tmp_path / "images")
    assert visible(tmp_path) == ["a.zip"]
    assert not (tmp_path.parent / "evil.jpg").exists()


def test_one_name_twice_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"one/x.jpg": b"1", "two/x.jpg": b"2"})
    with pytest.raises(StudyError, match=r"x\.jpg comes twice in .*a\.zip"):
        extract([archive], tmp_path / "images")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)


def not_a_zip(path):
    path.write_text("<html>Sign in</html>")


@pytest.mark.parametrize("damage", [truncate, flip_a_byte, not_a_zip])
def test_a_damaged_archive_is_named_and_leaves_nothing(archive, tmp_path, damage):
    damage(archive)
    with pytest.raises(StudyError, match=r"a\.zip is damaged .*delete it and get it anew"):
        extract([archive], tmp_path / "images")
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_damage_leaves_the_folder_of_before(archive, tmp_path):
    extract([archive], tmp_path / "images")
    truncate(archive)
    with pytest.raises(StudyError, match="damaged"):
        extract([archive], tmp_path / "images")
    assert "x.jpg" in visible(tmp_path / "images")


def test_no_space_is_said_before_anything_is_written(archive, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 0, 10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StudyError, match=r"no space for what a\.zip holds.*DATA_DIR"):
        extract([archive], tmp_path / "images")
    assert visible(tmp_path) == ["a.zip"]
