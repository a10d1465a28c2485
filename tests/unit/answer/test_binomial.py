"""The bounds of Clopper and Pearson: exact, rising, and true as often as they say."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.answer.binomial import at_most, at_most_given, lower_bound, most_wrong, upper_bound

few = settings(max_examples=25, deadline=None)
counts = st.integers(1, 40).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
shares = st.integers(1, 999).map(lambda i: i / 1000)


def exact(k: int, n: int, p: float) -> Fraction:
    """Return the sum in whole numbers."""
    chance = Fraction(p)
    return sum((math.comb(n, i) * chance**i * (1 - chance) ** (n - i) for i in range(k + 1)), Fraction(0))


@few
@given(counts, shares)
def test_a_probability_is_the_sum_in_fractions(count: tuple[int, int], p: float) -> None:
    assert at_most(*count, p) == pytest.approx(float(exact(*count, p)), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(("k", "n", "p"), [(38, 400, 0.05), (3, 600, 0.01), (240, 300, 0.97)])
def test_so_it_is_for_many(k: int, n: int, p: float) -> None:
    assert at_most(k, n, p) == pytest.approx(float(exact(k, n, p)), rel=1e-12)


def test_and_for_a_million_as_another_library_has_it() -> None:
    stats = pytest.importorskip("scipy.stats")
    for k, n, p in ((50_100, 10**6, 0.05), (9_700, 10**6, 0.01), (4, 10**5, 0.001)):
        assert at_most(k, n, p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-12)
        assert upper_bound(k, n, 0.95) == pytest.approx(stats.beta.ppf(0.95, k + 1, n - k), rel=1e-12)
        assert lower_bound(k, n, 0.95) == pytest.approx(stats.beta.ppf(0.05, k, n - k + 1), rel=1e-9)


@few
@given(counts, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_at_the_bound_so_few_have_just_the_chance_that_is_left(count: tuple[int, int], trust: float) -> None:
    k, n = count
    if k < n:
        assert float(exact(k, n, upper_bound(k, n, trust))) == pytest.approx(1 - trust, rel=1e-11)
    assert lower_bound(k, n, trust) <= k / n <= upper_bound(k, n, trust)
    assert lower_bound(k, n, trust) == 1 - upper_bound(n - k, n, trust)


@few
@given(counts, st.sampled_from([0.9, 0.95]))
def test_the_bound_rises_with_wrong_ones_and_falls_with_right_ones(count: tuple[int, int], trust: float) -> None:
    k, n = count
    here = upper_bound(k, n, trust)
    assert here < upper_bound(k + 1, n + 1, trust) or here == 1.0
    assert here > upper_bound(k, n + 1, trust)
    assert here <= upper_bound(k, n, (1 + trust) / 2)


@pytest.mark.parametrize(
    ("of", "risk", "may"), [(58, 0.05, -1), (59, 0.05, 0), (200, 0.05, 4), (500, 0.05, 16), (1000, 0.05, 38),
                            (300, 0.01, 0), (2000, 0.01, 12)]
)  # fmt: skip
def test_so_many_may_be_wrong_as_tables_say(of: int, risk: float, may: int) -> None:
    assert most_wrong(of, risk, 0.95) == may
    assert may < 0 or upper_bound(may, of, 0.95) <= risk
    assert upper_bound(may + 1, of, 0.95) > risk


@pytest.mark.parametrize("p", [0.01, 0.05, 0.3])
def test_the_bound_is_below_the_truth_in_no_more_than_one_draw_of_twenty(p: float) -> None:
    n = 80
    bounds = np.array([upper_bound(k, n, 0.95) for k in range(n + 1)])
    chances = np.array([math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)])
    assert chances[bounds < p].sum() <= 0.05  # exactly, over every outcome
    drawn = bounds[np.random.default_rng(0).binomial(n, p, 4000)] < p
    assert drawn.mean() <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)


def test_an_unknown_chance_adds_up_over_all_that_it_may_be() -> None:
    p = (np.arange(1000) + 0.5) / 1000
    density: np.ndarray = p**2.5 * (1 - p) ** 39.5
    mixed = sum(w * at_most(6, 80, float(q)) for q, w in zip(p, density / density.sum(), strict=True))
    assert at_most_given(6, 80, 3.5, 40.5) == pytest.approx(mixed, rel=1e-6)
    assert at_most_given(-1, 80, 3.5, 40.5) == 0 and at_most_given(80, 80, 3.5, 40.5) == 1
