"""Scores of an order: as pairs and permutations have them, whatever the order of lines, whatever the scale."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.evaluate.selective.ranking import (
    aurc,
    auroc,
    average_precision,
    coverage_at_risk,
    excess_aurc,
    refusal_recall,
    risk_coverage,
)

few = settings(max_examples=40, deadline=None)
tied = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=25)


def columns(rows: Sequence[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c / 7 for c, _ in rows]), np.array([r for _, r in rows])


@few
@given(tied)
def test_auroc_is_the_share_of_pairs_in_the_right_order(rows: list[tuple[int, bool]]) -> None:
    confidence, right = columns(rows)
    pairs = [(a > b) + (a == b) / 2 for a in confidence[right] for b in confidence[~right]]
    if not pairs:
        assert auroc(confidence, right) is None
        return
    found = auroc(confidence, right)
    assert found is not None and found == pytest.approx(np.mean(pairs), abs=1e-12)
    assert auroc(np.exp(3 * confidence) - 9, right) == found  # the scale does not matter
    assert auroc(-confidence, right) == pytest.approx(1 - found, abs=1e-12)
    assert auroc(confidence, ~right) == pytest.approx(1 - found, abs=1e-12)


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_aurc_is_the_mean_over_every_order_of_equals(rows: list[tuple[int, bool]]) -> None:
    confidence, right = columns(rows)
    areas = []
    for order in itertools.permutations(range(len(rows))):
        if all(confidence[a] >= confidence[b] for a, b in itertools.pairwise(order)):
            wrong = ~right[list(order)]
            areas.append((wrong.cumsum() / np.arange(1, len(rows) + 1)).mean())
    assert aurc(confidence, right) == pytest.approx(np.mean(areas), abs=1e-12)


@few
@given(tied, st.randoms(use_true_random=False))
def test_an_area_lies_between_best_and_worst_and_knows_no_order_of_lines(rows: list[tuple[int, bool]], random) -> None:
    confidence, right = columns(rows)
    best, worst = (aurc(x, right) for x in (right.astype(float), -right.astype(float)))
    assert best - 1e-12 <= aurc(confidence, right) <= worst + 1e-12
    assert excess_aurc(confidence, right) >= -1e-12 and excess_aurc(right.astype(float), right) == 0
    assert aurc(np.zeros(len(rows)), right) == pytest.approx((~right).mean())  # no order at all: the risk itself
    shuffled = random.sample(rows, len(rows))
    for score in (aurc, average_precision, auroc, excess_aurc):
        assert score(*columns(shuffled)) == pytest.approx(score(confidence, right), abs=1e-12)


@few
@given(tied, st.sampled_from([0.01, 0.05, 0.1, 0.4]))
def test_coverage_and_refusal_are_the_best_of_all_thresholds(rows: list[tuple[int, bool]], share: float) -> None:
    confidence, right = columns(rows)
    thresholds = [*np.unique(confidence), np.inf]
    kept = [confidence >= t for t in thresholds]
    best = max((k.mean() for k in kept if k.any() and (~right[k]).mean() <= share), default=0.0)
    assert coverage_at_risk(confidence, right, share) == best
    if 0 < right.sum() < len(rows):
        refused = [(~k[~right]).mean() for k in kept if (~k[right]).mean() <= share]
        assert refusal_recall(confidence, right, share) == pytest.approx(max(refused), abs=1e-12)
    _, coverage, risk = risk_coverage(confidence, right)
    assert coverage[-1] == 1 and risk[-1] == pytest.approx((~right).mean(), abs=1e-12)


@few
@given(tied)
def test_average_precision_sums_over_thresholds(rows: list[tuple[int, bool]]) -> None:
    confidence, right = columns(rows)
    total, recall = 0.0, 0.0
    for t in np.unique(confidence)[::-1]:
        kept = confidence >= t
        now = right[kept].sum() / max(1, right.sum())
        total, recall = total + (now - recall) * right[kept].mean(), now
    found = average_precision(confidence, right)
    assert found == pytest.approx(total, abs=1e-12) if right.any() else found is None


def test_another_library_says_the_same() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    confidence, right = draw.integers(0, 50, 500) / 50, draw.random(500) < 0.6
    assert auroc(confidence, right) == pytest.approx(metrics.roc_auc_score(right, confidence), abs=1e-12)
    assert average_precision(confidence, right) == pytest.approx(
        metrics.average_precision_score(right, confidence), abs=1e-12
    )
