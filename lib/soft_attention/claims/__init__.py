import logging

import mlscorecheck  # noqa: F401  sets up its own log when it is imported

logging.getLogger("mlscorecheck").setLevel(logging.WARNING)  # it reports every step otherwise
