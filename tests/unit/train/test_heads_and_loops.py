"""Heads of a model with loops: read alike in training, in one pass and in parts; exact, and within their budget."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gnomon.config import make_config
from gnomon.footprint import head_table
from gnomon.model.attention import Segments
from gnomon.model.cache import Cache
from gnomon.model.halting import Ponder
from gnomon.model.heads import Marks
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import Reading, read, read_each
from gnomon.plan import shape_of
from gnomon.presets import PRESETS, Shape, read_shape
from gnomon.train.heads import Budget
from gnomon.train.readback import Readback
from gnomon.train.state import State
from gnomon.train.step import step
from tests.unit.train.test_heads import KINDS, LAYOUT, asked, found_by, gradients, labelled, part_of
from tests.unit.train.test_step import as_batch
from tests.world import NEOX, TINY, noisy_model, packed_rows, plain_optimizer, plain_state

SHAPES = [
    replace(TINY, layers=4, loops=3, mark_width=80),
    replace(NEOX, layers=3, loops=4, positions="learned", halting="ponder"),
]
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.halting)
MARKED = {token: token % 4 for token in range(1, 100)}  # many, of which some stop early and some late


def lively(shape: Shape) -> LanguageModel:
    """Return a model with heads in evaluation mode, whose tokens stop at different loops."""
    model = noisy_model(shape, heads=KINDS).eval()
    assert model.depth is not None
    with torch.no_grad():
        model.depth.halting.weight.mul_(3)
    return model


def state_of(shape: Shape, *, detached: float = 0.0, noise: float = 0.0) -> State:
    """Return a state about to take its first step."""
    state, model = plain_state(shape=shape), noisy_model(shape, heads=KINDS)
    assert model.depth is not None
    model.depth.ponder = Ponder(noise=noise)
    budget, readback = Budget("cpu", shape.states, detached, 0.1), Readback(10, "cpu", heads=True)
    return replace(state, model=model, budget=budget, readback=readback, optimizer=plain_optimizer(model, "adamw"))


def logits(readings: list[Reading], name: str) -> Tensor:
    return torch.tensor([reading.logits[name] for reading in readings])


@each_shape
def test_what_heads_say_is_the_same_in_training_whole_in_parts_and_in_a_batch(shape: Shape) -> None:
    model, generator = lively(shape), torch.Generator().manual_seed(0)
    text = torch.randint(shape.vocabulary, (40,), generator=generator)
    places = torch.tensor([at for at, token in enumerate(text.tolist()) if token in MARKED])
    marks = Marks(places, torch.tensor([MARKED[token] for token in text[places].tolist()]))
    trained = model(text[None], torch.arange(40)[None], Segments((), text), marks=marks)  # every loop for all
    steps = trained.signals["steps"][0, places]
    assert len(places) > 5 and len(steps.unique()) > 1, "marks stop at different loops"
    whole = read(model, text.tolist(), MARKED)[1]
    assert [r.place for r in whole] == places.tolist()
    cache, parts = Cache(1, 40, shape, model.head), list[Reading]()
    for part in text.split([5, 10, 1, 14, 9, 1]):
        parts += read(model, part.tolist(), MARKED, cache)[1]
    together = read_each(model, [text[:20].tolist(), text.tolist(), text[10:].tolist()], MARKED)[1]
    for name in ("router", "coarse", "fine"):
        assert trained.signals[name].std() > 0.01
        for found in (whole, parts, together):
            assert torch.allclose(logits(found, name), trained.signals[name].detach(), atol=1e-4), name


@each_shape
def test_what_follows_a_mark_changes_nothing_of_what_heads_say_there(shape: Shape) -> None:
    model, text = lively(shape), [301, 302, 303, 5, 392, 393, 394]
    first = read(model, text, MARKED)[1][0]
    other = read(model, [*text[:4], 200, 201, 202, 203], MARKED)[1][0]
    assert other.logits["router"] == pytest.approx(first.logits["router"], abs=1e-5)


@each_shape
def test_four_micro_batches_find_what_one_finds(shape: Shape) -> None:
    rows, state = asked(packed_rows(LAYOUT, length=64)), state_of(shape)
    batch = labelled(rows)
    step(state, batch)  # from here on the budget lets something through
    assert state.budget and float(state.budget.share(state.done) or 0) > 0
    whole, told = found_by(state, batch)
    parts = [found_by(state, replace(batch, micros=(part_of(rows, i, i + 1),))) for i in range(4)]
    for name, gradient in whole.items():
        assert torch.allclose(gradient, torch.stack([part[name] for part, _ in parts]).sum(0), atol=1e-6), name
    assert torch.allclose(told, torch.stack([sums for _, sums in parts]).sum(0), rtol=1e-4)
    assert (told[1:] > 0).all(), "a norm for each state that heads read"


@each_shape
def test_while_heads_are_detached_the_weights_are_those_of_a_run_without_noise_included(shape: Shape) -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    plain, state = plain_state(shape=shape), state_of(shape, detached=2.0, noise=0.5)
    ours, theirs = dict(state.model.named_parameters()), dict(plain.model.named_parameters())
    for number in range(4):
        step(plain, as_batch(rows))
        step(state, labelled(rows))
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs) == (number < 2)


@each_shape
def test_after_that_their_gradient_in_the_trunk_is_at_most_its_part_of_the_language_s(shape: Shape) -> None:
    state, found = state_of(shape, detached=1.0), []
    for seed in range(4):
        one = asked(packed_rows(LAYOUT, length=64), seed)
        step(state, labelled(one))
        both, alone = gradients(state, labelled(one)), gradients(state, as_batch(replace(one, targets=None)))
        trunk = [name for name in both if not name.startswith("heads.")]
        heads = torch.stack([(both[name] - alone[name]).norm() for name in trunk]).norm()
        found.append(float(heads / torch.stack([alone[name].norm() for name in trunk]).norm()))
    assert all(1e-4 < each <= 0.1 for each in found), found


def test_the_preset_has_heads_and_with_them_the_parameters_that_were_asked_for() -> None:
    config = make_config({"data": "none", "size": "adaptive-25m"})
    shape = shape_of(config)
    assert config.heads.kinds == KINDS and shape == PRESETS["adaptive-25m"]
    table = shape.parameter_table() | head_table(shape, config.heads.kinds)
    total = sum(table.values())
    shares = [sum(table[name] for name in names) / total for names in (
        ("embedding", "positions"), ("attention", "feed_forward", "norms"), ("heads", "halting"),
    )]  # fmt: skip
    assert abs(total / 25.6e6 - 1) < 0.01
    assert [round(100 * share, 1) for share in shares] == [52.3, 41.6, 6.1]
    with torch.device("meta"):
        model = LanguageModel(shape, heads=config.heads.kinds)
    assert sum(p.numel() for p in model.parameters()) == total
    without = make_config({"data": "none", "size": "adaptive-25m", "heads": {"types": False, "router": False}})
    assert without.heads.kinds == [] and make_config({"data": "none"}).heads.kinds == []
    assert make_config(config.model_dump()) == config
    assert read_shape(shape.as_dict(), "a test") == shape and "mark_width" not in PRESETS["5M"].as_dict()
