"""The hash of a file is that of its content, found once, and never an old one."""

import hashlib
import json
import os

import pandas as pd
import pytest

from soft_attention.data import content
from soft_attention.data.content import content_hashes, identical_images
from soft_attention.errors import StudyError


@pytest.fixture
def files(tmp_path):
    found = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg", tmp_path / "a" / "ü 2.jpg"]
    for number, file in enumerate(found):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(bytes([number]) * 1000)
    return found


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    monkeypatch.setattr(content, "SETTLED", 0)


def truth(files):
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def reread(monkeypatch):
    """What is read from now on."""
    read = []
    plain = content._sha256
    monkeypatch.setattr(content, "_sha256", lambda file: read.append(os.path.basename(file)) or plain(file))
    return read


def test_hashes_are_those_of_the_content_in_the_order_asked_for(files, tmp_path):
    asked = [files[2], files[0], files[1], files[2]]
    assert content_hashes(asked, tmp_path / "cache") == truth(asked)
    assert content_hashes([str(file) for file in asked], tmp_path / "cache") == truth(asked)
    assert content_hashes([], tmp_path / "cache") == []


def test_each_file_is_read_once_and_a_touched_one_keeps_its_hash(files, tmp_path, monkeypatch):
    before = content_hashes(files[:2], tmp_path / "cache")
    read = reread(monkeypatch)
    assert content_hashes(files, tmp_path / "cache")[:2] == before
    assert read == ["ü 2.jpg"]
    os.utime(files[0])
    assert content_hashes(files, tmp_path / "cache")[:2] == before
    assert read == ["ü 2.jpg", "1.jpg"]


def test_another_content_of_the_same_length_and_time_is_seen(files, tmp_path):
    content_hashes(files, tmp_path / "cache")
    stat = files[0].stat()
    files[0].write_bytes(b"x" * 1000)
    os.utime(files[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert content_hashes(files, tmp_path / "cache") == truth(files)


def test_a_file_that_was_changed_just_now_is_not_kept(files, tmp_path, monkeypatch):
    monkeypatch.setattr(content, "SETTLED", 2_000_000_000)
    content_hashes(files, tmp_path / "cache")
    read = reread(monkeypatch)
    content_hashes(files, tmp_path / "cache")
    assert len(read) == 3


def test_a_damaged_or_forbidden_list_of_hashes_does_no_harm(files, tmp_path):
    cache = tmp_path / "cache"
    content_hashes(files, cache)
    for kept in (cache / "content").glob("*.json"):
        kept.write_text(json.dumps({})[:1])
    assert content_hashes(files, cache) == truth(files)
    (tmp_path / "file").write_text("")
    assert content_hashes(files, tmp_path / "file") == truth(files)


def test_a_missing_file_is_named(files, tmp_path):
    files[1].unlink()
    with pytest.raises(StudyError, match=r"b/1\.jpg is missing; restore it"):
        content_hashes(files, tmp_path / "cache")


def test_identical_images_are_those_of_the_same_bytes(files, tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    files[2].write_bytes(files[0].read_bytes())
    table = pd.DataFrame({"image_id": ["p", "q", "r"], "image_path": list(map(str, files))})
    twins = identical_images(table)
    assert twins["image_id"].tolist() == ["p", "r"] and twins["content"].nunique() == 1
