"""Several texts read on and on with one cache, each by a piece of its own length at a time, and taken back again.

So a question is read once: its evidence, the answer token by token, and a second try all go on from it. A row's place
in the cache may have gaps, where others had longer pieces; they are masked, and count in no position.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gnomon.model.cache import Cache
from gnomon.model.heads import Marks
from gnomon.model.lm import LanguageModel
from gnomon.model.reading import Reading


class Place(NamedTuple):
    """How far a session had come: slots of the cache that were used, and how many tokens each row had."""

    slots: int
    lengths: tuple[int, ...]


class Session:
    """The rows of a batch, of which at most `capacity` slots are read. `kinds` says which ids are marks."""

    def __init__(self, model: LanguageModel, kinds: Mapping[int, int], rows: int, capacity: int) -> None:
        self._model, self._kinds = model, kinds
        device = model.head.device
        self._cache = Cache(rows, capacity, model.shape, model.head)
        self._filled_BS = torch.zeros(rows, capacity, dtype=torch.bool, device=device)
        self._lengths_B = torch.zeros(rows, dtype=torch.int64, device=device)
        self.scores_BV = torch.zeros(rows, model.shape.vocabulary)
        """Float32 logits of what follows each row, on the CPU."""

    @property
    def place(self) -> Place:
        """Where `rewind` comes back to."""
        return Place(self._cache.length, tuple(self._lengths_B.tolist()))

    def rewind(self, place: Place) -> None:
        """Forget what was read since; `scores_BV` are those of no row before each has read on."""
        for layer in self._cache.layers:
            layer.length = place.slots
        self._filled_BS[:, place.slots :] = False
        self._lengths_B = torch.tensor(place.lengths, device=self._lengths_B.device)

    @torch.no_grad()
    def read(self, pieces: Sequence[Sequence[int]]) -> list[list[Reading]]:
        """Return what the heads say at the marks in each row's piece, in their order; a row with none stays as it is.

        All pieces end in one slot of the cache: shorter ones have their gap in front.
        """
        longest = max(map(len, pieces))
        if not longest:
            return [[] for _ in pieces]
        start, device, shape = self._cache.length, self._model.head.device, self._model.shape
        gaps = [longest - len(piece) for piece in pieces]
        tokens_BT = torch.tensor([[0] * gap + list(piece) for gap, piece in zip(gaps, pieces, strict=True)])
        gaps_B, slots_T = torch.tensor(gaps, device=device), torch.arange(longest, device=device)
        self._filled_BS[:, start : start + longest] = slots_T >= gaps_B[:, None]
        positions_BT = (self._lengths_B[:, None] + slots_T - gaps_B[:, None]).clamp(0, shape.context - 1)
        marked = [
            (row, gap + at, self._kinds[token])
            for row, (gap, piece) in enumerate(zip(gaps, pieces, strict=True))
            for at, token in enumerate(piece)
            if token in self._kinds
        ]
        where = torch.tensor([(row * longest + at, kind) for row, at, kind in marked], device=device)
        marks = Marks(*where.unbind(1)) if marked else None
        output = self._model(
            tokens_BT.to(device), positions_BT, cache=self._cache, mask_BTS=self._mask(start, longest), marks=marks
        )
        lengths = self._lengths_B.tolist()
        self._lengths_B += longest - gaps_B
        read_on = gaps_B < longest
        self.scores_BV[read_on.cpu()] = self._model.logits(output.hidden[read_on, -1]).cpu()
        said = {name: logits.tolist() for name, logits in output.signals.items() if marked}
        found: list[list[Reading]] = [[] for _ in pieces]
        for i, (row, at, kind) in enumerate(marked):
            logits = {name: of[i] for name, of in said.items() if name in self._heads}
            found[row].append(Reading(lengths[row] + at - gaps[row], kind, logits))
        return found

    @property
    def _heads(self) -> Mapping[str, int]:
        return self._model.heads.outputs if self._model.heads is not None else {}

    def _mask(self, start: int, new: int) -> Tensor | None:
        """Return which slots each new token sees, [B, T, S]; None where no row has a gap."""
        filled_BS = self._filled_BS[:, : start + new]
        if filled_BS.all():
            return None
        slots_S = torch.arange(start + new, device=filled_BS.device)
        own_TS = slots_S[start:, None] == slots_S  # a gap sees itself, so that no row of the softmax is empty
        return (slots_S <= slots_S[start:, None]) & filled_BS[:, None] | own_TS
