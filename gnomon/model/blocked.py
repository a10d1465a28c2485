"""Causal attention within pieces in shapes that never change, for compiled training on a CPU.

Queries go block by block over the keys up to the block's end, so that most of the upper triangle is not computed. Which
keys a query may see follows from places and piece numbers alone: one code serves every way documents are packed.
What is kept for the backward pass are the weights in the products' own format, before their sum is divided out.
Axes as in `attention.py`; M queries of a block times those heads that share a key/value head, S keys.
"""

from typing import Any

import torch
from torch import Tensor

BLOCK = 128  # queries; 64 and 256 were as fast within 10 % on two cores with AVX512-BF16


def blocked_attention(q_BTHD: Tensor, k_BTKD: Tensor, v_BTKD: Tensor, pieces_BT: Tensor) -> Tensor:
    """Return causal attention of every token over those of its own piece, [B, T, H, D]."""
    B, T, H, D = q_BTHD.shape
    K = k_BTKD.shape[2]
    q_BKTGD = (q_BTHD * D**-0.5).view(B, T, K, H // K, D).permute(0, 2, 1, 3, 4)
    mixed: Tensor = _Blocked.apply(q_BKTGD, k_BTKD.transpose(1, 2), v_BTKD.transpose(1, 2), pieces_BT)
    return mixed.permute(0, 2, 1, 3, 4).reshape(B, T, H, D)


class _Blocked(torch.autograd.Function):
    """Softmax of each block without a second pass over its weights. Source: Dao et al. 2022, arXiv 2205.14135."""

    @staticmethod
    def forward(ctx: Any, q_BKTGD: Tensor, k_BKTD: Tensor, v_BKTD: Tensor, pieces_BT: Tensor) -> Tensor:
        B, K, T, G, D = q_BKTGD.shape
        places_T = torch.arange(T, device=q_BKTGD.device, dtype=torch.int32)
        mixed, kept = [], []
        for start in range(0, T, BLOCK):
            stop = min(start + BLOCK, T)
            q_BKMD = q_BKTGD[:, :, start:stop].reshape(B, K, -1, D)
            scores = (q_BKMD @ k_BKTD[:, :, :stop].transpose(2, 3)).view(B, K, -1, G, stop).float()
            seen = places_T[:stop] <= places_T[start:stop, None]
            seen = seen & (pieces_BT[:, None, :stop] == pieces_BT[:, start:stop, None])
            scores = torch.where(seen[:, None, :, None], scores, -torch.inf)
            weights = (scores - scores.amax(-1, keepdim=True)).exp().to(v_BKTD.dtype).view(B, K, -1, stop)
            sums_BKM1 = weights.sum(-1, keepdim=True, dtype=torch.float32)
            mixed.append((weights @ v_BKTD[:, :, :stop] / sums_BKM1).to(v_BKTD.dtype).view(B, K, -1, G, D))
            kept += [weights, sums_BKM1]
        mixed_BKTGD = torch.cat(mixed, 2)
        ctx.save_for_backward(q_BKTGD, k_BKTD, v_BKTD, mixed_BKTGD, *kept)
        return mixed_BKTGD

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        q_BKTGD, k_BKTD, v_BKTD, mixed_BKTGD, *kept = ctx.saved_tensors
        B, K, T, G, D = q_BKTGD.shape
        blocks = range(0, T, BLOCK)
        dq, dk, dv = [], [[] for _ in blocks], [[] for _ in blocks]
        for block, start in enumerate(blocks):
            stop = min(start + BLOCK, T)
            weights, sums_BKM1 = kept[2 * block], kept[2 * block + 1]
            q_BKMD, out, d_out = (x[:, :, start:stop].reshape(B, K, -1, D) for x in (q_BKTGD, mixed_BKTGD, grads[0]))
            delta_BKM1 = (d_out.float() * out.float()).sum(-1, keepdim=True)
            d_weights = d_out @ v_BKTD[:, :, :stop].transpose(2, 3)
            d_scores = (weights.float() * ((d_weights.float() - delta_BKM1) / sums_BKM1)).to(q_BKMD.dtype)
            dq.append((d_scores @ k_BKTD[:, :, :stop]).view(B, K, -1, G, D))
            dk_BKSD = d_scores.transpose(2, 3) @ q_BKMD
            dv_BKSD = weights.transpose(2, 3) @ (d_out / sums_BKM1).to(weights.dtype)
            for keys in range(block + 1):
                dk[keys].append(dk_BKSD[:, :, keys * BLOCK : (keys + 1) * BLOCK])
                dv[keys].append(dv_BKSD[:, :, keys * BLOCK : (keys + 1) * BLOCK])
        return torch.cat(dq, 2), _sums(dk), _sums(dv), None


def _sums(blocks: list[list[Tensor]]) -> Tensor:
    """Return for each block of keys what those of the queries give it, added up in float32, block after block."""
    sums = [sum((part.float() for part in parts[1:]), parts[0].float()).to(parts[0].dtype) for parts in blocks]
    return torch.cat(sums, 2)
