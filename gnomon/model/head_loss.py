"""What heads learn from: sums over labelled places, in which NaN is no label and gives no gradient."""

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gnomon.taxonomy import ANSWER_TYPES, COARSE_OF, FINE_TYPES, HEAD_LOSSES, ROUTER_SIGNALS

SQUARED = 0.5  # weight of the squared error beside the cross-entropy
AGREEMENT = 0.1  # weight of the divergence between coarse and fine types
SMALLEST = 1e-12  # probability whose logarithm is taken


def head_losses(logits: Mapping[str, Tensor], router: Tensor, weight: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
    """Return the sums of HEAD_LOSSES, in their order, float32; zero where there is no such head.

    Labels are those of `Targets`. Coarse and fine types are compared where the label is a coarse one with fine ones.
    Sums, not means: who calls divides each by its labels in the whole batch, so that accumulation and processes agree.
    """
    like = logits["router" if "router" in logits else "coarse"]
    sums = torch.zeros(len(HEAD_LOSSES), dtype=like.dtype, device=like.device)
    if "router" in logits:
        sums = torch.cat([router_losses(logits["router"], router, weight), sums[len(ROUTER_SIGNALS) :]])
    if "coarse" in logits:
        schema = [
            coarse_loss(logits["coarse"], coarse),
            fine_loss(logits["fine"], fine),
            AGREEMENT * divergence(logits["coarse"], logits["fine"]).where(_has_fine(coarse), 0.0).sum(),
        ]
        sums = torch.cat([sums[: len(ROUTER_SIGNALS)], torch.stack(schema)])
    return sums


def router_losses(logits: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Return for each signal the sum of weight · (BCE + SQUARED · (p - y)²) over its labels, [5]."""
    known, y = ~labels.isnan(), labels.nan_to_num(0.0)
    each = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    each = each + SQUARED * (logits.sigmoid() - y).square()
    return (each * weight.nan_to_num(0.0)).where(known, 0.0).sum(0)


def coarse_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over places of the mean BCE of the types that are known there."""
    known, y = ~labels.isnan(), labels.nan_to_num(0.0)
    each = F.binary_cross_entropy_with_logits(logits, y, reduction="none").where(known, 0.0)
    return (each.sum(1) / known.sum(1).clamp(min=1)).sum()


def fine_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the sum over labelled places of the cross-entropy with the label, which may be a distribution."""
    known, y = ~labels.isnan().any(1), labels.nan_to_num(0.0)
    return -(y * logits.log_softmax(1)).sum(1).where(known, 0.0).sum()


def divergence(coarse: Tensor, fine: Tensor) -> Tensor:
    """Return at each place the Jensen-Shannon divergence, in nats, between the coarse types' probabilities, made to sum
    to 1, and those of their fine types, summed.
    """
    p = coarse.sigmoid()
    p = p / p.sum(1, keepdim=True).clamp(min=SMALLEST)
    q = fine.softmax(1) @ _sums(fine.device).to(fine.dtype)
    return _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2


def _has_fine(coarse: Tensor) -> Tensor:
    return ((_sums(coarse.device) > 0).any(0) & (coarse > 0.5)).any(1)  # false of NaN


@cache
def _sums(device: torch.device) -> Tensor:
    """Return the matrix, [50, 18], that sums fine types to coarse ones; once, as a device is waited for."""
    with torch.inference_mode(False):
        of = torch.tensor([ANSWER_TYPES.index(COARSE_OF[name]) for name in FINE_TYPES])
        return F.one_hot(of, len(ANSWER_TYPES)).float().to(device)


def _entropy(p: Tensor) -> Tensor:
    return -(p * p.clamp(min=SMALLEST).log()).sum(1)
