"""How fast this machine trains a shape, found by training it for a moment, and whether compiling repays its time."""

import time
from dataclasses import dataclass
from functools import partial

import torch

from gnomon.assemble import make_state
from gnomon.base.errors import ConfigError
from gnomon.config import Config, Dtype
from gnomon.data.streaming.loader import to_device
from gnomon.data.streaming.rows import Rows, make_rows
from gnomon.data.streaming.stream import Batch, sample_rows
from gnomon.evaluate.loss import score
from gnomon.events.types import MemoryShort, StepDone
from gnomon.model.generate import Sampling, generate
from gnomon.pace import Pace
from gnomon.plan import MIN_ROWS, Plan, choose_optimizer
from gnomon.presets import Shape
from gnomon.store.datasets import Split
from gnomon.train.kernels import (
    are_known,
    compile_failures,
    first_line,
    no_compiler,
    refuse_without_compiler,
    remember,
)
from gnomon.train.precision import autocast
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
    """What was measured: the pace, seconds of a step, those until the first was done, its loss and gradient norm."""

    pace: Pace
    step_seconds: float
    first_seconds: float
    loss: float
    grad_norm: float


def measure_speed(
    config: Config,
    shape: Shape,
    device: str,
    dtype: Dtype,
    *,
    text: Split | None = None,
    rows: int | None = None,
    compiled: bool = False,
    seconds: float = 4.0,
) -> Speed:
    """Return what real training steps of this shape reach here; takes so many seconds, or three steps, and the time of
    a first step, three more updates, three rows read and five tokens drawn.

    A step has `rows` of the text, or of random tokens: as many as asked, else the fewest that a run takes at once, or
    so few that they are worth about a second. Raises MemoryError where a step does not fit.
    """
    fitting = max(1, min(MIN_ROWS, round(STEP_FLOPS / shape.flops_per_token(shape.context) / shape.context)))
    rows, start = rows or config.train.micro_rows or fitting, time.perf_counter()
    micro = sample_rows(text, shape.context, rows) if text else random_rows(shape, rows)
    state, batch = trial(config, shape, micro, device, dtype, compiled=compiled)

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
    whole, update = _median(times), _update_seconds(state)
    passes, tokens = max(whole - update, 0.1 * whole), rows * shape.context
    pace = Pace(
        tokens / passes,
        "measured here with real training steps",
        tokens / _read_seconds(state, micro),
        update,
        _token_seconds(state, shape, len(config.prompts) or 3),
    )
    return Speed(pace, whole, first_seconds, first.loss, first.grad_norm)


def _update_seconds(state: State) -> float:
    """Return the seconds of what a step does once, however many passes it has."""
    times, one, never = [], torch.ones((), device=state.device), torch.zeros((), device=state.device).bool()
    for _ in range(3):
        for parameter in state.model.parameters():
            parameter.grad = torch.full_like(parameter, 1e-3)
        gradients = state.sharding.gradients(state.model)
        _wait(state)
        start = time.perf_counter()
        state.sharding.norm(gradients)
        state.optimizer.step(1e-4, one, never)
        state.optimizer.clear()
        _wait(state)
        times.append(time.perf_counter() - start)
    return _median(times)


def _read_seconds(state: State, micro: Rows) -> float:
    """Return the seconds in which so many rows are validated on."""
    state.model.eval()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        score(state.model, [to_device(micro, state.device)], bytes_per_token=1, device=state.device, dtype=state.dtype)
        times.append(time.perf_counter() - start)
    return _median(times)


def _token_seconds(state: State, shape: Shape, prompts: int, tokens: int = 5) -> float:
    """Return the seconds that one more token of so many prompts takes."""
    state.model.eval()
    times = []
    with autocast(state.device, state.dtype):
        asked = [[0] * min(12, shape.context // 2 or 1)] * prompts
        drawing = generate(state.model, asked, tokens, Sampling(top_p=0.95))
        while len(times) < tokens:
            start = time.perf_counter()
            next(drawing)
            times.append(time.perf_counter() - start)
    return _median(times[1:])  # the first has read the prompts


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _wait(state: State) -> None:
    if state.device == "cuda":
        torch.cuda.synchronize()


def choose_compile(
    config: Config, draft: Plan, slow: Pace, shape: Shape, text: Split | None = None
) -> tuple[bool, str, Pace]:
    """Return whether the run is to be compiled, why, and its pace.

    `draft` is the plan without, `slow` its pace. Raises DependencyError where the config asks for what is not
    here.
    """
    asked = config.train.compile
    if asked is False:
        return False, "train.compile asks for it", slow
    if config.train.sharding == "full":
        return False, "there are no compiled kernels for sharded weights", slow
    if not shape.plain:
        return False, "there are no compiled kernels for loops and learned positions", slow
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
    known, pass_seconds = are_known(shape, rows, draft.dtype), rows * shape.context / slow.tokens_per_second
    enough = WORTH_SECONDS_KNOWN if known else max(WORTH_SECONDS, WORTH_PASSES * pass_seconds)
    if asked == "auto" and draft.seconds < enough:
        return False, "the run is too short to repay compiling", slow
    try:
        measured = partial(measure_speed, config, shape, draft.device, draft.dtype, text=text, rows=rows)
        fast, plain = measured(compiled=True), measured()
        remember(shape, rows, draft.dtype)
    except (RuntimeError, OSError, MemoryError, *compile_failures()) as e:
        if asked is True:
            raise ConfigError(f"compiling failed: {first_line(e):.200}", where="train.compile", do=WITHOUT) from None
        return False, f"compiling failed here: {first_line(e):.100}", slow
    gain = plain.step_seconds / fast.step_seconds
    told = f"measured {gain:.1f} times as fast as without, after {fast.first_seconds:.0f} s for the first step"
    wrong = "the compiled step does not compute what the plain one does on this machine"
    if not (_close(fast.loss, plain.loss) and _close(fast.grad_norm, plain.grad_norm)):
        if asked is True:
            raise ConfigError(wrong, where="train.compile", do=WITHOUT)
        return False, wrong, slow
    if asked == "auto" and gain < WORTH_GAIN:
        return False, told, plain.pace
    return True, told, fast.pace


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= SAME * abs(b)


def trial(
    config: Config, shape: Shape, micro: Rows, device: str, dtype: Dtype, *, compiled: bool = False
) -> tuple[State, Batch]:
    """Return a state of its own and a batch of one pass, on which a training step can be tried.

    No weights are zero, as some are before a run's first step, so that everything has a gradient; there is no dropout.
    """
    schedule = Schedule("wsd", 1e-4, 10**6, 1, 0.0, 1.0)
    plain = config.model_copy(update={"train": config.train.model_copy(update={"dropout": 0.0})})
    optimizer, _ = choose_optimizer(config)
    state = make_state(
        shape,
        schedule,
        plain,
        device=device,
        dtype=dtype,
        seed=0,
        compiled=compiled,
        optimizer=optimizer,
        heads=config.heads.kinds,
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in state.model.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * parameter.shape[-1] ** -0.5)
    return state, Batch((to_device(micro, device),), micro.loss_tokens, 0, 0, (), len(micro.tokens))


def random_rows(shape: Shape, rows: int) -> Rows:
    """Return rows of random tokens, each of one piece."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(shape.vocabulary, (rows, shape.context + 1), generator=generator).numpy()
    return make_rows(tokens[:, :-1], tokens[:, 1:], [[shape.context]] * rows)
