"""Lines of a notebook that belong on the terminal too, where a person watches a study run."""

from collections.abc import Iterator

MARK = "» "
WARNING = "warning: "


def say(line: str) -> None:
    """Print a line with the mark by which it is known again."""
    print(MARK + line, flush=True)


def marked(text: str) -> Iterator[str]:
    """The lines of some output that were said, without their mark, and every line that begins with `warning: `."""
    for line in text.splitlines():
        if line.startswith((MARK, WARNING)):
            yield line.removeprefix(MARK)
