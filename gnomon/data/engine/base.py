"""What every engine of a preparation is: who does its numbered jobs, and says how far they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gnomon.base import errors
from gnomon.base.errors import DataError, GnomonError
from gnomon.base.progress import Progress

TRIES = 3  # of a job whose worker dies


@dataclass(frozen=True)
class Job:
    """`call` is `module:function`, its arguments are plain values; `weight` is its size in bytes, about."""

    call: str
    args: dict[str, Any]
    weight: int


class Engine(Protocol):
    """Does jobs and returns their results, in the jobs' order. Raises what a job raises."""

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]: ...


class Tally:
    """How much of a stage is done, from how much of each of its jobs is."""

    def __init__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> None:
        self._stage, self._progress = stage, progress
        self._done, self._total = dict.fromkeys(range(len(jobs)), 0), sum(job.weight for job in jobs)
        self._sum = 0

    def at(self, job: int, done: int) -> None:
        """Say that so much of a job is done."""
        self._sum += done - self._done[job]
        self._done[job] = done
        self._progress(self._stage, self._sum, self._total, "bytes")


def as_error(said: dict[str, Any]) -> GnomonError:
    """Return the error that a job raised elsewhere."""
    kind: type[GnomonError] = getattr(errors, said["kind"], GnomonError)
    return kind(said["what"], where=said["where"], do=said["do"])


def part_of(job: Job) -> str:
    """Return the part of the text that a job is about, for people."""
    return str(job.args.get("path") or job.args.get("block") or job.call)


def died(stage: str, job: Job) -> DataError:
    """Return the error for a job whose worker died each time."""
    return DataError(
        f"a worker process died {TRIES} times over the same part of the text ({stage})",
        where=part_of(job),
        do="see whether memory is short (data.workers=1 takes the least); the same command goes on from here",
    )
