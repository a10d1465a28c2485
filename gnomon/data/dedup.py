"""Removes documents that were there before."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator

from gnomon.data.document import Document, Note, Removed


def deduplicate(documents: Iterable[Document], note: Note, seen: dict[bytes, str]) -> Iterator[Document]:
    """Yield each text once, the first time it comes; `note` is told of the others and of the one that was kept.

    Texts are equal when they are so after Unicode normalisation (NFC) and with every run of white space as one space.
    `seen` holds 16 bytes and the origin for each text kept, and may be handed on from source to source.
    """
    for document in documents:
        key = fingerprint(document.text)
        if key in seen:
            note(Removed(document.origin, "duplicate", f"of {seen[key]}"))
        else:
            seen[key] = document.origin
            yield document


def fingerprint(text: str) -> bytes:
    """Return 16 bytes that equal texts share."""
    return hashlib.sha256(" ".join(unicodedata.normalize("NFC", text).split()).encode()).digest()[:16]
