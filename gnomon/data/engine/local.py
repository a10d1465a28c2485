"""Jobs in processes of this machine. A worker that dies is replaced and its job begun again."""

import os
import selectors
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

import orjson

from gnomon.base.progress import Progress
from gnomon.data.engine.base import TRIES, Job, Tally, as_error, died
from gnomon.data.worker import do

WORTH_BYTES = 16 << 20
"""Less work than this is done sooner here than a worker has started: about 0.5 s each."""

ONE_THREAD = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""The environment of a worker: it is one of many."""


class Pool:
    """Processes of this machine that do jobs, each one at a time."""

    def __init__(self, workers: int) -> None:
        self._count, self._workers = workers, list[subprocess.Popen[bytes]]()

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        if self._count == 1 or len(jobs) < 2 or sum(job.weight for job in jobs) < WORTH_BYTES:
            return _here(stage, jobs, progress)
        return self._together(stage, jobs, progress)

    def _together(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        results: list[Any] = [None] * len(jobs)
        waiting, tries, tally = deque(range(len(jobs))), [0] * len(jobs), Tally(stage, jobs, progress)
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
                        raise as_error(said["failed"])
                    else:
                        self._bury(worker)
                        tries[number] += 1
                        if tries[number] == TRIES:
                            raise died(stage, jobs[number])
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
        worker = subprocess.Popen(
            [sys.executable, "-m", "gnomon.data.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=os.environ | ONE_THREAD,
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


def _here(stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
    """Do the jobs in this process, one after the other."""
    results, tally = [], Tally(stage, jobs, progress)
    for number, job in enumerate(jobs):
        results.append(do(job.call, job.args, lambda at, n=number: tally.at(n, at)))
        tally.at(number, job.weight)
    return results
