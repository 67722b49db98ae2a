"""Archives unpack flat and completely, or not at all."""

import errno
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from soft_attention.data.fetch.archives import MARKER, extract
from soft_attention.errors import StudyError


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def jpegs(name):
    return name if name.endswith(".jpg") else None


def patch(path, head, entry, value):
    """Overwrite two bytes of every entry, in both places where an archive keeps them."""
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", head), (b"PK\x01\x02", entry)):
        at = content.find(signature)
        while at >= 0:
            content[at + offset : at + offset + 2] = value.to_bytes(2, "little")
            at = content.find(signature, at + 4)
    path.write_bytes(content)


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture
def archive(tmp_path):
    noise = bytes(i * i % 251 for i in range(20_000))
    return write_zip(tmp_path / "a.zip", {"in/x.jpg": noise, "in/y.jpg": b"y", "in/note.txt": b""})


def test_several_archives_go_flat_into_one_folder(archive, tmp_path):
    other = write_zip(tmp_path / "b.zip", {"z.jpg": b"z", "__MACOSX/._z.jpg": b"stub", "d/": b""})
    extract([archive, other], tmp_path / "images", jpegs)
    assert visible(tmp_path / "images") == ["x.jpg", "y.jpg", "z.jpg"]
    assert (tmp_path / "images/z.jpg").read_bytes() == b"z"


def test_a_complete_folder_is_left_alone(archive, tmp_path):
    extract([archive], tmp_path / "images")
    (tmp_path / "images/x.jpg").write_bytes(b"touched")
    extract([archive], tmp_path / "images")
    assert (tmp_path / "images/x.jpg").read_bytes() == b"touched"


def test_a_folder_that_half_knows_what_it_was_made_from_is_made_anew(archive, tmp_path):
    extract([archive], tmp_path / "images")
    (tmp_path / "images" / MARKER).write_text('{"a.z')
    (tmp_path / "images/y.jpg").unlink()
    extract([archive], tmp_path / "images", jpegs)
    assert visible(tmp_path / "images") == ["x.jpg", "y.jpg"]


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


@pytest.mark.parametrize("name", ["../notes.txt", "a/notes 10:30.txt", "C:notes.txt", "n" * 300 + ".txt"])
def test_an_entry_that_nobody_wants_does_no_harm(tmp_path, name):
    archive = write_zip(tmp_path / "a.zip", {"x.jpg": b"x", name: b""})
    extract([archive], tmp_path / "images", jpegs)
    assert visible(tmp_path / "images") == ["x.jpg"]


def test_names_with_backslashes_and_colons(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"a\\x.jpg": b"x", "taken 10:30/y.jpg": b"y"})
    extract([archive], tmp_path / "images")
    assert visible(tmp_path / "images") == ["x.jpg", "y.jpg"]


def test_a_name_that_no_disk_takes(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"x" * 252 + ".jpg": b""})
    with pytest.raises(StudyError, match=r"a\.zip holds an entry whose name is too long"):
        extract([archive], tmp_path / "images")


def test_names_on_disk_can_be_others(archive, tmp_path):
    extract([archive], tmp_path / "images", {"x.jpg": "one.jpg"}.get)
    assert visible(tmp_path / "images") == ["one.jpg"]


def test_one_name_twice_with_other_bytes_is_refused(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"one/x.jpg": b"1", "two/x.jpg": b"2"})
    with pytest.raises(StudyError, match=r"x\.jpg comes twice in .*a\.zip, with other bytes"):
        extract([archive], tmp_path / "images")


def test_one_name_twice_with_the_same_bytes_is_unpacked_once(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"one/x.jpg": b"1", "two/x.jpg": b"1"})
    other = write_zip(tmp_path / "b.zip", {"x.jpg": b"1", "y.jpg": b"2"})
    extract([archive, other], tmp_path / "images")
    assert visible(tmp_path / "images") == ["x.jpg", "y.jpg"]


def test_an_archive_that_lies_twice_counts_once(archive, tmp_path):
    (tmp_path / "again").mkdir()
    again = Path(shutil.copy(archive, tmp_path / "again"))
    extract([archive, again], tmp_path / "images")
    marker = tmp_path / "images" / MARKER
    made = marker.stat().st_ino
    extract([archive], tmp_path / "images")
    assert marker.stat().st_ino == made


def test_two_archives_of_one_name(archive, tmp_path):
    (tmp_path / "other").mkdir()
    other = write_zip(tmp_path / "other" / "a.zip", {"z.jpg": b"z"})
    extract([archive, other], tmp_path / "images")
    assert visible(tmp_path / "images") == ["note.txt", "x.jpg", "y.jpg", "z.jpg"]


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


def test_a_password_is_said_in_one_sentence(archive, tmp_path):
    patch(archive, 6, 8, 1)
    with pytest.raises(StudyError, match=r"a\.zip is protected by a password: unpack it and give the folder"):
        extract([archive], tmp_path / "images")


def test_a_method_that_python_lacks_is_named(archive, tmp_path):
    patch(archive, 8, 10, 9)
    with pytest.raises(StudyError, match=r"a\.zip is packed by the method deflate64.*pack it anew"):
        extract([archive], tmp_path / "images")


def test_more_bytes_than_photos_shrink_by_are_refused_before_anything_is_written(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"x.jpg": bytes(70 << 20)})
    with pytest.raises(StudyError, match=r"a\.zip has 0\.1 MB and would unpack to 73 MB, more than 20 times as much"):
        extract([archive], tmp_path / "images")
    assert visible(tmp_path) == ["a.zip"]


def test_an_entry_longer_than_it_says_is_damage(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {"x.jpg": bytes(1000)})
    patch(archive, 22, 24, 10)  # the length before packing
    with pytest.raises(StudyError, match=r"a\.zip is damaged"):
        extract([archive], tmp_path / "images")


def test_a_disk_that_fills_up_names_the_archive(archive, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(StudyError, match=r"cannot unpack .*a\.zip.*No space left on device"):
        extract([archive], tmp_path / "images")
    assert visible(tmp_path) == ["a.zip"]


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
