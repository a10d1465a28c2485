"""What a teacher may know beside its own lists: WordNet's kinds of nouns, vectors of words, a sentence encoder.

All are the user's files. The encoder learns by itself (`encoder.py`) and adds nothing to rows. Of WordNet: the kinds
of the noun asked for, by its first senses, each also with the word that asks, and the kinds of the words behind it. Of
vectors: those of the noun, of its words, of the words behind it and of all words that bear meaning; and the noun's once
more for each way of asking apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from gnomon.base.errors import DataError, IntegrityError
from gnomon.data.questions.encoder import open_encoder
from gnomon.data.questions.features import ASKS, BUCKETS, KINDS, Focus, bears_meaning, focus_of, rows_of, stem, tokens
from gnomon.data.questions.ridge import SparseRows, beside
from gnomon.data.questions.vectors import Vectors, load_vectors
from gnomon.data.questions.wordnet import WordNet, load_wordnet
from gnomon.embed.minilm import SentenceEmbedder

SHARE = 0.4
"""Length of each of three parts of a row, beside 1 for all that a teacher has without them."""
KIND_BUCKETS = 1 << 16
DEEP, DEEP_BEHIND = 12, 8
"""Kinds above a noun that count: of what is asked for, and of words behind it."""

_LEADS = {lead: i for i, lead in enumerate((ask, kind) for ask in ("-", *sorted(ASKS)) for kind in KINDS)}


@dataclass(frozen=True)
class Knowledge:
    """What is known of words; either may be missing."""

    wordnet: WordNet | None = None
    vectors: Vectors | None = None
    encoder: SentenceEmbedder | None = None

    @property
    def width(self) -> int:
        """Numbers of a row: BUCKETS, and those of what is known."""
        of_vectors = 0 if self.vectors is None else (4 + len(_LEADS)) * self.vectors.width
        return BUCKETS + KIND_BUCKETS * (self.wordnet is not None) + of_vectors

    @cached_property
    def digests(self) -> dict[str, str]:
        """The hashes of the files that it comes from."""
        found = {"wordnet": self.wordnet, "vectors": self.vectors, "encoder": self.encoder}
        return {name: one.digest for name, one in found.items() if one is not None}

    def rows(self, questions: Sequence[str]) -> SparseRows:
        """Return the features of questions, as `rows_of` does, with what is known of their words."""
        parts, at = [rows_of(questions)], BUCKETS
        if self.wordnet is None and self.vectors is None:
            return parts[0]
        split = [(written := tokens(question), [token.lower() for token in written]) for question in questions]
        every = [focus_of(written, low) for written, low in split]
        if self.wordnet is not None:
            parts.append(_kinds(self.wordnet, every, at))
            at += KIND_BUCKETS
        if self.vectors is not None:
            parts += _vectors(self.vectors, every, [low for _, low in split], at)
        return beside(parts)


def load_knowledge(wordnet: Path | None, vectors: Path | None, encoder: str | None = None) -> Knowledge:
    """Return what is known of words in the files given, and the sentence encoder in a folder or of `name@commit`.

    Raises DataError for files that are missing, cut or something else, and as `open_encoder`.
    """
    return Knowledge(
        load_wordnet(wordnet) if wordnet else None,
        load_vectors(vectors) if vectors else None,
        open_encoder(encoder) if encoder else None,
    )


def refuse_other(meant: Any, given: Knowledge, where: Path) -> None:
    """Raise DataError where what is given is not what a teacher was taught with, by its digests."""
    if not isinstance(meant, dict):
        raise IntegrityError(f"what it knows of words is {meant!r:.60}", where=str(where))
    for name in ("wordnet", "vectors", "encoder"):
        if meant.get(name) != given.digests.get(name):
            without = f"was taught without --{name}" if name not in meant else f"was taught with another --{name}"
            said = f"the teacher {without}" if name in given.digests else f"the teacher was taught with --{name}"
            raise DataError(said, where=str(where), do=f"give the same --{name} as when it was taught, or none if none")


def _kinds(wordnet: WordNet, every: Sequence[Focus], at: int) -> SparseRows:
    places, values, sizes = list[int](), list[float](), list[int]()
    for focus in every:
        weights = dict[int, float]()

        def add(feature: str, weight: float, weights: dict[int, float] = weights) -> None:
            place = at + crc32(feature.encode("utf-8", "replace")) % KIND_BUCKETS
            weights[place] = max(weights.get(place, 0.0), weight)

        mark = "d" if focus.kind == "do" else ""  # behind `does` stands who does it, not what is asked for
        for sense, kinds in enumerate(_named(wordnet, focus.noun)):
            for kind in kinds[:DEEP]:
                add(f"{mark}W {kind}", 1 / (1 + sense))
                add(f"{mark}W {focus.ask} {focus.kind} {kind}", 1 / (1 + sense))
        for word in filter(bears_meaning, focus.rest):
            for kind in next(iter(wordnet.kinds_of(word)), ())[:DEEP_BEHIND]:
                add(f"R {kind}", SHARE)
        length = max(sum(weight * weight for weight in weights.values()) ** 0.5, 1e-9)
        for place in sorted(weights):
            places.append(place)
            values.append(SHARE * weights[place] / length)
        sizes.append(len(weights))
    begins = np.cumsum([0, *sizes])[:-1]
    return SparseRows(np.array(places, np.int64), begins.astype(np.int64), np.array(values, np.float32))


def _named(wordnet: WordNet, noun: list[str]) -> tuple[tuple[int, ...], ...]:
    """Return the kinds of the longest end of a noun that WordNet has."""
    ends = ("_".join(noun[first:]) for first in range(len(noun)))
    return next((kinds for end in ends if (kinds := wordnet.kinds_of(end))), ())


def _vectors(vectors: Vectors, every: Sequence[Focus], low: Sequence[list[str]], at: int) -> list[SparseRows]:
    def mean(words: Sequence[str]) -> np.ndarray:
        return np.mean([vectors.of(word, stem(word)) for word in words], 0) if words else vectors.nothing

    nouns, whole = [], []
    for focus, words in zip(every, low, strict=True):
        nouns.append(mean(focus.noun[-1:]))
        behind, about = (list(filter(bears_meaning, some)) for some in (focus.rest, words))
        whole.append(np.concatenate([nouns[-1], mean(focus.noun), mean(behind), mean(about)]))
    leads = np.array([_LEADS[focus.ask, focus.kind] for focus in every], np.int64)
    apart = at + 4 * vectors.width + leads * vectors.width
    return [_dense(np.stack(whole), np.full(len(every), at)), _dense(np.stack(nouns), apart)]


def _dense(table: np.ndarray, first: np.ndarray) -> SparseRows:
    """Return rows of numbers as they stand, from the place `first` of each on, brought to the length SHARE."""
    count, width = table.shape
    scaled = SHARE * table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    places = (first[:, None] + np.arange(width)).ravel()
    return SparseRows(places.astype(np.int64), np.arange(count) * width, scaled.astype(np.float32).ravel())
