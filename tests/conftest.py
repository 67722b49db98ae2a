"""Fixtures shared by all tests: a browser, and folders outside the repository that environment variables name."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import nbval.kernel
import pytest
from jupyter_client.manager import KernelManager

from soft_attention import files

for number in (signal.SIGINT, signal.SIGHUP):  # where the tests run in the background or by nohup, they are ignored
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, lambda *_: None)  # still, but no more by what the tests start


def pytest_configure(config: pytest.Config) -> None:
    """Kernels of notebooks talk through files: two workers that each start one may be given the same free port."""
    stack = ExitStack()
    config.add_cleanup(stack.close)
    folder = stack.enter_context(files.scratch("nbval-", longest=70))  # a socket's path has 103 bytes at most

    def own_files(**options) -> KernelManager:
        return KernelManager(transport="ipc", connection_file=f"{folder}/{uuid4().hex[:8]}.json", **options)

    nbval.kernel.KernelManager = own_files


def folder(variable: str, holds: str, what: str) -> Path:
    """The folder that an environment variable names; the test is skipped, with a reason, where it is not there."""
    place = Path(os.environ.get(variable) or "not set")
    if not (place / holds).exists():
        pytest.skip(f"no {what}: set {variable}")
    return place


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder with the official files of HAM10000 and ISIC 2017 (see docs/data.md)."""
    return folder("DATA_MIRROR", "HAM10000_metadata.csv", "mirror of the real images")


@pytest.fixture(scope="session")
def facts() -> Path:
    """A folder with the collected facts that the published numbers were copied from."""
    return folder("STUDY_FACTS", "published_networks.csv", "collected facts")


@pytest.fixture(scope="session")
def cases() -> Path:
    """A folder with small inputs from the field, each of which stands for a kind of trouble."""
    return folder("STUDY_CASES", "README.md", "inputs from the field")


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """Chromium without a window, driven by playwright; the tests are skipped where none is installed."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    executable = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if executable is None:
        pytest.skip("no Chromium: install it, or set CHROMIUM to its path")
    # Its own calls home would count as requests of the page.
    options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=options)
        yield chromium
        chromium.close()
