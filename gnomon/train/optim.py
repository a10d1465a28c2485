"""AdamW, its state as named tensors, and the law by which a state that cannot be right is recognised."""

import math

import torch
from torch import Tensor, nn

ROUNDING = 1.01  # what float32 may add to the bound on moments
SMALLEST = 1e-18  # first moments below this say nothing: their squares underflow


def make_optimizer(
    model: nn.Module, *, lr: float, beta1: float, beta2: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return fused AdamW over the model: matrices decay, the embedding and the norms' gains do not.

    Its moments exist from the start, so that no step has to find memory for them half-way through.
    """
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim >= 2 and "embed" not in name else rest).append(parameter)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=1e-8, fused=True)
    for parameter in model.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }
    return optimizer


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return moments and step counts, live, by parameter name, such as `exp_avg.norm.weight`."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state[parameter].items()
    }


def unsound(tensors: dict[str, Tensor], beta1: float, beta2: float) -> list[str]:
    """Return what cannot be right in weights and moments, a sentence a tensor: values that are not finite, negative
    second moments, and first moments larger than any sequence of gradients could have made them.

    By Cauchy and Schwarz |m| <= (1 - b1) / sqrt((1 - b2)(1 - b1²/b2)) * sqrt(v), which holds for every gradient.
    """
    found = []
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        if not torch.isfinite(tensor).all():
            count = int((~torch.isfinite(tensor)).sum())
            found.append(f"{name}: {count:,} of {tensor.numel():,} values are not finite")
        elif name.startswith(("exp_avg_sq.", "step.")) and (tensor < 0).any():
            found.append(f"{name}: {'squares' if tensor.ndim else 'a count'} below zero")
        elif name.startswith("exp_avg.") and beta1**2 < beta2 and f"exp_avg_sq.{name[8:]}" in tensors:
            bound = (1 - beta1) / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2)) * ROUNDING
            limit = tensors[f"exp_avg_sq.{name[8:]}"].sqrt() * bound + SMALLEST
            if (tensor.abs() > limit).any():
                found.append(f"{name}: larger than its second moment allows")
    return found
