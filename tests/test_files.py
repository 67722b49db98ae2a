"""Files that are whole or absent, one process at a time in a folder, and what a kill leaves."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from soft_attention import files
from soft_attention.errors import StudyError


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    file = tmp_path / "sub" / "a.txt"
    with pytest.raises(RuntimeError), files.atomic(file) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert list(file.parent.iterdir()) == []
    with files.atomic(file) as temporary:
        temporary.write_text("whole")
        assert not file.exists()
    assert [each.name for each in file.parent.iterdir()] == ["a.txt"] and file.read_text() == "whole"


def test_a_second_process_waits_for_the_first(tmp_path):
    entered = threading.Event()

    def second():
        with files.one_at_a_time(tmp_path / "data"):
            entered.set()

    thread = threading.Thread(target=second)
    with files.one_at_a_time(tmp_path / "data"):
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()


def test_the_notebook_of_a_stage_enters_the_folder_that_the_stage_holds(tmp_path):
    enters = (
        "import sys, pathlib, soft_attention.files as f\nwith f.one_at_a_time(pathlib.Path(sys.argv[1])): print('in')"
    )
    with files.one_at_a_time(tmp_path):
        child = subprocess.run([sys.executable, "-c", enters, tmp_path], capture_output=True, text=True, timeout=60)
    assert child.stdout == "in\n"


def test_a_folder_is_held_until_it_is_let_go(tmp_path):
    files.hold(tmp_path)
    files.hold(tmp_path)
    with open(tmp_path / ".lock") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    files.let_go(tmp_path)
    files.let_go(tmp_path)
    with files.one_at_a_time(tmp_path):
        pass


def test_leftovers_are_those_of_this_file_alone(tmp_path):
    file = tmp_path / "a.npy"
    with files.atomic(file) as temporary:
        temporary.write_text("x")
        assert files.leftovers(file) == [temporary]
    for name in ("a.npy", ".lock", ".0123abcd-b.npy", ".notahexa-a.npy"):
        (tmp_path / name).touch()
    assert files.leftovers(file) == []


def test_json_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "x.json", {"a": object()})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("Can't write data (file write failed: errno = 28, error message = 'No space left on device')"),
        RuntimeError("Can't decrement id ref count (unable to close file, errno = 28)"),
    ],
)
def test_a_full_disk_is_told_with_the_file_and_what_is_left(tmp_path, error):
    message = r"a\.txt cannot be written \(No space left .*\): [\d,]+ MiB are free on its disk"
    with pytest.raises(StudyError, match=message), files.atomic(tmp_path / "a.txt") as temporary:
        temporary.touch()
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_not_called_unwritable(tmp_path):
    with pytest.raises(PermissionError), files.writing(tmp_path / "a.txt"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/image.jpg")


def test_a_file_system_that_never_answers_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PATIENCE", 0.1)
    answered = threading.Event()
    monkeypatch.setattr(files.fcntl, "flock", lambda *_: answered.wait(5))
    with pytest.raises(StudyError, match=r"locks no files \(no answer within"), files.one_at_a_time(tmp_path):
        pass
    answered.set()


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with pytest.raises(StudyError, match=r"locks no files \(No locks available\)"), files.one_at_a_time(tmp_path):
        pass


def test_a_long_folder_for_temporary_files_is_not_used(tmp_path, monkeypatch):
    long = tmp_path / ("x" * 112)
    long.mkdir()
    monkeypatch.setattr(files.tempfile, "tempdir", str(long))
    with files.scratch("kernel-", longest=80) as folder:
        assert len(str(folder)) <= 80 and folder.is_dir()
    assert not folder.exists()


def test_scratch_folders_of_killed_processes_are_removed_and_others_left(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    code = "from soft_attention import files\nwith files.scratch('k-', 1000) as f: print(f, flush=True); input()"
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    pipes = {"env": environment, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    killed, working = (subprocess.Popen([sys.executable, "-c", code], **pipes) for _ in range(2))
    left, held = (Path(process.stdout.readline().strip()) for process in (killed, working))
    killed.kill()
    killed.wait()
    hour_ago = time.time() - 3600
    for folder in (left, held):
        os.utime(folder, (hour_ago, hour_ago))
    with files.scratch("k-", 1000):
        assert not left.exists() and held.exists()
    working.communicate("\n")
    assert not held.exists()


def test_the_lock_of_a_folder_is_one_that_other_programs_see(tmp_path):
    with files.one_at_a_time(tmp_path), open(tmp_path / ".lock") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
