"""TensorFlow greets on stderr when it is loaded. In a notebook that is a red banner, and not what a reader came for."""

import os


def load_backend() -> None:
    """Import Keras and its backend with stderr shut. Later warnings and errors arrive as usual."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
