"""What the heads say of a text: read from the pass that reads the text anyway, with the marks that are in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gnomon.model.cache import Cache
from gnomon.model.heads import Marks
from gnomon.model.lm import LanguageModel
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, ROUTER_SIGNALS, SIGNAL_KINDS

LENGTHS = 32
"""Several texts that are read together are filled up to a multiple of it."""


@dataclass(frozen=True)
class Reading:
    """What the heads say at one mark: `place` is the token's in the text, `kind` the mark's, `logits` are by head."""

    place: int
    kind: int
    logits: dict[str, list[float]]

    @property
    def router(self) -> dict[str, float]:
        """The probability of each signal that is read at this kind of mark."""
        found = self._probabilities("router", ROUTER_SIGNALS)
        here: dict[str, tuple[int, ...]] = dict(zip(ROUTER_SIGNALS, SIGNAL_KINDS, strict=True))
        return {name: p for name, p in found.items() if self.kind in here[name]}

    @property
    def coarse(self) -> dict[str, float]:
        """The probability of each answer type, each by itself; at the end of a question alone."""
        return self._probabilities("coarse", ANSWER_TYPES) if self.kind == 0 else {}

    @property
    def fine(self) -> dict[str, float]:
        """The probability of each fine answer type, which sum to 1; at the end of a question alone."""
        if self.kind != 0 or "fine" not in self.logits:
            return {}
        return dict(zip(FINE_TYPES, torch.tensor(self.logits["fine"]).softmax(0).tolist(), strict=True))

    def _probabilities(self, head: str, names: Sequence[str]) -> dict[str, float]:
        if head not in self.logits:
            return {}
        return dict(zip(names, torch.tensor(self.logits[head]).sigmoid().tolist(), strict=True))


@torch.no_grad()
def read(
    model: LanguageModel, tokens: Sequence[int], kinds: Mapping[int, int], cache: Cache | None = None
) -> tuple[Tensor, list[Reading]]:
    """Return the hidden states [T, W] of a text's tokens, and what the heads say at each mark in it, in their order.

    `kinds` says which ids are marks. With a `cache`, which is filled, the text goes on from what is in it: so a
    question is read, and after it the evidence, without a second pass over either.
    """
    start = cache.length if cache is not None else 0
    hidden, (found,) = _read(model, [tokens], kinds, start, cache)
    return hidden[0], found


@torch.no_grad()
def read_each(model: LanguageModel, texts: Sequence[Sequence[int]], kinds: Mapping[int, int]) -> list[list[Reading]]:
    """Return what the heads say at the marks of each of several texts, which are read in one batch."""
    return _read(model, texts, kinds, 0, None)[1] if texts else []


def _read(
    model: LanguageModel, texts: Sequence[Sequence[int]], kinds: Mapping[int, int], start: int, cache: Cache | None
) -> tuple[Tensor, list[list[Reading]]]:
    if model.heads is None:
        raise ValueError("the model has no heads")
    device, longest = model.head.device, max(map(len, texts))
    if len(texts) > 1:  # oneDNN keeps 0.5 MiB for every product of a new shape
        longest = max(longest, min(-(-longest // LENGTHS) * LENGTHS, model.shape.context))
    filled = [[*text, *[0] * (longest - len(text))] for text in texts]  # what follows a token does not change it
    marked = [
        (row, at, kinds[token]) for row, text in enumerate(texts) for at, token in enumerate(text) if token in kinds
    ]
    places = torch.tensor([row * longest + at for row, at, _ in marked], dtype=torch.int64, device=device)
    there = torch.tensor([kind for *_, kind in marked], dtype=torch.int64, device=device)
    output = model(torch.tensor(filled, device=device), cache=cache, marks=Marks(places, there))
    said = {name: logits.tolist() for name, logits in output.signals.items() if name in model.heads.outputs}
    found: list[list[Reading]] = [[] for _ in texts]
    for i, (row, at, kind) in enumerate(marked):
        found[row].append(Reading(start + at, kind, {name: logits[i] for name, logits in said.items()}))
    return output.hidden, found
