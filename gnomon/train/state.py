"""Everything that changes while a run trains, and its form on disk: safetensors and JSON, nothing else."""

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, finite
from gnomon.config import Dtype
from gnomon.events.types import Validated
from gnomon.model.lm import LanguageModel
from gnomon.train.optim import load_optimizer_tensors, optimizer_tensors
from gnomon.train.readback import Readback
from gnomon.train.schedule import Schedule

MODEL_FILE, OPTIMIZER_FILE, STATE_FILE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass
class State:
    """A run in motion. The first block is fixed for the run; the second is what a checkpoint holds."""

    schedule: Schedule
    readback: Readback
    device: str
    dtype: Dtype
    clip: float
    z_loss: float
    seed: int

    model: LanguageModel
    optimizer: torch.optim.AdamW
    step: int = 0  # optimizer steps done
    row: int = 0  # next row of the stream: the whole data cursor
    tokens: int = 0  # loss-bearing tokens seen
    best_loss: float = float("inf")  # of the validations so far
    since_best: int = 0  # validations since then
    saved_at: int = field(default=-1)  # step of the newest checkpoint of this process

    def judge(self, event: Validated) -> Validated:
        """Return the validation with its place among those before it, and remember it."""
        best = event.loss < self.best_loss
        self.best_loss = min(event.loss, self.best_loss)
        self.since_best = 0 if best else self.since_best + 1
        return event.model_copy(update={"best": best, "since_best": self.since_best})


def to_files(state: State) -> dict[str, bytes]:
    """Return the state as file contents by name.

    Randomness is derived from (seed, step), see `base/seeds.py`, so seed and step are the whole of it.
    """
    numbers = {
        "seed": state.seed,
        "step": state.step,
        "row": state.row,
        "tokens": state.tokens,
        "best_loss": finite(state.best_loss),
        "since_best": state.since_best,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__.split("+")[0],
    }
    tensors = {name: tensor.detach() for name, tensor in state.model.state_dict().items()}
    moments = optimizer_tensors(state.optimizer, state.model)
    return {MODEL_FILE: save(tensors), OPTIMIZER_FILE: save(moments), STATE_FILE: canonical_json(numbers)}


def from_files(state: State, files: dict[str, bytes], *, where: str) -> None:
    """Put a checkpoint's files into `state`, in place. Raises IntegrityError when they do not fit it."""
    try:
        tensors, moments = load(files[MODEL_FILE]), load(files[OPTIMIZER_FILE])
        numbers: dict[str, Any] = json.loads(files[STATE_FILE])
        state.model.load_state_dict(tensors, strict=True)
        load_optimizer_tensors(state.optimizer, state.model, moments)
        state.step, state.row, state.tokens = numbers["step"], numbers["row"], numbers["tokens"]
        state.best_loss, state.since_best = float(numbers["best_loss"]), numbers["since_best"]
    except (KeyError, RuntimeError, SafetensorError, ValueError) as e:
        raise IntegrityError(
            f"the checkpoint does not fit this run's model: {e}",
            where=where,
            do="train in another `out` folder, or restore the run's own config",
        ) from e
    if numbers["threads"] != torch.get_num_threads():
        raise IntegrityError(
            f"the run was trained with {numbers['threads']} threads and this process has {torch.get_num_threads()}",
            where=where,
            do="the resumed run would not be the same run; train on a machine with as many cores",
        )
