"""Checksums are right, remembered, and renewed when a file changes."""

import hashlib
import os
import zlib

import pytest

from soft_attention.data.fetch import checksums
from soft_attention.data.fetch.checksums import checksum, read_sums, record_sum
from soft_attention.errors import StudyError


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


def test_half_a_memory_is_none(file, tmp_path):
    found = checksum(file, tmp_path)
    memory = tmp_path / ".checksums.json"
    memory.write_bytes(memory.read_bytes()[:20])
    assert checksum(file, tmp_path) == found


def test_crc32_is_the_one_of_zip_archives(file, tmp_path):
    assert checksums.checksums([file], tmp_path, "crc32") == {file: f"{zlib.crc32(b'abc'):08x}"}


ONE, TWO = "0F" * 32, "1e" * 32


@pytest.mark.parametrize(
    "content",
    [
        f"{ONE}  a.zip\n{TWO} *b c.csv\n\n# a note\n".encode(),
        f"{ONE}  ./a.zip\r\n{TWO}  .\\b c.csv\r\n".encode(),
        f"{ONE}  /home/me/my data/a.zip\n{TWO}  D:\\data\\b c.csv\n".encode(),
        f"\ufeff{ONE}  a.zip\n{TWO}  b c.csv\n".encode(),
        f"{ONE}  a.zip\r\n{TWO}  b c.csv\r\n".encode("utf-16"),
        f"\ufeff{ONE}  a.zip\n{TWO}  b c.csv\n".encode("utf-16-be"),
        f"SHA256 (a.zip) = {ONE}\nSHA256(b c.csv)= {TWO}\n".encode(),
    ],
    ids=["as sha256sum writes it", "./NAME", "whole paths", "BOM", "UTF-16", "UTF-16, big end first", "with tags"],
)
def test_sums_are_read(tmp_path, content):
    (tmp_path / "SHA256SUMS").write_bytes(content)
    assert read_sums(tmp_path) == {"a.zip": ONE.lower(), "b c.csv": TWO}


def test_no_list_lists_nothing(tmp_path):
    assert read_sums(tmp_path) == {}


@pytest.mark.parametrize("content", [b"<html>Sign in</html>\n", b"00ff  a.zip\n", f"{ONE}\n".encode(), b"\xff\xff\xff"])
def test_a_line_that_is_no_checksum_is_named(tmp_path, content):
    (tmp_path / "SHA256SUMS").write_bytes(content)
    with pytest.raises(StudyError, match=r"SHA256SUMS.*write (it|the list) anew with sha256sum"):
        read_sums(tmp_path)


def test_recording_keeps_the_other_lines(tmp_path):
    record_sum(tmp_path / "b.zip", TWO)
    record_sum(tmp_path / "a.zip", TWO)
    record_sum(tmp_path / "b.zip", ONE)
    assert (tmp_path / "SHA256SUMS").read_text() == f"{TWO}  a.zip\n{ONE}  b.zip\n"
