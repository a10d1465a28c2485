"""A layer for some of the tokens alone: only these are multiplied, and they look at all keys and values before them.

Rows without any of them take no part in its attention. Axes: B rows, T positions, S positions of keys, M gathered
tokens, R rows that have some, A most of them in a row, H query heads, K key/value heads, D head width, W width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gnomon.model.attention import attend
from gnomon.model.block import Block
from gnomon.model.cache import LayerCache
from gnomon.model.rotary import Rotary, rotate


@dataclass(frozen=True)
class Places:
    """Where the gathered tokens stand: `row` and `column` [M] in the pass, `slot` [M] among their row's, which is the
    `at`-th [M] of those that have some, `rows` [R]; what each may look at, [R, A, S]; and their rotation.
    """

    row: Tensor
    column: Tensor
    slot: Tensor
    at: Tensor
    rows: Tensor
    seen: Tensor
    turn: Rotary

    def of(self, x_BTX: Tensor) -> Tensor:
        """Return the gathered tokens' part, [M, …]."""
        return x_BTX[self.row, self.column]


def places_of(running_BT: Tensor, turn: Rotary, mask_BTS: Tensor | None, start: int) -> Places:
    """Return the places of the tokens that run, one at least, in a pass that begins after `start` tokens."""
    row_M, column_M = running_BT.nonzero(as_tuple=True)
    slot_M = (running_BT.cumsum(1) - 1)[row_M, column_M]
    has_B, new = running_BT.any(1), running_BT.shape[1]
    rows_R, at_M, most = has_B.nonzero()[:, 0], (has_B.cumsum(0) - 1)[row_M], int(slot_M.max()) + 1
    if mask_BTS is None:
        mask_BTS = torch.ones(1, new, start + new, dtype=torch.bool, device=running_BT.device).tril(diagonal=start)
    seen_RAS = torch.zeros(len(rows_R), most, start + new, dtype=torch.bool, device=running_BT.device)
    seen_RAS[:, :, 0] = True  # a slot without a token sees something, so that no row of the softmax is empty
    seen_RAS[at_M, slot_M] = mask_BTS[row_M if len(mask_BTS) > 1 else torch.zeros_like(row_M), column_M]
    return Places(row_M, column_M, slot_M, at_M, rows_R, seen_RAS, _turn_of(turn, row_M, column_M))


class Held:
    """Keys and values of a pass's tokens at one layer, as the loop that runs has them."""

    def __init__(self, block: Block, x_BTW: Tensor) -> None:
        self._block, attention = block, block.self_attn
        size = (*x_BTW.shape[:2], attention.kv_heads, attention.head_width)
        self._keys = torch.zeros(size, dtype=x_BTW.dtype, device=x_BTW.device)
        self._values = torch.zeros_like(self._keys)

    def freeze(self, state_BTW: Tensor, ended_BT: Tensor, turn: Rotary) -> None:
        """Keep what the states of tokens that have stopped supply to all further loops."""
        row_M, column_M = ended_BT.nonzero(as_tuple=True)
        normed = self._block.input_layernorm(state_BTW[row_M, column_M])
        self._keep(normed, row_M, column_M, _turn_of(turn, row_M, column_M))

    def layer(self, x_MW: Tensor, here: Places, cache: LayerCache | None) -> Tensor:
        """Return the stream of the gathered tokens with the layer's two parts added, [M, W]."""
        block, attention = self._block, self._block.self_attn
        normed = block.input_layernorm(x_MW)
        q_MHD = attention.q_norm(attention.q_proj(normed).view(-1, attention.heads, attention.head_width))
        q_MHD = rotate(q_MHD[None], here.turn)[0]
        self._keep(normed, here.row, here.column, here.turn)
        k_RSKD, v_RSKD = self.fill(cache)
        if len(here.rows) < len(k_RSKD):
            k_RSKD, v_RSKD = k_RSKD[here.rows], v_RSKD[here.rows]
        q_RAHD = q_MHD.new_zeros(*here.seen.shape[:2], *q_MHD.shape[1:])
        q_RAHD[here.at, here.slot] = q_MHD
        mixed_RAHD = attend(q_RAHD, k_RSKD, v_RSKD, here.seen)
        gathered = x_MW + attention.o_proj(mixed_RAHD[here.at, here.slot].flatten(1))
        read = x_MW if block.side_by_side else gathered
        return gathered + block.mlp(block.post_attention_layernorm(read))

    def fill(self, cache: LayerCache | None) -> tuple[Tensor, Tensor]:
        """Return keys and values of all tokens so far, which are then in the cache too, where there is one."""
        return (self._keys, self._values) if cache is None else cache.extend(self._keys, self._values)

    def _keep(self, normed_MW: Tensor, row_M: Tensor, column_M: Tensor, turn: Rotary) -> None:
        attention = self._block.self_attn
        shape = (-1, attention.kv_heads, attention.head_width)
        k_MKD = rotate(attention.k_norm(attention.k_proj(normed_MW).view(shape))[None], turn)[0]
        self._keys[row_M, column_M] = k_MKD.to(self._keys.dtype)
        self._values[row_M, column_M] = attention.v_proj(normed_MW).view(shape).to(self._values.dtype)


def _turn_of(turn: Rotary, row_M: Tensor, column_M: Tensor) -> Rotary:
    row_M = row_M if len(turn.cos) > 1 else torch.zeros_like(row_M)
    return Rotary(turn.cos[row_M, column_M][None], turn.sin[row_M, column_M][None])
