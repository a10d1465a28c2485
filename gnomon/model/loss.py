"""Next-token loss in chunks, so that the logits of a batch are never whole in memory."""

from typing import Any

import torch
from torch import Tensor

IGNORE = -100
"""Label of a place that bears no loss."""

CHUNK_TOKENS = 2048
"""Rows of logits held at once: at a vocabulary of 32,768 and float32, 256 MiB."""


def next_token_loss(hidden: Tensor, head: Tensor, labels: Tensor, z_weight: float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy in nats, and `z_weight` times the summed log²Z, over labels that are not IGNORE.

    `hidden` [..., W], `head` [vocabulary, W], `labels` [...] int64. Sums, not means: who calls divides by the
    global count of loss-bearing tokens, so that accumulation, packing and ranks agree. Products run in
    bfloat16 under autocast; softmax and sums are float32. Gradients are found chunk by chunk in the forward
    pass.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    losses: Tensor = _ChunkedCrossEntropy.apply(hidden.flatten(0, -2), head, labels.flatten(), z_weight, dtype)
    return losses[0], losses[1]


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Both sums as a vector of two; the gradient of the second may only be asked for together with the first's."""

    @staticmethod
    def forward(
        ctx: Any, hidden_NW: Tensor, head_VW: Tensor, labels_N: Tensor, z_weight: float, dtype: torch.dtype
    ) -> Tensor:
        wants_grad = hidden_NW.requires_grad or head_VW.requires_grad
        with torch.autocast(hidden_NW.device.type, enabled=False):
            x_NW, w_VW = hidden_NW.to(dtype), head_VW.to(dtype)
            sums = torch.zeros(2, dtype=torch.float32, device=x_NW.device)
            grad_hidden_NW = torch.empty_like(x_NW) if wants_grad else x_NW
            wide = torch.float32 if dtype == torch.float16 else dtype  # a sum over tokens may leave fp16's range
            grad_head_VW = torch.zeros_like(head_VW, dtype=wide) if wants_grad else head_VW
            for start in range(0, len(labels_N), CHUNK_TOKENS):
                here = slice(start, start + CHUNK_TOKENS)
                counts_C1 = (labels_N[here] != IGNORE)[:, None]
                picks_C1 = labels_N[here].clamp(min=0)[:, None]
                logits_CV = (x_NW[here] @ w_VW.T).float()
                log_z_C1 = logits_CV.logsumexp(dim=1, keepdim=True)
                cross_C1 = log_z_C1 - logits_CV.gather(1, picks_C1)
                sums[0] += torch.where(counts_C1, cross_C1, 0.0).sum()
                sums[1] += z_weight * torch.where(counts_C1, log_z_C1.square(), 0.0).sum()
                if wants_grad:
                    # d(cross)/d(logit) = p - onehot; d(z·log²Z)/d(logit) = 2z·logZ·p
                    grad_CV = logits_CV.sub_(log_z_C1).exp_()
                    if z_weight:
                        grad_CV.mul_(1.0 + 2.0 * z_weight * log_z_C1)
                    grad_CV.scatter_add_(1, picks_C1, torch.full_like(log_z_C1, -1.0))
                    grad_CV = grad_CV.mul_(counts_C1).to(dtype)
                    torch.mm(grad_CV, w_VW, out=grad_hidden_NW[here])
                    grad_head_VW += grad_CV.to(wide).T @ x_NW[here].to(wide)
        if wants_grad:
            ctx.save_for_backward(grad_hidden_NW, grad_head_VW)
            ctx.hidden_dtype = hidden_NW.dtype
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden_NW, grad_head_VW = ctx.saved_tensors
        scale = grads[0][0]
        return grad_hidden_NW.to(ctx.hidden_dtype) * scale, grad_head_VW * scale, None, None, None
