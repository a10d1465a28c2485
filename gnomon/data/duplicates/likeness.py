"""Semantic duplicates in files: how like each record is to its nearest other, so that a threshold can be chosen, and
which records go at one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gnomon.base.errors import ConfigError
from gnomon.base.seeds import derive, scatter
from gnomon.data.document import Document, Removed
from gnomon.data.duplicates.files import Records, openings
from gnomon.data.duplicates.semantic import histogram, leaders, search
from gnomon.data.reading.read import Source, find_sources
from gnomon.data.sample import Sample
from gnomon.embed.embedder import UNIT, Embedder
from gnomon.embed.place import open_embedder
from gnomon.embed.static import StaticEmbedder

SAMPLE_BYTES = 16 << 20
BATCH_CHARACTERS = 1 << 20
LEVELS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.01)
"""Of cosines: between two of them, examples are shown."""


@dataclass(frozen=True)
class Likeness:
    """How like the records of some files are. Record i has ids[i] and sizes[i] bytes of text."""

    threshold: float | None
    histogram: list[int]
    examples: list[tuple[float, list[tuple[float, int, int]]]]  # by level: cosine, record, the one most like it
    goes: list[tuple[int, int, float]]  # record, the one that stays, their cosine
    ids: list[str]
    sizes: list[int]
    removed: list[Removed]  # records that could not be read
    sources: list[Source]
    text_field: str

    def groups(self) -> list[list[int]]:
        """Return each record that stays with those that go because of it, the largest group first."""
        found: dict[int, list[int]] = {}
        for record, stays, _ in self.goes:
            found.setdefault(stays, [stays]).append(record)
        return sorted(found.values(), key=lambda group: (-len(group), group[0]))

    def openings(self, wanted: set[int], characters: int = 110) -> dict[int, str]:
        """Return the first words of some records, read again."""
        return openings(self.sources, self.text_field, wanted, characters)

    def goes_bytes(self) -> int:
        """Return the bytes of the records that go."""
        return sum(self.sizes[record] for record, _, _ in self.goes)

    def as_dict(self) -> dict[str, Any]:
        """Return records by ids, and the totals, for JSON."""
        ids = self.ids
        return {
            "documents": len(ids),
            "bytes": sum(self.sizes),
            "threshold": self.threshold,
            "highest": self.histogram,
            "examples": [[ids[a], ids[b], round(value, 4)] for _, shown in self.examples for value, a, b in shown],
            "removed": [[ids[record], ids[stays], round(value, 4)] for record, stays, value in self.goes],
            "removed_bytes": self.goes_bytes(),
            "unread": [f"{r.origin}: {r.reason}" for r in self.removed],
        }


def find_alike(
    paths: list[str],
    threshold: float | None = None,
    text_field: str = "text",
    embedder: str = "static",
    told: Callable[[str, int], None] = lambda stage, done: None,
) -> Likeness:
    """Return how like the records of files and folders are to one another and, with a threshold, which go.

    Of two alike the longer stays, then the first. The files are read twice (once with a sentence model). Memory holds
    16 MB of text and the vectors, 512 bytes a record (a sentence model: 2 bytes a dimension). `told` hears how many
    records a stage ("reading", "embedding", "comparing") has done.

    Raises DataError for a file that cannot be read, ConfigError for a threshold outside 0.5 to 1; for a sentence model
    as `SentenceEmbedder.open`.
    """
    if threshold is not None and not 0.5 <= threshold <= 1:
        do = "use a cosine from 0.5 to 1, chosen by what the verb shows without one"
        raise ConfigError(f"semantic duplicates cannot be told at {threshold:g}", where="threshold", do=do)
    sources = find_sources(paths)
    corpus = Records(sources, text_field)
    made = _learned(corpus, told) if embedder == "static" else open_embedder(embedder)
    vectors = _embedded(corpus, made, told)
    order = np.lexsort((np.arange(len(vectors)), -np.array(corpus.sizes, np.int64), ~vectors.any(axis=1)))
    order = order[: int(vectors.any(axis=1).sum())]  # the longest first; without words, nobody's duplicate
    found, _ = search(vectors[order], threshold, lambda done: told("comparing", done))
    gone, kept = leaders(found.pairs)
    values = {(later, earlier): v for (later, earlier), v in zip(found.pairs.tolist(), found.cosines, strict=True)}
    goes = [
        (int(order[a]), int(order[b]), float(values[a, b])) for a, b in zip(gone.tolist(), kept.tolist(), strict=True)
    ]
    shown = _examples(order, found.products, found.partners)
    said = corpus.names(), corpus.sizes, corpus.removed, sources, text_field
    return Likeness(threshold, histogram(found.products), shown, sorted(goes), *said)


def _learned(corpus: Records, told: Callable[[str, int], None]) -> StaticEmbedder:
    sample = Sample(SAMPLE_BYTES)
    for number, text in enumerate(corpus, 1):
        sample.add(Document(text, ""))
        if number % 1000 == 0:
            told("reading", number)
    return StaticEmbedder.learned(text for _, text in sample.texts())


def _embedded(corpus: Records, embedder: Embedder, told: Callable[[str, int], None]) -> np.ndarray:
    parts, batch, size, done = [np.zeros((0, embedder.width), np.int16)], list[str](), 0, 0
    for text in corpus:
        batch.append(text)
        size += len(text)
        if size >= BATCH_CHARACTERS:
            parts.append(embedder.embed(batch))
            told("embedding", done := done + len(batch))
            batch, size = [], 0
    return np.concatenate([*parts, embedder.embed(batch)])


def _examples(
    order: np.ndarray, products: np.ndarray, partners: np.ndarray
) -> list[tuple[float, list[tuple[float, int, int]]]]:
    """Return two pairs of each level, drawn at random once and for all."""
    drawn = np.argsort(scatter(np.arange(len(order), dtype=np.uint64), derive(0, "semantic", "examples")))
    found = []
    for low, high in pairwise(LEVELS):
        here = drawn[(products[drawn] >= low * UNIT**2) & (products[drawn] < high * UNIT**2)].tolist()
        pairs: dict[tuple[int, int], float] = {}
        for i in here:
            other = int(partners[i])
            pairs.setdefault((min(i, other), max(i, other)), min(float(products[i]) / UNIT**2, 1.0))
            if len(pairs) == 2:
                break
        found.append((low, [(value, int(order[b]), int(order[a])) for (a, b), value in pairs.items()]))
    return found
