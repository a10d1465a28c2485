"""The same bits: resumed anywhere, watched or not, saved or not, with any number of loader threads and processes."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.events.types import StepDone
from tests.ranks import run_ranks
from tests.stops import in_pieces
from tests.unit.train.test_act import assert_equal
from tests.world import Started, start

WATCHED = {"dropout": 0.2, "micro_rows": 2, "save_every": 3, "validate_every": 4, "log_every": 3}


def pieces(folder: Path, stops: set[int], **options: Any) -> Started:
    """Train to the end, in a new state after each stop, and return the last piece."""
    return in_pieces(lambda: start(folder, **{**WATCHED, **options}), stops)[-1]


def losses(one: Started) -> dict[int, float]:
    return {e.step: e.loss for e in one.events(StepDone)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Started:
    return pieces(tmp_path_factory.mktemp("whole"), set())


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_stopped_at_every_other_step_a_run_ends_with_the_same_bits(
    tmp_path: Path, workers: int, whole: Started
) -> None:
    every = set(range(1, whole.plan.steps, 2)) if workers == 0 else {2, 3, 11, 19, 30}
    one = pieces(tmp_path, every, loader_workers=workers, background_saves=workers == 2)
    assert_equal(one.state, whole.state)
    assert losses(one).items() <= losses(whole).items()


@pytest.mark.parametrize("options", [{"save_every": 1000}, {"validate_every": 1000}, {"log_every": 1}], ids=str)
def test_watching_and_saving_change_nothing(tmp_path: Path, options: dict[str, Any], whole: Started) -> None:
    assert_equal(pieces(tmp_path, set(), **options).state, whole.state)


def test_dropout_is_there_and_differs_from_step_to_step(tmp_path: Path, whole: Started) -> None:
    one = pieces(tmp_path, set(), dropout=0.0)
    assert not torch.equal(one.state.model.norm.weight, whole.state.model.norm.weight)


def test_saved_by_1_2_or_4_processes_a_run_goes_on_with_1_2_or_4(tmp_path: Path) -> None:
    options = {**WATCHED, "exact": True, "budget": "9K tokens"}
    saved, ends = {}, {}
    for writers in (1, 2, 4):
        folder = tmp_path / f"saved-by-{writers}"
        folder.mkdir()
        saved[writers] = run_ranks(writers, folder, stop_at=9, **options)
        assert (saved[writers]["reason"], saved[writers]["step"]) == ("interrupted", 9)
    for writers in (1, 2, 4):
        for readers in (1, 2, 4):
            folder = tmp_path / f"{writers}-{readers}"
            shutil.copytree(tmp_path / f"saved-by-{writers}", folder)
            went_on = run_ranks(readers, folder, **options)
            assert went_on["loaded"] == saved[writers]["ended"], "what is read is what was written"
            ends[writers, readers] = went_on["ended"]
    print(f"{len(ends)} ways to save and load, {len(set(ends.values()))} different ends")
    assert len(set(ends.values())) == 1
