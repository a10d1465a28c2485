"""The language model: token ids to hidden states, and a tied head that turns those into logits or a loss.

Parameter names are those of `transformers` Qwen3 below `model.`, so that an export renames nothing; what the block of
GPT-NeoX has too is named alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.base.seeds import derive
from gnomon.model.adaptive import Depth, Inputs
from gnomon.model.attention import Pieces
from gnomon.model.block import Block
from gnomon.model.cache import Cache
from gnomon.model.halting import Ponder, expected_steps
from gnomon.model.heads import Heads, Marks, States
from gnomon.model.loss import LogitKernel
from gnomon.model.norms import norm_of
from gnomon.model.rotary import Rotary, rotary
from gnomon.presets import Shape
from gnomon.taxonomy import HeadKind


@dataclass(frozen=True)
class Output:
    """What a forward pass says: normed hidden states [B, T, W], and losses and signals of optional parts by name."""

    hidden: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)
    signals: dict[str, Tensor] = field(default_factory=dict)


class Kernels(NamedTuple):
    """Faster ways to compute what the modules and `loss.logit_gradient` do, made for one processor and one shape.

    `layer` takes a block, the stream [B, T, W], the rotation and the numbers of the pieces [B, T].
    """

    layer: Callable[[Block, Tensor, Rotary, Tensor], Tensor]
    logits: LogitKernel


class LanguageModel(nn.Module):
    """A decoder-only transformer of the given shape, with the embedding as output head.

    `heads`, of the kinds asked for, are read at marked places. `depth`, where the shape has loops, says how often each
    token passes the inner layers; `ponder` what training wants of that. `kernels`, where there are any, compute batches
    whose pieces come as numbers.
    """

    kernels: Kernels | None = None

    def __init__(
        self, shape: Shape, dropout: float = 0.0, heads: Sequence[HeadKind] = (), ponder: Ponder | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.embed_positions = nn.Embedding(shape.context, shape.width) if shape.positions == "learned" else None
        self.layers = nn.ModuleList(Block(shape, dropout) for _ in range(shape.layers))
        self.norm = norm_of(shape)
        self.depth = Depth(shape, ponder) if shape.loops > 1 else None
        self.heads = Heads(heads, shape) if heads else None  # last: their parameters come behind all others

    def forward(
        self,
        tokens_BT: Tensor,
        positions_BT: Tensor | None = None,
        pieces: Pieces | None = None,
        cache: Cache | None = None,
        mask_BTS: Tensor | None = None,
        marks: Marks | None = None,
        labels_BT: Tensor | None = None,
        steps_BT: Tensor | None = None,
    ) -> Output:
        """Return hidden states of every token, and where places are marked the heads' logits there as signals.

        `positions` default to 0, 1, 2, … (after the cache's length, where there is one). `pieces` keeps packed
        documents apart. `mask`, true where a query may look at a key, is for rows of unequal length in a batch. For a
        model with loops: `labels` ask for the losses of the steps, `steps` say how often each token loops.
        """
        if positions_BT is None:
            start = cache.length if cache is not None else 0
            positions_BT = torch.arange(start, start + tokens_BT.shape[1], device=tokens_BT.device)[None]
        if cache is not None and mask_BTS is None and cache.length > 0 and tokens_BT.shape[1] > 1:
            mask_BTS = _causal_after(cache.length, tokens_BT.shape[1], tokens_BT.device)
        turn = rotary(positions_BT, self.shape.rotary_width, self.shape.rope_theta)
        states = None if marks is None or self.heads is None else States(marks, self.shape.states)
        if self.kernels is not None and isinstance(pieces, Tensor):
            x_BTW = self._by_kernels(self.kernels, tokens_BT, turn, pieces, states)
        else:
            x_BTW = self.embed_tokens(tokens_BT)
            if self.embed_positions is not None:
                x_BTW = x_BTW + self.embed_positions(positions_BT)
            x_BTW = _seen(x_BTW, states)
            if self.depth is not None:
                given = Inputs(turn, pieces, mask_BTS, states)
                return self._by_depth(self.depth, x_BTW, given, cache, tokens_BT, labels_BT, steps_BT)
            for i, layer in enumerate(self.layers):
                x_BTW = layer(x_BTW, turn, pieces, cache.layers[i] if cache is not None else None, mask_BTS)
                x_BTW = _seen(x_BTW, states)
        return Output(hidden=self.norm(x_BTW), signals=self._said(states))

    def _by_depth(
        self,
        depth: Depth,
        x_BTW: Tensor,
        given: Inputs,
        cache: Cache | None,
        tokens_BT: Tensor,
        labels_BT: Tensor | None,
        steps_BT: Tensor | None,
    ) -> Output:
        first, *core, last = (layer for layer in self.layers if isinstance(layer, Block))

        def coda(state: Tensor) -> Tensor:
            return last(state, given.turn, given.pieces, None if cache is None else cache.layers[-1], given.mask)

        def finish(state: Tensor) -> Tensor:
            return self.norm(coda(state))

        entry = first(x_BTW, given.turn, given.pieces, None if cache is None else cache.layers[0], given.mask)
        entry = _seen(entry, given.states)
        if cache is not None or (given.pieces is None and not torch.is_grad_enabled()):
            state, steps = depth.where_needed(core, entry, given, cache, steps_BT)
            hidden = self.norm(_seen(coda(state), given.states))
            return Output(hidden, signals={"steps": steps} | self._said(given.states))
        looped = depth.everywhere(core, entry, given, steps_BT)
        hidden, losses = self.norm(_seen(coda(looped.state), given.states)), dict[str, Tensor]()
        if labels_BT is not None:
            losses = depth.losses(looped, hidden, finish, self.head, tokens_BT, labels_BT)
        signals = {"steps": looped.steps, "expected_steps": expected_steps(looped.p)}
        return Output(hidden, losses, signals | self._said(given.states))

    def _said(self, states: States | None) -> dict[str, Tensor]:
        """Return the heads' logits at the marked places, by name."""
        return {} if states is None or self.heads is None else self.heads(states.gathered, states.kinds)

    def _by_kernels(
        self, kernels: Kernels, tokens_BT: Tensor, turn: Rotary, pieces_BT: Tensor, states: States | None
    ) -> Tensor:
        # a sparse gradient is added to the head's, where a dense one would be cleared and added whole
        x_BTW = _seen(F.embedding(tokens_BT, self.embed_tokens.weight, sparse=True), states)
        for layer in self.layers:
            assert isinstance(layer, Block)
            x_BTW = _seen(kernels.layer(layer, x_BTW, turn, pieces_BT), states)
        return x_BTW

    @property
    def head(self) -> Tensor:
        """The output head, [vocabulary, W]: the embedding itself."""
        return self.embed_tokens.weight

    def logits(self, hidden: Tensor) -> Tensor:
        """Return float32 scores of every vocabulary entry for hidden states [..., W]."""
        return F.linear(hidden, self.head).float()


def _seen(x_BTW: Tensor, states: States | None) -> Tensor:
    return x_BTW if states is None else states.see(x_BTW)


def _causal_after(past: int, new: int, device: torch.device) -> Tensor:
    return torch.ones(1, new, past + new, dtype=torch.bool, device=device).tril(diagonal=past)


def first_weight(name: str, shape: Sequence[int], seed: int) -> Tensor:
    """Return the weight that a parameter begins with: the same numbers on any machine and in any order of layers.

    Matrices are normal with deviation 1/sqrt(inputs), which keeps the stream's scale at any width; the output
    projections of attention and feed-forward start at zero, so that the first step sees a plain bigram model;
    the embedding, which is also the head, has deviation 0.02 so that the first logits are near zero. Gains are one,
    biases and shifts zero. What a chance to stop is read by is as a matrix of one row.
    """
    if name.endswith(".bias"):
        return torch.zeros(shape)
    if len(shape) == 1 and name != "depth.halting.weight":
        return torch.ones(shape)
    if name.endswith(("o_proj.weight", "down_proj.weight")):
        return torch.zeros(shape)
    generator = torch.Generator().manual_seed(derive(seed, "init", name))
    return torch.randn(shape, generator=generator) * (0.02 if name.startswith("embed_") else shape[-1] ** -0.5)
