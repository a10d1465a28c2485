"""Near duplicates: from band hashes to pairs that were compared in full, and to clusters of documents.

Three steps, arrays in and arrays out, so that numbered tasks can take them with files in between: `candidates` for each
band alone (and for each range of its hashes alone, where memory asks for that), `verify` on any part of the pairs,
`components` over all pairs that passed. `clusters` takes all steps in memory.

A cluster is what verified pairs connect: A ~ B and B ~ C puts A and C together, also where A and C are less alike than
the threshold. No pair that was not compared connects anything.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gnomon.base.errors import DataError
from gnomon.data.duplicates.minhash import EMPTY, HASH_BITS, Shingles, band_hashes, bands_for, shingle_sets

WINDOW = 8
"""In a group of equal band hashes each document is paired with this many before it, and with the first.
Of 23,453 prompts made from templates, in groups of hundreds, it leaves all 2,753 clusters at 0.7 as 400 gives them, and
2,067 of 2,071 at 0.5, and finds half of the pairs, in a ninth to a third of the time.
"""

BLOCK_PAIRS = 1 << (64 - HASH_BITS)
BLOCK_HASHES = 1 << 17
"""Shingles compared in one sort, about: a megabyte, which stays in a core's cache."""

BATCH_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Near:
    """What near duplicates a set of documents has. Documents are numbers, in the order they came."""

    documents: int
    clusters: list[list[int]]  # of two or more, each sorted, by their first documents
    pairs: np.ndarray  # int64 [pairs, 2], first < second: all that reach the threshold
    jaccard: np.ndarray  # float64 [pairs]
    seen: np.ndarray  # float64: the Jaccard values of all pairs that were compared


def clusters(
    texts: Iterable[str], threshold: float = 0.7, told: Callable[[str, int], None] = lambda stage, done: None
) -> Near:
    """Return the near duplicates among `texts`: pairs whose shingle sets have a Jaccard value of `threshold` or more.

    At least 97 % of the pairs at the threshold are found, and more above it (`bands_for`). `texts` is iterated twice:
    first for band hashes, then for the shingle sets of candidates. Memory holds some 200 bytes a document, and 8 bytes
    for each shingle of a candidate, about 1.3 times its text. `told` hears how many texts a pass ("looking",
    "comparing") has done.

    Raises ConfigError for a threshold outside 0.2 to 1, DataError where the second iteration has more texts or fewer.
    """
    bands = bands_for(threshold)
    hashes, count = [np.empty((0, bands.count), np.uint64)], 0
    for _, batch in _batches(texts):
        hashes.append(band_hashes(batch, bands))
        count += len(batch)
        told("looking", count)
    columns = [np.concatenate([part[:, band] for part in hashes]) for band in range(bands.count)]
    pairs = merge(candidates(columns[i], columns[(i + 1) % bands.count]) for i in range(bands.count))
    wanted = np.unique(pairs)
    sets: list[Shingles] = []
    again = 0
    for start, batch in _batches(texts):
        low, high = np.searchsorted(wanted, (start, start + len(batch)))
        sets.append(shingle_sets([batch[i] for i in wanted[low:high] - start]))
        again = start + len(batch)
        told("comparing", again)
    if again != count:
        do = "run it again while nothing writes them"
        raise DataError(f"the texts changed between two readings: {count:,}, then {again:,}", do=do)
    seen = jaccard(np.searchsorted(wanted, pairs), Shingles.joined(sets))
    passed = seen >= threshold
    found = _groups(components(count, pairs[passed]))
    return Near(count, found, pairs[passed], seen[passed], seen)


def candidates(hashes: np.ndarray, beside: np.ndarray, documents: np.ndarray | None = None) -> np.ndarray:
    """Return the pairs of documents that one band makes candidates: int64 [pairs, 2], first < second, in no order.

    `hashes` is the band's column, `beside` another band's for the same documents, `documents` their numbers (0, 1, … if
    not given). A part of the documents that holds all of some hashes gives their pairs.

    Never quadratic: in a group of equal hashes, sorted by `beside` and then by number, each document is paired with the
    WINDOW before it and with the first. So all pairs of a group of ten come; in a larger one, two that are far
    from each other are lost here. Sorted so, those that also agree in `beside` stand together, and each other band
    sorts anew; whom verified pairs connect is in one cluster all the same.
    """
    order = np.argsort(hashes)
    in_order = hashes[order]
    equal = in_order[1:] == in_order[:-1]
    member = (np.append(equal, False) | np.append(False, equal)) & (in_order != EMPTY)
    rows = order[member[: len(order)]]
    rows = rows[np.lexsort((rows, beside[rows], hashes[rows]))]
    group, number = hashes[rows], rows if documents is None else documents[rows]
    found = []
    for step in range(1, min(WINDOW, len(rows) - 1) + 1):
        same = group[step:] == group[:-step]
        found.append((number[:-step][same], number[step:][same]))
    place = np.arange(len(rows))
    first = np.maximum.accumulate(np.where(np.append(True, group[1:] != group[:-1])[: len(rows)], place, 0))
    far = place - first > WINDOW
    found.append((number[first[far]], number[far]))
    left, right = (np.concatenate(side) for side in zip(*found, strict=True))
    return np.stack([np.minimum(left, right), np.maximum(left, right)], axis=1).astype(np.int64)


def merge(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the pairs of all parts, each once, sorted: int64 [pairs, 2]. For document numbers below 2^32."""
    keys = np.empty(0, np.uint64)
    for part in parts:  # one at a time, for bands find much the same pairs
        left, right = part.astype(np.uint64).T
        keys = np.unique(np.concatenate([keys, left << np.uint64(32) | right]))
    return np.stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)


def verify(pairs: np.ndarray, sets: Shingles, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs whose sets have a Jaccard value of `threshold` or more, and these values.

    `pairs` are rows of `sets`. A pair is not compared where the sizes of its sets rule it out.
    """
    sizes = np.diff(sets.offsets)[pairs]
    pairs = pairs[sizes.min(1, initial=2**62) >= threshold * sizes.max(1, initial=0)]
    values = jaccard(pairs, sets)
    return pairs[values >= threshold], values[values >= threshold]


def jaccard(pairs: np.ndarray, sets: Shingles) -> np.ndarray:
    """Return each pair's Jaccard value: shingles in both sets by shingles in either; 0 for two empty sets. `pairs`, int
    [pairs, 2], are rows of `sets`.

    Counted exactly, BLOCK_PAIRS or fewer in one sort: in it stand the hashes of both sets of each pair behind the
    pair's number, and what is in both stands twice.
    """
    sizes = np.diff(sets.offsets)[pairs].astype(np.int64)
    both = np.zeros(len(pairs), np.int64)
    until = np.cumsum(sizes.sum(1))
    start = 0
    while start < len(pairs):
        before = until[start - 1] if start else 0
        stop = int(np.searchsorted(until, before + BLOCK_HASHES))
        stop = min(max(stop, start + 1), start + BLOCK_PAIRS, len(pairs))
        both[start:stop] = _in_both(pairs[start:stop], sizes[start:stop], sets)
        start = stop
    return both / np.maximum(sizes.sum(1) - both, 1)


def _in_both(pairs: np.ndarray, sizes: np.ndarray, sets: Shingles) -> np.ndarray:
    lengths = sizes.ravel()
    shift = sets.offsets[pairs.ravel()] - (np.cumsum(lengths) - lengths)
    values = sets.values[np.arange(lengths.sum()) + np.repeat(shift, lengths)]
    values |= np.repeat(np.arange(len(pairs), dtype=np.uint64) << np.uint64(HASH_BITS), sizes.sum(1))
    values.sort()
    twice = values[1:][values[1:] == values[:-1]]
    return np.bincount(twice >> np.uint64(HASH_BITS), minlength=len(pairs))


def components(count: int, pairs: np.ndarray) -> np.ndarray:
    """Return each document's cluster, named by its smallest document: int64 [count]. `pairs` connect documents below
    `count`.

    Each round hangs every root under the smallest root that an edge leads it to, then lets all point to their roots;
    edges within a tree are done. About 24 bytes a document and 48 an edge.
    """
    root = np.arange(count)
    left, right = pairs[:, 0], pairs[:, 1]
    while len(left):
        np.minimum.at(root, np.maximum(left, right), np.minimum(left, right))
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above
        left, right = root[left], root[right]
        open_ = left != right
        left, right = left[open_], right[open_]
    return root


def _groups(labels: np.ndarray) -> list[list[int]]:
    """Return the members of each label that two or more carry, by label."""
    shared = np.flatnonzero(np.bincount(labels, minlength=1)[labels] > 1)
    shared = shared[np.argsort(labels[shared], kind="stable")]
    cuts = np.flatnonzero(np.diff(labels[shared])) + 1
    return [part.tolist() for part in np.split(shared, cuts)] if len(shared) else []


def _batches(texts: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield texts in a row, BATCH_CHARACTERS of them, with the number of the first."""
    start, size, batch = 0, 0, []
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            yield start, batch
            start, size, batch = start + len(batch), 0, []
    if batch:
        yield start, batch
