"""Config, machine and text become a Plan: every number of the run, each with its reason. Nothing is decided later."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from gnomon.base.errors import ConfigError, DataError, IntegrityError
from gnomon.base.files import read_json
from gnomon.base.machine import Machine
from gnomon.base.shares import refuse_uneven_shares, uneven
from gnomon.config import MAX_THREADS, Config, Dtype, OptimizerKind, parse_budget
from gnomon.data.measured.every import measuring, measuring_reads
from gnomon.data.streaming.lengths import planned_lengths
from gnomon.data.streaming.weights import Stages, planned_weights
from gnomon.footprint import disk_bytes, head_table, head_words, inference_bytes, training_bytes
from gnomon.pace import Pace, Work
from gnomon.presets import INIT_RATE, PRESETS, TOKENS, Shape, gpt_neox_sizes, law_batch, read_shape
from gnomon.taxonomy import FIRST_MARKS, MARKS, HeadKind

MIN_ROWS, MIN_STEPS = 8, 400
SECONDS_BETWEEN_SAVES = 10.0  # or more: less than that is soon done again
SAMPLES, SAMPLE_TOKENS = 4, 120  # how often texts are drawn in a run, and how long they are at most


class Text(BaseModel):
    """What the plan needs to know of a dataset."""

    model_config = ConfigDict(frozen=True)

    digest: str
    folder: str
    vocabulary: int
    train_tokens: int
    validation_tokens: int
    bytes_per_token: float
    sources: dict[str, int] = {}  # training tokens of each
    chat: bool = False  # whether some of it are conversations
    recites: bool = False  # whether some of it are questions that are answered after a recitation


_Count = Annotated[StrictInt, Field(ge=0, lt=2**200)]
_Positive = Annotated[StrictInt, Field(gt=0, lt=2**200)]
_Amount = Annotated[float, Field(gt=0)]


class Plan(BaseModel):
    """Every number of a run. `reasons` says why, by the number's name."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: str
    shape: dict[str, Any]
    dataset: str | None
    dataset_folder: str | None
    device: Literal["cpu", "cuda"]
    dtype: Dtype
    compile: StrictBool = False
    optimizer: OptimizerKind = "adamw"
    heads: list[HeadKind] = []
    marks: list[str] = list(FIRST_MARKS)  # where heads are read; a plan of before this was written names none
    init: dict[str, str] | None = None  # run, checkpoint and digest of it, from which the first weights are; else seed
    chat: StrictBool = False  # whether it reads conversations, so that exports say how they are written
    recites: StrictBool = False  # whether it learns to say from memory what an answer follows from, before the answer
    threads: Annotated[StrictInt, Field(gt=0, le=MAX_THREADS)]
    seed: Annotated[StrictInt, Field(ge=0, lt=2**63)]
    rows_per_step: _Positive
    micro_rows: _Positive
    ramp: list[tuple[_Count, _Positive]] = []  # from which row on a step has how many rows; empty: always as many
    lengths: list[tuple[_Count, _Positive]] = []  # from which row on a piece has at most how many tokens
    weights: list[tuple[_Count, dict[str, _Count]]] = []  # of the sources from a row on; empty: by their tokens
    steps: _Positive
    lr: _Amount
    warmup_steps: _Count
    validate_every: _Positive
    validation_tokens: _Positive
    save_every: _Positive
    measure_every: _Count = 0  # steps between questions that the model is asked; 0: it is asked none
    measure_from: Annotated[float, Field(ge=0)] = 0.0  # steps done before the first of them
    measured_questions: str | None = None  # their digest
    parameters: _Positive
    parameter_table: dict[str, _Count]
    tokens: _Positive
    flops: _Amount
    tokens_per_second: _Amount
    seconds: _Amount
    memory_bytes: _Count
    inference_bytes: _Count
    disk_bytes: _Count
    reasons: dict[str, str]


def read_plan(path: Path) -> Plan:
    """Return the plan that a run began with. Raises IntegrityError when the file is damaged or no plan."""
    try:
        plan = Plan.model_validate(read_json(path))
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise IntegrityError(f"the plan does not hold: {place}: {first['msg']}", where=str(path)) from None
    read_shape(plan.shape, str(path))
    return plan


def shape_of(config: Config, vocabulary: int | None = None) -> Shape:
    """Return the model's shape: the size's preset, the config's changes, and the vocabulary that the text supports."""
    preset = PRESETS[config.size].as_dict()
    changes = {k: v for k, v in config.model.model_dump().items() if v is not None}
    sizes: dict[str, Any] = preset | changes
    if sizes["block"] == "gpt-neox":
        sizes |= gpt_neox_sizes(sizes["width"], sizes["heads"]) | changes
    sizes["vocabulary"] = vocabulary or config.tokenizer.vocabulary or sizes["vocabulary"]
    return Shape(**sizes)


def asked_vocabulary(config: Config) -> int:
    """Return the ids that the config asks for, else the size's own."""
    return config.tokenizer.vocabulary or TOKENS.get(config.size, PRESETS[config.size].vocabulary)


def make_plan(
    config: Config,
    machine: Machine,
    *,
    device: Literal["cpu", "cuda"],
    dtype: tuple[Dtype, str],
    pace: Pace,
    compiled: tuple[bool, str] = (False, "plain kernels"),
    text: Text | None = None,
    processes: int = 1,
    init: dict[str, str] | None = None,
) -> Plan:
    """Return the plan of a run. `dtype`, `pace` and `compiled` come with their reasons, since they were measured.

    Without `text` (nothing prepared yet) the plan holds for a text that is large enough. A model that does not fit the
    machine is planned, and its reason says so. Raises DataError for a text smaller than one batch.
    """
    reasons = {"dtype": dtype[1], "compile": compiled[1], "tokens_per_second": pace.why}
    shape = shape_of(config, text.vocabulary if text else None)
    reasons["shape"] = _why_shape(config, shape)
    optimizer, reasons["optimizer"] = choose_optimizer(config)
    rows, reasons["rows_per_step"] = _rows_per_step(config, shape, processes * pace.tokens_per_second)
    step_tokens = rows * shape.context
    _refuse_short(text, step_tokens)
    steps, seconds, work = _steps(config, shape, pace, rows, processes, text)
    rate = work.learnt / pace.training_seconds(work, processes)
    reasons["steps"] = f"{_why_steps(config, steps * step_tokens, rate)}, at {step_tokens:,} a step"
    reasons |= _why_tokens(text, steps * step_tokens)
    lr, reasons["lr"] = _rate(config, shape, step_tokens, optimizer)
    warmup, reasons["warmup_steps"] = _warmup(config, steps)
    ramp, micro = _passes(config, shape, rows, steps, processes, reasons)
    lengths, reasons["lengths"] = planned_lengths(config.train, shape.context, steps * rows)
    weights, reasons["weights"] = _weights(config, text, steps * rows, shape.context)
    training, reasons["memory_bytes"] = training_bytes(
        config, shape, micro, dtype[0], optimizer, processes, device=device, compiled=compiled[0]
    )
    reasons["memory_bytes"] += _beyond(machine, training) if device == "cpu" else ""
    validation_tokens, validate_every = _validation(config, steps, step_tokens)
    measure_every, measure_from, reasons["measure_every"] = measuring(config, steps, step_tokens)
    heads = head_table(shape, config.heads.kinds)
    return Plan(
        size=config.size,
        shape=shape.as_dict(),
        dataset=text.digest if text else None,
        dataset_folder=text.folder if text else None,
        device=device,
        dtype=dtype[0],
        compile=compiled[0],
        optimizer=optimizer,
        heads=config.heads.kinds,
        marks=list(MARKS),
        init=init,
        chat=bool(text and text.chat),
        recites=bool(text and text.recites),
        threads=config.train.threads or max(1, machine.cores // processes),
        seed=config.seed,
        rows_per_step=rows,
        micro_rows=micro,
        ramp=ramp,
        lengths=lengths,
        weights=weights,
        steps=steps,
        lr=lr,
        warmup_steps=warmup,
        validate_every=validate_every,
        validation_tokens=validation_tokens,
        measure_every=measure_every,
        measure_from=measure_from,
        save_every=config.train.save_every or _save_every(steps, step_tokens / rate),
        parameters=shape.parameters + sum(heads.values()),
        parameter_table=shape.parameter_table() | heads,
        tokens=work.learnt,
        flops=float(shape.flops_per_token(shape.context)) * steps * step_tokens,
        tokens_per_second=rate,
        seconds=seconds,
        memory_bytes=training,
        inference_bytes=inference_bytes(shape, config.heads.kinds),
        disk_bytes=disk_bytes(config, shape, optimizer),
        reasons=_with_defaults(reasons, config, machine, shape, steps),
    )


def _why_tokens(text: Text | None, tokens: int) -> dict[str, str]:
    """Return how often the text is read, as the reason of the tokens; nothing while no text is prepared."""
    if text is None:
        return {}
    return {"tokens": f"the text of {text.train_tokens:,} tokens is read {tokens / text.train_tokens:.1f} times"}


def _beyond(machine: Machine, training: int) -> str:
    """Return what is said where training takes more memory than the machine has."""
    there = machine.memory_bytes
    return f"; this machine has {there / 2**30:.1f} GiB, and would refuse to train it" if training > there else ""


def _refuse_short(text: Text | None, step_tokens: int) -> None:
    """Raise DataError for a text smaller than one batch."""
    if text and text.train_tokens < step_tokens:
        raise DataError(
            f"the text has {text.train_tokens:,} tokens and one batch needs {step_tokens:,}",
            where=text.folder,
            do="add text, or ask for less with train.batch_tokens and model.context",
        )


def _weights(config: Config, text: Text | None, rows: int, context: int) -> tuple[Stages, str]:
    """Return from which row on each source has which weight, and why."""
    if text is None or not text.sources:
        return [], "by the tokens of each source"
    return planned_weights(config.mix, text.sources, rows, context)


def _with_defaults(
    reasons: dict[str, str], config: Config, machine: Machine, shape: Shape, steps: int
) -> dict[str, str]:
    table = shape.parameter_table()
    share = 100 * table["embedding"] / shape.parameters

    def asked(key: str, otherwise: str) -> str:
        return f"train.{key} asks for it" if getattr(config.train, key) else otherwise

    given = {
        "parameters": f"{share:.0f} % of them are the embedding, which is the output head too",
        "flops": f"{shape.flops_per_token(shape.context) / 1e6:,.1f} MFLOP a token: 6 a weight, and attention",
        "heads": head_words(shape, config.heads.kinds),
        "threads": asked("threads", f"the machine's physical cores ({machine.processor})"),
        "validate_every": asked("validate_every", "twenty times in the run; fewer where that would slow it"),
        "validation_tokens": asked("validation_tokens", "so few that all validations cost a few percent of the time"),
        "save_every": asked("save_every", f"twenty times in the run, {SECONDS_BETWEEN_SAVES:.0f} s or more apart"),
        "seconds": f"{steps:,} steps at tokens_per_second, validations and samples; saves are made beside them"
        + ("; and measurements, with what is learned from them" if config.heads.measured.questions else ""),
        "inference_bytes": "float32 weights, and keys and values of one full context",
        "disk_bytes": "checkpoints that are kept (weights and moments, float32), one being written, and exports",
    }
    return given | reasons


def _steps(
    config: Config, shape: Shape, pace: Pace, rows: int, processes: int, text: Text | None
) -> tuple[int, float, Work]:
    """Return how many steps fill the budget, the seconds that they and what stands beside them take, and their work.

    Of a time, steps get half or more, also where that is not enough for validations and samples.
    """
    kind, amount = parse_budget(config.budget)
    one = Work(learnt=rows * shape.context, updates=1, read=0, drawn=0)
    steps = max(1, round(amount / (one.learnt if kind == "tokens" else pace.training_seconds(one, processes))))
    least = steps if kind == "tokens" else math.ceil(steps / 2)
    while True:
        work = _work(config, shape, rows, steps, processes, text)
        seconds = pace.seconds(work, processes)
        if steps == least or seconds <= amount:
            return steps, seconds, work
        steps = max(least, min(steps - 1, round(steps * amount / seconds)))


def _work(config: Config, shape: Shape, rows: int, steps: int, processes: int, text: Text | None) -> Work:
    """Return what a run of so many steps does; with `train.batch_ramp=noise`, if no batch grew."""
    ramp, micro = _passes(config, shape, rows, steps, processes, {})
    stages = [*ramp, (steps * rows, rows)] if ramp else [(0, rows), (steps * rows, rows)]
    updates = sum(math.ceil((after - at) / size) for (at, size), (after, _) in pairwise(stages))
    held_out, every = _validation(config, steps, rows * shape.context)
    in_passes = math.ceil(held_out / micro / shape.context) * micro * shape.context
    return Work(
        learnt=steps * rows * shape.context,
        updates=updates,
        read=math.ceil(steps / every) * min(in_passes, text.validation_tokens if text else in_passes)
        + measuring_reads(config, steps, rows * shape.context),
        drawn=math.ceil(steps / sample_every(steps)) * SAMPLE_TOKENS,
    )


def _why_steps(config: Config, tokens: int, rate: float) -> str:
    if parse_budget(config.budget)[0] == "tokens":
        return f"the budget of {config.budget}"
    return f"{config.budget}, validations and samples in them, are {tokens / 1e6:,.2f}M tokens at {rate:,.0f} tokens/s"


def _validation(config: Config, steps: int, step_tokens: int) -> tuple[int, int]:
    """Return the tokens of a validation, and the steps from one to the next. A two-hundredth in each of twenty, at a
    third of the cost, is 3 % of the time.
    """
    tokens = config.train.validation_tokens or min(100_000, max(8_192, steps * step_tokens // 200))
    return tokens, config.train.validate_every or _validate_every(steps, step_tokens, tokens)


def _validate_every(steps: int, step_tokens: int, validation_tokens: int) -> int:
    """Return the steps between twenty validations; fewer, down to three, where all of them read more than a fifth of
    what is trained on.
    """
    return math.ceil(steps / max(3, min(20, round(0.2 * steps * step_tokens / validation_tokens))))


def sample_every(steps: int) -> int:
    """Return the steps between two drawings of samples."""
    return math.ceil(steps / SAMPLES)


def _save_every(steps: int, step_seconds: float) -> int:
    return max(math.ceil(steps / 20), min(steps, math.ceil(SECONDS_BETWEEN_SAVES / step_seconds)))


def _why_shape(config: Config, shape: Shape) -> str:
    changed = [k for k, v in config.model.model_dump().items() if v is not None]
    why = f"preset {config.size}" + (f", with your {', '.join(changed)}" if changed else "")
    asked = asked_vocabulary(config)
    if (given := config.tokenizer.path or config.init) is not None:
        why += f"; vocabulary {shape.vocabulary:,}, that of {given}"
    elif shape.vocabulary < asked:
        why += f"; vocabulary {shape.vocabulary:,} instead of {asked:,}, which is what the text supports"
    return why


def choose_optimizer(config: Config) -> tuple[OptimizerKind, str]:
    """Return the optimizer of the matrices, and why."""
    if config.train.optimizer != "auto":
        return config.train.optimizer, "train.optimizer asks for it"
    return "muon", "reaches a loss with fewer tokens than AdamW"


def _rows_per_step(config: Config, shape: Shape, tokens_per_second: float) -> tuple[int, str]:
    kind, amount = parse_budget(config.budget)
    budget = amount if kind == "tokens" else amount * tokens_per_second
    if config.train.batch_tokens:
        rows = max(1, round(config.train.batch_tokens / shape.context))
        return rows, f"train.batch_tokens asks for {config.train.batch_tokens:,} tokens"
    law = law_batch(shape)
    wanted = min(law, budget / MIN_STEPS)
    rows = max(MIN_ROWS, 2 ** math.floor(math.log2(max(1.0, wanted / shape.context))))
    if wanted < law:
        return rows, f"small enough that the budget gives about {MIN_STEPS} steps or more"
    return rows, f"near {law:,.0f} tokens, the efficient batch for {shape.parameters / 1e6:.1f}M parameters"


def _rate(config: Config, shape: Shape, step_tokens: int, optimizer: OptimizerKind) -> tuple[float, str]:
    if config.train.lr:
        return config.train.lr, "train.lr asks for it"
    law = 0.5 * 0.0047 * (shape.parameters / 108e6) ** (-1 / 3)
    said = f"½·0.0047·(N/108M)^-⅓ = {law:.2g} for this size"
    if config.init:
        law, said = INIT_RATE * law, f"{said}, {INIT_RATE:g} of it for weights that are trained already"
    if optimizer == "muon":
        return round(1.5 * law, 6), f"{said}, and half as much more for Muon, which half or double changes little"
    rate = min(law, law * math.sqrt(step_tokens / law_batch(shape)) * 0.5)
    return round(rate, 6), f"{said}, less for a batch below the efficient one"


def _warmup(config: Config, steps: int) -> tuple[int, str]:
    if config.train.warmup_steps is not None:
        return config.train.warmup_steps, "train.warmup_steps asks for it"
    return max(1, min(200, steps // 20)), "a twentieth of the steps, 200 at most"


def _passes(
    config: Config, shape: Shape, rows: int, steps: int, processes: int, reasons: dict[str, str]
) -> tuple[list[tuple[int, int]], int]:
    """Return the ramp of the batch's rows and the rows of one pass, such that every batch can be dealt out."""
    ramp, reasons["ramp"] = _ramp(config, rows, steps * rows, processes)
    micro, reasons["micro_rows"] = _micro_rows(config, shape, ramp[0][1] // processes if ramp else rows, processes)
    for size in sorted({rows, *(size for _, size in ramp)}):
        refuse_uneven_shares(size, min(size, micro), processes, exact=config.train.exact)
    return ramp, micro


def _ramp(config: Config, rows: int, all_rows: int, processes: int) -> tuple[list[tuple[int, int]], str]:
    """Return from which row on a step has how many rows, and why; nothing where there is no ramp."""
    how, told = config.train.batch_ramp, "every step has as many rows, but for what the journal says"
    if how == "none":
        return [], told
    halvings = max(1, round(-math.log2(config.train.ramp_from)))
    while halvings and (uneven(rows, processes << halvings) or (how == "noise" and rows >> halvings == 1)):
        halvings -= 1
    if halvings == 0:
        raise ConfigError(
            f"a batch of {rows} rows cannot begin smaller",
            where="train.batch_ramp",
            do="set train.batch_tokens so that a batch has more rows, and a number that can be halved",
        )
    if how == "noise":
        return [(0, rows >> halvings)], "doubled when the measured noise scale is as large, up to rows_per_step"
    part = all_rows * config.train.ramp_share / halvings
    stages = [(round(i * part), rows >> (halvings - i)) for i in range(halvings + 1)]
    return stages, f"doubled over the first {config.train.ramp_share:.0%} of the tokens; the rate goes with its root"


def _micro_rows(config: Config, shape: Shape, rows: int, processes: int) -> tuple[int, str]:
    """Return the rows of one forward pass, and why; `rows` are the most, with a ramp a process's in the first batch."""
    noise = config.train.batch_ramp == "noise"
    most = max(1, rows // 2) if noise and processes == 1 else rows
    if asked := config.train.micro_rows:
        if noise and asked > most:
            raise ConfigError(
                f"the first batches have {rows} rows in one process, and noise is what differs from pass to pass",
                where="train.micro_rows",
                do=f"ask for {most} or fewer, or leave it out",
            )
        return min(rows, asked), "train.micro_rows asks for it"
    micro = min(most, max(1, 8192 // shape.context))
    why = "rows of one forward pass: at most 8,192 tokens, which keeps activations small"
    return micro, why + ("; two passes or more in the smallest batch, to measure noise" if noise else "")


def refuse_too_large(plan: Plan, machine: Machine) -> None:
    """Raise ConfigError for a run on the processor that does not fit into the machine's memory."""
    if plan.device == "cpu" and plan.memory_bytes > machine.memory_bytes:
        needs, has = plan.memory_bytes / 2**30, machine.memory_bytes / 2**30
        raise ConfigError(
            f"training needs about {needs:.1f} GiB and the machine has {has:.1f}",
            where=f"size {plan.size}",
            do="choose a smaller size, or fewer train.micro_rows",
        )
