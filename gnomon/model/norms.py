"""Norms over the last axis, computed in float32 whatever comes in."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.presets import Shape


class RMSNorm(nn.Module):
    """Root-mean-square norm with gain, computed in float32 whatever comes in."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """Return x with a root mean square of 1, times the gain, in x's own dtype."""
        wide = x.float()
        plain = wide.device.type == "cpu" and self.weight.dtype == wide.dtype and not torch.compiler.is_compiling()
        if plain and torch.is_grad_enabled():
            normed: Tensor = _RMSNorm.apply(wide, self.weight, self.epsilon)
            return normed.to(x.dtype)
        return F.rms_norm(wide, self.weight.shape, self.weight, self.epsilon).to(x.dtype)


class LayerNorm(nn.Module):
    """Norm of mean 0 and deviation 1, with gain and shift, computed in float32 whatever comes in."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.float(), self.weight.shape, self.weight, self.bias, self.epsilon).to(x.dtype)


def norm_of(shape: Shape) -> RMSNorm | LayerNorm:
    """Return a new norm over the stream, of the kind that the shape's block has."""
    return (LayerNorm if shape.block == "gpt-neox" else RMSNorm)(shape.width, shape.norm_epsilon)


class _RMSNorm(torch.autograd.Function):
    """`F.rms_norm`, whose gradient on a CPU is a dozen passes over memory, with one of a few.

    With a mean of 0 the gradient of a layer norm, which is one pass, is that of an RMS norm less its mean over the last
    axis; and that mean is a product of what comes in with the gain. The gain's own gradient is a sum of its own, since
    that of a layer norm has other bits with other threads.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_W: Tensor, epsilon: float) -> Tensor:
        inverse = x.square().mean(dim=-1, keepdim=True).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, weight_W, inverse)
        return (x * inverse).mul_(weight_W)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, weight_W, inverse = ctx.saved_tensors
        grad, none, width = grads[0].contiguous(), torch.zeros_like(inverse), len(weight_W)
        grad_x, _, _ = torch.ops.aten.native_layer_norm_backward(
            grad, x, [width], none, inverse, weight_W, None, [True, False, False]
        )
        mean = (grad.reshape(-1, width) @ weight_W).view_as(inverse).mul_(inverse).div_(width)
        grad_weight_W = (grad * x).mul_(inverse).reshape(-1, width).sum(0)
        return grad_x.add_(mean), grad_weight_W, None
