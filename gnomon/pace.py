"""How long a run takes: what it does, by how fast a machine does it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """What a run does: tokens it learns from, updates of the weights, tokens it validates on, and tokens of samples."""

    learnt: int
    updates: int
    read: int
    drawn: int


@dataclass(frozen=True)
class Pace:
    """How fast a process goes: tokens a second that it learns from in forward and backward passes, and why that is so;
    tokens a second that it only reads; seconds of an update of the weights, and of one more token of all samples.
    """

    tokens_per_second: float
    why: str
    read_per_second: float
    update_seconds: float = 0.0
    token_seconds: float = 0.0

    def training_seconds(self, work: Work, processes: int = 1) -> float:
        """Return the seconds of passes, which processes share, and updates, which each makes."""
        return work.learnt / self.tokens_per_second / processes + work.updates * self.update_seconds

    def seconds(self, work: Work, processes: int = 1) -> float:
        """Return the seconds of a run; saves are not in it, which are made beside it."""
        read = work.read / self.read_per_second / processes
        return self.training_seconds(work, processes) + read + work.drawn * self.token_seconds


def guessed(flops_per_token: float, parameters: int) -> Pace:
    """Return the pace of a processor of 100 GFLOP/s that moves 10 GB/s, for a model that was not tried."""
    rate, why = 1e11 / flops_per_token, "a guess at 100 GFLOP/s: the model was too large to be tried"
    return Pace(rate, why, 3 * rate, update_seconds=28 * parameters / 1e10, token_seconds=4 * parameters / 1e10)
