"""Documents into rows of equal length: every token once, next to no padding. Integers only; the tokens
stay where they are.
"""

from dataclasses import dataclass

import numpy as np

WINDOW_DOCUMENTS = 4096
"""Documents packed together. A window is the unit of randomness: rows are shuffled inside it, windows
among themselves.
"""


@dataclass(frozen=True)
class Layout:
    """Where the pieces of documents lie. Piece i is tokens `start[i]` to `stop[i]` of document
    `document[i]`, of which the first `seen[i]` are in another piece too and bear their loss there; row r holds pieces
    `first[r]` to `first[r + 1]`, side by side from the row's beginning.
    """

    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    seen: np.ndarray
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


def pack(lengths: np.ndarray, length: int, stride: int | None = None, *, uncut: bool = False) -> Layout:
    """Return rows of `length` that hold documents of the given lengths; only the last row may have a gap.

    A document longer than a row gives rows of its own and a remainder. Remainders and short documents go,
    longest first, into the fullest row that has room (best fit decreasing); then the emptiest rows are
    dissolved into the gaps of the others, cutting pieces where needed. Equal input gives equal rows,
    `rows_needed` of them. Source: arXiv 2404.10830 (best-fit packing).

    With a `stride`, and where a document is longer than a row, it is cut into windows of `length` tokens, `stride`
    apart, the last as long as what is left: so no token but the first ones of a document has fewer than `length -
    stride` before it. Then nothing is cut to fill gaps, and other rows than the last may have one; nor is it where
    documents shall stay `uncut` as far as they fit into a row.
    """
    if uncut or (stride is not None and (lengths > length).any()):
        return _pack_windows(lengths, length, stride or length)
    whole = lengths // length
    document = np.repeat(np.arange(len(lengths)), whole)
    start = length * (np.arange(len(document)) - np.repeat(whole.cumsum() - whole, whole))
    rest = np.flatnonzero(lengths % length)
    rest = rest[np.argsort(-(lengths[rest] % length), kind="stable")]
    rows = _best_fit(lengths[rest] % length, length)
    row, *pieces = _fill_gaps(rows, np.stack([rest, whole[rest] * length, lengths[rest]]), length)
    counts = np.concatenate([np.ones(len(document), dtype=np.int64), np.bincount(row)])
    return Layout(
        np.concatenate([document, pieces[0]]),
        np.concatenate([start, pieces[1]]),
        np.concatenate([start + length, pieces[2]]),
        np.zeros(len(start) + len(row), dtype=np.int64),
        np.concatenate([[0], counts.cumsum()]),
    )


def _pack_windows(lengths: np.ndarray, length: int, stride: int) -> Layout:
    """Return rows of windows that overlap, full ones first, the rest best fit."""
    count = np.maximum(0, -(-(lengths - length) // stride)) + 1
    document = np.repeat(np.arange(len(lengths)), count)
    number = np.arange(len(document)) - np.repeat(count.cumsum() - count, count)
    start = number * stride
    stop = np.minimum(start + length, lengths[document])
    seen = np.where(number > 0, length - stride, 0)
    sizes = stop - start
    whole, rest = np.flatnonzero(sizes == length), np.flatnonzero(sizes < length)
    rest = rest[np.argsort(-sizes[rest], kind="stable")]
    row, order = _fullest_first(_best_fit(sizes[rest], length), sizes[rest])
    order = np.concatenate([whole, rest[order]])
    counts = np.concatenate([np.ones(len(whole), dtype=np.int64), np.bincount(row)])
    first = np.concatenate([[0], counts.cumsum()])
    return Layout(document[order], start[order], stop[order], seen[order], first)


def rows_needed(tokens: int, length: int) -> int:
    """Return the number of rows that `pack` makes of so many tokens."""
    return -(-tokens // length)


def _best_fit(sizes: np.ndarray, length: int) -> np.ndarray:
    """Return the row of each piece; `sizes` fall.

    `open_rows[g]` holds the rows with a gap of g; bit g of `gaps` says that there is one, so that the
    smallest gap that is large enough is found without a search. Pieces of one size are placed together: they fill one
    row of that gap after the other.
    """
    placed: list[int] = []
    open_rows: list[list[int]] = [[] for _ in range(length)]
    gaps = rows = 0
    distinct, counts = np.unique(sizes, return_counts=True)
    for size, count in zip(distinct[::-1].tolist(), counts[::-1].tolist(), strict=True):
        while count:
            large_enough = gaps >> size
            gap = size + (large_enough & -large_enough).bit_length() - 1 if large_enough else length
            each = min(gap // size, count)  # pieces of a row
            if large_enough:
                stack = open_rows[gap]
                chosen = stack[: -(count // each) - 1 : -1]
                del stack[-len(chosen) :]
                if not stack:
                    gaps ^= 1 << gap
            else:
                chosen = list(range(rows, rows + count // each))
                rows += len(chosen)
            placed += chosen if each == 1 else [row for row in chosen for _ in range(each)]
            count -= each * len(chosen)
            left = gap - each * size
            if left:
                open_rows[left] += chosen
                gaps |= 1 << left
    return np.array(placed, dtype=np.int64)


def _fill_gaps(row: np.ndarray, pieces: np.ndarray, length: int) -> np.ndarray:
    """Return the row, document, start and stop of each piece, row by row, the fullest first; the pieces of the last
    rows, from the end on and cut to size, in the gaps of the first ones, so that only the last has a gap.
    """
    if not len(row):
        return np.empty((4, 0), dtype=np.int64)
    sizes = pieces[2] - pieces[1]
    row, order = _fullest_first(row, sizes)
    pieces, sizes = pieces[:, order], sizes[order]
    filled = np.add.reduceat(sizes, np.flatnonzero(np.diff(row, prepend=-1)))

    count = rows_needed(int(sizes.sum()), length)
    gaps = length - filled[:count]
    moved = max(int(gaps[:-1].sum()), int(filled[count:].sum()))
    ends = sizes[::-1].cumsum()  # of what is moved, the last piece first
    filled_up = np.minimum(gaps.cumsum(), moved)
    edges = np.unique(np.concatenate([[0], ends[ends < moved], filled_up]))[:-1] if moved else ends[:0]
    stops = np.append(edges[1:], moved)[: len(edges)]
    giver = np.searchsorted(ends, edges, side="right")
    came = len(sizes) - 1 - giver
    start = pieces[1][came] + edges - (ends - sizes[::-1])[giver]
    added = np.stack([np.searchsorted(filled_up, edges, side="right"), pieces[0][came], start, start + stops - edges])

    taken = np.clip(moved - (ends - sizes[::-1]), 0, sizes[::-1])[::-1]
    stays = taken < sizes
    kept = np.stack([row, pieces[0], pieces[1] + taken, pieces[2]])[:, stays]
    both = np.concatenate([kept, added], axis=1)
    return both[:, np.argsort(both[0], kind="stable")]


def _fullest_first(row: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of all pieces with their rows numbered anew, the fullest first, and the pieces' order by row."""
    filled = np.zeros(int(row.max(initial=-1)) + 1, dtype=np.int64)
    np.add.at(filled, row, sizes)
    place = np.empty_like(filled)
    place[np.argsort(-filled, kind="stable")] = np.arange(len(filled))
    order = np.argsort(place[row], kind="stable")
    return place[row][order], order
