"""What the cache says is what the whole forward pass says; a batch says what its prompts say alone."""

import pytest
import torch

from gnomon.model.cache import Cache
from gnomon.model.generate import Sampling, generate, pick
from gnomon.presets import Shape
from tests.world import EACH_BLOCK, noisy_model

either_block = pytest.mark.parametrize("shape", EACH_BLOCK, ids=lambda shape: shape.block)
PROMPTS = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11]]


@either_block
def test_greedy_decoding_equals_the_argmax_of_the_training_forward(shape: Shape) -> None:
    model = noisy_model(shape)
    tokens = [t[0] for t in generate(model, [PROMPTS[0]], 40, Sampling(temperature=0))]
    whole = torch.tensor([PROMPTS[0] + tokens])
    best = model.logits(model(whole).hidden)[0].argmax(-1)
    assert tokens == best[len(PROMPTS[0]) - 1 : -1].tolist()


@either_block
def test_a_prompt_fed_in_pieces_equals_the_prompt_at_once(shape: Shape) -> None:
    model = noisy_model(shape)
    tokens = torch.arange(1, 31)[None]
    cache = Cache(1, 30, model.shape, model.head)
    pieces = [model(part, cache=cache).hidden for part in tokens.split([11, 1, 18], dim=1)]
    assert torch.allclose(torch.cat(pieces, 1), model(tokens).hidden, atol=1e-5)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=0),
        Sampling(temperature=1.1, repetition_penalty=1.2, top_k=40, top_p=0.9, min_p=0.01, seed=5),
    ],
)
@either_block
def test_a_batch_gives_the_tokens_of_its_prompts_one_by_one(shape: Shape, sampling: Sampling) -> None:
    model = noisy_model(shape)
    together = list(generate(model, PROMPTS, 25, sampling))
    for i, prompt in enumerate(PROMPTS):
        alone = [t[0] for t in generate(model, [prompt], 25, sampling)]
        assert alone == [t[i] for t in together]


def test_a_stop_token_ends_its_own_prompt_only() -> None:
    model = noisy_model()
    free = list(generate(model, PROMPTS, 10, Sampling(temperature=0)))
    stop = free[3][1]
    assert stop is not None
    stopped = list(generate(model, PROMPTS, 10, Sampling(temperature=0), frozenset([stop])))
    first = next(i for i, t in enumerate(free) if t[1] == stop)
    assert [t[1] for t in stopped] == [t[1] for t in free[:first]] + [None] * (len(stopped) - first)


def test_filters_keep_what_they_say() -> None:
    scores = torch.log(torch.tensor([0.5, 0.3, 0.15, 0.05]))

    def reached(sampling: Sampling) -> set[int]:
        generator = torch.Generator().manual_seed(0)
        return {pick(scores, [], sampling, generator) for _ in range(400)}

    assert reached(Sampling(temperature=1.0)) == {0, 1, 2, 3}
    assert reached(Sampling(temperature=1.0, top_k=2)) == {0, 1}
    assert reached(Sampling(temperature=1.0, top_p=0.79)) == {0, 1}
    assert reached(Sampling(temperature=1.0, top_p=0.81)) == {0, 1, 2}
    assert reached(Sampling(temperature=1.0, min_p=0.25)) == {0, 1, 2}
    assert reached(Sampling(temperature=0)) == {0}


def test_a_repetition_penalty_makes_seen_tokens_less_likely_whatever_their_sign() -> None:
    generator = torch.Generator().manual_seed(0)
    assert pick(torch.tensor([2.0, 1.9]), [0], Sampling(temperature=0, repetition_penalty=1.2), generator) == 1
    assert pick(torch.tensor([-1.0, -1.1]), [0], Sampling(temperature=0, repetition_penalty=1.2), generator) == 1


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        next(generate(noisy_model(), [[]], 3))
