"""Going back when steps keep being refused: to a checkpoint before the trouble, past the rows it came with, at a lower
rate; and, when that does not help, the diagnosis.

The decision is in the journal before anything is done, and says all there is to know: which checkpoint is then loaded
does not matter, since every one of them leads to the same state at the same row. A kill at any moment changes nothing.
"""

import contextlib
from collections.abc import Collection

from gnomon.base.errors import IntegrityError, StorageError
from gnomon.data.streaming.stream import NUMBERING
from gnomon.events.types import CheckpointDamaged, GaveUp, RollBack, RolledBack, Stop
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.manifest import Damage
from gnomon.store.schema import NewerSchema
from gnomon.train.hands import Hands, settle
from gnomon.train.state import State, Unsound, load_checkpoint, read_numbers, tensors_of

MOST_ROLL_BACKS = 4  # over the same stretch of the run, before it is given up
STRETCH_STEPS = 500
SOON_STEPS = 20  # trouble that comes so soon after a checkpoint may be in it


def roll_back(request: RollBack, state: State, hands: Hands) -> Stop | None:
    """Go back as asked; return a Stop when that has been tried often enough, or there is nowhere to go."""
    rows = hands.loader.stream.rows_per_batch
    if hands.journal.roll_backs(since_row=request.at_row - STRETCH_STEPS * rows) >= MOST_ROLL_BACKS:
        why = f"{request.why}; going back {MOST_ROLL_BACKS} times did not help"
        give_up(state, hands, why, request.at_row, request.skip_rows)
        return Stop(why=why, reason="unhealthy")
    from_step = state.step
    settle(hands.saver.wait(), state, hands)
    entry = {
        "roll_back": True,
        "at_row": request.at_row,
        "skip_rows": request.skip_rows,
        "rate_factor": request.rate_factor,
        "until_row": request.at_row + request.skip_rows + request.rate_rows,
        "accept": request.accept,
        "why": request.why,
    }
    trouble_began = from_step - hands.loader.stream.batches_between(request.at_row, state.row)
    if hands.went_back_to is not None and trouble_began <= hands.went_back_to + SOON_STEPS:
        entry["before_step"] = hands.went_back_to
    hands.journal.add(entry)
    hands.world.gather(None)  # the first process has it on disk
    try:
        name = restore(state, hands)
    except IntegrityError as e:
        give_up(state, hands, f"{request.why}; no checkpoint can be used: {e.what}", request.at_row, request.skip_rows)
        return Stop(why=e.what, reason="unhealthy")
    hands.went_back_to = state.step
    hands.bus.publish(
        RolledBack(
            step=state.step,
            from_step=from_step,
            checkpoint=name,
            at_row=request.at_row,
            skip_rows=request.skip_rows,
            rate_factor=request.rate_factor,
            why=request.why,
        )
    )
    return None


def restore(state: State, hands: Hands) -> str | None:
    """Load the newest checkpoint that is whole, sound and still part of the run; return its name, None for the start.

    Checkpoints of a branch that was left are removed, damaged and unsound ones set aside with the reason; where the
    disk does not let that happen they are passed over. Raises IntegrityError when there are some and none can be used,
    or when the newest was made while the stream gave other rows.
    """
    state.readback.clear()
    lost: dict[str, str] = {}
    while checkpoint := _newest(hands, lost.keys()):
        _refuse_other_rows(checkpoint, hands)
        try:
            load_checkpoint(state, checkpoint)
        except Unsound as e:
            lost[checkpoint.path.name] = e.what
            if hands.world.first:
                damage = [Damage(checkpoint.path.name, None, e.what)]
                with contextlib.suppress(StorageError):
                    hands.checkpoints.quarantine(checkpoint, damage)
                _tell(hands, checkpoint, damage)
            hands.world.gather(None)  # nobody chooses before it is out of sight
            continue
        break
    if checkpoint is None and lost:
        raise IntegrityError(
            next(iter(lost.values())),
            where=str(hands.checkpoints.folder / "quarantine"),
            do="restore a checkpoint from a backup, or start again in another `out` folder",
        )
    if hands.world.first:
        for left in hands.checkpoints.all():
            with contextlib.suppress(StorageError, IntegrityError):  # left where it is, it is passed over next time too
                if not _part_of_run(left, hands):
                    hands.checkpoints.discard(left)
    if checkpoint is None:
        hands.start_over(state)
        state.saved_at = -1
        return None
    state.saved_at = state.step
    return checkpoint.path.name


def give_up(state: State, hands: Hands, why: str, first_row: int, rows: int) -> None:
    """Tell what the run shows: the documents in these rows, and the tensors whose values cannot be right."""
    live = {n: t for part in tensors_of(state).values() for n, t in part.items() if not n.startswith("guard.")}
    unsound = hands.world.gather(state.optimizer.unsound(live))  # no process need hold everything
    hands.bus.publish(
        GaveUp(
            step=state.step,
            why=why,
            first_row=first_row,
            rows=rows,
            documents=hands.loader.stream.documents(first_row, max(1, rows)),
            state=list(dict.fromkeys(sentence for found in unsound for sentence in found)),
        )
    )


def _newest(hands: Hands, lost: Collection[str]) -> Checkpoint | None:
    """Return the checkpoint to go on from, none of the `lost`, chosen by the first process for all."""
    name: str | None = None
    problem: str | None = None

    def wanted(checkpoint: Checkpoint) -> bool:
        return checkpoint.path.name not in lost and _part_of_run(checkpoint, hands)

    if hands.world.first:
        try:
            found = hands.checkpoints.newest_whole(lambda c, d: _tell(hands, c, d), wanted)
            name = found.path.name if found else None
        except (IntegrityError, StorageError) as e:
            problem = e.what
        if not hands.checkpoints.folder.parent.is_dir():  # no run goes back to its start because its disk is away
            problem = "the run's folder has been taken away"
    name, problem = hands.world.gather((name, problem))[0]
    if problem:
        raise IntegrityError(
            problem,
            where=str(hands.checkpoints.folder / "quarantine"),
            do="restore one from a backup, or start again in another `out` folder",
        )
    return next((c for c in hands.checkpoints.all() if c.path.name == name), None)


def _part_of_run(checkpoint: Checkpoint, hands: Hands) -> bool:
    numbers = read_numbers(checkpoint)
    if numbers.decisions > len(hands.journal.entries):
        raise IntegrityError(
            f"{checkpoint.path.name} knows of {numbers.decisions} decisions and the journal has fewer",
            where=str(hands.checkpoints.folder.parent / "journal.jsonl"),
            do="restore the journal from a backup: what the run decided changes what comes next",
        )
    return hands.journal.allow(numbers.row, numbers.step, numbers.decisions)


def _refuse_other_rows(checkpoint: Checkpoint, hands: Hands) -> None:
    """Raise IntegrityError where rows before the checkpoint's were numbered by another rule, so that going on from it
    would read some rows twice and others never.
    """
    numbers, where = read_numbers(checkpoint), str(checkpoint.path)
    if numbers.numbering > NUMBERING:
        raise NewerSchema(
            f"rows are numbered by rule {numbers.numbering} and this version knows rules up to {NUMBERING}",
            where=where,
            do="update gnomon",
        )
    changed = hands.loader.stream.weights_changed(numbers.row) if numbers.numbering < NUMBERING else None
    if changed is not None:
        raise IntegrityError(
            f"the sources' weights changed at row {changed:,}, and the older version of gnomon that made this "
            f"checkpoint, at row {numbers.row:,}, gave other rows from there on: some would come twice, others never",
            where=where,
            do="let the version that began the run finish it, or train anew in another `out` folder",
        )


def _tell(hands: Hands, checkpoint: Checkpoint, damage: list[Damage]) -> None:
    hands.bus.publish(CheckpointDamaged(checkpoint=checkpoint.path.name, why=str(damage[0])))
