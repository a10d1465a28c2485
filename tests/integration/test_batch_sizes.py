"""Batches that change their size during a run: the same bits, stopped anywhere, with any number of processes."""

from pathlib import Path
from typing import Any

import pytest

from gnomon.events.types import RequestRefused, RowsChanged, StepDone
from gnomon.train.loop import run as train_loop
from tests.ranks import run_ranks
from tests.stops import in_pieces, stop_at
from tests.unit.train.test_act import assert_equal
from tests.world import Started, asks_for_rows, start

SIZES = [(4, 8), (70, 4), (100, 6), (101, 8)]  # the step that has this row asks for so many rows
OPTIONS = {
    "budget": "9K tokens",
    "batch_tokens": 512,
    "micro_rows": 1,
    "batch_ramp": "noise",
    "ramp_from": 0.5,
    "length_ramp": "fixed",
    "length_from": 16,
    "exact": True,
    "dropout": 0.1,
    "log_every": 3,
    "save_every": 2,
    "validate_every": 4,
}


def pieces(folder: Path, stops: set[int], **options: Any) -> Started:
    """Train to the end, in a new state after each stop, and return the last piece."""

    def begin() -> Started:
        one = start(folder, **{**OPTIONS, **options})
        one.hands.bus.observers.append(asks_for_rows(SIZES, one.config.train.log_every))
        return one

    return in_pieces(begin, stops)[-1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Started:
    return pieces(tmp_path_factory.mktemp("whole"), set())


def test_the_rows_change_where_it_was_asked_and_the_tokens_are_those_of_the_budget(whole: Started) -> None:
    told = whole.events(StepDone)
    sizes = [event.rows for event in told]
    assert (set(sizes), sizes[0], {event.rows_per_step for event in whole.events(RowsChanged)}) == ({4, 8}, 4, {4, 8})
    assert [e.request for e in whole.events(RequestRefused)] == ["batches of 6 rows"], "exact has no tree for them"
    assert whole.plan.steps * 8 <= sum(sizes) < whole.plan.steps * 8 + sizes[-1]
    assert whole.state.row == sum(sizes) and whole.state.step == len(sizes)
    assert told[-1].done == sum(sizes) / 8
    stable = [e for e in told if e.done is not None and whole.plan.warmup_steps <= e.done < 0.6 * whole.plan.steps]
    assert {e.rows: round(e.lr / whole.plan.lr, 12) for e in stable} == {4: round(0.5**0.5, 12), 8: 1.0}
    served = [whole.hands.loader.stream.take(row) for row in (0, whole.state.row)]
    first, last = (max(int(rows.positions.max()) for rows in batch.micros) for batch in served)
    assert first == 15 and last > 31, "pieces have grown from 16 tokens on"


def test_stopped_here_and_there_it_ends_with_the_same_bits(tmp_path: Path, whole: Started) -> None:
    one = pieces(tmp_path, {1, 4, 9, 14, 21}, loader_workers=1)
    assert_equal(one.state, whole.state)
    assert one.state.done == whole.state.done
    measured, before = one.state.noise, whole.state.noise
    assert measured is not None and before is not None
    assert {k: float(v) for k, v in measured.tensors().items()} == {k: float(v) for k, v in before.tensors().items()}


def test_killed_after_it_was_decided_it_comes_to_the_same_bits(tmp_path: Path, whole: Started) -> None:
    one = start(tmp_path, **OPTIONS)
    one.hands.bus.observers.append(asks_for_rows(SIZES, 3))
    train_loop(one.state, [stop_at({20}), *one.checks()], one.hands)
    one.close()
    for checkpoint in one.run.checkpoints.all()[1:]:
        one.run.checkpoints.discard(checkpoint)
    assert len(one.hands.journal.entries) > one.run.checkpoints.all()[0].state()["decisions"]
    assert_equal(pieces(tmp_path, set()).state, whole.state)


def test_saved_by_one_number_of_processes_it_goes_on_with_another(tmp_path: Path) -> None:
    options = {**OPTIONS, "sizes": SIZES}
    (tmp_path / "1").mkdir()
    alone = run_ranks(1, tmp_path / "1", **options)
    assert set(alone["rows"]) == {4, 8}
    for writers, readers in ((2, 4), (4, 1)):
        folder = tmp_path / f"{writers}-{readers}"
        folder.mkdir()
        run_ranks(writers, folder, stop_at=11, **options)
        assert run_ranks(readers, folder, **options)["ended"] == alone["ended"]


def test_a_fixed_ramp_doubles_by_the_plan(tmp_path: Path) -> None:
    one = start(tmp_path, batch_tokens=512, batch_ramp="fixed", ramp_from=0.25, ramp_share=0.4, budget="9K tokens")
    assert one.train().reason == "finished"
    events, rows = one.events(StepDone), one.plan.steps * 8
    for event in events:
        place = event.row / rows
        assert event.rows == (2 if place < 0.2 - 1e-9 else 4 if place < 0.4 - 1e-9 else 8)
    assert rows <= sum(e.rows for e in events) < rows + 8


def test_windows_that_overlap_train_each_token_once_an_epoch_and_a_kill_changes_no_bit(tmp_path: Path) -> None:
    options = {"length_ramp": "none", "stride": 24, "budget": "5K tokens"}
    whole, stopped = pieces(tmp_path / "whole", set(), **options), pieces(tmp_path / "again", {3, 6}, **options)
    assert_equal(stopped.state, whole.state)
    stream = whole.hands.loader.stream
    assert stream.shares(stream.rows_per_epoch)[0].epochs == 1
    assert whole.state.tokens == stream.shares(whole.state.row)[0].tokens
