"""Exact binomial probabilities, and the bounds of Clopper and Pearson made from them.

A probability is computed by Loader's saddle-point form, and is exact to some 1e-13 of its value for any n; sums of
logarithms of factorials lose ten digits at a million. Sources: Loader 2000, "Fast and accurate computation of binomial
probabilities"; Clopper and Pearson 1934, "The use of confidence or fiducial limits".
"""

import math
from functools import lru_cache

import numpy as np

SMALL = 16
FEW = 1000


def upper_bound(wrong: int, of: int, confidence: float) -> float:
    """Return the largest share of wrong ones that leaves a chance of 1 - `confidence` to see so few: one-sided."""
    if not 0 <= wrong <= of:
        raise ValueError(f"{wrong} of {of} is no count")
    if wrong == of:
        return 1.0
    low, high, p, left = 0.0, 1.0, (wrong + 1) / (of + 1), math.log(1 - confidence)
    while True:  # Newton's steps for the logarithm, inside a bracket that closes
        chance = at_most(wrong, of, p)
        over = math.log(chance) - left if chance > 0 else -math.inf
        low, high = (p, high) if over > 0 else (low, p)
        slope = of * _mass(wrong, of - 1, p, 1 - p) / chance if chance > 0 else 0.0
        new = p + over / slope if slope > 0 else -1.0
        new = new if low < new < high else (low + high) / 2
        if abs(new - p) <= 1e-15 * p:
            return new
        p = new


def lower_bound(wrong: int, of: int, confidence: float) -> float:
    """Return the smallest share of wrong ones that leaves a chance of 1 - `confidence` to see so many: one-sided."""
    return 1.0 - upper_bound(of - wrong, of, confidence)


def at_most(k: int, n: int, p: float) -> float:
    """Return the probability of `k` or fewer out of `n` that happen with `p` each."""
    if k < 0:
        return 0.0
    if k >= n or p <= 0.0:
        return 1.0
    if p >= 1.0:
        return 0.0
    if k > n * p:
        return 1.0 - _tail(n - k - 1, n, 1 - p, p)
    return _tail(k, n, p, 1 - p)


def _tail(k: int, n: int, p: float, q: float) -> float:
    """Return the probability of `k` or fewer, where `k` is not above the mean, from the largest term down."""
    reach = min(k, FEW + math.ceil(40 * math.sqrt(n * p * q)))  # what lies further off is below 1e-300 of the sum
    j = np.arange(reach, dtype=np.float64)
    return _mass(k, n, p, q) * float(1.0 + ((k - j) / (n - k + 1 + j) * (q / p)).cumprod().sum())


def at_most_given(k: int, n: int, wrong: float, right: float) -> float:
    """Return the probability of `k` or fewer out of `n` where the chance of each is itself unknown: beta distributed
    with these parameters, as after about so many were seen. The sum loses digits that no choice depends on.
    """
    if k < 0:
        return 0.0
    if k >= n:
        return 1.0
    i = np.arange(k, dtype=np.float64)
    steps = np.log((n - i) * (i + wrong)) - np.log((i + 1) * (n - i - 1 + right))
    none = math.lgamma(n + right) - math.lgamma(right) + math.lgamma(wrong + right) - math.lgamma(n + wrong + right)
    return float(min(1.0, np.exp(none + np.append(0.0, steps.cumsum())).sum()))


@lru_cache(maxsize=1 << 16)
def most_wrong(of: int, risk: float, confidence: float) -> int:
    """Return how many of so many may be wrong for the upper bound to be `risk` at most; -1 where not even none may."""
    low, high = -1, of
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(middle, of, risk) <= 1 - confidence else (low, middle)
    return low


def _mass(k: int, n: int, p: float, q: float) -> float:
    """Return the probability of exactly `k` of `n`, for 0 < p < 1 and q = 1 - p."""
    if k == 0 or k == n:
        return math.exp(n * math.log1p(-p)) if k == 0 else math.exp(n * math.log1p(-q))
    exponent = _stirling(n) - _stirling(k) - _stirling(n - k) - _deviance(k, n * p) - _deviance(n - k, n * q)
    return math.exp(exponent) * math.sqrt(n / (2 * math.pi * k * (n - k)))


def _stirling(n: int) -> float:
    """Return ln n! less Stirling's formula, for n above 0."""
    if n < SMALL:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    s = 1 / (n * n)
    return (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s * (1 / 1680 - s / 1188)))) / n


def _deviance(x: int, mean: float) -> float:
    """Return x ln(x / mean) + mean - x, for x above 0; by a series where the parts would cancel."""
    v = (x - mean) / (x + mean)
    if abs(v) >= 0.1:
        return x * math.log(x / mean) + mean - x
    series = 0.0
    for j in range(10, 0, -1):
        series = v * v * (1 / (2 * j + 1) + series)
    return (x - mean) * v + 2 * x * v * series
