"""What of an executed notebook stands on its page."""

from nbformat import NotebookNode

from soft_attention.progress import MARK

WORKING = {"setup", "injected-parameters"}  # tags of cells that nobody reads
OPTIONAL = "optional"


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
