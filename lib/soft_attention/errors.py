"""The study's own exception, and the sentence that names what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class StudyError(Exception):
    """A problem a person can mend: a damaged file, a leak, a missing run. The message is one clear sentence."""


def known(name: str, names: Iterable[str], kind: str) -> str:
    """Return `name` if it is one of `names`; otherwise ValueError with the choices and the nearest one."""
    names = list(names)
    if name in names:
        return name
    near = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {kind} {name!r}: expected one of {', '.join(names)}{hint}")
