"""A run watches its text: sound text raises nothing, and a loader that gives the same rows again is told of."""

from dataclasses import replace
from pathlib import Path

import pytest

import gnomon.assemble
from gnomon.data.streaming.stream import Batch
from gnomon.events.types import StepDone, TextShifted
from tests.world import start


@pytest.mark.parametrize("stuck", [False, True])
def test_a_run_tells_of_rows_that_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: bool) -> None:
    monkeypatch.setattr(gnomon.assemble, "WINDOW_TOKENS", 2048)
    monkeypatch.setattr(gnomon.assemble, "EVERY", 1)
    one = start(tmp_path)
    take, first = one.hands.loader.stream.take, one.hands.loader.stream.take(0)

    def again(row: int) -> Batch:
        batch = take(row)
        return replace(batch, micros=first.micros) if stuck else batch

    monkeypatch.setattr(one.hands.loader.stream, "take", again)
    one.train()
    one.close()
    assert len(one.events(StepDone)) * len(first.row_ids) * 64 > 4 * 2048
    told = one.events(TextShifted)
    assert {event.what for event in told} == ({"repetition"} if stuck else set())
    if stuck:
        assert "had come" in told[0].cause
