"""Heads learn beside the language: exactly what is labelled, however a batch is cut, and within their budget."""

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from gnomon.assemble import make_state
from gnomon.config import OptimizerKind, make_config
from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.stream import Batch
from gnomon.data.streaming.targets import Targets
from gnomon.model.attention import Segments
from gnomon.model.head_loss import head_losses
from gnomon.model.heads import Marks
from gnomon.model.lm import LanguageModel
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, HEAD_LOSSES, OPENING, ROUTER_SIGNALS, HeadKind
from gnomon.train.heads import Budget
from gnomon.train.parallel import ALONE
from gnomon.train.readback import Readback
from gnomon.train.schedule import Schedule
from gnomon.train.state import State
from gnomon.train.step import _gradients, step
from tests.unit.train.test_step import as_batch
from tests.world import TINY, noisy_model, packed_rows, plain_optimizer, plain_state, unlabelled

KINDS: list[HeadKind] = ["router", "types"]
LAYOUT = [[40, 24], [64], [10, 50], [30, 33]]


def state_with_heads(optimizer: OptimizerKind = "adamw", *, detached: float = 0.0, part: float = 0.1) -> State:
    """Return a plain state whose model has heads as well, with weights that all matter."""
    plain, model = plain_state(optimizer=optimizer), noisy_model(heads=KINDS)
    budget = Budget("cpu", TINY.states, detached, part)
    heads = {"optimizer": plain_optimizer(model, optimizer), "readback": Readback(10, "cpu", heads=True)}
    return replace(plain, model=model, budget=budget, **heads)


def asked(rows: Rows, seed: int = 0) -> Rows:
    """Return the rows with a few marked places in each, of which most labels are known."""
    generator = torch.Generator().manual_seed(seed)
    count, length = rows.tokens.shape
    places = torch.cat([row * length + torch.tensor([7, 20, 39]) for row in range(count)])
    n = len(places)

    def drawn(size: int) -> Tensor:
        value = torch.rand(n, size, generator=generator)
        return torch.where(torch.rand(n, size, generator=generator) < 0.4, torch.nan, value)

    fine = torch.rand(n, len(FINE_TYPES), generator=generator).softmax(1)
    fine[torch.rand(n, generator=generator) < 0.4] = torch.nan
    found = Targets(
        places, torch.tensor([0, OPENING, 2]).repeat(count), drawn(5), torch.rand(n, 5), drawn(len(ANSWER_TYPES)), fine
    )
    return replace(rows, targets=found)


def part_of(rows: Rows, first: int, last: int) -> Rows:
    """Return some of the rows, with their places."""
    some = packed_rows(LAYOUT[first:last], length=64, of=rows, row=first)
    assert rows.targets is not None
    here = slice(3 * first, 3 * last)
    found = {name: tensor[here] for name, tensor in vars(rows.targets).items()}
    return replace(some, targets=Targets(**found | {"places": found["places"] - 64 * first}))


def labelled(*micros: Rows) -> Batch:
    """Return the micro-batches as a batch that knows how many labels there are in it."""
    every = [m.targets for m in micros if m.targets]
    counts = {name: sum(int((~t.router[:, i].isnan()).sum()) for t in every) for i, name in enumerate(ROUTER_SIGNALS)}
    counts["coarse"] = sum(int((~t.coarse.isnan()).any(1).sum()) for t in every)
    counts["fine"] = sum(int((~t.fine.isnan()).any(1).sum()) for t in every)
    return replace(as_batch(*micros), labelled=counts)


def found_by(state: State, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
    """Return what one step's gradients are before they are clipped, and what is told of it: losses, squared norms."""
    assert state.budget is not None
    sums = torch.zeros(1 + state.budget.figures)
    _gradients(state, batch, ALONE, sums)
    found = {n: p.grad.clone() for n, p in state.model.named_parameters() if p.grad is not None}
    state.optimizer.clear()
    return found, sums


def gradients(state: State, batch: Batch) -> dict[str, Tensor]:
    return found_by(state, batch)[0]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_four_micro_batches_in_one_process_or_two_find_what_one_finds(optimizer: OptimizerKind, processes: int) -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    state, batch = state_with_heads(optimizer), labelled(rows)
    step(state, batch)  # from here on the budget lets something through
    assert state.budget and float(state.budget.share(state.done) or 0) > 0
    whole, told = found_by(state, batch)
    micros = [part_of(rows, row, row + 1) for row in range(4)]
    cut = [tuple(micros[i::processes]) for i in range(processes)]
    parts = [found_by(state, replace(batch, micros=some)) for some in cut]
    for name, gradient in whole.items():
        assert torch.allclose(gradient, torch.stack([part[name] for part, _ in parts]).sum(0), atol=1e-6), name
    assert torch.allclose(told, torch.stack([sums for _, sums in parts]).sum(0), rtol=1e-5)
    assert (told[1:] > 0).all()


def test_what_is_not_labelled_gives_exactly_no_gradient() -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    assert rows.targets is not None
    nothing = unlabelled(rows.targets.places, rows.targets.kinds)
    state = state_with_heads()
    step(state, labelled(rows))  # from here on the budget lets something through
    found = gradients(state, replace(labelled(replace(rows, targets=nothing)), labelled=dict.fromkeys(HEAD_LOSSES, 7)))
    none = gradients(state, as_batch(replace(rows, targets=None)))
    assert all(torch.equal(found[name], none[name]) for name in found)
    assert not any(gradient.any() for name, gradient in found.items() if name.startswith("heads."))
    for place, head in ((3, "router"), (4, "opening")):
        router = nothing.router.index_put((torch.tensor([place]), torch.tensor([2])), torch.tensor(1.0))
        one = replace(nothing, router=router, weight=torch.ones_like(nothing.weight))
        found = gradients(state, labelled(replace(rows, targets=one)))
        moved = {name for name, gradient in found.items() if name.startswith("heads.") and gradient.any()}
        parts = (f"heads.{head}.{n}_proj.{k}" for n in ("up", "down") for k in ("weight", "bias"))
        assert moved == {f"heads.mix.{head}", *parts}
        assert found[f"heads.{head}.down_proj.bias"].nonzero().tolist() == [[2]]
        taught = any(not torch.equal(found[name], none[name]) for name in none if not name.startswith("heads."))
        assert taught == (head == "router")


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_while_heads_are_detached_the_language_s_weights_are_those_of_a_run_without(optimizer: OptimizerKind) -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    plain, state = plain_state(optimizer=optimizer), state_with_heads(optimizer, detached=5.0)
    ours, theirs = dict(state.model.named_parameters()), dict(plain.model.named_parameters())
    heads = {name: p.detach().clone() for name, p in ours.items() if name.startswith("heads.")}
    for number in range(7):
        step(plain, as_batch(rows))
        step(state, labelled(rows))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) == (number < 5)
    assert not any(torch.equal(before, ours[name]) for name, before in heads.items())


@pytest.mark.parametrize("kind", ["cosine", "wsd"])
def test_their_rate_falls_in_the_share_of_the_steps_that_the_config_names(kind: Literal["cosine", "wsd"]) -> None:
    said = {"data": "texts", "size": "1M", "budget": "1M tokens", "heads": {"router": True, "decay_share": 0.3}}
    options: dict[str, Any] = {"device": "cpu", "dtype": "fp32", "seed": 0, "compiled": False, "optimizer": "adamw"}
    schedule = Schedule(kind, 1e-3, 100, 5, 0.9, 0.1)
    state = make_state(TINY, schedule, make_config(said), heads=["router"], **options)
    rates = [state.heads_schedule.rate_until(done) for done in (5, 70, 71, 100)]
    assert rates == [1e-3, 1e-3, pytest.approx(1e-3 * (1 - 0.9 / 30)), pytest.approx(1e-4)]
    assert state.schedule == schedule and schedule.rate_until(70) < 1e-3


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_heads_have_a_rate_of_their_own_and_the_language_has_its(optimizer: OptimizerKind) -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    fast = state_with_heads(optimizer, detached=9.0)
    slow = replace(fast.schedule, peak=1e-4)

    def weights(schedule: Schedule, of_heads: Schedule) -> dict[str, Tensor]:
        state = state_with_heads(optimizer, detached=9.0)
        state.schedule, state.heads_schedule = schedule, of_heads
        step(state, labelled(rows))
        return dict(state.model.named_parameters())

    found = weights(fast.schedule, slow)
    for name, tensor in weights(slow, slow).items():
        assert torch.equal(found[name], tensor) == name.startswith("heads.")
    for name, tensor in weights(fast.schedule, fast.schedule).items():
        assert torch.equal(found[name], tensor) != name.startswith("heads.")


def test_after_that_the_heads_gradient_in_the_trunk_is_at_most_its_part_of_the_language_s() -> None:
    rows = [asked(packed_rows(LAYOUT, length=64), seed) for seed in range(12)]
    state, found = state_with_heads(detached=2.0), []
    for one in rows:
        step(state, labelled(one))
        both, alone = gradients(state, labelled(one)), gradients(state, as_batch(replace(one, targets=None)))
        trunk = [name for name in both if not name.startswith("heads.")]
        heads = torch.stack([(both[name] - alone[name]).norm() for name in trunk]).norm()
        found.append(float(heads / torch.stack([alone[name].norm() for name in trunk]).norm()))
    print([round(each, 4) for each in found])
    assert found[0] == 0 and all(0.001 < each <= 0.1 for each in found[2:])


def losses(model: LanguageModel, rows: Rows, marks: Marks) -> Tensor:
    output, t = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse), marks=marks), rows.targets
    assert t is not None
    return head_losses(output.signals, t.router, t.weight, t.coarse, t.fine)


@pytest.mark.parametrize("middle", [1, OPENING])
def test_gradients_of_all_weights_are_those_of_finite_differences(middle: int) -> None:
    """But for those of the stream where an answer begins, of which there is none to it."""
    rows = asked(packed_rows(LAYOUT[:2], length=64))
    model, targets = state_with_heads().model, rows.targets
    assert targets is not None
    marks = Marks(targets.places, targets.kinds.where(targets.kinds != OPENING, middle), torch.ones(()))
    losses(model, rows, marks).sum().backward()
    for name, parameter in model.named_parameters():
        if name == "norm.weight":  # behind what heads read
            assert parameter.grad is None
            continue
        if middle == OPENING and not name.startswith("heads."):
            continue
        if middle != OPENING and "opening" in name:
            assert parameter.grad is not None and not parameter.grad.any(), "zeros, so that all ranks have one"
            continue
        assert parameter.grad is not None
        size = parameter.grad.norm()
        step = 0.003 * parameter.grad / size
        with torch.no_grad():
            parameter += step
            above = losses(model, rows, marks).double().sum()
            parameter -= 2 * step
            below = losses(model, rows, marks).double().sum()
            parameter += step
        assert float((above - below) / 0.006) == pytest.approx(float(size), rel=0.01, abs=5e-3), name


def test_gradients_of_the_losses_are_those_of_finite_differences_and_zero_where_nothing_is_known() -> None:
    targets = asked(packed_rows(LAYOUT[:1], length=64)).targets
    assert targets is not None
    generator = torch.Generator().manual_seed(0)
    sizes = {"router": 5, "coarse": len(ANSWER_TYPES), "fine": len(FINE_TYPES)}
    logits = [torch.randn(3, n, generator=generator, dtype=torch.float64, requires_grad=True) for n in sizes.values()]
    labels = [t.double() for t in (targets.router, targets.weight, targets.coarse, targets.fine)]

    def loss(*each: Tensor) -> Tensor:
        return head_losses(dict(zip(sizes, each, strict=True)), labels[0], labels[1], labels[2], labels[3])

    assert torch.autograd.gradcheck(loss, logits)
    loss(*logits).sum().backward()
    assert torch.equal(logits[0].grad != 0, ~targets.router.isnan())
    with_fine = [i for i, name in enumerate(ANSWER_TYPES) if name != "boolean"]
    told = ~targets.fine.isnan().any(1) | (targets.coarse[:, with_fine] > 0.5).any(1)
    assert torch.equal((logits[2].grad != 0).any(1), told)
