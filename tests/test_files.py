"""Files that are whole or absent, one process at a time in a folder, and what a kill leaves."""

import threading

import pytest

from soft_attention import files


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
