"""Repeated lines in files: which stand in many records, and what would go with them."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from gnomon.data.document import Removed
from gnomon.data.duplicates.lines import lines_of, repeated, without
from gnomon.data.reading.read import Source, find_sources, read_records
from gnomon.data.reading.unread import refuse_unread

BATCH_CHARACTERS = 4 << 20
"""Of text that is looked at in one go, about."""
SHOWN_CHARACTERS = 200
"""Of a line."""


@dataclass(frozen=True)
class RepeatedLines:
    """What stands in too many records of some files: how many such lines there are, and what goes with them."""

    documents: int
    bytes: int
    repeated: int
    cut_documents: int
    cut_lines: int  # blank ones beside them included
    cut_bytes: int
    most: list[tuple[str, int]]  # lines and in how many records each is, those in the most first
    unread: list[str]

    def as_dict(self) -> dict[str, object]:
        """Return all of it, for JSON."""
        return asdict(self)


def find_lines(
    paths: list[str],
    more_than: int,
    characters: int,
    text_field: str = "text",
    shown: int = 20,
    told: Callable[[str, int], None] = lambda stage, done: None,
) -> RepeatedLines:
    """Return the lines that stand in more than so many records of files and folders, equal records included.

    Reads everything twice. Memory: 16 bytes for each line that counts, four times while they are sorted.

    Raises DataError for a file that cannot be read.
    """
    sources, removed = find_sources(paths), list[Removed]()
    hashes, records, first = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
    for texts in _batches(sources, text_field, removed):
        lines = lines_of(texts, characters)
        hashes.append(lines.hashes)
        records.append(first + lines.text[lines.at])
        told("counting lines", first := first + len(texts))
    if not first:
        raise refuse_unread(removed, ", ".join(paths))
    found = repeated(np.concatenate(hashes), np.concatenate(records), more_than)
    del hashes, records
    order = np.lexsort((found.hashes, -found.records))[:shown]
    wanted, said = set(found.hashes[order].tolist()), dict[int, str]()
    documents = size = cut_documents = cut_lines = cut_bytes = 0
    for texts in _batches(sources, text_field, []):
        lines = lines_of(texts, characters)
        for i in np.flatnonzero(np.isin(lines.hashes, list(wanted - said.keys()))).tolist():
            at = lines.at[i]
            line = texts[lines.text[at]].split("\n")[at - np.searchsorted(lines.text, lines.text[at])]
            said.setdefault(int(lines.hashes[i]), line.strip()[:SHOWN_CHARACTERS])
        goes = found.goes(lines.hashes, documents + lines.text[lines.at])
        for number, (left, numbers) in without(texts, lines, goes).items():
            cut_documents, cut_lines = cut_documents + 1, cut_lines + len(numbers)
            cut_bytes += len(texts[number].encode()) - len(left.encode())
        size += sum(len(text.encode()) for text in texts)
        told("looking at lines", documents := documents + len(texts))
    most = [(said[int(found.hashes[i])], int(found.records[i])) for i in order]
    unread = [": ".join(filter(None, (r.origin, r.reason, r.detail))) for r in removed]
    return RepeatedLines(documents, size, len(found.hashes), cut_documents, cut_lines, cut_bytes, most, unread)


def _batches(sources: list[Source], text_field: str, removed: list[Removed]) -> Iterator[list[str]]:
    texts, size = list[str](), 0
    for source in sources:
        for record in read_records(source, text_field, removed.append, lambda _: None):
            texts.append(record.text)
            size += len(record.text)
            if size >= BATCH_CHARACTERS:
                yield texts
                texts, size = [], 0
    if texts:
        yield texts
