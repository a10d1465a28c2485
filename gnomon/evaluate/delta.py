"""How much two sets of documents differ in loss, and how sure that is."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gnomon.base.errors import DataError

RESAMPLES = 2000
LEVEL = 0.95
AT_ONCE = 1 << 18  # documents drawn at once


@dataclass(frozen=True)
class Losses:
    """Documents by id, with their summed loss in nats (float64) and their loss-bearing tokens (int64)."""

    ids: tuple[str, ...]
    nats: np.ndarray
    tokens: np.ndarray

    @property
    def loss(self) -> float:
        """Nats a token over all documents."""
        return float(self.nats.sum() / self.tokens.sum())


@dataclass(frozen=True)
class Delta:
    """Two losses in nats a token, `delta` = b - a, and the interval that holds its true value in 95 of 100 draws of
    such documents. `shared` documents are in both.
    """

    a: float
    b: float
    delta: float
    low: float
    high: float
    documents_a: int
    documents_b: int
    shared: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return not self.low <= 0.0 <= self.high

    def as_dict(self) -> dict[str, Any]:
        """Return it as scripts read it."""
        return {**asdict(self), "clear": self.clear}


def delta(a: Losses, b: Losses, *, resamples: int = RESAMPLES, seed: int = 0) -> Delta:
    """Return the difference of two losses with a bootstrap interval over documents: the percentiles of `resamples`
    draws with replacement. Equal seeds give equal intervals.

    A document that is in both is drawn for both at once, so that what the sets have in common adds no doubt: the whole
    and the same without some documents, or the same documents under two models. Where nothing is in common each set is
    drawn by itself. Documents of one id count as one. Raises DataError
    for fewer than two a set.
    """
    own = [len(set(side.ids)) for side in (a, b)]
    if min(own) < 2:
        raise DataError(
            f"an interval needs two different documents a set, and there are {own[0]:,} and {own[1]:,}",
            do="give text of several documents, such as a folder or .jsonl",
        )
    number = {name: i for i, name in enumerate(dict.fromkeys(a.ids + b.ids))}
    sums = np.concatenate([_by_id(side, number) for side in (a, b)], axis=1)  # nats and tokens of a, then of b
    shared = sum(own) - len(number)
    strata = [sums] if shared else [sums[sums[:, 1] > 0], sums[sums[:, 3] > 0]]
    draw = np.random.default_rng(seed)
    drawn = np.sum([_resampled(draw, stratum, resamples) for stratum in strata], axis=0)
    drawn = drawn[(drawn[:, 1] > 0) & (drawn[:, 3] > 0)]  # a draw without a document of one side says nothing
    spread = drawn[:, 2] / drawn[:, 3] - drawn[:, 0] / drawn[:, 1]
    low, high = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Delta(a.loss, b.loss, b.loss - a.loss, low, high, len(a.ids), len(b.ids), shared)


def _by_id(side: Losses, number: dict[str, int]) -> np.ndarray:
    """Return the sums of nats and tokens of every known id, [ids, 2]; zero where this side has not got it."""
    which = np.array([number[name] for name in side.ids])
    return np.stack([np.bincount(which, part, len(number)) for part in (side.nats, side.tokens)], axis=1)


def _resampled(draw: np.random.Generator, sums: np.ndarray, resamples: int) -> np.ndarray:
    """Return the sums of so many draws of as many documents as there are, [resamples, 4]."""
    count, found = len(sums), np.empty((resamples, 4))
    block = max(1, AT_ONCE // count)
    for start in range(0, resamples, block):
        here = found[start : start + block]
        here[:] = sums[draw.integers(count, size=(len(here), count))].sum(axis=1)
    return found
