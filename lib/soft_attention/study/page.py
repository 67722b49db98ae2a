"""An executed notebook as a page: one HTML file that needs neither Jupyter nor a network."""

import html
import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from soft_attention.progress import MARK

PAGE = """\
{%- extends "basic/index.html.j2" -%}
{%- block header -%}
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{{ resources.title | escape_html }}</title>
<style>
{{ resources.style }}
</style>
</head>
<body>
<main>
{%- endblock -%}
{%- block footer -%}
</main>
</body>
</html>
{%- endblock -%}
"""
STYLE = Path(__file__).with_name("page.css")
WORKING = {"setup", "injected-parameters"}  # tags of cells that nobody reads
OPTIONAL = "optional"


def html_page(notebook: Path) -> str:
    """A notebook as one HTML page without code, that needs no network: figures are embedded, no scripts are linked.

    Nor may a browser run or fetch any: names of classes, say, are those that some other person has given. Links to the
    sections stand before the first of them; the page has the title of its first heading.
    """
    exporter = HTMLExporter(
        raw_template=PAGE,
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        embed_images=True,
    )
    content = nbformat.read(notebook, as_version=4)
    content.cells = shown(content.cells)
    first = next((place for place, cell in enumerate(content.cells) if _is_heading(cell)), len(content.cells))
    content.cells.insert(first, nbformat.v4.new_markdown_cell(contents(content.cells), id="contents"))
    resources = {"title": title(content.cells) or notebook.stem, "style": STYLE.read_text(encoding="utf-8")}
    return exporter.from_notebook_node(content, resources)[0]


def title(cells: list[NotebookNode]) -> str:
    """The first heading of the highest level, in a text or in HTML that a cell displays; empty if there is none."""
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("# "):
            return cell.source.partition("\n")[0].removeprefix("# ")
        for output in cell.get("outputs", []):
            if found := re.search("<h1>(.*?)</h1>", output.get("data", {}).get("text/html", "")):
                return html.unescape(found[1])
    return ""


def shown(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells for a reader: without those for people at work, and without progress.

    Text tagged `optional` stands there only if a cell of its section says something: of a heading all cells up to the
    next heading, of other text those up to the next text.
    """
    cells = [_without_progress(cell) for cell in cells if WORKING.isdisjoint(_tags(cell))]
    return [cell for place, cell in enumerate(cells) if OPTIONAL not in _tags(cell) or _is_said(cells, place)]


def contents(cells: list[NotebookNode]) -> str:
    """Links to the sections, in Markdown."""
    titles = [cell.source.partition("\n")[0].removeprefix("## ") for cell in cells if _is_heading(cell)]
    return "**Contents.** " + " · ".join(f"[{name}](#{name.replace(' ', '-')})" for name in titles)


def _tags(cell: NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _is_heading(cell: NotebookNode) -> bool:
    return cell.cell_type == "markdown" and cell.source.startswith("## ")


def _is_said(cells: list[NotebookNode], place: int) -> bool:
    whole = _is_heading(cells[place])
    for cell in cells[place + 1 :]:
        if _is_heading(cell) or (cell.cell_type == "markdown" and not whole):
            return False
        if cell.get("outputs"):
            return True
    return False


def _without_progress(cell: NotebookNode) -> NotebookNode:
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            output.text = "".join(line for line in output.text.splitlines(True) if not line.startswith(MARK))
    if "outputs" in cell:
        cell.outputs = [output for output in cell.outputs if output.get("text") != ""]
    return cell
