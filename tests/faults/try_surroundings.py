"""Surroundings that a study does not choose: names, locale, folders, other programs' packages and kernels."""

import os
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

HOSTILE = ["<img src=x onerror=alert(1)>", "$(touch owned)", 'it\'s "quoted"; touch owned', "../../owned"]


class Tags(HTMLParser):
    """What a browser would act on in a page."""

    def __init__(self, page: str):
        super().__init__()
        self.active, self.pictures = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.active += [tag] * (tag == "script") + [name for name, _ in attributes if name.startswith("on")]
        self.pictures += [value for name, value in attributes if tag == "img" and name == "src"]


def test_a_study_runs_in_odd_surroundings_and_ends_in_the_same_numbers(project, undisturbed, tmp_path):
    long = tmp_path / ("t" * 112)
    trap = tmp_path / "share" / "kernels" / "python3" / "kernel.json"
    foreign = tmp_path / "foreign" / "pandas.py"
    for file in (trap, foreign, long / "x"):
        file.parent.mkdir(parents=True, exist_ok=True)
    trap.write_text('{"argv": ["/bin/false"], "display_name": "a trap", "language": "python"}')
    foreign.write_text("raise ImportError('a foreign pandas')")
    odd = {
        "HOME": "/nonexistent",
        "LC_ALL": "en_US.ISO-8859-1",
        "TMPDIR": str(long),
        "JUPYTER_PATH": str(tmp_path / "share"),
        "PYTHONPATH": str(foreign.parent),
    }
    before = os.umask(0o077)
    try:
        code, said = project.run(environment=odd, stdin=None)
    finally:
        os.umask(before)
    assert code == 0, said
    assert project.result() == undisturbed
    assert not list(project.folder.rglob("owned")), "a name was executed"


def test_hostile_names_are_neither_executed_nor_pages(project):
    own = project.folder / "own $(touch owned) 'it'"
    own.mkdir()
    rows = []
    for number in range(80):
        values = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype="uint8")
        Image.fromarray(values).save(own / f"{number}.png")
        rows.append({"image_id": str(number), "label": HOSTILE[number % 4], "lesion_id": f"<i>{number}</i>"})
    pd.DataFrame(rows).to_csv(own / "labels.csv", index=False)
    project.write_study(datasets=[str(own)], about="$(touch owned)")
    code, said = project.run()
    assert code == 0, said
    page = (project.folder / "results" / "mine" / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page, "a browser would run nothing, if anything had come through"
    tags = Tags(page)
    assert not tags.active, "no script, and nothing that happens"
    assert not [source for source in tags.pictures if not source.startswith("data:")], "no picture of anybody else's"
    assert not list(project.folder.rglob("owned")) and not list(project.folder.parent.glob("owned"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root may be somebody else")
def test_the_project_of_another_user_is_named(project):
    for folder in (project.folder, *project.folder.parents):
        if folder.stat().st_uid == 0 and not folder.stat().st_mode & 1:
            folder.chmod(0o755)  # pytest's own folders, up to the one for temporary files
    code, said = project.run(user="nobody")
    assert (
        code == 1
        and said == f"error: {project.folder} cannot be written to (by nobody): results and data have no place\n"
    )


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="only root may own another's files")
def test_images_that_only_another_user_may_read_are_named(project):
    own = project.folder / "own"
    own.mkdir()
    (own / "labels.csv").write_text("image_id,label\n1,a\n2,b\n")
    for number in (1, 2):
        Image.new("RGB", (32, 32)).save(own / f"{number}.png")
    (own / "2.png").chmod(0o600)
    shutil.chown(own / "2.png", "nobody")
    project.write_study(datasets=[str(own)])
    as_others = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")  # root without root's right to read all
    code, said = project.run(before=as_others)
    assert code == 1 and f"{own / '2.png'} cannot be read: Permission denied" in said and "Traceback" not in said
