"""Heads that say what a model knows of a question, read where a question, its evidence or its answer ends, and where
the answer begins.

They read a learned mix of the stream before and behind every layer, or every loop of layers, at the marked places
alone: nothing else of it is kept. What heads learn may go on into the stream in part; see `Marks.share`. After a loop
that a token did not pass it has the state with which it stopped, as for the tokens behind it.

What a question is and what was found for its answer lie in different layers, so the router has a head and a mix for
where an answer begins, and others for everywhere else. Nothing that is learned there goes on into the stream: it is
there to be read, and is read nearly as well (docs/ask.md).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.presets import Shape
from gnomon.taxonomy import HEAD_OUTPUTS, MIXES, OPENING, HeadKind


class Marks(NamedTuple):
    """The N places of a pass where heads are read, and what becomes of their gradient on its way into the stream.

    The backward pass adds to `squares`, float32 [states + 1], the squared norms of the heads' gradient at each of the
    states, and of all other losses' at the last one.
    """

    places: Tensor  # int64 [N], of the flattened tokens
    kinds: Tensor  # int64 [N], of the marks there: their order in taxonomy.MARKS
    share: Tensor | None = None  # float32 scalar by which that gradient is multiplied; None: it ends before the stream
    squares: Tensor | None = None


class Head(nn.Module):
    """Two layers, in float32. The second begins at zero, so that a new head says the same of everything."""

    def __init__(self, width: int, inner: int, outputs: int) -> None:
        super().__init__()
        self.up_proj = nn.Linear(width, inner)
        self.down_proj = nn.Linear(inner, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return a logit for each output."""
        return self.down_proj(F.silu(self.up_proj(x)))


class Heads(nn.Module):
    """The heads of the kinds asked for, over mixes of states: x = Σ_l softmax(mix)_l · RMSNorm(H_l)."""

    def __init__(self, kinds: Sequence[HeadKind], shape: Shape) -> None:
        super().__init__()
        self.kinds, self.epsilon = list(kinds), shape.norm_epsilon
        self.outputs = {name: size for kind in kinds for name, size in HEAD_OUTPUTS[kind].items()}
        self.mixed = {name: heads for kind in kinds for name, heads in MIXES[kind].items()}
        self.mix = nn.ParameterDict({name: nn.Parameter(torch.ones(shape.states)) for name in self.mixed})
        for name, size in self.outputs.items():
            self.add_module(name, Head(shape.width, shape.mark_width or shape.width, size))

    def forward(self, states: Sequence[Tensor], kinds: Tensor) -> dict[str, Tensor]:
        """Return float32 logits [N, outputs] by the head's name, from the states [N, W] at marks of `kinds`, int64 [N].

        `opening` is not among them: it is what `router` says where the kind is OPENING.
        """
        with torch.autocast(states[0].device.type, enabled=False):
            every_LNW = torch.stack([state.float() for state in states])
            normed_LNW = F.rms_norm(every_LNW, every_LNW.shape[-1:], eps=self.epsilon)
            found: dict[str, Tensor] = {}
            for mix, heads in self.mixed.items():
                read_LNW = normed_LNW.detach() if mix == "opening" else normed_LNW
                x_NW = (self.mix[mix].softmax(0)[:, None, None] * read_LNW).sum(0)
                found |= {name: self.get_submodule(name)(x_NW) for name in heads}
        if "router" in found:
            found["router"] = torch.where((kinds == OPENING)[:, None], found.pop("opening"), found["router"])
        return found

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device


class States:
    """The states at the marked places, gathered while a pass goes through the layers."""

    def __init__(self, marks: Marks, count: int) -> None:
        self.gathered: list[Tensor] = []
        self._marks, self._last = marks, count - 1

    @property
    def kinds(self) -> Tensor:
        """The kinds of the marks at these places."""
        return self._marks.kinds

    def see(self, x_BTW: Tensor) -> Tensor:
        """Return the stream as it came, after taking from it what lies at the marked places."""
        if torch.is_grad_enabled():
            at = len(self.gathered)
            marks = self._marks
            x_BTW, rows_NW = _Tap.apply(x_BTW, marks.places, marks.share, marks.squares, at, at == self._last)
        else:
            rows_NW = x_BTW.flatten(0, 1).index_select(0, self._marks.places)
        self.gathered.append(rows_NW)
        return x_BTW


class _Tap(torch.autograd.Function):
    """A gather whose backward pass copies the stream's gradient once, instead of filling one with zeros and adding."""

    @staticmethod
    def forward(
        ctx: Any,
        x_BTW: Tensor,
        places_N: Tensor,
        share: Tensor | None,
        squares: Tensor | None,
        at: int,
        last: bool,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(places_N, share)
        ctx.squares, ctx.at, ctx.last = squares, at, last
        return x_BTW.view_as(x_BTW), x_BTW.flatten(0, 1).index_select(0, places_N)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_BTW, rows_NW), (places_N, share) = grads, ctx.saved_tensors
        if ctx.squares is not None:
            ctx.squares[ctx.at] += torch.linalg.vector_norm(rows_NW.float()).square()
            if ctx.last:  # no head's gradient is in it yet
                ctx.squares[-1] += torch.linalg.vector_norm(grad_BTW.float()).square()
        if share is not None:
            given_NW = (rows_NW * share).to(grad_BTW.dtype)
            grad_BTW = grad_BTW.flatten(0, 1).index_add(0, places_N, given_NW).view_as(grad_BTW)
        return grad_BTW, None, None, None, None, None
