"""Layers between the first and the last, passed in loops: each token as often as it needs.

A token that has stopped keeps its state; from this state it goes on supplying keys and values to tokens that loop
further. Whether it stops depends on its own state alone, so that what is decoded token by token is what a pass over the
whole text says. The first layer's output enters every loop anew.

What goes to the last layer is, with `act`, the mean of a token's states by its chances to have stopped there (Graves
2016, arXiv 1603.08983); with `ponder` the state at which it stopped, and training weighs the losses of all loops
(Banino et al. 2021, arXiv 2107.05407). Axes: L loops, B rows, T positions, W width, S sampled positions.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gnomon.model.attention import Pieces
from gnomon.model.block import Block
from gnomon.model.cache import Cache
from gnomon.model.gathered import Held, places_of
from gnomon.model.halting import (
    Halting,
    Ponder,
    chances,
    divergence,
    diversity_loss,
    expected_steps,
    graves_steps,
    ponder_cost,
)
from gnomon.model.heads import States
from gnomon.model.loss import IGNORE, token_losses
from gnomon.model.rotary import Rotary
from gnomon.presets import Shape

SAMPLED = 4  # of so many tokens one has its difficulty found


class Inputs(NamedTuple):
    """What every layer is given beside the stream; `states` are those that heads read."""

    turn: Rotary
    pieces: Pieces | None
    mask: Tensor | None
    states: States | None = None


class Looped(NamedTuple):
    """What came of the loops: what goes to the last layer [B, T, W], loops that each token took [B, T]; and, where all
    loops were computed, the states after each and the chances to stop there [L, B, T].
    """

    state: Tensor
    steps: Tensor
    states: Sequence[Tensor]
    p: Tensor


class Depth(nn.Module):
    """How often each token passes the inner layers. `ponder`: what training wants of that."""

    def __init__(self, shape: Shape, ponder: Ponder | None = None) -> None:
        super().__init__()
        self.shape, self.ponder = shape, ponder or Ponder()
        self.inject = nn.Parameter(torch.ones(shape.width))  # gains of the first layer's output, from loop 2 on
        self.halting = Halting(shape)

    def everywhere(
        self, core: Sequence[nn.Module], entry_BTW: Tensor, given: Inputs, steps_BT: Tensor | None = None
    ) -> Looped:
        """Return what comes of computing every loop for every token: the way to train, and to read packed rows.

        `steps`, where given, says how often each token loops.
        """
        state, states, logits = entry_BTW, list[Tensor](), list[Tensor]()
        left = torch.ones(state.shape[:2], device=state.device)
        running, took = left > 0, torch.zeros_like(left, dtype=torch.long)
        for loop in range(self.shape.loops):
            going = running[..., None]
            x = torch.where(going, state + self.inject * entry_BTW, state) if loop else state
            for layer in core:
                passed = layer(x, given.turn, given.pieces, None, given.mask)
                x = torch.where(going, passed, state) if loop else passed
            state = _see(x, given)
            found = self.halting(state)
            if self.training and self.ponder.noise:
                found = found + self.ponder.noise * torch.randn_like(found)
            logits.append(torch.where(running, found, logits[-1]) if loop else found)
            states.append(state)
            took = took + running
            left = left * (-logits[-1].detach()).sigmoid()
            running = running & self._goes_on(loop, left, steps_BT)
        p_LBT = chances(torch.stack(logits))
        if self.shape.halting == "act":
            state = sum((p[..., None] * h for p, h in zip(p_LBT, states, strict=True)), torch.zeros_like(state))
        return Looped(state, took, states, p_LBT)

    @torch.no_grad()
    def where_needed(
        self,
        core: Sequence[Block],
        entry_BTW: Tensor,
        given: Inputs,
        cache: Cache | None,
        steps_BT: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return state and steps as `everywhere`, computing no loop for a token that has stopped: the way to generate.

        With a cache each loop has its own keys and values of the tokens before, and none is missing in any: a token
        that has stopped leaves the same in all further loops.
        """
        state, mixed = entry_BTW, torch.zeros_like(entry_BTW)
        start, loops = 0 if cache is None else cache.length - entry_BTW.shape[1], self.shape.loops
        left = torch.ones(state.shape[:2], device=state.device)
        running, took = left > 0, torch.zeros_like(left, dtype=torch.long)
        held = [Held(block, state) for block in core]
        for loop in range(loops):
            caches = [None] * len(core) if cache is None else cache.layers[1 + loop * len(core) :][: len(core)]
            if bool(running.all()):
                state = state + self.inject * entry_BTW if loop else state
                for block, kept in zip(core, caches, strict=True):
                    state = block(state, given.turn, None, kept, given.mask)
            elif bool(running.any()):
                here = places_of(running, given.turn, given.mask, start)
                x_MW = here.of(state) + self.inject * here.of(entry_BTW)
                for of_layer, kept in zip(held, caches, strict=True):
                    x_MW = of_layer.layer(x_MW, here, kept)
                state = state.index_put((here.row, here.column), x_MW)
            else:
                for of_layer, kept in zip(held, caches, strict=True):
                    of_layer.fill(kept)
                _see(state, given)
                continue
            _see(state, given)
            took += running
            before, left = left, left * (-self.halting(state)).sigmoid()
            on = running & self._goes_on(loop, left, steps_BT) if loop + 1 < loops else running & False
            weight = torch.where(on, before - left, torch.where(running, before, 0.0))
            mixed += weight[..., None] * state
            if loop + 1 < loops and bool((ended := running & ~on).any()):
                for of_layer in held:
                    of_layer.freeze(state, ended, given.turn)
            running = on
        return (mixed if self.shape.halting == "act" else state), took

    def _goes_on(self, loop: int, left_BT: Tensor, steps_BT: Tensor | None) -> Tensor:
        return left_BT > 1.0 - self.shape.halt_at if steps_BT is None else steps_BT > loop + 1

    def losses(
        self,
        looped: Looped,
        hidden: Tensor,
        finish: Callable[[Tensor], Tensor],
        head: Tensor,
        tokens_BT: Tensor,
        labels_BT: Tensor,
    ) -> dict[str, Tensor]:
        """Return the summed losses of the steps by name. `finish` makes of a state what `hidden` is of the last one.

        With `ponder`, `mixture` is what the mean of all loops' losses has above the loss of `hidden`, to which it is
        added.
        """
        ponder, counts_BT, steps_BT = self.ponder, labels_BT != IGNORE, expected_steps(looped.p)
        places_BS, difficulty_BS = _sampled(tokens_BT), None
        found: dict[str, Tensor] = {}
        if self.shape.halting == "ponder":
            every = [token_losses(finish(state), head, labels_BT) for state in looped.states[:-1]]
            last = token_losses(hidden, head, labels_BT)
            mean_BT = sum((p * loss for p, loss in zip(looped.p, [*every, last], strict=True)), -last)
            found["mixture"] = mean_BT.sum()
            found["prior"] = ponder.prior * divergence(looped.p, counts_BT, ponder)
            difficulty_BS = every[0].detach().gather(1, places_BS)
        else:
            cost = steps_BT if ponder.cost == "expected" else graves_steps(looped.p, looped.steps)
            found["ponder"] = ponder_cost(cost, counts_BT, self.shape.loops, ponder)
        if ponder.diversity:
            if difficulty_BS is None:
                difficulty_BS = self._difficulty(finish, looped.states[0], head, labels_BT, places_BS)
            diversity = diversity_loss(steps_BT, counts_BT, difficulty_BS, places_BS, ponder)
            found["diversity"] = ponder.diversity * diversity
        return found

    @torch.no_grad()
    def _difficulty(
        self, finish: Callable[[Tensor], Tensor], state: Tensor, head: Tensor, labels_BT: Tensor, places_BS: Tensor
    ) -> Tensor:
        """Return the loss of the tokens at `places` after their first loop, [B, S]."""
        hidden = finish(state)
        hidden = hidden.gather(1, places_BS[..., None].expand(-1, -1, hidden.shape[-1]))
        return token_losses(hidden, head, labels_BT.gather(1, places_BS))


def _see(state: Tensor, given: Inputs) -> Tensor:
    return state if given.states is None else given.states.see(state)


def _sampled(tokens_BT: Tensor) -> Tensor:
    """Return one place of each four, [B, S]; which of the four is a function of the row's tokens alone."""
    T = tokens_BT.shape[1]
    fours = SAMPLED * torch.arange(max(1, T // SAMPLED), device=tokens_BT.device)
    return (tokens_BT.sum(1, keepdim=True) % SAMPLED + fours).clamp(max=T - 1)
