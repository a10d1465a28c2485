"""One source's rows: windows of documents, each packed when it is first needed, epoch after epoch in another order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.data.pack import WINDOW_DOCUMENTS, pack, rows_needed
from gnomon.store.datasets import Split


@dataclass(frozen=True)
class Pieces:
    """Rows as pieces of text. Piece i is `size[i]` tokens from token `begin[i]` on of shard `shard[i]` of a source, in
    the source's document `document[i]`, whose last ones they are where `ends[i]`; row r holds pieces `first[r]` to
    `first[r + 1]`, side by side from the row's beginning.
    """

    source: np.ndarray
    document: np.ndarray
    shard: np.ndarray
    begin: np.ndarray
    size: np.ndarray
    ends: np.ndarray
    first: np.ndarray

    def rows(self, wanted: np.ndarray) -> "Pieces":
        """Return these rows, in this order."""
        begin = self.first[wanted]
        count = self.first[wanted + 1] - begin
        first = _from_zero(count)
        at = np.repeat(begin - first[:-1], count) + np.arange(first[-1])
        return Pieces(**{name: getattr(self, name)[at] for name in _OF_PIECES}, first=first)

    def tokens(self) -> np.ndarray:
        """Return the tokens of each row."""
        return np.add.reduceat(self.size, self.first[:-1])


_OF_PIECES = ("source", "document", "shard", "begin", "size", "ends")


def together(parts: Sequence[Pieces]) -> Pieces:
    """Return the rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(part.first) for part in parts])
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _OF_PIECES}
    return Pieces(**joined, first=_from_zero(counts))


def _from_zero(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], counts.cumsum()])


class Windows:
    """A split cut into windows of documents, each packed when it is first needed; the newest one is kept."""

    def __init__(self, split: Split, length: int, source: int = 0) -> None:
        self._offsets = split.offsets.astype(np.int64)
        self._shards = _from_zero(np.array([len(shard) for shard in split.shards]))
        self._length, self._source = length, source
        edges = self._offsets[[*range(0, len(self._offsets) - 1, WINDOW_DOCUMENTS), -1]]
        self.rows = np.array([rows_needed(tokens, length) for tokens in np.diff(edges).tolist()], dtype=np.int64)
        self._packed: tuple[int, Pieces] | None = None

    def pieces(self, window: int) -> Pieces:
        """Return the rows of a window."""
        if self._packed is None or self._packed[0] != window:
            first = window * WINDOW_DOCUMENTS
            offsets = self._offsets[first : first + WINDOW_DOCUMENTS + 1]
            lengths = np.diff(offsets)
            layout = pack(lengths, self._length)
            begin = offsets[layout.document] + layout.start
            shard = np.searchsorted(self._shards, begin, side="right") - 1
            found = Pieces(
                source=np.full(len(begin), self._source),
                document=first + layout.document,
                shard=shard,
                begin=begin - self._shards[shard],
                size=layout.stop - layout.start,
                ends=layout.stop == lengths[layout.document],
                first=layout.first,
            )
            self._packed = window, found
        return self._packed[1]


class SourceRows:
    """The rows of a source, endless: in each epoch its windows in another order, and the rows inside each too."""

    def __init__(self, split: Split, length: int, seed: int, source: int = 0) -> None:
        self._windows, self._seed = Windows(split, length, source), seed
        self.per_epoch = int(self._windows.rows.sum())
        # epoch, its windows in order, where their rows end; (epoch, window), its rows in order
        self._order: tuple[int, np.ndarray, np.ndarray] | None = None
        self._shuffle: tuple[tuple[int, int], np.ndarray] | None = None

    def take(self, first: int, count: int) -> Pieces:
        """Return `count` of the source's rows, from its `first` on."""
        parts = []
        while count > 0:
            epoch, within = divmod(first, self.per_epoch)
            if self._order is None or self._order[0] != epoch:
                order = permutation(len(self._windows.rows), derive(self._seed, "windows", epoch))
                self._order = epoch, order, self._windows.rows[order].cumsum()
            _, order, ends = self._order
            place = int(np.searchsorted(ends, within, side="right"))
            window, left = int(order[place]), int(ends[place]) - within
            rows = int(self._windows.rows[window])
            if self._shuffle is None or self._shuffle[0] != (epoch, window):
                self._shuffle = (epoch, window), permutation(rows, derive(self._seed, "rows", epoch, window))
            taken = min(count, left)
            wanted = self._shuffle[1][rows - left : rows - left + taken]
            parts.append(self._windows.pieces(window).rows(wanted))
            first, count = first + taken, count - taken
        return together(parts)
