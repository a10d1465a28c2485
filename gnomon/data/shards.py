"""A split's documents on disk: ids as one .npy, offsets as another, and a line about each document."""

from array import array
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from gnomon.base.files import canonical_json
from gnomon.data.document import Document
from gnomon.tokenizer.tokenizer import Tokenizer


class SplitWriter:
    """Collects encoded documents and writes them in the order of their ids, which is the order of their hashes.

    So a run of neighbours is a fair sample, and the files do not depend on the order in which documents came.
    Holds 2 bytes a token (4 above a vocabulary of 65,536).
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._end_of_text = tokenizer.end_of_text
        self._dtype = np.uint16 if tokenizer.vocabulary <= 1 << 16 else np.uint32
        self._ids = array("H" if self._dtype == np.uint16 else "I")
        self._documents: list[tuple[str, str, int, int, int]] = []  # id, origin, bytes of text, start, stop

    def add(self, document: Document, ids: list[int]) -> None:
        """Take one document: end-of-text, then its ids."""
        start = len(self._ids)
        self._ids.append(self._end_of_text)
        self._ids.extend(ids)
        size = len(document.text.encode())
        self._documents.append((document.id, document.origin, size, start, len(self._ids)))

    def write(self, folder: Path) -> dict[str, Any]:
        """Write `tokens.npy`, `offsets.npy` and `documents.jsonl.zst`, and return the split's manifest entry."""
        folder.mkdir()
        ordered = sorted(self._documents)
        ids = np.frombuffer(self._ids, dtype=self._dtype) if self._ids else np.empty(0, self._dtype)
        lengths = [stop - start for _, _, _, start, stop in ordered]
        out = np.lib.format.open_memmap(folder / "tokens.npy", "w+", self._dtype, (len(ids),)) if len(ids) else ids
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.uint64)]).astype(np.uint64)
        for (_, _, _, start, stop), at in zip(ordered, offsets[:-1].tolist(), strict=True):
            out[at : at + stop - start] = ids[start:stop]
        if isinstance(out, np.memmap):
            out.flush()
        else:
            np.save(folder / "tokens.npy", out)
        np.save(folder / "offsets.npy", offsets)
        lines = (
            canonical_json({"id": i, "origin": origin, "bytes": size, "tokens": stop - start}) + b"\n"
            for i, origin, size, start, stop in ordered
        )
        (folder / "documents.jsonl.zst").write_bytes(zstandard.compress(b"".join(lines)))
        return {
            "documents": len(ordered),
            "tokens": len(ids),
            "bytes": sum(size for _, _, size, _, _ in ordered),
            "protected": folder.name != "train",
        }
