"""Draw which room of lib/soft_attention imports which, from the imports as they stand, into docs/architecture.md.

python scripts/draw_imports.py
"""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "soft_attention"
LIB = Path(__file__).resolve().parents[1] / "lib"
PAGE = LIB.parent / "docs" / "architecture.md"
BEGIN, END = "<!-- imports: begin -->\n", "<!-- imports: end -->\n"


def modules() -> dict[str, Path]:
    """The files of the package by dotted name."""
    files = sorted((LIB / PACKAGE).rglob("*.py"))
    return {".".join(f.relative_to(LIB).with_suffix("").parts).removesuffix(".__init__"): f for f in files}


def imported(code: str) -> Iterator[str]:
    """What some code imports anywhere, dotted; `from a import b` gives `a.b`, be b a module or a name in a."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inner_imports() -> dict[str, set[str]]:
    """Of each module of the package the modules of the package that it imports."""
    files = modules()
    return {
        name: {each if each in files else each.rpartition(".")[0] for each in imported(file.read_text())} & files.keys()
        for name, file in files.items()
    }


def room(module: str) -> str:
    """The room of a module: the folder right below the package; a file there belongs to the ground."""
    folder = [*module.split("."), ""][1]
    return folder if (LIB / PACKAGE / folder / "__init__.py").exists() and folder else "ground"


def room_imports() -> dict[str, set[str]]:
    """Of each room the other rooms that it imports."""
    rooms: dict[str, set[str]] = {}
    for module, others in inner_imports().items():
        rooms.setdefault(room(module), set()).update(map(room, others))
    return {name: others - {name} for name, others in rooms.items()}


def below(name: str, rooms: dict[str, set[str]]) -> set[str]:
    """Every room that `name` imports, by whatever way."""
    return rooms[name].union(*(below(other, rooms) for other in rooms[name]))


def picture() -> str:
    """The rooms as a Mermaid diagram; an arrow that follows from others is left out."""
    rooms = room_imports()
    arrows = [
        f"    {name} --> {other}"
        for name, others in sorted(rooms.items())
        for other in sorted(others)
        if not any(other in below(between, rooms) for between in others)
    ]
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```", ""])


def drawn(page: str) -> str:
    """The page with the picture between its marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + picture() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
