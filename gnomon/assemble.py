"""Puts a run together from its plan: state, batches, checks, observers. The only builder; it decides nothing."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

import torch

from gnomon.bundle import continue_text
from gnomon.config import Config, Dtype
from gnomon.data.stream import Batch, Rows, Stream, validation_rows
from gnomon.evaluate.loss import score
from gnomon.events.types import Check, Event, Observer, Sampled, SaveDue, Validated
from gnomon.model.generate import Sampling
from gnomon.model.lm import LanguageModel, initialize
from gnomon.observe.rules import save_when_due, stop_early, stop_on_interrupt, stop_when_not_finite
from gnomon.plan import Plan
from gnomon.presets import Shape
from gnomon.store.datasets import Dataset
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.interrupts import Interrupts
from gnomon.train.optim import make_optimizer
from gnomon.train.readback import Readback
from gnomon.train.schedule import Schedule
from gnomon.train.state import State
from gnomon.train.step import step

SAMPLES_IN_A_RUN = 4
MEASURED_FLOPS = 4e11  # of one step in `measure_speed`: about a second on a small processor, whatever the model's size
SAMPLE_TOKENS = 120
OPENING_TOKENS = 12  # of a validation document, where the config names no prompts


def build_state(plan: Plan, config: Config) -> State:
    """Return the state before the first step, with weights from the plan's seed."""
    model = LanguageModel(Shape(**plan.shape))
    initialize(model, plan.seed)
    model.to(torch.device(plan.device))
    schedule = Schedule(
        kind=config.train.schedule,
        peak=plan.lr,
        steps=plan.steps,
        warmup=plan.warmup_steps,
        decay_share=config.train.decay_share,
        floor=config.train.lr_floor,
    )
    return _state(model, schedule, plan.device, plan.dtype, config, plan.seed)


def _state(model: LanguageModel, schedule: Schedule, device: str, dtype: Dtype, config: Config, seed: int) -> State:
    optimizer = make_optimizer(
        model,
        lr=schedule.peak,
        beta1=config.train.beta1,
        beta2=config.train.beta2,
        weight_decay=config.train.weight_decay,
    )
    return State(
        schedule=schedule,
        readback=Readback(config.train.log_every, device),
        device=device,
        dtype=dtype,
        clip=config.train.clip,
        z_loss=config.train.z_loss,
        seed=seed,
        model=model,
        optimizer=optimizer,
    )


def batches(plan: Plan, dataset: Dataset, journal: list[dict[str, object]], row: int) -> Iterator[Batch]:
    """Yield the run's batches from `row` on, on the plan's device, for as long as they are taken."""
    length = plan.shape["context"]
    stream = Stream(dataset, length, plan.rows_per_step, plan.micro_rows, plan.seed, journal)
    for batch in stream.batches(row):
        yield replace(batch, micros=tuple(to_device(rows, plan.device) for rows in batch.micros))


def to_device(rows: Rows, device: str) -> Rows:
    """Return the micro-batch with its tensors on `device`."""
    if device == "cpu":
        return rows
    moved = {
        k: v.to(device, non_blocking=True) for k, v in vars(rows).items() if isinstance(v, torch.Tensor)
    }  # fmt: skip
    return replace(rows, **moved, buckets=tuple(b.to(device, non_blocking=True) for b in rows.buckets))


def build_checks(
    plan: Plan, config: Config, dataset: Dataset, tokenizer: Tokenizer, interrupts: Interrupts
) -> list[Check]:
    """Return what is looked at while the run goes: interrupts at every step, validation, samples, due saves."""
    length, split = plan.shape["context"], dataset.split("validation")
    held_out = [
        to_device(rows, plan.device)
        for rows in validation_rows(dataset, length, plan.micro_rows, plan.validation_tokens)
    ]
    prompts = config.prompts or openings(dataset, tokenizer)

    def validate(model: LanguageModel, at: int) -> Iterable[Event]:
        result = score(
            model,
            held_out,
            bytes_per_token=split.bytes / split.n_tokens,
            device=plan.device,
            dtype=plan.dtype,
        )
        yield Validated(step=at, loss=result.loss, bits_per_byte=result.bits_per_byte, tokens=result.tokens)

    def sample(model: LanguageModel, at: int) -> Iterable[Event]:
        for i, prompt in enumerate(prompts):
            drawn = continue_text(model, tokenizer, prompt, SAMPLE_TOKENS, Sampling(top_p=0.95, seed=plan.seed + i))
            yield Sampled(step=at, prompt=prompt, text="".join(drawn))

    return [
        Check("interrupts", 1, interrupts.check),
        Check("validation", plan.validate_every, validate),
        Check("samples", max(1, plan.steps // SAMPLES_IN_A_RUN), sample),
        Check("save", plan.save_every, lambda _, at: [SaveDue(step=at)]),
    ]


def build_observers(config: Config) -> list[Observer]:
    """Return what may ask the run for something."""
    patience = [stop_early(config.train.patience)] if config.train.patience else []
    return [save_when_due, stop_on_interrupt, stop_when_not_finite(), *patience]


def openings(dataset: Dataset, tokenizer: Tokenizer, count: int = 3) -> list[str]:
    """Return the first words of a few validation documents, as prompts."""
    split = dataset.split("validation")
    starts = (split.tokens(i)[1 : OPENING_TOKENS + 1].tolist() for i in range(min(count, split.documents)))
    return [tokenizer.decode(ids) for ids in starts]


def measure_speed(config: Config, shape: Shape, device: str, dtype: Dtype, seconds: float = 4.0) -> float:
    """Return the tokens a second that real training steps of this shape reach here; takes `seconds` or three steps.

    The weights it trains are its own, on random tokens, and are thrown away.
    """
    tokens_a_step = min(8192, MEASURED_FLOPS / shape.flops_per_token(shape.context))
    rows = config.train.micro_rows or max(1, round(tokens_a_step / shape.context))
    model = LanguageModel(shape)
    initialize(model, 0)
    model.to(torch.device(device))
    state = _state(model, Schedule("wsd", 1e-4, 10**6, 1, 0.0, 1.0), device, dtype, config, 0)
    tokens = torch.randint(shape.vocabulary, (rows, shape.context), generator=torch.Generator().manual_seed(0))
    places = torch.arange(shape.context).expand_as(tokens)
    micro = Rows(
        tokens=tokens,
        labels=tokens.roll(-1, 1),
        positions=places,
        segments=torch.zeros_like(tokens),
        buckets=(),
        inverse=torch.empty(0, dtype=torch.int64),
        loss_tokens=tokens.numel(),
    )
    batch = Batch(micros=(to_device(micro, device),), loss_tokens=tokens.numel(), first_row=0, next_row=0, row_ids=())
    times: list[float] = []
    step(state, batch)  # the first one allocates
    state.readback.drain()
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        step(state, batch)
        state.readback.drain()  # waits for the device
        times.append(time.perf_counter() - start)
    return tokens.numel() / sorted(times)[len(times) // 2]
