"""Answers to a batch of prompts, the likeliest and some that are drawn, for training: every prompt is read once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnomon.base.seeds import scatter
from gnomon.model.cache import Cache
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import LENGTHS

MOST_ANSWERS = 1 << 8  # to a prompt, in the numbering of chances
MOST_TOKENS = 1 << 12  # of an answer, likewise
ROWS = 16
"""Prompts are filled up to a multiple, as their length is, and answers that ended are taken out where half are: oneDNN
keeps 0.5 MiB for every product of a new shape, and a layer has several.
"""


Ended = tuple[list[int], int | None]
"""What was said, and the stop behind it; None where there was none in time."""


@torch.no_grad()
def answer_each(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[int],
    most_tokens: int,
    *,
    numbers: Sequence[int] = (),
    samples: int = 0,
    temperature: float = 1.0,
    seed: int = 0,
    drawn_behind: int | None = None,
) -> list[list[list[int] | None]]:
    """Return for each prompt its likeliest answer, and so many that are drawn; None for one of `most_tokens` that has
    not met a stop. The stop is not part of it. With `drawn_behind` only what follows that token is drawn; up to it all
    are the likeliest, which is said once.

    What is drawn follows from `seed` and the prompt's number (see `chances`), not from the batch.
    """
    draws = _Draws(samples, temperature, seed)
    if drawn_behind is None:
        every = _continue_each(model, prompts, stops, most_tokens, numbers, draws)
        return [[ids if stop is not None else None for ids, stop in each] for each in every]
    first = [each[0] for each in _continue_each(model, prompts, (*stops, drawn_behind), most_tokens, (), _Draws())]
    found: list[list[list[int] | None]] = [[None if stop is None else ids] * (1 + samples) for ids, stop in first]
    on = {i: [*ids, drawn_behind] for i, (ids, stop) in enumerate(first) if stop == drawn_behind}
    if on:
        longer, numbers = [[*prompts[i], *said] for i, said in on.items()], [numbers[i] for i in on if numbers]
        left = max(1, most_tokens - min(map(len, on.values())))
        for (i, said), each in zip(on.items(), _continue_each(model, longer, stops, left, numbers, draws), strict=True):
            whole = [([*said, *ids], stop) for ids, stop in each]
            found[i] = [ids if stop is not None and len(ids) < most_tokens else None for ids, stop in whole]
    return found


class _Draws(NamedTuple):
    """How many answers are drawn beside the likeliest, and how."""

    samples: int = 0
    temperature: float = 1.0
    seed: int = 0


def _continue_each(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    stops: Sequence[int],
    most_tokens: int,
    numbers: Sequence[int],
    draws: _Draws,
) -> list[list[Ended]]:
    """Return what follows each prompt up to a stop: the likeliest, then what is drawn."""
    asked, each, device = len(prompts), 1 + draws.samples, model.head.device
    prompts = [*prompts, *[prompts[0]] * (-asked % ROWS)]
    numbers = [*numbers, *list(numbers[:1]) * (len(prompts) - asked)]
    longest = -(-max(map(len, prompts)) // LENGTHS) * LENGTHS
    gaps_B = torch.tensor([longest - len(p) for p in prompts], device=device)
    tokens_BT = torch.tensor([[p[0]] * (longest - len(p)) + list(p) for p in prompts], device=device)
    cache = Cache(len(prompts), longest + most_tokens, model.shape, model.head)
    rows_B = torch.arange(len(prompts), device=device).repeat_interleave(each)  # of each answer that still goes on
    scores_BV = _next_scores(model, tokens_BT, gaps_B, cache)[rows_B]
    cache.take(rows_B)
    gaps_B = gaps_B[rows_B]
    live = np.arange(len(prompts) * each)
    going = live < asked * each
    found, met = [list[int]() for _ in live], np.full(len(live), -1)
    for at in range(most_tokens):
        drawn = live % each > 0
        u = (
            chances(np.array(numbers)[live // each], live % each, at, draws.seed)
            if drawn.any()
            else np.zeros(len(live))
        )
        next_B = pick_each(scores_BV, torch.from_numpy(drawn), torch.from_numpy(u), draws.temperature)
        stopped = going & np.isin(next_B.numpy(), stops)
        met[live[stopped]] = next_B.numpy()[stopped]
        going &= ~stopped
        for answer, token in zip(live[going].tolist(), next_B.numpy()[going].tolist(), strict=True):
            found[answer].append(token)
        if not going.any() or at + 1 == most_tokens:
            break
        if 2 * going.sum() <= len(live):
            first = np.argsort(~going, kind="stable")[: len(live) // 2]  # those that go on, and what fills them up
            kept = torch.from_numpy(first).to(device)
            cache.take(kept)
            gaps_B, next_B = gaps_B[kept], next_B[kept.cpu()]
            live, going = live[first], going[first]
        scores_BV = _next_scores(model, next_B[:, None].to(device), gaps_B, cache)
    ended: list[Ended] = [(ids, stop if stop >= 0 else None) for ids, stop in zip(found, met.tolist(), strict=True)]
    return [ended[at : at + each] for at in range(0, asked * each, each)]


def chances(number: np.ndarray, answer: np.ndarray, token: int, seed: int) -> np.ndarray:
    """Return the number from 0 to 1, not 1, by which the token of an answer to a prompt of a number is drawn."""
    place = (number.astype(np.uint64) * MOST_ANSWERS + answer.astype(np.uint64)) * MOST_TOKENS + np.uint64(token)
    return (scatter(place, seed) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def pick_each(scores_BV: Tensor, drawn_B: Tensor, u_B: Tensor, temperature: float) -> Tensor:
    """Return the likeliest token of each row of logits, on the CPU; where it is to be drawn, the first whose chance
    together with those before it is above `u` of all.
    """
    next_B = scores_BV.argmax(1)
    if drawn_B.any():
        rising_BV = (scores_BV[drawn_B] / temperature).softmax(1).cumsum(1)
        wanted_B1 = (u_B[drawn_B][:, None] * rising_BV[:, -1:].double()).float()
        found_B = torch.searchsorted(rising_BV, wanted_B1, right=True)[:, 0]
        next_B[drawn_B] = found_B.clamp(max=scores_BV.shape[1] - 1)
    return next_B


def _next_scores(model: LanguageModel, tokens_BT: Tensor, gaps_B: Tensor, cache: Cache) -> Tensor:
    """Return the logits after the last token of each row, [B, V], on the CPU; `gaps` are the pads on the left."""
    start, new = cache.length, tokens_BT.shape[1]
    places_T = torch.arange(start, start + new, device=tokens_BT.device)
    keys_S = torch.arange(start + new, device=tokens_BT.device)
    mask_BTS = (keys_S <= places_T[:, None]) & (keys_S >= gaps_B[:, None, None])
    mask_BTS |= keys_S == places_T[:, None]  # a pad sees itself, so that no row of the softmax is empty
    last = model.shape.context - 1  # further on are only answers that have gone on for too long
    positions_BT = (places_T - gaps_B[:, None]).clamp(0, last)
    hidden = model(tokens_BT, positions_BT, cache=cache, mask_BTS=mask_BTS).hidden[:, -1]
    return model.logits(hidden).cpu()
