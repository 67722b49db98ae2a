"""An executed notebook as a page: one HTML file that is read without it."""

from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from soft_attention.progress import MARK

PAGE = """\
{%- extends "lab/index.html.j2" -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>
body.jp-Notebook { max-width: 70rem; margin: 0 auto; }
.jp-RenderedHTMLCommon :is(td, th) { text-align: right; vertical-align: top; padding: 0.3em 0.5em; }
.jp-RenderedHTMLCommon :is(td, th).text, .jp-RenderedMarkdown :is(td, th) { text-align: left; }
</style>
{%- endblock -%}
"""
WORKING = {"setup", "injected-parameters"}  # tags of cells that nobody reads
OPTIONAL = "optional"


def html_page(notebook: Path) -> str:
    """A notebook as one HTML page without code, that needs no network: figures are embedded, no scripts are linked.

    Nor may a browser run or fetch any: names of classes, say, are those that some other person has given.
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
    content.cells.insert(1, nbformat.v4.new_markdown_cell(contents(content.cells), id="contents"))
    return exporter.from_notebook_node(content, {"metadata": {"name": content.metadata.get("title", notebook.stem)}})[0]


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
    return "**Contents.** " + " · ".join(f"[{title}](#{title.replace(' ', '-')})" for title in titles)


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
