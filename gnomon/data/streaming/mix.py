"""How rows of several sources follow each other: by weights, exactly, and the same wherever one begins to look.

Rows come in blocks of 256. A source's quota is the sum, over all blocks, of 256 times the weight that held in each; it
goes on over a change of weights. At the end of every block a source has its quota to less than one row: whole rows that
are due are given, and of the rest those go first whose deadline is first. Giving to the source that is furthest behind
would not do: with many sources it leaves some of them more than a row behind. Rows are all but full (see `pack`), so
shares of rows are shares of loss-bearing tokens.
Source: Baruah et al. 1996, "Proportionate progress" (earliest deadline first, in windows, on one resource).

While weights stay this holds for any weights. After a change it holds unless no division of the block's rows has it: a
source left with next to no weight keeps the part of a row that it is behind or ahead, and where those parts add up to a
row, the others must share it. Then rows go where most is missing: over 66,000 changes at random 1.4 rows at most. No
rule that does not know the changes to come does without: where eight sources share blocks of which each is due half a
row, four are half a row behind; where only these go on in such blocks, two are a row behind, and then one of two a row
and a half.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import filterfalse, islice

import numpy as np

from gnomon.base.seeds import derive, permutation

BLOCK_ROWS = 256
PARTS = 1 << 20
"""Weights are whole numbers of so many parts. After PARTS rows the counts begin anew."""

CYCLE_BLOCKS = PARTS // BLOCK_ROWS
FEW_BLOCKS = 16  # worked out at once, to begin with; then twice as many each time

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
    """Rows of equal weights from block `block` on; `before` it each source had so many rows, and was `behind` its quota
    by so many PARTS of a row.
    """

    block: int
    parts: tuple[int, ...]
    before: np.ndarray
    behind: tuple[int, ...]

    def counts(self, block: int) -> np.ndarray:
        """Return the rows of each source before a block."""
        return self.before + shared(self.parts, block - self.block, self.behind)


class Mix:
    """The order of the sources' rows: which source a row is of, and the how-manieth of that source it is.

    `stages` say from which row on which weights hold, in PARTS; a change counts from the next block on.
    """

    def __init__(self, stages: Sequence[tuple[int, tuple[int, ...]]], seed: int) -> None:
        self.stages, self._seed = tuple(stages), seed
        begins = {-(-row // BLOCK_ROWS): parts for row, parts in sorted(self.stages, key=lambda stage: stage[0])}
        none = (0,) * len(self.stages[0][1])
        self._stretches = [_Stretch(0, begins.pop(0), np.array(none), none)]
        for block, parts in sorted(begins.items()):
            last = self._stretches[-1]
            if parts != last.parts:
                counts = last.counts(block)
                behind = _behind(last.parts, last.behind, block - last.block, counts - last.before)
                self._stretches.append(_Stretch(block, parts, counts, behind))
        self._block: tuple[int, np.ndarray, np.ndarray] | None = None  # the newest, its sources and their rows

    def parts(self, row: int) -> tuple[int, ...]:
        """Return the weights that hold at a row."""
        return self._stretch(row // BLOCK_ROWS).parts

    def changed_before(self, row: int) -> int | None:
        """Return the first row of other weights than those of row 0, where it is before `row`."""
        changed = [stretch.block * BLOCK_ROWS for stretch in self._stretches[1:2]]
        return changed[0] if changed and changed[0] < row else None

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


def shared(parts: tuple[int, ...], blocks: int, behind: tuple[int, ...] | None = None) -> np.ndarray:
    """Return the rows that each source has of so many blocks: its share of them, and what it is `behind` before them
    (in PARTS of a row), to less than one row where that can be.

    It goes through one cycle after the other, until one begins as an earlier one did: the second, mostly.
    """
    state, (cycles, inside) = behind or (0,) * len(parts), divmod(blocks, CYCLE_BLOCKS)
    seen, totals = {state: 0}, [np.zeros(len(parts), dtype=np.int64)]
    while len(totals) <= cycles:
        rows = _shares(parts, state, CYCLE_BLOCKS)[CYCLE_BLOCKS]
        state = _behind(parts, state, CYCLE_BLOCKS, rows)
        totals.append(totals[-1] + rows)
        if state in seen:
            first = seen[state]
            rounds, more = divmod(cycles - first, len(totals) - 1 - first)
            before = totals[first + more] + rounds * (totals[-1] - totals[first])
            state = next(one for one, at in seen.items() if at == first + more)
            break
        seen[state] = len(totals) - 1
    else:
        before = totals[cycles]
    return before + _shares(parts, state, min(CYCLE_BLOCKS, 1 << inside.bit_length()))[inside]


def _behind(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int, rows: np.ndarray) -> tuple[int, ...]:
    """Return what each source is behind its quota, in PARTS of a row, once it has `rows` of so many blocks."""
    each = zip(behind, parts, rows.tolist(), strict=True)
    return tuple(was + blocks * BLOCK_ROWS * part - PARTS * count for was, part, count in each)


@lru_cache(maxsize=16)
def _shares(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return what `shared` says of 0 to `blocks` blocks, [blocks + 1, sources]."""
    found, done, coming = [np.zeros((1, len(parts)), dtype=np.int64)], 0, FEW_BLOCKS
    while done < blocks:
        rows = _by_deadline(parts, behind, min(coming, blocks - done))
        coming *= 2
        if not len(rows):
            rows, coming = _by_deficit(parts, behind)[None], FEW_BLOCKS
        behind = _behind(parts, behind, len(rows), rows[-1])
        found.append(found[-1][-1] + rows)
        done += len(rows)
    counts = np.concatenate(found)
    counts.setflags(write=False)
    return counts


def _by_deadline(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return the rows that each source has of 1 to `blocks` blocks, all within a row of their quota; of fewer blocks,
    where such a division ends.
    """
    each, begun = np.array(parts), np.array(behind)
    quota = np.where(each, begun + np.arange(blocks + 1)[:, None] * BLOCK_ROWS * each, 0)  # in PARTS of a row
    counts = np.maximum(quota // PARTS, 0)
    has_part = quota > counts * PARTS
    # the block at whose end a row is late
    deadline = -((begun - (counts + 1) * PARTS) // (BLOCK_ROWS * np.maximum(each, 1)))
    first = np.where(has_part, deadline, np.iinfo(np.int64).max).argsort(axis=1, kind="stable").tolist()
    waiting = (np.arange(blocks + 1) * BLOCK_ROWS - counts.sum(axis=1)).tolist()
    parted = has_part.sum(axis=1).tolist()
    same = (counts[1:] == np.concatenate([0 * counts[:1], counts[1:-1]])).tolist()
    early: list[int] = []  # sources that have the row of which their quota is only a part
    found: list[int] = []
    many = [0]
    for block in range(1, blocks + 1):
        still = same[block - 1]
        early = [source for source in early if still[source]]
        room = waiting[block] - len(early)
        if not 0 <= room <= parted[block] - len(early):
            break
        early += islice(filterfalse(set(early).__contains__, first[block]), room)
        found += early
        many.append(len(early))
    counts[np.repeat(np.arange(len(many)), many), np.array(found, dtype=np.int64)] += 1
    return counts[1 : len(many)]


def _by_deficit(parts: tuple[int, ...], behind: tuple[int, ...]) -> np.ndarray:
    """Return the rows of each source in a block in which some must be a row off: as little off as can be."""
    each = np.array(parts)
    quota = np.array(behind) + BLOCK_ROWS * each
    rows = np.where(each, np.maximum(quota // PARTS, 0), 0)
    while (missing := BLOCK_ROWS - int(rows.sum())) > 0:
        rows[np.where(each, quota - rows * PARTS, np.iinfo(np.int64).min).argmax()] += 1
    for _ in range(-missing):
        rows[np.where(rows, quota - rows * PARTS, np.iinfo(np.int64).max).argmin()] -= 1
    return rows
