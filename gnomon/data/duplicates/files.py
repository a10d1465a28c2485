"""Near duplicates in files: records by their ids, with what the copies weigh."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from gnomon.data.document import Removed
from gnomon.data.duplicates.near import Near, clusters
from gnomon.data.reading.read import Source, find_sources, read_records
from gnomon.data.reading.unread import refuse_unread


@dataclass(frozen=True)
class Duplicates:
    """The near duplicates of some files. Record i has ids[i] and sizes[i] bytes of text."""

    near: Near
    ids: list[str]
    sizes: list[int]
    removed: list[Removed]  # records that could not be read
    sources: list[Source]
    text_field: str

    def copies_bytes(self) -> int:
        """Return the bytes of all records that are in a cluster and not the longest there."""
        grouped = [[self.sizes[i] for i in cluster] for cluster in self.near.clusters]
        return sum(sum(sizes) - max(sizes) for sizes in grouped)

    def largest(self, count: int) -> list[list[int]]:
        """Return the clusters with the most records, the largest first."""
        return sorted(self.near.clusters, key=len, reverse=True)[:count]

    def openings(self, wanted: set[int], characters: int) -> dict[int, str]:
        """Return the first words of some records, read again."""
        return openings(self.sources, self.text_field, wanted, characters)

    def as_dict(self) -> dict[str, Any]:
        """Return clusters and pairs by ids, and the totals, for JSON."""
        pairs = zip(self.near.pairs.tolist(), self.near.jaccard.tolist(), strict=True)
        return {
            "documents": self.near.documents,
            "bytes": sum(self.sizes),
            "copies_bytes": self.copies_bytes(),
            "clusters": [[self.ids[i] for i in cluster] for cluster in self.near.clusters],
            "pairs": [[self.ids[a], self.ids[b], round(value, 6)] for (a, b), value in pairs],
            "compared": histogram(self.near.seen),
            "unread": [f"{r.origin}: {r.reason}" for r in self.removed],
        }


def find_duplicates(
    paths: list[str],
    threshold: float,
    text_field: str = "text",
    told: Callable[[str, int], None] = lambda stage, done: None,
) -> Duplicates:
    """Return the near duplicates among all records of files and folders; `told` and memory as in `near.clusters`.

    A record is known by its own "id"; where several records have one id, each of them by its place, `file:line`.

    Raises DataError for a file that cannot be read, ConfigError for a threshold outside 0.2 to 1.
    """
    sources = find_sources(paths)
    corpus = Records(sources, text_field)
    near = clusters(corpus, threshold, told)
    return Duplicates(near, corpus.names(), corpus.sizes, corpus.removed, sources, text_field)


def histogram(values: np.ndarray) -> list[int]:
    """Return how many Jaccard values lie in each tenth from 0 to 1; the last has 1 too."""
    return np.bincount(np.minimum((values * 10).astype(np.int64), 9), minlength=10).tolist()


class Records:
    """The texts of files, read anew by each iteration; the first one notes ids, places and sizes."""

    def __init__(self, sources: list[Source], text_field: str) -> None:
        self._sources, self._text_field, self._known = sources, text_field, False
        self.ids: list[str] = []
        self.origins: list[str] = []
        self.sizes: list[int] = []
        self.removed: list[Removed] = []

    def __iter__(self) -> Iterator[str]:
        if self._known:
            yield from texts_of(self._sources, self._text_field)
            return
        for source in self._sources:
            for record in read_records(source, self._text_field, self.removed.append, lambda _: None):
                self.ids.append(record.id)
                self.origins.append(record.origin)
                self.sizes.append(len(record.text.encode()))
                yield record.text
        if not self.ids:
            raise refuse_unread(self.removed, ", ".join(str(source.path) for source in self._sources[:3]))
        self._known = True

    def names(self) -> list[str]:
        """Return each record's own id, or its place where several have that id."""
        times = Counter(self.ids)
        return [i if times[i] == 1 else origin for i, origin in zip(self.ids, self.origins, strict=True)]


def openings(sources: list[Source], text_field: str, wanted: set[int], characters: int) -> dict[int, str]:
    """Return the first words of some records of files, by their numbers."""
    texts = enumerate(texts_of(sources, text_field))
    return {i: " ".join(text[: 4 * characters].split())[:characters].rstrip() for i, text in texts if i in wanted}


def texts_of(sources: list[Source], text_field: str) -> Iterator[str]:
    """Yield the texts of all records of files."""
    records = (read_records(s, text_field, lambda _: None, lambda _: None) for s in sources)
    return (record.text for record in chain.from_iterable(records))
