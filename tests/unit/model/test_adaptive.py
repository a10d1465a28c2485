"""Tokens loop as often as they need: decoding says what training computes, and losses have the gradients they claim."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gnomon.evaluate.depth import depth_of, spearman
from gnomon.model.adaptive import Looped
from gnomon.model.attention import Segments
from gnomon.model.cache import Cache
from gnomon.model.generate import Sampling, generate
from gnomon.model.halting import (
    Ponder,
    chances,
    divergence,
    diversity_loss,
    expected_steps,
    graves_steps,
    ponder_cost,
    prior,
    shuffled,
)
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import IGNORE, next_token_loss, token_losses
from gnomon.presets import PRESETS, Shape
from gnomon.train.step import step
from tests.unit.train.test_step import as_batch
from tests.world import NEOX, TINY, noisy_model, packed_rows, plain_state

LOOPED = replace(TINY, layers=4, loops=4)
KINDS = [
    LOOPED,
    replace(LOOPED, halting="ponder"),
    replace(NEOX, layers=4, loops=3, positions="learned"),
    replace(NEOX, layers=3, loops=4, positions="learned", halting="ponder"),
]
each_kind = pytest.mark.parametrize("shape", KINDS, ids=lambda s: f"{s.block}-{s.halting}")


def lively(shape: Shape, seed: int = 0) -> LanguageModel:
    """Return a model in evaluation mode whose tokens stop at different loops."""
    model = noisy_model(shape, seed).eval()
    assert model.depth is not None
    with torch.no_grad():
        model.depth.halting.weight.mul_(3)
    return model


def test_the_preset_is_the_table_that_was_asked_for() -> None:
    shape = PRESETS["adaptive-25m"]
    table = shape.parameter_table()
    assert (shape.vocabulary, shape.width, shape.context, shape.layers, shape.core, shape.passes) == (
        32768, 384, 2048, 6, 4, 18,
    )  # fmt: skip
    embeddings = table["embedding"] + table["positions"]
    blocks = table["attention"] + table["feed_forward"] + table["norms"]
    assert (round(embeddings / 1e6, 2), round(blocks / 1e6, 2)) == (13.37, 10.65)
    left = 25.6e6 - shape.parameters + table["halting"]
    assert round(left / 1e6, 2) == 1.58  # for what reads the states: halting, heads, adapters
    assert shape.as_dict()["positions"] == "learned" and "loops" not in PRESETS["5M"].as_dict()


@each_kind
@pytest.mark.parametrize("seed", range(2))
def test_what_is_decoded_is_what_the_training_pass_says_whatever_the_batch(shape: Shape, seed: int) -> None:
    model, generator = lively(shape, seed), torch.Generator().manual_seed(seed)
    tokens = torch.randint(shape.vocabulary, (3, 24), generator=generator)
    whole = model(tokens)  # every loop for every token, as in training
    assert len(whole.signals["steps"].unique()) > 1
    with torch.no_grad():
        read = model(tokens)
        alone = torch.cat([model(row[None]).hidden for row in tokens])
    cache, parts = Cache(3, 24, shape, model.head), []
    for part in tokens.split([5, 1, 1, 9, *[1] * 8], dim=1):
        parts.append(model(part, cache=cache))
    decoded = torch.cat([part.hidden for part in parts], 1)
    for said in (read.hidden, alone, decoded):
        assert torch.allclose(said, whole.hidden, atol=1e-4)
    steps = torch.cat([part.signals["steps"] for part in parts], 1)
    assert torch.equal(steps, whole.signals["steps"]) and torch.equal(read.signals["steps"], steps)


@each_kind
def test_prompts_of_unequal_length_are_continued_in_a_batch_as_alone(shape: Shape) -> None:
    model, prompts = lively(shape), [[1, 2, 3, 4, 5], [7], [9, 10, 11], list(range(60))]
    together = list(generate(model, prompts, 6, Sampling(temperature=0)))
    for i, prompt in enumerate(prompts):
        alone = [t[0] for t in generate(model, [prompt], 6, Sampling(temperature=0))]
        assert [t[i] for t in together][: len(alone)] == alone
        assert len(alone) == (6 if shape.positions == "rotary" else min(6, shape.context - len(prompt)))


@each_kind
def test_packed_documents_are_each_as_if_alone(shape: Shape) -> None:
    model, rows = lively(shape), packed_rows([[40, 24], [10, 54]], length=64)
    said = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
    assert torch.allclose(said[0, 40:], model(rows.tokens[:1, 40:]).hidden[0], atol=1e-4)


def test_a_token_that_has_stopped_keeps_its_state_and_supplies_it_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    model = lively(LOOPED)
    assert model.depth is not None
    kept: list[Looped] = []
    everywhere = model.depth.everywhere
    monkeypatch.setattr(model.depth, "everywhere", lambda *args: kept.append(everywhere(*args)) or kept[-1])
    tokens = torch.arange(1, 9)[None]
    steps = torch.tensor([[1, 4, 2, 4, 1, 3, 4, 4]])
    model(tokens, steps_BT=steps)
    for loop in range(1, 4):
        assert torch.equal((kept[0].states[loop] == kept[0].states[loop - 1]).all(-1), steps <= loop)
    other = steps.clone()
    other[0, 0] = 2  # what the first token supplies to loops 2 to 4 is another state now
    model(tokens, steps_BT=other)
    assert torch.equal(kept[1].states[0], kept[0].states[0])
    assert not torch.allclose(kept[1].states[2][0, 1], kept[0].states[2][0, 1])


def test_chances_are_those_of_the_definition_and_sum_to_one() -> None:
    logits = torch.randn(4, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p, stop = chances(logits), logits.sigmoid()
    assert torch.allclose(p[1], stop[1] * (1 - stop[0]))
    assert torch.allclose(p[3], (1 - stop[0]) * (1 - stop[1]) * (1 - stop[2]))
    assert torch.allclose(p.sum(0), torch.ones(2, 5, dtype=torch.float64))
    expected = p[0] + 2 * p[1] + 3 * p[2] + 4 * p[3]
    assert torch.allclose(expected_steps(p), expected)
    taken = torch.full((2, 5), 3)
    assert torch.allclose(graves_steps(p, taken), 3 + 1 - p[0] - p[1])
    assert sum(n * q for n, q in enumerate(prior(4, 1.7), 1)) == pytest.approx(1.7)


def losses_of(name: str, logits: Tensor) -> Tensor:
    counts = torch.ones(logits.shape[1:], dtype=torch.bool)
    counts[0, 3] = False
    difficulty = torch.linspace(0, 3, 12, dtype=logits.dtype).view(2, 6)[:, [4, 1, 3]]
    p, ponder = chances(logits), Ponder(budget=1.2, spread=3.0, covariance=2.0)
    if name == "diversity":
        return diversity_loss(expected_steps(p), counts, difficulty, torch.tensor([[0, 3, 5], [1, 2, 4]]), ponder)
    if name == "prior":
        return divergence(p, counts, ponder)
    steps = expected_steps(p) if name == "expected" else graves_steps(p, torch.full(counts.shape, 3))
    return ponder_cost(steps, counts, 4, ponder)


@pytest.mark.parametrize("name", ["expected", "graves", "diversity", "prior"])
def test_the_gradient_of_each_loss_is_that_of_finite_differences(name: str) -> None:
    logits = torch.randn(4, 2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: losses_of(name, x), [logits])
    (found,) = torch.autograd.grad(losses_of(name, logits), logits)
    assert found[:3, 1].abs().sum() > 1e-3  # and not that of a constant
    assert found[:, 0, 3].abs().sum() == 0  # a token that bears no loss


def test_the_loss_of_single_tokens_has_the_gradient_of_finite_differences_and_sums_to_that_of_all() -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, head = (torch.randn(n, 3, generator=generator, dtype=torch.float64, requires_grad=True) for n in (5, 7))
    labels = torch.tensor([1, 6, IGNORE, 0, 3])
    weights = torch.tensor([0.3, 1.0, 5.0, -2.0, 0.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x, w: (token_losses(x, w, labels) * weights).sum(), (hidden, head))
    summed, _ = next_token_loss(hidden.detach().float(), head.detach().float(), labels)
    assert token_losses(hidden, head, labels).sum().item() == pytest.approx(summed.item())


@pytest.mark.parametrize("usefulness", [0.0, 1.0])
def test_where_all_tokens_stop_alike_only_the_term_of_usefulness_has_a_gradient(usefulness: float) -> None:
    logits = torch.full((4, 2, 8), -0.3, requires_grad=True)
    counts, places = torch.ones(2, 8, dtype=torch.bool), torch.arange(8).repeat(2, 1)
    difficulty = torch.linspace(0, 3, 16).view(2, 8)
    loss = diversity_loss(expected_steps(chances(logits)), counts, difficulty, places, Ponder(usefulness=usefulness))
    (found,) = torch.autograd.grad(loss, logits)
    assert bool((found[:3] != 0).all()) is (usefulness > 0) and bool((found == 0).all()) is (usefulness == 0)
    if usefulness:  # loops rise where it is difficult: a smaller chance to stop
        assert bool((found[0, :, -1] > 0).all()) and bool((found[0, :, 0] < 0).all())


def test_a_budget_that_is_kept_and_a_spread_that_is_reached_cost_nothing() -> None:
    counts, places = torch.ones(1, 4, dtype=torch.bool), torch.arange(4)[None]
    steps = torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    assert ponder_cost(steps, counts, 4, Ponder(budget=2.0, every=0.0)) == 0
    assert ponder_cost(steps + 1, counts, 4, Ponder(budget=2.0, every=0.0)) == pytest.approx(4 * (1 / 4) ** 2)
    assert diversity_loss(steps, counts, steps, places, Ponder()) == 0
    assert diversity_loss(steps, counts, -steps, places, Ponder()) > 0  # loops where it is easy


@each_kind
def test_accumulated_micro_batches_have_the_gradient_of_one_large_batch(shape: Shape) -> None:
    layout = [[40, 24], [64], [10, 50], [30, 33]]
    whole = packed_rows(layout, length=64)
    parts = [packed_rows([each], length=64, of=whole, row=i) for i, each in enumerate(layout)]
    found = []
    for micros in ([whole], parts):
        model = lively(shape).train()
        assert model.depth is not None
        model.depth.ponder = Ponder(budget=1.1, spread=3.0, noise=0.0)
        for rows in micros:
            output = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse), labels_BT=rows.labels)
            assert all(loss != 0 for loss in output.losses.values())
            (torch.stack([*output.losses.values()]).sum() / whole.loss_tokens).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    for name, one in found[0].items():
        assert torch.allclose(one, found[1][name], atol=1e-5 * float(one.abs().max()) + 1e-8), name


@each_kind
def test_every_weight_learns_and_the_same_step_gives_the_same_bits_noise_included(shape: Shape) -> None:
    found = []
    for noise in (0.5, 0.5, 0.0):
        state = plain_state(shape=shape)
        assert state.model.depth is not None
        state.model.depth.ponder = Ponder(noise=noise)
        before = {name: p.detach().clone() for name, p in state.model.named_parameters()}
        step(state, as_batch(packed_rows([[64], [30, 34]], length=64)))
        now = {name: p.detach() for name, p in state.model.named_parameters()}
        assert all(not torch.equal(before[name], p) for name, p in now.items())
        found.append(torch.cat([p.flatten() for p in now.values()]))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_the_mixture_and_the_loss_beside_it_are_the_mean_of_all_loops_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    model, rows = lively(replace(LOOPED, halting="ponder")).train(), packed_rows([[64], [60]], length=64)
    assert model.depth is not None
    model.depth.ponder = Ponder(noise=0.0)
    kept: list[Looped] = []
    everywhere = model.depth.everywhere
    monkeypatch.setattr(model.depth, "everywhere", lambda *args: kept.append(everywhere(*args)) or kept[-1])
    output = model(rows.tokens, labels_BT=rows.labels)
    steps, losses = output.signals["steps"], []
    for loop in range(1, 5):
        fixed = model(rows.tokens, steps_BT=steps.clamp(max=loop))
        losses.append(token_losses(fixed.hidden, model.head, rows.labels))
    whole = next_token_loss(output.hidden, model.head, rows.labels)[0] + output.losses["mixture"]
    assert whole.item() == pytest.approx((kept[0].p * torch.stack(losses)).sum().item(), rel=1e-5)
    assert (rows.labels == IGNORE).sum() == 4 and bool((losses[0][rows.labels == IGNORE] == 0).all())


def test_depth_is_measured_with_controls_that_spend_the_same() -> None:
    model, rows = lively(LOOPED), packed_rows([[64], [30, 34]], length=64)
    found = depth_of(model, [rows])
    assert found.deviation > 0 and len(found.fixed) == 4 and found.tokens == rows.loss_tokens
    assert len({found.loss, found.shuffled, *found.fixed}) == 6
    steps = torch.arange(12).view(3, 4)
    mixed = shuffled(steps, torch.Generator().manual_seed(0))
    assert not torch.equal(mixed, steps) and torch.equal(mixed.flatten().sort().values, steps.flatten())
    assert spearman(torch.tensor([1.0, 2, 2, 5]), torch.tensor([0.0, 3, 3, 90])) == pytest.approx(1.0)
    assert spearman(torch.ones(4), torch.arange(4.0)) == 0.0
