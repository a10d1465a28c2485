"""The parts of structured documents, as a block keeps them beside the texts, and as they are encoded."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import orjson
import zstandard

from gnomon.base.arrays import write_array
from gnomon.data.document import Document, Part, fingerprint, plain_text
from gnomon.store.labels import DTYPE, WIDTH
from gnomon.tokenizer.tokenizer import Tokenizer

Clean = Callable[[list[str]], tuple[list[str], Counter[str]]]


class Beside:
    """What a block of structured documents holds beside their texts; nothing for one of plain text."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._parts, self._groups, self._labels = list[bytes](), list[int](), list[tuple[float, ...]]()

    def add(self, documents: Sequence[Document]) -> None:
        """Take documents, in their order."""
        unknown = (float("nan"),) * WIDTH
        for document in documents:
            self._parts.append(_packed(document.parts))
            self._groups.append(_group(document.group))
            self._labels.append(document.labels or unknown)

    def write(self, folder: Path) -> None:
        """Write what was taken into the folder of a block."""
        if self._form == "text":
            return
        (folder / "parts.zst").write_bytes(zstandard.compress(b"".join(self._parts)))
        write_array(folder / "parts.npy", np.cumsum([0, *map(len, self._parts)], dtype=np.uint64))
        write_array(folder / "groups.npy", np.array(self._groups, np.uint64))
        if self._form == "questions":
            write_array(folder / "labels.npy", np.array(self._labels, DTYPE).reshape(-1, WIDTH))


def _group(text: str) -> int:
    return int.from_bytes(hashlib.sha256(fingerprint(text)).digest()[:8]) | 1 if text else 0


def _packed(parts: Sequence[Part]) -> bytes:
    """Return parts as JSON: of content, only how many bytes of the text it is."""
    said = [[p.kind, len(p.text.encode()) if p.kind == "content" else p.text, p.loss] for p in parts]
    return orjson.dumps(said)


def parts_of(packed: bytes, text: str) -> list[Part]:
    """Return the parts of a structured document whose text this is."""
    data, at, parts = text.encode(), 0, list[Part]()
    for kind, said, loss in orjson.loads(packed):
        if kind == "content":
            parts.append(Part(kind, data[at : at + said].decode(), loss))
            at += said + 1  # the line's end between two of them
        else:
            parts.append(Part(kind, said, loss))
    return parts


def cleaned(documents: Sequence[Document], clean: Clean) -> tuple[list[Document], Counter[str]]:
    """Return structured documents with the content of every part cleaned, and what was counted."""
    texts, counts = clean([part.text for d in documents for part in d.parts if part.kind == "content"])
    coming, found = iter(texts), []
    for document in documents:
        parts = tuple(replace(p, text=next(coming)) if p.kind == "content" else p for p in document.parts)
        text = plain_text(part.text for part in parts if part.kind == "content")
        found.append(replace(document, parts=parts, text=text))
    return found, counts


def encode_parts(documents: Sequence[Sequence[Part]], tokenizer: Tokenizer) -> Iterator[tuple[list[int], list[bool]]]:
    """Yield the ids of each document and which of them bear loss.

    Text between two marks is encoded in one piece as far as it bears loss alike; text that looks like a mark stays
    text.
    """
    runs = [list(_runs(parts)) for parts in documents]
    texts = iter(tokenizer.encode_batch([text for each in runs for mark, text, _ in each if not mark]))
    for each in runs:
        ids, bears = list[int](), list[bool]()
        for mark, text, loss in each:
            new = [tokenizer.special_id(text)] if mark else next(texts)
            ids += new
            bears += [loss] * len(new)
        yield ids, bears


def _runs(parts: Sequence[Part]) -> Iterator[tuple[bool, str, bool]]:
    """Yield marks and pieces of text: whether it is a mark, the mark or the text, whether it bears loss."""
    for (mark, loss), some in groupby(parts, key=lambda part: (part.kind == "mark", part.loss)):
        if mark:
            yield from ((True, part.text, loss) for part in some)
        elif text := "".join(part.text for part in some):
            yield False, text, loss
