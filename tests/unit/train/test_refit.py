"""Heads learn what is planted in a model's states, the model stays, and what nobody labels stays as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gnomon.base.progress import silent
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import read_each
from gnomon.store.labels import COARSE, FINE, ROUTER, WEIGHT, WIDTH
from gnomon.taxonomy import ANSWER_TYPES, COARSE_OF, FINE_TYPES, OPENING, ROUTER_SIGNALS
from gnomon.train.refit import Learned, Lessons, Places, fit_heads, read_places, with_heads
from tests.world import TINY, noisy_model

KINDS = {5: 0, 6: 1, 7: 2, 8: OPENING}
QUICK = Lessons(rate=1e-2, rows=64, epochs=12)
PLANTED = ["HUM:ind", "NUM:date", "LOC:city", "DESC:def"]


def asked(count: int, seed: int, *, types: bool = True, posed: bool = False) -> tuple[list[list[int]], np.ndarray]:
    """Return questions whose third token says the type, and whose fourth whether they are well posed, up to where their
    answers begin.
    """
    draw = np.random.default_rng(seed)
    texts, known = [], np.full((count, WIDTH), np.nan, np.float32)
    for row in known:
        which, fine = (int(n) for n in draw.integers(2, size=2))
        name = PLANTED[2 * which + fine]
        length = int(draw.integers(1, 6))
        texts.append([3, 4, 100 + 2 * which + fine, 120 + which, *draw.integers(200, 500, length).tolist(), 5, 8])
        if types:
            row[FINE], row[COARSE] = 0, 0
            row[FINE.start + FINE_TYPES.index(name)] = row[COARSE.start + ANSWER_TYPES.index(COARSE_OF[name])] = 1
        if posed:
            row[ROUTER.start], row[WEIGHT.start] = which, 1
    return texts, known


def taught(model: LanguageModel, texts: list[list[int]], known: np.ndarray, had: tuple[str, ...] = ()) -> Learned:
    assert model.heads is not None
    places = read_places(model, texts, known, KINDS, silent)
    held_out = np.arange(len(texts)) % 5 == 0
    return fit_heads(model.heads, places, held_out, had, QUICK, silent)  # pyright: ignore[reportArgumentType]


def test_planted_types_are_learned_the_same_each_time_and_the_model_stays_bit_for_bit() -> None:
    bare = noisy_model().eval()
    before = {name: tensor.clone() for name, tensor in bare.state_dict().items()}
    model, again = (with_heads(bare, ["types"], 1) for _ in range(2))
    learned = taught(model, *asked(400, 1))
    assert taught(again, *asked(400, 1)) == learned
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert learned.epoch > 0 and learned.loss < 0.5 * learned.loss_before
    new, known = asked(200, 2)
    said = [max(one[0].fine, key=one[0].fine.__getitem__) for one in read_each(model, new, KINDS)]
    right = np.mean([FINE_TYPES.index(name) == row[FINE].argmax() for name, row in zip(said, known, strict=True)])
    assert right > 0.9


def test_states_of_a_batch_are_those_of_each_text_alone() -> None:
    model = with_heads(noisy_model().eval(), ["types"], 1)
    texts, known = asked(40, 3)
    known[7] = np.nan
    places = read_places(model, texts, known, KINDS, silent)
    assert sorted(places.text.tolist()) == [i for i in range(40) if i != 7]
    for i in (0, 21, 39):
        alone = read_places(model, [texts[i]], known[i : i + 1], KINDS, silent)
        row = places.some(places.text == i)
        assert torch.allclose(row.states.float(), alone.states.float(), atol=2e-3)
        assert torch.allclose(row.states.float().square().mean(-1), torch.ones(()), atol=1e-2)
        assert torch.equal(row.known, alone.known) or bool(row.known.isnan().any())


def test_states_of_a_model_with_loops_are_those_that_its_heads_read() -> None:
    model = with_heads(noisy_model(replace(TINY, layers=3, loops=3), 0, heads=["types"]).eval(), ["types"], 1)
    assert model.heads is not None
    texts, known = asked(20, 5)
    places = read_places(model, texts, known, KINDS, silent)
    assert places.states.shape[1] == model.shape.states > model.shape.layers + 1
    with torch.no_grad():
        said = places.said(model.heads)["fine"]
    read = read_each(model, texts, KINDS)
    expected = torch.tensor([read[i][0].logits["fine"] for i in places.text.tolist()])
    assert torch.allclose(said, expected, atol=2e-2) and expected.std() > 0.05


def test_a_head_without_labels_stays_and_a_signal_without_labels_says_what_it_said() -> None:
    model = with_heads(noisy_model(heads=["router", "types"]).eval(), ["router", "types"], 1)
    assert model.heads is not None
    before = {name: tensor.clone() for name, tensor in model.heads.state_dict().items()}
    texts, known = asked(400, 4, types=False, posed=True)
    said = read_each(model, texts, KINDS)
    taught(model, texts, known, ("router", "types"))
    after = model.heads.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith(("router.", "mix.router", "opening.", "mix.opening"))} == moved
    now = read_each(model, texts, KINDS)
    for mark in (0, 1):
        assert now[0][mark].kind == (0, OPENING)[mark]
        posed = np.array([one[mark].router["well_posed"] for one in now]) > 0.5
        assert np.mean(posed == known[:, ROUTER.start]) > 0.95
        for signal in (ROUTER_SIGNALS[1], ROUTER_SIGNALS[2]):
            then, later = (np.array([one[mark].router[signal] for one in every]) for every in (said, now))
            assert np.abs(then - later).mean() < 0.1
            assert np.corrcoef(then, later)[0, 1] > 0.6


def test_what_is_said_where_answers_begin_stays_where_no_text_goes_so_far() -> None:
    model = with_heads(noisy_model(heads=["router"]).eval(), ["router"], 1)
    assert model.heads is not None
    before = {name: tensor.clone() for name, tensor in model.heads.state_dict().items()}
    texts, known = asked(100, 4, types=False, posed=True)
    taught(model, [text[:-1] for text in texts], known, ("router",))
    moved = {name for name, tensor in model.heads.state_dict().items() if not torch.equal(before[name], tensor)}
    assert moved and not any("opening" in name for name in moved)


def test_where_nothing_better_is_found_heads_are_as_they_were() -> None:
    model = with_heads(noisy_model(heads=["types"]).eval(), ["types"], 1)
    assert model.heads is not None
    before = {name: tensor.clone() for name, tensor in model.heads.state_dict().items()}
    places = read_places(model, *asked(60, 5), KINDS, silent)
    lessons = Lessons(rate=1.0, rows=8, epochs=3)
    learned = fit_heads(model.heads, places, np.arange(60) < 30, ["types"], lessons, silent)
    assert learned.epoch == 0 and learned.loss == learned.loss_before
    assert all(torch.equal(before[name], tensor) for name, tensor in model.heads.state_dict().items())


def test_places_are_chosen_by_truth_and_by_number() -> None:
    states, known = torch.arange(6.0).view(3, 1, 2).half(), torch.zeros(3, WIDTH)
    places = Places(states, known, np.array([4, 5, 6]), np.array([0, 1, 0]))
    for which in (np.array([True, False, True]), np.array([0, 2])):
        some = places.some(which)
        assert some.text.tolist() == [4, 6] and some.states.flatten().tolist() == [0, 1, 4, 5]


@pytest.mark.parametrize("kind", [1, 2])
def test_a_place_knows_only_what_is_read_there(kind: int) -> None:
    model = with_heads(noisy_model().eval(), ["router"], 1)
    known = np.zeros((1, WIDTH), np.float32)
    mark = {k: token for token, k in KINDS.items()}
    places = read_places(model, [[3, 9, mark[kind]]], known, KINDS, silent)
    assert (~places.known.isnan()).sum() == 2 and places.kind.tolist() == [kind]
