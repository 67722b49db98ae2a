"""Arrays on disk: written once, whole or not at all, and cleared of what a kill left."""

import threading
import time

import numpy as np
import pytest

from soft_attention.data.arrays import open_array
from soft_attention.errors import StudyError

BLOCKS = [np.arange(6.0).reshape(1, 2, 3), np.arange(6.0, 18.0).reshape(2, 2, 3)]


def open_it(file, blocks=lambda: iter(BLOCKS)):
    return open_array(file, np.float16, (3, 2, 3), blocks)


def test_blocks_become_one_array_of_the_wanted_kind(tmp_path):
    array = open_it(tmp_path / "cache" / "a.npy")
    assert array.dtype == np.float16 and not array.flags.writeable
    assert np.array_equal(array, np.arange(18).reshape(3, 2, 3))


def test_only_the_first_call_writes(tmp_path):
    open_it(tmp_path / "a.npy")
    assert open_it(tmp_path / "a.npy", blocks=None).shape == (3, 2, 3)


def test_two_that_want_the_same_array_make_it_once(tmp_path):
    pytest.importorskip("fcntl")
    made = []

    def slow():
        made.append(1)
        time.sleep(0.1)
        return iter(BLOCKS)

    threads = [threading.Thread(target=open_it, args=(tmp_path / "a.npy", slow)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_a_full_disk_leaves_nothing(tmp_path):
    def full():
        yield BLOCKS[0]
        raise OSError(28, "No space left on device")

    with pytest.raises(StudyError, match=r"a\.npy cannot be written \(No space left on device\)"):
        open_it(tmp_path / "a.npy", full)
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    (tmp_path / ".0123abcd-a.npy").write_bytes(b"half")
    (tmp_path / ".0123abcd-other.npy").write_bytes(b"somebody else's")
    open_it(tmp_path / "a.npy")
    assert {file.name for file in tmp_path.iterdir()} == {"a.npy", ".lock", ".0123abcd-other.npy"}


@pytest.mark.parametrize("content", [b"", b"not an array"])
def test_a_damaged_file_is_named(content, tmp_path):
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(StudyError, match=r"a\.npy is damaged .*delete it and run again"):
        open_it(tmp_path / "a.npy")
