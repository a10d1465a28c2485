"""Everything that changes while a run trains, as named tensors and numbers: what a checkpoint holds, no more."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from gnomon.base.errors import IntegrityError
from gnomon.config import Dtype
from gnomon.data.streaming.stream import NUMBERING
from gnomon.events.types import Validated
from gnomon.model.lm import LanguageModel
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.schema import Count
from gnomon.store.tensors import Spec, share, slice_key
from gnomon.train.guard import Guard
from gnomon.train.heads import Budget
from gnomon.train.noise import Noise
from gnomon.train.optim import Optimizer
from gnomon.train.readback import Readback
from gnomon.train.schedule import Schedule
from gnomon.train.shard import Held, Sharding, Whole

ROUNDING = 1e-6  # of a step; what the sum of so many shares may be off


class Unsound(IntegrityError):
    """A checkpoint is whole, and holds values that no training could have made."""


@dataclass
class State:
    """A run in motion. The first block is fixed for the run; the second is what a checkpoint holds."""

    schedule: Schedule
    heads_schedule: Schedule
    readback: Readback
    device: str
    dtype: Dtype
    clip: float
    z_loss: float
    seed: int
    exact: bool  # sums in an order that does not depend on the number of processes

    model: LanguageModel
    optimizer: Optimizer
    guard: Guard
    sharding: Sharding = field(default_factory=Whole)
    noise: Noise | None = None  # where it is measured
    budget: Budget | None = None  # of the heads, where there are any
    init: dict[str, str] | None = None  # checkpoint of an earlier run that it begins with, as its plan has it
    step: int = 0  # batches done
    done: float = 0.0  # of the schedule's steps, each of the plan's rows: `step`, unless batches had other sizes
    row: int = 0  # next row of the stream: the whole data cursor
    tokens: int = 0  # loss-bearing tokens seen
    best_loss: float = float("inf")  # of the validations so far
    since_best: int = 0  # validations since then
    saved_at: int = field(default=-1)  # step of the newest checkpoint of this process

    @property
    def finished(self) -> bool:
        """Whether all of the schedule's steps are done."""
        return self.done > self.schedule.steps - ROUNDING

    def judge(self, event: Validated) -> Validated:
        """Return the validation with its place among those before it, and remember it."""
        best = event.loss < self.best_loss
        self.best_loss = min(self.best_loss, event.loss)  # in this order a loss that is not a number changes nothing
        self.since_best = 0 if best else self.since_best + 1
        return event.model_copy(update={"best": best, "since_best": self.since_best})


class Numbers(BaseModel):
    """What state.json holds. Randomness is derived from (seed, step), see `base/seeds.py`, and needs no state."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    seed: int
    step: Count
    done: Annotated[float, Field(ge=0)] | None = None  # None: `step`, before batches could have other sizes
    row: Count
    tokens: Count
    best_loss: Annotated[float, Field(ge=0)] | Literal["inf"]
    since_best: Count
    threads: Count
    torch: str
    numbering: Count = 1  # the rule by which `row` is meant, see data/streaming/stream.py; 1: before it was kept
    decisions: Count = 0  # entries of the journal that the state knows of; none were made under schema 1


def numbers_of(state: State, decisions: int) -> dict[str, Any]:
    """Return the state's numbers as state.json holds them."""
    numbers = Numbers(
        seed=state.seed,
        step=state.step,
        done=state.done,
        row=state.row,
        tokens=state.tokens,
        best_loss=state.best_loss if math.isfinite(state.best_loss) else "inf",
        since_best=state.since_best,
        threads=torch.get_num_threads(),
        torch=torch.__version__.split("+")[0],
        numbering=NUMBERING,
        decisions=decisions,
    )
    return numbers.model_dump()


def read_numbers(checkpoint: Checkpoint) -> Numbers:
    """Return a checkpoint's numbers. Raises IntegrityError when they are not what they should be."""
    try:
        numbers = Numbers.model_validate(checkpoint.state())
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise IntegrityError(f"state.json: {place}: {first['msg']}", where=str(checkpoint.path)) from None
    if numbers.step != checkpoint.step:
        raise IntegrityError(f"state.json is of step {numbers.step:,}", where=str(checkpoint.path))
    return numbers


def held_of(state: State) -> dict[str, dict[str, Held]]:
    """Return all tensors of the run by kind of file (`model`, `optimizer`) and name, and what is held of them here."""
    guard = {f"guard.{name}": Held(tensor, tensor) for name, tensor in state.guard.tensors().items()}
    noise = state.noise.tensors() if state.noise else {}
    guard |= {f"noise.{name}": Held(tensor, tensor) for name, tensor in noise.items()}
    budget = state.budget.tensors() if state.budget else {}
    guard |= {f"budget.{name}": Held(tensor, tensor) for name, tensor in budget.items()}
    return {
        "model": state.sharding.weights(state.model),
        "optimizer": state.sharding.moments(state.optimizer) | guard,
    }


def tensors_of(state: State) -> dict[str, dict[str, Tensor]]:
    """Return the live tensors of this process by kind of file (`model`, `optimizer`) and name."""
    return {
        kind: {name: held.local for name, held in tensors.items() if held.local is not None}
        for kind, tensors in held_of(state).items()
    }


def file_name(kind: str, rank: int, world: int) -> str:
    """Return the name of one rank's file of a kind."""
    return f"{kind}.safetensors" if world == 1 else f"{kind}-{rank + 1:05d}-of-{world:05d}.safetensors"


def shares(tensors: dict[str, Held], rank: int, world: int) -> tuple[list[Spec], list[Tensor]]:
    """Return what one rank writes: what only it holds; and of what all hold, its rows of every tensor that has enough.

    What all hold and has fewer rows than there are processes is written whole by the first.
    """
    specs, views = [], []
    for name, (whole, tensor, start, everywhere) in tensors.items():
        if tensor is None or (tensor.numel() == 0 and whole.numel() > 0):
            continue
        key, view = name, tensor
        if not everywhere:
            if tensor.shape != whole.shape:
                key = slice_key(name, start, start + len(tensor))
        elif world > 1 and tensor.ndim > 0 and len(tensor) >= world:
            start, stop = share(len(tensor), rank, world)
            key, view = slice_key(name, start, stop), tensor[start:stop]
        elif rank > 0:
            continue
        specs.append(Spec(key, str(view.dtype).removeprefix("torch."), tuple(view.shape)))
        views.append(view)
    return specs, views


def load_checkpoint(state: State, checkpoint: Checkpoint) -> None:
    """Put a checkpoint into `state`, in place, however many processes wrote it: all of it, or nothing.

    Raises IntegrityError when it does not fit the run's model or holds values that cannot be right.
    """
    where, numbers = str(checkpoint.path), read_numbers(checkpoint)
    if numbers.threads != torch.get_num_threads():
        raise IntegrityError(
            f"the run was trained with {numbers.threads} threads and this process has {torch.get_num_threads()}",
            where=where,
            do="the resumed run would not be the same run; train on a machine with as many cores",
        )
    if numbers.seed != state.seed:
        raise IntegrityError(f"the checkpoint is of seed {numbers.seed} and the run of {state.seed}", where=where)
    stored = {name: torch.from_numpy(a) for kind in ("model", "optimizer") for name, a in _arrays(checkpoint, kind)}
    live = {name: held for tensors in held_of(state).values() for name, held in tensors.items()}
    if checkpoint.manifest.written_schema == 1:
        fresh = Guard("cpu", fp16=state.dtype == "fp16")  # it came with schema 2
        stored = {f"guard.{name}": tensor for name, tensor in fresh.tensors().items()} | stored
    _refuse_other_tensors(stored, {name: held.whole for name, held in live.items()}, where)
    weights = {name: tensor for name, tensor in stored.items() if not name.startswith("guard.")}
    guard = {name.removeprefix("guard."): tensor for name, tensor in stored.items() if name.startswith("guard.")}
    if wrong := state.optimizer.unsound(weights) + state.guard.unsound(guard):
        raise Unsound(
            f"the checkpoint holds values that cannot be right: {wrong[0]}"
            + (f", and {len(wrong) - 1} tensors more" if len(wrong) > 1 else ""),
            where=where,
        )
    with torch.no_grad():
        for name, held in live.items():
            if held.local is not None:
                rows = slice(held.start, held.start + len(held.local)) if held.local.ndim else ...
                held.local.copy_(stored[name][rows])
    state.step, state.row, state.tokens = numbers.step, numbers.row, numbers.tokens
    state.done = float(numbers.step if numbers.done is None else numbers.done)
    state.best_loss, state.since_best = float(numbers.best_loss), numbers.since_best


def _arrays(checkpoint: Checkpoint, kind: str) -> list[tuple[str, np.ndarray]]:
    return list(checkpoint.tensors(kind).items())


def _refuse_other_tensors(stored: dict[str, Tensor], live: dict[str, Tensor], where: str) -> None:
    for name in sorted(stored.keys() | live.keys()):
        if name not in stored or name not in live:
            why = "is missing" if name not in stored else "is not part of the model"
        elif stored[name].shape != live[name].shape or stored[name].dtype != live[name].dtype:
            is_, was = stored[name], live[name]
            why = f"is {is_.dtype} {list(is_.shape)} instead of {was.dtype} {list(was.shape)}"
        else:
            continue
        raise IntegrityError(
            f"the checkpoint does not fit this run's model: {name} {why}",
            where=where,
            do="train in another `out` folder, or restore the run's own config",
        )
