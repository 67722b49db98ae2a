"""Executing notebooks: what is kept of one that works, fails, or loses its kernel."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from soft_attention.errors import StudyError
from soft_attention.study import stages
from soft_attention.study.config import Study


@pytest.fixture
def notebook(tmp_path):
    def make(*sources):
        cells = [new_code_cell("x = 1", metadata={"tags": ["parameters"]}), *map(new_code_cell, sources)]
        file = tmp_path / "source.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), file)
        return file

    return make


def test_parameters_arrive_and_progress_is_shown(notebook, tmp_path, capsys):
    output = tmp_path / "out" / "done.ipynb"
    code = (
        "from soft_attention.progress import say; say(f'epoch {x}/9'); print('epoch of nobody'); print('warning: odd')"
    )
    stages.execute(notebook(code), output, {"x": 7}, "my run")
    assert [file.name for file in output.parent.iterdir()] == ["done.ipynb"]
    assert capsys.readouterr().out == "[my run] epoch 7/9\n[my run] warning: odd\n"


def test_two_notebooks_run_side_by_side(notebook, tmp_path):
    file = notebook("import time; time.sleep(2)")
    code = "from soft_attention.study.stages import execute; from pathlib import Path; import sys;"
    code += f"execute(Path({str(file)!r}), Path(sys.argv[1]), {{}}, 'side')"
    outputs = [tmp_path / f"{side}.ipynb" for side in ("left", "right")]
    both = [subprocess.Popen([sys.executable, "-c", code, str(output)], cwd=tmp_path) for output in outputs]
    assert [process.wait(300) for process in both] == [0, 0]
    assert all(output.exists() for output in outputs)


def test_a_failing_cell_leaves_its_notebook_where_the_message_says(notebook, tmp_path):
    output = tmp_path / "done.ipynb"
    with pytest.raises(
        StudyError, match=r"my run failed: ZeroDivisionError: division by zero\n.*done\.failed\.ipynb"
    ) as error:
        stages.execute(notebook("1 / 0"), output, {}, "my run")
    kept = tmp_path / "done.failed.ipynb"
    assert str(kept) in str(error.value)
    assert "ZeroDivisionError" in kept.read_text()
    assert not output.exists()


def test_a_sentence_for_people_is_told_without_the_name_of_its_class(notebook, tmp_path):
    code = "from soft_attention.errors import StudyError; raise StudyError('labels.csv: no label in line 3')"
    with pytest.raises(StudyError, match=r"^my run failed: labels\.csv: no label in line 3\n"):
        stages.execute(notebook(code), tmp_path / "done.ipynb", {}, "my run")


def test_a_parameter_that_the_notebook_does_not_have_is_an_error(notebook, tmp_path):
    with pytest.raises(StudyError, match=r"source\.ipynb has no parameter y"):
        stages.execute(notebook("pass"), tmp_path / "done.ipynb", {"y": 1}, "my run")
    assert not list(tmp_path.glob("done*"))


def test_a_kernel_that_dies_is_told_with_its_last_words(notebook, tmp_path):
    with pytest.raises(StudyError, match=r"my run failed: its process died.*done\.failed\.log: out of luck\n"):
        stages.execute(
            notebook("import os; os.write(2, b'a banner\\nout of luck\\n'); os._exit(1)"),
            tmp_path / "done.ipynb",
            {},
            "my run",
        )
    assert "a banner" in (tmp_path / "done.failed.log").read_text()


def test_a_kernel_that_is_killed_has_no_last_words(notebook, tmp_path):
    with pytest.raises(StudyError, match=r"its process was killed from outside.* memory ran out"):
        stages.execute(notebook("import os; os.kill(os.getpid(), 9)"), tmp_path / "done.ipynb", {}, "my run")
    assert {file.name for file in tmp_path.iterdir()} == {"source.ipynb", "done.failed.ipynb"}


def test_another_kernel_of_the_same_name_is_not_used(notebook, tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["/bin/false"], "display_name": "a trap", "language": "python"}')
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    output = tmp_path / "done.ipynb"
    stages.execute(notebook("import sys; print(sys.executable)"), output, {}, "my run")
    assert sys.executable in output.read_text()


def test_a_full_disk_under_a_notebook_is_told_with_the_disks(notebook, tmp_path):
    with pytest.raises(StudyError, match=r"No space left on device\n  free on the disk of .*results: [\d,]+ MiB"):
        stages.execute(notebook("raise OSError(28, 'No space left on device')"), tmp_path / "done.ipynb", {}, "my run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stage_that_is_told_to_end_takes_its_kernel_along(notebook, tmp_path, number):
    file = notebook("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(600)")
    code = "from soft_attention.study.stages import _end_on_signals, execute; from pathlib import Path;"
    code += f"_end_on_signals(); execute(Path({str(file)!r}), Path('done.ipynb'), {{}}, 'x')"
    scratch = tmp_path / "t"
    scratch.mkdir()
    environment = os.environ | {"TMPDIR": str(scratch)}
    stage = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        time.sleep(0.1)
    stage.send_signal(number)
    assert stage.wait(60) == 128 + number and b"Traceback" not in stage.stderr.read()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert list(scratch.iterdir()) == []


def test_a_run_is_not_trained_before_its_data_stage(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stages.paths, "RESULTS", tmp_path)
    monkeypatch.setattr(stages, "execute", None)
    assert stages.main(["train", "smoke", Study.load("smoke").runs()[0].id]) == 1
    assert "error: smoke lacks a record of splits of synthetic: ./run_all.sh smoke" in capsys.readouterr().err


def test_what_kills_left_beside_a_finished_run_is_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(stages.paths, "RESULTS", tmp_path)
    folder = Study.load("smoke").runs()[0].folder
    folder.mkdir(parents=True)
    kept = {"metrics.json", "model.keras", "notebook.ipynb", ".lock"}
    for name in kept | {".0123abcd-model.keras", "state-3.weights.h5", "notebook.failed.ipynb"}:
        (folder / name).touch()
    stages.train(Study.load("smoke").runs()[0])
    assert {file.name for file in folder.iterdir()} == kept


def test_why_a_stage_failed_is_kept_for_whoever_called_many(tmp_path, monkeypatch):
    monkeypatch.setenv("FAILURES", str(tmp_path / "failures"))
    for name in ("smokey", "demoo"):
        assert stages.main(["train", name, "x"]) == 1
    first, second = (tmp_path / "failures").read_text().splitlines()
    assert "smokey.yaml" in first and "demoo.yaml" in second


def test_an_unknown_study_or_run_is_one_line_and_exit_1(capsys):
    assert stages.main(["train", "smokey", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: there is no study file")
    assert stages.main(["train", "smoke", "synthetic/clean/mobilenet/released/seed-0-fold-1"]) == 1
    assert "did you mean 'synthetic/clean/mobilenet/released/seed-0-fold-0'?" in capsys.readouterr().err
    assert stages.main(["data", "smoke", "ham10000"]) == 1
    assert "no runs on 'ham10000'" in capsys.readouterr().err


def test_a_missing_run_is_only_made_for_the_studies_smoke_and_play(monkeypatch):
    run = Study.load("smoke").runs()[0].model_copy(update={"study": "never", "seed": 99})
    with pytest.raises(StudyError, match=r"never/.*seed-99-fold-0 is not finished: \./run_all\.sh never"):
        stages.ensure_run(run)
    made = []
    monkeypatch.setattr(stages, "train", made.append)
    played = run.model_copy(update={"study": "play"})
    assert stages.ensure_run(played) == played.folder and made == [played]


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    monkeypatch.setattr(stages.paths, "RESULTS", tmp_path)
    run = Study.load("smoke").runs()[0]
    run.folder.mkdir(parents=True)
    (run.folder / "metrics.json").write_text("{}")
    monkeypatch.setattr(stages, "execute", None)
    stages.train(run)
