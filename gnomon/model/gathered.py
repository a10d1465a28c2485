"""A layer for some of the tokens alone: only these are multiplied, and they look at all keys and values before them.

Axes: B rows, T positions, S positions of keys, M gathered tokens, A most of them in a row, H query heads, K key/value
heads, D head width, W width.
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
    """Where the gathered tokens stand: `row` and `column` [M] in the pass, `slot` [M] among their row's; what each may
    look at, [B, A, S]; and their rotation.
    """

    row: Tensor
    column: Tensor
    slot: Tensor
    seen: Tensor
    turn: Rotary

    def of(self, x_BTX: Tensor) -> Tensor:
        """Return the gathered tokens' part, [M, …]."""
        return x_BTX[self.row, self.column]


def places_of(running_BT: Tensor, turn: Rotary, mask_BTS: Tensor | None, start: int) -> Places:
    """Return the places of the tokens that run, in a pass that begins after `start` tokens."""
    row_M, column_M = running_BT.nonzero(as_tuple=True)
    slot_M = (running_BT.cumsum(1) - 1)[row_M, column_M]
    (rows, new), most = running_BT.shape, int(slot_M.max()) + 1 if len(slot_M) else 0
    if mask_BTS is None:
        mask_BTS = torch.ones(1, new, start + new, dtype=torch.bool, device=running_BT.device).tril(diagonal=start)
    seen_BAS = torch.zeros(rows, most, start + new, dtype=torch.bool, device=running_BT.device)
    seen_BAS[:, :, 0] = True  # a slot without a token sees something, so that no row of the softmax is empty
    seen_BAS[row_M, slot_M] = mask_BTS[row_M if len(mask_BTS) > 1 else torch.zeros_like(row_M), column_M]
    return Places(row_M, column_M, slot_M, seen_BAS, _turn_of(turn, row_M, column_M))


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
        k_BSKD, v_BSKD = self.fill(cache)
        q_BAHD = q_MHD.new_zeros(*here.seen.shape[:2], *q_MHD.shape[1:])
        q_BAHD[here.row, here.slot] = q_MHD
        mixed_BAHD = attend(q_BAHD, k_BSKD, v_BSKD, here.seen)
        gathered = x_MW + attention.o_proj(mixed_BAHD[here.row, here.slot].flatten(1))
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
