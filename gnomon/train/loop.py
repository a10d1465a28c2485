"""The whole story of a run: take a batch, step, tell, ask, act."""

from collections.abc import Iterable, Iterator, Sequence

from gnomon.events.types import Check, Event, MemoryShort, Request, Save, SourcesValidated, Stop, Validated
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
        if state.finished:
            stop = act(_ask(state.readback.drain(), hands), state, hands)
            if stop or state.finished:
                save(state, hands, "finished", must=True)
                return stop or Stop(why="all steps are done", reason="finished")
            continue
        before = state.done
        events = step(state, hands.loader.take(state.row), hands.world)
        if not any(isinstance(event, MemoryShort) for event in events):
            events += _due(checks, state, before)
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


def _due(checks: Sequence[Check], state: State, before: float) -> Iterator[Event]:
    """Run the checks that fall on this step, and on the last; each sees the model in evaluation mode, read-only.

    Where batches are smaller than the plan's, the plan's steps count, of which `before` were done before this one: the
    time between checks does not shrink with the batch. What is due after every step is so after every batch.
    """
    for check in checks:
        due = check.every == 1 or state.done // check.every > before // check.every
        if due or state.finished:
            state.model.eval()
            for event in check.run(state.model, state.step):
                if isinstance(event, Validated):
                    event = state.judge(event)
                elif isinstance(event, SourcesValidated):
                    event = event.model_copy(update={"row": state.row})
                yield event
            state.model.train()
