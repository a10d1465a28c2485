"""Jobs on a Ray cluster: the one that is running, or one of this machine alone."""

import logging
from collections.abc import Sequence
from typing import Any

import orjson

from gnomon.base.optional import need
from gnomon.base.progress import Progress
from gnomon.data.engine.base import TRIES, Job, Tally, as_error, died
from gnomon.data.worker import answer


class Ray:
    """A connection to the cluster; one that was started here ends with it."""

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
        tally, results = Tally(stage, jobs, progress), list[Any]([None] * len(jobs))
        handles = {self._remote.remote(orjson.dumps({"call": j.call, "args": j.args})): n for n, j in enumerate(jobs)}
        while handles:
            (finished, *_), _ = self._ray.wait(list(handles), num_returns=1)
            number = handles.pop(finished)
            try:
                said = orjson.loads(self._ray.get(finished))
            except self._ray.exceptions.RayError as e:
                raise died(stage, jobs[number]) from e
            if "failed" in said:
                raise as_error(said["failed"])
            results[number] = said["done"]
            tally.at(number, jobs[number].weight)
        return results

    def close(self) -> None:
        """Leave the cluster; end it if it was started here."""
        if self._own:
            self._ray.shutdown()


def _answer_on_ray(line: bytes) -> bytes:
    return answer(line, lambda _: None)
