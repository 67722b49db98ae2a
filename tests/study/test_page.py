"""What of a notebook stands on its page."""

import html
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from soft_attention.report import figures, styling
from soft_attention.study.page import contents, html_page, shown

HOSTILE = "<img src=x onerror='window.hostile = 1'><script>window.hostile = 1</script>"


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


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page with what reports have: a first screen, a wide table, a long folded one, a figure, and a hostile name."""
    folder = tmp_path_factory.mktemp("mine") / "summary"
    folder.mkdir()
    wide = pd.DataFrame({f"a column with a name {n}": [0.5] for n in range(14)} | {"class": [HOSTILE]})
    wide.to_csv(folder / "wide.csv", index=False)
    rows = pd.DataFrame({"name": ["a"], "arm": "paper", "value": 1.0, "low": 0.0, "high": 2.0})
    drawn = styling.picture(figures.png(figures.interval_plot(rows, "points", "t", margin=2)), "A drawing")
    heading = f"<h1>The study {html.escape('<mine>')}</h1>"

    def displayed(*contents, tags=()):
        outputs = [new_output("display_data", data={"text/html": content}) for content in contents]
        return new_code_cell("x", metadata={"tags": list(tags)}, outputs=outputs)

    table = styling.box(wide, "<b>Wide</b>", csv=folder / "wide.csv").data
    folded = styling.box(wide, "<b>Folded</b>", csv=folder / "wide.csv", folded=True).data
    cells = [displayed(heading, "<p>Asked</p>", "<p>Answer</p>", drawn.data, tags=["front"])]
    cells += [text("## The paper's tables beside ours"), displayed(table), text("## What was run"), displayed(folded)]
    nbformat.write(new_notebook(cells=cells), folder / "n.ipynb")
    page = folder.parent / "report.html"
    page.write_text(html_page(folder / "n.ipynb"), encoding="utf-8")
    return page


def opened(browser, report, **options):
    page = browser.new_page(**options)
    page.requested = []
    page.on("request", lambda request: page.requested.append(request.url))
    page.goto(report.as_uri())
    return page


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_a_report_asks_nothing_of_the_network_and_fits_the_screen(browser, report, width):
    page = opened(browser, report, viewport={"width": width, "height": 800})
    assert page.title() == "The study <mine>"
    assert [url for url in page.requested if not url.startswith(("data:", "file:"))] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "wide tables scroll inside their box"
    assert page.evaluate("[...document.images].every(image => image.alt && image.naturalWidth)")
    assert page.evaluate("window.hostile") is None
    page.close()


def test_links_lead_to_sections_and_to_the_csv(browser, report):
    page = opened(browser, report)
    links = page.evaluate("[...document.querySelectorAll('a[href^=\"#\"]')].map(a => decodeURI(a.hash.slice(1)))")
    assert "What-was-run" in links
    assert all(page.evaluate("id => !!document.getElementById(id)", link) for link in links)
    with page.expect_download() as download:
        page.click("figure .csv a")
    assert download.value.suggested_filename.endswith("-wide.csv")
    csv = (report.parent / "summary" / "wide.csv").read_text(encoding="utf-8")
    assert Path(download.value.path()).read_text(encoding="utf-8") == csv
    page.close()


def test_a_report_follows_the_system_into_the_dark(browser, report):
    def lightness(scheme):
        page = opened(browser, report, color_scheme=scheme)
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.close()
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert lightness("dark") < 150 < 600 < lightness("light")


def test_on_paper_folded_tables_are_open_and_nothing_is_cut_off(browser, report):
    page = opened(browser, report, viewport={"width": 1017, "height": 690})  # A4 on its side without its margins
    height = "document.querySelector('details table').getBoundingClientRect().height"
    assert page.evaluate("!document.querySelector('details table').checkVisibility({contentVisibilityAuto: true})")
    page.emulate_media(media="print")
    assert page.evaluate(height) > 0
    assert page.evaluate("document.querySelector('details table').checkVisibility()")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1017
    pages = re.findall(rb"/MediaBox \[0 0 (\d+)", page.pdf(prefer_css_page_size=True))
    assert {int(width) for width in pages} == {594, 841}, "a wide table has pages on their side, the rest is upright"
    page.evaluate(
        "document.querySelectorAll(':is(figure, details):has(th:nth-child(12))').forEach(wide => wide.remove())"
    )
    page.set_viewport_size({"width": 690, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 690
    page.close()
