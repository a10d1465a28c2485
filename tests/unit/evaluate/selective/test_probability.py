"""Scores of probabilities: zero for what is perfect, parts that add up, none that depends on the order of lines."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.evaluate.selective.classes import confusion
from gnomon.evaluate.selective.probability import (
    brier,
    calibration_error,
    equal_bins,
    error_interval,
    excess_log_loss,
    log_loss,
    rising,
)

few = settings(max_examples=40, deadline=None)
said = st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60)


def columns(rows: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p / 20 for p, _ in rows]), np.array([float(y) for _, y in rows])


@few
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=8))
def test_what_comes_true_as_often_as_said_has_no_error(cells: list[tuple[int, int]]) -> None:
    by_share = {r / (n + r): (r, n) for r, n in cells}  # each value once, so that it is said of these alone
    p = np.repeat(list(by_share), [sum(c) for c in by_share.values()])
    y = np.concatenate([np.repeat([1.0, 0.0], c) for c in by_share.values()])
    assert calibration_error(p, y) < 1e-12
    assert brier(p, y).calibration < 1e-12


@few
@given(said, st.randoms(use_true_random=False))
def test_bins_have_equal_mass_and_know_no_order_of_lines(rows: list[tuple[int, bool]], random) -> None:
    p, y = columns(rows)
    bins = equal_bins(p, y)
    assert bins.counts.sum() == len(rows) and len(bins.counts) == min(15, len(rows))
    assert bins.counts.max() - bins.counts.min() <= 1 and (np.diff(bins.said) >= -1e-12).all()
    assert (bins.counts * bins.true).sum() == pytest.approx(y.sum())
    assert abs(p.mean() - y.mean()) - 1e-12 <= bins.error <= 1
    shuffled = columns(random.sample(rows, len(rows)))
    assert calibration_error(*shuffled) == pytest.approx(bins.error, abs=1e-12)


def test_the_error_is_that_of_bins_cut_by_hand() -> None:
    draw = np.random.default_rng(3)
    p = np.sort(draw.random(150))
    y = (draw.random(150) < p**2).astype(float)
    by_hand = np.mean([abs(p[i : i + 10].mean() - y[i : i + 10].mean()) for i in range(0, 150, 10)])
    assert calibration_error(p, y) == pytest.approx(by_hand, abs=1e-12)


@few
@given(said)
def test_the_parts_of_a_brier_score_add_up_and_the_best_rising_function_rises(rows: list[tuple[int, bool]]) -> None:
    p, y = columns(rows)
    found, fit = brier(p, y), rising(p, y)
    assert found.score == pytest.approx(np.mean((p - y) ** 2), abs=1e-12)
    assert found.calibration + found.refinement == pytest.approx(found.score, abs=1e-12)
    assert found.calibration >= -1e-12 and 0 <= found.refinement <= y.mean() * (1 - y.mean()) + 1e-12
    order = np.argsort(p, kind="stable")
    assert (np.diff(fit[order]) >= 0).all()
    for value in np.unique(p):
        level = fit[p == value][0]
        assert y[fit == level].mean() == pytest.approx(level, abs=1e-12)  # the mean of those that have it
        assert y[(fit == level) & (p <= value)].mean() >= level - 1e-12  # and cut in two it would not rise


def test_soft_labels_met_exactly_have_no_excess_and_hard_ones_no_entropy() -> None:
    y = np.array([0.0, 0.2, 0.5, 0.9, 1.0])
    assert excess_log_loss(y, y) == pytest.approx(0, abs=1e-14)
    assert excess_log_loss(np.full(5, 0.4), y) > 0
    p, hard = np.array([0.3, 0.8, 0.6]), np.array([0.0, 1.0, 0.0])
    assert log_loss(p, hard) == excess_log_loss(p, hard) == pytest.approx(-math.log(0.7 * 0.8 * 0.4) / 3)
    assert math.isfinite(log_loss(np.array([0.0]), np.array([1.0])))


def test_the_interval_is_seeded_and_groups_are_drawn_whole() -> None:
    draw = np.random.default_rng(4)
    p = draw.random(200)
    y = (draw.random(200) < np.clip(p - 0.2, 0, 1)).astype(float)
    found = error_interval(p, y, draws=200)
    assert found == error_interval(p, y, draws=200) != error_interval(p, y, draws=200, seed=1)
    assert found.low < calibration_error(p, y) < found.high and found.chance < found.low
    twice = error_interval(np.tile(p, 4), np.tile(y, 4), groups=np.tile(np.arange(200), 4), draws=200)
    alone = error_interval(np.tile(p, 4), np.tile(y, 4), draws=200)
    assert twice.high - twice.low > 1.4 * (alone.high - alone.low)  # copies add no evidence


def test_a_rare_class_counts_in_macro_f1_as_much_as_a_frequent_one() -> None:
    true, named = list("aaaaabbc"), list("aaaabbba")
    found = confusion(true, named)
    assert found.labels == ("a", "b", "c") and found.counts.tolist() == [[4, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert found.accuracy == 6 / 8 and found.f1 == pytest.approx({"a": 0.8, "b": 0.8, "c": 0.0})
    assert found.macro_f1 == pytest.approx(1.6 / 3)
    metrics = pytest.importorskip("sklearn.metrics")
    assert found.macro_f1 == pytest.approx(metrics.f1_score(true, named, average="macro", zero_division=0))
    p = np.random.default_rng(0).random(50)
    y = np.round(p)
    assert brier(p, y).score == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)
    assert log_loss(p, 1 - y) == pytest.approx(metrics.log_loss(1 - y, p), abs=1e-12)
