"""Requests are carried out in their fixed order, durable before they take effect."""

from pathlib import Path

import torch

from gnomon.base import faults
from gnomon.events.bus import Bus
from gnomon.events.journal import Journal
from gnomon.events.types import CheckpointSaved, DataSkipped, Event, Save, SaveFailed, SkipData, Stop
from gnomon.store.checkpoints import CheckpointStore
from gnomon.train.act import Hands, act
from gnomon.train.state import State, from_files
from gnomon.train.step import step
from tests.unit.train.test_step import as_batch, snapshot
from tests.world import packed_rows, plain_state


def hands(folder: Path, seen: list[Event]) -> Hands:
    return Hands(
        Bus([seen.append], [], 1), Journal(folder / "journal.jsonl"), CheckpointStore(folder / "c"), keep_last=2
    )


def assert_equal(state: State, twin: State) -> None:
    ours, theirs = snapshot(state), snapshot(twin)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_skipping_comes_before_saving_and_a_stop_saves(tmp_path: Path) -> None:
    seen: list[Event] = []
    state, able = plain_state(), hands(tmp_path, seen)
    step(state, as_batch(packed_rows([[40, 24], [64]], length=64)))
    stop = act([Stop(why="x", reason="interrupted"), SkipData(why="bad rows", rows=5)], state, able)
    assert stop is not None
    assert state.row == 8 + 5
    assert Journal(tmp_path / "journal.jsonl").entries == [{"at_row": 8, "skip_rows": 5, "why": "bad rows"}]
    kinds = [type(e) for e in seen]
    assert kinds.index(DataSkipped) < kinds.index(CheckpointSaved)
    (saved,) = able.checkpoints.all()
    twin = plain_state(seed=0)
    from_files(twin, saved.read(), where="x")
    assert (twin.step, twin.row, twin.tokens) == (1, 13, state.tokens)
    assert_equal(state, twin)


def test_a_resumed_state_takes_the_steps_of_the_one_it_was_saved_from(tmp_path: Path) -> None:
    state, able = plain_state(), hands(tmp_path, [])
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    for _ in range(3):
        step(state, batch)
    act([Save(why="rolling")], state, able)
    twin = plain_state(seed=0)
    from_files(twin, able.checkpoints.all()[-1].read(), where="x")
    for _ in range(4):
        step(state, batch)
        step(twin, batch)
    assert_equal(state, twin)


def test_several_saves_at_one_step_are_one_and_a_full_disk_does_not_stop_training(tmp_path: Path) -> None:
    seen: list[Event] = []
    state, able = plain_state(), hands(tmp_path, seen)
    act([Save(why="rolling"), Save(why="best")], state, able)
    act([Save(why="rolling")], state, able)
    assert [e.reason for e in seen if isinstance(e, CheckpointSaved)] == ["best"]
    step(state, as_batch(packed_rows([[64]], length=64)))
    faults.arm("checkpoint.file_written=ENOSPC")
    try:
        assert act([Save(why="rolling")], state, able) is None
    finally:
        faults.arm("")
    assert "no space left" in next(e.why for e in seen if isinstance(e, SaveFailed))
    assert [c.step for c in able.checkpoints.all()] == [0]
