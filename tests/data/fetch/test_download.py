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
from soft_attention.data.fetch import download
from soft_attention.data.fetch.download import fetch
from soft_attention.errors import StudyError

CONTENT = bytes(i * i % 251 for i in range(1_000_000))
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`; `server.breaks` answers stop half-way; ranges only if `server.ranges`."""

    def do_GET(self):
        name, server = self.path.strip("/"), self.server
        server.asked.append((name, self.headers.get("Range")))
        if name not in server.files:
            return self.send_error(404)
        content, start = server.files[name], 0
        if server.ranges and (match := re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))):
            start = int(match[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                return self.end_headers()
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks:
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
    server.files["a.zip"] = b"<html>Sign in</html>"
    with pytest.raises(StudyError, match=rf"a\.zip.*expected md5:{MD5} but got .*; run again"):
        fetch(file, tmp_path)
    assert list(tmp_path.glob("a.zip*")) == []


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


def test_the_official_file_on_a_mirror_is_used_in_place(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(CONTENT)
    assert fetch(file, tmp_path / "data", folder) == folder / "a.zip"
    assert download.is_official(file, folder / "a.zip", tmp_path)
    assert list((tmp_path / "data").glob("a.zip*")) == []


def test_a_smaller_file_needs_a_line_in_the_mirrors_list(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(b"smaller")
    with pytest.raises(StudyError, match=rf"expected md5 {MD5}, or a line .*SHA256SUMS.*copy it anew"):
        fetch(file, tmp_path, folder)
    list_sums(folder)
    assert fetch(file, tmp_path, folder) == folder / "a.zip"
    assert not download.is_official(file, folder / "a.zip", tmp_path)


def test_a_file_that_neither_host_nor_mirror_knows(file, folder, tmp_path):
    (folder / "a.zip").write_bytes(b"smaller")
    list_sums(folder)
    (folder / "a.zip").write_bytes(b"damaged")
    got = hashlib.sha256(b"damaged").hexdigest()
    with pytest.raises(StudyError, match=rf"checksum of .*a\.zip differs: .*got {got}"):
        fetch(file, tmp_path, folder)


def test_other_names_are_accepted(folder, tmp_path):
    (folder / "b.zip").write_bytes(b"b")
    assert fetch(RemoteFile("a.zip", aliases=("b.zip",)), tmp_path, folder) == folder / "b.zip"


def test_what_a_mirror_lacks(file, folder, tmp_path):
    with pytest.raises(StudyError, match=r"a\.zip is not on the mirror .*unset DATA_MIRROR"):
        fetch(file, tmp_path, folder)
    assert fetch(RemoteFile("m.zip", file.urls, optional=True), tmp_path, folder) is None


def test_a_mirror_that_is_no_folder(file, tmp_path):
    with pytest.raises(StudyError, match="typo is not a folder"):
        fetch(file, tmp_path, tmp_path / "typo")


def test_a_mirror_on_the_network_is_copied_apart_from_official_files(file, server, tmp_path):
    server.files["a.zip"] = b"smaller"
    server.files["SHA256SUMS"] = f"{hashlib.sha256(b'smaller').hexdigest()}  a.zip\n".encode()
    path = fetch(file, tmp_path, server.url + "/")
    assert path.read_bytes() == b"smaller"
    assert path.parent.parent == tmp_path
    asked = len(server.asked)
    assert fetch(file, tmp_path, server.url) == path
    assert len(server.asked) == asked


def test_a_mirror_whose_list_of_checksums_was_mended_is_believed(file, server, tmp_path):
    server.files["a.zip"], server.files["SHA256SUMS"] = b"smaller", b""
    with pytest.raises(StudyError, match="delete it and copy it anew"):
        fetch(file, tmp_path, server.url)
    next(tmp_path.glob("mirror-*/a.zip")).unlink()  # as the message says
    server.files["SHA256SUMS"] = f"{hashlib.sha256(b'smaller').hexdigest()}  a.zip\n".encode()
    assert fetch(file, tmp_path, server.url).read_bytes() == b"smaller"
