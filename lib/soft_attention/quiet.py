"""Import this first in a notebook: TensorFlow greets on stderr, and its banner is not what a reader came for.

    from soft_attention import quiet

Nothing else is silenced: warnings and errors after the import arrive as usual.
"""

import os

_stderr = os.dup(2)
try:
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401  (loads the backend)
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
