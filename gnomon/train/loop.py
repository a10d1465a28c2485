"""The whole story of a run: take a batch, step, tell, ask, act."""

from collections.abc import Iterable, Iterator, Sequence

from gnomon.data.stream import Batch
from gnomon.events.types import Check, Event, Validated
from gnomon.train.act import Hands, act, save
from gnomon.train.state import State
from gnomon.train.step import step


def run(state: State, batches: Iterable[Batch], checks: Sequence[Check], hands: Hands) -> str:
    """Train until the schedule's last step or until an observer asks to stop, and return why it ended.

    The reason is `finished`, or that of the Stop. A checkpoint of the last state is written either way.
    """
    state.model.train()
    for batch in batches:
        if state.step >= state.schedule.steps:
            break
        requests = [
            request
            for event in (*step(state, batch), *_due(checks, state))
            for request in hands.bus.ask(hands.bus.publish(event))
        ]
        stop = act(requests, state, hands)
        if stop:
            return stop.reason
    save(state, hands, "finished", must=True)
    return "finished"


def _due(checks: Sequence[Check], state: State) -> Iterator[Event]:
    """Run the checks that fall on this step, and on the last; each sees the model in evaluation mode, read-only."""
    last = state.step == state.schedule.steps
    for check in checks:
        if state.step % check.every == 0 or last:
            state.model.eval()
            for event in check.run(state.model, state.step):
                yield state.judge(event) if isinstance(event, Validated) else event
            state.model.train()
