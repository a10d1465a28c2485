"""One source's rows: windows of documents, each packed when it is first needed, epoch after epoch in another order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.data.streaming.pack import WINDOW_DOCUMENTS, pack, rows_needed
from gnomon.store.arrays import bits_of
from gnomon.store.datasets import Split


@dataclass(frozen=True)
class Pieces:
    """Rows as pieces of text. Piece i is `size[i]` tokens from token `begin[i]` on of shard `shard[i]` of a source, in
    the source's document `document[i]`, whose last ones they are where `ends[i]`; the first `seen[i]` of them bear no
    loss, and of the others `borne[i]` do. Row r holds pieces `first[r]` to `first[r + 1]`, side by side
    from the row's beginning.
    """

    table: np.ndarray  # [8, pieces], in this order
    first: np.ndarray

    @property
    def source(self) -> np.ndarray:
        return self.table[0]

    @property
    def document(self) -> np.ndarray:
        return self.table[1]

    @property
    def shard(self) -> np.ndarray:
        return self.table[2]

    @property
    def begin(self) -> np.ndarray:
        return self.table[3]

    @property
    def size(self) -> np.ndarray:
        return self.table[4]

    @property
    def ends(self) -> np.ndarray:
        return self.table[5] == 1

    @property
    def seen(self) -> np.ndarray:
        return self.table[6]

    @property
    def borne(self) -> np.ndarray:
        return self.table[7]

    def rows(self, wanted: np.ndarray) -> "Pieces":
        """Return these rows, in this order."""
        begin = self.first[wanted]
        count = self.first[wanted + 1] - begin
        first = _from_zero(count)
        at = np.repeat(begin - first[:-1], count) + np.arange(first[-1])
        return Pieces(self.table.take(at, axis=1), first)

    def tokens(self) -> np.ndarray:
        """Return the tokens of each row."""
        return np.add.reduceat(self.size, self.first[:-1])

    def bearing(self) -> np.ndarray:
        """Return the loss-bearing tokens of each row."""
        return np.add.reduceat(self.borne, self.first[:-1])


def together(parts: Sequence[Pieces]) -> Pieces:
    """Return the rows of all parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    counts = np.concatenate([np.diff(part.first) for part in parts])
    return Pieces(np.concatenate([part.table for part in parts], axis=1), _from_zero(counts))


def _from_zero(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], counts.cumsum()])


class Windows:
    """A split cut into windows of documents, each packed when it is first needed; the newest one is kept.

    With a `stride`, those with a document longer than a row are packed once before, for how many rows they are; so are
    all of a split in which not every token bears loss, whose documents stay whole as far as they fit into a row: an
    answer without its question would teach to guess.
    """

    def __init__(self, split: Split, length: int, source: int = 0, stride: int | None = None) -> None:
        self._offsets = split.offsets.astype(np.int64)
        self._shards = _from_zero(np.array([len(shard) for shard in split.shards]))
        self._length, self._source, self._stride, self._split = length, source, stride, split
        edges = self._offsets[[*range(0, len(self._offsets) - 1, WINDOW_DOCUMENTS), -1]]
        self._tokens = np.diff(edges)
        self.borne = self._tokens.copy()  # tokens that bear loss
        self.rows = np.array([rows_needed(tokens, length) for tokens in self._tokens.tolist()], dtype=np.int64)
        self._packed: tuple[int, Pieces] | None = None
        self._bearing: dict[int, np.ndarray] = {}
        if stride is not None or split.masked:
            longer = np.flatnonzero(np.diff(self._offsets) > length) // WINDOW_DOCUMENTS
            packed = range(len(self.rows)) if split.masked else np.unique(longer).tolist()
            self._bearing = {window: self.pieces(window).bearing() for window in packed}
            for window, bearing in self._bearing.items():
                self.rows[window], self.borne[window] = len(bearing), bearing.sum()

    def bearing(self, window: int) -> np.ndarray:
        """Return the loss-bearing tokens of each row of a window. Packs nothing."""
        if window in self._bearing:
            return self._bearing[window]
        rows, tokens = int(self.rows[window]), int(self._tokens[window])
        return np.minimum(self._length, tokens - self._length * np.arange(rows))

    def pieces(self, window: int) -> Pieces:
        """Return the rows of a window."""
        if self._packed is None or self._packed[0] != window:
            first = window * WINDOW_DOCUMENTS
            offsets = self._offsets[first : first + WINDOW_DOCUMENTS + 1]
            lengths = np.diff(offsets)
            layout = pack(lengths, self._length, self._stride, uncut=self._split.masked)
            begin = offsets[layout.document] + layout.start
            shard = np.searchsorted(self._shards, begin, side="right") - 1
            size, ends = layout.stop - layout.start, layout.stop == lengths[layout.document]
            source, inside = np.full(len(begin), self._source), begin - self._shards[shard]
            borne = size - layout.seen
            if self._split.masked:
                sums = np.concatenate([[0], self._mask(int(offsets[0]), int(offsets[-1])).cumsum(dtype=np.int64)])
                borne = sums[begin + size - offsets[0]] - sums[begin + layout.seen - offsets[0]]
            table = np.stack([source, first + layout.document, shard, inside, size, ends, layout.seen, borne])
            found = Pieces(table, layout.first)
            self._packed = window, found
        return self._packed[1]

    def _mask(self, first: int, stop: int) -> np.ndarray:
        """Return of some of the split's tokens whether what follows them bears loss, 0 or 1."""
        parts = [np.zeros(0, np.uint8)]
        for start, end, mask in zip(self._shards[:-1], self._shards[1:], self._split.masks, strict=True):
            a, b = max(first - int(start), 0), min(stop, int(end)) - int(start)
            if a < b:
                parts.append(np.ones(b - a, np.uint8) if mask is None else bits_of(mask, np.arange(a, b)))
        return np.concatenate(parts)


class SourceRows:
    """The rows of a source, endless: in each epoch its windows in another order, and the rows inside each too."""

    def __init__(self, split: Split, length: int, seed: int, source: int = 0, stride: int | None = None) -> None:
        self._windows, self._seed = Windows(split, length, source, stride), seed
        self.per_epoch = int(self._windows.rows.sum())
        # epoch, its windows in order, where their rows end; (epoch, window), its rows in order
        self._order: tuple[int, np.ndarray, np.ndarray] | None = None
        self._shuffle: tuple[tuple[int, int], np.ndarray] | None = None

    def take(self, first: int, count: int) -> Pieces:
        """Return `count` of the source's rows, from its `first` on."""
        parts = []
        while count > 0:
            window, inside, left = self._at(first)
            taken = min(count, left)
            wanted = self._order_in(first // self.per_epoch, window)[inside : inside + taken]
            parts.append(self._windows.pieces(window).rows(wanted))
            first, count = first + taken, count - taken
        return together(parts)

    def tokens(self, rows: int) -> int:
        """Return the loss-bearing tokens of the source's first rows. Packs nothing."""
        windows, (epochs, within) = self._windows, divmod(rows, self.per_epoch)
        window, inside, _ = self._at(rows)
        order, ends = self._windows_of(epochs)
        whole = int(windows.borne[order[: np.searchsorted(ends, within, side="right")]].sum())
        part = int(windows.bearing(window)[self._order_in(epochs, window)[:inside]].sum())
        return epochs * int(windows.borne.sum()) + whole + part

    def _at(self, row: int) -> tuple[int, int, int]:
        """Return the window in which one of the source's rows lies, its place there, and the rows from it to the end of
        the window.
        """
        epoch, within = divmod(row, self.per_epoch)
        order, ends = self._windows_of(epoch)
        place = int(np.searchsorted(ends, within, side="right"))
        window, left = int(order[place]), int(ends[place]) - within
        return window, int(self._windows.rows[window]) - left, left

    def _windows_of(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an epoch's windows in order, and where the rows of each end."""
        if self._order is None or self._order[0] != epoch:
            order = permutation(len(self._windows.rows), derive(self._seed, "windows", epoch))
            self._order = epoch, order, self._windows.rows[order].cumsum()
        return self._order[1], self._order[2]

    def _order_in(self, epoch: int, window: int) -> np.ndarray:
        """Return the order of a window's rows in an epoch."""
        if self._shuffle is None or self._shuffle[0] != (epoch, window):
            rows = int(self._windows.rows[window])
            self._shuffle = (epoch, window), permutation(rows, derive(self._seed, "rows", epoch, window))
        return self._shuffle[1]
