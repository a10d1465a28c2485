"""How far stated probabilities are from what comes true. `right` is 1, 0 or, for soft labels, between."""

from dataclasses import dataclass

import numpy as np

BINS = 15
DRAWS = 1000
LEVEL = 0.95


@dataclass(frozen=True)
class Bins:
    """Bins of equally many probabilities, rising: how many each has, their mean, and the share that came true."""

    counts: np.ndarray
    said: np.ndarray
    true: np.ndarray

    @property
    def error(self) -> float:
        """The expected calibration error: the distance of both, averaged over all probabilities."""
        return float((self.counts * np.abs(self.said - self.true)).sum() / self.counts.sum())


def equal_bins(p: np.ndarray, right: np.ndarray, bins: int = BINS) -> Bins:
    """Return at most so many bins, whose sizes differ by one at most. Where a bin's edge parts equal probabilities,
    each has the share of all of them that came true, so that the order of questions does not matter.
    """
    order = np.argsort(p, kind="stable")
    return _bins(p[order], np.asarray(right, np.float64)[order], bins)


def calibration_error(p: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error over bins of equal mass.

    Source: Nixon et al. 2019, "Measuring calibration in deep learning" (adaptive bins).
    """
    return equal_bins(p, right, bins).error


def _bins(p: np.ndarray, y: np.ndarray, bins: int) -> Bins:
    """Return the bins of probabilities that rise."""
    starts = np.flatnonzero(np.concatenate([[True], p[1:] != p[:-1]]))
    sizes = np.diff(starts, append=len(p))
    shared = np.repeat(np.add.reduceat(y, starts) / sizes, sizes)
    counts = np.full(min(bins, len(p)), len(p) // min(bins, len(p)))
    counts[: len(p) % len(counts)] += 1
    first = counts.cumsum() - counts
    return Bins(counts, np.add.reduceat(p, first) / counts, np.add.reduceat(shared, first) / counts)


@dataclass(frozen=True)
class Interval:
    """From the 2.5th to the 97.5th percentile; `chance` is the mean of a perfect one with as many questions."""

    low: float
    high: float
    chance: float


def error_interval(
    p: np.ndarray, right: np.ndarray, *, groups: np.ndarray | None = None, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Return the bootstrap interval of the calibration error: questions, or whole groups of them, drawn anew.

    The error of few questions is too large by chance, and that of a draw more so: read it beside `chance`, the mean
    error of answers that come true with exactly the stated probabilities.
    """
    order = np.argsort(p, kind="stable")
    p, y = p[order], np.asarray(right, np.float64)[order]
    draw, n = np.random.default_rng(seed), len(p)
    _, unit = np.unique(groups[order] if groups is not None else np.arange(n), return_inverse=True)
    errors, perfect = np.empty(draws), np.empty(draws)
    for i in range(draws):
        times = np.bincount(draw.integers(unit.max() + 1, size=unit.max() + 1), minlength=unit.max() + 1)[unit]
        errors[i] = _bins(np.repeat(p, times), np.repeat(y, times), BINS).error
        perfect[i] = _bins(p, (draw.random(n) < p).astype(np.float64), BINS).error
    low, high = np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return Interval(low, high, float(perfect.mean()))


@dataclass(frozen=True)
class Brier:
    """The mean squared error, and its parts: calibration, what the best rising function of the probabilities would
    save; refinement, what would be left.
    """

    score: float
    calibration: float
    refinement: float


def brier(p: np.ndarray, right: np.ndarray) -> Brier:
    """Return the Brier score and its two parts, whose sum it is: neither bins nor their number are to be chosen.

    Source: Dimitriadis, Gneiting and Jordan 2021, "Stable reliability diagrams for probabilistic classifiers".
    """
    y = np.asarray(right, np.float64)
    score, left = float(((p - y) ** 2).mean()), float(((rising(p, y) - y) ** 2).mean())
    return Brier(score, score - left, left)


def rising(p: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the isotonic regression of `right` on `p`: pooled neighbours, the mean of each pool."""
    _, place, size = np.unique(p, return_inverse=True, return_counts=True)
    pools: list[tuple[float, int, int]] = []  # sum, questions, distinct values
    for total, count in zip(np.bincount(place, np.asarray(right, np.float64)).tolist(), size.tolist(), strict=True):
        values = 1
        while pools and pools[-1][0] * count >= total * pools[-1][1]:
            before = pools.pop()
            total, count, values = total + before[0], count + before[1], values + before[2]
        pools.append((total, count, values))
    means = np.repeat([total / count for total, count, _ in pools], [values for *_, values in pools])
    return means[place]


def log_loss(p: np.ndarray, right: np.ndarray) -> float:
    """Return the mean cross-entropy in nats; probabilities are held a rounding away from 0 and 1."""
    q, y = _inside(p), np.asarray(right, np.float64)
    return float(-(y * np.log(q) + (1 - y) * np.log1p(-q)).mean())


def excess_log_loss(p: np.ndarray, right: np.ndarray) -> float:
    """Return the cross-entropy less the entropy of soft labels, which no probability can go below: 0 is perfect."""
    y = np.asarray(right, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where((y > 0) & (y < 1), -(y * np.log(y) + (1 - y) * np.log1p(-y)), 0.0)
    return log_loss(p, y) - float(own.mean())


def _inside(p: np.ndarray) -> np.ndarray:
    least = float(np.finfo(np.float64).eps)
    return np.clip(p, least, 1 - least)
