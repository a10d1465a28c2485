"""How rows of several sources follow each other: by weights, exactly, and the same wherever one begins to look.

Rows come in blocks of 256. At the end of every block each source has its quota of the rows since the weights last
changed, to less than one row: whole rows that are due are given, and of the rest those go first whose deadline is
first. Giving to the source that is furthest behind would not do: with many sources it leaves some of them more than a
row behind. Rows are all but full (see `pack`), so shares of rows are shares of loss-bearing tokens.
Source: Baruah et al. 1996, "Proportionate progress" (earliest deadline first, in windows, on one resource).

What a stretch of equal weights leaves a source behind or ahead is carried: in the next stretch, those that are a whole
row ahead give their first rows to those that are a whole row behind. So no source starves, however often weights
change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from gnomon.base.seeds import derive, permutation

BLOCK_ROWS = 256
PARTS = 1 << 20
"""Weights are whole numbers of so many parts. After PARTS rows the counts begin anew."""

CYCLE_BLOCKS = PARTS // BLOCK_ROWS

Weights = Mapping[str, float]
"""Of sources by name, in any unit; a source that is left out has none."""


def parts_of(weights: Weights, names: Sequence[str]) -> tuple[int, ...]:
    """Return the weights of the named sources in PARTS: rounded down, but never to nothing; the rest is the heaviest's.

    Raises ValueError for a name that is not there and for weights that are no shares.
    """
    check_weights(weights)
    if unknown := sorted(set(weights) - set(names)):
        raise ValueError(f"there is no source {unknown[0]!r}; the sources are {', '.join(names)}")
    given = [Fraction(weights.get(name, 0)) for name in names]
    total = sum(given)
    parts = [max(1, int(PARTS * one / total)) if one else 0 for one in given]
    parts[parts.index(max(parts))] += PARTS - sum(parts)
    return tuple(parts)


def check_weights(weights: Weights) -> None:
    """Raise ValueError unless the weights are finite, none negative, and one above 0."""
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of {name!r} is {weight}, and must be 0 or more, and finite")
    if not any(weights.values()):
        raise ValueError("no source has a weight above 0")


@dataclass(frozen=True)
class _Stretch:
    """Rows of equal weights from block `block` on; `before` it each source had so many rows. `due` are the rows that
    a source is to get beyond its share, from the first rows of the sources that have some `owed`.
    """

    block: int
    parts: tuple[int, ...]
    before: np.ndarray
    due: np.ndarray
    owed: np.ndarray

    def counts(self, block: int) -> np.ndarray:
        """Return the rows of each source before a block."""
        share = shared(self.parts, block - self.block)
        given = np.minimum(share, self.owed)
        got = np.clip(given.sum() - (self.due.cumsum() - self.due), 0, self.due)
        return self.before + share - given + got


class Mix:
    """The order of the sources' rows: which source a row is of, and the how-manieth of that source it is.

    `stages` say from which row on which weights hold, in PARTS; a change counts from the next block on.
    """

    def __init__(self, stages: Sequence[tuple[int, tuple[int, ...]]], seed: int) -> None:
        self.stages, self._seed = tuple(stages), seed
        begins = {-(-row // BLOCK_ROWS): parts for row, parts in sorted(self.stages, key=lambda stage: stage[0])}
        zero = np.zeros(len(self.stages[0][1]), dtype=np.int64)
        self._stretches, behind = [_Stretch(0, begins.pop(0), zero, zero, zero)], zero
        for block, parts in sorted(begins.items()):
            last = self._stretches[-1]
            if parts != last.parts:
                rows, counts = (block - last.block) * BLOCK_ROWS, last.counts(block)
                behind = behind + rows * np.array(last.parts) - PARTS * (counts - last.before)
                self._stretches.append(_Stretch(block, parts, counts, *_debts(behind, parts)))
        self._block: tuple[int, np.ndarray, np.ndarray] | None = None  # the newest, its sources and their rows

    def parts(self, row: int) -> tuple[int, ...]:
        """Return the weights that hold at a row."""
        return self._stretch(row // BLOCK_ROWS).parts

    def counts(self, row: int) -> np.ndarray:
        """Return the rows of each source before a row."""
        block, inside = divmod(row, BLOCK_ROWS)
        counts = self._stretch(block).counts(block)
        return counts + np.bincount(self._order(block)[0][:inside], minlength=len(counts)) if inside else counts

    def rows(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sources of `count` rows from `first` on, and which row of its source each is."""
        found = []
        for block in range(first // BLOCK_ROWS, (first + count - 1) // BLOCK_ROWS + 1):
            start = block * BLOCK_ROWS
            inside = slice(max(0, first - start), first + count - start)
            found.append([part[inside] for part in self._order(block)])
        return np.concatenate([sources for sources, _ in found]), np.concatenate([rows for _, rows in found])

    def _stretch(self, block: int) -> _Stretch:
        return next(stretch for stretch in reversed(self._stretches) if stretch.block <= block)

    def _order(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sources of a block's rows, and which row of its source each is."""
        if self._block is None or self._block[0] != block:
            stretch = self._stretch(block)
            before = stretch.counts(block)
            each = stretch.counts(block + 1) - before
            sources = np.repeat(np.arange(len(each)), each)
            if len(each) > 1:
                sources = sources[permutation(BLOCK_ROWS, derive(self._seed, "block", block))]
            rows = np.empty_like(sources)
            first = before - (each.cumsum() - each)
            rows[np.argsort(sources, kind="stable")] = np.repeat(first, each) + np.arange(BLOCK_ROWS)
            self._block = block, sources, rows
        return self._block[1], self._block[2]


def _debts(behind: np.ndarray, parts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that each source is to get beyond its share, and those that it is to give: as many in all.

    They are the whole rows of what it is `behind` (in PARTS of a row), or ahead. What is over is the heaviest source's.
    """
    takes_part = np.array(parts) > 0
    due = np.where(takes_part, np.maximum(behind, 0) // PARTS, 0)
    owed = np.where(takes_part, np.maximum(-behind, 0) // PARTS, 0)
    heaviest, over = parts.index(max(parts)), int(due.sum() - owed.sum())
    (owed if over > 0 else due)[heaviest] += abs(over)
    return due, owed


def shared(parts: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return the rows that each source has of so many blocks, its share of them to less than one row."""
    cycles, inside = divmod(blocks, CYCLE_BLOCKS)
    table = _shares(parts, min(CYCLE_BLOCKS, 1 << inside.bit_length()))
    return cycles * np.array(parts, dtype=np.int64) + table[inside]


@lru_cache(maxsize=64)
def _shares(parts: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return what `shared` says of 0 to `blocks` blocks, [blocks + 1, sources]."""
    each = np.array(parts, dtype=np.int64)
    quota = np.arange(blocks + 1)[:, None] * BLOCK_ROWS * each  # in PARTS of a row
    counts = quota // PARTS
    has_part = quota % PARTS > 0
    deadline = -(-(counts + 1) * PARTS // (BLOCK_ROWS * np.maximum(each, 1)))  # the block at whose end a row is late
    first = np.where(has_part, deadline, np.iinfo(np.int64).max).argsort(axis=1, kind="stable").tolist()
    waiting = (np.arange(blocks + 1) * BLOCK_ROWS - counts.sum(axis=1)).tolist()
    same = (counts[1:] == counts[:-1]).tolist()
    early: list[int] = []  # sources that have the row of which their quota is only a part
    found: list[tuple[int, int]] = []
    for block in range(1, blocks + 1):
        kept = [source for source in early if same[block - 1][source]]
        others = [source for source in first[block] if source not in kept] if kept else first[block]
        early = kept + others[: waiting[block] - len(kept)]
        found += [(block, source) for source in early]
    counts[tuple(np.array(found, dtype=np.int64).reshape(-1, 2).T)] += 1
    counts.setflags(write=False)
    return counts
