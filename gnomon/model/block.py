"""One layer: attention and feed-forward, each on a normed copy and added to the stream.

In the shape of Qwen3 the second comes after the first, in that of GPT-NeoX they stand side by side.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnomon.model.attention import Attention, Pieces, together
from gnomon.model.cache import LayerCache
from gnomon.model.norms import norm_of
from gnomon.model.rotary import Rotary
from gnomon.presets import Shape


class SwiGLU(nn.Module):
    """Gated feed-forward: `down(silu(gate(x)) · up(x))`. Source: Shazeer 2020, arXiv 2002.05202."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.up_proj = nn.Linear(shape.width, shape.feed_forward, bias=False)
        self.down_proj = nn.Linear(shape.feed_forward, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each token becomes by itself, of the same shape."""
        gate, up = together(x, self.gate_proj, self.up_proj)
        if torch.compiler.is_compiling():  # silu's own gradient finds the exponential twice
            wide = gate.float()
            return self.down_proj((wide * wide.sigmoid() * up).to(up.dtype))
        return self.down_proj(F.silu(gate) * up)


class GELU(nn.Module):
    """Plain feed-forward: `down(gelu(up(x)))`, with biases. Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.

    The gelu is the one by tanh, which GPT-NeoX-20B has, and llama.cpp for every model of its architecture.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.up_proj = nn.Linear(shape.width, shape.feed_forward)
        self.down_proj = nn.Linear(shape.feed_forward, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each token becomes by itself, of the same shape."""
        return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))


class Block(nn.Module):
    """Pre-norm transformer layer in the shape of Qwen3; or of GPT-NeoX, where both parts read the stream as it comes.

    Source of the latter: Black et al. 2022, arXiv 2204.06745.
    """

    def __init__(self, shape: Shape, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout  # of what is added to the stream, in training
        self.side_by_side = shape.block == "gpt-neox"
        self.input_layernorm = norm_of(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = norm_of(shape)  # of the feed-forward
        self.mlp = GELU(shape) if shape.block == "gpt-neox" else SwiGLU(shape)

    def forward(
        self,
        x_BTW: Tensor,
        turn: Rotary,
        pieces: Pieces | None,
        cache: LayerCache | None,
        mask: Tensor | None,
    ) -> Tensor:
        """Return the stream with this layer's two parts added, [B, T, W]."""
        gathered = x_BTW + self._drop(self.self_attn(self.input_layernorm(x_BTW), turn, pieces, cache, mask))
        read = x_BTW if self.side_by_side else gathered
        return gathered + self._drop(self.mlp(self.post_attention_layernorm(read)))

    def _drop(self, x_BTW: Tensor) -> Tensor:
        return F.dropout(x_BTW, self.dropout, self.training) if self.dropout else x_BTW
