"""The one place where weights change: exact, guarded, and free of waiting."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from gnomon.config import OptimizerKind
from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.stream import Batch
from gnomon.events.types import StepDone
from gnomon.model.attention import Segments
from gnomon.train.readback import COLUMNS, Note, Readback
from gnomon.train.state import State
from gnomon.train.step import step
from tests.world import packed_rows, plain_state

OPTIMIZERS: list[OptimizerKind] = ["muon", "adamw"]


def as_batch(*micros: Rows) -> Batch:
    return Batch(
        micros=micros,
        loss_tokens=sum(m.loss_tokens for m in micros),
        first_row=0,
        next_row=8,
        row_ids=tuple(range(8)),
        micro_rows=8,
    )


def taken(state: State, batch: Batch) -> list[StepDone]:
    """Take a step and return its events, all of which say that it was done."""
    events = step(state, batch)
    assert all(isinstance(event, StepDone) for event in events)
    return [event for event in events if isinstance(event, StepDone)]


def snapshot(state: State) -> dict[str, Tensor]:
    tensors = dict(state.model.named_parameters()) | state.optimizer.tensors()
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_accumulated_micro_batches_equal_one_large_batch(optimizer: OptimizerKind) -> None:
    layout = [[40, 24], [64], [10, 50], [30, 33]]
    whole = packed_rows(layout, length=64)
    parts = [
        packed_rows(layout[:1], length=64, of=whole, row=0),
        packed_rows(layout[1:], length=64, of=whole, row=1),
    ]
    results = []
    for batch in (as_batch(whole), as_batch(*parts)):
        state = plain_state(optimizer=optimizer)
        for _ in range(3):
            step(state, batch)
        results.append(snapshot(state))
    for name, tensor in results[0].items():
        assert torch.allclose(tensor, results[1][name], atol=1e-6), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_that_is_not_finite_changes_nothing_and_is_reported(optimizer: OptimizerKind) -> None:
    state = plain_state(log_every=1, optimizer=optimizer)
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    step(state, batch)
    before = snapshot(state)
    with torch.no_grad():
        saved = state.model.norm.weight[3].item()
        state.model.norm.weight[3] = float("nan")
    poisoned = snapshot(state)
    (event,) = taken(state, batch)
    assert (event.verdict, event.bad_in_a_row) == ("not_finite", 1)
    after = snapshot(state)
    assert all(torch.equal(after[n], poisoned[n]) or n == "norm.weight" for n in after)
    with torch.no_grad():
        state.model.norm.weight[3] = saved
    assert all(torch.equal(snapshot(state)[n], before[n]) for n in before)
    (event,) = taken(state, batch)
    assert (event.verdict, event.bad_in_a_row) == ("ok", 0)
    assert not torch.equal(snapshot(state)["norm.weight"], before["norm.weight"])


def test_clipping_inside_the_kernel_equals_clipping_before_it() -> None:
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    state = replace(plain_state(), clip=0.05)
    other = plain_state()
    step(state, batch)
    rows = batch.micros[0]
    hidden = other.model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
    logits = torch.nn.functional.linear(hidden, other.model.head).flatten(0, 1)
    (torch.nn.functional.cross_entropy(logits, rows.labels.flatten())).backward()
    torch.nn.utils.clip_grad_norm_(other.model.parameters(), 0.05)
    other.optimizer.step(other.schedule.rate(0), torch.tensor(1.0), torch.tensor(False))
    for (name, mine), theirs in zip(state.model.named_parameters(), other.model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=2e-6), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_step_between_log_points_waits_for_the_device(optimizer: OptimizerKind) -> None:
    state = plain_state(log_every=4, optimizer=optimizer)
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    with Waits() as waits:
        for _ in range(3):
            assert step(state, batch) == []
        assert waits.count == 0
    events = step(state, batch)
    assert [e.step for e in events if isinstance(e, StepDone)] == [1, 2, 3, 4]


def test_the_count_of_waits_sees_one() -> None:
    with Waits() as waits:
        torch.ones(1).item()
    assert waits.count == 1


class Waits(TorchDispatchMode):
    """Counts the calls that would make a host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)
        return func(*args, **(kwargs or {}))


def test_the_loss_falls_on_a_batch_that_is_seen_again_and_again() -> None:
    state = plain_state(log_every=1)
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    losses = [taken(state, batch)[0].loss for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_equal_states_take_bit_equal_steps() -> None:
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    first, second = plain_state(), plain_state()
    for _ in range(5):
        step(first, batch), step(second, batch)
    assert all(torch.equal(a, b) for a, b in zip(snapshot(first).values(), snapshot(second).values(), strict=True))


def test_every_step_is_told_once_and_in_order() -> None:
    readback = Readback(3, "cpu")
    told = []
    for i in range(1, 9):
        one = torch.ones(())
        readback.write(
            [one * i, *[one] * (COLUMNS - 1)], Note(step=i, lr=0.1, tokens=i * 10, row=0, rows=1, done=i), 10
        )
        told += readback.due()
    told += readback.drain()
    assert [(e.step, e.loss, e.tokens) for e in told] == [(i, float(i), i * 10) for i in range(1, 9)]
    assert readback.drain() == []
