"""Carries out what observers ask for: the only hand on the state besides the step itself."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.files import finite
from gnomon.events.bus import Bus
from gnomon.events.journal import Journal
from gnomon.events.types import CheckpointSaved, DataSkipped, Request, Save, SaveFailed, SkipData, Stop
from gnomon.store.checkpoints import CheckpointStore
from gnomon.train.state import State, to_files


@dataclass(frozen=True)
class Hands:
    """What `act` may touch besides the state."""

    bus: Bus
    journal: Journal
    checkpoints: CheckpointStore
    keep_last: int


def act(requests: Iterable[Request], state: State, hands: Hands) -> Stop | None:
    """Carry out requests in their fixed order (SkipData, Save, Stop) and return the Stop, if there is one.

    A stop saves first. Several saves at one step are one.
    """
    asked = list(requests)
    for request in asked:
        if isinstance(request, SkipData):
            _skip(request, state, hands)
    stop = next((r for r in asked if isinstance(r, Stop)), None)
    reasons = [r.why for r in asked if isinstance(r, Save)] + ([stop.reason] if stop else [])
    if reasons:
        save(state, hands, "best" if "best" in reasons else reasons[0], must=stop is not None)
    return stop


def _skip(request: SkipData, state: State, hands: Hands) -> None:
    hands.journal.add({"at_row": state.row, "skip_rows": request.rows, "why": request.why})
    state.row += request.rows
    hands.bus.publish(DataSkipped(step=state.step, rows=request.rows, why=request.why))


def save(state: State, hands: Hands, reason: str, *, must: bool = False) -> None:
    """Write a checkpoint of this step, unless this process has just written it, and drop what need not be kept.

    When the disk is full or refuses, that is said aloud and training goes on, since the checkpoints before are whole;
    with `must` (the last save of a run) the error is raised.
    """
    for event in state.readback.drain():
        hands.bus.publish(event)
    if state.saved_at == state.step:
        return
    start = time.perf_counter()
    try:
        metrics = {"best_loss": finite(state.best_loss), "is_best": reason == "best"}
        checkpoint = hands.checkpoints.commit(to_files(state), state.step, reason, metrics)
    except (StorageError, IntegrityError, OSError) as e:
        hands.bus.publish(SaveFailed(step=state.step, why=str(e).splitlines()[0]))
        if must:
            raise
        return
    state.saved_at = state.step
    hands.bus.publish(
        CheckpointSaved(
            step=state.step,
            checkpoint=checkpoint.path.name,
            bytes=checkpoint.size,
            seconds=time.perf_counter() - start,
            reason=reason,
        )
    )
    hands.checkpoints.retain(hands.keep_last)
