"""A copy of the project in a folder with an odd name, with a study of one short run, and what happens to it.

Nothing here is part of the default suite: every test trains, and some need root. All of it:

    pytest tests/faults/try_*.py                     DATA_DIR=folder before it saves drawing the images anew each time
"""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import yaml

from soft_attention import paths

STUDY = {
    "about": "one short run",
    "datasets": ["synthetic"],
    "backbones": ["mobilenet"],
    "arms": ["baseline"],
    "protocols": ["clean"],
    "seeds": [0],
    "settings": {"image_size": 32, "epochs": 4, "steps_per_epoch": 2, "batch_size": 8, "learning_rate": 1.0e-3},
}


class Project:
    """A copy of the project that is run as a person runs it, and killed as a machine kills it."""

    def __init__(self, folder: Path):
        self.folder = folder
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=paths.ROOT, capture_output=True, check=True).stdout
        for name in filter(None, listed.decode().split("\0")):
            if not name.startswith(("results/", "tests/", "docs/")) and (paths.ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(paths.ROOT / name, folder / name)
        self.write_study()
        self._borrow_packages()

    def write_study(self, **changed):
        (self.folder / "params" / "mine.yaml").write_text(yaml.safe_dump(STUDY | changed), encoding="utf-8")

    def _borrow_packages(self):
        """An environment of its own for this copy, with the packages of the one that runs the tests."""
        venv = self.folder / ".venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        site = next(venv.glob("lib/python*/site-packages"))
        lent = [path for path in sys.path if path.endswith("site-packages")] or [sysconfig.get_path("purelib")]
        (site / "a.pth").write_text("\n".join([str(self.folder / "lib"), *lent]), encoding="utf-8")
        (venv / "share").symlink_to(Path(sys.prefix) / "share")  # templates of the report
        command = venv / "bin" / "snakemake"
        command.write_text('#!/bin/sh\nexec python -m snakemake "$@"\n')
        command.chmod(0o755)
        shutil.copy(self.folder / "requirements-cpu.lock", venv / "installed.lock")

    def start(self, *options, environment=None, before=(), **more):
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        surroundings = kept | {"DEVICE": "cpu"} | (environment or {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [*before, "./run_all.sh", "mine", *options]
        return subprocess.Popen(command, cwd=self.folder, env=surroundings, start_new_session=True, **pipes, **more)

    def run(self, *options, **more):
        """The exit code and all that was said."""
        process = self.start(*options, **more)
        said = process.communicate()[0]
        print(said)
        return process.returncode, said

    def processes(self, *words):
        """The numbers of the processes that run in this copy and whose command holds all of the words."""
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                command = (each / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
                here = Path(os.readlink(each / "cwd")).is_relative_to(self.folder)
            except OSError:
                continue
            if here and all(word in command for word in words):
                found.append(int(each.name))
        return found

    def wait_for(self, *words, seconds=300):
        """The first process with these words in its command."""
        until = time.time() + seconds
        while time.time() < until:
            if found := self.processes(*words):
                return found[0]
            time.sleep(0.05)
        raise TimeoutError(f"no process {words}")

    def result(self):
        """What a disturbance must not change: scores and predictions, bit for bit."""
        run = next(self.folder.glob("results/mine/runs/**/metrics.json")).parent
        return (run / "metrics.json").read_bytes(), (run / "predictions.parquet").read_bytes()

    def litter(self):
        """What lies in the results and is neither a result nor ignored by git, or a temporary file."""
        names = ("*.failed.*", "*.weights.h5", ".????????-*")
        return [file for name in names for file in self.folder.glob(f"results/**/{name}")]

    def end(self):
        for number in self.processes():
            os.kill(number, signal.SIGKILL)


@pytest.fixture(scope="session")
def make_project():
    return Project


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path / "Gerät & 'co' $(touch owned)")
    yield project
    project.end()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The result of the study where nothing went wrong."""
    project = Project(tmp_path_factory.mktemp("undisturbed"))
    code, said = project.run()
    assert code == 0, said
    return project.result()


@pytest.fixture
def little_memory():
    """Gives what starts a process among those that may use so many MiB together: the system kills what takes more."""
    groups = [(Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"), (Path("/sys/fs/cgroup"), "memory.max")]
    above, limit = next((each for each in groups if (each[0] / "cgroup.procs").exists()), groups[0])
    group = above / f"faults-{os.getpid()}"
    made = []

    def limited(mib: int):
        try:
            group.mkdir()
            made.append(group)
            (group / limit).write_text(str(mib << 20))
        except OSError as error:
            pytest.skip(f"no memory can be limited here: {error}")
        return {"preexec_fn": lambda: (group / "cgroup.procs").write_text("0")}

    yield limited
    for each in made:
        each.rmdir()


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk in memory of so many MiB on a folder; the size may be changed later."""
    mounted = []

    def mount(folder: Path, size: int | str, *options: str):
        folder.mkdir(parents=True, exist_ok=True)
        wanted = ",".join([f"size={size}m", *options])
        if folder in mounted:
            wanted = f"remount,{wanted}"
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", wanted, "tmpfs", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr}")
        mounted.append(folder)

    yield mount
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", "-l", folder])
