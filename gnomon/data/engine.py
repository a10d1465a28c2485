"""Runs the numbered jobs of a preparation: here, in processes of this machine, or on Ray.

A job is the name of a function and plain arguments. What it makes goes to disk: the long work whole or not at all, so
that it is passed over where it is there already, the rest anew each time. So a job may be done twice, anywhere, in any
order, and the engine decides nothing about the result. A worker that dies is replaced and its job begun again.
"""

import logging
import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from gnomon.base import errors
from gnomon.base.errors import DataError, GnomonError
from gnomon.base.machine import this_machine
from gnomon.base.optional import need
from gnomon.base.progress import Progress
from gnomon.data.worker import answer, do

TRIES = 3  # of a job whose worker dies
WORTH_BYTES = 16 << 20
"""Less work than this is done sooner here than a worker has started: about 0.5 s each."""


@dataclass(frozen=True)
class Job:
    """`call` is `module:function`, its arguments are plain values; `weight` is its size in bytes, about."""

    call: str
    args: dict[str, Any]
    weight: int


class Engine(Protocol):
    """Does jobs and returns their results, in the jobs' order. Raises what a job raises."""

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]: ...


@contextmanager
def open_engine(kind: Literal["local", "ray"], workers: int | None) -> Iterator[Engine]:
    """Give an engine with so many workers (None: one a core), started when there is work for them."""
    count = workers or this_machine().cores
    pool = _Ray(count) if kind == "ray" else _Pool(count)
    try:
        yield pool
    finally:
        pool.close()


def _here(stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
    """Do the jobs in this process, one after the other."""
    results, tally = [], _Tally(stage, jobs, progress)
    for number, job in enumerate(jobs):
        results.append(do(job.call, job.args, lambda at, n=number: tally.at(n, at)))
        tally.at(number, job.weight)
    return results


class _Tally:
    """How much of a stage is done, from how much of each of its jobs is."""

    def __init__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> None:
        self._stage, self._progress = stage, progress
        self._done, self._total = dict.fromkeys(range(len(jobs)), 0), sum(job.weight for job in jobs)
        self._sum = 0

    def at(self, job: int, done: int) -> None:
        self._sum += done - self._done[job]
        self._done[job] = done
        self._progress(self._stage, self._sum, self._total, "bytes")


class _Pool:
    """Processes of this machine that do jobs, each one at a time."""

    def __init__(self, workers: int) -> None:
        self._count, self._workers = workers, list[subprocess.Popen[bytes]]()

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        if self._count == 1 or len(jobs) < 2 or sum(job.weight for job in jobs) < WORTH_BYTES:
            return _here(stage, jobs, progress)
        return self._together(stage, jobs, progress)

    def _together(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        results: list[Any] = [None] * len(jobs)
        waiting, tries, tally = deque(range(len(jobs))), [0] * len(jobs), _Tally(stage, jobs, progress)
        busy: dict[int, int] = {}  # what each worker does
        with selectors.DefaultSelector() as ready:
            while waiting or busy:
                while waiting and len(busy) < self._count:
                    number = waiting.popleft()
                    self._give(jobs[number], number, busy, ready)
                for key, _ in ready.select():
                    worker: subprocess.Popen[bytes] = key.data
                    assert worker.stdout
                    said = orjson.loads(line) if (line := worker.stdout.readline()).endswith(b"\n") else {}
                    if "at" in said:
                        tally.at(busy[worker.pid], said["at"])
                        continue
                    number = busy.pop(worker.pid)
                    ready.unregister(worker.stdout)
                    if "done" in said:
                        results[number] = said["done"]
                        tally.at(number, jobs[number].weight)
                    elif "failed" in said:
                        raise _as_error(said["failed"])
                    else:
                        self._bury(worker)
                        tries[number] += 1
                        if tries[number] == TRIES:
                            raise _died(stage, jobs[number])
                        waiting.appendleft(number)
        return results

    def _give(self, job: Job, number: int, busy: dict[int, int], ready: selectors.BaseSelector) -> None:
        worker = next((w for w in self._workers if w.pid not in busy), None) or self._start()
        assert worker.stdin
        assert worker.stdout
        ready.register(worker.stdout, selectors.EVENT_READ, worker)
        busy[worker.pid] = number
        try:
            worker.stdin.write(orjson.dumps({"call": job.call, "args": job.args}) + b"\n")
            worker.stdin.flush()
        except BrokenPipeError:
            pass  # it died; its output says so

    def _start(self) -> subprocess.Popen[bytes]:
        one_thread = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        worker = subprocess.Popen(
            [sys.executable, "-m", "gnomon.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | one_thread,
        )
        self._workers.append(worker)
        return worker

    def _bury(self, worker: subprocess.Popen[bytes]) -> None:
        self._workers.remove(worker)
        worker.kill()
        worker.communicate()

    def close(self) -> None:
        """End the processes, whatever they do."""
        for worker in list(self._workers):
            self._bury(worker)


class _Ray:
    """Workers of a Ray cluster: the one that is running, or one of this machine alone."""

    def __init__(self, workers: int) -> None:
        ray: Any = need("ray", extra="ray", why="data.engine=ray prepares text on it")
        self._ray, self._own = ray, not ray.is_initialized()
        if self._own:
            quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
            try:
                ray.init(num_cpus=workers, **quiet)
            except ValueError:  # there is a cluster (RAY_ADDRESS, or `ray start` here), which has its own processors
                ray.init(**quiet)
        self._remote: Any = ray.remote(max_retries=TRIES)(_answer_on_ray)

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        tally, results = _Tally(stage, jobs, progress), list[Any]([None] * len(jobs))
        handles = {self._remote.remote(orjson.dumps({"call": j.call, "args": j.args})): n for n, j in enumerate(jobs)}
        while handles:
            (finished, *_), _ = self._ray.wait(list(handles), num_returns=1)
            number = handles.pop(finished)
            try:
                said = orjson.loads(self._ray.get(finished))
            except self._ray.exceptions.RayError as e:
                raise _died(stage, jobs[number]) from e
            if "failed" in said:
                raise _as_error(said["failed"])
            results[number] = said["done"]
            tally.at(number, jobs[number].weight)
        return results

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        if self._own:
            self._ray.shutdown()


def _answer_on_ray(line: bytes) -> bytes:
    return answer(line, lambda _: None)


def _as_error(said: dict[str, Any]) -> GnomonError:
    kind: type[GnomonError] = getattr(errors, said["kind"], GnomonError)
    return kind(said["what"], where=said["where"], do=said["do"])


def _died(stage: str, job: Job) -> DataError:
    return DataError(
        f"a worker process died {TRIES} times over the same part of the text ({stage})",
        where=job.args["files"][0][0] if "files" in job.args else job.args.get("block", job.call),
        do="see whether memory is short (data.workers=1 takes the least); the same command goes on from here",
    )
