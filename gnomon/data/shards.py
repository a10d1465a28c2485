"""A split's documents on disk: shards of ids as .npy, their offsets as another, and a line about each
document.
"""

import tempfile
from array import array
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from gnomon.base import faults
from gnomon.base.files import canonical_json, write_synced
from gnomon.data.document import Document
from gnomon.store.datasets import shard_files
from gnomon.tokenizer.tokenizer import Tokenizer

SHARD_BYTES = 64 << 20
"""Of ids, at most. A document is never cut by the end of a shard."""


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

    def _write_shard(self, folder: Path, number: int, first: int, last: int, spilled: np.ndarray) -> dict[str, int]:
        documents = self._documents[first:last]
        offsets = np.cumsum([0] + [stop - start for _, _, _, start, stop in documents], dtype=np.uint64)
        ids = np.empty(int(offsets[-1]), self._dtype)
        for (_, _, _, start, stop), at in zip(documents, offsets[:-1].tolist(), strict=True):
            ids[at : at + stop - start] = spilled[start:stop]
        lines = (
            canonical_json({"id": i, "origin": origin, "bytes": size, "tokens": stop - start}) + b"\n"
            for i, origin, size, start, stop in documents
        )
        paths = shard_files(folder, number)
        _write_array(paths.tokens, ids)
        _write_array(paths.offsets, offsets)
        write_synced(paths.documents, zstandard.compress(b"".join(lines)))
        faults.point("prepare.shard_written")
        return {"documents": len(documents), "tokens": len(ids)}


def _write_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy. Not by `np.save`, whose error on a full disk does not say that the disk is full."""
    with path.open("wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(values))
        f.write(values.data)
