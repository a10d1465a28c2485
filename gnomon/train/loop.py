"""The whole story of a run: take a batch, step, tell, ask, act."""

from collections.abc import Iterable, Iterator, Sequence

from gnomon.events.types import Check, Event, MemoryShort, Request, Save, Stop, Validated
from gnomon.train.act import act, save
from gnomon.train.hands import Hands, settle
from gnomon.train.state import State
from gnomon.train.step import step


def run(state: State, checks: Sequence[Check], hands: Hands) -> Stop:
    """Train until the schedule's last step or until an observer asks to stop, and return why it ended.

    The reason is `finished`, or that of the Stop. A checkpoint of the last state is written either way, unless it is
    one that nobody should go on from.
    """
    hands.saver.reserve(state)
    state.model.train()
    while True:
        if state.step >= state.schedule.steps:
            stop = act(_ask(state.readback.drain(), hands), state, hands)
            if stop or state.step >= state.schedule.steps:
                save(state, hands, "finished", must=True)
                return stop or Stop(why="all steps are done", reason="finished")
            continue
        events = step(state, hands.loader.take(state.row), hands.world)
        if not any(isinstance(event, MemoryShort) for event in events):
            events += _due(checks, state)
        requests = _ask(events, hands)
        if any(isinstance(request, Save | Stop) for request in requests):  # no step before a checkpoint goes untold
            requests += _ask(state.readback.drain(), hands)
        stop = act(requests, state, hands)
        settle(hands.saver.poll(), state, hands)
        if stop:
            return stop


def _ask(events: Iterable[Event], hands: Hands) -> list[Request]:
    """Tell of the events and return what the observers ask for; with several processes, what those of any ask for."""
    asked = [request for event in events for request in hands.bus.ask(hands.bus.publish(event))]
    if not hands.world.any(bool(asked)):
        return []
    every = [request for requests in hands.world.gather(asked) for request in requests]
    return list(dict.fromkeys(every))


def _due(checks: Sequence[Check], state: State) -> Iterator[Event]:
    """Run the checks that fall on this step, and on the last; each sees the model in evaluation mode, read-only."""
    last = state.step == state.schedule.steps
    for check in checks:
        if state.step % check.every == 0 or last:
            state.model.eval()
            for event in check.run(state.model, state.step):
                yield state.judge(event) if isinstance(event, Validated) else event
            state.model.train()
