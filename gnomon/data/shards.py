"""A split's documents on disk: shards of ids as .npy, their offsets as another, and a line about each
document.
"""

import tempfile
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from gnomon.base import faults
from gnomon.base.arrays import write_array
from gnomon.base.files import write_synced
from gnomon.data.document import Document
from gnomon.store.datasets import shard_files
from gnomon.tokenizer.tokenizer import Tokenizer

SHARD_BYTES = 64 << 20
"""Of ids, about. A document is never cut by the end of a shard."""


class SplitWriter:
    """Collects encoded documents and writes them in the order of their ids, which is the order of their
    hashes.

    So a run of neighbours is a fair sample, and the files do not depend on the order in which documents came. To be
    used in a `with`: the ids wait in a nameless file in `scratch` (None: the system's place for such), which vanishes
    with the process at the latest; memory holds about 300 bytes a document and one shard.
    """

    def __init__(self, tokenizer: Tokenizer, scratch: Path | None = None) -> None:
        self._end_of_text = tokenizer.end_of_text
        self._dtype = np.dtype(np.uint16 if tokenizer.vocabulary <= 1 << 16 else np.uint32)
        self._spill = tempfile.TemporaryFile(dir=scratch)
        self._spilled = 0  # ids
        self._documents: list[tuple[str, str, int, int, int]] = []  # id, origin, bytes of text, start, stop

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._spill.close()

    def add(self, document: Document, ids: list[int]) -> None:
        """Take one document: end-of-text, then its ids."""
        code = "H" if self._dtype.itemsize == 2 else "I"
        array(code, [self._end_of_text, *ids]).tofile(self._spill)
        start, self._spilled = self._spilled, self._spilled + 1 + len(ids)
        size = len(document.text.encode())
        self._documents.append((document.id, document.origin, size, start, self._spilled))

    def write(self, folder: Path) -> dict[str, Any]:
        """Write the shards and return the split's manifest entry."""
        folder.mkdir()
        self._documents.sort()
        self._spill.flush()
        spilled = np.memmap(self._spill, self._dtype, "r") if self._spilled else np.empty(0, self._dtype)
        shards = [self._write_shard(folder, i, a, b, spilled) for i, (a, b) in enumerate(self._shard_bounds())]
        return {
            "documents": len(self._documents),
            "tokens": self._spilled,
            "bytes": sum(size for _, _, size, _, _ in self._documents),
            "protected": folder.name != "train",
            "shards": shards,
        }

    def _shard_bounds(self) -> list[tuple[int, int]]:
        """Return the first and last-but-one document of every shard."""
        bounds, first, used = [], 0, 0
        for i, (_, _, _, start, stop) in enumerate(self._documents):
            size = (stop - start) * self._dtype.itemsize
            if i > first and used + size > SHARD_BYTES:
                bounds.append((first, i))
                first, used = i, 0
            used += size
        return [*bounds, (first, len(self._documents))]

    def _write_shard(self, folder: Path, number: int, first: int, last: int, spilled: np.ndarray) -> dict[str, Any]:
        documents = self._documents[first:last]
        ids = np.concatenate([np.empty(0, self._dtype), *(spilled[a:b] for _, _, _, a, b in documents)])
        lines = (document_line(i, origin, size, stop - start) for i, origin, size, start, stop in documents)
        entry = write_shard(folder, number, ids, [stop - start for _, _, _, start, stop in documents], lines)
        return entry | {"source": folder.name, "bytes": sum(size for _, _, size, _, _ in documents)}


def write_shard(
    folder: Path,
    number: int,
    ids: np.ndarray,
    tokens: Sequence[int],
    lines: Iterable[bytes],
    bears: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write one shard (its ids, the number of ids of each document, a line about each) and return its manifest entry.

    `bears` says of each id, 0 or 1, whether the one that follows it bears loss: None where all do. `labels` has a row a
    document, see store/labels.py: a table in which nothing is known is not written.
    """
    paths = shard_files(folder, number)
    write_array(paths.tokens, ids)
    write_array(paths.offsets, np.cumsum([0, *tokens], dtype=np.uint64))
    write_synced(paths.documents, zstandard.compress(b"".join(lines)))
    entry = {"documents": len(tokens), "tokens": len(ids)}
    if bears is not None:
        write_array(paths.mask, np.packbits(bears, bitorder="little"))
        entry["bearing"] = int(bears.sum(dtype=np.int64))
    if labels is not None and not np.isnan(labels).all():
        write_array(paths.labels, labels)
        entry["labelled"] = int((~np.isnan(labels)).any(axis=1).sum())
    faults.point("prepare.shard_written")
    return entry


def document_line(document: str, origin: str, size: int, tokens: int, own_id: str = "") -> bytes:
    """Return what is to be known of a document of a shard, as a line of JSON; `own_id` is its record's own."""
    said: dict[str, Any] = {"bytes": size, "id": document, "origin": origin, "tokens": tokens}
    return orjson.dumps(said | {"own_id": own_id} if own_id else said) + b"\n"
