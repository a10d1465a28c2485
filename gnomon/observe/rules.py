"""Observers: what a run asks for when something happens. Each is a function of the events alone."""

import math
from collections.abc import Callable, Iterable, Mapping

from gnomon.events.types import (
    Event,
    InterruptAsked,
    MemoryShort,
    Observer,
    QuestionsMeasured,
    Remember,
    Replan,
    Request,
    RollBack,
    Save,
    SaveDue,
    Shrink,
    SourcesValidated,
    StepDone,
    Stop,
    Validated,
)

BAD_IN_A_ROW = 3
"""Steps refused one after the other, after which it is the weights or the data, not chance."""

BAD_RECENTLY = 12
"""Steps of the last 200 that were refused, after which the rate is too high."""

RATE_FACTOR, RATE_STEPS = 0.5, 100
"""What the learning rate is multiplied with after going back, and for how many steps."""


PULL, MOST_PULL, LEAST_CHANGE = 4.0, 4.0, 0.02
"""Of sources whose loss is above the reference: e^PULL times the weight a nat, MOST_PULL times at most; changes of a
share by less than LEAST_CHANGE of the planned one are let be.
"""


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


def shrink_when_memory_is_short(event: Event) -> Iterable[Request]:
    """Ask for smaller forward passes when a step did not fit into memory."""
    if isinstance(event, MemoryShort):
        yield Shrink(why=event.why)


def learn_what_was_measured(event: Event) -> Iterable[Request]:
    """Ask that heads learn from a measurement from the next step on."""
    if isinstance(event, QuestionsMeasured) and event.file is not None:
        why = f"step {event.step:,}: {event.questions:,} questions, {event.known:.1%} of the answers right"
        yield Remember(why=why, file=event.file, at_row=event.row)


def grow_with_noise(context: int, most_rows: int, log_every: int) -> Observer:
    """Return an observer that asks for batches twice as large, up to `most_rows`, once the gradient noise scale is as
    large as they would be.

    It remembers nothing, and asks for a row that is so far ahead that every process, on every device, has been told of
    the step by then: events come up to twice `log_every` steps late. So a resumed run comes to the same rows.
    """

    def observe(event: Event) -> Iterable[Request]:
        if not isinstance(event, StepDone) or event.verdict != "ok" or event.noise_tokens is None:
            return
        more = 2 * event.rows
        if more <= most_rows and event.noise_tokens >= more * context:
            yield Replan(
                why=f"the noise scale was {event.noise_tokens:,.0f} tokens at step {event.step:,}",
                rows_per_step=more,
                at_row=event.row + 2 * log_every * event.rows,
                seen_row=event.row + event.rows,
            )

    return observe


def rebalance(
    planned: Callable[[int], Mapping[str, float]],
    in_force: Callable[[int], Mapping[str, float]],
    reference: Mapping[str, float],
    earlier: Mapping[int, Mapping[str, float]],
) -> Observer:
    """Return an observer that asks for more of the sources whose validation loss is above the reference.

    Where there is none for a source, that is the lowest loss it has had, so that what is being forgotten comes again.
    `planned(row)` are the weights by the plan, `in_force(row)` those by what was decided before that row. A source
    comes to its planned weight times e^(PULL * excess in nats), by half of the way each time, and to a quarter or four
    times of its planned share at most. `earlier` are the losses of validations before this process, by their step.
    """
    losses = {step: dict(found) for step, found in earlier.items()}

    def observe(event: Event) -> Iterable[Request]:
        if not isinstance(event, SourcesValidated):
            return
        losses[event.step] = event.losses
        best = {
            name: min(found[name] for step, found in losses.items() if step <= event.step and name in found)
            for name in event.losses
        }
        base, now = _shares(planned(event.row)), _shares(in_force(event.row))
        above = {name: event.losses[name] - reference.get(name, best[name]) for name in base if name in event.losses}
        if not all(map(math.isfinite, above.values())):
            return
        pull = {name: min(MOST_PULL, math.exp(min(10.0, PULL * max(0.0, above.get(name, 0.0))))) for name in base}
        target = _shares({name: base[name] * pull[name] for name in base})
        asked = {name: float(f"{(now.get(name, 0.0) + target[name]) / 2:.4g}") for name in base}
        if any(abs(asked[name] - now.get(name, 0.0)) > LEAST_CHANGE * base[name] for name in base):
            told = ", ".join(f"{name} {excess:+.3f}" for name, excess in above.items())
            yield Replan(
                why=f"validation losses above the reference at step {event.step:,}: {told}",
                weights=tuple(sorted(asked.items())),
                at_row=event.row,
                seen_row=event.row,
            )

    return observe


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def go_back_when_unhealthy(rows_per_step: int, earlier: Callable[[int], int]) -> Observer:
    """Return an observer that asks to go back when steps keep being refused, each time further past the rows they had.

    `rows_per_step` are those of the plan. It remembers nothing: a step's event says how many before it were bad, and
    `earlier(row)` how many times the run went back near that row. So a resumed run asks for what the one that was not
    stopped asks for.
    """

    def observe(event: Event) -> Iterable[Request]:
        if not isinstance(event, StepDone) or event.verdict in ("ok", "overflow"):
            return
        if event.bad_in_a_row == BAD_IN_A_ROW:
            first, why = event.bad_since_row, f"{BAD_IN_A_ROW} steps in a row, up to step {event.step:,}, were refused"
        elif event.bad_recently == BAD_RECENTLY:
            first, why = event.row, f"{BAD_RECENTLY} of the last 200 steps, up to step {event.step:,}, were refused"
        else:
            return
        times = earlier(first)
        what = (
            "loss or gradient not finite" if event.verdict == "not_finite" else "loss or gradient far above the usual"
        )
        yield RollBack(
            why=f"{why}: {what}",
            at_row=first,
            skip_rows=(event.row + (event.rows or rows_per_step) - first) * 2**times,
            rate_factor=RATE_FACTOR,
            rate_rows=RATE_STEPS * rows_per_step,
            accept=times >= 2 and event.verdict == "spike",
        )

    return observe
