"""Runs that are stopped here and there, and go on."""

from collections.abc import Callable, Iterable

from gnomon.events.types import Check, Event, InterruptAsked
from gnomon.train.loop import run as train_loop
from gnomon.train.rollback import restore
from tests.world import Started


def stop_at(steps: set[int]) -> Check:
    """Return the check that asks for a stop after these steps."""

    def look(_: object, step: int) -> Iterable[Event]:
        if step in steps:
            yield InterruptAsked(step=step, signal="SIGTERM")

    return Check("interrupts", 1, look)


def in_pieces(begin: Callable[[], Started], stops: set[int]) -> list[Started]:
    """Return the pieces of a run, the last of which came to its end; each begins in a new state after a stop."""
    found: list[Started] = []
    while True:
        one = begin()
        found.append(one)
        restore(one.state, one.hands)
        stop = train_loop(one.state, [stop_at(stops), *one.checks()], one.hands)
        one.hands.saver.wait()
        one.close()
        if stop.reason == "finished":
            return found
