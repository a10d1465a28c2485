"""An embedder that needs no download: vectors of words, learned from the text itself, summed up for each document.

A document's vector has two halves of 128. In the first one the vectors of its words (`learn.py`) are summed up: words
that keep the same company count as alike. In the second one each word, known or not, has two places and signs from its
hash (a count sketch), so that names and numbers, which no company tells apart, count as themselves. A word counts by
its weight, and 1 + log2 of how often it stands there, rounded down. The order of the words does not count.

Whole documents are read, not their openings: two with one preamble would be taken for the same.

Everything is sums of integers: a text has the same vector in any company, on any machine.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from gnomon.base.errors import IntegrityError
from gnomon.base.files import sha256_bytes, storage_errors, write_atomic
from gnomon.base.words import word_hashes
from gnomon.embed import learn
from gnomon.embed.embedder import to_units
from gnomon.embed.learn import ENTRY, HASH_BITS, WordVectors

FORM = 1
"""Of the vectors: part of a recipe that compares texts by them."""
PIECE_BYTES = 256 << 10
PIECE_DOCUMENTS = 1 << (64 - HASH_BITS)
EXACT_WORDS = 2048
"""Summed up in one product in float32: times ENTRY times MOST_TIMES it stays below 2^24, so every sum is exact."""
MOST_TIMES = 16
SKETCH = 128
PLACES = 2
"""Of each word in the sketch."""
PLAIN = 2.0
"""What a word as itself counts, against 1 for its company. ROC AUC on sentences that state the same facts or others of
the same things, vectors learned from 15 MB of Wikipedia: company alone 0.915, words alone 0.950, this 0.952; of pairs
that share less than 40 % of their words 0.816, 0.918 and 0.924.
"""

_SLOT_BITS = 18
_HALF = np.uint64(32)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class StaticEmbedder:
    """Vectors of words, and how documents' come from them."""

    words: WordVectors

    @classmethod
    def learned(cls, texts: Iterable[str]) -> "StaticEmbedder":
        """Return an embedder learned from texts, which may come in any order; 16 MB are enough."""
        return cls(learn.learn([text.encode("utf-8", "surrogatepass") for text in texts]))

    @classmethod
    def load(cls, path: Path) -> "StaticEmbedder":
        """Return what `save` wrote. Raises IntegrityError for anything else."""
        with storage_errors(path):
            data = path.read_bytes()
        try:
            parts = load(data)
            return cls(WordVectors(parts["keys"], parts["weights"], parts["vectors"]))
        except (SafetensorError, KeyError) as e:
            do = "remove it and run the same command again"
            raise IntegrityError(f"this is no file of word vectors: {e}", where=str(path), do=do) from None

    def save(self, path: Path) -> None:
        """Write the vectors as .safetensors. Raises StorageError."""
        write_atomic(path, self._data)

    @cached_property
    def _data(self) -> bytes:
        words = self.words
        return save({"keys": words.keys, "weights": words.weights, "vectors": words.vectors})

    @property
    def digest(self) -> str:
        """The hash of the vectors' file."""
        return sha256_bytes(self._data)

    @property
    def width(self) -> int:
        """Numbers of a document's vector."""
        return learn.WIDTH + SKETCH

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return a vector for each text, int16 [texts, width]; 0 for one without words."""
        found = np.zeros((len(texts), self.width), np.int64)
        start = 0
        for piece in _pieces(texts):
            self._add(piece, found[start : start + len(piece)])
            start += len(piece)
        return to_units(found)

    def _add(self, piece: list[bytes], found: np.ndarray) -> None:
        whose, words, times = _bags(piece)
        at = self._places(words)
        known = at < len(self.words.keys)
        weights = np.ones(len(words))
        weights[known] = self.words.weights[at[known]]
        amounts = np.rint(weights * (PLAIN / np.sqrt(PLACES) * ENTRY)) * times
        found[:, learn.WIDTH :] = _sketch(words, whose, amounts, len(piece))
        at, times = at[known], times[known].astype(np.float32)
        ends = np.searchsorted(whose[known], np.arange(len(piece)), side="right").tolist()
        vectors = self._floats
        begin = 0
        for row, end in enumerate(ends):
            for first in range(begin, end, EXACT_WORDS):
                part = slice(first, min(end, first + EXACT_WORDS))
                found[row, : learn.WIDTH] += (times[part] @ vectors[at[part]]).astype(np.int64)
            begin = end

    @cached_property
    def _floats(self) -> np.ndarray:
        return self.words.vectors.astype(np.float32)

    @cached_property
    def _index(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Where the keys with each upper 18 bits begin, the keys with an end, and how many share these at most."""
        keys = self.words.keys
        slots = np.arange((1 << _SLOT_BITS) + 1, dtype=np.uint64) << np.uint64(HASH_BITS - _SLOT_BITS)
        begins = np.searchsorted(keys, slots).astype(np.int32)
        return begins, np.append(keys, np.uint64(2**64 - 1)), int(np.diff(begins).max())

    def _places(self, words: np.ndarray) -> np.ndarray:
        """Return where each word is among the keys; their number where it is not."""
        begins, keys, most = self._index
        at = begins[words >> np.uint64(HASH_BITS - _SLOT_BITS)]
        for _ in range(most):
            at += keys[at] < words
        at[keys[at] != words] = len(keys) - 1
        return at


def _bags(piece: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct words of each document, in order: whose each is, its hash, and how much more than once it
    counts.
    """
    hashes, ends = word_hashes(piece)
    whose = np.repeat(np.arange(len(piece), dtype=np.uint64), np.diff(ends, prepend=0))
    marked = np.sort((hashes >> np.uint64(64 - HASH_BITS)) | whose << np.uint64(HASH_BITS))
    first = np.flatnonzero(np.append(True, marked[1:] != marked[:-1])[: len(marked)])
    counts = np.diff(np.append(first, len(marked)))
    marked = marked[first]
    times = np.minimum(np.frexp(counts.astype(np.float64))[1], MOST_TIMES)  # 1 + log2, rounded down
    return (marked >> np.uint64(HASH_BITS)).astype(np.int64), marked & np.uint64((1 << HASH_BITS) - 1), times


def _sketch(words: np.ndarray, whose: np.ndarray, amounts: np.ndarray, documents: int) -> np.ndarray:
    """Return what words, each with an amount, make of each document: int64 [documents, SKETCH]."""
    found = np.zeros(documents * SKETCH)
    mixed = words * _MIX
    for _ in range(PLACES):
        mixed ^= mixed >> _HALF
        mixed *= _MIX
        place = (mixed >> np.uint64(57)).astype(np.int64)  # SKETCH is 2^7
        signed = np.where(mixed & np.uint64(1 << 56), amounts, -amounts)
        found += np.bincount(whose * SKETCH + place, weights=signed, minlength=len(found))
    return found.astype(np.int64).reshape(documents, SKETCH)


def _pieces(texts: Sequence[str]) -> Iterator[list[bytes]]:
    """Yield texts in a row as UTF-8, PIECE_BYTES of them, or one longer text."""
    piece: list[bytes] = []
    size = 0
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        if piece and (size + len(data) > PIECE_BYTES or len(piece) == PIECE_DOCUMENTS):
            yield piece
            piece, size = [], 0
        piece.append(data)
        size += len(data)
    if piece:
        yield piece
