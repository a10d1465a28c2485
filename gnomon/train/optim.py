"""The optimizer of a run: AdamW, or Muon for the matrices and AdamW for the rest; its state as named tensors; and the
law by which a state that cannot be right is recognised."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from gnomon.config import OptimizerKind
from gnomon.train.muon import Muon
from gnomon.train.parallel import ALONE, World

ROUNDING = 1.01  # what float32 may add to the bound on moments
SMALLEST = 1e-18  # first moments below this say nothing: their squares underflow


class Optimizer:
    """Fused AdamW over a model's parameters, or with `muon` over embedding, gains and heads alone, the other matrices
    being Muon's.

    Matrices decay, the embedding and the norms' gains do not. All state exists from the start, so that no step has to
    find memory for it half-way through. Where `owned` names parameters, there is state for these alone, and a step
    changes no others. Where `rows` says how many rows each parameter has, what is given are those of this process of
    the `world`, and all take their steps together.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        kind: OptimizerKind,
        *,
        lr: float,
        momentum: float,
        beta1: float,
        beta2: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
        owned: Collection[str] | None = None,
        rows: Mapping[str, int] | None = None,
        world: World = ALONE,
    ) -> None:
        self._betas = beta1, beta2
        self._every = list(parameters.values())
        named = {name: p for name, p in parameters.items() if owned is None or name in owned}
        heads = {name: p for name, p in named.items() if name.startswith("heads.")}
        trunk = {name: p for name, p in named.items() if name not in heads}
        matrices = {name: p for name, p in trunk.items() if p.ndim >= 2 and "embed" not in name}
        rest = [p for name, p in trunk.items() if name not in matrices]
        groups: list[dict[str, Any]] = [
            {"params": rest, "weight_decay": 0.0, "heads": False},
            {"params": [p for p in heads.values() if p.ndim >= 2], "weight_decay": weight_decay, "heads": True},
            {"params": [p for p in heads.values() if p.ndim < 2], "weight_decay": 0.0, "heads": True},
        ]
        self._muon = None
        if kind == "muon":
            whole = None if rows is None else [rows[name] for name in matrices]
            self._muon = Muon(
                matrices.values(),
                momentum=momentum,
                weight_decay=weight_decay,
                dtype=dtype,
                rows=whole,
                world=world,
            )
        else:
            groups = [{"params": list(matrices.values()), "weight_decay": weight_decay, "heads": False}, *groups]
        self._adamw = torch.optim.AdamW(groups, lr=lr, betas=self._betas, eps=1e-8, fused=True)
        for parameter in (p for group in groups for p in group["params"]):
            self._adamw.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
        states = self._adamw.state | (self._muon.states if self._muon is not None else {})
        self._tensors = {
            f"{key}.{name}": value for name, parameter in named.items() for key, value in states[parameter].items()
        }
        names = {parameter: name for name, parameter in named.items()}
        units = [[p] for group in groups for p in group["params"]] + (self._muon.groups if self._muon else [])
        self._units = [[names[p] for p in unit] for unit in units]

    def step(self, lr: float, grad_scale: Tensor, skip: Tensor, heads_lr: float | None = None) -> None:
        """Take a step with the gradients divided by `grad_scale`; where `skip` is true nothing changes, bit for bit.
        Heads have a rate of their own, the others' where it is None.

        AdamW's fused kernel does both itself: it divides by `grad_scale` and does nothing where `found_inf` is 1.
        """
        kernel: Any = self._adamw  # the fused kernel's two inputs are not in the class's type
        kernel.grad_scale, kernel.found_inf = grad_scale, skip.float()
        for group in self._adamw.param_groups:
            group["lr"] = heads_lr if group["heads"] and heads_lr is not None else lr
        self._adamw.step()
        if self._muon is not None:
            self._muon.step(lr, grad_scale, skip)

    def clear(self) -> None:
        """Forget the gradients."""
        for parameter in self._every:
            parameter.grad = None

    def start_over(self) -> None:
        """Put the state before the first step back, in place."""
        for tensor in self.tensors().values():
            tensor.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and step counts, live, by parameter name, such as `exp_avg.norm.weight`."""
        return self._tensors

    def units(self) -> list[list[str]]:
        """Return the names of the parameters, those together whose step is found together."""
        return self._units

    def unsound(self, tensors: dict[str, Tensor]) -> list[str]:
        """Return what cannot be right in weights and state of these names, a sentence a tensor.

        That is values that are not finite, negative squares, and first moments larger than any sequence of gradients
        could have made them. By Cauchy and Schwarz |m| <= (1 - b1) / sqrt((1 - b2)(1 - b1²/b2)) * sqrt(v), which holds
        for every gradient.
        """
        beta1, beta2 = self._betas
        found = []
        for name, tensor in tensors.items():
            if not tensor.is_floating_point():
                continue
            if not torch.isfinite(tensor).all():
                count = int((~torch.isfinite(tensor)).sum())
                found.append(f"{name}: {count:,} of {tensor.numel():,} values are not finite")
            elif name.startswith(("exp_avg_sq.", "row_square.", "step.")) and (tensor < 0).any():
                found.append(f"{name}: {'squares' if tensor.ndim else 'a count'} below zero")
            elif name.startswith("exp_avg.") and beta1**2 < beta2 and f"exp_avg_sq.{name[8:]}" in tensors:
                bound = (1 - beta1) / math.sqrt((1 - beta2) * (1 - beta1**2 / beta2)) * ROUNDING
                limit = tensors[f"exp_avg_sq.{name[8:]}"].sqrt() * bound + SMALLEST
                if (tensor.abs() > limit).any():
                    found.append(f"{name}: larger than its second moment allows")
        return found
