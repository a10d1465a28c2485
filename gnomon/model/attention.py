"""Causal attention that never crosses a document boundary.

Axes: B rows, T positions, H query heads, K key/value heads, D head width, N tokens of a micro-batch (B·T), W width.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.model.blocked import blocked_attention
from gnomon.model.cache import LayerCache
from gnomon.model.norms import RMSNorm
from gnomon.model.rotary import Rotary, rotate
from gnomon.presets import Shape

SHORT = 512  # keys; up to here weights in bfloat16, held for the gradient, are 3 times as fast on a CPU as none held
IN_FLOAT = 128  # keys; up to here the CPU is faster in float32 (1.9 times at 64, as fast at 256)


class Segments(NamedTuple):
    """How the tokens of packed rows fall into documents.

    `buckets`: for each length class, indices into the N flattened tokens, [pieces, length]; slots beyond a piece's end
    repeat its last token. `inverse`: [N], the place of each token in the concatenated, flattened buckets.
    No buckets at all means that every row is one piece.
    """

    buckets: tuple[Tensor, ...]
    inverse: Tensor


Pieces = Segments | Tensor
"""Which tokens belong together: grouped by length, or as the number of each token's piece within its row, [B, T]. With
numbers, attention runs in shapes that do not depend on how documents are packed."""


def together(x: Tensor, *maps: nn.Linear) -> Sequence[Tensor]:
    """Return what each linear map makes of x: by one product where this is compiled, which joins the weights on the way
    to the products' format, else one by one.
    """
    if not torch.compiler.is_compiling():
        return [each(x) for each in maps]
    biases: list[Tensor] = [each.bias for each in maps if each.bias is not None]
    joined = F.linear(x, torch.cat([each.weight for each in maps]), torch.cat(biases) if biases else None)
    return joined.split([each.out_features for each in maps], dim=-1)


class Attention(nn.Module):
    """Grouped-query attention with per-head q/k-norm (Qwen3), or with biases instead (GPT-NeoX)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = shape.heads, shape.kv_heads, shape.head_width
        inner, kv_inner = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
        biases = shape.block == "gpt-neox"
        self.q_proj = nn.Linear(shape.width, inner, bias=biases)
        self.k_proj = nn.Linear(shape.width, kv_inner, bias=biases)
        self.v_proj = nn.Linear(shape.width, kv_inner, bias=biases)
        self.o_proj = nn.Linear(inner, shape.width, bias=biases)
        normed = shape.block == "qwen3"
        self.q_norm = RMSNorm(shape.head_width, shape.norm_epsilon) if normed else nn.Identity()
        self.k_norm = RMSNorm(shape.head_width, shape.norm_epsilon) if normed else nn.Identity()

    def forward(
        self,
        x_BTW: Tensor,
        turn: Rotary,
        pieces: Pieces | None,
        cache: LayerCache | None,
        mask: Tensor | None,
    ) -> Tensor:
        """Return what each token gathered from those it may see, [B, T, W]."""
        B, T, _ = x_BTW.shape
        q, k, v = together(x_BTW, self.q_proj, self.k_proj, self.v_proj)
        q_BTHD = rotate(self.q_norm(q.view(B, T, self.heads, self.head_width)), turn)
        k_BTKD = rotate(self.k_norm(k.view(B, T, self.kv_heads, self.head_width)), turn)
        v_BTKD = v.view(B, T, self.kv_heads, self.head_width)
        if cache is not None:
            k_BTKD, v_BTKD = cache.extend(k_BTKD, v_BTKD)
        if isinstance(pieces, Tensor):
            mixed = blocked_attention(q_BTHD, k_BTKD, v_BTKD, pieces)
        elif pieces is not None and pieces.buckets:
            mixed = _by_segment(q_BTHD, k_BTKD, v_BTKD, pieces)
        else:
            mixed = attend(q_BTHD, k_BTKD, v_BTKD, mask)
        return self.o_proj(mixed.reshape(B, T, -1))


def attend(q_BTHD: Tensor, k_BSKD: Tensor, v_BSKD: Tensor, mask_BTS: Tensor | None) -> Tensor:
    """Return causal attention of T queries over S >= T keys, [B, T, H, D]. A mask, where given, replaces the
    causal rule.
    """
    if q_BTHD.device.type == "cpu" and q_BTHD.dtype.itemsize == 2:
        (T, S), trained = (q_BTHD.shape[1], k_BSKD.shape[1]), torch.is_grad_enabled() and mask_BTS is None
        with torch.autocast("cpu", enabled=False):
            if trained and T == S <= SHORT and q_BTHD.dtype == torch.bfloat16:
                return _by_weights(q_BTHD, k_BSKD, v_BSKD)
            if S <= IN_FLOAT:
                return attend(q_BTHD.float(), k_BSKD.float(), v_BSKD.float(), mask_BTS).to(q_BTHD.dtype)
    out = F.scaled_dot_product_attention(
        q_BTHD.transpose(1, 2),
        k_BSKD.transpose(1, 2),
        v_BSKD.transpose(1, 2),
        attn_mask=None if mask_BTS is None else mask_BTS[:, None],
        is_causal=mask_BTS is None and q_BTHD.shape[1] > 1,
        enable_gqa=q_BTHD.shape[2] != k_BSKD.shape[2],
    )
    return out.transpose(1, 2)


def _by_weights(q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor) -> Tensor:
    """Return causal attention of T queries over T keys, with all scores and weights in the queries' format, as where
    attention is compiled.
    """
    B, T, H, D = q_BTHD.shape
    K = k_BTKD.shape[2]
    q_NMD = q_BTHD.view(B, T, K, H // K, D).permute(0, 2, 3, 1, 4).reshape(B * K, H // K * T, D)
    k_NTD, v_NTD = (x.to(q_BTHD.dtype).transpose(1, 2).reshape(B * K, T, D) for x in (k_BTKD, v_BTKD))
    unseen_TT = torch.full((T, T), -torch.inf, dtype=q_NMD.dtype).triu_(1)
    scores_NMT = torch.baddbmm(unseen_TT.repeat(H // K, 1), q_NMD, k_NTD.mT, alpha=D**-0.5)
    mixed_NMD = scores_NMT.softmax(-1) @ v_NTD
    return mixed_NMD.view(B, K, H // K, T, D).permute(0, 3, 1, 2, 4).reshape(B, T, H, D)


def _by_segment(q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, segments: Segments) -> Tensor:
    """Return attention within each piece: one batched causal call per length class, results put back in place.

    Padding is on the right, so causality alone keeps it out; and padding repeats the piece's own last token,
    so nothing of another document enters a call's row.
    """
    B, T, H, _ = q_BTHD.shape
    K = k_BTKD.shape[2]
    slots_M = torch.cat([bucket.flatten() for bucket in segments.buckets])
    qkv_NGD = torch.cat([q_BTHD, k_BTKD, v_BTKD], dim=2).flatten(0, 1)
    qkv_MGD: Tensor = _Gather.apply(qkv_NGD, slots_M, segments.inverse)
    parts = []
    for bucket_PL, part in zip(
        segments.buckets, qkv_MGD.split([bucket.numel() for bucket in segments.buckets]), strict=True
    ):
        q_PLHD, k_PLKD, v_PLKD = part.view(*bucket_PL.shape, *part.shape[1:]).split([H, K, K], dim=2)
        parts.append(attend(q_PLHD, k_PLKD, v_PLKD, None).flatten(0, 1))
    mixed_NHD: Tensor = _Scatter.apply(torch.cat(parts), segments.inverse)
    return mixed_NHD.view(B, T, H, -1)


class _Gather(torch.autograd.Function):
    """`x[slots]`, whose gradient is a gather too: `grad[inverse]`.

    Every token sits in exactly one real slot, at `inverse`; the repeated slots after a piece's end get no gradient,
    because no output of theirs is ever read. So the summing index_add of plain indexing is not needed: on a CPU it runs
    on one thread.
    """

    @staticmethod
    def forward(ctx: Any, x_NGD: Tensor, slots_M: Tensor, inverse_N: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_N)
        return x_NGD.index_select(0, slots_M)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (inverse_N,) = ctx.saved_tensors
        return grads[0].index_select(0, inverse_N), None, None


class _Scatter(torch.autograd.Function):
    """`x[inverse]`, whose gradient is a plain copy: each place is read once, the places never read get zero."""

    @staticmethod
    def forward(ctx: Any, x_MHD: Tensor, inverse_N: Tensor) -> Tensor:
        ctx.save_for_backward(inverse_N)
        ctx.size = len(x_MHD)
        return x_MHD.index_select(0, inverse_N)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (inverse_N,) = ctx.saved_tensors
        whole = grads[0].new_zeros(ctx.size, *grads[0].shape[1:])
        whole.index_copy_(0, inverse_N, grads[0])
        return whole, None
