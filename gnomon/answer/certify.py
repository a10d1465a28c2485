"""A threshold of confidence from which on answers are wrong in at most a stated share of cases, with a stated trust.

Thresholds and their order are fixed on other questions than those that certify. From the first on, each larger coverage
is tested in turn: it passes if the upper bound of Clopper and Pearson, one-sided, of the share of wrong answers among
those given is at most `risk`; the last before one fails is certified. As the order is fixed, all tests together are
wrong no more often than one: in 1 - `trust` of all draws of certifying questions at most. What is promised is the
share over all questions of the kind drawn, and holds for no other kind.

Sources: Geifman and El-Yaniv 2017, "Selective classification for deep neural networks"; Angelopoulos et al. 2021,
"Learn then test" (tests in fixed order).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from gnomon.answer.binomial import at_most_given, lower_bound, most_wrong, upper_bound
from gnomon.base.seeds import derive, permutation

STEPS = 100
"""Coverages tried, at equal distances on the questions that place the thresholds."""
START_EVERY = 4
"""Of them that may come first."""
CHANCE = 0.8
"""Of a certificate, at which enough questions are called enough."""
MOST_QUESTIONS = 10**6
SPREAD = (0.15, 0.5, 0.85)
"""Quantiles of how many questions a threshold answers: bounds move in steps, and one number of answers may be lucky."""


@dataclass(frozen=True)
class Order:
    """Thresholds, falling, and how many of the questions that placed them are answered at each, and wrongly."""

    thresholds: np.ndarray
    answered: np.ndarray
    wrong: np.ndarray
    questions: int

    def start(self, questions: int, risk: float, trust: float) -> int:
        """Return the place of the threshold most likely to pass with so many certifying questions: the first tested."""
        places = range(0, len(self.thresholds), START_EVERY)
        return places[int(np.argmax([self.chance(i, questions, risk, trust) for i in places]))]

    def chance(self, place: int, questions: int, risk: float, trust: float) -> float:
        """Return how likely the threshold at `place` passes with so many questions, over how many of these it may
        answer, and over every share of wrong ones that the questions which placed it leave possible (Jeffreys' prior).
        """
        m, e = int(self.answered[place]), int(self.wrong[place])
        share = m / self.questions
        spread = math.sqrt(questions * share * (1 - share))
        sizes = [round(questions * share + NormalDist().inv_cdf(q) * spread) for q in SPREAD]
        passed = [at_most_given(most_wrong(n, risk, trust), n, e + 0.5, m - e + 0.5) for n in sizes]
        return sum(passed) / len(passed)

    def with_more(self, confidence: np.ndarray, wrong: np.ndarray) -> "Order":
        """Return it with other questions counted too, which then may certify nothing any more."""
        answered, failed = counts(confidence, wrong, self.thresholds)
        return Order(self.thresholds, self.answered + answered, self.wrong + failed, self.questions + len(confidence))


def fixed_order(confidence: np.ndarray, wrong: np.ndarray, steps: int = STEPS) -> Order:
    """Return the order that other questions than the certifying ones fix; its last threshold answers all."""
    ranked = np.sort(confidence)[::-1]
    places = np.ceil(len(ranked) * np.arange(1, steps) / steps).astype(np.int64) - 1
    thresholds = np.append(np.unique(ranked[places])[::-1], -np.inf)
    return Order(thresholds, *counts(confidence, wrong, thresholds), len(confidence))


def counts(confidence: np.ndarray, wrong: np.ndarray, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many questions are answered at each of the falling thresholds (confidence at or above it), and how
    many of them wrongly.
    """
    return _sums(_first(confidence, thresholds), wrong, len(thresholds))


def _first(confidence: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the place of the first of falling thresholds that lets each question be answered."""
    return np.searchsorted(-thresholds, -confidence)


def _sums(first: np.ndarray, wrong: np.ndarray, thresholds: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many questions are answered at each threshold, and how many wrongly."""
    answered, failed = (np.bincount(first[chosen], minlength=thresholds + 1)[:-1] for chosen in (slice(None), wrong))
    return answered.cumsum(), failed.cumsum()


@dataclass(frozen=True)
class Tried:
    """One threshold as the certifying questions show it, and whether its bound is low enough."""

    threshold: float
    answered: int
    wrong: int
    passed: bool


@dataclass(frozen=True)
class Certificate:
    """The tests in their order. The last that passed is certified; if the first failed, nothing is."""

    risk: float
    trust: float
    questions: int
    tests: tuple[Tried, ...]

    @property
    def certified(self) -> Tried | None:
        """What is certified; None for nothing."""
        return next((test for test in reversed(self.tests) if test.passed), None)

    @property
    def bound(self) -> float:
        """The upper bound of the risk at what is certified, or at the first threshold if nothing is."""
        test = self.certified or self.tests[0]
        return upper_bound(test.wrong, test.answered, self.trust)


def certify(confidence: np.ndarray, wrong: np.ndarray, order: Order, risk: float, trust: float) -> Certificate:
    """Return what questions certify that had no part in `order` nor in how confidences are made.

    `confidence` float64 [n], `wrong` bool [n]; `risk` and `trust` lie between 0 and 1.
    """
    answered, failed = counts(confidence, wrong, order.thresholds)
    tests = []
    for i in range(order.start(len(confidence), risk, trust), len(order.thresholds)):
        n, e = int(answered[i]), int(failed[i])
        tests.append(Tried(float(order.thresholds[i]), n, e, e <= most_wrong(n, risk, trust)))
        if not tests[-1].passed:
            break
    return Certificate(risk, trust, len(confidence), tuple(tests))


def enough_questions(order: Order, risk: float, trust: float) -> int | None:
    """Return with how many certifying questions a certificate is to be had in four of five draws, if questions are as
    those of `order`; None if not even a million would do, or if these are too few to tell.
    """
    z, totals = NormalDist().inv_cdf, []
    for place, (m, e) in enumerate(zip(order.answered.tolist(), order.wrong.tolist(), strict=True)):
        p = upper_bound(e, m, CHANCE)  # else the luckiest of all thresholds would speak
        if p < risk:
            reach = z(trust) * (risk * (1 - risk)) ** 0.5 + z(CHANCE) * (p * (1 - p)) ** 0.5
            totals.append(((reach / (risk - p)) ** 2 * order.questions / m, place))
    if not totals:
        return None
    about, place = min(totals)
    n = max(1, int(about / 2))
    while n <= MOST_QUESTIONS and order.chance(place, n, risk, trust) < CHANCE:
        n += max(1, n // 50)
    return n if n <= MOST_QUESTIONS else None


def fewest_answers(risk: float, trust: float) -> int:
    """Return how many answers, none of them wrong, certify a risk: no fewer do."""
    n = max(1, math.floor(math.log(1 - trust) / math.log1p(-risk)))
    return n if most_wrong(n, risk, trust) >= 0 else n + 1


def hopeless(order: Order, risk: float, trust: float) -> bool:
    """Return whether the answers are wrong too often at every threshold that has any, each by its lower bound."""
    counted = zip(order.answered.tolist(), order.wrong.tolist(), strict=True)
    return all(lower_bound(e, m, trust) > risk for m, e in counted if m)


@dataclass(frozen=True)
class Resplits:
    """What became of many certificates from halves of one pool. A half that certifies nothing answers nothing, and
    breaks nothing.

    `kept_pool` counts those whose threshold has at most `risk` on the whole pool, which the certificate is about;
    `kept_rest` on the other half alone, whose own chance comes on top.
    """

    times: int
    certified: int
    kept_pool: int
    kept_rest: int
    coverage: float
    worst: float

    @property
    def kept(self) -> float:
        """The share that kept the promise on the pool."""
        return self.kept_pool / self.times


def resplit(
    confidence: np.ndarray,
    wrong: np.ndarray,
    order: Order,
    risk: float,
    trust: float,
    units: Sequence[str],
    *,
    times: int = 200,
    share: float = 0.5,
    seed: int = 0,
    correct: bool = True,
) -> Resplits:
    """Return how `times` certificates from random parts of a pool, of `share` of its units, do on the whole and on the
    rest. With `correct=False` the share seen takes the place of its upper bound, to show what that is worth.
    """
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    first, size = _first(confidence, order.thresholds), len(order.thresholds)
    whole = _sums(first, wrong, size)
    start = order.start(round(share * len(confidence)), risk, trust)
    found = []
    for i in range(times):
        rank = permutation(int(unit.max()) + 1, derive(seed, "resplit", i))
        chosen = rank[unit] < share * len(rank)
        part = _sums(first[chosen], wrong[chosen], size)
        at = _last_passed(*part, start, risk, trust) if correct else _plugged_in(*part, risk)
        if at is not None:
            found.append([part[0][at], part[1][at], whole[0][at], whole[1][at]])
    rows = np.array(found, np.float64).reshape(-1, 4)
    pool = rows[:, 3] / np.maximum(1, rows[:, 2])
    rest = (rows[:, 3] - rows[:, 1]) / np.maximum(1, rows[:, 2] - rows[:, 0])
    idle = times - len(rows)
    return Resplits(
        times=times,
        certified=len(rows),
        kept_pool=int((pool <= risk).sum()) + idle,
        kept_rest=int((rest <= risk).sum()) + idle,
        coverage=float((rows[:, 2] / len(confidence)).sum() / times),
        worst=float(pool.max(initial=0.0)),
    )


def _last_passed(n: np.ndarray, e: np.ndarray, start: int, risk: float, trust: float) -> int | None:
    at = start
    while at < len(n) and e[at] <= most_wrong(int(n[at]), risk, trust):
        at += 1
    return at - 1 if at > start else None


def _plugged_in(n: np.ndarray, e: np.ndarray, risk: float) -> int | None:
    fine = np.flatnonzero((n > 0) & (e <= risk * n))
    return int(fine[-1]) if len(fine) else None


@dataclass(frozen=True)
class Shift:
    """What a threshold does on questions of another kind: `low` and `high` bound the risk there, each at the trust of
    the certificate.
    """

    questions: int
    answered: int
    wrong: int
    low: float
    high: float
    verdict: Literal["kept", "open", "broken"]


def shifted(confidence: np.ndarray, wrong: np.ndarray, threshold: float, risk: float, trust: float) -> Shift:
    """Return what becomes of a certified risk on other questions: broken if even the lower bound is above it, kept if
    the upper one is not, else open.
    """
    given = confidence >= threshold
    n, e = int(given.sum()), int(wrong[given].sum())
    low, high = (lower_bound(e, n, trust), upper_bound(e, n, trust)) if n else (0.0, 1.0)
    return Shift(len(confidence), n, e, low, high, "broken" if low > risk else "kept" if high <= risk else "open")
