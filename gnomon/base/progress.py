"""How long work says how far it is, without knowing who watches: a console, a test, nobody."""

from typing import Protocol


class Progress(Protocol):
    """Called with what is going on, how much is done, of how much (None: not known) and in what unit."""

    def __call__(self, stage: str, done: int, total: int | None, unit: str) -> None: ...


def silent(stage: str, done: int, total: int | None, unit: str) -> None:
    """The watcher that watches nothing."""
