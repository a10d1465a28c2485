"""The gradient noise scale: unbiased where it is known, and measured without changing a step."""

from dataclasses import replace

import pytest
import torch

from gnomon.events.types import StepDone
from gnomon.train.noise import FEWEST, MEMORY, Noise
from gnomon.train.readback import Readback
from gnomon.train.state import State
from gnomon.train.step import step
from tests.unit.train.test_step import Waits, as_batch, snapshot
from tests.world import packed_rows, plain_state

LAYOUT = [[40, 24], [64], [10, 50], [30, 33]]  # the third row is not full


def two_passes() -> tuple[State, State]:
    plain = plain_state(optimizer="adamw")
    return plain, replace(plain_state(optimizer="adamw"), noise=Noise("cpu"), readback=Readback(3, "cpu", noise=True))


def batch_of_two():
    whole = packed_rows(LAYOUT, length=64)
    parts = packed_rows(LAYOUT[:1], length=64, of=whole), packed_rows(LAYOUT[1:], length=64, of=whole, row=1)
    sizes = [part.loss_tokens for part in parts]
    return replace(as_batch(*parts), evenness=sum(size**2 for size in sizes) / sum(sizes) ** 2)


@pytest.mark.parametrize("passes", [[4, 4], [1, 7, 2, 6], [16] * 8], ids=str)
def test_on_linear_regression_the_estimates_are_unbiased(passes: list[int]) -> None:
    """One step of y = w·x + e with x ~ N(0, I): the gradient's mean is d = w - w*, tr Σ = (dim + 1)|d|² + dim·σ²."""
    dim, sigma, steps, draw = 24, 0.7, 1500, torch.Generator().manual_seed(sum(passes))
    delta = torch.randn(dim, generator=draw, dtype=torch.float64) * 0.3
    signal = float(delta.square().sum())
    trace = (dim + 1) * signal + dim * sigma**2
    tokens, found = sum(passes), torch.zeros(2, steps, dtype=torch.float64)
    evenness = sum(size**2 for size in passes) / tokens**2
    for i in range(steps):
        x = torch.randn(tokens, dim, generator=draw, dtype=torch.float64)
        error = x @ delta - sigma * torch.randn(tokens, generator=draw, dtype=torch.float64)
        shares = [part.sum(0) / tokens for part in (x * error[:, None]).split(passes)]
        squares, norm = torch.stack(shares).square().sum(), torch.stack(shares).sum(0).norm()
        noise = Noise("cpu")
        noise.measure(squares, norm, torch.tensor(True), tokens=tokens, evenness=evenness)
        found[:, i] = torch.stack([noise.tensors()["signal"], noise.tensors()["noise"]]) / (1 - MEMORY)
    for name, got, true in (("|G|²", found[0], signal), ("tr(Σ)", found[1], trace)):
        off, error = float(got.mean()) - true, float(got.std()) / steps**0.5
        print(f"{name}: {off / true:+.2%} off, standard error {error / true:.2%}")
        assert abs(off) < 4 * error and error < 0.1 * true


def test_what_is_measured_are_the_norms_of_the_passes_and_of_their_sum() -> None:
    _, state = two_passes()
    batch, shares = batch_of_two(), []
    for rows in batch.micros:
        alone, other = as_batch(rows), replace(plain_state(optimizer="adamw"), clip=1e9, readback=Readback(1, "cpu"))
        (event,) = step(other, alone)
        assert isinstance(event, StepDone)
        shares.append(event.grad_norm * rows.loss_tokens / batch.loss_tokens)
    (whole,) = step(replace(plain_state(optimizer="adamw"), readback=Readback(1, "cpu")), batch)
    assert isinstance(whole, StepDone)
    step(state, batch)
    a, b, q = sum(share**2 for share in shares), whole.grad_norm**2, batch.evenness
    assert state.noise is not None
    t = {name: float(tensor) / (1 - MEMORY) for name, tensor in state.noise.tensors().items()}
    assert t["signal"] == pytest.approx((b - a) / (1 - q), rel=1e-4)
    assert t["noise"] == pytest.approx(batch.loss_tokens * (a - q * b) / (1 - q), rel=1e-4)


def test_measuring_changes_no_bit_and_waits_for_nothing() -> None:
    plain, measured = two_passes()
    batch = batch_of_two()
    with Waits() as waits:
        for _ in range(2):
            step(plain, batch), step(measured, batch)
    assert waits.count == 0
    assert all(torch.equal(tensor, snapshot(measured)[name]) for name, tensor in snapshot(plain).items())


def test_it_is_told_after_enough_steps_and_refused_ones_and_single_passes_do_not_count() -> None:
    noise, one = Noise("cpu"), torch.tensor(1.0)

    def measure(squares: float, *, ok: bool = True, evenness: float = 0.5) -> float:
        told = noise.measure(torch.tensor(squares), one, torch.tensor(ok), tokens=100, evenness=evenness)
        return float(told)

    for _ in range(FEWEST - 1):
        assert measure(0.6) != measure(0.6, ok=False), "not a number"
        measure(float("nan"), ok=False)
        measure(0.9, evenness=1.0)
    assert measure(0.6) == pytest.approx(100 * (0.6 - 0.5) / (1 - 0.6))
    assert [measure(2.0) for _ in range(300)][-1] == float("inf"), "no signal is found"
