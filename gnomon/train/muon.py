"""Muon: the momentum of every matrix, orthogonalised, so that no direction of a step is larger than another.

Matrices of one shape are taken together. Where every process holds some rows of each, a matrix is whole in one of them
only while it is orthogonalised. Sources: Jordan et al. 2024, Muon. The polynomials: Amsel et al. 2025, The
Polar Express, arXiv 2505.16932. The size of a step, such that one learning rate serves here and in AdamW: Liu et al.
2025, Muon is Scalable for LLM Training, arXiv 2502.16982. The scale of each row: Li et al. 2025, NorMuon, arXiv
2510.05491.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gnomon.train.parallel import ALONE, World, rows_of

MARGIN = 1.01  # by which rounding may carry a singular value above 1
POLYNOMIALS = (
    (8.28721201814563, -23.595886519098837, 17.300387312530933),
    (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
    (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    (3.3184196573706015, -2.488488024314874, 0.51004894012372),
    (2.300652019954817, -1.6689039845747493, 0.4188073119525673),
)
"""Of s, s³ and s⁵; one after the other they bring every singular value between 0.001 and 1 to within 0.13 of 1."""

USUAL_SIZE = 0.2  # root mean square of an AdamW step at a learning rate of 1
ROW_MEMORY = 0.95
SMALLEST = 1e-7
MOST_TOGETHER = 1 << 20  # weights whose step is found at once: enough for speed, little enough for memory


@dataclass(frozen=True)
class _Alike:
    """Parameters of one shape, and what is remembered of them, stacked."""

    parameters: list[Tensor]
    rows: int  # of a whole one
    momentum_NRC: Tensor
    row_square_NR1: Tensor  # mean square of every row of the steps before


class Muon:
    """Muon over matrices [rows, columns]. Its state exists from the start; nothing here waits for the device.

    With a `world` of several, parameters are this process's rows (`rows_of`) of matrices that have so many `rows`.
    `states` holds the live state of every parameter, by name.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype,
        rows: Sequence[int] | None = None,
        world: World = ALONE,
    ) -> None:
        self._momentum, self._weight_decay, self._dtype = momentum, weight_decay, dtype
        self._world = world
        matrices = list(parameters)
        self._groups = list(_alike(matrices, rows or [len(matrix) for matrix in matrices], world.size))
        self.states = {
            parameter: {"momentum": momentum, "row_square": row_square}
            for g in self._groups
            for parameter, momentum, row_square in zip(g.parameters, g.momentum_NRC, g.row_square_NR1, strict=True)
        }

    @property
    def groups(self) -> list[list[Tensor]]:
        """The parameters whose step is found together. Whole groups in another Muon are the same groups there."""
        return [group.parameters for group in self._groups]

    @torch.no_grad()
    def step(self, lr: float, grad_scale: Tensor, skip: Tensor) -> None:
        """Take a step with the gradients divided by `grad_scale`; where `skip` is true nothing changes, bit for bit."""
        for group in self._groups:
            gradients = [p.grad for p in group.parameters if p.grad is not None]
            momentum = torch.lerp(torch.stack(gradients) / grad_scale, group.momentum_NRC, self._momentum)
            ahead = torch.stack(gradients).div_(grad_scale).lerp_(momentum, self._momentum)
            turned = _orthogonal_by_rows(ahead.to(self._dtype), group.rows, self._world).float()
            step, row_square = _evened(turned, group, self._world)
            weights = torch.stack(group.parameters)
            new = torch.where(skip, weights, weights * (1 - lr * self._weight_decay) - lr * step)
            group.momentum_NRC.copy_(torch.where(skip, group.momentum_NRC, momentum))
            group.row_square_NR1.copy_(torch.where(skip, group.row_square_NR1, row_square))
            torch._foreach_copy_(group.parameters, list(new))  # pyright: ignore[reportPrivateImportUsage]


def _alike(parameters: Sequence[Tensor], whole_rows: Sequence[int], processes: int) -> Iterator[_Alike]:
    by_shape: dict[tuple[int, int], list[Tensor]] = {}
    for parameter, rows in zip(parameters, whole_rows, strict=True):
        by_shape.setdefault((rows, parameter.shape[1]), []).append(parameter)
    for (rows, columns), members in by_shape.items():
        together = max(1, MOST_TOGETHER // (rows * columns)) * processes
        for some in (members[i : i + together] for i in range(0, len(members), together)):
            zeros = torch.zeros(len(some), *some[0].shape, dtype=torch.float32, device=some[0].device)
            yield _Alike(some, rows, zeros, torch.zeros_like(zeros[..., :1]))


def _orthogonal_by_rows(x_NRC: Tensor, rows: int, world: World) -> Tensor:
    """Return this process's rows of the matrices, orthogonalised, from its rows of them as they are.

    Each process puts its share of the matrices together, orthogonalises them, and gives the rows back.
    """
    if world.size == 1:
        return _orthogonal(x_NRC)
    held, _, columns = x_NRC.shape
    turns = [(held * rank // world.size, held * (rank + 1) // world.size) for rank in range(world.size)]
    cuts = [rows_of(rows, rank, world.size) for rank in range(world.size)]
    (first, last), (top, bottom) = turns[world.rank], cuts[world.rank]
    got = world.exchange([x_NRC[a:b] for a, b in turns], [(last - first, b - a, columns) for a, b in cuts])
    whole = torch.cat(got, dim=1)
    turned = _orthogonal(whole) if last > first else whole
    return torch.cat(
        world.exchange([turned[:, a:b] for a, b in cuts], [(b - a, bottom - top, columns) for a, b in turns])
    )


def _evened(step_NRC: Tensor, group: _Alike, world: World) -> tuple[Tensor, Tensor]:
    """Return the step with rows of the same usual size, all of it of the size of AdamW's, and what rows' was."""
    row_square = step_NRC.square().mean(dim=2, keepdim=True).lerp_(group.row_square_NR1, ROW_MEMORY)
    step = step_NRC / (row_square.sqrt() + SMALLEST)
    if world.size == 1:
        size = step.square().mean(dim=(1, 2), keepdim=True).sqrt_()
    else:
        squares = step.square().sum(dim=(1, 2), keepdim=True)
        world.sum_([squares], exact=False)
        size = squares.div_(group.rows * step.shape[2]).sqrt_()
    return step * (USUAL_SIZE / (size + SMALLEST)), row_square


def _orthogonal(x_NRC: Tensor) -> Tensor:
    wide = x_NRC.shape[1] <= x_NRC.shape[2]
    return orthogonalised(x_NRC) if wide else orthogonalised(x_NRC.mT.contiguous()).mT


def orthogonalised(x_NRC: Tensor) -> Tensor:
    """Return the matrices [N, rows, columns], rows <= columns, with singular values near 1, in the same format."""
    x = x_NRC / (x_NRC.norm(dim=(1, 2), keepdim=True) * MARGIN + SMALLEST)
    for i, (a, b, c) in enumerate(POLYNOMIALS):
        m = MARGIN if i < len(POLYNOMIALS) - 1 else 1.0
        gram = x @ x.mT
        poly = torch.baddbmm(gram, gram, gram, beta=b / m**3, alpha=c / m**5)
        x = torch.baddbmm(x, poly, x, beta=a / m)
    return x
