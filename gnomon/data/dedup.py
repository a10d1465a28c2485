"""Removes documents that were there before."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator

from gnomon.data.document import Document, Note, Removed

Seen = dict[bytes, tuple[str, str]]
"""For each text kept: its fingerprint, its split and its origin. About 250 bytes of memory a document."""


def deduplicate(documents: Iterable[Document], split: str, note: Note, seen: Seen) -> Iterator[Document]:
    """Yield each text once, the first time it comes; `note` is told of the others and of the one that was
    kept.

    Texts are equal when they are so after Unicode normalisation (NFC) and with every run of white space
    as one space. `seen` is handed on from split to split, so that a text of one is removed from the next
    ("in validation").
    """
    for document in documents:
        key = fingerprint(document.text)
        if key in seen:
            kept_in, keeper = seen[key]
            note(Removed(document.origin, "duplicate" if kept_in == split else f"in {kept_in}", f"of {keeper}"))
        else:
            seen[key] = split, document.origin
            yield document


def fingerprint(text: str) -> bytes:
    """Return 16 bytes that equal texts share."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()[:16]
