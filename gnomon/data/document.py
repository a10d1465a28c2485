"""A document: the unit that is kept or removed, split, packed, and never seen by its neighbours."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

MAX_BYTES = 32 << 10
"""Longer documents are cut into parts: many times any context, and small enough that one long file can still
be split.
"""


@dataclass(frozen=True)
class Document:
    """A text and where it came from, as `file:line`."""

    text: str
    origin: str

    @cached_property
    def id(self) -> str:
        """The first 32 hex digits of the text's SHA-256: equal texts, equal ids, whatever their origin."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Removed:
    """A document that was left out, or a record that could not be read, and why."""

    origin: str
    reason: str
    detail: str = ""


Note = Callable[[Removed], None]


def cut(document: Document) -> Iterator[Document]:
    """Yield the document, or, when it is longer than MAX_BYTES, parts of it that joined give its text.

    A part ends after a blank line where there is one in its second half, else after a line, else after a
    space, else anywhere.
    """
    text, number = document.text, 1
    while len(text) * 4 > MAX_BYTES and len(text.encode()) > MAX_BYTES:
        head = text.encode()[:MAX_BYTES].decode("utf-8", errors="ignore")
        end = next(
            (at + len(mark) for mark in ("\n\n", "\n", " ") if (at := head.rfind(mark, len(head) // 2)) >= 0),
            len(head),
        )
        yield Document(text[:end], f"{document.origin}#{number}")
        text, number = text[end:], number + 1
    if text:
        yield document if number == 1 else Document(text, f"{document.origin}#{number}")
