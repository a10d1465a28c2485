"""What every embedder gives: vectors of integers of one length, whose dot products are exact."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

UNIT = 2048
"""The length of every vector, to within 1 %. A float32 product of two such vectors of integers is exact in any order of
summation, for every partial sum is below 2^24. So a similarity is the same number on any machine.
"""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def digest(self) -> str:
        """The hash of all that decides the vectors."""
        ...

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Return a vector of length UNIT for each text, int16 [texts, width]; 0 for a text without words."""
        ...


def to_units(vectors: np.ndarray) -> np.ndarray:
    """Return integer or real vectors brought to length UNIT: int16 [n, width]; a vector of zeros stays one.

    For integers every step is exact or rounded as IEEE 754 says, so the result is the same on any machine.
    """
    if vectors.dtype.kind == "i":
        lengths = np.sqrt((vectors.astype(np.int64) ** 2).sum(axis=1).astype(np.float64))
    else:
        lengths = np.sqrt((vectors.astype(np.float64) ** 2).sum(axis=1))
    scale = UNIT / np.where(lengths > 0, lengths, 1)
    return np.rint(vectors * scale[:, None]).astype(np.int16)


def cosines(products: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the cosines of pairs of vectors from their dot products and those of each with itself: float64.

    Rounded once from exact numbers: the same on any machine, 1 for equal vectors. A product by UNIT**2 is within 0.003
    of it.
    """
    lengths = np.sqrt(left.astype(np.float64) * right.astype(np.float64))
    return products / np.maximum(lengths, 1)
