"""How often the right one of several classes is named."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """How often each class, a row, was named as each, a column; classes are in alphabetical order."""

    labels: tuple[str, ...]
    counts: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share named rightly."""
        return float(self.counts.trace() / self.counts.sum())

    @property
    def f1(self) -> dict[str, float]:
        """The F1 of each class: the harmonic mean of its precision and recall."""
        both = self.counts.sum(0) + self.counts.sum(1)
        return dict(zip(self.labels, (2 * self.counts.diagonal() / both).tolist(), strict=True))

    @property
    def macro_f1(self) -> float:
        """The mean F1 of all classes that occur or are named, rare ones counting as much as frequent ones."""
        return float(np.mean(list(self.f1.values())))


def confusion(true: Sequence[str], named: Sequence[str]) -> Confusion:
    """Return the confusion matrix of two lists of classes, of equal length."""
    labels = sorted({*true, *named})
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(counts, ([place[t] for t in true], [place[n] for n in named]), 1)
    return Confusion(tuple(labels), counts)
