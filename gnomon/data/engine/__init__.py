"""Runs the numbered jobs of a preparation: here, in processes of this machine, on Ray, or through datatrove on Slurm.

A job is the name of a function and plain arguments. What it makes goes to disk: the long work whole or not at all, so
that it is passed over where it is there already, the rest anew each time. So a job may be done twice, anywhere, in any
order, and the engine decides nothing about the result. A worker that dies is replaced and its job begun again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from gnomon.base.machine import this_machine
from gnomon.config import SlurmConfig
from gnomon.data.engine.base import Engine, Job
from gnomon.data.engine.local import Pool
from gnomon.data.engine.ray import Ray
from gnomon.data.engine.slurm import Slurm

__all__ = ["Engine", "Job", "open_engine"]


@contextmanager
def open_engine(
    kind: Literal["local", "ray", "slurm"],
    workers: int | None,
    slurm: SlurmConfig | None = None,
    folder: Path = Path(".slurm"),
) -> Iterator[Engine]:
    """Give an engine with so many workers (None: one a core), started when there is work for them.

    On Slurm `slurm` says how many, and `folder` is where all nodes find the tasks and leave their results.
    """
    if kind == "slurm":
        engine = Slurm(slurm or SlurmConfig(), folder.absolute())
    else:
        count = workers or this_machine().cores
        engine = Ray(count) if kind == "ray" else Pool(count)
    try:
        yield engine
    finally:
        engine.close()
