"""Muon: what it makes of a matrix, and that a step that is skipped leaves no trace."""

import pytest
import torch
from torch import Tensor

from gnomon.footprint import MUON_TOGETHER
from gnomon.train.muon import MOST_TOGETHER, USUAL_SIZE, Muon, orthogonalised


def matrix(rows: int, columns: int, seed: int, *, lowest: float = 1e-2) -> Tensor:
    """Return a matrix whose singular values lie between `lowest` and 1, evenly in their logarithm."""
    draw = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, rows, generator=draw, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, rows, generator=draw, dtype=torch.float64))
    values = torch.logspace(torch.tensor(lowest).log10().item(), 0, rows, dtype=torch.float64)
    return (left @ torch.diag(values) @ right.mT).float()


@pytest.mark.parametrize(("dtype", "off"), [(torch.float32, 0.13), (torch.bfloat16, 0.16)])
def test_singular_values_become_one_and_singular_vectors_stay(dtype: torch.dtype, off: float) -> None:
    batch = torch.stack([matrix(48, 96, seed) for seed in range(4)])
    found = orthogonalised(batch.to(dtype)).double()
    for given, turned in zip(batch.double(), found, strict=True):
        left, _, right = torch.linalg.svd(given, full_matrices=False)
        inside = left.mT @ turned @ right.mT  # diagonal, where the singular vectors are the same
        assert (inside.diagonal() - 1).abs().max() < off
        assert (inside - torch.diag(inside.diagonal())).abs().max() < (1e-3 if dtype == torch.float32 else 0.08)


def stepped(parameters: list[Tensor], gradients: list[Tensor], *, scale: float = 1.0, steps: int = 2) -> list[Tensor]:
    """Return the parameters after some steps with the same gradients, all of them in one Muon."""
    own = [p.clone() for p in parameters]
    muon = Muon(own, momentum=0.95, weight_decay=0.1, dtype=torch.float32)
    for _ in range(steps):
        for parameter, gradient in zip(own, gradients, strict=True):
            parameter.grad = gradient * scale
        muon.step(0.01, torch.tensor(scale), torch.tensor(False))
    return own


def test_a_matrix_is_stepped_the_same_whatever_others_there_are_and_however_the_loss_was_scaled() -> None:
    shapes = [(32, 64), (64, 32), (32, 64), (64, 64), (64, 32)]
    parameters = [matrix(min(s), max(s), i).reshape(s) for i, s in enumerate(shapes)]
    gradients = [torch.randn(s, generator=torch.Generator().manual_seed(9 + i)) for i, s in enumerate(shapes)]
    together = stepped(parameters, gradients, scale=1024.0)
    for i, found in enumerate(together):
        (alone,) = stepped(parameters[i : i + 1], gradients[i : i + 1])
        assert torch.allclose(found, alone, atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_a_step_has_the_size_of_an_adamw_step_and_points_down(shape: tuple[int, int]) -> None:
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    before = torch.zeros(shape)
    (after,) = stepped([before], [gradient], steps=1)
    assert after.square().mean().sqrt().item() == pytest.approx(0.01 * USUAL_SIZE, rel=1e-4)
    assert (after * gradient).sum() < 0
    rows = after.square().mean(dim=1).sqrt()
    assert rows.max() / rows.min() < 1.001  # no neuron learns faster than another


def test_its_direction_is_that_of_the_polar_factor_of_the_momentum() -> None:
    gradients = [torch.randn(40, 80, generator=torch.Generator().manual_seed(i), dtype=torch.float64) for i in range(6)]
    parameter = torch.zeros(40, 80)
    muon = Muon([parameter], momentum=0.9, weight_decay=0.0, dtype=torch.float32)
    momentum, before = torch.zeros(40, 80, dtype=torch.float64), parameter.clone()
    for gradient in gradients:
        before = parameter.clone()
        parameter.grad = gradient.float()
        muon.step(1.0, torch.tensor(1.0), torch.tensor(False))
        momentum = 0.9 * momentum + 0.1 * gradient
    left, _, right = torch.linalg.svd(0.9 * momentum + 0.1 * gradients[-1], full_matrices=False)
    moved = (before - parameter).double()
    assert torch.nn.functional.cosine_similarity(moved.flatten(), (left @ right).flatten(), dim=0) > 0.99


@pytest.mark.parametrize("poison", [0.0, float("nan"), float("inf")])
def test_a_skipped_step_changes_nothing(poison: float) -> None:
    parameter = matrix(16, 32, 3)
    parameter[0, 0] = -0.0
    muon = Muon([parameter], momentum=0.95, weight_decay=0.1, dtype=torch.bfloat16)
    for skip in (False, True):
        parameter.grad = torch.full((16, 32), 0.5)
        parameter.grad[3, 4] += poison if skip else 0.0
        before = {n: t.clone() for n, t in (muon.states[parameter] | {"weight": parameter}).items()}
        muon.step(0.01, torch.tensor(1.0), torch.tensor(skip))
        after = muon.states[parameter] | {"weight": parameter}
        same = [torch.equal(before[n].view(torch.int32), after[n].view(torch.int32)) for n in before]
        assert all(same) if skip else not any(same)


def test_what_is_found_together_is_what_the_plan_has_memory_for() -> None:
    many = [torch.zeros(512, 512, device="meta") for _ in range(9)]
    muon = Muon(many, momentum=0.95, weight_decay=0.1, dtype=torch.bfloat16)
    assert [len(group) for group in muon.groups] == [4, 4, 1]
    assert MUON_TOGETHER == MOST_TOGETHER
