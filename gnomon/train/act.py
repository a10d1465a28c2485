"""Carries out what observers ask for: the only hand on the state besides the step itself."""

from collections.abc import Iterable
from typing import Any

from gnomon.base.errors import GnomonError, IntegrityError, StorageError
from gnomon.base.files import finite
from gnomon.base.shares import uneven, without_tree
from gnomon.events.types import (
    DataSkipped,
    LengthChanged,
    MicroRowsChanged,
    Remember,
    Replan,
    Request,
    RequestRefused,
    RollBack,
    RowsChanged,
    Save,
    SaveSkipped,
    Shrink,
    SkipData,
    Stop,
    WeightsChanged,
)
from gnomon.train.hands import Hands, settle
from gnomon.train.rollback import give_up, roll_back
from gnomon.train.saver import Outcome
from gnomon.train.state import State


def act(requests: Iterable[Request], state: State, hands: Hands) -> Stop | None:
    """Carry out requests in their order (Shrink, RollBack, SkipData, Remember, Replan, Save, Stop) and return the Stop,
    if any.

    A stop saves first. Several saves at one step are one; of several roll-backs the one to the earliest row counts. A
    Replan or Remember that was asked for after steps which a roll-back undoes is undone with them.
    """
    asked = list(requests)
    stop = next((r for r in asked if isinstance(r, Stop)), None)
    if any(isinstance(r, Shrink) for r in asked):
        stop = _shrink(state, hands) or stop
    back = [r for r in asked if isinstance(r, RollBack)]
    if back and not (stop and stop.reason == "out_of_memory"):
        earliest = min(back, key=lambda r: r.at_row)
        stop = roll_back(earliest, state, hands) or stop
        asked = [r for r in asked if _seen_row(r) <= earliest.at_row]
    for request in asked:
        if isinstance(request, SkipData):
            _skip(request, state, hands)
    for request in asked:
        if isinstance(request, Remember) and not hands.journal.decided("measured", request.at_row):
            hands.journal.add({"at_row": request.at_row, "measured": request.file, "why": request.why})
    for request in asked:
        if isinstance(request, Replan):
            _replan(request, state, hands)
    reasons = [r.why for r in asked if isinstance(r, Save)] + ([stop.reason] if stop else [])
    if reasons and not (stop and stop.reason == "unhealthy"):
        save(state, hands, "best" if "best" in reasons else reasons[0], must=stop is not None)
    return stop


def _seen_row(request: Request) -> int:
    """Return the row up to which the steps lie that a decision was made after, 0 of what is no such decision."""
    return request.at_row if isinstance(request, Remember) else getattr(request, "seen_row", None) or 0


def _shrink(state: State, hands: Hands) -> Stop | None:
    share = hands.loader.stream.rows_at(state.row) // hands.world.size
    now = min(max(1, share), hands.journal.micro_rows(state.row, hands.micro_rows))
    if now == 1:
        why = "not even one row fits into memory"
        give_up(state, hands, why, state.row, hands.loader.stream.rows_per_batch)
        return Stop(why=why, reason="out_of_memory")
    fewer = now // 2
    hands.journal.add({"at_row": state.row, "micro_rows": fewer, "why": "memory was short"})
    hands.bus.publish(MicroRowsChanged(step=state.step, micro_rows=fewer, why=f"memory was short with {now}"))
    return None


def _skip(request: SkipData, state: State, hands: Hands) -> None:
    hands.journal.add({"at_row": state.row, "skip_rows": request.rows, "why": request.why})
    hands.bus.publish(DataSkipped(step=state.step, rows=request.rows, why=request.why))


def _replan(request: Replan, state: State, hands: Hands) -> None:
    """Write down from which row on what is asked for holds, unless that is so already, or cannot be.

    What is so already is judged by what was decided before it, so that a run which takes the same steps again, with a
    journal that knows more, decides nothing else.
    """
    at = max(state.row, request.at_row or 0)
    seen = min(at, state.row if request.seen_row is None else request.seen_row)

    def told(**event: Any) -> dict[str, Any]:
        return {"step": state.step, "at_row": at, "why": request.why, **event}

    if (rows := request.rows_per_step) is not None and not _is_so("rows_per_step", rows, at, request, hands):
        if why := _cannot(rows, state, hands):
            _refuse(f"batches of {rows:,} rows", why, state, hands)
        else:
            hands.journal.add({"at_row": at, "rows_per_step": rows, "seen_row": seen, "why": request.why})
            hands.bus.publish(RowsChanged(**told(rows_per_step=rows)))
    if (length := request.length) is not None and not _is_so("length", length, at, request, hands):
        hands.journal.add({"at_row": at, "length": length, "seen_row": seen, "why": request.why})
        hands.bus.publish(LengthChanged(**told(length=length)))
    if request.weights is not None:
        weights = dict(request.weights)
        try:
            parts = hands.loader.stream.parts(weights)
        except ValueError as e:
            _refuse("other weights of the sources", str(e), state, hands)
            return
        if not _is_so("weights", parts, at, request, hands):
            hands.journal.add({"at_row": at, "weights": weights, "seen_row": seen, "why": request.why})
            hands.bus.publish(WeightsChanged(**told(weights=weights)))


def _is_so(key: str, wanted: Any, at: int, request: Replan, hands: Hands) -> bool:
    """Return whether what is wanted holds at a row already, by what was decided before the request, or was decided
    otherwise: the first decision counts.
    """
    stream = hands.loader.stream
    if hands.journal.decided(key, at):
        return True
    # by what was decided before the step that asks: of two requests of one step neither sees the other, so that a run
    # which takes the step again, and knows both, finds the same
    before = None if request.seen_row is None else request.seen_row - 1
    found = hands.journal.in_force(key, at, stream.planned[key], before)
    return (stream.parts(found) if isinstance(found, dict) else found) == wanted


def _refuse(what: str, why: str, state: State, hands: Hands) -> None:
    hands.bus.publish(RequestRefused(step=state.step, request=what, why=why))


def _cannot(rows: int, state: State, hands: Hands) -> str | None:
    """Return why there can be no batches of so many rows; None: there can."""
    processes, micro = hands.world.size, hands.journal.micro_rows(state.row, hands.micro_rows)
    if rows > hands.loader.stream.rows_per_epoch:
        return f"the text gives {hands.loader.stream.rows_per_epoch:,} rows"
    if uneven(rows, processes):
        return f"{processes} processes cannot share them evenly"
    if state.exact and without_tree(rows, min(rows, micro), processes):
        return f"train.exact needs powers of two, and they are {rows / micro:g} passes for {processes} processes"
    return None


def save(state: State, hands: Hands, reason: str, *, must: bool = False) -> None:
    """Begin to write a checkpoint of this step, unless this process has just written it.

    A rolling save that is due while another is in flight, or while steps are being refused, is left out and counted;
    for a best one the save in flight is waited for. When the disk is full or fails, that is said aloud and training
    goes on, since the checkpoints before are whole; with `must` (the last save of a run) this waits and raises the
    error.
    """
    saved = not hands.world.any(state.saved_at != state.step)  # one that failed may have failed in one process only
    if saved and not must:
        return
    last = state.readback.last
    if not must and last is not None and last.bad_in_a_row > 0:
        _leave_out(state, hands, "steps are being refused, and the run may have to go back")
        return
    if hands.world.any(hands.saver.busy):
        if reason == "rolling" and not must:
            _leave_out(state, hands, "the save before is still being written")
            return
        settle(hands.saver.wait(), state, hands)
    if not hands.world.any(state.saved_at != state.step):
        return  # what was in flight was this step's
    outcome = _begin(state, hands, reason, must)
    settle(outcome, state, hands)
    if must and hands.world.any(outcome is not None and outcome.error_kind == "writer"):
        outcome = _begin(state, hands, reason, must)  # the disk has not refused anything yet
        settle(outcome, state, hands)
    if must and outcome is not None and outcome.error:
        raise _error(outcome, hands)


def _begin(state: State, hands: Hands, reason: str, must: bool) -> Outcome | None:
    metrics = {"best_loss": finite(state.best_loss), "is_best": reason == "best"}
    outcome = hands.saver.begin(state, reason, metrics, hands.journal)
    state.saved_at = state.step
    return outcome or (hands.saver.wait() if must else None)


def _leave_out(state: State, hands: Hands, why: str) -> None:
    hands.skipped_saves += 1
    hands.bus.publish(SaveSkipped(step=state.step, why=why, skipped=hands.skipped_saves))


def _error(outcome: Outcome, hands: Hands) -> GnomonError:
    kind = IntegrityError if outcome.error_kind == "integrity" else StorageError
    return kind(
        f"the last checkpoint of step {outcome.step:,} could not be written: {outcome.error}",
        where=str(hands.checkpoints.folder),
        do="make room or mend the disk, then run the same command again: it goes on from the checkpoint before",
    )
