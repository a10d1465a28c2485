"""Loss on held-out text, in nats a token, perplexity and bits a byte."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from gnomon.config import Dtype
from gnomon.data.stream import Rows
from gnomon.model.attention import Segments
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import next_token_loss
from gnomon.train.precision import autocast


@dataclass(frozen=True)
class Score:
    """`loss` is nats per loss-bearing token; `bits_per_byte` counts bytes of the UTF-8 text and compares tokenizers."""

    loss: float
    tokens: int
    bytes: float

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.loss, 700.0))

    @property
    def bits_per_byte(self) -> float:
        return self.loss * self.tokens / math.log(2) / self.bytes


@torch.inference_mode()
def score(
    model: LanguageModel,
    micros: Iterable[Rows],
    *,
    bytes_per_token: float,
    device: str = "cpu",
    dtype: Dtype = "fp32",
) -> Score:
    """Return the model's score on packed rows; documents do not see each other.

    `bytes_per_token` is that of the whole split; over the whole split the bits per byte are exact.
    """
    nats, tokens = 0.0, 0
    for rows in micros:
        with autocast(device, dtype):
            hidden = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
            cross, _ = next_token_loss(hidden, model.head, rows.labels)
        nats += cross.item()
        tokens += rows.loss_tokens
    return Score(loss=nats / tokens, tokens=tokens, bytes=tokens * bytes_per_token)
