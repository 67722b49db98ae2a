"""The study's own exceptions, and the sentence that names what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

LISTED = 20  # more names than these are not all told


class StudyError(Exception):
    """A problem a person can mend: a damaged file, a leak, a missing run. The message is one clear sentence.

    In a notebook that sentence is all that is shown; `%tb` shows where it arose.
    """

    def _render_traceback_(self) -> list[str]:
        """What IPython prints of the exception instead of a traceback."""
        return [f"\N{ESC}[31m{self}\N{ESC}[0m"]


class WrongValue(StudyError, ValueError):
    """A value that a person has chosen and that does not exist or does not fit."""


def known(name: str, names: Iterable[str], kind: str) -> str:
    """Return `name` if it is one of `names`; otherwise WrongValue with the choices and the nearest one."""
    names = list(names)
    if name in names:
        return name
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    others = f", ... ({len(names):,} in all)" if len(names) > LISTED else ""
    raise WrongValue(f"unknown {kind} {name!r}: expected one of {', '.join(names[:LISTED])}{others}{hint}")
