"""The explorer as a person meets it: JupyterLab in Chromium, menus, arrows, and a large photo."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from soft_attention import build_network, paths
from soft_attention.study.config import Study

PATIENCE = 300_000  # milliseconds: the first answer loads TensorFlow, also on a busy machine
SMOKE = "smoke/synthetic/clean/mobilenet/released/seed-0-fold-0"
OTHER = "other/mine/clean/mobilenet/paper/seed-0-fold-0"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what the explorer needs, with two untrained runs: nothing is written into this checkout."""
    root = tmp_path_factory.mktemp("project")
    for folder in ("lib", "params"):
        shutil.copytree(paths.ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (root / "notebooks").mkdir()
    shutil.copy(paths.NOTEBOOKS / "explore.ipynb", root / "notebooks")
    smoke = Study.load("smoke").runs()[1]
    leave(root, smoke, classes=7)
    leave(
        root, smoke.model_copy(update={"study": "other", "dataset": str(own_images(root)), "arm": "paper"}), classes=2
    )
    return root


def own_images(root):
    """A data set of forty small images in two classes."""
    folder = root / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = ["image_id,label,lesion_id"]
    for number in range(40):
        Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(folder / f"i{number}.png")
        lines.append(f"i{number},{('flat', 'raised')[number % 2]},l{number}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def leave(root, run, classes):
    folder = root / "results" / run.study / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / "params.json").write_text(run.model_dump_json())
    (folder / "metrics.json").write_text("{}")
    build_network(run.backbone, run.arm, classes, run.size).save(folder / "model.keras")


@pytest.fixture(scope="module")
def lab(browser, project):
    """The address of the explorer in a JupyterLab that was started as README says, with settings of its own."""
    places = {f"JUPYTER_{kind}_DIR": str(project / kind.lower()) for kind in ("CONFIG", "RUNTIME", "DATA")}
    set_up = f'source "{paths.ROOT}/scripts/environment.sh"; let_photos_through "{project}"'
    subprocess.run(["bash", "-c", set_up], check=True)
    environment = os.environ | places
    environment |= {"JUPYTER_CONFIG_PATH": str(project / "etc" / "jupyter"), "PYTHONPATH": str(project / "lib")}
    environment |= {"DATA_DIR": str(paths.data_dir()), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--LabApp.news_url="]
    with (
        open(project / "lab.log", "w") as log,
        subprocess.Popen(
            command, cwd=project, env=environment, stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        try:
            found = wait_for_server(project, server)
            yield f"{found['url']}lab/tree/notebooks/explore.ipynb?token={found['token']}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, signal.SIGTERM)  # and its kernel


def wait_for_server(project, server):
    """What the server wrote of itself: its address, with a free port, and its token."""
    for _ in range(PATIENCE // 200):
        for file in (project / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(ValueError):  # half-written
                return json.loads(file.read_text())
        assert server.poll() is None, (project / "lab.log").read_text()
        time.sleep(0.2)
    raise AssertionError((project / "lab.log").read_text())


@pytest.fixture(scope="module")
def page(browser, lab):
    """The notebook, with all its cells run and its first answer there."""
    page = browser.new_page(viewport={"width": 1400, "height": 1800})
    page.set_default_timeout(PATIENCE)
    page.goto(lab)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.get_by_text("| Idle").first.wait_for()  # before its kernel is there, JupyterLab runs nothing and says nothing
    run_all_cells(page)
    page.get_by_text(f"{SMOKE} predicts").first.wait_for()
    yield page
    page.close()


def run_all_cells(page):
    item = page.get_by_text("Run All Cells", exact=True)
    for _ in range(PATIENCE // 1000):  # a menu that is opened while JupyterLab still starts may close again
        if item.is_visible():
            return item.click()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.wait_for_timeout(1000)
    raise AssertionError("JupyterLab does not open its menu Run")


def choose(page, menu, name):
    page.locator(".widget-dropdown select").nth(menu).select_option(label=name)


def broken_images(page):
    return page.evaluate("[...document.images].filter(image => image.complete && !image.naturalWidth).length")


def upload(page, file):
    with page.expect_file_chooser() as chooser:
        page.locator("button.widget-upload").click()
    chooser.value.set_files(file)


def test_the_menus_follow_the_run_and_the_arrows_the_class(page):
    choose(page, 0, SMOKE)
    page.get_by_text(f"{SMOKE} predicts").first.wait_for()
    assert page.locator(".widget-dropdown select").nth(1).locator("option").count() == 8  # all, and seven classes
    choose(page, 0, OTHER)
    page.get_by_text(f"{OTHER} predicts").first.wait_for()
    assert page.get_by_text(f"{SMOKE} predicts").count() == 0
    names = page.locator(".widget-dropdown select").nth(1).locator("option").all_text_contents()
    assert [name.split()[0] for name in names] == ["all", "flat", "raised"]
    choose(page, 1, names[1])
    count = names[1].split("(")[1].rstrip(")")
    page.get_by_text(f"Image 1 of {count};").wait_for()
    page.get_by_title("next image").click()
    page.get_by_text(f"Image 2 of {count};").wait_for()
    page.get_by_title("previous image").click()
    page.get_by_text(f"Image 1 of {count};").wait_for()
    assert not broken_images(page)


def test_a_large_photo_is_answered_and_follows_the_run(page, tmp_path):
    photo = tmp_path / "wide.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (1500, 4000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photo, quality=100, subsampling=0)
    assert photo.stat().st_size > 12e6, "more than a server lets through by itself"
    choose(page, 0, OTHER)
    upload(page, photo)
    page.get_by_text(f"{OTHER} predicts").and_(page.get_by_text("for wide.jpg")).wait_for()
    page.get_by_text("cropped to the 2,000 x 1,500 pixels in its middle").wait_for()
    choose(page, 0, SMOKE)
    page.get_by_text(f"{SMOKE} predicts").and_(page.get_by_text("for wide.jpg")).wait_for()
    assert page.get_by_text(f"{OTHER} predicts").count() == 0
    assert not broken_images(page)


def test_what_is_no_photo_is_said_in_the_page(page, tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("no photo")
    upload(page, notes)
    page.get_by_text("the file notes.txt is not a JPEG or PNG; choose another photo").wait_for()
    assert page.get_by_text("for wide.jpg").count() == 0 and page.get_by_text("Traceback").count() == 0
    assert not broken_images(page)
