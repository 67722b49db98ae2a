"""What of a notebook stands on its page."""

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from soft_attention.study.page import contents, html_page, shown


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(*lines, tags=()):
    outputs = [new_output("stream", text="".join(f"{line}\n" for line in lines))] if lines else []
    return new_code_cell("x", metadata={"tags": list(tags)}, outputs=outputs)


def sources(cells):
    return [cell.source for cell in cells if cell.cell_type == "markdown"]


def test_a_section_that_says_nothing_is_left_out():
    cells = [text("# Title"), text("## Empty", "optional"), code(), text("more", "optional"), code("» busy")]
    cells += [text("## Full", "optional"), text("of this", "optional"), code(), text("of that", "optional"), code("1")]
    assert sources(shown(cells)) == ["# Title", "## Full", "of that"]


def test_text_that_is_not_optional_stays():
    assert sources(shown([text("## A"), text("prose"), code()])) == ["## A", "prose"]


def test_progress_is_no_result():
    (cell,) = shown([code("» reading", "a result")])
    assert cell.outputs[0].text == "a result\n"


def test_cells_for_people_at_work_are_left_out():
    assert shown([text("Parameters", "setup"), code("x", tags=["injected-parameters"])]) == []


def test_the_contents_name_the_sections_that_are_there():
    cells = shown([text("# T"), text("## The answer\n\nIt is."), code("1"), text("## Nothing", "optional"), code()])
    assert contents(cells) == "**Contents.** [The answer](#The-answer)"


def test_the_page_needs_no_network_and_shows_no_code(tmp_path):
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("secret_code()", outputs=[new_output("stream", text="a result")], execution_count=1),
        new_markdown_cell("only for people at work", metadata={"tags": ["setup"]}),
        new_code_cell("x", metadata={"tags": ["injected-parameters"]}, id="a-random-name"),
    ]
    nbformat.write(new_notebook(cells=cells, metadata={}), tmp_path / "n.ipynb")
    page = html_page(tmp_path / "n.ipynb")
    assert "script-src" not in page and "default-src 'none'" in page, "a browser runs and fetches nothing"
    assert "a result" in page and "<title>Title</title>" in page
    assert "secret_code" not in page and "only for people at work" not in page
    assert "a-random-name" not in page, "two reports of the same results would differ"
    for fetched in ('src="http', "src='http", 'href="http', "from 'http", 'from "http', "import('http"):
        assert fetched not in page
