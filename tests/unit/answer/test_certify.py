"""A certified risk holds in as many worlds as it says, whatever the worlds are; what is plugged in does not."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.answer.binomial import most_wrong, upper_bound
from gnomon.answer.certify import (
    certify,
    counts,
    enough_questions,
    fewest_answers,
    fixed_order,
    hopeless,
    resplit,
    shifted,
)

RISK, TRUST = 0.1, 0.9


class World:
    """Questions whose risk at each confidence is known: falling and bent by chance, with steps and ties."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.height, self.bend, self.levels = (
            self.draw.uniform(0.4, 1.0), self.draw.uniform(0.5, 4), int(self.draw.choice([7, 40, 10**6]))
        )  # fmt: skip

    def risk_of(self, u: np.ndarray) -> np.ndarray:
        """The chance of a wrong answer, by the share of questions that are surer."""
        return self.height * u**self.bend

    def sample(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        u = np.ceil(self.draw.random(n) * self.levels) / self.levels
        return 1 - u, self.draw.random(n) < self.risk_of(u)

    def true_risk(self, threshold: float) -> float:
        """The share of wrong answers from a confidence on, over all questions there are."""
        u = (np.arange(min(self.levels, 4000)) + 1) / min(self.levels, 4000)
        given = 1 - u >= threshold - 1e-12
        return float(self.risk_of(u[given]).mean()) if given.any() else 0.0


def test_over_worlds_drawn_at_random_the_risk_is_kept_as_often_as_said() -> None:
    worlds, broken, plugged, answering = 250, 0, 0, 0
    for seed in range(worlds):
        world = World(seed)
        order = fixed_order(*world.sample(150), steps=40)
        confidence, wrong = world.sample(300)
        test = certify(confidence, wrong, order, RISK, TRUST).certified
        answering += test is not None
        broken += test is not None and world.true_risk(test.threshold) > RISK + 1e-3
        n, e = counts(confidence, wrong, order.thresholds)
        fine = np.flatnonzero((n > 0) & (e <= RISK * n))
        plugged += len(fine) > 0 and world.true_risk(float(order.thresholds[fine[-1]])) > RISK + 1e-3
    assert broken <= (1 - TRUST) * worlds
    assert answering > 0.6 * worlds
    assert plugged > 3 * (1 - TRUST) * worlds


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.3]), st.sampled_from([0.8, 0.95]))
def test_what_is_certified_is_the_last_of_a_row_of_passed_tests(seed: int, risk: float, trust: float) -> None:
    world = World(seed)
    order = fixed_order(*world.sample(120))
    confidence, wrong = world.sample(250)
    found = certify(confidence, wrong, order, risk, trust)
    assert (np.diff(order.thresholds) < 0).all() and order.thresholds[-1] == -np.inf
    start = order.start(250, risk, trust)
    for test, threshold in zip(found.tests, order.thresholds[start:], strict=False):
        given = confidence >= threshold
        assert (test.threshold, test.answered, test.wrong) == (threshold, given.sum(), (given & wrong).sum())
        assert test.passed == (test.answered > 0 and upper_bound(test.wrong, test.answered, trust) <= risk)
    assert all(test.passed for test in found.tests[:-1])
    assert found.tests[-1].passed <= (found.tests[-1].threshold == -np.inf)
    if found.certified:
        assert found.bound <= risk
    again = np.random.default_rng(seed).permutation(250)
    assert certify(confidence[again], wrong[again], order, risk, trust) == found  # no order of lines


def test_more_risk_and_less_trust_let_more_be_answered() -> None:
    world = World(11)
    order, (confidence, wrong) = fixed_order(*world.sample(400)), world.sample(800)
    n, e = counts(confidence, wrong, order.thresholds)

    def reach(risk: float, trust: float) -> int:
        passed = [int(e[i]) <= most_wrong(int(n[i]), risk, trust) for i in range(len(n))]
        return sum(passed)

    assert reach(0.05, 0.95) <= reach(0.1, 0.95) <= reach(0.2, 0.95) <= reach(0.2, 0.8)


def test_a_predictor_that_is_always_wrong_or_always_right_is_told_what_it_is() -> None:
    confidence = np.random.default_rng(0).random(300)
    wrong, right = np.ones(300, bool), np.zeros(300, bool)
    never = fixed_order(confidence, wrong)
    assert certify(confidence, wrong, never, 0.05, 0.95).certified is None
    assert hopeless(never, 0.05, 0.95) and enough_questions(never, 0.05, 0.95) is None
    always = certify(confidence, right, fixed_order(confidence, right), 0.05, 0.95).certified
    assert always is not None and always.answered == 300 and always.threshold == -np.inf


@pytest.mark.parametrize(("risk", "trust"), [(0.05, 0.95), (0.01, 0.95), (0.2, 0.5), (0.05, 0.999)])
def test_fewest_answers_are_just_enough(risk: float, trust: float) -> None:
    n = fewest_answers(risk, trust)
    assert upper_bound(0, n, trust) <= risk and (n == 1 or upper_bound(0, n - 1, trust) > risk)


def test_with_as_many_questions_as_it_asks_for_a_certificate_is_had_in_most_draws() -> None:
    world = World(4)
    large = fixed_order(*world.sample(20_000))
    need = enough_questions(large, 0.02, 0.95)
    assert need is not None
    had = sum(certify(*world.sample(need), large, 0.02, 0.95).certified is not None for _ in range(60))
    few = sum(certify(*world.sample(need // 3), large, 0.02, 0.95).certified is not None for _ in range(60))
    assert had >= 40 > few


def test_resplits_keep_the_promise_and_plugging_in_does_not() -> None:
    world = World(11)
    world.height, world.bend, world.levels = 0.6, 1.5, 10**6
    order = fixed_order(*world.sample(500))
    confidence, wrong = world.sample(2000)
    units = [f"u{i}" for i in range(2000)]
    kept = resplit(confidence, wrong, order, RISK, 0.95, units)
    bare = resplit(confidence, wrong, order, RISK, 0.95, units, correct=False)
    assert kept.times == 200 and kept.kept_pool >= 190 and kept.certified > 150
    assert bare.kept_pool < 160 and bare.coverage > kept.coverage
    assert resplit(confidence, wrong, order, RISK, 0.95, units) == kept
    again = np.random.default_rng(0).permutation(2000)
    assert resplit(confidence[again], wrong[again], order, RISK, 0.95, [units[i] for i in again]) == kept


def test_where_groups_are_right_or_wrong_together_resplits_show_that_the_bound_is_too_bold() -> None:
    world = World(11)
    world.height, world.bend, world.levels = 0.6, 1.5, 10**6
    order = fixed_order(*world.sample(500))
    confidence, wrong = (np.repeat(column, 20) for column in world.sample(200))
    groups = [f"u{i // 20}" for i in range(4000)]
    together = resplit(confidence, wrong, order, RISK, 0.95, groups)
    parted = resplit(confidence, wrong, order, RISK, 0.95, [f"u{i}" for i in range(4000)])
    assert together.kept < 0.9 < 0.95 <= parted.kept


def test_a_shift_is_broken_open_or_kept_by_its_bounds() -> None:
    confidence = np.linspace(0, 1, 200)
    for every, verdict in ((3, "broken"), (18, "open"), (150, "kept")):
        wrong = np.arange(200) % every == 0
        found = shifted(confidence, wrong, 0.0, 0.05, 0.95)
        assert found.verdict == verdict and found.low < wrong.mean() < found.high
    nothing = shifted(confidence, confidence > 2, 1.5, 0.05, 0.95)
    assert (nothing.answered, nothing.verdict) == (0, "open") and math.isclose(nothing.high, 1)
