"""Rotary positions: queries and keys turned by angles that grow with their position."""

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Rotary(NamedTuple):
    """Cosines and sines of the rotary angles at each token's position, [B, T, 1, D/2], float32."""

    cos: Tensor
    sin: Tensor


def rotary(positions_BT: Tensor, width: int, theta: float) -> Rotary:
    """Return the rotation of each position, for `width` places of a head in the half-split layout of Qwen and Llama.

    Source: Su et al. 2021.
    """
    exponents = torch.arange(0, width, 2, dtype=torch.float32, device=positions_BT.device) / width
    angles = positions_BT[:, :, None, None].float() * (1.0 / theta**exponents)
    return Rotary(angles.cos(), angles.sin())


def rotate(x_BTHD: Tensor, turn: Rotary) -> Tensor:
    """Return queries or keys, turned by their position's angles, in their own dtype.

    Where there are angles for a part of the head, the rest of it stays as it is.
    """
    if (width := 2 * turn.cos.shape[-1]) == 0:
        return x_BTHD
    if width < x_BTHD.shape[-1]:
        return torch.cat([rotate(x_BTHD[..., :width], turn), x_BTHD[..., width:]], dim=-1)
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        turned: Tensor = _Turn.apply(x_BTHD, *turn)
        return turned
    first, second = x_BTHD.float().unflatten(-1, (2, -1)).unbind(-2)
    halves = (first * turn.cos - second * turn.sin, second * turn.cos + first * turn.sin)
    return torch.stack(halves, dim=-2).flatten(-2).to(x_BTHD.dtype)


class _Turn(torch.autograd.Function):
    """The same in fewer passes over memory, with the opposite rotation as its gradient."""

    @staticmethod
    def forward(ctx: Any, x_BTHD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned(x_BTHD, cos, sin, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned(grads[0], cos, sin, -1), None, None


def _turned(x_BTHD: Tensor, cos: Tensor, sin: Tensor, way: int) -> Tensor:
    turned = torch.empty_like(x_BTHD, dtype=torch.float32, memory_format=torch.contiguous_format)
    (first, second), (new_first, new_second) = x_BTHD.float().chunk(2, dim=-1), turned.chunk(2, dim=-1)
    torch.mul(first, cos, out=new_first).addcmul_(second, sin, value=-way)
    torch.mul(second, cos, out=new_second).addcmul_(first, sin, value=way)
    return turned.to(x_BTHD.dtype)
