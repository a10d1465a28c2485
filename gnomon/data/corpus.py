"""Every document of a preparation by its number, and what becomes of each: kept, or removed and why.

Numbers go through the blocks in their order: validation text first, then source by source, file by file. So the first
of equal texts is the one with the lowest number, on any machine. Memory holds one byte a document, and about 20 for
each that is removed; the rest is read from the blocks, a part at a time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from gnomon.base.arrays import load_array
from gnomon.base.progress import Progress
from gnomon.data.blocks import DOCUMENT, Block
from gnomon.data.rules import Rule, judge

TRAIN, VALIDATION = 1, 2
"""The status of a document that is kept."""
REMOVED = 0

PART_DOCUMENTS = 4 << 20
"""Sorted at once: about 100 MB."""


@dataclass(frozen=True)
class File:
    """A file of the corpus: what people call it, whose text it is, and its blocks."""

    name: str
    source: str
    split: str  # "train" or "validation"
    folder: Path
    blocks: int


@dataclass(frozen=True)
class Removal:
    """Documents that were removed for one reason, by number, rising; `others` are those that were kept instead."""

    reason: str
    numbers: np.ndarray
    others: np.ndarray | None = None
    details: list[str] | None = None


class Corpus:
    """The documents of all files, their status, and the removals so far."""

    def __init__(self, files: list[File]) -> None:
        self.files = files
        self.places = [(file, i) for file in files for i in range(file.blocks)]
        self._documents: dict[int, np.ndarray] = {}
        sizes = [len(self.documents(b)) for b in range(len(self.places))]
        self.starts = [0, *accumulate(sizes)]
        self.count = self.starts[-1]
        self.first_train = next(
            (self.starts[b] for b, (file, _) in enumerate(self.places) if file.split == "train"), self.count
        )
        self.status = np.full(self.count, TRAIN, np.uint8)
        self.status[: self.first_train] = VALIDATION
        self.removals: list[Removal] = []

    def block(self, number: int) -> Block:
        """Return a block, opened anew, so that memory keeps none of its texts."""
        file, inside = self.places[number]
        return Block(file.folder / f"{inside:05d}")

    def documents(self, block: int) -> np.ndarray:
        """Return the rows of a block's documents, see blocks.DOCUMENT."""
        if block not in self._documents:
            self._documents[block] = self.block(block).documents
        return self._documents[block]

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of each block's first document, and the rows of its documents."""
        for b in range(len(self.places)):
            yield self.starts[b], self.documents(b)

    def rows_of(self, status: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of all documents of a status, rising, and their rows, see blocks.DOCUMENT."""
        numbers, rows = [np.zeros(0, np.int64)], [np.zeros(0, DOCUMENT)]
        for start, documents in self.blocks():
            mine = np.flatnonzero(self.status[start : start + len(documents)] == status)
            numbers.append(start + mine)
            rows.append(documents[mine])
        return np.concatenate(numbers), np.concatenate(rows)

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of documents, given in rising order."""
        cuts = np.searchsorted(numbers, self.starts)
        inside = [numbers[cuts[b] : cuts[b + 1]] - self.starts[b] for b in range(len(self.places))]
        return np.concatenate([np.zeros(0, DOCUMENT), *(self.documents(b)[i] for b, i in enumerate(inside))])

    def texts(self, numbers: np.ndarray) -> Iterator[str]:
        """Yield the texts of documents, given in rising order."""
        cuts = np.searchsorted(numbers, self.starts)
        for b in range(len(self.places)):
            yield from self.block(b).texts(numbers[cuts[b] : cuts[b + 1]] - self.starts[b])

    def locate(self, number: int) -> tuple[int, int]:
        """Return the block of a document, and its place there."""
        block = bisect_right(self.starts, number) - 1
        return block, number - self.starts[block]

    def id(self, number: int) -> str:
        """Return a document's id."""
        block, inside = self.locate(number)
        return hex_id(self.documents(block)[inside]["id"])

    def origin(self, number: int) -> str:
        """Return where a document came from, such as `stories.jsonl:6`."""
        block, inside = self.locate(number)
        row = self.documents(block)[inside]
        return origin_of(self.places[block][0].name, int(row["line"]), int(row["part"]))

    def remove(self, removal: Removal) -> None:
        """Take documents out. What is out already keeps its first reason."""
        kept = self.status[removal.numbers] != REMOVED
        if not kept.any():
            return
        others = None if removal.others is None else removal.others[kept]
        details = None if removal.details is None else [d for d, k in zip(removal.details, kept, strict=True) if k]
        numbers = removal.numbers[kept]
        self.status[numbers] = REMOVED
        self.removals.append(Removal(removal.reason, numbers, others, details))

    def remove_twins(self, numbers: np.ndarray, keepers: np.ndarray, reason: str, held_out: str) -> None:
        """Take documents out because of others that are kept: for `held_out` where that one is validation text."""
        order = np.argsort(numbers)
        numbers, keepers = numbers[order], keepers[order]
        outside = (keepers < self.first_train) & (numbers >= self.first_train)
        self.remove(Removal(held_out, numbers[outside], keepers[outside]))
        self.remove(Removal(reason, numbers[~outside], keepers[~outside]))

    def reasons(self) -> dict[str, int]:
        """Return how many documents were removed, by reason."""
        found: Counter[str] = Counter()
        for removal in self.removals:
            found[removal.reason] += len(removal.numbers)
        return dict(sorted(found.items()))

    def ledger(self) -> Iterator[dict[str, str]]:
        """Yield what is to be known of each removed document, in the order of their numbers."""
        count = sum(len(r.numbers) for r in self.removals)
        numbers, which, place = np.zeros(count, np.int64), np.zeros(count, np.int32), np.zeros(count, np.int64)
        at = 0
        for i, removal in enumerate(self.removals):
            here = slice(at, at := at + len(removal.numbers))
            numbers[here], which[here], place[here] = removal.numbers, i, np.arange(len(removal.numbers))
        for i in np.argsort(numbers).tolist():
            removal, inside, number = self.removals[which[i]], int(place[i]), int(numbers[i])
            entry = {"id": self.id(number), "origin": self.origin(number)}
            detail = ""
            if removal.others is not None:
                detail = f"of {self.origin(int(removal.others[inside]))}"
            elif removal.details is not None:
                detail = removal.details[inside]
            yield entry | {"reason": removal.reason, "detail": detail}


def hex_id(halves: np.ndarray) -> str:
    """Return a document's id as people read it."""
    return f"{int(halves[0]):016x}{int(halves[1]):016x}"


def origin_of(name: str, line: int, part: int) -> str:
    """Return what names a document: file, line, and the part of a long record."""
    return f"{name}:{line}" if part == 1 else f"{name}:{line}#{part}"


def remove_poor(corpus: Corpus, rules: Sequence[Rule], told: Progress) -> None:
    """Remove every document of the training text that breaks a rule; what is held out stays as it is given."""
    for b, (start, rows) in enumerate(corpus.blocks()):
        told("judging texts", b + 1, len(corpus.places), "blocks")
        if corpus.places[b][0].split == "validation" or not len(rows):
            continue
        broken = judge(load_array(corpus.block(b).folder / "scores.npy"), rules)
        for rule in dict.fromkeys(found.rule for found in broken if found):
            mine = [i for i, found in enumerate(broken) if found and found.rule == rule]
            details = [found.detail for found in broken if found and found.rule == rule]
            corpus.remove(Removal(rule.name, start + np.array(mine, np.int64), details=details))


def remove_equal(corpus: Corpus) -> None:
    """Remove every document whose text was there before, but for white space and Unicode form."""
    parts = max(1, -(-corpus.count // PART_DOCUMENTS))
    for part in range(parts):
        keys, numbers = [np.zeros((0, 2), np.uint64)], [np.zeros(0, np.int64)]
        for start, documents in corpus.blocks():
            rows = documents["key"]
            mine = np.flatnonzero(rows[:, 0] % np.uint64(parts) == part) if parts > 1 else np.arange(len(rows))
            mine = mine[corpus.status[start + mine] != REMOVED]
            keys.append(np.array(rows[mine]))
            numbers.append(start + mine)
        key, number = np.concatenate(keys), np.concatenate(numbers)
        order = np.lexsort((number, key[:, 1], key[:, 0]))
        key, number = key[order], number[order]
        same = (key[1:] == key[:-1]).all(axis=1)
        first = np.maximum.accumulate(np.where(np.concatenate([[True], ~same]), np.arange(len(number)), 0))
        again = np.flatnonzero(same) + 1
        corpus.remove_twins(number[again], number[first[again]], "duplicate", "in validation")
