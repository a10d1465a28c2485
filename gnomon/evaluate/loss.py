"""Loss on held-out text, in nats a token, perplexity and bits a byte."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from gnomon.base.heartbeat import beat
from gnomon.config import Dtype
from gnomon.data.streaming.loader import to_device
from gnomon.data.streaming.rows import Rows, halves
from gnomon.model.attention import Segments
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import next_token_loss
from gnomon.train.parallel import ALONE, World
from gnomon.train.precision import autocast
from gnomon.train.step import is_memory_error


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

    def as_dict(self) -> dict[str, float]:
        """Return it as scripts read it."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bits_per_byte": self.bits_per_byte,
            "tokens": self.tokens,
            "bytes": round(self.bytes),
        }


def whole(parts: Sequence[Score]) -> Score:
    """Return the score of several texts together."""
    if len(parts) == 1:
        return parts[0]
    tokens = sum(part.tokens for part in parts)
    nats = sum(part.loss * part.tokens for part in parts)
    return Score(loss=nats / tokens, tokens=tokens, bytes=sum(part.bytes for part in parts))


def score(
    model: LanguageModel,
    micros: Iterable[Rows],
    *,
    bytes_per_token: float,
    device: str = "cpu",
    dtype: Dtype = "fp32",
    world: World = ALONE,
) -> Score:
    """Return the model's score on packed rows; documents do not see each other.

    `bytes_per_token` is that of the whole split; over the whole split the bits per byte are exact. Several processes
    take turns with the micro-batches; the sum has the same order, and so the same bits, with any number of them.
    """
    return joined(world.gather(share_of(model, micros, device, dtype, world)), bytes_per_token)


Share = list[tuple[float, int]]
"""What one process found, in the order of its turns: summed loss in nats and loss-bearing tokens of a micro-batch."""


@torch.no_grad()
def share_of(
    model: LanguageModel, micros: Iterable[Rows], device: str = "cpu", dtype: Dtype = "fp32", world: World = ALONE
) -> Share:
    """Return what this process finds in its turns. All processes take the same number of turns, since they may have to
    meet within a forward pass. Where memory is short, a process by itself takes a micro-batch in halves.
    """
    found: Share = []
    coming = iter(micros)
    while turn := list(islice(coming, world.size)):
        mine = world.rank < len(turn)
        rows = turn[world.rank if mine else 0]
        nats = _nats(model, rows, device, dtype, may_halve=world.size == 1)
        found += [(nats, rows.loss_tokens)] if mine else []
        beat()  # the whole split can take longer than a supervisor waits
    return found


def _nats(model: LanguageModel, rows: Rows, device: str, dtype: Dtype, *, may_halve: bool) -> float:
    """Return the summed loss of a micro-batch."""
    try:
        with autocast(device, dtype):
            hidden = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
            head = model.head.detach()  # or its gradient is found too; after the pass, which makes a shared one whole
            return next_token_loss(hidden, head, rows.labels)[0].item()
    except (RuntimeError, MemoryError) as e:
        if not (may_halve and is_memory_error(e) and len(rows.tokens) > 1):
            raise
    # outside of the handler, which keeps what the pass had
    return sum(_nats(model, to_device(half, device), device, dtype, may_halve=True) for half in halves(rows))


def joined(shares: Sequence[Share], bytes_per_token: float) -> Score:
    """Return the score that the shares of all processes make together, in the order of ranks."""
    in_order = [share[turn] for turn in range(len(shares[0])) for share in shares if turn < len(share)]
    nats, tokens = sum(n for n, _ in in_order), sum(t for _, t in in_order)
    return Score(loss=nats / tokens, tokens=tokens, bytes=tokens * bytes_per_token)
