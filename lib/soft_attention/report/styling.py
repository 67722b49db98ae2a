"""Tables for reading: numbers with their intervals, few decimals, no column that says nothing."""

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from IPython.display import HTML
from PIL import Image

DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
SHOWN = 0.7  # of the size of an image that is displayed: a sharp screen shows the rest
PLACE = ("dataset", "protocol", "backbone")


def format_table(table: pd.DataFrame, digits: int = 3) -> pd.DataFrame:
    """A table as text: numbers with `digits` decimals, columns of whole ones without, thousands apart by a comma.

    What is missing is an en dash, and a p-value below 0.001 is called so.

    A number and its ends, `X`, `X_low`, `X_high`, become one column "X (low to high)"; the ends of `difference` are
    `low` and `high`.
    """
    text = pd.DataFrame({name: _cells(name, table[name], digits) for name in table})
    for name, low, high in _intervals(table):
        cells = zip(text[name], text.pop(low), text.pop(high), strict=True)
        interval = pd.Series([_with_ends(*each, SPACE) for each in cells], text.index)
        text[name] = interval.where(table[low].notna().to_numpy(), text[name])
    return text.rename(columns=lambda name: name.replace("_", " "))


def html_table(table: pd.DataFrame, digits: int = 3) -> str:
    """`format_table` as HTML: numbers right, words left, no index.

    Columns without a value are left out, and those of the place in the grid (`PLACE`) that are the same in every row.
    """
    table = table[[name for name in table if not _says_nothing(table[name])]]
    shown = format_table(table, digits)
    numeric = {name.replace("_", " ") for name in table if pd.api.types.is_numeric_dtype(table[name])}
    marks = [f' style="text-align:{"right" if name in numeric else "left"}"' for name in shown]

    def row(kind: str, cells: Iterable[str]) -> str:  # classes have names that some person gave them
        cells = (f"<{kind}{mark}>{html.escape(cell)}</{kind}>" for mark, cell in zip(marks, cells, strict=True))
        return f"<tr>{''.join(cells)}</tr>"

    body = "\n".join(row("td", cells) for cells in shown.itertuples(index=False, name=None))
    return f"<table><thead>{row('th', shown)}</thead>\n<tbody>{body}</tbody></table>"


def box(table: pd.DataFrame, caption: str, digits: int = 3, csv: Path | None = None, folded: bool = False) -> HTML:
    """A table under its caption, which a click opens if it is folded.

    Args:
        caption: HTML.
        csv: the file of the table, `STUDY/summary/NAME.csv`: its content becomes a link on the page itself.
    """
    link = csv_link(csv) if csv else ""
    content = f'{link}<div class="wide" tabindex="0">{html_table(table, digits)}</div>'
    return fold(caption, content) if folded else HTML(f"<figure><figcaption>{caption}</figcaption>{content}</figure>")


def fold(caption: str, content: str) -> HTML:
    """HTML that a click on its caption, HTML too, opens."""
    return HTML(f"<details><summary>{caption}</summary>{content}</details>")


def picture(content: bytes, alternative: str, photo: bool = False) -> HTML:
    """An image on the page, with the words that stand for it where it cannot be seen.

    Args:
        content: of an image file. A drawing is kept with 128 colours, a photo as JPEG.
    """
    image, smaller = Image.open(io.BytesIO(content)).convert("RGB"), io.BytesIO()
    if photo:
        image.save(smaller, "JPEG", quality=85)
    else:
        image.quantize(128, dither=Image.Dither.NONE).save(smaller, "PNG", optimize=True)
    source = f"data:image/{'jpeg' if photo else 'png'};base64,{base64.b64encode(smaller.getvalue()).decode()}"
    size = " ".join(f'{name}="{side * SHOWN:.0f}"' for name, side in zip(("width", "height"), image.size, strict=True))
    return HTML(f'<img class="picture" alt="{html.escape(alternative)}" {size} src="{source}">')


def csv_link(csv: Path) -> str:
    """HTML: a link that holds the file itself, `STUDY/summary/NAME.csv`, and so needs no network."""
    text = quote(csv.read_text(encoding="utf-8"), safe=",;:/()+ -._=[]'")
    name = html.escape(f"{csv.parents[1].name}-{csv.name}")
    address = f"data:text/csv;charset=utf-8,{html.escape(text)}"
    return f'<p class="csv"><a download="{name}" href="{address}">{html.escape(csv.name)}</a></p>'


def interval(value: float, low: float, high: float, digits: int = 1, unit: str = "") -> str:
    """A difference and its ends, `+1.0 (-0.5 to +2.5)`; the unit stands after the value."""
    value, low, high = (f"{number:+.{digits}f}" for number in (value, low, high))
    return _with_ends(value + unit, low, high)


def points(row, unit: str = "") -> str:
    """The difference of a row of a table of comparisons, a share, in points with its ends."""
    return interval(100 * row.difference, 100 * row.low, 100 * row.high, unit=unit)


def markdown(names: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of texts as the lines of Markdown."""
    line = "| {} |".format
    return [line(" | ".join(names)), "|---" * len(names) + "|", *(line(" | ".join(cells)) for cells in rows)]


def _with_ends(value: str, low: str, high: str, space: str = " ") -> str:
    return f"{value}{space}({low}{space}to{space}{high})"


def _cells(name: str, column: pd.Series, digits: int) -> list[str]:
    numbers = [value for value in column if isinstance(value, float) and not pd.isna(value)]
    whole = any(abs(number) > 1 for number in numbers) and all(number.is_integer() for number in numbers)
    return [_cell(name, value, 0 if whole else digits) for value in column]


def _cell(name: str, value, digits: int) -> str:
    if pd.isna(value):
        return DASH
    if name == "metric":
        return value.replace("_", " ")
    if (name == "p" or name.startswith("p_")) and value < 0.001:
        return f"<{SPACE}0.001"
    if isinstance(value, float):
        return f"{value:,.{digits}f}"
    return f"{value:,}" if type(value) is int else str(value)


def _intervals(table: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Columns that are a number, its low and its high end."""
    ends = {name: (f"{name}_low", f"{name}_high") for name in table} | {"difference": ("low", "high")}
    return [(name, low, high) for name, (low, high) in ends.items() if {name, low, high} <= set(table)]


def _says_nothing(column: pd.Series) -> bool:
    empty = column.isna() | (column.astype(object) == "")
    return bool(empty.all()) or (column.name in PLACE and len(column) > 1 and column.nunique() == 1)
