"""Checksums are right, remembered, and renewed when a file changes."""

import hashlib
import os

import pytest

from soft_attention.data.fetch import checksums
from soft_attention.data.fetch.checksums import checksum, read_sums, record_sum


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "files" / "a.zip"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    return path


def test_known_answers(file, tmp_path):
    # FIPS 180-2 and RFC 1321 give these digests of "abc".
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum(file, tmp_path) == sha256
    assert checksum(file, tmp_path, "md5") == "900150983cd24fb0d6963f7d28e17f72"


def test_an_unchanged_file_is_read_once(file, tmp_path, monkeypatch):
    first = checksum(file, tmp_path)
    monkeypatch.setattr(checksums, "_digest", lambda *_: pytest.fail("the file was read again"))
    assert checksum(file, tmp_path) == first


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_file_is_read_again(file, tmp_path, change):
    checksum(file, tmp_path)
    time = file.stat().st_mtime_ns
    file.write_bytes(b"abcd" if change == "size" else b"abd")
    os.utime(file, ns=(time, time + (change == "time")))
    assert checksum(file, tmp_path) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_sums_are_read_as_sha256sum_writes_them(tmp_path):
    (tmp_path / "SHA256SUMS").write_text("00FF  a.zip\n11ee *b c.csv\n\nodd\n")
    assert read_sums(tmp_path) == {"a.zip": "00ff", "b c.csv": "11ee"}
    assert read_sums(tmp_path / "nowhere") == {}


def test_recording_keeps_the_other_lines(tmp_path):
    record_sum(tmp_path / "b.zip", "22")
    record_sum(tmp_path / "a.zip", "11")
    record_sum(tmp_path / "b.zip", "33")
    assert (tmp_path / "SHA256SUMS").read_text() == "11  a.zip\n33  b.zip\n"
