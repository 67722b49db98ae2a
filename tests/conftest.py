"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def mirror() -> Path:
    """A folder with the official files of HAM10000 and ISIC 2017 (see README, 'Real data')."""
    folder = Path(os.environ.get("DATA_MIRROR") or ROOT.parent / "shared" / "data")
    if not (folder / "HAM10000_metadata.csv").exists():
        pytest.skip("no mirror of the real images: set DATA_MIRROR to a folder with the official files")
    return folder


@pytest.fixture(scope="session")
def facts() -> Path:
    """A folder with the collected facts that the published numbers were copied from."""
    folder = ROOT.parent / "shared" / "facts"
    if not (folder / "published_networks.csv").exists():
        pytest.skip("the collected facts that these numbers were copied from are not beside the repository")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """A folder with small inputs from the field, each of which stands for a kind of trouble."""
    folder = Path(os.environ.get("STUDY_CASES") or ROOT.parent / "shared" / "cases")
    if not (folder / "README.md").exists():
        pytest.skip("no folder with the inputs from the field: set STUDY_CASES")
    return folder
