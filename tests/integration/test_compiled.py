"""Compiled kernels compute what the plain ones do, the same bits every time, and a run that has them needs them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters
from torch._inductor import config as inductor

from gnomon import measure
from gnomon.base.errors import ConfigError, DependencyError
from gnomon.config import Dtype
from gnomon.events.types import MicroRowsChanged, StepDone
from gnomon.measure import Speed, choose_compile, measure_speed
from gnomon.model import blocked
from gnomon.pace import Pace, Work
from gnomon.plan import MIN_ROWS
from gnomon.presets import Shape
from gnomon.train import kernels
from gnomon.train.kernels import compile_errors, compile_kernels, no_compiler
from gnomon.train.state import State
from gnomon.train.step import is_memory_error, step
from tests.faults.test_memory import memory_for
from tests.unit.train.test_act import assert_equal
from tests.unit.train.test_step import as_batch, snapshot, taken
from tests.world import EACH_BLOCK, TINY, packed_rows, plain_state, start

needs_compiler = pytest.mark.skipif(no_compiler() is not None, reason=str(no_compiler()))
LAYOUT = [[31, 5, 28], [64], [1, 2, 3, 40, 10], [17]]


@pytest.fixture(autouse=True)
def _several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocked, "BLOCK", 24)  # does not divide the rows' 64


def fast_state(dtype: Dtype = "fp32", shape: Shape = TINY) -> State:
    state = plain_state(log_every=1, dtype=dtype, shape=shape)
    state.model.kernels = compile_kernels()
    return state


@pytest.fixture
def restored_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@needs_compiler
@pytest.mark.parametrize(("dtype", "tolerance"), [("fp32", 1e-5), ("bf16", 2e-2)])
@pytest.mark.parametrize("shape", EACH_BLOCK, ids=lambda shape: shape.block)
def test_compiled_steps_have_the_loss_and_the_gradient_norm_of_plain_ones(
    shape: Shape, dtype: Dtype, tolerance: float
) -> None:
    batch = as_batch(packed_rows(LAYOUT, length=64))
    fast, plain = fast_state(dtype, shape), plain_state(log_every=1, dtype=dtype, shape=shape)
    for _ in range(5):
        (ours,), (theirs,) = taken(fast, batch), taken(plain, batch)
        assert ours.loss == pytest.approx(theirs.loss, rel=tolerance)
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=5 * tolerance)
    assert len(fast.model.layers) > 1


@needs_compiler
def test_one_compiled_layer_serves_all_and_every_way_of_packing() -> None:
    torch._dynamo.reset()
    counters.clear()
    state = fast_state()
    step(state, as_batch(packed_rows(LAYOUT, length=64)))
    assert counters["stats"]["unique_graphs"] == 2, "a layer, and the loss"
    for layout in ([[64]] * 4, [[32, 32]] * 4, [[10, 54], [64], [20, 20, 20], [3]]):
        step(state, as_batch(packed_rows(layout, length=64)))
    assert counters["stats"]["unique_graphs"] == 2


@needs_compiler
def test_the_same_compiled_steps_give_the_same_bits_with_two_threads(restored_threads: None) -> None:
    ends = []
    torch.set_num_threads(2)
    for _ in range(3):
        torch._dynamo.reset()
        state = fast_state("bf16")
        for _ in range(4):
            step(state, as_batch(packed_rows(LAYOUT, length=64)))
        ends.append(snapshot(state))
    assert all(torch.equal(end[name], ends[0][name]) for end in ends for name in end)


@needs_compiler
def test_a_compiled_run_that_was_stopped_ends_with_the_same_bits(tmp_path: Path) -> None:
    options: dict[str, Any] = {"compile": True, "dtype": "auto", "dropout": 0.1, "save_every": 7}
    whole, cut = start(tmp_path / "whole", **options), start(tmp_path / "cut", **options)
    assert whole.plan.compile and whole.state.model.kernels is not None
    assert whole.train().reason == "finished"
    losses = [e.loss for e in whole.events(StepDone)]
    assert cut.train().reason == "finished"
    for checkpoint in cut.run.checkpoints.all()[1:]:
        cut.run.checkpoints.discard(checkpoint)
    torch._dynamo.reset()
    again = start(tmp_path / "cut", **options)
    assert again.train().reason == "finished"
    assert_equal(again.state, whole.state)
    told = [e.loss for e in again.events(StepDone)]
    assert 0 < len(told) < len(losses)
    assert told == losses[-len(told) :]


def test_a_compiled_run_does_not_go_on_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "no_compiler", lambda: "there is no C++ compiler")
    with pytest.raises(DependencyError, match="no C") as caught:
        start(tmp_path, compile=True)
    assert "install" in str(caught.value)


@pytest.fixture
def failing_compiler() -> Iterator[None]:
    with inductor.patch({"cpp.cxx": (None, "/bin/false")}):  # what CXX says when torch is loaded
        yield


@needs_compiler
def test_a_compiler_that_fails_costs_the_speed_or_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing_compiler: None
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cold"))
    torch._dynamo.reset()
    one = start(tmp_path / "run")
    draft = one.plan.model_copy(update={"seconds": 1e4})
    auto = one.config.train.model_copy(update={"compile": "auto"})
    slow, shape = Pace(1e4, "a test", 3e4), one.state.model.shape
    chosen, why, _ = choose_compile(one.config.model_copy(update={"train": auto}), draft, slow, shape)
    assert not chosen and "compiling failed here" in why
    asked = one.config.model_copy(update={"train": auto.model_copy(update={"compile": True})})
    with pytest.raises(ConfigError, match="compiling failed"):
        choose_compile(asked, draft, slow, shape)
    one.state.model.kernels = compile_kernels()
    with pytest.raises(DependencyError, match="could not be compiled"), compile_errors():
        one.train()


@needs_compiler
def test_a_short_run_is_not_compiled_and_a_long_one_is_where_it_was_measured_to_pay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "kernels"))
    one = start(tmp_path / "run")
    shape, gain = one.state.model.shape, 1.0

    def measured(*_: object, compiled: bool = False, **__: object) -> Speed:
        rate = gain * 1e4 if compiled else 1e4
        return Speed(Pace(rate, "a test", rate), 1e3 / rate, 20.0, 6.0, 1.0)

    monkeypatch.setattr(measure, "measure_speed", measured)
    # once kernels are known, 60 seconds are long enough
    tries = ((60.0, 2.0, False), (600.0, 2.0, True), (600.0, 1.05, False), (60.0, 2.0, True), (20.0, 2.0, False))
    for seconds, gain, expected in tries:  # noqa: B007
        draft = one.plan.model_copy(update={"seconds": seconds})
        chosen, why, pace = choose_compile(one.config, draft, Pace(1e4, "a test", 3e4), shape)
        assert chosen is expected, why
        assert pace.tokens_per_second == (2e4 if expected else 1e4)


def test_speed_is_measured_however_often_the_run_logs_and_short_memory_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(tmp_path, log_every=1)
    shape = one.state.model.shape
    speed = measure_speed(one.config, shape, "cpu", "fp32", seconds=0.1)
    work = Work(learnt=MIN_ROWS * shape.context, updates=1, read=0, drawn=0)
    assert speed.pace.training_seconds(work) == pytest.approx(speed.step_seconds) and speed.grad_norm > 0
    read = measure_speed(one.config, shape, "cpu", "fp32", text=one.dataset.split("train"), seconds=0.1)
    assert read.loss != speed.loss
    memory_for(0, monkeypatch, MemoryError("none left"), [0])
    with pytest.raises(MemoryError, match="none left"):
        measure_speed(one.config, shape, "cpu", "fp32")


@needs_compiler
def test_a_compiled_step_that_does_not_fit_is_taken_in_smaller_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = start(tmp_path, micro_rows=8, compile=True)
    memory_for(2, monkeypatch, MemoryError(), [10])
    assert one.train().reason == "finished"
    assert [e.micro_rows for e in one.events(MicroRowsChanged)] == [4, 2]


def test_what_a_compiler_says_of_short_memory_is_taken_for_it() -> None:
    assert is_memory_error(RuntimeError("InductorError: OSError: [Errno 12] Cannot allocate memory"))
