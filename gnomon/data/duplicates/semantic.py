"""Semantic duplicates: from vectors of texts to pairs whose cosine reaches a threshold, and to the texts that stay.

Documents are numbers, in the order in which they have a right to stay: of two alike the later goes. Their vectors have
the length UNIT and are integers, so that products are exact (`embed/embedder.py`) and every decision is the same on any
machine, however the work is cut.

Candidates. Up to EXACT_DOCUMENTS every pair is compared. Of more, k-means cells are learned from a sample, about
CELL_DOCUMENTS documents each; a document lies in the nearest cell and is compared with all that lie in one of its
PROBES nearest. Whoever is found so is compared exactly; two alike are missed where neither cell is among the other's
nearest.

Who stays. In their order: a document goes when one that stays is as like it as the threshold says. So nobody goes for
the sake of one that is not like it, however long the chain of likenesses between them; and no two that stay were found
alike.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.embed.embedder import UNIT, cosines, to_units

EXACT_DOCUMENTS = 32768
CELL_DOCUMENTS = 4096
PROBES = 4
SAMPLED = 32
"""Documents of the sample for each cell."""
ROUNDS = 6
MOST_PARTNERS = 32
"""Earlier documents that are noted for each one: one with more could stay though a later of them stays."""

ROWS, COLUMNS = 512, 8192
"""Of one product: 16 MB."""
SLACK = 0.006
"""More than a product by UNIT**2 is off its cosine."""
PAIRS = 1 << 20
BINS = 50
"""Of the histogram of cosines, from 0 to 1."""

Take = Callable[[np.ndarray], np.ndarray]
"""The vectors of documents by their numbers, int16."""


@dataclass(frozen=True)
class Found:
    """What comparing some documents (`rows`) gave."""

    pairs: np.ndarray  # int64 [pairs, 2]: the later, the earlier; sorted
    cosines: np.ndarray  # float64 [pairs]
    products: np.ndarray  # int64 [rows]: the highest with another document, -1 for none
    partners: np.ndarray  # int64 [rows]: with whom


def cell_count(documents: int) -> int:
    """Return how many cells so many documents lie in; 1: every pair is compared."""
    return 1 if documents <= EXACT_DOCUMENTS else -(-documents // CELL_DOCUMENTS)


def learn_cells(take: Take, documents: int) -> np.ndarray:
    """Return the centres of the documents' cells, int16 [cells, width], by k-means (angles) over a fair sample."""
    count = cell_count(documents)
    drawn = permutation(documents, derive(0, "semantic", "cells"))[: count * SAMPLED]
    sample, centres = take(np.sort(drawn)), take(np.sort(drawn[:count]))
    for _ in range(ROUNDS):
        home = nearest(sample, centres, 1)[:, 0]
        sums = np.zeros(centres.shape, np.int64)
        np.add.at(sums, home, sample)
        centres = np.where(sums.any(axis=1, keepdims=True), to_units(sums), centres)
    return centres


def nearest(vectors: np.ndarray, centres: np.ndarray, count: int) -> np.ndarray:
    """Return the nearest cells of each vector, the nearest first, of equal ones the first: int32 [n, count]."""
    found = np.empty((len(vectors), min(count, len(centres))), np.int32)
    columns = centres.astype(np.float32).T
    for start in range(0, len(vectors), ROWS):
        products = vectors[start : start + ROWS].astype(np.float32) @ columns
        rows = np.arange(len(products))
        for k in range(found.shape[1]):
            best = products.argmax(axis=1)
            found[start : start + ROWS, k] = best
            products[rows, best] = -np.inf
    return found


def compare(
    rows: np.ndarray, columns: np.ndarray, take: Take, threshold: float | None, cells: np.ndarray | None = None
) -> Found:
    """Return what the documents `rows` are alike to among `columns`: numbers, rising.

    A pair counts at the later of the two; where that one is not compared with the cell of the earlier, as `cells`
    (each document's nearest ones) say, at the earlier. Without a threshold only the highest products are sought.
    Memory holds the rows' vectors and one product.
    """
    left = take(rows)
    floats = left.astype(np.float32)
    best, partner = np.full(len(rows), -1, np.int64), np.full(len(rows), -1, np.int64)
    parts: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((0, 2), np.int64), np.zeros(0))]
    for first in range(0, len(columns), COLUMNS):
        those = columns[first : first + COLUMNS]
        right = take(those)
        across = right.astype(np.float32).T
        for start in range(0, len(rows), ROWS):
            part = slice(start, start + ROWS)
            products = floats[part] @ across
            _forget_selves(products, rows[part], those)
            _keep_best(products, those, best[part], partner[part])
            if threshold is None:
                continue
            at, to = np.nonzero(products >= np.float32((threshold - SLACK) * UNIT**2))
            wanted = rows[part][at] > those[to]
            if cells is not None:
                wanted |= (cells[those[to]] != cells[rows[part][at], :1]).all(axis=1)
            at, to = at[wanted], to[wanted]
            values = cosines(products[at, to], _squares(left[part][at]), _squares(right[to]))
            some = values >= threshold
            pair = np.stack([rows[part][at[some]], those[to[some]]], axis=1)
            parts.append((np.sort(pair, axis=1)[:, ::-1], values[some]))
            if sum(len(pairs) for pairs, _ in parts) > PAIRS:
                parts = [first_partners(parts)]
    worded = left.any(axis=1)
    return Found(*first_partners(parts), np.where(worded, best, -1), np.where(worded, partner, -1))


def _forget_selves(products: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
    at = np.searchsorted(columns, rows)
    same = np.flatnonzero(columns[np.minimum(at, len(columns) - 1)] == rows)
    products[same, at[same]] = -np.inf


def _keep_best(products: np.ndarray, columns: np.ndarray, best: np.ndarray, partner: np.ndarray) -> None:
    at = products.argmax(axis=1)
    highest = products[np.arange(len(products)), at]
    more = highest > best
    best[more], partner[more] = highest[more], columns[at[more]]


def _squares(vectors: np.ndarray) -> np.ndarray:
    wide = vectors.astype(np.int64)
    return (wide * wide).sum(axis=1)


def first_partners(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of all parts with their cosines, each once, sorted, of each document's the first 32."""
    pairs, values = np.concatenate([p for p, _ in parts]), np.concatenate([v for _, v in parts])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, values = pairs[order], values[order]
    new = np.append(True, (pairs[1:] != pairs[:-1]).any(axis=1))[: len(pairs)]
    pairs, values = pairs[new], values[new]
    begins = np.flatnonzero(np.append(True, pairs[1:, 0] != pairs[:-1, 0])[: len(pairs)])
    place = np.arange(len(pairs)) - np.repeat(begins, np.diff(np.append(begins, len(pairs))))
    return pairs[place < MOST_PARTNERS], values[place < MOST_PARTNERS]


def leaders(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the documents that go, rising, and for each the first of those that stay and are like it.

    `pairs`, int64 [pairs, 2], are the later and the earlier document, sorted.
    """
    names, places = np.unique(pairs, return_inverse=True)
    later, earlier = places.reshape(-1, 2).T
    all_later, all_earlier = later, earlier
    goes, stays = np.zeros(len(names), bool), np.ones(len(names), bool)
    stays[later] = False  # of these it is not known yet
    while len(later):
        goes[later[stays[earlier]]] = True
        unknown = ~goes[later] & ~goes[earlier]
        later, earlier = later[unknown], earlier[unknown]
        stays = ~goes
        stays[later] = False
    kept = stays[all_earlier]
    gone, first = np.unique(all_later[kept], return_index=True)
    return names[gone], names[all_earlier[kept][first]]


def histogram(products: np.ndarray) -> list[int]:
    """Return how many documents have their highest product in each fiftieth of a cosine from 0 to 1."""
    bins = np.clip(products, 0, UNIT**2 - 1) * BINS // UNIT**2
    return np.bincount(bins, minlength=BINS).tolist()


def tasks(documents: int, cells: np.ndarray | None, most_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows and columns of every comparison: documents' numbers, rising."""
    if cells is None:
        every = np.arange(documents)
        for start in range(0, documents, most_rows):
            yield every[start : start + most_rows], every
        return
    visits = np.argsort(cells.ravel(), kind="stable")
    cuts = np.searchsorted(cells.ravel()[visits], np.arange(int(cells.max(initial=0)) + 2))
    for cell in range(len(cuts) - 1):
        rows = np.sort(visits[cuts[cell] : cuts[cell + 1]] // cells.shape[1])
        columns = rows[cells[rows, 0] == cell]
        for start in range(0, len(rows) if len(columns) else 0, most_rows):
            yield rows[start : start + most_rows], columns


def highest(
    documents: int, found: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each document's highest product and with whom, of equal ones the earliest, from (rows, products, partners)
    of every comparison.
    """
    products, partners = np.full(documents, -1, np.int64), np.full(documents, -1, np.int64)
    for rows, values, others in found:
        better = (values > products[rows]) | ((values == products[rows]) & (others < partners[rows]))
        products[rows[better]], partners[rows[better]] = values[better], others[better]
    return products, partners


def search(
    vectors: np.ndarray, threshold: float | None, told: Callable[[int], None] = lambda done: None
) -> tuple[Found, np.ndarray | None]:
    """Return what all documents gave, and their cells, in memory; `told` hears how many rows have been compared."""
    cells = None
    if cell_count(len(vectors)) > 1:
        cells = nearest(vectors, learn_cells(vectors.__getitem__, len(vectors)), PROBES)
    parts: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros((0, 2), np.int64), np.zeros(0))]
    bests = []
    done = 0
    for rows, columns in tasks(len(vectors), cells, CELL_DOCUMENTS):
        found = compare(rows, columns, vectors.__getitem__, threshold, cells)
        parts.append((found.pairs, found.cosines))
        bests.append((rows, found.products, found.partners))
        told(done := done + len(rows))
    return Found(*first_partners(parts), *highest(len(vectors), bests)), cells
