"""AdamW, and its state as named tensors."""

from typing import Any

import torch
from torch import Tensor, nn


def make_optimizer(
    model: nn.Module, *, lr: float, beta1: float, beta2: float, weight_decay: float
) -> torch.optim.AdamW:
    """Return fused AdamW over the model: matrices decay, the embedding and the norms' gains do not."""
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim >= 2 and "embed" not in name else rest).append(parameter)
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(beta1, beta2), eps=1e-8, fused=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Return moments and step counts by parameter name, such as `exp_avg.norm.weight`; empty before the first step."""
    return {
        f"{key}.{name}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned. Raises KeyError for a name that no parameter has."""
    parameters = dict(model.named_parameters())
    states: dict[str, dict[str, Any]] = {}
    for full_name, tensor in tensors.items():
        key, _, name = full_name.partition(".")
        states.setdefault(name, {})[key] = tensor.clone()
    for name, state in states.items():
        optimizer.state[parameters[name]] = state
