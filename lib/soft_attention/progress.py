"""Progress of a notebook, for the stage that executes it."""


def say(text: str) -> None:
    """Print a line that the stage shows while the notebook runs."""
    print(f"» {text}", flush=True)
