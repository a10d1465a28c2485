"""What a run asks for when something happens."""

import pytest

from gnomon.events.types import (
    InterruptAsked,
    MemoryShort,
    Replan,
    RollBack,
    SaveDue,
    Shrink,
    SourcesValidated,
    StepDone,
    Stop,
    Validated,
    Verdict,
)
from gnomon.observe.rules import (
    go_back_when_unhealthy,
    grow_with_noise,
    rebalance,
    save_when_due,
    shrink_when_memory_is_short,
    stop_early,
    stop_on_interrupt,
)


def validated(since_best: int) -> Validated:
    return Validated(step=1, loss=1.0, bits_per_byte=1.0, tokens=1, best=since_best == 0, since_best=since_best)


def stepped(verdict: Verdict, in_a_row: int, recently: int = 0, row: int = 80, since: int = 64) -> StepDone:
    return StepDone(
        step=10, loss=1.0, grad_norm=1.0, lr=0.1, tokens=1, row=row, verdict=verdict, bad_in_a_row=in_a_row,
        bad_recently=recently, bad_since_row=since, tokens_per_second=1.0, memory_bytes=1,
    )  # fmt: skip


def test_a_checkpoint_is_asked_for_when_due_and_at_the_best_validation() -> None:
    assert [r.why for r in save_when_due(SaveDue(step=1))] == ["rolling"]
    assert [r.why for r in save_when_due(validated(0))] == ["best"]
    assert list(save_when_due(validated(1))) == []


def test_patience_ends_a_run_that_no_longer_improves() -> None:
    observe = stop_early(3)
    assert [len(list(observe(validated(n)))) for n in (0, 1, 2, 3, 4)] == [0, 0, 0, 1, 1]
    (stop,) = observe(validated(3))
    assert isinstance(stop, Stop)
    assert stop.reason == "early_stop"


def test_steps_in_a_row_that_are_refused_send_the_run_back_past_their_rows_and_single_ones_do_not() -> None:
    for times in (0, 1, 2):
        observe = go_back_when_unhealthy(8, lambda _, n=times: n)
        assert not any(list(observe(stepped("spike", n))) for n in (1, 2, 4, 5))
        (back,) = observe(stepped("spike", 3))
        assert isinstance(back, RollBack)
        assert (back.at_row, back.skip_rows) == (64, (80 + 8 - 64) * 2**times), "further each time"
        assert back.accept == (times == 2), "what comes again and again is the new normal"
    assert list(observe(stepped("overflow", 3))) == list(observe(stepped("ok", 0, recently=12))) == []
    (back,) = observe(stepped("not_finite", 1, recently=12))
    assert isinstance(back, RollBack)
    assert (back.at_row, back.accept) == (80, False)


def test_a_step_that_did_not_fit_into_memory_asks_for_smaller_ones() -> None:
    (asked,) = shrink_when_memory_is_short(MemoryShort(step=1, micro_rows=8, why="x"))
    assert isinstance(asked, Shrink)


def test_an_interrupt_asks_to_stop() -> None:
    (stop,) = stop_on_interrupt(InterruptAsked(step=1, signal="SIGINT"))
    assert isinstance(stop, Stop)
    assert stop.reason == "interrupted"
    assert not list(stop_on_interrupt(SaveDue(step=1)))


def measured(noise_tokens: float | None, rows: int = 8, verdict: Verdict = "ok") -> list[Replan]:
    event = stepped(verdict, 0).model_copy(update={"rows": rows, "noise_tokens": noise_tokens})
    asked = list(grow_with_noise(context=64, most_rows=32, log_every=10)(event))
    assert all(isinstance(request, Replan) for request in asked)
    return [request for request in asked if isinstance(request, Replan)]


def test_batches_double_once_the_noise_scale_is_as_large_and_never_beyond_the_plan() -> None:
    (asked,) = measured(16 * 64.0)
    assert (asked.rows_per_step, asked.at_row, asked.seen_row) == (16, 80 + 20 * 8, 88)
    assert measured(16 * 64.0 - 1) == measured(None) == measured(1e9, verdict="spike") == []
    assert [r.rows_per_step for r in measured(float("inf"), rows=16)] == [32]
    assert measured(float("inf"), rows=32) == []


def balanced(losses: list[dict[str, float]], reference: dict[str, float] | None = None) -> list[Replan]:
    """Return what is asked for at the last of some validations; sources `a` and `b` are planned 3 to 1."""
    plan = {"a": 3.0, "b": 1.0}
    observe = rebalance(lambda _: plan, lambda _: plan, reference or {}, dict(enumerate(losses[:-1])))
    asked = observe(SourcesValidated(step=len(losses), row=640, losses=losses[-1]))
    return [request for request in asked if isinstance(request, Replan)]


def test_a_source_that_is_being_forgotten_comes_more_often_and_others_never_vanish() -> None:
    assert balanced([{"a": 3.0, "b": 3.0}, {"a": 2.0, "b": 2.9}]) == [], "both are at their best"
    (asked,) = balanced([{"a": 3.0, "b": 2.0}, {"a": 2.5, "b": 2.2}])
    weights = dict(asked.weights or ())
    assert (asked.at_row, asked.seen_row) == (640, 640)
    assert 0.25 < weights["b"] < 0.43 and sum(weights.values()) == pytest.approx(1, abs=1e-3)
    (far,) = balanced([{"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 99.0}])
    assert dict(far.weights or ())["b"] == pytest.approx((0.25 + 4 / 7) / 2, abs=1e-3)
    assert balanced([{"a": 1.0, "b": float("nan")}]) == []


def test_with_a_reference_it_is_the_loss_above_it_that_counts() -> None:
    (asked,) = balanced([{"a": 2.0, "b": 3.0}], {"a": 1.0, "b": 3.0})
    assert dict(asked.weights or ())["a"] > 0.75
