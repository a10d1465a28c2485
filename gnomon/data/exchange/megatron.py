"""Megatron's and GPT-NeoX's pairs of files: `.bin` with ids, `.idx` that says where sequences and documents lie.

    .idx    b"MMIDIDX\\0\\0"  uint64 version, 1  uint8 type of the ids  uint64 sequences  uint64 documents + 1
            int32 [sequences] ids of each        int64 [sequences] byte of .bin where each begins
            int64 [documents + 1] first sequence of each, and the number of all
            int8 [sequences] kind of each: newer, optional

Source: megatron/core/datasets/indexed_dataset.py of Megatron-LM; DeepSpeed's has two types more.
"""

import struct
from pathlib import Path

import numpy as np

from gnomon.base.errors import DataError, IntegrityError
from gnomon.data.exchange.binary import EndsBehind, map_ids, size_of
from gnomon.data.exchange.sequences import Asked, Mapped

MAGIC, VERSION = b"MMIDIDX\x00\x00", 1
HEAD = struct.Struct("<9sQBQQ")
TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2", 9: "<u4", 10: "<u8"}
"""Of ids, by their code; 6 and 7 are floating point."""
UINT16_BELOW = 65500
"""Ids of a vocabulary below this are stored in uint16, else in int32: Megatron's own rule."""


def map_megatron(path: Path, asked: Asked) -> Mapped:
    """Return what a pair of files holds; `path` is either of them.

    Raises IntegrityError where they do not fit each other or are cut, DataError for a version, a type or a kind of
    sequence that is not known.
    """
    index, ids = path.with_suffix(".idx"), path.with_suffix(".bin")
    size = size_of(index)
    with index.open("rb") as f:
        head = f.read(HEAD.size)
    if len(head) < HEAD.size or not head.startswith(MAGIC):
        raise IntegrityError("this is no index of Megatron's", where=str(index), do="give both files of a pair")
    _, version, code, sequences, documents = HEAD.unpack(head)
    if version != VERSION:
        raise DataError(
            f"the index has version {version}, and this program reads {VERSION}",
            where=str(index),
            do="update gnomon, or write the pair anew with a release of Megatron that makes this version",
        )
    if code not in TYPES:
        raise DataError(f"the index names type {code}, no type of ids", where=str(index), do="write the pair anew")
    plain = HEAD.size + 12 * sequences + 8 * documents
    if size not in (plain, plain + sequences):
        what = (
            f"the index ends at byte {size:,} instead of {plain:,} ({sequences:,} sequences, {documents - 1:,} texts)"
        )
        raise IntegrityError(what, where=str(index), do="copy it again: it is cut")
    data = np.memmap(index, np.uint8, "r")
    at = HEAD.size + 4 * sequences
    lengths = data[HEAD.size : at].view("<i4").astype(np.int64)
    pointers, firsts = data[at : at + 8 * sequences].view("<i8"), data[at + 8 * sequences : plain].view("<i8")
    if data[plain:].any():
        number = int(np.flatnonzero(data[plain:])[0]) + 1
        do = "leave out what is no text when the pair is written"
        raise DataError(f"sequence {number:,} is of a kind that is no text", where=str(index), do=do)
    dtype, starts = np.dtype(TYPES[code]), np.concatenate([[0], lengths.cumsum()])
    if (lengths < 0).any() or not np.array_equal(pointers, starts[:-1] * dtype.itemsize):
        wrong = int(np.flatnonzero((lengths < 0) | (pointers != starts[:-1] * dtype.itemsize))[0])
        raise IntegrityError(
            f"sequence {wrong + 1:,} does not begin where the one before it ends", where=str(index), do="copy it again"
        )
    if not documents or int(firsts[0]) != 0 or int(firsts[-1]) != sequences or (np.diff(firsts) < 0).any():
        raise IntegrityError(
            f"the documents do not cover the {sequences:,} sequences", where=str(index), do="write the pair anew"
        )
    return Mapped(map_ids(ids, dtype, 0, int(starts[-1])), starts[firsts])


class MegatronWriter:
    """Writes a pair of files: each document a sequence that ends with end-of-text."""

    def __init__(self, stem: Path, tokens: int, end_of_text: int) -> None:
        self.dtype = np.dtype("<u2" if tokens < UINT16_BELOW else "<i4")
        self._index = stem.with_name(stem.name + ".idx")
        self._ids = EndsBehind(stem.with_name(stem.name + ".bin"), self.dtype, end_of_text)
        self._lengths = [np.zeros(0, np.int32)]

    def add(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: their ids, end-of-text in front of each, and how many each has with it."""
        self._ids.add(ids)
        self._lengths.append(lengths.astype(np.int32))

    def close(self) -> None:
        """Finish the files."""
        lengths = np.concatenate(self._lengths)
        pointers = (lengths.cumsum(dtype=np.int64) - lengths) * self.dtype.itemsize
        code = next(code for code, name in TYPES.items() if np.dtype(name) == self.dtype)
        with self._ids, self._index.open("wb") as f:
            f.write(HEAD.pack(MAGIC, VERSION, code, len(lengths), len(lengths) + 1))
            for array in (lengths, pointers, np.arange(len(lengths) + 1, dtype=np.int64)):
                f.write(array.data)
