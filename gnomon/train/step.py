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
from gnomon.taxonomy import HEAD_LOSSES
from gnomon.train.guard import OK
from gnomon.train.heads import HeadPass, apart, clip_, label_counts
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
    done = state.done + batch.share
    lr, heads_lr = (one.rate_until(done) * batch.rate_factor for one in (state.schedule, state.heads_schedule))
    figures = state.budget.figures if state.budget else 0
    # loss, what is told of heads, and squared norms of the passes
    sums = torch.zeros(1 + figures + (state.noise is not None), device=state.device)
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
    norm, verdict = _apply(state, gradients, loss, (lr, heads_lr), scale, batch.first_row)
    state.step += 1
    state.done += batch.share
    state.row = batch.next_row
    state.tokens += batch.loss_tokens
    t = state.guard.tensors()
    results = [loss, norm, verdict, t["in_a_row"], t["recent"].sum(), t["since_row"], t["scale"]]
    if state.noise:
        squares, ok = sums[-1] / scale.square(), verdict == OK
        measured = state.noise.measure(squares, norm, ok, tokens=batch.loss_tokens, evenness=batch.evenness)
        results.append(measured)
    if state.budget:
        state.budget.measure(sums[1 + len(HEAD_LOSSES) : 1 + figures], verdict == OK)
        results += sums[1 : 1 + len(HEAD_LOSSES)].unbind()
    state.readback.write(
        results,
        Note(state.step, lr, state.tokens, batch.first_row, len(batch.row_ids), state.done, label_counts(batch)),
        batch.loss_tokens,
    )
    return list(state.readback.due())


def is_memory_error(error: BaseException) -> bool:
    """Return whether this is the device's or the machine's way to say that memory is short."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in said for word in MEMORY_WORDS)


def _gradients(state: State, batch: Batch, world: World, sums: Tensor) -> list[Tensor]:
    """Return this process's part of the batch's gradients, parameter by parameter, times the guard's scale.

    Its part of the loss is added to `sums`, of what is told of heads, and where noise is measured of the squared norms
    of the micro-batches' gradients, heads' aside, so scaled. With `exact`, all are summed in the order of a tree over
    micro-batches.
    """
    parameters = [p for p in state.model.parameters() if p.requires_grad]
    by_pass = Tree() if state.exact else Line() if state.noise else None  # adds up what each micro-batch gives
    share = state.budget.share(state.done) if state.budget else None
    for i, rows in enumerate(batch.micros):
        torch.manual_seed(derive(state.seed, "step", state.step, "micro", world.rank * len(batch.micros) + i))
        part = _accumulate(state, rows, batch, share)
        if batch.beside and (more := batch.beside[i]) is not None:
            torch.manual_seed(derive(state.seed, "step", state.step, "beside", world.rank * len(batch.micros) + i))
            part = part + _accumulate_heads(state, more, batch, share)
        if by_pass is None:
            sums += part
            continue
        own = [p.grad for p in parameters if p.grad is not None]
        if state.noise:
            part = torch.cat([part, square(apart(state.model.heads, own)[0])[None]])
        by_pass.add([part, *own])
        state.optimizer.clear()
    if by_pass is None:
        return state.sharding.gradients(state.model)
    total, *gradients = by_pass.total()
    sums += total
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    return gradients


def _accumulate(state: State, rows: Rows, batch: Batch, share: Tensor | None) -> Tensor:
    """Add one micro-batch's gradients to the weights', of the heads' a `share`; return its part of the batch's loss,
    and what is told of heads.
    """
    heads = HeadPass(state.budget, rows.targets, share) if state.budget else None
    with autocast(state.device, state.dtype):
        kernels = state.model.kernels
        pieces = Segments(rows.buckets, rows.inverse) if kernels is None else rows.segments
        marks = heads and heads.marks
        output = state.model(rows.tokens, rows.positions, pieces, marks=marks, labels_BT=rows.labels)
        logits = None if kernels is None else kernels.logits
        cross, z = next_token_loss(output.hidden, state.model.head, rows.labels, state.z_loss, logits)
        extra = sum(output.losses.values(), torch.zeros((), device=state.device))
    tokens = max(1, batch.loss_tokens)  # 0: a batch of questions that are only to be told apart
    total = (cross + z + extra) / tokens
    if heads:
        total = total + heads.loss(output, batch)
    (total * state.guard.scale if state.dtype == "fp16" else total).backward()
    loss = cross.detach()[None] / tokens
    return torch.cat([loss, heads.figures(state.guard.scale)]) if heads else loss


def _accumulate_heads(state: State, rows: Rows, batch: Batch, share: Tensor | None) -> Tensor:
    """Do the same for rows that heads alone learn from: of the language's loss they have no part."""
    assert state.budget
    heads = HeadPass(state.budget, rows.targets, share)
    with autocast(state.device, state.dtype):
        pieces = Segments(rows.buckets, rows.inverse)
        output = state.model(rows.tokens, rows.positions, pieces, marks=heads.marks)
        total = heads.loss(output, batch)
    (total * state.guard.scale if state.dtype == "fp16" else total).backward()
    return torch.cat([torch.zeros(1, device=total.device), heads.figures(state.guard.scale)])


def _apply(
    state: State, gradients: list[Tensor], loss: Tensor, rates: tuple[float, float], scale: Tensor, row: int
) -> tuple[Tensor, Tensor]:
    """Clip, judge, update and clear gradients, `scale` times what they are; return norm before clipping, and verdict.
    `rates` are the language's and the heads'.

    One pass over the gradients finds the norm. Scaling back, clipping and skipping are the optimizer's. The norm is
    that of the language's weights; heads are clipped by themselves, and where theirs is not finite it is not either.
    """
    trunk, heads = apart(state.model.heads, gradients)
    scaled = state.sharding.norm(trunk)
    if heads:
        own = state.sharding.norm(heads)
        scaled = scaled + 0.0 * own
        clip_(heads, own, state.clip * scale)
    norm = scaled / scale
    verdict = state.guard.judge(loss, norm, step=state.step, row=row)
    lr, heads_lr = rates
    state.optimizer.step(lr, scale * (norm / state.clip).clamp(min=1.0), verdict != OK, heads_lr)
    state.sharding.settle()
    state.optimizer.clear()
    return norm, verdict
