"""Numbers as words of a sentence."""


def share(value: float, decimals: int = 3) -> str:
    """A share as text, without the zero before the point."""
    return f"{value:.{decimals}f}".removeprefix("0")
