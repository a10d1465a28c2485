"""Answers found together are those that plain generation finds one by one, and draws do not depend on the batch."""

from collections import Counter
from itertools import pairwise

import numpy as np
import torch

from gnomon.model.answers import answer_each, chances, pick_each
from gnomon.model.generate import Sampling, generate
from tests.world import noisy_model

STOPS = tuple(range(1, 120))  # so many that answers end at different steps


def prompts() -> list[list[int]]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randint(0, 500, (n,), generator=generator).tolist() for n in (3, 3, 5, 8, 12, 4, 9, 6, 6, 2)]


def test_the_likeliest_answers_are_those_of_generate() -> None:
    model, texts = noisy_model().eval(), prompts()
    alone = []
    for text in texts:
        ids = [t for (t,) in generate(model, [text], 11, Sampling(temperature=0.0), frozenset(STOPS)) if t is not None]
        alone.append([None if len(ids) >= 10 else ids])
    found = answer_each(model, texts, STOPS, 10)
    assert found == alone
    assert len({None if a is None else len(a) for (a,) in found}) > 3, "they end at different steps"


def test_what_is_drawn_follows_from_the_number_of_the_prompt_and_the_seed_alone() -> None:
    model, texts = noisy_model().eval(), prompts()
    options = {"samples": 3, "temperature": 0.7, "seed": 5}
    numbers = [100 + i for i in range(len(texts))]
    every = answer_each(model, texts, STOPS, 10, numbers=numbers, **options)
    order = [7, 2, 9, 0]
    some = answer_each(model, [texts[i] for i in order], STOPS, 10, numbers=[numbers[i] for i in order], **options)
    assert some == [every[i] for i in order]
    assert [each[:1] for each in every] == answer_each(model, texts, STOPS, 10)
    assert any(a != b for each in every for a, b in pairwise(each[1:]))
    assert every != answer_each(model, texts, STOPS, 10, numbers=numbers, **{**options, "seed": 6})


def test_up_to_the_token_behind_which_is_drawn_all_are_the_likeliest() -> None:
    model, texts = noisy_model().eval(), prompts()
    behind = {token for (ids,) in answer_each(model, texts, STOPS, 10) for token in ids or ()}
    options, seen = {"samples": 3, "temperature": 2.0, "seed": 5, "numbers": range(len(texts))}, Counter[bool]()
    for mark in sorted(behind):
        found: list[list[list[int] | None]] = []
        for most in range(1, 11):
            found = answer_each(model, texts, STOPS, most, drawn_behind=mark, **options)
            assert [each[:1] for each in found] == answer_each(model, texts, STOPS, most)
        for likeliest, *drawn in found:
            for one in drawn:
                if likeliest is None or mark not in likeliest:
                    assert one == likeliest or (likeliest is None and (one is None or mark in one))
                    continue
                at = likeliest.index(mark) + 1
                assert one is None or one[:at] == likeliest[:at]
                seen[one is None or one[at:] != likeliest[at:]] += 1
    assert seen[True] > seen[False] > 0, "behind it most are others"


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits, n = torch.randn(7, generator=torch.Generator().manual_seed(0)), 20_000
    u = chances(np.arange(n), np.full(n, 1), 3, seed=9)
    drawn = pick_each(logits.expand(n, 7).clone(), torch.ones(n, dtype=torch.bool), torch.from_numpy(u), 0.7)
    share = torch.bincount(drawn, minlength=7) / n
    assert torch.allclose(share, (logits / 0.7).softmax(0), atol=0.012)
    assert 0 <= u.min() and u.max() < 1 and len(np.unique(u)) == n


def test_batches_of_any_number_and_length_come_in_few_sizes() -> None:
    model, texts = noisy_model().eval(), prompts()
    seen = set[tuple[int, int]]()
    model.register_forward_pre_hook(lambda _, given: seen.add(tuple(given[0].shape)))
    for count in range(1, 11):
        answer_each(model, texts[:count], STOPS, 10, numbers=range(count), samples=1, seed=3)
    assert seen <= {(16, 32), *((32 >> halved, 1) for halved in range(6))} and len(seen) > 4
