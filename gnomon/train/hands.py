"""What may be touched besides the state when requests are carried out, and how the end of a save is told."""

from collections.abc import Callable
from dataclasses import dataclass

from gnomon.data.measured.buffer import Buffer
from gnomon.data.streaming.loader import Loader
from gnomon.events.bus import Bus
from gnomon.events.journal import Journal
from gnomon.events.types import CheckpointDamaged, CheckpointSaved, SaveFailed
from gnomon.store.checkpoints import CheckpointStore
from gnomon.train.parallel import World
from gnomon.train.saver import Outcome, Saver
from gnomon.train.state import State


@dataclass
class Hands:
    """The run's other parts, and what this process remembers of its own doing."""

    bus: Bus
    journal: Journal
    checkpoints: CheckpointStore
    saver: Saver
    loader: Loader
    world: World
    start_over: Callable[[State], None]  # puts the state before the first step back
    micro_rows: int  # as planned
    measured: Buffer | None = None  # of questions that the model is asked, where there are any
    skipped_saves: int = 0
    went_back_to: int | None = None  # step of the last roll-back


def settle(outcome: Outcome | None, state: State, hands: Hands) -> None:
    """Tell how a save ended, if one has."""
    if outcome is None:
        return
    for name, why in outcome.damaged:
        hands.bus.publish(CheckpointDamaged(checkpoint=name, why=why))
    if outcome.error:
        if state.saved_at == outcome.step:
            state.saved_at = -1
        hands.bus.publish(SaveFailed(step=outcome.step, why=outcome.error))
    elif outcome.checkpoint:
        hands.bus.publish(
            CheckpointSaved(
                step=outcome.step,
                checkpoint=outcome.checkpoint,
                bytes=outcome.bytes,
                seconds=outcome.seconds,
                stall_seconds=outcome.stall_seconds,
                reason=outcome.reason,
            )
        )
