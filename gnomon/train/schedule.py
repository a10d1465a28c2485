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
        return self.rate_until(step + 1)

    def rate_until(self, done: float) -> float:
        """Return the learning rate of the step after which `done` of the `steps` are behind the run.

        Whole numbers are the steps themselves; a batch of a quarter of the rows goes on by a quarter.
        """
        if done <= self.warmup:
            return self.peak * done / self.warmup
        if self.kind == "cosine":
            start, shape = self.warmup, _half_cosine
        else:
            start, shape = max(self.warmup, self.steps - round(self.decay_share * self.steps)), _line
        if done <= start:
            return self.peak
        share = (done - start) / max(1, self.steps - start)
        return self.peak * (self.floor + (1 - self.floor) * shape(min(1.0, share)))


def _line(done: float) -> float:
    return 1 - done


def _half_cosine(done: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * done))
