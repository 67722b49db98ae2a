"""The form of the notebooks. What they compute is checked by pytest --nbval, which executes them."""

import ast
import re

import nbformat
import pytest
from nbval.kernel import start_new_kernel
from refresh import IGNORED

from soft_attention import paths
from soft_attention.study.config import PLAY, Run, Study

FILES = sorted(paths.NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_there_are_notebooks():
    assert [file.stem[:2] for file in FILES][:6] == ["01", "02", "03", "04", "05", "06"]


def test_one_parameters_cell_with_literals_only(notebook):
    (cell,) = tagged(notebook, "parameters")
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign), "plain assignments: papermill does not see annotated ones"
        ast.literal_eval(statement.value)
    before = notebook.cells[: notebook.cells.index(cell)]
    assert all(c.cell_type == "markdown" for c in before), "papermill's values must come before any use"


def test_starts_with_what_it_does_and_costs(notebook):
    title = notebook.cells[0].source
    assert title.startswith("# ") and all(word in title for word in ("What it does", "| in |", "| out |", "| time |"))


def test_every_parameter_is_explained(notebook):
    (cell,) = tagged(notebook, "parameters")
    prose = "".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    for statement in ast.parse(cell.source).body:
        assert f"`{statement.targets[0].id}`" in prose


def test_cells_are_short(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            assert len(cell.source.splitlines()) <= 22, cell.source


def test_kept_outputs_are_text_that_is_the_same_everywhere(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count, "nbval compares nothing in a cell without a count"
            assert not (cell.outputs and IGNORED in cell.metadata.get("tags", []))
            kinds = {kind for output in cell.outputs for kind in output.get("data", {"text/plain"})}
            assert kinds <= {"text/plain", "text/html"}, "printed lines and tables"


def test_every_notebook_has_outputs_to_compare(notebook):
    assert any(cell.get("outputs") for cell in notebook.cells)


def test_no_cell_assigns_an_imported_name(notebook):
    tree = ast.parse("\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assigned |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    assert not imported & assigned


def numbers(text):
    """Each number of a text with its decimals; without years, and numbers that are part of a name."""
    found = re.findall(r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?(?![\w/])", re.sub(r"(et al\.,?|NAME) \(?\d{4}\)?", "", text))
    return [(float(each.replace(",", "")), len(each.partition(".")[2])) for each in found]


def test_the_claims_quote_only_numbers_that_the_cells_compute():
    cells = nbformat.read(paths.NOTEBOOKS / "05_claims.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    tables = " ".join(output.data["text/html"] for output in outputs if "data" in output)
    printed = " ".join(output.text for output in outputs if "text" in output) + re.sub("<[^>]*>", " ", tables)
    computed = {value for value, _ in numbers(printed.replace("/", " "))}
    for cell in cells:
        for value, decimals in numbers(cell.source) if cell.cell_type == "markdown" else ():
            if decimals or value > 100:
                assert value in {round(each, decimals) for each in computed}, cell.source


def test_defaults_of_the_training_notebook_are_a_run_of_the_smoke_study_to_play_with():
    (cell,) = tagged(nbformat.read(paths.NOTEBOOKS / "02_train.ipynb", as_version=4), "parameters")
    values = {s.targets[0].id: ast.literal_eval(s.value) for s in ast.parse(cell.source).body}
    assert set(values) == set(Run.model_fields), "the cell and the schema have the same names"
    assert values["study"] == PLAY
    assert Run(**values | {"study": "smoke"}) in Study.load("smoke").runs()


def test_a_kernel_needs_no_free_port():
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        assert manager.transport == "ipc"
        assert client.execute_interactive("1 + 1", timeout=60)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
