"""Fixtures shared by all tests: folders that are not in the repository, each named by an environment variable."""

import os
from pathlib import Path

import pytest


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
