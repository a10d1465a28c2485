"""Every document of a preparation by its number, and what becomes of each: kept, or removed and why.

Numbers go through the blocks in their order: validation text first, then source by source, file by file. So the first
of equal texts is the one with the lowest number, on any machine. Memory holds one byte a document, about 20 for each
that is removed (100 for one that breaks a rule), and, while the held-out ones and the sample are chosen, 60 for each
that is kept; the rest is read from the blocks, a part at a time.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.arrays import load_array
from gnomon.base.progress import Progress
from gnomon.data.blocks import DOCUMENT, Block
from gnomon.data.classification.domains import Choice, chosen
from gnomon.data.cleaning.rules import Rule, judge
from gnomon.data.forms.form import TEXT, Form

TRAIN, VALIDATION = 1, 2
"""The status of a document that is kept."""
REMOVED = 0

OPEN_BLOCKS = 64  # mapped at once: each takes a file descriptor
PART_DOCUMENTS = 4 << 20
"""Sorted at once: about 100 MB."""


@dataclass(frozen=True)
class Files:
    """Files that were read together, or a span of one: what people call them, whose text they are, and their blocks;
    and of each file, where domains are told apart, which sources its documents are of.
    """

    names: list[str]
    source: str
    split: str  # "train" or "validation"
    folder: Path
    blocks: int
    choices: tuple[tuple[Choice, ...], ...] = ()
    form: Form = TEXT


@dataclass(frozen=True)
class Removal:
    """Documents that were removed for one reason, by number, rising; `others` are those that were kept instead."""

    reason: str
    numbers: np.ndarray
    others: np.ndarray | None = None
    details: list[str] | None = None


class Corpus:
    """The documents of all files, their status, and the removals so far."""

    def __init__(self, files: list[Files]) -> None:
        self.files = files
        self.places = [(file, i) for file in files for i in range(file.blocks)]
        self._documents: dict[int, np.ndarray] = {}  # the blocks that were asked for last
        self._named: tuple[int, Block] | None = None  # the block whose own ids were asked for last
        self.changes: dict[int, list[Path]] = {}  # of blocks: texts that stand instead of some, see changes.py
        sizes = [len(self.documents(b)) for b in range(len(self.places))]
        self.starts = [0, *accumulate(sizes)]
        self.count = self.starts[-1]
        self.first_train = next(
            (self.starts[b] for b, (file, _) in enumerate(self.places) if file.split == "train"), self.count
        )
        self.status = np.full(self.count, TRAIN, np.uint8)
        self.status[: self.first_train] = VALIDATION
        self.removals: list[Removal] = []
        self.sources = list(dict.fromkeys(name for files in self.files for name in _names_of(files)))
        """The names of all sources, a domain of one being another; those of no document are not among them, but for
        sources without domains.
        """
        there = {self.sources[i] for b in range(len(self.places)) for i in np.unique(self.sources_in(b)).tolist()}
        there |= {files.source for files in self.files if len(_names_of(files)) == 1}
        self.sources = [name for name in self.sources if name in there]

    def sources_in(self, block: int) -> np.ndarray:
        """Return the number, in `sources`, of the source of each document of a block: uint16 [n]."""
        files, rows = self.places[block][0], self.documents(block)
        if not files.choices:
            return np.full(len(rows), self.sources.index(files.source), np.uint16)
        path = self.block(block).folder / "domains.npy"
        true = load_array(path) if path.exists() else np.zeros((len(rows), 0), bool)
        return chosen(files.choices, rows["file"], true, self.sources)

    def sources_of(self, numbers: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Return the names of the sources, and the place among them of each document's; numbers rise."""
        found = (self.sources_in(b)[inside] for b, inside in self._inside(numbers))
        return self.sources, np.concatenate([np.zeros(0, np.uint16), *found])

    def block(self, number: int) -> Block:
        """Return a block, opened anew, so that memory keeps none of its texts."""
        file, inside = self.places[number]
        return Block(file.folder / f"{inside:05d}", self.changes.get(number, ()))

    def named(self, number: int) -> dict[str, Any]:
        """Return what a job must be told to open a block as it is now, see `opened`."""
        block = self.block(number)
        return {"block": str(block.folder), "changes": list(map(str, block.changes))}

    def documents(self, block: int) -> np.ndarray:
        """Return the rows of a block's documents, see blocks.DOCUMENT."""
        if block not in self._documents:
            self._documents[block] = self.block(block).documents
            if len(self._documents) > OPEN_BLOCKS:
                del self._documents[next(iter(self._documents))]
        return self._documents[block]

    def change(self, block: int, folder: Path) -> None:
        """Have other texts stand instead of some documents of a block, see changes.py."""
        self.changes[block] = [*self.changes.get(block, ()), folder]
        self._documents.pop(block, None)

    def changed(self, block: int) -> tuple[np.ndarray, np.ndarray]:
        """Return which documents of a block have another text now, by number, and how many bytes each had before."""
        places = np.flatnonzero(self.block(block).layers) if block in self.changes else np.zeros(0, np.int64)
        file, inside = self.places[block]
        return self.starts[block] + places, Block(file.folder / f"{inside:05d}").documents["bytes"][places]

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the number of each block's first document, and the rows of its documents."""
        for b in range(len(self.places)):
            yield self.starts[b], self.documents(b)

    def ids_of(self, status: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the numbers of all documents of a status, rising, their ids, uint64 [n, 2], and sizes in bytes."""
        numbers = np.flatnonzero(self.status == status)
        ids, sizes = np.empty((len(numbers), 2), np.uint64), np.empty(len(numbers), np.int64)
        at = 0
        for start, documents in self.blocks():
            mine = np.flatnonzero(self.status[start : start + len(documents)] == status)
            ids[at : at + len(mine)], sizes[at : at + len(mine)] = documents["id"][mine], documents["bytes"][mine]
            at += len(mine)
        return numbers, ids, sizes

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of documents, given in rising order."""
        found = (self.documents(b)[inside] for b, inside in self._inside(numbers))
        return np.concatenate([np.zeros(0, DOCUMENT), *found])

    def texts(self, numbers: np.ndarray) -> Iterator[str]:
        """Yield the texts of documents, given in rising order."""
        for b, inside in self._inside(numbers):
            yield from self.block(b).texts(inside)

    def _inside(self, numbers: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the blocks that hold documents, given in rising order, and their places there; no other is opened."""
        at = 0
        while at < len(numbers):
            block, _ = self.locate(int(numbers[at]))
            stop = int(np.searchsorted(numbers, self.starts[block + 1]))
            yield block, numbers[at:stop] - self.starts[block]
            at = stop

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
        return origin_of(self.places[block][0].names[int(row["file"])], int(row["line"]), int(row["part"]))

    def own_id(self, number: int) -> str:
        """Return the own id of a document's record; "" where it has none."""
        block, inside = self.locate(number)
        if self._named is None or self._named[0] != block:
            self._named = block, self.block(block)
        return self._named[1].own_ids([inside])[0]

    def records(self, numbers: np.ndarray) -> np.ndarray:
        """Return the number of the first document of each one's record; the numbers of documents rise."""
        found = np.empty(len(numbers), np.int64)
        cuts, last = np.searchsorted(numbers, self.starts), 0
        for b in range(len(self.places)):
            rows = self.documents(b)["goes_on"]
            first = np.where(rows == 0, self.starts[b] + np.arange(len(rows)), last)
            first = np.maximum.accumulate(first)
            found[cuts[b] : cuts[b + 1]] = first[numbers[cuts[b] : cuts[b + 1]] - self.starts[b]]
            last = int(first[-1]) if len(first) else last
        return found

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        """Return what keeps each document on one side of the split with others: equal numbers, but for 0; uint64."""
        found = np.zeros(len(numbers), np.uint64)
        cuts = np.searchsorted(numbers, self.starts)
        for b, (files, _) in enumerate(self.places):
            if files.form.structured:
                found[cuts[b] : cuts[b + 1]] = self.block(b).groups[numbers[cuts[b] : cuts[b + 1]] - self.starts[b]]
        return found

    def compared(self) -> np.ndarray:
        """Return the numbers of the documents that are kept and looked at for likeness, rising."""
        kept = self.status != REMOVED
        for b, (files, _) in enumerate(self.places):
            if not files.form.compared:
                kept[self.starts[b] : self.starts[b + 1]] = False
        return np.flatnonzero(kept)

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
            if own := self.own_id(number):
                entry["own_id"] = own
            detail = ""
            if removal.others is not None:
                detail = f"of {self.origin(int(removal.others[inside]))}"
            elif removal.details is not None:
                detail = removal.details[inside]
            yield entry | {"reason": removal.reason, "detail": detail}


def opened(args: dict[str, Any]) -> Block:
    """Return the block that a job was told of, see `Corpus.named`."""
    return Block(Path(args["block"]), list(map(Path, args["changes"])))


def _names_of(files: Files) -> list[str]:
    """Return the sources that documents of files may be of."""
    named = [choice.source for each in files.choices for choice in each]
    return list(dict.fromkeys([files.source, *named]))


def hex_id(halves: np.ndarray) -> str:
    """Return a document's id as people read it."""
    return f"{int(halves[0]):016x}{int(halves[1]):016x}"


def origin_of(name: str, line: int, part: int) -> str:
    """Return what names a document: file, line, and the part of a long record."""
    return f"{name}:{line}" if part == 1 else f"{name}:{line}#{part}"


def remove_poor(corpus: Corpus, rules: Sequence[Rule], told: Progress) -> None:
    """Remove every document of the training text that breaks a rule; what is held out stays as it is given."""
    broken: dict[str, tuple[list[int], list[str]]] = {rule.name: ([], []) for rule in rules}
    for b, (start, rows) in enumerate(corpus.blocks()):
        told("judging texts", b + 1, len(corpus.places), "blocks")
        files = corpus.places[b][0]
        if files.split == "validation" or files.form.structured or not len(rows):  # the rules are made for pages
            continue
        for i, found in enumerate(judge(load_array(corpus.block(b).folder / "scores.npy"), rules)):
            if found:
                broken[found.rule.name][0].append(start + i)
                broken[found.rule.name][1].append(found.detail)
    for name, (numbers, details) in broken.items():
        corpus.remove(Removal(name, np.array(numbers, np.int64), details=details))


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
