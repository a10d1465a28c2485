"""The stream of batches: a pure function of (dataset digest, seed, decisions). Its whole state is the
number of the next row.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from gnomon.base.errors import DataError
from gnomon.base.seeds import derive, permutation
from gnomon.data.pack import WINDOW_DOCUMENTS, Layout, pack, rows_needed
from gnomon.events.journal import Decisions
from gnomon.store.datasets import Dataset, Split

IGNORE = -100


Place = tuple[Layout, int, int]
"""A row: its window's layout, the window's first document, and the row's number in the layout."""


@dataclass(frozen=True)
class Rows:
    """One micro-batch of packed rows, [rows, length] each, int64.

    `labels` are the true next tokens, also where a document was cut; -100 at padding. `positions` count
    from 0 in every piece; `segments` number the pieces of a row, -1 at padding. `buckets` and `inverse`
    group the pieces by length for attention: each bucket is [pieces, bucket length] of indices into the
    flattened tokens, where slots beyond a piece's end repeat its last token; `inverse` finds each token
    in the concatenated buckets. No buckets: every row is one piece.
    """

    tokens: Tensor
    labels: Tensor
    positions: Tensor
    segments: Tensor
    buckets: tuple[Tensor, ...]
    inverse: Tensor
    loss_tokens: int


@dataclass(frozen=True)
class Batch:
    """The rows of one optimizer step, in micro-batches. `next_row` is the cursor after it.

    With several processes `micros` are this one's; `loss_tokens` counts those of all.
    """

    micros: tuple[Rows, ...]
    loss_tokens: int
    first_row: int
    next_row: int
    row_ids: tuple[int, ...]
    micro_rows: int
    rate_factor: float = 1.0  # of the learning rate; below 1 after a roll-back, and where the batch is not the plan's
    share: float = 1.0  # of the plan's rows: the schedule goes on by so much of a step
    evenness: float = 1.0  # sum of (tokens of a pass / of the batch)², over the passes of all processes
    accept: bool = False  # the guard takes what comes from here on as usual


class Stream:
    """Endless batches of a dataset's training split, epoch after epoch, each in another order.

    A batch has `rows_per_batch` rows, the plan's number, unless `ramp`, which says from which row on there are how
    many, or a decision says otherwise. With k times the plan's rows the learning rate is sqrt(k) times the schedule's:
    the rule for optimizers that divide a gradient by its size, as AdamW and Muon do (Malladi et al. 2022, arXiv
    2205.10287). `lengths` say from which row on no piece of a row has more tokens than how many: longer ones are cut,
    so that order, rows and tokens stay what they are, and each token sees less of what came before it.
    """

    def __init__(
        self,
        dataset: Dataset,
        length: int,
        rows_per_batch: int,
        micro_rows: int,
        seed: int,
        decisions: Decisions,
        rank: int = 0,
        world: int = 1,
        ramp: Sequence[tuple[int, int]] = (),
        lengths: Sequence[tuple[int, int]] = (),
    ) -> None:
        self._split, self._length, self._seed, self.decisions = dataset.split("train"), length, seed, decisions
        self.rows_per_batch, self._micro_rows = rows_per_batch, micro_rows
        self._rank, self._world = rank, world
        self._longest = tuple(lengths) or ((0, length),)
        self.planned = tuple(ramp) or ((0, rows_per_batch),)
        self._windows = Windows(self._split, length)
        self.rows_per_epoch = int(self._windows.rows.sum())
        # epoch, its windows in order, where their rows end; (epoch, window), its rows in order
        self._order: tuple[int, np.ndarray, np.ndarray] | None = None
        self._shuffle: tuple[tuple[int, int], np.ndarray] | None = None
        if self.rows_per_epoch < rows_per_batch:
            raise DataError(
                f"the text gives {self.rows_per_epoch:,} rows of {length:,} tokens, one batch needs {rows_per_batch:,}",
                where=str(dataset.folder),
                do="add text, or ask for less with a smaller train.batch_tokens or a shorter model.context",
            )

    def batches(self, from_row: int) -> Iterator[Batch]:
        """Yield batches from global row `from_row` on, without end."""
        row = from_row
        while True:
            batch = self.take(row)
            row = batch.next_row
            yield batch

    def take(self, row: int) -> Batch:
        """Return the batch that is served at global row `row`; what was decided about it is in it."""
        start = self.decisions.after_skips(row)
        rows = self.decisions.rows_per_step(start, self.planned)
        ids, share = range(start, start + rows), rows / self.rows_per_batch
        micro_rows = self.decisions.micro_rows(start, self._micro_rows)
        places = [self._find(i) for i in ids]
        tokens = [_tokens_at(place) for place in places]
        longest = next(most for at, most in reversed(self._longest) if at <= start)
        own = places[self._rank * rows // self._world : (self._rank + 1) * rows // self._world]
        return Batch(
            micros=tuple(
                _gather(self._split, own[i : i + micro_rows], self._length, longest)
                for i in range(0, len(own), micro_rows)
            ),
            loss_tokens=sum(tokens),
            first_row=start,
            next_row=ids[-1] + 1,
            row_ids=tuple(ids),
            micro_rows=micro_rows,
            rate_factor=self.decisions.rate_factor(start) * math.sqrt(share),
            share=share,
            evenness=self._evenness(tokens, micro_rows),
            accept=self.decisions.accepts(row, start + rows),
        )

    def _evenness(self, tokens: list[int], micro_rows: int) -> float:
        """Return the sum of (tokens of a pass / of the batch)², from the tokens of the batch's rows."""
        each = len(tokens) // self._world
        starts = [at for rank in range(self._world) for at in range(rank * each, (rank + 1) * each, micro_rows)]
        ends = [min(at + micro_rows, (at // each + 1) * each) for at in starts]
        passes = [sum(tokens[at:end]) for at, end in zip(starts, ends, strict=True)]
        return sum(size**2 for size in passes) / sum(tokens) ** 2

    def rows_at(self, row: int) -> int:
        """Return the rows of the batch that is served at global row `row`."""
        return self.decisions.rows_per_step(self.decisions.after_skips(row), self.planned)

    def after(self, row: int) -> int:
        """Return the row that follows the batch that is served at global row `row`."""
        return self.decisions.after_skips(row) + self.rows_at(row)

    def batches_between(self, first_row: int, next_row: int) -> int:
        """Return how many batches were served from the one that begins at `first_row` to where `next_row` follows."""
        row, count = first_row, 0
        while row < next_row:
            row, count = self.after(row), count + 1
        return count

    def documents(self, first_row: int, rows: int, most: int = 20) -> list[str]:
        """Return the origins of the documents that lie in rows from `first_row` on, each once, at most so many."""
        found: dict[str, None] = {}
        for row in range(first_row, first_row + rows):
            layout, first, at = self._find(row)
            for piece in range(layout.first[at], layout.first[at + 1]):
                found[self._split.origin(first + int(layout.document[piece]))] = None
            if len(found) >= most:
                break
        return list(found)[:most]

    def _find(self, row: int) -> Place:
        """Return where a global row lies."""
        epoch, within = divmod(row, self.rows_per_epoch)
        if self._order is None or self._order[0] != epoch:
            order = permutation(len(self._windows.rows), derive(self._seed, "windows", epoch))
            self._order = epoch, order, self._windows.rows[order].cumsum()
        _, order, ends = self._order
        place = int(np.searchsorted(ends, within, side="right"))
        window = int(order[place])
        rows = int(self._windows.rows[window])
        if self._shuffle is None or self._shuffle[0] != (epoch, window):
            self._shuffle = (epoch, window), permutation(rows, derive(self._seed, "rows", epoch, window))
        inside = within - int(ends[place]) + rows
        return self._windows.layout(window), window * WINDOW_DOCUMENTS, int(self._shuffle[1][inside])


class Windows:
    """A split cut into windows of documents, each packed when it is first needed; the newest one is kept."""

    def __init__(self, split: Split, length: int) -> None:
        offsets = split.offsets.astype(np.int64)
        self._lengths, self._length = np.diff(offsets), length
        edges = offsets[[*range(0, len(self._lengths), WINDOW_DOCUMENTS), -1]]
        self.rows = np.array([rows_needed(tokens, length) for tokens in np.diff(edges).tolist()], dtype=np.int64)
        self._packed: tuple[int, Layout] | None = None

    def layout(self, window: int) -> Layout:
        """Return how a window's documents lie in rows."""
        if self._packed is None or self._packed[0] != window:
            first = window * WINDOW_DOCUMENTS
            self._packed = window, pack(self._lengths[first : first + WINDOW_DOCUMENTS], self._length)
        return self._packed[1]


def validation_rows(dataset: Dataset, length: int, micro_rows: int, max_tokens: int | None) -> Iterator[Rows]:
    """Yield the validation split's rows in their fixed order, until `max_tokens` have been given (None:
    all).
    """
    yield from rows_of(dataset.split("validation"), length, micro_rows, max_tokens)


def rows_of(split: Split, length: int, micro_rows: int, max_tokens: int | None) -> Iterator[Rows]:
    """Yield the rows of a split in its own order, window by window, until `max_tokens` have been given
    (None: all).
    """
    windows, given = Windows(split, length), 0
    for window, rows in enumerate(windows.rows.tolist()):
        for row in range(0, rows, micro_rows):
            if max_tokens is not None and given >= max_tokens:
                return
            layout, first = windows.layout(window), window * WINDOW_DOCUMENTS
            micro = _gather(split, [(layout, first, r) for r in range(row, min(row + micro_rows, rows))], length)
            given += micro.loss_tokens
            yield micro


def sample_rows(split: Split, length: int, rows: int) -> Rows:
    """Return rows drawn from a split's first window, always the same; some of them twice where it has fewer."""
    layout = Windows(split, length).layout(0)
    order = permutation(len(layout.first) - 1, 0)
    return _gather(split, [(layout, 0, int(order[i % len(order)])) for i in range(rows)], length)


def _tokens_at(place: Place) -> int:
    """Return the loss-bearing tokens of a row: all of its tokens, each of which has a successor."""
    layout, _, row = place
    pieces = slice(layout.first[row], layout.first[row + 1])
    return int((layout.stop[pieces] - layout.start[pieces]).sum())


def _gather(split: Split, places: list[Place], length: int, longest: int | None = None) -> Rows:
    """Return rows of `length` tokens; pieces of more than `longest` are cut there."""
    inputs = np.full((len(places), length), split.end_of_text, dtype=np.int64)
    labels = np.full((len(places), length), IGNORE, dtype=np.int64)
    sizes: list[list[int]] = []
    for i, (layout, first, row) in enumerate(places):
        at = 0
        sizes.append([])
        for piece in range(layout.first[row], layout.first[row + 1]):
            start, stop = int(layout.start[piece]), int(layout.stop[piece])
            end = at + stop - start
            ids = split.tokens(first + int(layout.document[piece]))
            inputs[i, at:end] = ids[start:stop]
            following = ids[start + 1 : stop + 1]
            labels[i, at : at + len(following)] = following
            if len(following) < stop - start:
                labels[i, end - 1] = split.end_of_text
            cuts = [*range(at, end, longest or length), end]
            sizes[i] += [after - before for before, after in pairwise(cuts)]
            at = end
    return make_rows(inputs, labels, sizes)


def make_rows(inputs: np.ndarray, labels: np.ndarray, sizes: list[list[int]]) -> Rows:
    """Return a micro-batch from inputs and labels, [rows, length], and the sizes of each row's pieces,
    left to right.

    What follows the last piece of a row is padding: it bears no loss and is a piece of its own for
    attention.
    """
    count, length = inputs.shape
    labels = labels.copy()
    segments = np.full((count, length), -1, dtype=np.int32)
    positions = np.zeros((count, length), dtype=np.int64)
    starts, lengths = [], []
    for row, pieces in enumerate(sizes):
        at = 0
        for number, size in enumerate(pieces):
            segments[row, at : at + size] = number
            positions[row, at : at + size] = np.arange(size)
            starts.append(row * length + at)
            lengths.append(size)
            at += size
        if at < length:
            labels[row, at:] = IGNORE
            positions[row, at:] = np.arange(length - at)
            starts.append(row * length + at)
            lengths.append(length - at)
    whole = all(size == length for size in lengths)
    buckets, inverse = ((), np.empty(0, dtype=np.int64)) if whole else _bucket(starts, lengths, count * length, length)
    return Rows(
        tokens=torch.from_numpy(np.ascontiguousarray(inputs, dtype=np.int64)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        positions=torch.from_numpy(positions),
        segments=torch.from_numpy(segments),
        buckets=tuple(map(torch.from_numpy, buckets)),
        inverse=torch.from_numpy(inverse),
        loss_tokens=int((labels != IGNORE).sum()),
    )


def _bucket(
    starts: list[int], lengths: list[int], total: int, longest: int
) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the buckets, shortest first, and the inverse; see Rows."""
    classes = _bucket_lengths(longest)
    sizes, begins = np.array(lengths), np.array(starts)
    which = np.searchsorted(classes, sizes)
    inverse = np.empty(total, dtype=np.int64)
    buckets, offset = [], 0
    for c in np.unique(which):
        size, begin = sizes[which == c], begins[which == c]
        steps = np.arange(int(classes[c]))
        buckets.append(begin[:, None] + np.minimum(steps, size[:, None] - 1))
        real = steps < size[:, None]
        inverse[buckets[-1][real]] = offset + np.flatnonzero(real)
        offset += buckets[-1].size
    return tuple(buckets), inverse


def _bucket_lengths(longest: int) -> np.ndarray:
    """Return the length classes: 1, 2, 3, 4, 6, 8, 12, 16, … up to `longest`, so at most a third of a
    slot is wasted.
    """
    classes = {min(longest, size) for k in range(longest.bit_length() + 1) for size in (2**k, 3 * 2**k // 2)}
    return np.array(sorted(classes))
