"""Execute the notebooks with their defaults and write back only the outputs that the tests compare.

    python tests/notebooks/refresh.py [NAME ...]

Run it after a change that is meant to change what a notebook prints, and read the difference before you commit it.
"""

import sys

import nbformat
from nbclient import NotebookClient

from soft_attention import paths

IGNORED = "nbval-ignore-output"


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop the outputs that may differ between machines, and all metadata of the execution."""
    count = 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = {"tags": tags} if tags else {}
        if cell.cell_type == "code":
            count += 1
            if IGNORED in tags:
                cell.outputs = []
            cell.execution_count = count
            for output in cell.outputs:
                if "execution_count" in output:
                    output.execution_count = count
    notebook.metadata.pop("widgets", None)
    return notebook


def main(names: list[str]) -> None:
    for file in sorted(paths.NOTEBOOKS.glob("*.ipynb")):
        if not names or file.stem in names:
            notebook = nbformat.read(file, as_version=4)
            metadata = dict(notebook.metadata)
            NotebookClient(notebook, resources={"metadata": {"path": str(file.parent)}}).execute()
            notebook.metadata = metadata
            nbformat.write(clean(notebook), file)
            print("refreshed", file.name)


if __name__ == "__main__":
    main(sys.argv[1:])
