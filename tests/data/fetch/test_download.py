"""Downloads against a real server on this machine that can break, lie and forget."""

import hashlib
import re
import shutil
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pooch.core
import pytest

from soft_attention.data.catalog import RemoteFile
from soft_attention.data.fetch.download import copy_mirror, fetch, is_official, proven
from soft_attention.errors import StudyError

CONTENT = bytes(i * i % 251 for i in range(1_000_000))
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; `server.breaks` answers of a.zip stop half-way; ranges only if `server.ranges`.

    `server.absent` is its status for a name that it does not have; `server.shift` moves the ranges that it gives.
    """

    def do_GET(self):
        name, server = self.path.strip("/"), self.server
        server.asked.append((name, self.headers.get("Range")))
        if name not in server.files:
            return self.send_error(server.absent)
        content, start = server.files[name], 0
        if server.ranges and (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(match[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
        start = max(start - server.shift, 0)
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks and name == "a.zip":
            server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(pooch.core.time, "sleep", lambda _: None)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.breaks, server.ranges = {"a.zip": CONTENT}, [], 0, True
    server.absent, server.shift = 404, 0
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def file(server):
    return RemoteFile("a.zip", (f"{server.url}/a.zip",), size=len(CONTENT), md5=MD5)


def test_a_download_is_checked_recorded_and_not_repeated(file, server, tmp_path):
    for _ in range(2):
        path = fetch(file, tmp_path)
        assert path == tmp_path / "a.zip"
        assert path.read_bytes() == CONTENT
    assert (tmp_path / "SHA256SUMS").read_text().split() == [hashlib.sha256(CONTENT).hexdigest(), "a.zip"]
    assert server.asked == [("a.zip", None)]


def test_a_broken_connection_goes_on_where_it_stopped(file, server, tmp_path):
    server.breaks = 2
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    starts = [int(asked[6:-1]) for _, asked in server.asked[1:]]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1]
    assert not (tmp_path / "a.zip.part").exists()


def test_an_earlier_run_is_continued(file, server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:123_456])
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.asked == [("a.zip", "bytes=123456-")]


def test_a_server_without_ranges_starts_anew(file, server, tmp_path):
    server.ranges = False
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:123_456])
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_anew(file, server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_all_of_the_file_is_not_downloaded_again(file, server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert server.asked == [("a.zip", f"bytes={len(CONTENT)}-")]


def test_a_server_that_is_gone_keeps_what_is_here(file, server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:123_456])
    server.shutdown()
    server.server_close()
    with pytest.raises(StudyError, match=r"cannot download a\.zip from http.*123,456 bytes.*DATA_MIRROR"):
        fetch(file, tmp_path)
    assert (tmp_path / "a.zip.part").stat().st_size == 123_456
    assert not (tmp_path / "a.zip").exists()


def test_a_wrong_checksum_is_refused_and_leaves_no_file(file, server, tmp_path):
    server.files["a.zip"] = b"another file"
    with pytest.raises(StudyError, match=rf"a\.zip.*expected md5:{MD5} but got .*; run again"):
        fetch(file, tmp_path)
    assert list(tmp_path.glob("a.zip*")) == []


@pytest.mark.parametrize("page", [b"<html>Sign in</html>", b"\n<!DOCTYPE html>\n<title>Sign in</title>"])
def test_a_page_is_not_the_file(file, server, tmp_path, page):
    server.files["a.zip"] = page
    with pytest.raises(StudyError, match=r"a\.zip answers with a page instead of the file.*DATA_MIRROR"):
        fetch(file, tmp_path)
    assert list(tmp_path.glob("a.zip")) == []


def test_another_range_than_was_asked_for_starts_anew(file, server, tmp_path):
    server.shift = 1000
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:123_456])
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_not_there(file, server, tmp_path):
    server.files.clear()
    with pytest.raises(StudyError, match=r"a\.zip answers 404.*DATA_MIRROR"):
        fetch(file, tmp_path)


def test_the_second_host_steps_in(server, tmp_path):
    urls = (f"{server.url}/old/a.zip", f"{server.url}/a.zip")
    assert fetch(RemoteFile("a.zip", urls, md5=MD5), tmp_path).read_bytes() == CONTENT


def test_no_space_is_said_before_anything_is_written(file, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(9, 0, 9)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(StudyError, match=r"no space for a\.zip.*DATA_DIR"):
        fetch(file, tmp_path)
    assert list(tmp_path.glob("a.zip*")) == []


def test_without_a_published_checksum_the_first_download_counts(server, tmp_path):
    file = RemoteFile("a.zip", (f"{server.url}/a.zip",))
    path = fetch(file, tmp_path)
    path.write_bytes(b"changed later")
    with pytest.raises(StudyError, match=r"checksum of .*a\.zip differs: expected .*got .*delete it"):
        fetch(file, tmp_path)


def test_a_file_put_there_by_hand_must_be_the_official_one(file, server, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"something else")
    with pytest.raises(StudyError, match=f"expected md5 {MD5}, got md5"):
        fetch(file, tmp_path)
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert fetch(file, tmp_path) == tmp_path / "a.zip"
    assert server.asked == []


def test_a_file_that_is_only_inside_an_archive_is_not_downloaded(tmp_path):
    assert fetch(RemoteFile("a.csv", inside="a.zip"), tmp_path) is None


# Mirrors


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mirror"
    folder.mkdir()
    return folder


def list_sums(folder, name="a.zip"):
    digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{digest}  {name}\n")


def test_a_file_of_a_mirror_is_proven_by_the_official_checksum(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(CONTENT)
    assert proven(file, folder, tmp_path) == folder / "a.zip"
    assert is_official(file, folder / "a.zip", tmp_path)


def test_or_by_the_mirrors_own_list(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(b"smaller")
    assert proven(file, folder, tmp_path) is None
    list_sums(folder)
    assert proven(file, folder, tmp_path) == folder / "a.zip"
    assert not is_official(file, folder / "a.zip", tmp_path)


def test_a_file_that_is_not_as_the_mirror_lists_it(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(b"smaller")
    list_sums(folder)
    (folder / "a.zip").write_bytes(b"damaged")
    got = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(StudyError, match=rf"checksum of .*a\.zip differs: .*SHA256SUMS.*got {got}.*copy it anew"):
        proven(file, folder, tmp_path)


def test_other_names_are_accepted(folder, tmp_path):
    (folder / "b.zip").write_bytes(b"b")
    list_sums(folder, "b.zip")
    assert proven(RemoteFile("a.zip", aliases=("b.zip",)), folder, tmp_path) == folder / "b.zip"
    assert proven(RemoteFile("c.zip"), folder, tmp_path) is None


def test_a_mirror_on_the_network_is_copied_apart_from_official_files(file, server, tmp_path):
    server.files["a.zip"] = b"smaller"
    server.files["SHA256SUMS"] = f"{hashlib.sha256(b'smaller').hexdigest()}  a.zip\n".encode()
    store = copy_mirror([file], tmp_path, server.url + "/")
    assert proven(file, store, tmp_path).read_bytes() == b"smaller"
    assert store.parent == tmp_path
    asked = len(server.asked)
    assert copy_mirror([file], tmp_path, server.url) == store
    assert len(server.asked) == asked


def test_a_mirror_whose_list_of_checksums_was_mended_is_believed(file, server, tmp_path):
    server.files["a.zip"], server.files["SHA256SUMS"] = b"smaller", f"{'00' * 32}  a.zip\n".encode()
    store = copy_mirror([file], tmp_path, server.url)
    with pytest.raises(StudyError, match="delete it and copy it anew"):
        proven(file, store, tmp_path)
    (store / "a.zip").unlink()  # as the message says
    server.files["SHA256SUMS"] = f"{hashlib.sha256(b'smaller').hexdigest()}  a.zip\n".encode()
    assert proven(file, copy_mirror([file], tmp_path, server.url), tmp_path).read_bytes() == b"smaller"


@pytest.mark.parametrize("status", [403, 404, 410])
def test_what_a_mirror_on_the_network_lacks(file, server, tmp_path, status):
    server.files.clear()
    server.absent = status
    with pytest.raises(StudyError, match=rf"a\.zip is not on the mirror http.*answers {status}.*unset DATA_MIRROR"):
        copy_mirror([file], tmp_path, server.url)


def test_a_mirror_may_lack_what_the_study_can_do_without(server, tmp_path):
    table = RemoteFile("t.zip", urls=("https://host/t.zip",))
    inside, optional = RemoteFile("t.csv", inside="t.zip"), RemoteFile("m.zip", table.urls, optional=True)
    with pytest.raises(StudyError, match=r"t\.zip is not on the mirror"):
        copy_mirror([table, inside, optional], tmp_path, server.url)
    server.files["t.csv"] = b"image\n"
    store = copy_mirror([table, inside, optional], tmp_path, server.url)
    assert sorted(path.name for path in store.iterdir()) == ["t.csv"]


def test_a_mirror_that_answers_a_page_for_everything_has_nothing(file, server, tmp_path):
    server.files = dict.fromkeys(("a.zip", "SHA256SUMS"), b"<!doctype html><title>Welcome</title>")
    with pytest.raises(StudyError, match=r"a\.zip is not on the mirror .*answers with a page"):
        copy_mirror([file], tmp_path, server.url)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_mirror_that_breaks_off_is_asked_for_the_rest(file, server, tmp_path):
    server.breaks = 3
    server.files["SHA256SUMS"] = f"{hashlib.sha256(CONTENT).hexdigest()}  a.zip\n".encode()
    assert proven(file, copy_mirror([file], tmp_path, server.url), tmp_path).read_bytes() == CONTENT


def test_a_mirror_that_breaks_off_and_ignores_ranges_keeps_nothing_half(file, server, tmp_path):
    server.breaks, server.ranges = 99, False
    with pytest.raises(StudyError, match=r"cannot download a\.zip from http"):
        copy_mirror([file], tmp_path, server.url)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".part"] == []
    server.breaks = 0
    assert (copy_mirror([file], tmp_path, server.url) / "a.zip").read_bytes() == CONTENT
