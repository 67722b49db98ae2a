"""List which function makes which kept table, into docs/architecture.md.

python scripts/list_tables.py
"""

from collections.abc import Iterator

from soft_attention import paths
from soft_attention.report import kept

PAGE = paths.ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
PLACES = {"results/STUDY/summary": kept.SUMMARY, "results/claims": kept.CLAIMS}


def rows() -> Iterator[str]:
    """A line of Markdown for each table."""
    for folder, tables in PLACES.items():
        for name, table in tables.items():
            module, _, _ = table.made_by.rpartition(".")
            file = f"lib/soft_attention/{module.replace('.', '/')}.py"
            yield f"| {table.caption} | `{folder}/{name}.csv` | [`{table.made_by}`](../{file}) |\n"


def listed(page: str) -> str:
    """The page with the list between its marks."""
    before, rest = page.split(BEGIN)
    table = "".join(["| table | CSV | function |\n", "|---|---|---|\n", *rows()])
    return before + BEGIN + table + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(listed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
