"""A document: the unit that is kept or removed, split, packed, and never seen by its neighbours."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

MAX_BYTES = 32 << 10
"""Longer documents are cut into parts: many times any context, and small enough that one long file can
still be split.
"""


@dataclass(frozen=True)
class Part:
    """A piece of a structured document: a special token by its name (`mark`), text that the form of the record brings
    along (`frame`), or text of the record (`content`), which is cleaned and compared; and whether the model is to learn
    to say it.
    """

    kind: Literal["mark", "frame", "content"]
    text: str
    loss: bool = False


@dataclass(frozen=True)
class Document:
    """A text and where it came from, as `file:line`, with `#2`, `#3`, … for the later parts of a long
    record; the record's own id, "" where it has none; whether the text goes on from the document before it; and the
    fields of its record that were asked for, "" where it has none.

    Of a structured one, also its `parts`, whose content makes up the text (see `plain_text`); what is known of the
    question in it, as store/labels.py has it, () where nothing is; and the text that keeps it on one side of the split
    with all others that share it, "" where none does.
    """

    text: str
    origin: str
    own_id: str = ""
    goes_on: bool = False
    fields: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    labels: tuple[float, ...] = ()
    group: str = ""

    @cached_property
    def id(self) -> str:
        """The first 32 hex digits of the text's SHA-256: equal texts, equal ids, whatever their origin."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]


def plain_text(contents: Iterable[str]) -> str:
    """Return the text that a structured document is cleaned, compared and counted by: its content, piece by piece, each
    on lines of its own.
    """
    return "\n".join(contents)


def fingerprint(text: str) -> bytes:
    """Return 16 bytes that equal texts share: equal after NFC and with every run of white space as one space."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()[:16]


@dataclass(frozen=True)
class Removed:
    """A document that was left out, or a record that could not be read, and why."""

    origin: str
    reason: str
    detail: str = ""


Note = Callable[[Removed], None]


def cut(document: Document) -> Iterator[Document]:
    """Yield the document, or, when it is longer than MAX_BYTES, parts of it that joined give its text."""
    data = document.text.encode()
    if len(data) <= MAX_BYTES:
        yield document
        return
    start, number = 0, 1
    while start < len(data):
        end = part_end(data, start)
        origin = document.origin if number == 1 else f"{document.origin}#{number}"
        yield Document(data[start:end].decode(), origin, document.own_id, number > 1, document.fields)
        start, number = end, number + 1


def part_end(data: bytes | bytearray, start: int) -> int:
    """Return where the part of UTF-8 `data` that begins at `start` ends: MAX_BYTES further on at most.

    That is after a blank line where there is one in the part's second half, else after a line, else after
    a space, else after a character.
    """
    end = start + MAX_BYTES
    if end >= len(data):
        return len(data)
    for mark in (b"\n\n", b"\n", b" "):
        at = data.rfind(mark, start + MAX_BYTES // 2, end)
        if at >= 0:
            return at + len(mark)
    return next((e for e in range(end, end - 4, -1) if data[e] & 0xC0 != 0x80), end)
