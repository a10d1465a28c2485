"""Token ids in, token ids out: sampling with a key/value cache, for one prompt or a batch of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gnomon.model.cache import Cache
from gnomon.model.lm import LanguageModel


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Temperature 0 takes the likeliest; filters apply in the order of the fields."""

    temperature: float = 0.8
    repetition_penalty: float = 1.0  # above 1: logits of tokens already seen shrink (Keskar et al. 2019)
    top_k: int = 0  # keep this many tokens; 0: all
    top_p: float = 1.0  # keep the likeliest tokens that together have this probability
    min_p: float = 0.0  # keep tokens at least this likely relative to the likeliest
    seed: int = 0
    banned: frozenset[int] = frozenset()  # tokens that are never drawn


@torch.no_grad()
def generate(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    max_tokens: int,
    sampling: Sampling | None = None,
    stop_tokens: frozenset[int] = frozenset(),
) -> Iterator[list[int | None]]:
    """Yield, at every step, the next token of each prompt; None for a prompt that has met a stop token.

    Ends after `max_tokens` steps or when all prompts have stopped; the stop token itself is not yielded. With learned
    positions a prompt ends with the context too, and of one that fills the context the end is read, half of it.
    A batch gives the same tokens as its prompts one by one: shorter prompts are padded on the left and masked, and
    every prompt draws from its own generator, seeded with `sampling.seed`.
    """
    sampling = sampling or Sampling()
    if not prompts or any(len(p) == 0 for p in prompts):
        raise ValueError("every prompt needs at least one token")
    device, limit = model.head.device, model.shape.context
    if model.shape.positions == "learned":
        prompts = [p if len(p) < limit else p[-(limit // 2) :] for p in prompts]
    longest = max(map(len, prompts))
    gaps_B = torch.tensor([longest - len(p) for p in prompts], device=device)
    tokens_BT = torch.tensor([[p[0]] * (longest - len(p)) + list(p) for p in prompts], device=device)
    seen = [list(p) for p in prompts]
    generators = [torch.Generator().manual_seed(sampling.seed) for _ in prompts]
    cache = Cache(len(prompts), longest + max_tokens, model.shape, model.head)
    running = [True] * len(prompts)
    for _ in range(max_tokens):
        scores_BV = _next_scores(model, tokens_BT, gaps_B, cache)
        drawn: list[int | None] = []
        for row, scores_V in enumerate(scores_BV):
            if model.shape.positions == "learned" and len(seen[row]) >= limit:
                running[row] = False  # there is no position for one more
            token = pick(scores_V, seen[row], sampling, generators[row]) if running[row] else None
            running[row] = token is not None and token not in stop_tokens
            drawn.append(token if running[row] else None)
            seen[row].append(token or 0)
        if not any(running):
            return
        yield drawn
        tokens_BT = torch.tensor([[s[-1]] for s in seen], device=device)


def _next_scores(model: LanguageModel, tokens_BT: Tensor, gaps_B: Tensor, cache: Cache) -> Tensor:
    """Return the logits after the last token of each row, [B, V], on the CPU."""
    start, new = cache.length, tokens_BT.shape[1]
    places_T = torch.arange(start, start + new, device=tokens_BT.device)
    mask_BTS = None
    if gaps_B.any():
        keys_S = torch.arange(start + new, device=tokens_BT.device)
        mask_BTS = (keys_S <= places_T[:, None]) & (keys_S >= gaps_B[:, None, None])
        mask_BTS |= keys_S == places_T[:, None]  # a pad sees itself, so that no row of the softmax is empty
    positions_BT = (places_T - gaps_B[:, None]).clamp(min=0)
    if model.shape.positions == "learned":
        positions_BT = positions_BT.clamp(max=model.shape.context - 1)  # of prompts that have ended
    hidden = model(tokens_BT, positions_BT, cache=cache, mask_BTS=mask_BTS).hidden[:, -1]
    return model.logits(hidden).cpu()


def pick(scores_V: Tensor, seen: Sequence[int], sampling: Sampling, generator: torch.Generator) -> int:
    """Return one token drawn from float32 logits [V] by the rules of `sampling`."""
    if sampling.banned:
        scores_V = scores_V.index_fill(0, torch.tensor(sorted(sampling.banned)), -torch.inf)
        if scores_V.max() == -torch.inf:
            raise ValueError("all that may come next is banned")
    if sampling.repetition_penalty != 1.0 and seen:
        known = torch.tensor(sorted(set(seen)))
        picked = scores_V[known]
        factor = sampling.repetition_penalty
        scores_V = scores_V.index_copy(0, known, torch.where(picked > 0, picked / factor, picked * factor))
    if sampling.temperature <= 0:
        return int(scores_V.argmax())
    scores_V = scores_V / sampling.temperature
    if 0 < sampling.top_k < len(scores_V):
        scores_V = scores_V.where(scores_V >= scores_V.topk(sampling.top_k).values[-1], -torch.inf)
    if sampling.top_p < 1.0:
        ranked, order = scores_V.sort(descending=True, stable=True)
        before = ranked.softmax(0).cumsum(0) - ranked.softmax(0)
        scores_V = scores_V.index_fill(0, order[before >= sampling.top_p], -torch.inf)
    if sampling.min_p > 0:
        chances = scores_V.softmax(0)
        scores_V = scores_V.where(chances >= sampling.min_p * chances.max(), -torch.inf)
    return int(torch.multinomial(scores_V.softmax(0), 1, generator=generator))
