"""Muon: the momentum of every matrix, orthogonalised, so that no direction of a step is larger than another.

Matrices of one shape are taken together. Sources: Jordan et al. 2024, Muon. The polynomials: Amsel et al. 2025, The
Polar Express, arXiv 2505.16932. The size of a step, such that one learning rate serves here and in AdamW: Liu et al.
2025, Muon is Scalable for LLM Training, arXiv 2502.16982. The scale of each row: Li et al. 2025, NorMuon, arXiv
2510.05491.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

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
SMALLEST = 1e-7


@dataclass(frozen=True)
class _Alike:
    """Parameters of one shape, or of that shape transposed, and what is remembered of each."""

    parameters: list[Tensor] = field(default_factory=list)
    momentum: list[Tensor] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)  # mean square of each row of the steps before, [rows, 1]


class Muon:
    """Muon over matrices [rows, columns]. Its state exists from the start; nothing here waits for the device."""

    def __init__(
        self,
        parameters: Iterable[Tensor],
        *,
        momentum: float,
        row_memory: float,
        weight_decay: float,
        dtype: torch.dtype,
    ) -> None:
        self._momentum, self._row_memory, self._weight_decay, self._dtype = momentum, row_memory, weight_decay, dtype
        alike: dict[tuple[int, int], _Alike] = {}
        self.states: dict[Tensor, dict[str, Tensor]] = {}
        for parameter in parameters:
            rows, columns = parameter.shape
            group = alike.setdefault((min(rows, columns), max(rows, columns)), _Alike())
            state = {
                "momentum": torch.zeros_like(parameter),
                "row_square": torch.zeros(rows, 1, dtype=parameter.dtype, device=parameter.device),
            }
            self.states[parameter] = state
            group.parameters.append(parameter)
            group.momentum.append(state["momentum"])
            group.rows.append(state["row_square"])
        self._alike = list(alike.values())

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self.states:
            parameter.grad = None

    @torch.no_grad()
    def step(self, lr: float, grad_scale: Tensor, skip: Tensor) -> None:
        """Take a step with the gradients divided by `grad_scale`; where `skip` is true nothing changes, bit for bit."""
        for group in self._alike:
            gradients = [p.grad for p in group.parameters if p.grad is not None]
            if len(gradients) != len(group.parameters):
                raise RuntimeError("a matrix has no gradient")
            self._step(group, [g / grad_scale for g in gradients], lr, skip)

    def _step(self, group: _Alike, gradients: list[Tensor], lr: float, skip: Tensor) -> None:
        lasting = [torch.lerp(g, m, self._momentum) for g, m in zip(gradients, group.momentum, strict=True)]
        ahead = [torch.lerp(g, m, self._momentum) for g, m in zip(gradients, lasting, strict=True)]
        wide = torch.stack([_wide(a).to(self._dtype) for a in ahead])
        for i, (parameter, step) in enumerate(zip(group.parameters, orthogonalised(wide), strict=True)):
            update = (step if step.shape == parameter.shape else step.mT).float()
            square = update.square().mean(dim=1, keepdim=True)
            known = torch.lerp(square, group.rows[i], self._row_memory)
            scaled = update / (known.sqrt() + SMALLEST)
            size = scaled.square().mean().sqrt() + SMALLEST
            new = parameter * (1 - lr * self._weight_decay) - scaled * (lr * USUAL_SIZE / size)
            for old, value in ((parameter, new), (group.momentum[i], lasting[i]), (group.rows[i], known)):
                old.copy_(torch.where(skip, old, value))


def _wide(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT


def orthogonalised(x_NRC: Tensor) -> Tensor:
    """Return the matrices [N, rows, columns], rows <= columns, with singular values near 1, in the same format."""
    x = x_NRC / (x_NRC.norm(dim=(1, 2), keepdim=True) * MARGIN + SMALLEST)
    for i, (a, b, c) in enumerate(POLYNOMIALS):
        m = MARGIN if i < len(POLYNOMIALS) - 1 else 1.0
        gram = x @ x.mT
        poly = torch.baddbmm(gram, gram, gram, beta=b / m**3, alpha=c / m**5)
        x = torch.baddbmm(x, poly, x, beta=a / m)
    return x
