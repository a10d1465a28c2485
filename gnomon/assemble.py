"""Puts a run together from its plan: state, batches, checks, observers. The only builder; it decides nothing."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gnomon.base.errors import ConfigError, StorageError
from gnomon.base.machine import return_freed_memory
from gnomon.bundle import continue_each, mark_kinds
from gnomon.config import Config, Dtype, OptimizerKind
from gnomon.data.measured.asked import ask, read_records
from gnomon.data.measured.buffer import Buffer
from gnomon.data.monitoring.monitor import EVERY, WINDOW_TOKENS, Finding, Monitor
from gnomon.data.monitoring.shift import references_of
from gnomon.data.streaming.loader import Loader, to_device
from gnomon.data.streaming.stream import Batch, Stream, validation_by_source
from gnomon.data.streaming.targets import warn_of_cut
from gnomon.evaluate.depth import depth_of
from gnomon.evaluate.loss import score, whole
from gnomon.evaluate.measured import Examiner, chosen, forecast_of, measure
from gnomon.events.bus import Bus, Sink
from gnomon.events.journal import Decisions, EventLog, Journal, read_events
from gnomon.events.types import (
    Check,
    DepthMeasured,
    Event,
    Observer,
    QuestionsMeasured,
    Sampled,
    SaveDue,
    SourcesValidated,
    TextShifted,
    Validated,
)
from gnomon.model.generate import Sampling
from gnomon.model.halting import Ponder
from gnomon.model.lm import LanguageModel, first_weight
from gnomon.observe.rules import (
    go_back_when_unhealthy,
    grow_with_noise,
    learn_what_was_measured,
    rebalance,
    save_when_due,
    shrink_when_memory_is_short,
    stop_early,
    stop_on_interrupt,
)
from gnomon.plan import SAMPLE_TOKENS, Plan, sample_every
from gnomon.presets import Shape
from gnomon.store.checkpoints import Retention
from gnomon.store.datasets import Dataset
from gnomon.store.measured import Measurement
from gnomon.store.runs import Run
from gnomon.taxonomy import HeadKind
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.beginning import first_weights
from gnomon.train.guard import Guard
from gnomon.train.hands import Hands
from gnomon.train.heads import Budget
from gnomon.train.interrupts import Interrupts
from gnomon.train.kernels import compile_kernels
from gnomon.train.noise import Noise
from gnomon.train.optim import Optimizer
from gnomon.train.parallel import ALONE, World
from gnomon.train.precision import autocast
from gnomon.train.readback import Readback
from gnomon.train.rollback import STRETCH_STEPS
from gnomon.train.saver import Saver
from gnomon.train.schedule import Schedule
from gnomon.train.shard import Sharding, lay_out
from gnomon.train.state import State

log = logging.getLogger(__name__)

OPENING_TOKENS = 12  # of a validation document, where the config names no prompts


def build_state(plan: Plan, config: Config, world: World = ALONE) -> State:
    """Return the state before the first step, with weights from the plan's seed; `start_over` brings those of an
    earlier run.
    """
    schedule = Schedule(
        kind=config.train.schedule,
        peak=plan.lr,
        steps=plan.steps,
        warmup=plan.warmup_steps,
        decay_share=config.train.decay_share,
        floor=config.train.lr_floor,
    )
    state = make_state(
        Shape(**plan.shape),
        schedule,
        config,
        device=plan.device,
        dtype=plan.dtype,
        seed=plan.seed,
        compiled=plan.compile,
        optimizer=plan.optimizer,
        heads=plan.heads,
        world=world,
    )
    state.init = plan.init
    return state


def make_state(
    shape: Shape,
    schedule: Schedule,
    config: Config,
    *,
    device: str,
    dtype: Dtype,
    seed: int,
    compiled: bool,
    optimizer: OptimizerKind,
    heads: Sequence[HeadKind] = (),
    world: World = ALONE,
) -> State:
    """Return a state before its first step, with weights from `seed`, on `device`: this process's part of it."""
    if compiled and config.train.sharding == "full":
        raise ConfigError(
            "the run began with compiled kernels, which train.sharding=full does not have",
            where="train.sharding",
            do="go on with another sharding, or train in another `out` folder",
        )
    updates = partial(
        Optimizer,
        kind=optimizer,
        lr=schedule.peak,
        momentum=config.train.momentum,
        beta1=config.train.beta1,
        beta2=config.train.beta2,
        weight_decay=config.train.weight_decay,
        dtype=torch.bfloat16 if dtype == "bf16" else torch.float32,
    )
    ponder = Ponder(**config.adaptive.model_dump())
    build = partial(LanguageModel, shape, config.train.dropout, heads, ponder)
    model, update, sharding = lay_out(config.train.sharding, world, device, build, updates)
    _set_first_weights(model, sharding, seed)
    model.kernels = compile_kernels() if compiled else None
    noise = Noise(device) if config.train.batch_ramp == "noise" else None
    detached = config.heads.detached_share * schedule.steps
    budget = Budget(device, shape.states, detached, config.heads.gradient_share) if heads else None
    return State(
        schedule=schedule,
        heads_schedule=replace(schedule, kind="wsd", decay_share=config.heads.decay_share),
        readback=Readback(config.train.log_every, device, noise=noise is not None, heads=bool(heads)),
        device=device,
        dtype=dtype,
        clip=config.train.clip,
        z_loss=config.train.z_loss,
        seed=seed,
        exact=config.train.exact,
        model=model,
        optimizer=update,
        guard=Guard(device, fp16=dtype == "fp16"),
        sharding=sharding,
        noise=noise,
        budget=budget,
    )


@torch.no_grad()
def _set_first_weights(model: LanguageModel, sharding: Sharding, seed: int, init: dict[str, str] | None = None) -> None:
    """Set the weights that a checkpoint has, where one is named, and those that come from the seed. Heads that it lacks
    are new ones.
    """
    known = first_weights(init) if init else {}
    for name, held in sharding.weights(model).items():
        if held.local is not None:
            first = known[name] if name in known else first_weight(name, held.whole.shape, seed)
            held.local.copy_(first[held.start : held.start + len(held.local)])


def start_over(state: State) -> None:
    """Put the state before the first step back, in place."""
    _set_first_weights(state.model, state.sharding, state.seed, state.init)
    state.optimizer.start_over()
    state.guard.load(Guard(state.device, fp16=state.dtype == "fp16").tensors())
    state.step = state.row = state.tokens = state.since_best = 0
    state.done = 0.0
    if state.noise:
        state.noise.start_over()
    if state.budget:
        state.budget.start_over()
    state.best_loss = float("inf")


def build_hands(
    run: Run, plan: Plan, config: Config, dataset: Dataset, world: World, attempt: int, console: Sink
) -> Hands:
    """Return what acts on a run besides the step: record, checkpoints, batches. The first process is the scribe."""
    journal = Journal(run.journal_path, keep=world.first)
    measured = build_buffer(run, plan, config)
    if measured:
        if world.first:
            run.measured.sweep()
        measured.content(measured.names(journal))  # or it is damaged: say so now
    known = read_events(run.events_path) if config.mix.rebalance == "loss" else []
    observers = build_observers(config, plan, journal, known)
    sinks = [EventLog(run.events_path), console] if world.first else []
    retention = Retention(config.train.keep_last, config.train.keep_every)
    return Hands(
        bus=Bus(sinks, observers, attempt=attempt),
        journal=journal,
        checkpoints=run.checkpoints,
        saver=Saver(run, world, attempt, retention, background=config.train.background_saves),
        loader=build_loader(plan, config, dataset, journal, world, measured),
        world=world,
        start_over=start_over,
        micro_rows=plan.micro_rows,
        measured=measured,
    )


def build_buffer(run: Run, plan: Plan, config: Config) -> Buffer | None:
    """Return the buffer of a run's measurements, None where nothing is measured. Raises ConfigError where the questions
    are not those that the run began with.
    """
    options = config.heads.measured
    if not plan.measure_every or not options.questions:
        return None
    records, tokenizer = read_records(options.questions), Tokenizer.load(run.tokenizer_path)
    asking = ask(records, tokenizer, plan.shape["context"], plan.recites)
    if plan.measured_questions not in (None, asking.digest):
        raise ConfigError(
            "the questions to measure with have changed since this run began",
            where=", ".join(options.questions),
            do="put the old files back, or train in another folder (out=runs/another)",
        )
    place = (plan.shape["context"], plan.seed)
    return Buffer(asking, run.measured, options.buffer, options.rows_share, *place, alone=options.alone)


def build_loader(
    plan: Plan, config: Config, dataset: Dataset, journal: Decisions, world: World, measured: Buffer | None = None
) -> Loader:
    """Return what gives the run's batches, this process's share of each."""
    if world.rank == 0:
        warn_of_cut(dataset, plan.shape["context"])

    def stream() -> Stream:
        length, rows = plan.shape["context"], plan.rows_per_step
        place = (world.rank, world.size)
        changes = (plan.ramp, plan.lengths, plan.weights, config.train.stride)
        beside = measured and measured.beside
        return Stream(dataset, length, rows, plan.micro_rows, plan.seed, journal, *place, *changes, beside)

    return Loader(stream, config.train.loader_workers, plan.device)


def build_checks(
    plan: Plan,
    config: Config,
    dataset: Dataset,
    tokenizer: Tokenizer,
    interrupts: Interrupts,
    world: World,
    loader: Loader,
) -> list[Check]:
    """Return what is looked at while the run goes: interrupts at every step, the text that the loader gives,
    validation, samples, due saves.
    """
    of_source = validation_by_source(dataset, plan.shape["context"], plan.micro_rows, plan.validation_tokens)
    held_out = {name: [to_device(rows, plan.device) for rows in every] for name, every in of_source.items()}
    splits = dataset.sources("validation")
    prompts = config.prompts or openings(dataset, tokenizer)

    def validate(model: LanguageModel, at: int) -> Iterable[Event]:
        found = {
            name: score(
                model,
                rows,
                bytes_per_token=splits[name].bytes / splits[name].n_tokens,
                device=plan.device,
                dtype=plan.dtype,
                world=world,
            )
            for name, rows in held_out.items()
        }
        result = whole(list(found.values()))
        yield Validated(step=at, loss=result.loss, bits_per_byte=result.bits_per_byte, tokens=result.tokens)
        if len(found) > 1:
            yield SourcesValidated(step=at, losses={name: one.loss for name, one in found.items()})

    def measure(model: LanguageModel, at: int) -> Iterable[Event]:
        found = depth_of(model, [rows[0] for rows in held_out.values() if rows], device=plan.device, dtype=plan.dtype)
        names = ("mean", "deviation", "rank", "loss", "shuffled")
        yield DepthMeasured(step=at, **{name: getattr(found, name) for name in names})

    def sample(model: LanguageModel, at: int) -> Iterable[Event]:
        together = config.train.sharding == "full"  # the others are needed for the passes, and draw the same
        asked = prompts if world.first or together else []
        with autocast(plan.device, plan.dtype):  # twice as fast; `gnomon generate` is float32
            texts = continue_each(model, tokenizer, asked, SAMPLE_TOKENS, Sampling(top_p=0.95, seed=plan.seed))
        for prompt, text in zip(asked, texts, strict=True):
            yield Sampled(step=at, prompt=prompt, text=text)

    return [
        Check("interrupts", 1, interrupts.check),
        *([_watch_text(plan, config, dataset, tokenizer, loader)] if world.first else []),
        Check("validation", plan.validate_every, validate),
        *([Check("depth", plan.validate_every, measure)] if world.first and plan.shape.get("loops", 1) > 1 else []),
        Check("samples", sample_every(plan.steps), sample),
        Check("save", plan.save_every, lambda _, at: [SaveDue(step=at)]),
    ]


def build_measuring(state: State, hands: Hands, plan: Plan, config: Config, tokenizer: Tokenizer) -> list[Check]:
    """Return the check that asks the model questions, if there are any; see `heads.measured`."""
    buffer, options, world = hands.measured, config.heads.measured, hands.world
    if buffer is None:
        return []
    examiner = Examiner(buffer.asking, tokenizer, mark_kinds(tokenizer, plan.marks), options.samples, plan.seed)

    def examine(model: LanguageModel, at: int) -> Iterable[Event]:
        if state.done < plan.measure_from:
            return
        start = time.monotonic()
        names = buffer.names(hands.journal, state.row - 1)  # without this one, where the run comes to it again
        known = buffer.content(names)
        wanted = chosen(buffer.asking, options.at_once, len(names), plan.seed)
        return_freed_memory()  # of a step's blocks, and below of what is read and said: of many sizes, all others
        with autocast(plan.device, plan.dtype):
            mine = measure(model, examiner, wanted, at, world.rank, world.size)
        return_freed_memory()
        every = world.gather(mine)
        answered = sorted((one for some, _ in every for one in some), key=lambda one: one.number)
        pairs = sorted(pair for _, some in every for pair in some)  # sums in an order of their own
        file = None if state.finished else _keep(buffer, Measurement(at, tuple(answered)), world)
        before = {one.number for one, _ in known}
        yield QuestionsMeasured(
            step=at,
            row=state.row,
            file=file,
            questions=len(answered),
            again=len(before.intersection(wanted)),
            known=sum(one.known for one in answered) / len(answered),
            staleness=sum(at - step for _, step in known) / max(1, len(known)),
            forecast=forecast_of(pairs),
            seconds=time.monotonic() - start,
        )

    return [Check("measured", plan.measure_every, examine)]


def _keep(buffer: Buffer, measurement: Measurement, world: World) -> str | None:
    """Return the name of the measurement's file, which every process can read; None where the disk took none."""
    name: str | None = None
    if world.first:
        try:
            name = buffer.store.add(measurement)
        except StorageError as e:
            log.warning("a measurement is not learned from, as it could not be kept: %s", e.what)
    return world.gather(name)[0]


def _watch_text(plan: Plan, config: Config, dataset: Dataset, tokenizer: Tokenizer, loader: Loader) -> Check:
    """Return the check that tells what is odd in the text. With several processes it sees the first one's rows."""
    references = references_of(dataset, plan.shape["context"], WINDOW_TOKENS, EVERY, config.train.stride)
    monitor = Monitor(references, tokenizer.decode, every=EVERY)
    found: list[Finding] = []

    def watch(batch: Batch) -> None:
        rows, sources, at = np.array(batch.row_ids), np.array(batch.row_sources), 0
        for micro in batch.micros:
            here = slice(at, at + len(micro.tokens))
            found.extend(monitor.add(rows[here], sources[here], micro.tokens.numpy()))
            at = here.stop

    def tell(_: LanguageModel, at: int) -> Iterable[Event]:
        for f in found:
            yield TextShifted(step=at, source=f.source, what=f.kind, value=f.value, limit=f.limit, cause=f.cause)
        found.clear()

    loader.watch = watch
    return Check("text", config.train.log_every, tell)


def build_observers(
    config: Config, plan: Plan, journal: Decisions, known: Iterable[dict[str, Any]] = ()
) -> list[Observer]:
    """Return what may ask the run for something; `known` are the events of the run's processes before this one."""

    def earlier(row: int) -> int:
        return journal.roll_backs(since_row=row - STRETCH_STEPS * plan.rows_per_step)

    ramp = grow_with_noise(plan.shape["context"], plan.rows_per_step, config.train.log_every)
    growth = [ramp] if config.train.batch_ramp == "noise" else []
    earlier_losses = {e["step"]: e["losses"] for e in known if e["kind"] == "sources_validated"}
    balance = [
        rebalance(
            lambda row: next(weights for at, weights in reversed(plan.weights) if at <= row),
            lambda row: journal.in_force("weights", row, plan.weights, seen_row=row - 1),
            config.mix.reference,
            earlier_losses,
        )
    ]
    patience = [stop_early(config.train.patience)] if config.train.patience else []
    return [
        save_when_due,
        learn_what_was_measured,
        stop_on_interrupt,
        shrink_when_memory_is_short,
        go_back_when_unhealthy(plan.rows_per_step, earlier),
        *growth,
        *(balance if config.mix.rebalance == "loss" and plan.weights else []),
        *patience,
    ]


def openings(dataset: Dataset, tokenizer: Tokenizer, count: int = 3) -> list[str]:
    """Return the first words of a few validation documents, as prompts."""
    split = dataset.split("validation")
    starts = (split.tokens(i)[1 : OPENING_TOKENS + 1].tolist() for i in range(min(count, split.documents)))
    return [tokenizer.decode(ids) for ids in starts]
