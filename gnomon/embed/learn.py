"""Word vectors learned from a sample of the text: in whose company words stand, in few dimensions.

Of each of the 16,384 most frequent words it is counted how often each of the 1,024 most frequent ones stands within 5
words of it; log2 of that by what chance would give, where it is above 0 (PPMI), in quarters, is a row of a matrix.
The matrix's leading directions are found by subspace iteration, each counted the same (singular values to the power of
0), so that the one that all words share does not drown the others and none need be removed. Each row is then brought
to one length, times the word's weight a / (a + its share of all words) (SIF).

Everything is integers or single operations of IEEE 754 (`exact.py`): equal texts give equal bits, in any order, on any
machine. Source: Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from Word
Embeddings" (TACL 2015); Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for Sentence Embeddings" (2017).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnomon.base.seeds import derive, scatter
from gnomon.base.words import word_hashes
from gnomon.embed.exact import orthonormal, rounded

WORDS, CONTEXTS, WIDTH = 16384, 1024, 128
NEAR = 5
"""Words to either side that are company."""
LEAST = 3
"""Times that a word stands in the sample, to have a vector."""
PER_DIRECTION = 8
"""Frequent words for each direction: of few words, as many directions as words would make each like itself alone."""
ROUNDS = 3
SIF = 1e-3
ENTRY = 511
"""No entry of a vector is larger."""
HASH_BITS = 52
"""Of a word's hash: 12 are left for the document's number beside it."""

_ROWS = 1024  # of the matrix at once


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words, by the upper bits of their hashes, rising."""

    keys: np.ndarray  # uint64 [words]
    weights: np.ndarray  # float64 [words], 0 to 1: rare words have more
    vectors: np.ndarray  # int16 [words, WIDTH], of length weight * ENTRY


def learn(texts: Sequence[bytes]) -> WordVectors:
    """Return the vectors of the words of texts in UTF-8, which may come in any order."""
    hashes, ends = word_hashes(texts)
    hashes >>= np.uint64(64 - HASH_BITS)
    keys, word_of, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:WORDS]  # the most frequent first, of equal ones the lowest hash
    order = order[counts[order] >= LEAST]
    rank = np.full(len(keys), -1, np.int64)
    rank[order] = np.arange(len(order))
    matrix = _surprises(_company(rank[word_of], ends, len(order)))
    share = counts[order] / max(len(hashes), 1)
    weights = SIF / (SIF + share)
    vectors = np.rint(_unit_rows(_directions(matrix)) * (weights * ENTRY)[:, None]).astype(np.int16)
    by_key = np.argsort(keys[order])
    return WordVectors(keys[order][by_key], weights[by_key], vectors[by_key])


def _company(ranks: np.ndarray, ends: np.ndarray, words: int) -> np.ndarray:
    """Return how often each word stands near each frequent one: int32 [words, contexts]."""
    contexts = min(CONTEXTS, words)
    counts = np.zeros(words * contexts, np.int32)
    text_of = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    for apart in range(1, NEAR + 1):
        left, right = ranks[:-apart], ranks[apart:]
        near = (text_of[:-apart] == text_of[apart:]) & (left >= 0) & (right >= 0)
        left, right = left[near], right[near]
        for word, other in ((left, right), (right, left)):
            known = other < contexts
            np.add.at(counts, word[known] * contexts + other[known], 1)
    return counts.reshape(words, contexts)


def _surprises(counts: np.ndarray) -> np.ndarray:
    """Return the PPMI of each pair in quarters of a bit, at most 31: uint8 [words, contexts]."""
    words, contexts = counts.sum(axis=1, dtype=np.int64), counts.sum(axis=0, dtype=np.int64)
    smooth = np.rint(np.sqrt(contexts) * np.sqrt(np.sqrt(contexts)) * 16)  # to the power of 3/4: rare ones count less
    total = float(smooth.sum())
    steps = _quarter_powers(31)
    found = np.empty(counts.shape, np.uint8)
    for start in range(0, len(counts), _ROWS):
        part = slice(start, start + _ROWS)
        chance = words[part, None].astype(np.float64) * np.maximum(smooth, 1)
        found[part] = np.searchsorted(steps, counts[part] * total / np.maximum(chance, 1), side="right")
    return found


def _quarter_powers(count: int) -> np.ndarray:
    """Return 2^(1/4), 2^(2/4), …, by roots and products alone."""
    quarter, powers = np.sqrt(np.sqrt(2.0)), [1.0]
    for _ in range(count):
        powers.append(powers[-1] * quarter)
    return np.array(powers[1:])


def _directions(matrix: np.ndarray) -> np.ndarray:
    """Return each row's place along the matrix's leading directions, each direction of length 1: [words, WIDTH]."""
    contexts = matrix.shape[1]
    width = min(WIDTH, -(-contexts // PER_DIRECTION))
    draws = scatter(np.arange(width * contexts, dtype=np.uint64), derive(0, "embed", "start"))
    basis = ((draws >> np.uint64(63)).astype(np.float64) * 2 - 1).reshape(width, contexts)
    for _ in range(ROUNDS):
        places = rounded(_times(matrix, basis))
        back = np.zeros((width, contexts))
        for start in range(0, len(matrix), _ROWS):
            back += places[:, start : start + _ROWS] @ matrix[start : start + _ROWS].astype(np.float64)
        basis = rounded(orthonormal(back))
    found = np.zeros((len(matrix), WIDTH))
    found[:, :width] = orthonormal(_times(matrix, basis)).T
    return found


def _times(matrix: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Return `basis` times the transposed matrix: [width, words]."""
    parts = [basis @ matrix[s : s + _ROWS].T.astype(np.float64) for s in range(0, len(matrix), _ROWS)]
    return np.concatenate([np.zeros((len(basis), 0)), *parts], axis=1)


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    whole = rounded(rows).astype(np.int64)
    lengths = np.sqrt((whole * whole).sum(axis=1).astype(np.float64))
    return whole / np.maximum(lengths, 1)[:, None]
