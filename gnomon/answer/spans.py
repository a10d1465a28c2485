"""Where in its evidence an answer stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from gnomon.answer.validate import quoted_at


@dataclass(frozen=True)
class Span:
    """A piece of a passage: characters `start` to `end` of passage number `passage` are `text`."""

    passage: int
    start: int
    end: int
    text: str


def spans(answer: str, passages: Sequence[str]) -> list[Span]:
    """Return every place where an answer stands in a passage, letter by letter and as whole words."""
    return [
        Span(number, at, at + len(answer), answer)
        for number, passage in enumerate(passages)
        for at in quoted_at(answer, passage)
    ]
