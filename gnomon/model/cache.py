"""Keys and values of the tokens already seen, so that one more token costs one token's work."""

import torch
from torch import Tensor

from gnomon.presets import Shape


class LayerCache:
    """One layer's keys and values, [B, capacity, K, D]; `length` of them are filled."""

    def __init__(self, rows: int, capacity: int, shape: Shape, like: Tensor) -> None:
        size = (rows, capacity, shape.kv_heads, shape.head_width)
        self.keys = torch.zeros(size, dtype=like.dtype, device=like.device)
        self.values = torch.zeros_like(self.keys)
        self.length = 0

    def extend(self, k_BTKD: Tensor, v_BTKD: Tensor) -> tuple[Tensor, Tensor]:
        """Append T tokens and return all keys and values so far, [B, length, K, D] each."""
        end = self.length + k_BTKD.shape[1]
        self.keys[:, self.length : end] = k_BTKD
        self.values[:, self.length : end] = v_BTKD
        self.length = end
        return self.keys[:, :end], self.values[:, :end]


class Cache:
    """The caches of all layers, of each as often as it is passed, for `rows` sequences of at most `capacity` tokens."""

    def __init__(self, rows: int, capacity: int, shape: Shape, like: Tensor) -> None:
        self.layers = [LayerCache(rows, capacity, shape, like) for _ in range(shape.passes)]

    @property
    def length(self) -> int:
        return self.layers[0].length

    def take(self, rows: Tensor) -> None:
        """Go on with these of the sequences, in this order; one may be taken several times."""
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]
