"""Documents into rows of equal length: every token once, next to no padding. Integers only; the tokens
stay where they are.
"""

from dataclasses import dataclass

import numpy as np

WINDOW_DOCUMENTS = 4096
"""Documents packed together. A window is the unit of randomness: rows are shuffled inside it, windows
among themselves.
"""

Piece = tuple[int, int, int]
"""Tokens start to stop of a document: (document, start, stop)."""


@dataclass(frozen=True)
class Layout:
    """Where the pieces of documents lie. Piece i is tokens `start[i]` to `stop[i]` of document
    `document[i]`; row r holds pieces `first[r]` to `first[r + 1]`, side by side from the row's beginning.
    """

    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


def pack(lengths: np.ndarray, length: int) -> Layout:
    """Return rows of `length` that hold documents of the given lengths; only the last row may have a gap.

    A document longer than a row gives rows of its own and a remainder. Remainders and short documents go,
    longest first, into the fullest row that has room (best fit decreasing); then the emptiest rows are
    dissolved into the gaps of the others, cutting pieces where needed. Equal input gives equal rows,
    `rows_needed` of them. Source: arXiv 2404.10830 (best-fit packing).
    """
    whole = lengths // length
    document = np.repeat(np.arange(len(lengths)), whole)
    start = length * (np.arange(len(document)) - np.repeat(whole.cumsum() - whole, whole))
    rest = np.flatnonzero(lengths % length)
    pieces = list(zip(rest.tolist(), (whole[rest] * length).tolist(), lengths[rest].tolist(), strict=True))
    rows = _fill_gaps(_best_fit(pieces, length), length)
    flat = np.array([piece for row in rows for piece in row], dtype=np.int64).reshape(-1, 3)
    counts = np.array([1] * len(document) + [len(row) for row in rows], dtype=np.int64)
    return Layout(
        np.concatenate([document, flat[:, 0]]),
        np.concatenate([start, flat[:, 1]]),
        np.concatenate([start + length, flat[:, 2]]),
        np.concatenate([[0], counts.cumsum()]),
    )


def rows_needed(tokens: int, length: int) -> int:
    """Return the number of rows that `pack` makes of so many tokens."""
    return -(-tokens // length)


def _best_fit(pieces: list[Piece], length: int) -> list[list[Piece]]:
    """Return the pieces of each row, the fullest row first.

    `open_rows[g]` holds the rows with a gap of g; bit g of `gaps` says that there is one, so that the
    smallest gap that is large enough is found without a search.
    """
    rows: list[list[Piece]] = []
    open_rows: list[list[int]] = [[] for _ in range(length)]
    gaps = 0
    for piece in sorted(pieces, key=lambda p: p[1] - p[2]):
        size = piece[2] - piece[1]
        large_enough = gaps >> size
        if large_enough:
            gap = size + (large_enough & -large_enough).bit_length() - 1
            row = open_rows[gap].pop()
            if not open_rows[gap]:
                gaps ^= 1 << gap
            rows[row].append(piece)
        else:
            gap, row = length, len(rows)
            rows.append([piece])
        left = gap - size
        if left:
            open_rows[left].append(row)
            gaps |= 1 << left
    return sorted(rows, key=_minus_tokens)


def _minus_tokens(row: list[Piece]) -> int:
    """Return the row's tokens, negative: a sort key that puts full rows first, and its gap once `length`
    is added.
    """
    return sum(start - stop for _, start, stop in row)


def _fill_gaps(rows: list[list[Piece]], length: int) -> list[list[Piece]]:
    """Move pieces of the last rows, cut to size, into the gaps of the first ones, until only the last has
    a gap.
    """
    here = 0
    gap = length + _minus_tokens(rows[0]) if rows else 0
    while here < len(rows) - 1:
        if gap == 0:
            here += 1
            gap = length + _minus_tokens(rows[here])
            continue
        document, start, stop = rows[-1].pop()
        taken = min(gap, stop - start)
        rows[here].append((document, start, start + taken))
        gap -= taken
        if taken < stop - start:
            rows[-1].append((document, start + taken, stop))
        if not rows[-1]:
            rows.pop()
    return rows
