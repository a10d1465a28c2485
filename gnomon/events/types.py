"""The one vocabulary of a run: events (what happened), requests (what shall happen), checks (what to measure).

Events and requests are frozen values. An observer sees events and answers with requests; only `train/act.py`
carries requests out. A check may look at the live model and returns an event.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


Verdict = Literal["ok", "not_finite", "spike", "overflow"]
"""Of a step: a loss or gradient that is not finite, far above what was usual, or too large for fp16 at its scale."""


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
    init: dict[str, str] | None = None  # checkpoint that its first weights are of, with run and digest; None: its seed


class StepDone(Event):
    """One optimizer step. `loss` is nats per loss-bearing token; `grad_norm` is before clipping."""

    kind: Literal["step"] = "step"
    step: int
    loss: float
    grad_norm: float
    lr: float
    tokens: int  # loss-bearing tokens seen so far
    row: int  # of the stream, the first of this step
    rows: int = 0  # of this step; 0: not said, by a version whose batches all had the plan's
    done: float | None = None  # of the plan's steps; differs from `step` where batches had other sizes
    verdict: Verdict = "ok"  # anything else: the step left weights, moments and step count as they were
    bad_in_a_row: int = 0  # steps up to this one that were not ok, overflows aside
    bad_recently: int = 0  # of the last 200 steps
    bad_since_row: int = 0  # first row of the steps that are bad in a row
    loss_scale: float = 1.0  # of fp16
    noise_tokens: float | None = None  # the gradient noise scale, over the last steps; None: not measured, or not yet
    heads: dict[str, float] | None = None  # mean losses of heads, of which the step had labels; None: no heads
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


class SourcesValidated(Event):
    """Loss on the held-out text of each source, nats a token, of the same pass as `Validated`."""

    kind: Literal["sources_validated"] = "sources_validated"
    step: int
    row: int = 0  # that follows the step
    losses: dict[str, float]


class DepthMeasured(Event):
    """How often held-out tokens pass a model's loops, where it has some: mean, deviation, and Spearman's correlation
    with the difficulty; the loss on them, and the loss when the same loops are dealt to other tokens.
    """

    kind: Literal["depth_measured"] = "depth_measured"
    step: int
    mean: float
    deviation: float
    rank: float
    loss: float
    shuffled: float


class Sampled(Event):
    """What the model wrote after a prompt."""

    kind: Literal["sampled"] = "sampled"
    step: int
    prompt: str
    text: str


class QuestionsMeasured(Event):
    """The model was asked questions, and what it answers rightly is what the router learns from here on.

    `known` is the mean share of right answers without evidence, `again` says how many of the questions had been
    measured before, `staleness` how many steps ago those learned from were measured, in the mean. `forecast` is how
    well the heads told it beforehand, by signal: `questions` at which it was measured, the share of `yes`, `auroc`
    (None without both kinds), `brier` and `ece`. `row` follows the step.
    """

    kind: Literal["questions_measured"] = "questions_measured"
    step: int
    row: int
    file: str | None  # of the run's folder `measured`; None: not to be learned from
    questions: int
    again: int
    known: float
    staleness: float
    forecast: dict[str, dict[str, float | None]]
    seconds: float


class CheckpointSaved(Event):
    """A checkpoint is on disk and was read back whole; `reason` is best, rolling, or why the run ended."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: int
    checkpoint: str
    bytes: int
    seconds: float  # until it was on disk and verified
    stall_seconds: float  # of these, the time that training stood still
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


class SaveSkipped(Event):
    """A save was due and left out: the one before was still being written, or the run is in trouble."""

    kind: Literal["save_skipped"] = "save_skipped"
    step: int
    why: str
    skipped: int  # saves left out so far by this process


class MemoryShort(Event):
    """A step did not fit into memory; it was not taken, and nothing has changed."""

    kind: Literal["memory_short"] = "memory_short"
    step: int
    micro_rows: int
    why: str


class MicroRowsChanged(Event):
    """Forward passes have fewer rows from here on; batch and loss stay the same. The journal says so too."""

    kind: Literal["micro_rows_changed"] = "micro_rows_changed"
    step: int
    micro_rows: int
    why: str


class RowsChanged(Event):
    """Batches have another number of rows from row `at_row` on. The journal says so too."""

    kind: Literal["rows_changed"] = "rows_changed"
    step: int
    at_row: int
    rows_per_step: int
    why: str


class LengthChanged(Event):
    """No piece has more than `length` tokens from row `at_row` on. The journal says so too."""

    kind: Literal["length_changed"] = "length_changed"
    step: int
    at_row: int
    length: int
    why: str


class WeightsChanged(Event):
    """Sources have other weights from the next block of rows after row `at_row` on. The journal says so too."""

    kind: Literal["weights_changed"] = "weights_changed"
    step: int
    at_row: int
    weights: dict[str, float]
    why: str


class RequestRefused(Event):
    """What was asked for cannot be done; the run goes on as it was."""

    kind: Literal["request_refused"] = "request_refused"
    step: int
    request: str
    why: str


class RolledBack(Event):
    """The run went back to `step`; some rows ahead are left out and the rate is lower over them. The journal has it."""

    kind: Literal["rolled_back"] = "rolled_back"
    step: int  # where it went back to
    from_step: int
    checkpoint: str | None  # None: back to the start
    at_row: int
    skip_rows: int
    rate_factor: float
    why: str


class GaveUp(Event):
    """Going back did not help, or cannot: what the run shows, for people. The run stops."""

    kind: Literal["gave_up"] = "gave_up"
    step: int
    why: str
    first_row: int
    rows: int
    documents: list[str]  # that lie in these rows
    state: list[str]  # tensors whose values cannot be right, each with the reason


class DataSkipped(Event):
    """Rows of the stream were left out; the journal says so too."""

    kind: Literal["data_skipped"] = "data_skipped"
    step: int
    rows: int
    why: str


class TextShifted(Event):
    """The text of a source is not as it was when the dataset was made: other tokens, fewer kinds, or rows again and
    again. `value` is above `limit`, what chance gives; `cause` says it in words.
    """

    kind: Literal["text_shifted"] = "text_shifted"
    step: int
    source: str
    what: Literal["drift", "collapse", "repetition"]
    value: float
    limit: float
    cause: str


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
    """A process stopped training; `reason` is one of finished, early_stop, interrupted, unhealthy, out_of_memory."""

    kind: Literal["run_stopped"] = "run_stopped"
    step: int
    reason: str
    seconds: float


EVENTS: dict[str, type[Event]] = {known.model_fields["kind"].default: known for known in Event.__subclasses__()}
"""Every event by its kind."""


class Request(_Value):
    """Something an observer asks for; `why` goes into the record."""

    why: str


class SkipData(Request):
    """Leave out the next `rows` rows of the stream. Journalled, so that a resumed run skips them too."""

    rows: int = Field(gt=0)


class RollBack(Request):
    """Go back to a checkpoint before row `at_row`, and when that row comes again leave `skip_rows` rows out.

    The rate is multiplied by `rate_factor` over the next `rate_rows` rows. `accept`: the guard takes what comes then as
    the new normal. Journalled.
    """

    at_row: int
    skip_rows: int = Field(ge=0)
    rate_factor: float = Field(gt=0, le=1)
    rate_rows: int = Field(ge=0)
    accept: bool = False


class Replan(Request):
    """Serve batches of `rows_per_step` rows, pieces of at most `length` tokens, or sources with other `weights`, from
    row `at_row` on; None: from the next batch on. Weights count from the next block of rows on. Journalled.

    `seen_row` is the row that follows the last step which this was decided after; None: all steps so far. A request
    that a run shall come to again, wherever it was stopped, says both, and asks for a row that no step has reached when
    its events are told.
    """

    rows_per_step: int | None = Field(default=None, gt=0)
    length: int | None = Field(default=None, gt=0)
    weights: tuple[tuple[str, float], ...] | None = None  # of the sources; may be given as a dict
    at_row: int | None = Field(default=None, ge=0)
    seen_row: int | None = Field(default=None, ge=0)

    @field_validator("weights", mode="before")
    @classmethod
    def _in_order(cls, value: Any) -> Any:
        return tuple(sorted(value.items())) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _asks_for_something(self) -> "Replan":
        if self.rows_per_step is None and self.length is None and self.weights is None:
            raise ValueError("a Replan that asks for nothing")
        return self


class Remember(Request):
    """Let heads learn from a measurement, in this file, from row `at_row` on. Journalled."""

    file: str
    at_row: int = Field(ge=0)


class Shrink(Request):
    """Halve the rows of one forward pass. Journalled."""


class Save(Request):
    """Write a checkpoint after this step."""


class Stop(Request):
    """End the run after this step; the state is saved first."""

    reason: str


Observer = Callable[[Event], Iterable[Request]]


@dataclass(frozen=True)
class Check:
    """A read-only look at the live model after every `every` steps of the plan's size, 1: after every step of any size:
    `run(model, step)` returns events.
    """

    name: str
    every: int
    run: Callable[[Any, int], Iterable[Event]]
