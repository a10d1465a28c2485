"""The learning rate of every step: a pure function, warmup included."""

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """Warmup to `peak`, then `cosine` or `wsd` (warmup, stable, linear decay), ending at `floor` of the peak.

    Source of wsd: Hu et al. 2024 (MiniCPM), arXiv 2404.06395; linear decay: Hägele et al. 2024, arXiv 2405.18392.
    """

    kind: Literal["wsd", "cosine"]
    peak: float
    steps: int
    warmup: int
    decay_share: float  # of all steps, at the end; wsd only
    floor: float  # of the peak, reached at the last step

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0, 1, … steps-1."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        if self.kind == "cosine":
            start, shape = self.warmup, _half_cosine
        else:
            start, shape = max(self.warmup, self.steps - round(self.decay_share * self.steps)), _line
        if step < start:
            return self.peak
        last = self.steps - 1
        done = (step - start + 1) / max(1, last - start + 1)
        return self.peak * (self.floor + (1 - self.floor) * shape(min(1.0, done)))


def _line(done: float) -> float:
    return 1 - done


def _half_cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))
