"""A step that does not fit into memory is taken in smaller passes: the same batch, the same loss, resumed too."""

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.data.streaming.rows import halves
from gnomon.evaluate.loss import score
from gnomon.events.types import GaveUp, MicroRowsChanged, StepDone
from gnomon.model.lm import LanguageModel, Output
from gnomon.train.step import is_memory_error
from tests.unit.train.test_act import assert_equal
from tests.world import Started, noisy_model, packed_rows, start

FITS = 2  # rows of a pass, as injected


def memory_for(rows: int, monkeypatch: pytest.MonkeyPatch, error: BaseException, from_step: list[int]) -> None:
    """Make the model fail, as a device does, at passes of more rows."""
    forward = LanguageModel.forward

    def failing(self: LanguageModel, tokens: torch.Tensor, *rest: Any, **named: Any) -> Output:
        if len(tokens) > rows and self.training and from_step[0] <= 0:
            raise error
        from_step[0] -= self.training
        return forward(self, tokens, *rest, **named)

    monkeypatch.setattr(LanguageModel, "forward", failing)


def losses(one: Started) -> list[float]:
    return [e.loss for e in one.events(StepDone)]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "python"],
)
def test_a_step_that_does_not_fit_is_taken_in_smaller_passes_with_the_same_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    whole, one = start(tmp_path / "whole", micro_rows=8), start(tmp_path / "one", micro_rows=8)
    assert whole.train().reason == "finished"
    memory_for(FITS, monkeypatch, error, [10])
    assert one.train().reason == "finished"
    assert [e.micro_rows for e in one.events(MicroRowsChanged)] == [4, 2]
    off = max(abs(a / b - 1) for a, b in zip(losses(one), losses(whole), strict=True))
    print(f"largest relative difference of a loss: {off:.1e}")
    assert losses(one)[:10] == losses(whole)[:10]
    assert max(abs(a - b) for a, b in zip(losses(one)[:13], losses(whole)[:13], strict=True)) <= 1e-6
    assert off < 1e-3, "later, differences of rounding grow as those of any other order of sums do"


def test_held_out_text_that_does_not_fit_is_read_in_halves_with_the_same_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = [[20, 12], [5, 7, 11], [32], [1, 1, 30], [9, 9]]
    model, rows = noisy_model().eval(), packed_rows(layout, length=32)
    for half, part in zip(halves(rows), (slice(0, 2), slice(2, 5)), strict=True):
        assert torch.equal(half.labels, rows.labels[part]) and torch.equal(half.segments, rows.segments[part])
    whole = score(model, [rows], bytes_per_token=1.0)
    forward, passes = LanguageModel.forward, list[int]()

    def failing(self: LanguageModel, tokens: torch.Tensor, *rest: Any, **named: Any) -> Output:
        passes.append(len(tokens))
        if len(tokens) > 1:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(self, tokens, *rest, **named)

    monkeypatch.setattr(LanguageModel, "forward", failing)
    found = score(model, [rows], bytes_per_token=1.0)
    assert passes == [5, 2, 1, 1, 3, 1, 2, 1, 1] and found.tokens == whole.tokens
    assert found.loss == pytest.approx(whole.loss, abs=1e-6)
    monkeypatch.setattr(LanguageModel, "forward", lambda *_, **__: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        score(model, [rows], bytes_per_token=1.0)


def test_a_resumed_run_takes_the_smaller_passes_from_the_same_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(tmp_path, micro_rows=8, save_every=7)
    with monkeypatch.context() as patched:
        memory_for(FITS, patched, MemoryError(), [10])
        assert one.train().reason == "finished"
    for checkpoint in one.run.checkpoints.all()[1:]:
        one.run.checkpoints.discard(checkpoint)
    assert one.run.checkpoints.all()[0].step > 10
    again = start(tmp_path, micro_rows=8, save_every=7)
    assert again.train().reason == "finished", "with memory enough, and the journal"
    assert_equal(again.state, one.state)


def test_where_not_even_a_row_fits_the_run_stops_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = start(tmp_path, micro_rows=8)
    memory_for(0, monkeypatch, MemoryError(), [5])
    stop = one.train()
    assert stop.reason == "out_of_memory"
    assert one.events(GaveUp)[0].why == "not even one row fits into memory"
    assert [c.step for c in one.run.checkpoints.all()][-1] == one.state.step, "what was reached is saved"


def test_an_error_that_is_not_about_memory_is_not_taken_for_one() -> None:
    assert not is_memory_error(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


REAL = """
import resource, sys
from pathlib import Path
import torch
from gnomon.events.types import MicroRowsChanged, StepDone
from tests.world import start
one = start(Path(sys.argv[1]), micro_rows=256, batch_tokens=256 * 64, budget="100K tokens")
torch.ones(1 << 20).sum()
with open("/proc/self/statm") as f:
    used = int(f.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[2]) << 20), resource.RLIM_INFINITY))
stop = one.train()
print(stop.reason, [e.micro_rows for e in one.events(MicroRowsChanged)], [e.verdict for e in one.events(StepDone)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on a process's memory is Linux's")
@pytest.mark.parametrize("mib", [40, 90, 140])
def test_a_process_that_really_gets_no_more_memory_goes_on_with_fewer_rows_and_saves(tmp_path: Path, mib: int) -> None:
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", REAL, str(tmp_path), str(mib)], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    reason, _, _ = done.stdout.strip().splitlines()[-1].partition(" ")
    assert reason == "finished"
    assert "[128" in done.stdout and "ok" in done.stdout, done.stdout
