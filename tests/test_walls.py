"""The rooms of the package: who may import whom, who may load Keras, and that the picture of it is up to date."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

import nbformat
import pytest

import draw_imports
from soft_attention import paths

MAY_IMPORT = {
    "ground": "",
    "evaluation": "ground",
    "data": "evaluation ground",
    "model": "evaluation ground",
    "study": "data evaluation ground",
    "run": "study data model evaluation ground",
    "report": "study data evaluation ground",
    "claims": "report study data evaluation ground",
}
BACKENDS = {"keras", "tensorflow", "jax", "torch"}


def test_every_room_imports_only_what_lies_below_it():
    rooms = draw_imports.room_imports()
    assert rooms.keys() == MAY_IMPORT.keys(), "a new room needs a place"
    for room, others in rooms.items():
        assert others <= set(MAY_IMPORT[room].split()), room


def test_no_module_imports_itself_by_a_detour():
    TopologicalSorter(draw_imports.inner_imports()).prepare()  # CycleError names the circle


def test_only_model_and_run_import_keras():
    for name, file in draw_imports.modules().items():
        loaded = {each.split(".")[0] for each in draw_imports.imported(file.read_text())}
        assert draw_imports.room(name) in ("model", "run") or not loaded & BACKENDS, file


def test_no_import_hides_where_it_leads():
    for name, others in draw_imports.inner_imports().items():
        assert "soft_attention" not in others, f"{name}: take public names from the modules that define them"
    for file in draw_imports.modules().values():
        relative = [n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
        assert not relative, f"{file}: write absolute imports"


def imports_of(notebook: str) -> str:
    """The import statements of a notebook."""
    cells = nbformat.read(paths.NOTEBOOKS / f"{notebook}.ipynb", as_version=4).cells
    nodes = [node for cell in cells if cell.cell_type == "code" for node in ast.walk(ast.parse(cell.source))]
    return "\n".join(ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def loaded_by(code: str) -> set[str]:
    """Every module that some code loads in a fresh process."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "from soft_attention.study.config import Study; Study.load('smoke').runs()",
        "import soft_attention.report.comparison",
        pytest.param(imports_of("01_data"), id="01_data"),
        pytest.param(imports_of("05_claims"), id="05_claims"),
        pytest.param(imports_of("06_summary"), id="06_summary"),
    ],
)
def test_what_trains_nothing_loads_no_keras(code):
    assert not loaded_by(code) & BACKENDS


def test_reading_a_table_loads_none_of_the_slow_packages():
    slow = {"scipy.stats", "sklearn", "statsmodels", "seaborn"}
    assert not loaded_by("import soft_attention.report.comparison") & slow


def test_the_picture_is_that_of_the_imports():
    page = draw_imports.PAGE.read_text()
    assert page == draw_imports.drawn(page), "run python scripts/draw_imports.py"
