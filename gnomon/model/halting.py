"""When a token stops looping: chances, the steps to expect of them, and the losses that these are trained with.

With the chance l_n to stop after loop n, given that it was reached, the chance to stop there is p_n = l_n times the
product of 1 - l_j over the loops before, and all that is left after the last one; the steps to expect are the sum of
n·p_n. A token that has stopped keeps its state, and so its l, which makes this sum differentiable for every token.

Statistics are those of a row: of its tokens that bear loss, weighted with their count. So losses add up over
micro-batches and processes, however these are cut. Axes: L loops, B rows, T positions, S sampled positions, W width.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gnomon.model.norms import norm_of
from gnomon.presets import Shape

FLOOR = 1e-6  # of a variance whose root is taken


@dataclass(frozen=True)
class Ponder:
    """What training wants of the steps. `budget`: their mean, at most; None: the middle of 1 and the most."""

    budget: float | None = None
    cost: Literal["expected", "graves"] = "expected"
    over: float = 1.0  # weight of the squared excess over the budget
    every: float = 0.01  # weight of the steps themselves
    prior: float = 0.01  # weight of the divergence from the prior, with halting=ponder
    diversity: float = 0.3  # weight of the diversity loss
    spread: float = 0.5  # deviation of the steps from which on it asks for no more
    usefulness: float = 1.0  # weight, in it, of the covariance of steps and difficulty
    covariance: float = 0.2  # of both, in units of their deviations, from which on it asks for no more
    noise: float = 0.5  # deviation of what is added to the logits in training


class Halting(nn.Module):
    """The chance to stop of each token, from its own state alone."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = norm_of(shape)
        self.weight = nn.Parameter(torch.zeros(shape.width))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, h: Tensor) -> Tensor:
        """Return the chance's logit of states [..., W], float32."""
        with torch.autocast(h.device.type, enabled=False):
            return (self.norm(h.float()) @ self.weight + self.bias[0]).float()


def chances(logits_LBT: Tensor) -> Tensor:
    """Return the chance to stop after each loop, p [L, B, T]: the last one's is what the others leave."""
    stop, last = logits_LBT[:-1].sigmoid(), torch.ones_like(logits_LBT[:1])
    left = torch.cat([last, (-logits_LBT[:-1]).sigmoid().cumprod(0)])  # 1 - sigmoid, without its rounding
    return torch.cat([stop, last]) * left


def expected_steps(p_LBT: Tensor) -> Tensor:
    """Return the steps to expect, [B, T]: 1 to L."""
    loops = torch.arange(1, len(p_LBT) + 1, dtype=p_LBT.dtype, device=p_LBT.device)
    return torch.einsum("lbt,l->bt", p_LBT, loops)


def graves_steps(p_LBT: Tensor, steps_BT: Tensor) -> Tensor:
    """Return steps taken and remainder, N + R [B, T], whose gradient is the remainder's. Source: Graves 2016, arXiv
    1603.08983.
    """
    loops = torch.arange(1, len(p_LBT) + 1, device=p_LBT.device)[:, None, None]
    return steps_BT + 1.0 - torch.where(loops < steps_BT, p_LBT, 0.0).sum(0)


def ponder_cost(steps_BT: Tensor, counts_BT: Tensor, loops: int, ponder: Ponder) -> Tensor:
    """Return the summed cost of steps: of those beyond the budget squared, of all of them a little.

    `counts` is true at tokens that bear loss. Of a row's mean m: over·([m - budget]_+ / L)² + every·m / L.
    """
    tokens_B = counts_BT.sum(1)
    mean_B = _mean(steps_BT, counts_BT)
    excess_B = (mean_B - budget_of(ponder, loops)).clamp(min=0.0) / loops
    return (tokens_B * (ponder.over * excess_B.square() + ponder.every * mean_B / loops)).sum()


def diversity_loss(
    steps_BT: Tensor, counts_BT: Tensor, difficulty_BS: Tensor, places_BS: Tensor, ponder: Ponder
) -> Tensor:
    """Return the summed loss of rows whose tokens take alike many steps, or not more of them where it is difficult.

    Of a row's deviation s of the steps: [1 - s / spread]_+², a hinge as VICReg's (Bardes et al. 2022, arXiv
    2105.04906). Its gradient is zero where all steps are alike; that of the second term is not: usefulness·[covariance
    - cov(steps, d) / (spread·sd(d))]_+, with the difficulty d of the tokens at `places`, which gets no gradient.
    """
    mean_B = _mean(steps_BT, counts_BT)
    deviation_B = (_mean((steps_BT - mean_B[:, None]).square(), counts_BT) + FLOOR).sqrt()
    flat_B = (1.0 - deviation_B / ponder.spread).clamp(min=0.0).square()
    steps_BS, counts_BS, d_BS = steps_BT.gather(1, places_BS), counts_BT.gather(1, places_BS), difficulty_BS.detach()
    d_BS = (d_BS - _mean(d_BS, counts_BS)[:, None]) * counts_BS
    deviation_d_B = (_mean(d_BS.square(), counts_BS) + FLOOR).sqrt()
    found_B = _mean(steps_BS * d_BS, counts_BS) / (ponder.spread * deviation_d_B)
    useless_B = (ponder.covariance - found_B).clamp(min=0.0)
    return (counts_BT.sum(1) * (flat_B + ponder.usefulness * useless_B)).sum()


def divergence(p_LBT: Tensor, counts_BT: Tensor, ponder: Ponder) -> Tensor:
    """Return the summed divergence of the chances from a geometric prior that ends with the last loop, in nats.

    Source: Banino et al. 2021, arXiv 2107.05407 (PonderNet).
    """
    wanted = torch.tensor(prior(len(p_LBT), budget_of(ponder, len(p_LBT))), dtype=p_LBT.dtype, device=p_LBT.device)
    tiny = torch.finfo(p_LBT.dtype).tiny
    nats_BT = (p_LBT * (p_LBT.clamp(min=tiny).log() - wanted.log()[:, None, None])).sum(0)
    return torch.where(counts_BT, nats_BT, 0.0).sum()


def prior(loops: int, mean: float) -> list[float]:
    """Return the geometric distribution over 1 … `loops` that has this mean."""
    low, high = -60.0, 60.0  # of the logarithm of the ratio from one to the next
    for _ in range(100):
        middle = (low + high) / 2
        found = _geometric(loops, middle)
        if sum(n * p for n, p in enumerate(found, 1)) < mean:
            low = middle
        else:
            high = middle
    return _geometric(loops, (low + high) / 2)


def _geometric(loops: int, log_ratio: float) -> list[float]:
    most = max(0.0, log_ratio * (loops - 1))
    weights = [math.exp(log_ratio * n - most) for n in range(loops)]
    return [max(w / sum(weights), 1e-30) for w in weights]


def budget_of(ponder: Ponder, loops: int) -> float:
    """Return the mean of the steps, at most."""
    return (1 + loops) / 2 if ponder.budget is None else ponder.budget


def _mean(x: Tensor, counts: Tensor) -> Tensor:
    """Return each row's mean over the places that count; 0 where none does."""
    return torch.where(counts, x, 0.0).sum(1) / counts.sum(1).clamp(min=1)


def shuffled(steps_BT: Tensor, generator: torch.Generator) -> Tensor:
    """Return the same step counts, given to other tokens: a control that must be worse, if steps go where they help."""
    order = torch.randperm(steps_BT.numel(), generator=generator).to(steps_BT.device)
    return steps_BT.flatten()[order].view_as(steps_BT)
