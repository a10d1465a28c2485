"""Records of ids as files hold them, cut into documents: what every reader gives, and what becomes of it.

A document holds no end-of-text: wherever that stands, in front, behind or in the middle of a record, one document ends.
Nor is it longer than MAX_IDS: what is longer is several, as a long text is.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gnomon.base.errors import DataError
from gnomon.data.document import MAX_BYTES

MAX_IDS = MAX_BYTES
"""Of a document. A text has at most as many ids as bytes, so nothing that was prepared here is cut anew."""
BATCH_IDS = 128 * MAX_IDS
"""Read at once: 4 million."""

At = Callable[[int], None]
"""Told how many bytes of a file lie behind."""


@dataclass(frozen=True)
class Asked:
    """What a reader has to know: ids that end documents, and what differs between files of one format."""

    ends: tuple[int, ...]
    key: str = "input_ids"  # of the records that hold ids, in .jsonl and tables
    dtype: str = "uint16"  # of files that do not say it themselves
    masks: bool = False  # take ids in although a mask leaves them out of the loss


@dataclass(frozen=True)
class Sequences:
    """Some records of a file: their ids, one record after the other, how many each has (int64), and the number of the
    first, from 1. A record that is too long goes on in the next ones, under the same number.
    """

    ids: np.ndarray
    lengths: np.ndarray
    first: int


@dataclass(frozen=True)
class Mapped:
    """A file of ids that lies open in memory; record i is ids `bounds[i]` to before `bounds[i + 1]`."""

    ids: np.ndarray
    bounds: np.ndarray


@dataclass(frozen=True)
class Documents:
    """Documents: their ids (uint32), how many each has, the record it is from, and which part of that, from 1."""

    ids: np.ndarray
    lengths: np.ndarray
    record: np.ndarray
    part: np.ndarray


def sequences_of(mapped: Mapped, ends: tuple[int, ...], at: At) -> Iterator[Sequences]:
    """Yield the records of a mapped file, about BATCH_IDS of their ids at once."""
    bounds, count, i = mapped.bounds, len(mapped.bounds) - 1, 0
    while i < count:
        j = int(np.searchsorted(bounds, bounds[i] + BATCH_IDS, side="right")) - 1
        if j > i:
            yield Sequences(mapped.ids[bounds[i] : bounds[j]], np.diff(bounds[i : j + 1]), i + 1)
        else:
            yield from _pieces(mapped, i, ends)
            j = i + 1
        at(int(bounds[j]) * mapped.ids.itemsize)
        i = j


def _pieces(mapped: Mapped, record: int, ends: tuple[int, ...]) -> Iterator[Sequences]:
    """Yield a long record in pieces that end where a document does, or after so many of the longest documents."""
    start, stop = int(mapped.bounds[record]), int(mapped.bounds[record + 1])
    while start < stop:
        ids = mapped.ids[start : min(start + BATCH_IDS, stop)]
        found = np.flatnonzero(ends_in(ids, ends))
        if len(found) and start + len(ids) < stop:
            ids = ids[: int(found[-1]) + 1]
        yield Sequences(ids, np.array([len(ids)], np.int64), record + 1)
        start += len(ids)


def ends_in(ids: np.ndarray, ends: tuple[int, ...]) -> np.ndarray:
    """Return which of the ids end documents: bool, as many."""
    return ids == ends[0] if len(ends) == 1 else np.isin(ids, ends)


class Cutter:
    """Cuts the records of one file into documents, and counts those that hold none."""

    def __init__(self, where: str, ends: tuple[int, ...], tokens: int) -> None:
        self._where, self._ends, self._tokens = where, ends, tokens
        self._last, self._parts = 0, 0  # the last record, and its documents so far
        self.empty: list[int] = []  # records without a document

    def __call__(self, records: Sequences) -> Documents:
        """Return the documents of these records. Raises DataError, with the record, for an id that the tokenizer has
        not.
        """
        ids, stops = records.ids, records.lengths.cumsum()
        self._refuse_strange(records, stops)
        is_end = ends_in(ids, self._ends)
        found = np.flatnonzero(is_end)
        # runs without an end: the k-th begins at the k-th of all beginnings, and ends at the k-th of all ends
        begin = np.sort(np.concatenate([stops - records.lengths, found + 1]))
        size = np.sort(np.concatenate([stops, found])) - begin
        begin, size = begin[size > 0], size[size > 0]
        record = np.searchsorted(stops, begin, side="right")
        whole = -(-size // MAX_IDS)
        inside = np.arange(whole.sum()) - np.repeat(whole.cumsum() - whole, whole)
        lengths = np.minimum(np.repeat(size, whole) - MAX_IDS * inside, MAX_IDS)
        record = np.repeat(record, whole)
        part = self._numbered(record, records)
        return Documents(ids[~is_end].astype("<u4"), lengths, records.first + record, part)

    def _numbered(self, record: np.ndarray, records: Sequences) -> np.ndarray:
        """Return which document of its record each is, from 1, and note the records that have none."""
        count = np.bincount(record, minlength=len(records.lengths))
        part = 1 + np.arange(len(record)) - np.repeat(count.cumsum() - count, count)
        goes_on = records.first == self._last
        if goes_on:
            part[record == 0] += self._parts
            count[:1] += self._parts
        self.empty += (records.first + np.flatnonzero(count == 0)).tolist()
        if len(count):
            self._last, self._parts = records.first + len(count) - 1, int(count[-1])
        return part

    def _refuse_strange(self, records: Sequences, stops: np.ndarray) -> None:
        ids = records.ids
        if not len(ids) or (int(ids.min()) >= 0 and int(ids.max()) < self._tokens):
            return
        place = int(np.flatnonzero((ids < 0) | (ids >= self._tokens))[0])
        inside = int(np.searchsorted(stops, place, side="right"))
        before = int(stops[inside] - records.lengths[inside])
        raise DataError(
            f"id {int(ids[place]):,} is not one of the tokenizer's {self._tokens:,}",
            where=f"{self._where}: record {records.first + inside:,}, id {place - before + 1:,} of it",
            do="name the tokenizer that made these ids with --tokenizer; or the type they are stored in with --dtype",
        )


def hashes_of(ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return a hash of each document's ids, uint64 [documents, 2]: the first half of the SHA-256 of its ids as
    little-endian uint32, whatever type a file stores them in.
    """
    view = np.ascontiguousarray(ids, "<u4").data.cast("B")
    stops = (4 * lengths.cumsum()).tolist()
    starts = [0, *stops][: len(stops)]
    digests = [hashlib.sha256(view[a:b]).digest()[:16] for a, b in zip(starts, stops, strict=True)]
    return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2).astype(np.uint64)


def digest_of(hashes: np.ndarray) -> str:
    """Return the SHA-256 of a set of documents, by their hashes: equal sets, equal digests, in whatever order."""
    order = np.lexsort((hashes[:, 1], hashes[:, 0]))
    return hashlib.sha256(hashes[order].astype(">u8").tobytes()).hexdigest()
