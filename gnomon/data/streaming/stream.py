"""The stream of batches: a pure function of (dataset digest, seed, decisions). Its whole state is the
number of the next row.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any

import numpy as np

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.seeds import derive, permutation
from gnomon.data.streaming.mix import Mix, parts_of
from gnomon.data.streaming.rows import Rows, gather
from gnomon.data.streaming.source import Pieces, SourceRows, Windows, together
from gnomon.data.streaming.targets import find_marks
from gnomon.events.journal import Decisions
from gnomon.store.datasets import Dataset, Split

NUMBERING = 2
"""The version of the rule by which a row's number says what is in it; a checkpoint keeps it beside the row. Version 1
forgot at a change of weights what the sources were behind, and so gives other rows after one.
"""


Beside = Callable[[Decisions, int, int, int], tuple[Sequence[Rows | None], Mapping[str, int], Sequence[str]]]
"""Gives what heads alone learn from beside a batch, by its first row, its rows and its passes in all processes: rows
for each pass or None, the labels in all of them, and the router signals of which the batch's own labels count no more.
"""


@dataclass(frozen=True)
class Batch:
    """The rows of one optimizer step, in micro-batches. `next_row` is the cursor after it.

    With several processes `micros` are this one's; `loss_tokens` counts those of all, and `labelled` the labels of all,
    empty where there are none. `beside` are rows that heads alone learn from, at most as many as of each pass.
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
    row_sources: tuple[int, ...] = ()  # the number of each row's source, in the dataset's order
    labelled: Mapping[str, int] = field(default_factory=dict)  # labels by router signal, `coarse` and `fine`
    beside: tuple[Rows | None, ...] = ()  # one for each of `micros`, or none at all


@dataclass(frozen=True)
class Share:
    """What a source gives: rows, loss-bearing tokens, its part of all tokens, and how often it is read."""

    source: str
    rows: int
    tokens: int
    share: float
    epochs: float


@dataclass(frozen=True)
class Span:
    """A piece of a row: tokens `start` to before `stop` of a document, of which the first is end-of-text."""

    row: int
    source: str
    document: int  # of the source
    id: str
    origin: str
    start: int
    stop: int


class Stream:
    """Endless batches of a dataset's training split, each source of it epoch after epoch, each in another order.

    A batch has `rows_per_batch` rows, the plan's number, unless `ramp`, which says from which row on there are how
    many, or a decision says otherwise. With k times the plan's rows the learning rate is sqrt(k) times the schedule's:
    the rule for optimizers that divide a gradient by its size, as AdamW and Muon do (Malladi et al. 2022, arXiv
    2205.10287). `lengths` say from which row on no piece of a row has more tokens than how many: longer ones are cut,
    so that order, rows and tokens stay what they are, and each token sees less of what came before it. `measured` gives
    rows that heads alone learn from, which are no part of the batch's rows. `weights` say
    from which row on which source has which weight (see `Mix`); where nothing does, each has that of its rows. With a
    `stride` long documents are cut into windows that overlap (see `pack`); every token bears its loss once an epoch.
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
        weights: Sequence[tuple[int, Mapping[str, float]]] = (),
        stride: int | None = None,
        measured: Beside | None = None,
    ) -> None:
        sources = dataset.sources("train")
        self.sources, self._splits = tuple(sources), tuple(sources.values())
        self._length, self._seed, self.decisions = length, seed, decisions
        self._labelled = any(split.labelled for split in self._splits)
        self.rows_per_batch, self._micro_rows = rows_per_batch, micro_rows
        self._rank, self._world, self._measured = rank, world, measured
        alone = len(sources) == 1
        self._rows = [
            SourceRows(split, length, seed if alone else derive(seed, "source", name), number, stride)
            for number, (name, split) in enumerate(sources.items())
        ]
        self.rows_per_epoch = sum(source.per_epoch for source in self._rows)
        if self.rows_per_epoch < rows_per_batch:
            raise DataError(
                f"the text gives {self.rows_per_epoch:,} rows of {length:,} tokens, one batch needs {rows_per_batch:,}",
                where=str(dataset.folder),
                do="add text, or ask for less with a smaller train.batch_tokens or a shorter model.context",
            )
        by_tokens = {name: source.per_epoch for name, source in zip(self.sources, self._rows, strict=True)}
        self.planned: dict[str, tuple[tuple[int, Any], ...]] = {
            "rows_per_step": tuple(ramp) or ((0, rows_per_batch),),
            "length": tuple(lengths) or ((0, length),),
            "weights": tuple((at, self.parts(given)) for at, given in weights) or ((0, self.parts(by_tokens)),),
        }
        self._mix, self._mixed = Mix(self.planned["weights"], seed), []  # by what was decided of weights

    def parts(self, weights: Mapping[str, float]) -> tuple[int, ...]:
        """Return the sources' weights as `Mix` has them. Raises ValueError for weights that cannot be meant."""
        parts = parts_of(weights, self.sources)
        for name, part, rows in zip(self.sources, parts, self._rows, strict=True):
            if part and not rows.per_epoch:
                raise ValueError(f"the source {name!r} has no text, and cannot have a weight")
        return parts

    def mix(self) -> Mix:
        """Return the order of the sources' rows, by what is planned and decided so far."""
        decided = self.decisions.stages("weights", ())
        if decided != self._mixed:
            stages = dict(self.planned["weights"]) | {row: self._decided(weights) for row, weights in decided}
            self._mix, self._mixed = Mix(sorted(stages.items()), self._seed), decided
        return self._mix

    def _decided(self, weights: Mapping[str, float]) -> tuple[int, ...]:
        try:
            return self.parts(weights)
        except ValueError as e:
            raise IntegrityError(f"the journal gives weights that the text has no use for: {e}") from None

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
        rows = self.decisions.in_force("rows_per_step", start, self.planned["rows_per_step"])
        share = rows / self.rows_per_batch
        micro_rows = self.decisions.micro_rows(start, self._micro_rows)
        pieces, sources = self._pieces(start, rows)
        tokens = pieces.bearing()
        longest = self.decisions.in_force("length", start, self.planned["length"])
        first, last = (rank * rows // self._world for rank in (self._rank, self._rank + 1))
        micros = tuple(
            gather(self._splits, pieces.rows(np.arange(at, min(at + micro_rows, last))), self._length, longest)
            for at in range(first, last, micro_rows)
        )
        labelled = find_marks(self._splits, pieces, longest).counts() if self._labelled else {}
        beside: tuple[Rows | None, ...] = ()
        if self._measured:
            every, counts, instead = self._measured(self.decisions, start, rows, len(micros) * self._world)
            beside = tuple(every[self._rank * len(micros) : (self._rank + 1) * len(micros)])
            labelled |= dict.fromkeys(instead, 0)
            labelled = {n: labelled.get(n, 0) + counts.get(n, 0) for n in {**labelled, **counts}}
            micros = tuple(
                replace(one, targets=one.targets.without(instead)) if instead and one.targets else one for one in micros
            )
        return Batch(
            micros=micros,
            beside=beside,
            loss_tokens=int(tokens.sum()),
            first_row=start,
            next_row=start + rows,
            row_ids=tuple(range(start, start + rows)),
            row_sources=tuple(sources.tolist()),
            micro_rows=micro_rows,
            rate_factor=self.decisions.rate_factor(start) * math.sqrt(share),
            share=share,
            evenness=self._evenness(tokens.tolist(), micro_rows),
            accept=self.decisions.accepts(row, start + rows) or self._other_text(row, start + rows),
            labelled=labelled,
        )

    def _evenness(self, tokens: list[int], micro_rows: int) -> float:
        """Return the sum of (tokens of a pass / of the batch)², from the tokens of the batch's rows."""
        shares = [rank * len(tokens) // self._world for rank in range(self._world + 1)]
        passes = [
            sum(tokens[at : min(at + micro_rows, last)])
            for first, last in pairwise(shares)
            for at in range(first, last, micro_rows)
        ]
        return sum(size**2 for size in passes) / max(1, sum(tokens)) ** 2

    def rows_at(self, row: int) -> int:
        """Return the rows of the batch that is served at global row `row`."""
        return self.decisions.in_force("rows_per_step", self.decisions.after_skips(row), self.planned["rows_per_step"])

    def after(self, row: int) -> int:
        """Return the row that follows the batch that is served at global row `row`."""
        return self.decisions.after_skips(row) + self.rows_at(row)

    def shares(self, rows: int) -> list[Share]:
        """Return what each source gives in the first `rows` rows, by what is planned and decided so far."""
        counts = self.mix().counts(rows).tolist()
        tokens = [source.tokens(count) if count else 0 for source, count in zip(self._rows, counts, strict=True)]
        return [
            Share(name, count, found, found / max(1, sum(tokens)), found / split.bearing if found else 0.0)
            for name, count, found, split in zip(self.sources, counts, tokens, self._splits, strict=True)
        ]

    def weights_changed(self, row: int) -> int | None:
        """Return the first row whose sources have other weights than row 0, if it is before `row`."""
        return self.mix().changed_before(row)

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
            found |= dict.fromkeys(span.origin for span in self.spans(row, 1))
            if len(found) >= most:
                break
        return list(found)[:most]

    def spans(self, first_row: int, rows: int) -> list[Span]:
        """Return what lies in global rows from `first_row` on: from left to right, row by row."""
        pieces, _ = self._pieces(first_row, rows)
        names, found = list(self.sources), list[Span | None]([None] * len(pieces.source))
        row_of = np.repeat(np.arange(first_row, first_row + rows), np.diff(pieces.first))
        for source in np.unique(pieces.source).tolist():
            split, mine = self._splits[source], np.flatnonzero(pieces.source == source)
            documents, sizes = pieces.document[mine].tolist(), pieces.size[mine].tolist()
            before = np.concatenate([[0], np.cumsum([len(shard) for shard in split.shards])])
            starts = pieces.begin[mine] + before[pieces.shard[mine]] - split.offsets[documents].astype(np.int64)
            known = zip(mine, documents, split.known(documents), starts.tolist(), sizes, strict=True)
            for i, number, said, start, size in known:
                found[i] = Span(int(row_of[i]), names[source], number, said["id"], said["origin"], start, start + size)
        return [span for span in found if span is not None]

    def _other_text(self, row: int, next_row: int) -> bool:
        """Return whether a planned change of the sources' weights falls into these rows: what was usual of the text
        before says nothing of the text then.
        """
        return any(row <= at < next_row for at, _ in self.planned["weights"][1:])

    def _pieces(self, first: int, count: int) -> tuple[Pieces, np.ndarray]:
        """Return what lies in `count` global rows from `first` on, and the source of each."""
        if len(self._rows) == 1:
            return self._rows[0].take(first, count), np.zeros(count, dtype=np.int64)
        sources, rows = self.mix().rows(first, count)
        by_source = np.argsort(sources, kind="stable")
        parts = []
        for source in sorted(set(sources.tolist())):
            own = rows[sources == source]
            parts.append(self._rows[source].take(int(own[0]), len(own)))
        place = np.empty_like(by_source)
        place[by_source] = np.arange(count)
        return together(parts).rows(place), sources


def validation_rows(dataset: Dataset, length: int, micro_rows: int, max_tokens: int | None) -> Iterator[Rows]:
    """Yield the validation split's rows, source by source in their fixed order, until of each as large a part of
    `max_tokens` has been given as it has of the split (None: all).
    """
    return chain.from_iterable(validation_by_source(dataset, length, micro_rows, max_tokens).values())


def validation_by_source(
    dataset: Dataset, length: int, micro_rows: int, max_tokens: int | None
) -> dict[str, Iterator[Rows]]:
    """Return what `validation_rows` yields by the name of its source, each source as much as it has of all tokens that
    bear loss; sources without any are left out.
    """
    splits = {name: split for name, split in dataset.sources("validation").items() if split.bearing}
    tokens = sum(split.bearing for split in splits.values())
    return {
        name: rows_of(
            split, length, micro_rows, None if max_tokens is None else -(-max_tokens * split.bearing // tokens)
        )
        for name, split in splits.items()
    }


def rows_of(split: Split, length: int, micro_rows: int, max_tokens: int | None) -> Iterator[Rows]:
    """Yield the rows of a split in its own order, window by window, until `max_tokens` have been given
    (None: all).
    """
    windows, given = Windows(split, length), 0
    for window, rows in enumerate(windows.rows.tolist()):
        for row in range(0, rows, micro_rows):
            if max_tokens is not None and given >= max_tokens:
                return
            wanted = np.arange(row, min(row + micro_rows, rows))
            micro = gather([split], windows.pieces(window).rows(wanted), length)
            given += micro.loss_tokens
            yield micro


def sample_rows(split: Split, length: int, rows: int) -> Rows:
    """Return rows drawn from a split's first window, always the same; some of them twice where it has fewer."""
    pieces = Windows(split, length).pieces(0)
    order = permutation(len(pieces.first) - 1, 0)
    return gather([split], pieces.rows(order[np.arange(rows) % len(order)]), length)
