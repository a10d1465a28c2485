"""A classifier of texts into domains: naive Bayes over hashed words and pairs of words, in whole numbers.

Which words and pairs of neighbours a text has counts, not how often; only its first 8,192 characters are looked at.
Counts are whole numbers and so are the weights that a file holds: a text gets the same label on any machine and in any
batch, and equal examples, in whatever order, give equal files. Source: Metsis et al. 2006, "Spam filtering with naive
Bayes: which naive Bayes?" (multinomial, with flags for counts).
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import canonical_json, sha256_bytes, write_atomic
from gnomon.base.names import PLAIN, no_domain

BUCKETS = 1 << 18
SEEN = 8192
"""Characters of a text that are looked at."""
PARTS = 1 << 10
"""Weights are whole numbers of so many parts of a nat."""
SMOOTHING = 0.05
"""Added to each count."""
FOLDS = 5
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Classifier:
    """The labels, and int16 weights [labels, BUCKETS + 1], the last one of the label itself."""

    labels: list[str]
    weights: np.ndarray

    def classify(self, texts: Sequence[str]) -> np.ndarray:
        """Return the place of the likeliest label of each text, the first of equally likely ones: int64 [n]."""
        found = np.zeros(len(texts), np.int64)
        for i, text in enumerate(texts):
            scores = self.weights[:, features(text)].sum(1, dtype=np.int64) + self.weights[:, BUCKETS]
            found[i] = scores.argmax()
        return found

    def save(self, path: Path) -> None:
        """Write it to a file."""
        head = canonical_json({"format": 1, "labels": self.labels, "buckets": BUCKETS})
        write_atomic(path, head + b"\n" + zstandard.compress(self.weights.astype("<i2").tobytes()))


def load_classifier(path: Path) -> tuple[Classifier, str]:
    """Return the classifier in a file, and the file's SHA-256. Raises DataError where there is none, IntegrityError for
    a file that holds something else, or a label that cannot name a domain.
    """
    if not path.is_file():
        do = "train one: gnomon data classify train NAME=PATH... --out FILE"
        raise DataError("there is no classifier here", where=str(path), do=do)
    data = path.read_bytes()
    try:
        head, _, packed = data.partition(b"\n")
        said = orjson.loads(head)
        weights = np.frombuffer(zstandard.decompress(packed), "<i2").reshape(len(said["labels"]), said["buckets"] + 1)
        if said["format"] != 1 or said["buckets"] != BUCKETS or not isinstance(said["labels"], list):
            raise ValueError("it is of another format")
    except (ValueError, KeyError, TypeError, zstandard.ZstdError):
        do = "name a whole file that `gnomon data classify train` wrote, or train it anew"
        raise IntegrityError("this is no classifier of this version of Gnomon", where=str(path), do=do) from None
    for label in (labels := said["labels"]):
        if fault := no_domain(label):
            raise IntegrityError(fault, where=str(path), do="train it anew, with other labels")
    return Classifier(labels, weights), sha256_bytes(data)


@dataclass(frozen=True)
class Trained:
    """A classifier, and how well others, trained alike without the texts they judge, did on each: accuracy, mean F1."""

    classifier: Classifier
    texts: dict[str, int]
    accuracy: float
    macro_f1: float


def train_classifier(examples: Iterable[tuple[str, str]]) -> Trained:
    """Return a classifier of texts, given with their labels. Equal texts count once for each label.

    How good it is comes from five folds, by the texts' hashes. Raises DataError for fewer than two labels, and for one
    that cannot name a domain.
    """
    sets = dict[tuple[str, int], np.ndarray]()
    seen = list[tuple[str, int, np.ndarray]]()
    for text, label in dict.fromkeys(_with_plain_labels(examples)):
        found, fold = features(text), zlib.crc32(text.encode()) % FOLDS
        seen.append((label, fold, found))
        counts = sets.setdefault((label, fold), np.zeros(BUCKETS + 1, np.int32))
        counts[found] += 1
        counts[BUCKETS] += 1
    labels = sorted({label for label, _ in sets})
    if len(labels) < 2:
        raise DataError("a classifier needs texts of two labels or more", do="name them: news=FOLDER forum=FILE")
    none = np.zeros(BUCKETS + 1, np.int32)
    folds = np.array([[sets.get((label, fold), none) for fold in range(FOLDS)] for label in labels])
    right = np.zeros((len(labels), len(labels)), np.int64)  # true, judged
    for fold in range(FOLDS):
        judge = Classifier(labels, _weights(folds.sum(1) - folds[:, fold]))
        for label, _, found in (one for one in seen if one[1] == fold):
            scores = judge.weights[:, found].sum(1, dtype=np.int64) + judge.weights[:, BUCKETS]
            right[labels.index(label), scores.argmax()] += 1
    hits = right.diagonal()
    f1 = 2 * hits / np.maximum(1, right.sum(0) + right.sum(1))
    whole = Classifier(labels, _weights(folds.sum(1)))
    texts = dict(zip(labels, right.sum(1).tolist(), strict=True))
    return Trained(whole, texts, float(hits.sum() / right.sum()), float(f1.mean()))


def _with_plain_labels(examples: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for number, (text, label) in enumerate(examples, 1):
        if fault := no_domain(label):
            raise DataError(fault, where=f"example {number:,}", do=f"use a plain name, as {PLAIN}")
        yield text, label


def features(text: str) -> np.ndarray:
    """Return the buckets of the words of a text and of pairs of neighbours, each once."""
    words = [zlib.crc32(word.encode()) for word in WORD.findall(text[:SEEN].lower())]
    one = np.array(words, np.uint64)
    two = (one[:-1] * np.uint64(0x9E3779B1) ^ one[1:] * np.uint64(0x85EBCA77)) + np.uint64(1)
    mixed = np.concatenate([one, two]) * np.uint64(0x9E3779B97F4A7C15)
    return np.unique(mixed >> np.uint64(64 - 18)).astype(np.int64)


def _weights(counts: np.ndarray) -> np.ndarray:
    """Return the weights of labels whose texts have such counts of features, and are so many."""
    each = counts[:, :BUCKETS] + SMOOTHING
    shares = np.log(each) - np.log(each.sum(1, keepdims=True))
    prior = np.log((counts[:, BUCKETS:] + 1) / (counts[:, BUCKETS].sum() + len(counts)))
    return np.rint(np.concatenate([shares, prior], 1) * PARTS).clip(-32768, 32767).astype(np.int16)


def describe(trained: Trained) -> dict[str, Any]:
    """Return what is to be known of a training, for people and scripts."""
    return {"labels": trained.texts, "accuracy": trained.accuracy, "macro_f1": trained.macro_f1, "folds": FOLDS}
