"""The one vocabulary of a run: events (what happened), requests (what shall happen), checks (what to measure).

Events and requests are frozen values. An observer sees events and answers with requests; only `train/act.py`
carries requests out. A check may look at the live model and returns an event.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Event(_Value):
    """Something that happened: `kind` names it (a string that each class fixes), `time` is seconds since 1970.

    `attempt` counts the starts of the run.
    """

    kind: Any
    time: float = Field(default_factory=time.time)
    attempt: int = 0


class RunStarted(Event):
    """A process began to train a run, from the start or from a checkpoint."""

    kind: Literal["run_started"] = "run_started"
    run: str
    step: int  # 0, or where the run goes on
    steps: int
    resumed_from: str | None = None


class StepDone(Event):
    """One optimizer step. `loss` is nats per loss-bearing token; `grad_norm` is before clipping."""

    kind: Literal["step"] = "step"
    step: int
    loss: float
    grad_norm: float
    lr: float
    tokens: int  # loss-bearing tokens seen so far
    skipped: bool  # the step was not finite and left the weights alone
    tokens_per_second: float
    memory_bytes: int


class Validated(Event):
    """Loss on held-out text, nats a token, and how it stands among the validations before."""

    kind: Literal["validated"] = "validated"
    step: int
    loss: float
    bits_per_byte: float
    tokens: int
    best: bool = False  # better than all validations before
    since_best: int = 0  # validations since the best one


class Sampled(Event):
    """What the model wrote after a prompt."""

    kind: Literal["sampled"] = "sampled"
    step: int
    prompt: str
    text: str


class CheckpointSaved(Event):
    """A checkpoint is on disk and was read back whole; `reason` is best, rolling, or why the run ended."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: int
    checkpoint: str
    bytes: int
    seconds: float
    reason: str


class CheckpointDamaged(Event):
    """A checkpoint did not hold what its manifest says; it was set aside and an older one is used."""

    kind: Literal["checkpoint_damaged"] = "checkpoint_damaged"
    checkpoint: str
    why: str


class SaveFailed(Event):
    """A save could not be finished; the checkpoints before it are untouched and training goes on."""

    kind: Literal["save_failed"] = "save_failed"
    step: int
    why: str


class DataSkipped(Event):
    """Rows of the stream were left out; the journal says so too."""

    kind: Literal["data_skipped"] = "data_skipped"
    step: int
    rows: int
    why: str


class SaveDue(Event):
    """The steps between two rolling checkpoints have passed."""

    kind: Literal["save_due"] = "save_due"
    step: int


class InterruptAsked(Event):
    """The process got SIGINT or SIGTERM and will end after this step."""

    kind: Literal["interrupt_asked"] = "interrupt_asked"
    step: int
    signal: str


class RunStopped(Event):
    """A process stopped training; `reason` is one of finished, early_stop, interrupted, not_finite."""

    kind: Literal["run_stopped"] = "run_stopped"
    step: int
    reason: str
    seconds: float


class Request(_Value):
    """Something an observer asks for; `why` goes into the record."""

    why: str


class SkipData(Request):
    """Leave out the next `rows` rows of the stream. Journalled, so that a resumed run skips them too."""

    rows: int = Field(gt=0)


class Save(Request):
    """Write a checkpoint after this step."""


class Stop(Request):
    """End the run after this step; the state is saved first."""

    reason: str


Observer = Callable[[Event], Iterable[Request]]


@dataclass(frozen=True)
class Check:
    """A read-only look at the live model after every `every` steps: `run(model, step)` returns events."""

    name: str
    every: int
    run: Callable[[Any, int], Iterable[Event]]
