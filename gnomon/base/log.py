"""Logging: one line a message on standard error, and libraries kept quiet."""

import logging
import os
import warnings


def tame_libraries() -> None:
    """Set up logging for a command: our warnings are shown, the chatter of libraries is not."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("gguf").setLevel(logging.ERROR)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")
