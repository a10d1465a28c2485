"""Batches prepared ahead by threads, so that training does not wait for them; which ones is the stream's affair."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import torch

from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.stream import Batch, Stream

AHEAD = 2  # batches that each worker keeps ready


class Loader:
    """Gives the batch at a row, as the stream does, with `workers` threads that prepare the next ones.

    A decision that changes what comes next makes what was prepared worthless, and it is prepared anew: the batches are
    those of the stream, whatever the number of workers. `watch`, where it is set, is shown each before it leaves for
    the device.
    """

    watch: Callable[[Batch], None] | None = None

    def __init__(self, make: Callable[[], Stream], workers: int, device: str = "cpu") -> None:
        self.stream, self._device = make(), device
        self._make, self._workers = make, workers
        self._own = threading.local()  # a stream a thread: it remembers where it is
        self._pool = ThreadPoolExecutor(workers, "loader") if workers else None
        self._ready: dict[int, Future[Batch]] = {}
        self._known = len(self.stream.decisions.entries)

    def take(self, row: int) -> Batch:
        """Return the batch that is served at global row `row`, with its tensors on the device."""
        batch = self.stream.take(row) if self._pool is None else self._prepared(row, self._pool)
        if self.watch:
            self.watch(batch)
        beside = tuple(rows and to_device(rows, self._device) for rows in batch.beside)
        return replace(batch, micros=tuple(to_device(rows, self._device) for rows in batch.micros), beside=beside)

    def _prepared(self, row: int, pool: ThreadPoolExecutor) -> Batch:
        if self._known != len(self.stream.decisions.entries):
            self._known = len(self.stream.decisions.entries)
            self._drop()
        wanted, at = [row], row
        for _ in range(AHEAD * self._workers):
            at = self.stream.after(at)
            wanted.append(at)
        for at in wanted:
            if at not in self._ready:
                self._ready[at] = pool.submit(self._take, at)
        for late in [at for at in self._ready if at not in wanted]:  # of a place that was left
            self._ready.pop(late).cancel()
        return self._ready.pop(row).result()

    def close(self) -> None:
        """End the threads."""
        self._drop()
        if self._pool:
            self._pool.shutdown()

    def _take(self, row: int) -> Batch:
        if not hasattr(self._own, "stream"):
            self._own.stream = self._make()
        return self._own.stream.take(row)

    def _drop(self) -> None:
        for waiting in self._ready.values():
            waiting.cancel()
        self._ready.clear()


def to_device(rows: Rows, device: str) -> Rows:
    """Return the micro-batch with its tensors on `device`."""
    if device == "cpu":
        return rows
    moved = {k: v.to(device, non_blocking=True) for k, v in vars(rows).items() if isinstance(v, torch.Tensor)}
    targets = None if rows.targets is None else rows.targets.to(device)
    return replace(rows, **moved, buckets=tuple(b.to(device, non_blocking=True) for b in rows.buckets), targets=targets)
