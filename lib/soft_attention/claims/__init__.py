import logging

logging.getLogger("mlscorecheck").setLevel(logging.WARNING)  # it reports every step otherwise
