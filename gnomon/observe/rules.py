"""Observers: what a run asks for when something happens. Each is a function of the events alone."""

from collections.abc import Iterable

from gnomon.events.types import (
    Event,
    InterruptAsked,
    Observer,
    Request,
    Save,
    SaveDue,
    StepDone,
    Stop,
    Validated,
)

SKIPS_BEFORE_STOP = 25
"""Steps in a row that were not finite, after which training on is pointless."""


def save_when_due(event: Event) -> Iterable[Request]:
    """Ask for a rolling checkpoint when one is due, and for one whenever a validation is the best so far."""
    if isinstance(event, SaveDue):
        yield Save(why="rolling")
    elif isinstance(event, Validated) and event.best:
        yield Save(why="best")


def stop_on_interrupt(event: Event) -> Iterable[Request]:
    """Ask to stop, which saves first, when the user or the system asked the process to end."""
    if isinstance(event, InterruptAsked):
        yield Stop(why=f"received {event.signal}", reason="interrupted")


def stop_early(patience: int) -> Observer:
    """Return an observer that asks to stop after `patience` validations without a better loss."""

    def observe(event: Event) -> Iterable[Request]:
        if isinstance(event, Validated) and event.since_best >= patience:
            yield Stop(why=f"{event.since_best} validations without a better loss", reason="early_stop")

    return observe


def stop_when_not_finite() -> Observer:
    """Return an observer that asks to stop when so many steps in a row were not finite that the run cannot recover."""
    in_a_row = 0

    def observe(event: Event) -> Iterable[Request]:
        nonlocal in_a_row
        if isinstance(event, StepDone):
            in_a_row = in_a_row + 1 if event.skipped else 0
            if in_a_row >= SKIPS_BEFORE_STOP:
                yield Stop(
                    why=f"{in_a_row} steps in a row had a loss or gradient that is not finite",
                    reason="not_finite",
                )

    return observe
