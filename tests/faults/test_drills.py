"""Things that go wrong in training, injected into real runs: what recovers ends as well as a healthy run, what
cannot is stopped and named; and healthy runs of odd shapes, in which the guard does nothing.

GNOMON_DRILL_SEED sets the seed, which is printed.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gnomon.config import OptimizerKind
from gnomon.data.streaming.stream import Batch
from gnomon.events.types import GaveUp, RolledBack, StepDone, Validated
from tests.world import Started, start

SEED = int(os.environ.get("GNOMON_DRILL_SEED", "5"))
BUDGET = "120K tokens"  # 234 steps
AT = 120  # the step from which things go wrong, half-way

Fault = Callable[[Started], None]


@dataclass
class Drill:
    """What goes wrong: once, or whenever the same rows are served."""

    name: str
    fault: Fault
    stops: str | None = None  # what the diagnosis must name; None: the run recovers
    optimizer: OptimizerKind = "muon"


def on_batches(started: Started, change: Callable[[Batch], Batch], steps: int, *, once: bool = False) -> None:
    """Have `change` look at the batches of `steps` steps from AT on: by their rows, or only the first time."""
    take, rows = started.hands.loader.take, started.plan.rows_per_step
    left = [steps]

    def taken(row: int) -> Batch:
        batch = take(row)
        here = AT <= batch.first_row // rows < AT + steps
        if here and left[0] > 0:
            left[0] -= once
            return change(batch)
        return batch

    started.hands.loader.take = taken  # pyright: ignore[reportAttributeAccessIssue]


def bad_documents(steps: int, what: str) -> Fault:
    """Rows hold tokens that no text has: random ones, one repeated, or bytes in descending order."""

    def spoil(batch: Batch) -> Batch:
        draw = torch.Generator().manual_seed(SEED + batch.first_row)
        micros = []
        for rows in batch.micros:
            tokens = torch.randint(0, 512, rows.tokens.shape, generator=draw)
            if what == "repeated":
                tokens = torch.full_like(tokens, 7)
            micros.append(replace(rows, tokens=tokens, labels=tokens.flip(1) if what == "random" else 511 - tokens))
        return replace(batch, micros=tuple(micros))

    return lambda started: on_batches(started, spoil, steps)


def bad_gradient(value: float, steps: int, *, once: bool, times: bool = False) -> Fault:
    """A gradient is this value, or so many times what it should be, at one place or everywhere."""

    def fault(started: Started) -> None:
        active = [False]
        weight = started.state.model.get_parameter("layers.1.mlp.up_proj.weight")

        def spoil(gradient: Tensor) -> Tensor:
            if not active[0]:
                return gradient
            gradient = gradient.clone()
            return gradient * value if times else gradient.index_fill_(0, torch.tensor([3]), value)

        weight.register_hook(spoil)

        def switch_on(batch: Batch) -> Batch:
            active[0] = True
            return batch

        on_batches(started, switch_on, steps, once=once)
        spoiled = started.hands.loader.take

        def taken(row: int) -> Batch:
            active[0] = False
            return spoiled(row)

        started.hands.loader.take = taken  # pyright: ignore[reportAttributeAccessIssue]

    return fault


def bad_rate(factor: float, steps: int) -> Fault:
    """The learning rate is so many times what it should be, over some steps."""
    return lambda started: on_batches(started, lambda b: replace(b, rate_factor=factor), steps, once=True)


def bad_state(name: str, change: Callable[[Tensor], object]) -> Fault:
    """A tensor of weights or moments is changed between two steps."""

    def fault(started: Started) -> None:
        state = started.state
        tensors = dict(state.model.named_parameters()) | state.optimizer.tensors()

        def spoil(batch: Batch) -> Batch:
            with torch.no_grad():
                change(tensors[name])
            return batch

        on_batches(started, spoil, 1, once=True)

    return fault


def poisoned_for_good(name: str, change: Callable[[Tensor], object]) -> Fault:
    """The tensor is wrong in every state that is loaded: going back does not help."""

    def fault(started: Started) -> None:
        state = started.state
        tensors = dict(state.model.named_parameters()) | state.optimizer.tensors()
        take, rows = started.hands.loader.take, started.plan.rows_per_step

        def taken(row: int) -> Batch:
            if row // rows >= AT - 30:
                with torch.no_grad():
                    change(tensors[name])
            return take(row)

        started.hands.loader.take = taken  # pyright: ignore[reportAttributeAccessIssue]

    return fault


def nan_at(place: int) -> Callable[[Tensor], object]:
    return lambda tensor: tensor.view(-1)[place].fill_(math.nan)


def times(factor: float) -> Callable[[Tensor], object]:
    return lambda tensor: tensor.mul_(factor)


UP, DOWN, GAIN = "layers.0.mlp.up_proj.weight", "layers.1.mlp.down_proj.weight", "norm.weight"
DRILLS = [
    Drill("random tokens, one step", bad_documents(1, "random")),
    Drill("random tokens, four steps", bad_documents(4, "random")),
    Drill("random tokens, ten steps", bad_documents(10, "random")),
    Drill("one token repeated, five steps", bad_documents(5, "repeated")),
    Drill("gradient NaN once", bad_gradient(math.nan, 1, once=True)),
    Drill("gradient NaN at five steps' rows", bad_gradient(math.nan, 5, once=False)),
    Drill("gradient Inf, four steps, once", bad_gradient(math.inf, 4, once=True)),
    Drill("gradient -Inf at one step's rows", bad_gradient(-math.inf, 1, once=False)),
    Drill("gradient a million times too large, once", bad_gradient(1e6, 1, once=True, times=True)),
    Drill("gradient 10,000 times too large at six steps' rows", bad_gradient(1e4, 6, once=False, times=True)),
    Drill("rate 100 times too high, three steps", bad_rate(100.0, 3)),
    Drill("rate 1,000 times too high, one step", bad_rate(1000.0, 1)),
    Drill("rate 30 times too high, five steps", bad_rate(30.0, 5)),
    Drill("a weight NaN", bad_state(UP, nan_at(5))),
    Drill("weights 50 times too large", bad_state(DOWN, times(50.0))),
    Drill("gains negated and ten times too large", bad_state(GAIN, times(-10.0))),
    Drill("weight NaN in every state", poisoned_for_good(DOWN, nan_at(1)), DOWN),
    Drill("momentum NaN", bad_state(f"momentum.{UP}", nan_at(9))),
    Drill("momentum NaN in every state", poisoned_for_good(f"momentum.{UP}", nan_at(9)), f"momentum.{UP}"),
    Drill("squares of rows NaN", bad_state(f"row_square.{UP}", nan_at(9))),
    Drill("first moment NaN", bad_state(f"exp_avg.{UP}", nan_at(9)), optimizer="adamw"),
    Drill("first moments a million times too large", bad_state(f"exp_avg.{DOWN}", times(1e6)), optimizer="adamw"),
    Drill(
        "first moment NaN in every state",
        poisoned_for_good(f"exp_avg.{UP}", nan_at(9)),
        f"exp_avg.{UP}",
        optimizer="adamw",
    ),
]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> dict[OptimizerKind, float]:
    losses: dict[OptimizerKind, float] = {}
    for optimizer in ("muon", "adamw"):
        one = begin(tmp_path_factory.mktemp("healthy"), optimizer)
        assert one.train().reason == "finished"
        losses[optimizer] = final_loss(one)
    return losses


def begin(folder: Path, optimizer: OptimizerKind) -> Started:
    options: dict[str, Any] = {"save_every": 25, "validate_every": 78, "log_every": 10, "keep_last": 3}
    return start(folder, budget=BUDGET, optimizer=optimizer, **options)


def final_loss(one: Started) -> float:
    return one.events(Validated)[-1].loss


@pytest.mark.parametrize("drill", DRILLS, ids=lambda d: d.name.replace(" ", "-"))
def test_what_goes_wrong_is_survived_or_named(
    tmp_path: Path, drill: Drill, healthy: dict[OptimizerKind, float]
) -> None:
    one = begin(tmp_path, drill.optimizer)
    drill.fault(one)
    stop = one.train()
    bad = [e.verdict for e in one.events(StepDone) if e.verdict != "ok"]
    assert bad, "the fault was not even seen"
    off = final_loss(one) / healthy[drill.optimizer] - 1
    print(
        f"{drill.name}: {stop.reason}, {len(bad)} steps refused, {len(one.events(RolledBack))} times back, {off:+.2%}"
    )
    if drill.stops:
        assert stop.reason == "unhealthy"
        (shown,) = one.events(GaveUp)
        assert any(line.startswith(drill.stops) for line in shown.state), shown
        assert shown.documents
    else:
        assert stop.reason == "finished"
        assert off < 0.02


CONTROLS = [
    {},
    {"optimizer": "adamw"},
    {"lr": 1e-2},
    {"lr": 2e-2, "warmup_steps": 0},
    {"lr": 1e-4},
    {"warmup_steps": 100},
    {"schedule": "cosine"},
    {"decay_share": 1.0},
    {"clip": 0.01},
    {"clip": 100.0},
    {"batch_tokens": 128},
    {"batch_tokens": 64},
    {"micro_rows": 1},
    {"dropout": 0.3},
    {"weight_decay": 0.0},
    {"weight_decay": 2.0},
    {"beta2": 0.999},
    {"beta1": 0.8, "beta2": 0.9},
    {"z_loss": 1e-2},
    {"dtype": "bf16"},
    {"validate_every": 7, "save_every": 5},
]


@pytest.mark.parametrize("options", CONTROLS, ids=str)
def test_in_a_healthy_run_the_guard_does_nothing(tmp_path: Path, options: dict[str, object]) -> None:
    budget = "60K tokens" if options.get("batch_tokens") is None else "20K tokens"
    one = start(tmp_path, budget=budget, **{"save_every": 50, "validate_every": 50, **options})
    assert one.train().reason == "finished"
    assert {e.verdict for e in one.events(StepDone)} == {"ok"}
    assert one.events(RolledBack) == []
