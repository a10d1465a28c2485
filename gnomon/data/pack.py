"""Documents into rows of equal length: every token once, next to no padding. Integers only; the tokens stay where they are."""

from dataclasses import dataclass

import numpy as np

WINDOW_DOCUMENTS = 4096
"""Documents packed together. A window is the unit of randomness: rows are shuffled inside it, windows among themselves."""


@dataclass(frozen=True)
class Layout:
    """Where the pieces of documents lie. Piece i is tokens `start[i]` to `stop[i]` of document `document[i]`; row r holds pieces
    `first[r]` to `first[r + 1]`, side by side from the row's beginning."""

    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    first: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.first) - 1


def pack(lengths: np.ndarray, length: int) -> Layout:
    """Return rows of `length` that hold documents of the given lengths; only the last row may have a gap.

    Documents longer than a row are cut at the row's end. The pieces go, longest first, into the fullest row that has room
    (best fit decreasing); then the emptiest rows are dissolved into the gaps of the others, cutting pieces where needed.
    Equal input gives equal rows. Source: arXiv 2404.10830 (best-fit packing).
    """
    document, start, stop = _pieces(lengths, length)
    sizes = stop - start
    rows = _best_fit(sizes, length)
    rows.sort(key=lambda row: -int(sizes[row].sum()))
    return _fill_gaps(rows, document, start, stop, length)


def _pieces(lengths: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = -(-lengths // length)
    document = np.repeat(np.arange(len(lengths)), counts)
    number = np.arange(len(document)) - np.repeat(counts.cumsum() - counts, counts)
    start = number * length
    return document, start, np.minimum(start + length, lengths[document])


def _best_fit(sizes: np.ndarray, length: int) -> list[list[int]]:
    """Return the pieces of each row. `open_rows[g]` holds rows with a gap of g; one bit of `gaps` says which are not empty."""
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(length + 1)]
    gaps = 0
    for piece in np.argsort(-sizes, kind="stable").tolist():
        size = int(sizes[piece])
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
    return rows


def _fill_gaps(
    rows: list[list[int]], document: np.ndarray, start: np.ndarray, stop: np.ndarray, length: int
) -> Layout:
    """Move pieces of the emptiest rows, cut to size, into the gaps of the fuller ones, until only the last has a gap."""
    packed = [[(int(document[p]), int(start[p]), int(stop[p])) for p in row] for row in rows]
    used = [sum(b - a for _, a, b in row) for row in packed]
    here, last = 0, len(packed) - 1
    while here < last:
        gap = length - used[here]
        if gap == 0:
            here += 1
            continue
        d, a, b = packed[last].pop()
        take = min(gap, b - a)
        packed[here].append((d, a, a + take))
        used[here] += take
        used[last] -= take
        if take < b - a:
            packed[last].append((d, a + take, b))
        if not packed[last]:
            packed.pop()
            last -= 1
    flat = np.array([piece for row in packed for piece in row], dtype=np.int64).reshape(-1, 3)
    first = np.cumsum([0] + [len(row) for row in packed])
    return Layout(flat[:, 0], flat[:, 1], flat[:, 2], first)
