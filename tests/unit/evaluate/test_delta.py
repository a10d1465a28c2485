"""The interval of a difference holds the true one as often as it says, and knows documents that are in both."""

import numpy as np
import pytest

from gnomon.base.errors import DataError
from gnomon.evaluate.delta import Losses, delta

DRAW = np.random.Generator


def documents(draw: DRAW, count: int, loss: float, prefix: str) -> Losses:
    """Return documents of 20 to 400 tokens whose own losses lie about `loss`, long ones 0.2 lower."""
    tokens = draw.integers(20, 400, count)
    nats = tokens * draw.normal(loss - 0.2 * (tokens > 200), 0.3)
    return Losses(tuple(f"{prefix}{i}" for i in range(count)), nats, tokens)


def true_loss(loss: float) -> float:
    tokens = np.arange(20, 400)
    return loss - 0.2 * float(tokens[tokens > 200].sum() / tokens.sum())


def part(of: Losses, kept: np.ndarray) -> Losses:
    return Losses(tuple(np.array(of.ids)[kept]), of.nats[kept], of.tokens[kept])


def test_the_interval_holds_the_true_difference_about_95_times_in_100() -> None:
    draw, held = np.random.default_rng(5), 0
    for i in range(200):
        a, b = documents(draw, 60, 3.0, "a"), documents(draw, 50, 3.1, "b")
        found = delta(a, b, resamples=200, seed=i)
        held += found.low <= true_loss(3.1) - true_loss(3.0) <= found.high
    assert 0.90 <= held / 200 <= 0.985


def test_documents_in_both_under_two_models_are_drawn_together() -> None:
    draw, held = np.random.default_rng(6), 0
    for i in range(100):
        a = documents(draw, 60, 3.0, "a")
        b = Losses(a.ids, a.nats + a.tokens * draw.normal(0.05, 0.03, 60), a.tokens)
        found = delta(a, b, resamples=200, seed=i)
        apart = delta(a, Losses(tuple(f"b{n}" for n in a.ids), b.nats, b.tokens), resamples=200, seed=i)
        held += found.low <= 0.05 <= found.high
        assert (found.shared, apart.shared) == (60, 0)
        assert found.high - found.low < 0.3 * (apart.high - apart.low)
    assert 0.88 <= held / 100 <= 0.99


def test_sets_with_nothing_in_common_are_drawn_each_by_itself() -> None:
    draw = np.random.default_rng(9)
    a, b = documents(draw, 3, 3.0, "a"), documents(draw, 40, 3.1, "b")

    def drawn(side: Losses) -> float:
        which = draw.integers(len(side.ids), size=len(side.ids))
        return side.nats[which].sum() / side.tokens[which].sum()

    low, high = np.quantile([drawn(b) - drawn(a) for _ in range(4000)], [0.025, 0.975])
    found = delta(a, b, resamples=8000)
    assert found.low == pytest.approx(low, abs=0.05 * (high - low))
    assert found.high == pytest.approx(high, abs=0.05 * (high - low))


def test_without_some_documents_what_is_left_adds_no_doubt() -> None:
    raw = documents(np.random.default_rng(7), 200, 3.0, "a")
    raw.nats[:20] *= 0.5  # known by heart
    clean = part(raw, np.arange(200) >= 20)
    found = delta(raw, clean)
    assert found.shared == 180 and found.delta > 0.1 and found.clear
    assert delta(raw, raw).low == delta(raw, raw).high == 0.0


def test_sums_are_weighted_by_tokens_and_equal_seeds_give_equal_intervals() -> None:
    a = Losses(("x", "y"), np.array([10.0, 300.0]), np.array([10, 100]))
    b = documents(np.random.default_rng(8), 30, 3.0, "b")
    found = delta(a, b, seed=3)
    assert (found.a, found.b) == (310 / 110, b.nats.sum() / b.tokens.sum())
    assert found.delta == found.b - found.a
    assert found == delta(a, b, seed=3) != delta(a, b, seed=4)


def test_one_document_gives_no_interval() -> None:
    one = Losses(("x", "x"), np.array([1.0, 1.0]), np.array([1, 1]))
    with pytest.raises(DataError, match="two different"):
        delta(one, one)
