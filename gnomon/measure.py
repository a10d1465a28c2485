"""How fast this machine trains a shape, found by training it for a moment, and whether compiling repays its time."""

import time
from dataclasses import dataclass

import torch

from gnomon.assemble import make_state
from gnomon.base.errors import ConfigError
from gnomon.config import Config, Dtype
from gnomon.data.loader import to_device
from gnomon.data.stream import Batch, make_rows
from gnomon.events.types import MemoryShort, StepDone
from gnomon.plan import MIN_ROWS, Plan, choose_optimizer
from gnomon.presets import Shape
from gnomon.train.kernels import (
    are_known,
    compile_failures,
    first_line,
    no_compiler,
    refuse_without_compiler,
    remember,
)
from gnomon.train.schedule import Schedule
from gnomon.train.state import State
from gnomon.train.step import step

STEP_FLOPS = 4e11  # of a step that is measured: about a second on a small processor, whatever the model's size
WORTH_SECONDS = 150.0  # a shorter run does not repay half a minute of compiling
WORTH_SECONDS_KNOWN = 45.0  # nor ten seconds of finding kernels that are known
WORTH_PASSES = 100  # of forward and backward, for the same reason: measuring takes about ten
WORTH_GAIN = 1.1
WITHOUT = "train without: train.compile=auto or false"
SAME = 0.01  # relative difference of loss and gradient norm that bfloat16 may make


@dataclass(frozen=True)
class Speed:
    """What was measured: tokens a second, seconds until the first step was done, its loss and gradient norm."""

    tokens_per_second: float
    first_seconds: float
    loss: float
    grad_norm: float


def measure_speed(
    config: Config,
    shape: Shape,
    device: str,
    dtype: Dtype,
    *,
    rows: int | None = None,
    compiled: bool = False,
    seconds: float = 4.0,
) -> Speed:
    """Return what real training steps of this shape reach here; takes so many seconds, or three steps.

    A step has `rows` of two pieces each, or the fewest rows that a run takes at once, less where those are worth more
    than about a second. Raises MemoryError where a step does not fit.
    """
    fitting = max(1, min(MIN_ROWS, round(STEP_FLOPS / shape.flops_per_token(shape.context) / shape.context)))
    rows, start = rows or config.train.micro_rows or fitting, time.perf_counter()
    state, batch = trial(config, shape, rows, device, dtype, compiled=compiled, pieces=2)

    def once() -> StepDone:
        told = [*step(state, batch), *state.readback.drain()]  # draining waits for the device
        for event in told:
            if isinstance(event, MemoryShort):
                raise MemoryError(event.why)
        return next(event for event in told if isinstance(event, StepDone))

    first = once()  # allocates, and compiles
    first_seconds, times = time.perf_counter() - start, list[float]()
    while len(times) < 3 or sum(times) < seconds:
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    return Speed(batch.loss_tokens / sorted(times)[len(times) // 2], first_seconds, first.loss, first.grad_norm)


def choose_compile(config: Config, draft: Plan, shape: Shape) -> tuple[bool, str, float]:
    """Return whether the run is to be compiled, why, and the tokens a second it will reach.

    `draft` is the plan without. Raises DependencyError where the config asks for what is not here.
    """
    asked, slow = config.train.compile, draft.tokens_per_second
    if asked is False:
        return False, "train.compile asks for it", slow
    if config.train.sharding == "full":
        return False, "there are no compiled kernels for sharded weights", slow
    if missing := no_compiler():
        if asked is True:
            refuse_without_compiler()
        return False, missing, slow
    if asked == "auto" and draft.device == "cuda":
        return False, "compiled kernels have not been measured on GPUs yet", slow
    if draft.dtype == "fp16":
        if asked is True:
            raise ConfigError("compiled steps are in bf16 or fp32", where="train.dtype", do="choose one of them")
        return False, "compiled steps are in bf16 or fp32", slow
    rows = draft.micro_rows
    known = are_known(shape, rows, draft.dtype)
    enough = WORTH_SECONDS_KNOWN if known else max(WORTH_SECONDS, WORTH_PASSES * rows * shape.context / slow)
    if asked == "auto" and draft.seconds < enough:
        return False, "the run is too short to repay compiling", slow
    try:
        fast = measure_speed(config, shape, draft.device, draft.dtype, rows=rows, compiled=True)
        plain = measure_speed(config, shape, draft.device, draft.dtype, rows=rows)
        remember(shape, rows, draft.dtype)
    except (RuntimeError, OSError, MemoryError, *compile_failures()) as e:
        if asked is True:
            raise ConfigError(f"compiling failed: {first_line(e):.200}", where="train.compile", do=WITHOUT) from None
        return False, f"compiling failed here: {first_line(e):.100}", slow
    gain = fast.tokens_per_second / plain.tokens_per_second
    told = f"measured {gain:.1f} times as fast as without, after {fast.first_seconds:.0f} s for the first step"
    wrong = "the compiled step does not compute what the plain one does on this machine"
    if not (_close(fast.loss, plain.loss) and _close(fast.grad_norm, plain.grad_norm)):
        if asked is True:
            raise ConfigError(wrong, where="train.compile", do=WITHOUT)
        return False, wrong, slow
    if asked == "auto" and gain < WORTH_GAIN:
        return False, told, plain.tokens_per_second
    return True, told, fast.tokens_per_second


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * abs(b)


def trial(
    config: Config, shape: Shape, rows: int, device: str, dtype: Dtype, *, compiled: bool = False, pieces: int = 1
) -> tuple[State, Batch]:
    """Return a state of its own and a batch of random tokens, on which a training step can be tried.

    No weights are zero, as some are before a run's first step, so that everything has a gradient; there is no dropout.
    """
    schedule = Schedule("wsd", 1e-4, 10**6, 1, 0.0, 1.0)
    plain = config.model_copy(update={"train": config.train.model_copy(update={"dropout": 0.0})})
    optimizer, _ = choose_optimizer(config)
    state = make_state(
        shape, schedule, plain, device=device, dtype=dtype, seed=0, compiled=compiled, optimizer=optimizer
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in state.model.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter.shape[-1] ** -0.5)
    tokens = torch.randint(shape.vocabulary, (rows, shape.context + 1), generator=generator).numpy()
    lengths = [shape.context // pieces] * (pieces - 1)
    layout = [[*lengths, shape.context - sum(lengths)]] * rows
    micro = make_rows(tokens[:, :-1], tokens[:, 1:], layout)
    return state, Batch((to_device(micro, device),), micro.loss_tokens, 0, 0, (), rows)
