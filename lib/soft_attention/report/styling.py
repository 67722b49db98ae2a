"""Tables for reading: numbers with their intervals, few decimals, no column that says nothing."""

from collections.abc import Iterable, Sequence
from zlib import crc32

import pandas as pd
from pandas.io.formats.style import Styler

DASH = "–"
SPACE = "\N{NO-BREAK SPACE}"
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


def styled(table: pd.DataFrame, digits: int = 3) -> Styler:
    """`format_table` for a page: numbers right, words left (the class `text`), no index.

    Columns without a value are left out, and those of the place in the grid (`PLACE`) that are the same in every row.
    """
    table = table[[name for name in table if not _says_nothing(table[name])]]
    shown = format_table(table, digits)
    numeric = {name.replace("_", " ") for name in table if pd.api.types.is_numeric_dtype(table[name])}
    words = [name not in numeric for name in shown]
    marks = pd.DataFrame([["text" if word else "" for word in words]] * len(table), shown.index, shown.columns)
    headings = [{"selector": f"th.col{place}", "props": "text-align: left"} for place, word in enumerate(words) if word]
    name = f"{crc32(shown.to_csv().encode()):08x}"  # by default random: a kept report would change with every making
    page = shown.style.format(escape="html").format_index(escape="html", axis="columns")  # classes have people's names
    return page.set_uuid(name).hide(axis="index").set_td_classes(marks).set_table_styles(headings)


def interval(value: float, low: float, high: float, digits: int = 1, unit: str = "") -> str:
    """A difference and its ends, `+1.0 (-0.5 to +2.5)`; the unit stands after the value."""
    value, low, high = (f"{number:+.{digits}f}" for number in (value, low, high))
    return _with_ends(value + unit, low, high)


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
