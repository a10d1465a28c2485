"""Flat files of ids, in which end-of-text alone tells documents apart: nanoGPT's without a head, llm.c's with one.

    llm.c    int32 [256]: magic, version, number of ids, zeros; then the ids

Sources: nanoGPT data/openwebtext/prepare.py; llm.c dev/data/data_common.py.
"""

from pathlib import Path

import numpy as np

from gnomon.base.errors import DataError
from gnomon.data.exchange.binary import EndsBehind, map_ids, size_of
from gnomon.data.exchange.sequences import Asked, Mapped, ends_in

HEAD_INTS = 256
HEADS = {20240520: (1, "<u2"), 20240801: (7, "<u4")}
"""llm.c's magic numbers, for GPT-2's and Llama 3's ids: version and type."""
LOOKED_AT = 1 << 24
"""Ids at once."""
SHARD_IDS = 100_000_000
"""Of llm.c's shards, about."""


def map_flat(path: Path, asked: Asked) -> Mapped:
    """Return what a flat file holds: a record is a document with the ends around it.

    Raises IntegrityError for a file that is cut, DataError for a newer version and for ids without an end among them.
    """
    start, dtype, count = 0, np.dtype(asked.dtype).newbyteorder("<"), None
    head = np.zeros(3, "<i4")
    if size_of(path) >= 4 * HEAD_INTS:
        head = np.fromfile(path, "<i4", HEAD_INTS)
    if int(head[0]) in HEADS:
        version, name = HEADS[int(head[0])]
        if int(head[1]) != version:
            raise DataError(
                f"the head says version {int(head[1])}, and this program reads {version}",
                where=str(path),
                do="update gnomon, or write the file anew",
            )
        start, dtype, count = 4 * HEAD_INTS, np.dtype(name), int(head[2])
    ids = map_ids(path, dtype, start, count)
    begins, any_end = [np.zeros(0, np.int64)], False
    after_end = True
    for at in range(0, len(ids), LOOKED_AT):
        is_end = ends_in(ids[at : at + LOOKED_AT], asked.ends)
        any_end = any_end or bool(is_end.any())
        begins.append(at + np.flatnonzero(~is_end & np.concatenate([[after_end], is_end[:-1]])))
        after_end = bool(is_end[-1])
    if len(ids) and not any_end:
        ends = " or ".join(f"{end:,}" for end in asked.ends)
        raise DataError(
            f"none of the {len(ids):,} ids is {ends}, so nothing tells documents apart",
            where=str(path),
            do="name the id that stands between documents there with --end; or the type of the ids with --dtype",
        )
    inner = np.concatenate(begins)[1:]
    return Mapped(ids, np.concatenate([[0], inner, [len(ids)]]) if len(ids) else np.zeros(1, np.int64))


class FlatWriter:
    """Writes one flat file without a head: each document ends with end-of-text."""

    def __init__(self, stem: Path, tokens: int, end_of_text: int) -> None:
        self.dtype = np.dtype("<u2" if tokens <= 1 << 16 else "<u4")
        self._ids = EndsBehind(stem.with_name(stem.name + ".bin"), self.dtype, end_of_text)

    def add(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: their ids, end-of-text in front of each, and how many each has with it."""
        self._ids.add(ids)

    def close(self) -> None:
        """Finish the file."""
        with self._ids:
            pass


class LlmcWriter:
    """Writes llm.c's shards: end-of-text stands in front of each document, and a shard ends with a document."""

    def __init__(self, stem: Path, tokens: int, end_of_text: int, shard_ids: int = SHARD_IDS) -> None:
        self._magic = 20240520 if tokens <= 1 << 16 else 20240801
        self.dtype = np.dtype(HEADS[self._magic][1])
        self._stem, self._shard_ids, self._number = stem, shard_ids, 0
        self._open()

    def _open(self) -> None:
        self._file, self._ids = self._stem.with_name(f"{self._stem.name}_{self._number:06d}.bin").open("wb"), 0
        self._file.write(bytes(4 * HEAD_INTS))

    def add(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: their ids, end-of-text in front of each, and how many each has with it."""
        stops, start = lengths.cumsum(), 0
        while start < len(ids):
            room = max(0, self._shard_ids - self._ids)
            fitting = int(np.searchsorted(stops, start + room, side="right"))
            stop = int(stops[fitting - 1]) if fitting else 0
            if stop <= start and self._ids:  # the next one goes into the next shard
                self._end_shard()
                self._number += 1
                self._open()
                continue
            stop = max(stop, int(stops[np.searchsorted(stops, start, side="right")]))  # one that no shard would hold
            self._file.write(ids[start:stop].astype(self.dtype).data)
            self._ids, start = self._ids + stop - start, stop

    def _end_shard(self) -> None:
        head = np.zeros(HEAD_INTS, "<i4")
        head[:3] = self._magic, HEADS[self._magic][0], self._ids
        self._file.seek(0)
        self._file.write(head.data)
        self._file.close()

    def close(self) -> None:
        """Finish the last shard."""
        self._end_shard()
