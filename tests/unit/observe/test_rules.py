"""What a run asks for when something happens."""

from gnomon.events.types import InterruptAsked, SaveDue, StepDone, Stop, Validated
from gnomon.observe.rules import SKIPS_BEFORE_STOP, save_when_due, stop_early, stop_on_interrupt, stop_when_not_finite


def validated(since_best: int) -> Validated:
    return Validated(step=1, loss=1.0, bits_per_byte=1.0, tokens=1, best=since_best == 0, since_best=since_best)


def stepped(skipped: bool) -> StepDone:
    return StepDone(
        step=1, loss=1.0, grad_norm=1.0, lr=0.1, tokens=1, skipped=skipped, tokens_per_second=1.0, memory_bytes=1
    )


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


def test_steps_in_a_row_that_are_not_finite_end_a_run_and_single_ones_do_not() -> None:
    observe = stop_when_not_finite()
    asked = [list(observe(stepped(skipped=True))) for _ in range(SKIPS_BEFORE_STOP - 1)]
    asked.append(list(observe(stepped(skipped=False))))
    assert not any(asked)
    asked = [list(observe(stepped(skipped=True))) for _ in range(SKIPS_BEFORE_STOP)]
    assert not any(asked[:-1])
    assert isinstance(asked[-1][0], Stop)


def test_an_interrupt_asks_to_stop() -> None:
    (stop,) = stop_on_interrupt(InterruptAsked(step=1, signal="SIGINT"))
    assert isinstance(stop, Stop)
    assert stop.reason == "interrupted"
    assert not list(stop_on_interrupt(SaveDue(step=1)))
