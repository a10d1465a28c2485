"""Requests are carried out in their fixed order, durable before they take effect."""

from pathlib import Path

import pytest
import torch

from gnomon.base import faults
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.events.journal import Journal
from gnomon.events.types import (
    CheckpointSaved,
    DataSkipped,
    GaveUp,
    MicroRowsChanged,
    RollBack,
    RolledBack,
    Save,
    SaveFailed,
    SaveSkipped,
    Shrink,
    SkipData,
    Stop,
)
from gnomon.train.act import act
from gnomon.train.state import State, load_checkpoint
from gnomon.train.step import step
from tests.unit.train.test_step import snapshot
from tests.world import Started, start


def go(started: Started, steps: int) -> None:
    for _ in range(steps):
        step(started.state, started.hands.loader.take(started.state.row))


def assert_equal(state: State, twin: State) -> None:
    ours, theirs = snapshot(state), snapshot(twin)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    assert (state.step, state.row, state.tokens) == (twin.step, twin.row, twin.tokens)


def test_skipping_comes_before_saving_and_a_stop_saves(tmp_path: Path) -> None:
    one = start(tmp_path)
    go(one, 1)
    row = one.state.row
    stop = act([Stop(why="x", reason="interrupted"), SkipData(why="bad rows", rows=5)], one.state, one.hands)
    assert stop is not None
    assert one.hands.loader.take(row).first_row == row + 5
    assert Journal(one.run.journal_path).entries == [{"at_row": row, "skip_rows": 5, "why": "bad rows"}]
    kinds = [type(e) for e in one.seen]
    assert kinds.index(DataSkipped) < kinds.index(CheckpointSaved)
    (saved,) = one.run.checkpoints.all()
    twin = start(tmp_path).state
    load_checkpoint(twin, saved)
    assert_equal(one.state, twin)


@pytest.mark.parametrize("background", [False, True])
def test_a_resumed_state_takes_the_steps_of_the_one_it_was_saved_from(tmp_path: Path, background: bool) -> None:
    one = start(tmp_path, background_saves=background, dropout=0.1)
    go(one, 3)
    act([Save(why="rolling")], one.state, one.hands)
    go(one, 4)  # what is saved is what was there when it was asked for
    while one.hands.saver.busy:
        one.hands.saver.wait()
    twin = start(tmp_path, dropout=0.1)
    load_checkpoint(twin.state, one.run.checkpoints.all()[-1])
    assert twin.state.step == 3
    go(twin, 4)
    assert_equal(one.state, twin.state)
    one.close()


def test_several_saves_at_one_step_are_one_and_a_full_disk_does_not_stop_training(tmp_path: Path) -> None:
    one = start(tmp_path)
    act([Save(why="rolling"), Save(why="best")], one.state, one.hands)
    act([Save(why="rolling")], one.state, one.hands)
    assert [e.reason for e in one.events(CheckpointSaved)] == ["best"]
    go(one, 1)
    faults.arm("checkpoint.file_written=ENOSPC")
    try:
        assert act([Save(why="rolling")], one.state, one.hands) is None
        with pytest.raises(StorageError, match="no space left"):
            act([Stop(why="x", reason="interrupted")], one.state, one.hands)
    finally:
        faults.arm("")
    assert "no space left" in one.events(SaveFailed)[0].why
    assert [c.step for c in one.run.checkpoints.all()] == [0]
    act([Save(why="rolling")], one.state, one.hands)
    assert [c.step for c in one.run.checkpoints.all()] == [0, 1], "once there is room, the same step can be saved"


def test_a_save_that_is_due_while_one_is_in_flight_is_left_out_and_counted(tmp_path: Path) -> None:
    one = start(tmp_path, background_saves=True)
    for _ in range(3):
        act([Save(why="rolling")], one.state, one.hands)
        go(one, 1)
    assert [e.skipped for e in one.events(SaveSkipped)] == [1, 2]
    act([Save(why="best")], one.state, one.hands)
    act([Stop(why="x", reason="interrupted")], one.state, one.hands)
    assert [c.step for c in one.run.checkpoints.all()] == [0, 3], "a best one and a last one wait their turn"
    one.close()


def test_going_back_loads_an_older_checkpoint_and_jumps_the_rows_also_in_a_new_process(tmp_path: Path) -> None:
    one = start(tmp_path)
    for _ in range(3):
        act([Save(why="rolling")], one.state, one.hands)
        go(one, 2)
    act([Save(why="rolling")], one.state, one.hands)
    row = one.state.row // one.state.step * 3  # of the fourth step
    back = RollBack(why="trouble", at_row=row, skip_rows=24, rate_factor=0.5, rate_rows=16)
    assert act([back, Save(why="rolling")], one.state, one.hands) is None
    assert [(e.step, e.from_step) for e in one.events(RolledBack)] == [(2, 6)]
    assert [c.step for c in one.run.checkpoints.all()] == [2], "the branch that was left is gone"
    batch = one.hands.loader.take(row)
    assert (batch.first_row, batch.rate_factor) == (row + 24, 0.5)
    go(one, 4)
    assert one.hands.loader.take(one.state.row).rate_factor == 1.0
    twin = start(tmp_path)
    assert twin.train().reason == "finished"
    go(one, one.plan.steps - one.state.step)
    assert_equal(one.state, twin.state)
    with pytest.raises(StorageError, match="attempt 2 has taken this run over from attempt 1"):
        act([Stop(why="x", reason="interrupted")], one.state, one.hands)


def test_what_goes_back_again_and_again_is_given_up_with_rows_documents_and_tensors(tmp_path: Path) -> None:
    one = start(tmp_path)
    go(one, 4)
    with torch.no_grad():
        one.state.model.norm.weight[0] = float("nan")
    stop = None
    for _ in range(6):
        stop = stop or act(
            [RollBack(why="trouble", at_row=8, skip_rows=8, rate_factor=0.5, rate_rows=8)], one.state, one.hands
        )
        with torch.no_grad():
            one.state.model.norm.weight[0] = float("nan")
    assert stop is not None and stop.reason == "unhealthy"
    (gave_up,) = one.events(GaveUp)
    assert (gave_up.first_row, gave_up.rows) == (8, 8)
    assert gave_up.documents and all(origin.startswith(("stories.jsonl:", "one.txt")) for origin in gave_up.documents)
    assert gave_up.state[0].startswith("norm.weight: 1 of 64 values are not finite")


def test_a_state_that_is_not_finite_is_never_saved(tmp_path: Path) -> None:
    one = start(tmp_path)
    go(one, 1)
    moments = one.state.optimizer.tensors()["exp_avg.norm.weight"]
    moments[3] = float("inf")
    act([Save(why="rolling")], one.state, one.hands)
    assert "exp_avg.norm.weight" in one.events(SaveFailed)[0].why
    with pytest.raises(IntegrityError, match=r"exp_avg\.norm\.weight"):
        act([Stop(why="x", reason="finished")], one.state, one.hands)
    assert one.run.checkpoints.all() == []


def test_memory_that_is_short_halves_the_rows_of_a_pass_until_there_is_one(tmp_path: Path) -> None:
    one = start(tmp_path, micro_rows=4)
    for expected in (2, 1):
        assert act([Shrink(why="x")], one.state, one.hands) is None
        assert one.hands.loader.take(one.state.row).micro_rows == expected
    assert [e.micro_rows for e in one.events(MicroRowsChanged)] == [2, 1]
    stop = act([Shrink(why="x")], one.state, one.hands)
    assert stop is not None and stop.reason == "out_of_memory"
