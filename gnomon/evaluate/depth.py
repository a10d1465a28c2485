"""Where a model with loops spends them: how many, whether more where it is difficult, and whether that helps."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from gnomon.config import Dtype
from gnomon.data.streaming.rows import Rows
from gnomon.model.attention import Segments
from gnomon.model.halting import shuffled
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import IGNORE, token_losses
from gnomon.train.precision import autocast


@dataclass(frozen=True)
class Depth:
    """What the loops of a text's tokens are like. Losses are in nats a token.

    `rank` is Spearman's correlation of the loops to expect and the loss after one; `shuffled` the loss when the same
    loops are dealt to other tokens, `fixed` when all tokens take 1, 2, … of them.
    """

    tokens: int
    mean: float
    deviation: float
    rank: float
    loss: float
    shuffled: float
    fixed: tuple[float, ...]

    @property
    def interpolated(self) -> float:
        """The loss of all tokens looping equally often, at as many loops in the mean."""
        low = min(int(self.mean), len(self.fixed) - 1)
        part = self.mean - low
        return (1 - part) * self.fixed[low - 1] + part * self.fixed[low]

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self) | {"interpolated": self.interpolated}


@torch.no_grad()
def depth_of(
    model: LanguageModel, micros: Iterable[Rows], *, device: str = "cpu", dtype: Dtype = "fp32", seed: int = 0
) -> Depth:
    """Return where a model in evaluation mode spends its loops on packed rows."""
    loops, generator = model.shape.loops, torch.Generator().manual_seed(seed)
    expected, taken, found = list[Tensor](), list[Tensor](), list[Tensor]()
    for rows in micros:
        counts = rows.labels != IGNORE
        own, steps_BT, to_expect = _losses(model, rows, None, device, dtype)
        expected.append(to_expect[counts].cpu())
        taken.append(steps_BT[counts].cpu())
        ways = [torch.full_like(steps_BT, k) for k in range(1, loops + 1)] + [shuffled(steps_BT, generator)]
        others = [_losses(model, rows, way, device, dtype)[0] for way in ways]
        found.append(torch.stack([loss[counts].cpu() for loss in (own, *others)]))
    losses, steps = torch.cat(found, 1).double(), torch.cat(taken).double()
    own, *fixed, other = losses.mean(1).tolist()
    rank = spearman(torch.cat(expected), losses[1])
    return Depth(len(steps), float(steps.mean()), float(steps.std(correction=0)), rank, own, other, tuple(fixed))


def _losses(
    model: LanguageModel, rows: Rows, steps_BT: Tensor | None, device: str, dtype: Dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return each token's loss, its loops, and those to expect."""
    with autocast(device, dtype):
        pieces = Segments(rows.buckets, rows.inverse)
        output = model(rows.tokens, rows.positions, pieces, steps_BT=steps_BT)
        losses = token_losses(output.hidden, model.head.detach(), rows.labels)
    return losses, output.signals["steps"], output.signals["expected_steps"]


def spearman(a: Tensor, b: Tensor) -> float:
    """Return the correlation of the ranks of two vectors, equal values having their mean rank; 0 where one is flat."""
    both = torch.stack([_ranks(a), _ranks(b)])
    both = both - both.mean(1, keepdim=True)
    spread = math.sqrt(float(both[0].square().sum() * both[1].square().sum()))
    return float((both[0] * both[1]).sum()) / spread if spread else 0.0


def _ranks(x: Tensor) -> Tensor:
    _, where, counts = x.double().unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2)[where]
