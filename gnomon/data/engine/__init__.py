"""Runs the numbered jobs of a preparation: here, in processes of this machine, or on Ray.

A job is the name of a function and plain arguments. What it makes goes to disk: the long work whole or not at all, so
that it is passed over where it is there already, the rest anew each time. So a job may be done twice, anywhere, in any
order, and the engine decides nothing about the result. A worker that dies is replaced and its job begun again.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from gnomon.base.machine import this_machine
from gnomon.data.engine.base import Engine, Job
from gnomon.data.engine.local import Pool
from gnomon.data.engine.ray import Ray

__all__ = ["Engine", "Job", "open_engine"]


@contextmanager
def open_engine(kind: Literal["local", "ray"], workers: int | None) -> Iterator[Engine]:
    """Give an engine with so many workers (None: one a core), started when there is work for them."""
    count = workers or this_machine().cores
    engine = Ray(count) if kind == "ray" else Pool(count)
    try:
        yield engine
    finally:
        engine.close()
