"""One optimizer step: the one place where weights change.

Nothing here waits for the device: no `.item()`, no branch on a tensor's value, no file, no log line.
"""

import torch
from torch import Tensor

from gnomon.base.errors import TrainingError
from gnomon.base.seeds import derive
from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.stream import Batch
from gnomon.events.types import Event, MemoryShort
from gnomon.model.attention import Segments
from gnomon.model.loss import next_token_loss
from gnomon.train.guard import OK
from gnomon.train.noise import square
from gnomon.train.parallel import ALONE, Line, Tree, World
from gnomon.train.precision import autocast
from gnomon.train.readback import Note
from gnomon.train.state import State

MEMORY_WORDS = ("can't allocate memory", "Cannot allocate memory", "MemoryError")
"""Of torch's allocator; of a compiler that could not be started; of memory that was short while torch compiled."""


def step(state: State, batch: Batch, world: World = ALONE) -> list[Event]:
    """Train on one batch and return the events that have arrived, which are none between log points.

    The loss is the sum over all micro-batches divided by the batch's count of loss-bearing tokens. A step whose loss or
    gradient is not finite, or far above the usual, leaves weights, moments and step count as they were, bit for bit.
    Where memory was short, in this process or another, nothing has changed and the only event says so.
    """
    if batch.accept:
        state.guard.forget()
    lr = state.schedule.rate_until(state.done + batch.share) * batch.rate_factor
    sums = torch.zeros(2 if state.noise else 1, device=state.device)  # loss, and squared norms of the passes
    short: str | None = None
    try:
        gradients = _gradients(state, batch, world, sums)
    except (RuntimeError, MemoryError) as e:  # torch.OutOfMemoryError is a RuntimeError
        if not is_memory_error(e):
            raise
        if state.sharding.lockstep:  # the others wait within this very pass
            raise TrainingError(
                f"memory was short in a pass of {batch.micro_rows} rows: {e}",
                where=f"step {state.step:,}",
                do="train in another `out` folder with fewer train.micro_rows, or with more processes",
            ) from None
        gradients, short = [], str(e).splitlines()[0] if str(e) else type(e).__name__
    if world.any(short is not None):
        state.optimizer.clear()
        del gradients
        if state.device == "cuda":
            torch.cuda.empty_cache()
        return [MemoryShort(step=state.step, micro_rows=batch.micro_rows, why=short or "in another process")]
    state.sharding.sum_(sums, gradients, exact=state.exact)
    loss, scale = sums[0], state.guard.scale.clone()  # judging may change the scale
    norm, verdict = _apply(state, gradients, loss, lr, scale, batch.first_row)
    state.step += 1
    state.done += batch.share
    state.row = batch.next_row
    state.tokens += batch.loss_tokens
    t = state.guard.tensors()
    results = [loss, norm, verdict, t["in_a_row"], t["recent"].sum(), t["since_row"], t["scale"]]
    if state.noise:
        squares, ok = sums[1] / scale.square(), verdict == OK
        measured = state.noise.measure(squares, norm, ok, tokens=batch.loss_tokens, evenness=batch.evenness)
        results.append(measured)
    state.readback.write(
        results,
        Note(state.step, lr, state.tokens, batch.first_row, len(batch.row_ids), state.done),
        batch.loss_tokens,
    )
    return list(state.readback.due())


def is_memory_error(error: BaseException) -> bool:
    """Return whether this is the device's or the machine's way to say that memory is short."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in said for word in MEMORY_WORDS)


def _gradients(state: State, batch: Batch, world: World, sums: Tensor) -> list[Tensor]:
    """Return this process's part of the batch's gradients, parameter by parameter, times the guard's scale.

    Its part of the loss is added to `sums`, and where noise is measured that of the squared norms of the micro-batches'
    gradients, so scaled. With `exact`, all are summed in the order of a tree over micro-batches.
    """
    parameters = [p for p in state.model.parameters() if p.requires_grad]
    apart = Tree() if state.exact else Line() if state.noise else None  # adds up what each micro-batch gives
    for i, rows in enumerate(batch.micros):
        torch.manual_seed(derive(state.seed, "step", state.step, "micro", world.rank * len(batch.micros) + i))
        part = _accumulate(state, rows, batch.loss_tokens)
        if apart is None:
            sums += part
            continue
        own = [p.grad for p in parameters if p.grad is not None]
        apart.add([torch.stack([part, square(own)]) if state.noise else part[None], *own])
        state.optimizer.clear()
    if apart is None:
        return state.sharding.gradients(state.model)
    total, *gradients = apart.total()
    sums += total
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return gradients


def _accumulate(state: State, rows: Rows, batch_tokens: int) -> Tensor:
    """Add one micro-batch's gradients to the weights' and return its share of the batch's loss."""
    with autocast(state.device, state.dtype):
        kernels = state.model.kernels
        pieces = Segments(rows.buckets, rows.inverse) if kernels is None else rows.segments
        output = state.model(rows.tokens, rows.positions, pieces)
        logits = None if kernels is None else kernels.logits
        cross, z = next_token_loss(output.hidden, state.model.head, rows.labels, state.z_loss, logits)
        extra = sum(output.losses.values(), torch.zeros((), device=state.device))
    total = (cross + z + extra) / batch_tokens
    (total * state.guard.scale if state.dtype == "fp16" else total).backward()
    return cross.detach() / batch_tokens


def _apply(
    state: State, gradients: list[Tensor], loss: Tensor, lr: float, scale: Tensor, row: int
) -> tuple[Tensor, Tensor]:
    """Clip, judge, update and clear gradients, `scale` times what they are; return norm before clipping, and verdict.

    One pass over the gradients finds the norm. Scaling back, clipping and skipping are the optimizer's.
    """
    scaled = state.sharding.norm(gradients)
    norm = scaled / scale
    verdict = state.guard.judge(loss, norm, step=state.step, row=row)
    state.optimizer.step(lr, scale * (norm / state.clip).clamp(min=1.0), verdict != OK)
    state.sharding.settle()
    state.optimizer.clear()
    return norm, verdict
