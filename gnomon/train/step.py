"""One optimizer step: the one place where weights change.

Nothing here waits for the device: no `.item()`, no branch on a tensor's value, no file, no log line.
"""

from typing import Any

import torch
from torch import Tensor

from gnomon.base.seeds import derive
from gnomon.data.stream import Batch, Rows
from gnomon.events.types import StepDone
from gnomon.model.attention import Segments
from gnomon.model.loss import next_token_loss
from gnomon.train.precision import autocast
from gnomon.train.state import State


def step(state: State, batch: Batch) -> list[StepDone]:
    """Train on one batch and return the events that have arrived, which are none between log points.

    The loss is the sum over all micro-batches divided by the batch's count of loss-bearing tokens. A step whose loss or
    gradient is not finite leaves weights, moments and step count as they were, bit for bit.
    """
    torch.manual_seed(derive(state.seed, "step", state.step))
    lr = state.schedule.rate(state.step)
    loss = torch.zeros((), device=state.device)
    for rows in batch.micros:
        loss += _accumulate(state, rows, batch.loss_tokens)
    norm = _apply(state, loss, lr)
    state.step += 1
    state.row = batch.next_row
    state.tokens += batch.loss_tokens
    state.readback.write(
        loss,
        norm,
        torch.isfinite(loss + norm),
        step=state.step,
        lr=lr,
        tokens=state.tokens,
        new=batch.loss_tokens,
    )
    return state.readback.due()


def _accumulate(state: State, rows: Rows, batch_tokens: int) -> Tensor:
    """Add one micro-batch's gradients to the weights' and return its share of the batch's loss."""
    with autocast(state.device, state.dtype):
        output = state.model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse))
        cross, z = next_token_loss(output.hidden, state.model.head, rows.labels, state.z_loss)
        extra = sum(output.losses.values(), torch.zeros((), device=state.device))
    ((cross + z + extra) / batch_tokens).backward()
    return cross.detach() / batch_tokens


def _apply(state: State, loss: Tensor, lr: float) -> Tensor:
    """Clip, check, update and clear the gradients; return their norm before clipping.

    One pass over the gradients finds the norm. Clipping and skipping happen inside the fused kernel: it divides by
    `grad_scale` and leaves everything alone where `found_inf` is 1.
    """
    gradients = [p.grad for p in state.model.parameters() if p.grad is not None]
    norm = torch.stack(torch._foreach_norm(gradients)).norm()  # pyright: ignore[reportPrivateImportUsage]
    kernel: Any = state.optimizer  # the fused kernel's two inputs are not in the class's type
    kernel.grad_scale = (norm / state.clip).clamp(min=1.0)
    kernel.found_inf = (~torch.isfinite(norm + loss)).float()
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    return norm
