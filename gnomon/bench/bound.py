"""What no training step of a shape can be faster than on this machine: its matrix products, its attention and its
optimizer's pass over memory, each by the fastest way found here, with nothing in between.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gnomon.config import Dtype
from gnomon.model.blocked import blocked_attention
from gnomon.presets import Shape
from gnomon.train.kernels import no_compiler
from gnomon.train.precision import TORCH_DTYPES

Work = Callable[[], Any]
TRIES = 5


def ceiling(dtype: Dtype, size: int = 2048) -> tuple[Work, float]:
    """Return one large square product, and its floating-point operations."""
    a, b = (torch.randn(size, size).to(TORCH_DTYPES[dtype]) for _ in range(2))
    return lambda: a @ b, 2.0 * size**3


def bound(shape: Shape, rows: int, dtype: Dtype) -> Work:
    """Return what a step on `rows` rows cannot do without, as one call: products of `dtype`, all else in float32."""
    works = [*_products(shape, rows * shape.context, dtype), *_attention(shape, rows, dtype), _optimizer(shape)]

    def once() -> None:
        for work in works:
            work()

    return once


def _products(shape: Shape, tokens: int, dtype: Dtype) -> Iterable[Work]:
    """Yield every product of forward and backward, with weights of its own for every layer."""
    inner, kv = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    layer = [
        (shape.width, inner + 2 * kv),
        (inner, shape.width),
        (shape.width, 2 * shape.feed_forward),
        (shape.feed_forward, shape.width),
    ]
    for wide, out, times in [*((*sizes, shape.layers) for sizes in layer), (shape.width, shape.vocabulary, 1)]:
        format_ = TORCH_DTYPES[dtype]
        x, dy = torch.randn(tokens, wide).to(format_), torch.randn(tokens, out).to(format_)
        fastest = [_fastest(ways) for ways in zip(*_ways(x, dy, torch.randn(out, wide).to(format_)), strict=True)]
        for _ in range(times):
            ways = _ways(x, dy, torch.randn(out, wide).to(format_))
            yield from (ways[best][which] for which, best in enumerate(fastest))


def _ways(x_NK: Tensor, dy_NM: Tensor, weight_MK: Tensor) -> list[list[Work]]:
    """Return forward, gradient of the input, gradient of the weight, with weights laid out by rows and by columns."""
    turned_KM = weight_MK.T.contiguous()
    return [
        [lambda: x_NK @ weight_MK.T, lambda: dy_NM @ weight_MK, lambda: dy_NM.T @ x_NK],
        [lambda: x_NK @ turned_KM, lambda: dy_NM @ turned_KM.T, lambda: x_NK.T @ dy_NM],
    ]


def _attention(shape: Shape, rows: int, dtype: Dtype) -> Iterable[Work]:
    sizes = [(rows, shape.context, n, shape.head_width) for n in (shape.heads, shape.kv_heads, shape.kv_heads)]

    def way(mix: Callable[..., Tensor], format_: torch.dtype) -> Work:
        qkv = [torch.randn(size).to(format_).requires_grad_() for size in sizes]
        grad = torch.randn(sizes[0]).to(format_)
        return lambda: torch.autograd.grad(mix(*qkv), qkv, grad)

    def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True).transpose(1, 2)

    ways = [way(fused, torch.float32), way(fused, TORCH_DTYPES[dtype])]
    if no_compiler() is None:
        pieces = torch.zeros(rows, shape.context, dtype=torch.int32)
        compiled = torch.compile(blocked_attention, dynamic=False, fullgraph=True)
        ways.append(way(lambda q, k, v: compiled(q, k, v, pieces), TORCH_DTYPES[dtype]))
    yield from [ways[_fastest(ways)]] * shape.layers


def _optimizer(shape: Shape) -> Work:
    """Return the gradients' norm and AdamW's pass over weights, gradients and moments."""
    weights = [torch.randn(size, requires_grad=True) for size in shape.parameter_table().values()]
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    adamw = torch.optim.AdamW(weights, lr=1e-3, fused=True)

    def once() -> None:
        torch.nn.utils.get_total_norm([w.grad for w in weights if w.grad is not None])
        adamw.step()

    return once


def _fastest(ways: Iterable[Work]) -> int:
    """Return the place of the fastest, by the median of some tries taken in turn."""
    chosen = list(ways)
    times: list[list[float]] = [[] for _ in chosen]
    for turn in range(TRIES + 1):
        for way, seen in zip(chosen, times, strict=True):
            start = time.perf_counter()
            way()
            if turn:  # the first one makes buffers, and compiles
                seen.append(time.perf_counter() - start)
    medians = [sorted(seen)[TRIES // 2] for seen in times]
    return medians.index(min(medians))
