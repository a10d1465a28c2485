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

A block far away is found without all those before it. Wherever no source is ever a row off, a block begins in one of
few states: each source has its whole rows, and so many of those with a part of one have it whole. Of them two stand at
the ends: the rows that are late first are given, or those that are late last. What has been given of the rows that are
late until any block is, in every other state, between these two, now and ever after; so where both come to the same,
every other one does. They mostly meet within a few hundred blocks.
Source: Propp and Wilson 1996, "Exact sampling with coupled Markov chains" (from the past, between two ends).
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
LOOKS_BACK = (64, 320, 1024, 4480)  # blocks, from one far away: 1, 8, 25 and 110 ms for 200 sources; a cycle takes 200
TABLE_BLOCKS = 64  # worked out together, where one begins to look

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
    """
    behind, inside = behind or (0,) * len(parts), blocks % TABLE_BLOCKS
    before = _rows_before(parts, behind, blocks - inside)
    return before + _shares(parts, _behind(parts, behind, blocks - inside, before), TABLE_BLOCKS)[inside]


@lru_cache(maxsize=64)
def _rows_before(parts: tuple[int, ...], behind: tuple[int, ...], block: int) -> np.ndarray:
    """Return what `shared` says of so many blocks, by a look back from the last of them, or by all cycles before."""
    cycles = max(0, block // CYCLE_BLOCKS - 2)  # in which each source has as many rows as it has parts
    near = block - cycles * CYCLE_BLOCKS
    for back in LOOKS_BACK:
        if back < near and _never_a_row_off(parts, behind):
            found = _looking_back(parts, behind, near, back)
            if found is not None:
                return found + cycles * np.array(parts)
    return _cycle_by_cycle(parts, behind, block)


@lru_cache(maxsize=64)
def _never_a_row_off(parts: tuple[int, ...], behind: tuple[int, ...]) -> bool:
    """Return whether rows by deadline have each source within a row of its quota in every block to come.

    Rows that come due between two blocks are never more than fit in between. So it is enough that in each block as many
    rows are left for parts of a row as can be given: those that are due fit in, and there are enough to be given. Once
    no quota is below 0, that is so where the sources with weight are in all neither behind nor ahead; else it repeats
    itself with each cycle.
    """
    each, begun = (np.array([one for one, part in zip(of, parts, strict=True) if part]) for of in (parts, behind))
    until = int((-(begun // (BLOCK_ROWS * each))).max(initial=0))  # the block from which on no quota is below 0
    if until > CYCLE_BLOCKS:
        return False
    last = until + CYCLE_BLOCKS if begun.sum() else until
    for first in range(1, last + 1, TABLE_BLOCKS):
        blocks = np.arange(first, min(first + TABLE_BLOCKS, last + 1))
        quota = begun + blocks[:, None] * BLOCK_ROWS * each
        counts = np.maximum(quota // PARTS, 0)
        waiting = blocks * BLOCK_ROWS - counts.sum(axis=1)
        if not ((waiting >= 0) & (waiting <= (quota > counts * PARTS).sum(axis=1))).all():
            return False
    return True


def _looking_back(parts: tuple[int, ...], behind: tuple[int, ...], block: int, back: int) -> np.ndarray | None:
    """Return the rows that each source has before a block, where any state that it may have so many blocks `back` comes
    to the same; else None.
    """
    due = _due(parts, behind, np.arange(block - back, block + 1))
    ready, many = due.first[0][: due.parted[0]], due.waiting[0]
    soonest, latest = ready[:many], ready[len(ready) - many :]
    for at in range(1, back + 1):
        same = set(soonest) == set(latest)
        soonest = due.following(at, soonest)
        latest = soonest if same else due.following(at, latest)
    if set(soonest) != set(latest):
        return None
    counts = due.counts[-1].copy()
    counts[soonest] += 1
    return counts


def _cycle_by_cycle(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return what `shared` says, by one cycle after the other, until one begins as an earlier one did: the second,
    mostly.
    """
    state, (cycles, inside) = behind, divmod(blocks, CYCLE_BLOCKS)
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


@dataclass(frozen=True)
class _Due:
    """Of some blocks in turn, what is due at the end of each: the whole rows of the sources' quotas, how many rows are
    then `waiting` to be given, how many sources have a part of a row beside them, and the sources in the order in which
    that row will be late. `same` says of each block but the first which sources have as many whole rows as before it.
    """

    counts: np.ndarray
    waiting: list[int]
    parted: list[int]
    first: list[list[int]]
    same: list[list[bool]]

    def following(self, at: int, early: list[int]) -> list[int]:
        """Return the sources that have a row of which their quota is only a part, from those that had one before.

        Where more are due than fit in, as they cannot be in fact, it is those with the latest rows that keep theirs: so
        what stands below every state still does.
        """
        same = self.same[at - 1]
        kept = {source for source in early if same[source]}
        room = self.waiting[at] - len(kept)
        if room < 0:
            return [source for source in self.first[at] if source in kept][-room:]
        return [*kept, *islice(filterfalse(kept.__contains__, self.first[at]), room)]


def _due(parts: tuple[int, ...], behind: tuple[int, ...], blocks: np.ndarray) -> _Due:
    """Return what is due at the ends of blocks, when sources were `behind` at block 0."""
    each, begun = np.array(parts), np.array(behind)
    quota = np.where(each, begun + blocks[:, None] * BLOCK_ROWS * each, 0)  # in PARTS of a row
    counts = np.maximum(quota // PARTS, 0)
    has_part = quota > counts * PARTS
    # the block at whose end a row is late
    deadline = -((begun - (counts + 1) * PARTS) // (BLOCK_ROWS * np.maximum(each, 1)))
    first = np.where(has_part, deadline, np.iinfo(np.int64).max).argsort(axis=1, kind="stable")
    return _Due(
        counts,
        (blocks * BLOCK_ROWS - counts.sum(axis=1)).tolist(),
        has_part.sum(axis=1).tolist(),
        first.tolist(),
        (counts[1:] == counts[:-1]).tolist(),
    )


def _by_deadline(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int) -> np.ndarray:
    """Return the rows that each source has of 1 to `blocks` blocks, all within a row of their quota; of fewer blocks,
    where such a division ends.
    """
    due = _due(parts, behind, np.arange(blocks + 1))
    early: list[int] = []  # sources that have the row of which their quota is only a part
    found: list[int] = []
    many = [0]
    for block in range(1, blocks + 1):
        still = due.same[block - 1]
        early = [source for source in early if still[source]]
        room = due.waiting[block] - len(early)
        if not 0 <= room <= due.parted[block] - len(early):
            break
        early += islice(filterfalse(set(early).__contains__, due.first[block]), room)
        found += early
        many.append(len(early))
    counts = due.counts
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
