"""Next-token loss in chunks, so that the logits of a batch are never whole in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

IGNORE = -100
"""Label of a place that bears no loss."""

CHUNK_TOKENS = 2048
"""Rows of logits held at once: at a vocabulary of 32,768 and float32, 256 MiB."""

PART = 1 << 20
"""Logits that are float32 at once on a CPU: what a cache holds."""


LogitKernel = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""What `logit_gradient` is, the same compiled, or the same in parts."""


def next_token_loss(
    hidden: Tensor, head: Tensor, labels: Tensor, z_weight: float = 0.0, kernel: LogitKernel | None = None
) -> tuple[Tensor, Tensor]:
    """Return the summed cross-entropy in nats, and `z_weight` times the summed log²Z, over labels that are not IGNORE.

    `hidden` [..., W], `head` [vocabulary, W], `labels` [...] int64. Sums, not means: who calls divides by the
    global count of loss-bearing tokens, so that accumulation, packing and ranks agree. Products run in
    bfloat16 under autocast; softmax and sums are float32. Gradients are found chunk by chunk in the forward
    pass. `kernel` computes what `logit_gradient` does.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    losses: Tensor = _ChunkedCrossEntropy.apply(
        hidden.flatten(0, -2), head, labels.flatten(), z_weight, dtype, kernel or _in_place
    )
    return losses[0], losses[1]


def token_losses(hidden: Tensor, head: Tensor, labels: Tensor) -> Tensor:
    """Return each token's cross-entropy in nats, float32 [...]; 0 where the label is IGNORE.

    Logits of a chunk are found anew on the way back, so that those of a batch are never whole in memory here either.
    """
    kind = hidden.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    losses: Tensor = _TokenCrossEntropy.apply(hidden.flatten(0, -2), head, labels.flatten(), dtype)
    return losses.view(labels.shape)


def logit_gradient(logits_CV: Tensor, labels_C: Tensor, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return the two summed losses of a chunk, [2] float32, and the gradient of the logits, in their dtype.

    float32 logits are overwritten. d(cross)/d(logit) = p - onehot; d(z·log²Z)/d(logit) = 2z·logZ·p.
    """
    wide_CV = logits_CV.float()
    sums, log_z_C1 = _losses(wide_CV, labels_C, z_weight)
    counts_C1, picks_C1 = (labels_C != IGNORE)[:, None], labels_C.clamp(min=0)[:, None]
    grad_CV = wide_CV.sub_(log_z_C1).exp_()
    if z_weight:
        grad_CV.mul_(1.0 + 2.0 * z_weight * log_z_C1)
    if torch.compiler.is_compiling():  # in one pass with all the rest, where a scatter would need its own
        places_V = torch.arange(grad_CV.shape[1], device=grad_CV.device, dtype=torch.int32)  # as wide as float32
        grad_CV = grad_CV - (places_V == picks_C1.int()).float()
    else:
        grad_CV.scatter_add_(1, picks_C1, torch.full_like(log_z_C1, -1.0))
    return sums, grad_CV.mul_(counts_C1).to(logits_CV.dtype)


def _in_place(logits_CV: Tensor, labels_C: Tensor, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return what `logit_gradient` returns; on a CPU found part by part, in the memory of the logits."""
    if logits_CV.device.type != "cpu":
        return logit_gradient(logits_CV, labels_C, z_weight)
    sums = torch.zeros(2)
    for logits, labels in _parts(logits_CV, labels_C):
        part, grad = logit_gradient(logits, labels, z_weight)
        sums += part
        if grad.data_ptr() != logits.data_ptr():
            logits.copy_(grad)
    return sums, logits_CV


def _parts(logits_CV: Tensor, labels_C: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield some rows after others on a CPU, all at once elsewhere."""
    rows = max(1, PART // logits_CV.shape[1]) if logits_CV.device.type == "cpu" else len(labels_C)
    yield from zip(logits_CV.split(rows), labels_C.split(rows), strict=True)


def _losses(wide_CV: Tensor, labels_C: Tensor, z_weight: float) -> tuple[Tensor, Tensor]:
    """Return the two summed losses, and log Z of each row, [C, 1]."""
    log_z_C1 = wide_CV.logsumexp(dim=1, keepdim=True)
    cross_C1 = log_z_C1 - wide_CV.gather(1, labels_C.clamp(min=0)[:, None])
    both_2C = torch.cat([cross_C1, z_weight * log_z_C1.square()], dim=1).T
    return torch.where(labels_C != IGNORE, both_2C, 0.0).sum(1), log_z_C1


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Both sums as a vector of two; the gradient of the second may only be asked for together with the first's."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_NW: Tensor,
        head_VW: Tensor,
        labels_N: Tensor,
        z_weight: float,
        dtype: torch.dtype,
        kernel: LogitKernel,
    ) -> Tensor:
        wants_grad = hidden_NW.requires_grad or head_VW.requires_grad
        with torch.autocast(hidden_NW.device.type, enabled=False):
            x_NW, w_VW = hidden_NW.to(dtype), head_VW.to(dtype)
            sums = torch.zeros(2, dtype=torch.float32, device=x_NW.device)
            grad_hidden_NW = torch.empty_like(x_NW) if wants_grad else x_NW
            wide = torch.float32 if dtype == torch.float16 else dtype  # a sum over tokens may leave fp16's range
            grad_head_VW = torch.empty_like(head_VW, dtype=wide) if wants_grad else head_VW
            for start in range(0, len(labels_N), CHUNK_TOKENS):
                here = slice(start, start + CHUNK_TOKENS)
                logits_CV = x_NW[here] @ w_VW.T
                if not wants_grad:
                    for logits, labels in _parts(logits_CV, labels_N[here]):
                        sums += _losses(logits.float(), labels, z_weight)[0]
                    continue
                chunk, grad_CV = kernel(logits_CV, labels_N[here], z_weight)
                sums += chunk
                torch.mm(grad_CV, w_VW, out=grad_hidden_NW[here])
                grad_head_VW.addmm_(grad_CV.to(wide).T, x_NW[here].to(wide), beta=float(start > 0))
        if wants_grad:
            ctx.save_for_backward(grad_hidden_NW, grad_head_VW)
            ctx.hidden_dtype, ctx.head_dtype = hidden_NW.dtype, head_VW.dtype
        return sums

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden_NW, grad_head_VW = ctx.saved_tensors
        scale = grads[0][0]
        whole_VW = torch.empty_like(grad_head_VW, dtype=ctx.head_dtype)
        torch.mul(grad_head_VW, scale, out=whole_VW)  # in one pass over memory
        return grad_hidden_NW.to(ctx.hidden_dtype) * scale, whole_VW, None, None, None, None


class _TokenCrossEntropy(torch.autograd.Function):
    """The loss of every token by itself; each may have another weight in what is made of them."""

    @staticmethod
    def forward(ctx: Any, hidden_NW: Tensor, head_VW: Tensor, labels_N: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(hidden_NW, head_VW, labels_N)
        ctx.dtype, parts = dtype, list[Tensor]()
        with torch.autocast(hidden_NW.device.type, enabled=False):
            for x_CW, labels_C in zip(hidden_NW.split(CHUNK_TOKENS), labels_N.split(CHUNK_TOKENS), strict=True):
                wide_CV = _wide(x_CW.to(dtype) @ head_VW.to(dtype).T)
                parts.append(
                    torch.nn.functional.cross_entropy(wide_CV, labels_C, reduction="none", ignore_index=IGNORE)
                )
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden_NW, head_VW, labels_N = ctx.saved_tensors
        grad_hidden_NW, w_VW = torch.empty_like(hidden_NW), head_VW.to(ctx.dtype)
        grad_head_VW = torch.zeros_like(head_VW)
        for start in range(0, len(labels_N), CHUNK_TOKENS):
            here = slice(start, start + CHUNK_TOKENS)
            x_CW, labels_C = hidden_NW[here].to(ctx.dtype), labels_N[here]
            grad_CV = _wide(x_CW @ w_VW.T).softmax(1)
            grad_CV.scatter_add_(1, labels_C.clamp(min=0)[:, None], grad_CV.new_full((len(labels_C), 1), -1.0))
            grad_CV *= (grads[0][here] * (labels_C != IGNORE))[:, None]
            grad_hidden_NW[here] = grad_CV.to(ctx.dtype) @ w_VW
            grad_head_VW += (grad_CV.to(ctx.dtype).T @ x_CW).to(head_VW.dtype)
        return grad_hidden_NW, grad_head_VW, None, None


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
