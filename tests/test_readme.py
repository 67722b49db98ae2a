"""What README says one can do is done: its example of an own unit, and its links."""

import re
import sys

import numpy as np
import pytest

from soft_attention import paths, vocabulary
from soft_attention.model.networks import build_network
from soft_attention.study.config import Analysis, Study

README = (paths.ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def half(tmp_path, monkeypatch):
    """README's own unit, as a module of its own, and its line among the arms."""
    code, line = re.findall(r"```python\n(.*?)```", README, re.S)
    head = "import keras\nfrom keras import ops\nfrom soft_attention.model.units import Unit\n\n\n"
    (tmp_path / "readme_unit.py").write_text(head + code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    name, arm = eval("{" + line + "}", {"Arm": vocabulary.Arm, "_UNITS": "readme_unit"}).popitem()
    monkeypatch.setitem(vocabulary.ARMS, name, arm)
    yield name
    sys.modules.pop("readme_unit", None)


def test_the_own_unit_is_an_arm_like_the_others(half):
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("uint8")
    network = build_network("mobilenet", half, 3, image_size=64)
    assert network.count_params() == build_network("mobilenet", "uniform", 3, image_size=64).count_params()
    np.testing.assert_allclose(network.predict(images, verbose=0).sum(axis=1), 1, atol=1e-5)
    unit, features = network.get_layer("soft_attention"), np.ones((1, 4, 4, 384), "float32")
    assert np.asarray(unit(features))[0, :, :, 0].tolist() == [[1] * 4] * 2 + [[0] * 4] * 2
    assert Analysis(comparisons=[(half, "baseline")]).comparisons == [(half, "baseline")]


def test_the_study_of_own_images_is_one(tmp_path, monkeypatch):
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.S)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(paths, "PARAMS", tmp_path)
    assert len(Study.load("mine").runs()) == 3 * 5 * 3


def test_links_lead_somewhere():
    files = [paths.ROOT / "README.md", *sorted((paths.ROOT / "docs").glob("*.md")), paths.ROOT / "CONTRIBUTING.md"]
    broken = [
        f"{file.name}: {link}"
        for file in files
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)|src=\"([^\"]+)\"", file.read_text(encoding="utf-8"))
        for link in link
        if link and "://" not in link and not (file.parent / link).exists()
    ]
    assert not broken


def test_readme_is_short():
    assert len(README.splitlines()) <= 150
