"""Numbers of a step on their way from the device to the record, without making the device wait.

A step writes one row into a buffer on the device. At a log point the buffer is copied; on a GPU the copy is
read one log point later, when it has long arrived.
"""

import math
import time

import torch
from torch import Tensor

from gnomon.base.machine import peak_memory_bytes
from gnomon.events.types import StepDone


class Readback:
    """Collects rows of (loss, gradient norm, finite) and turns them into StepDone events every `every` steps."""

    def __init__(self, every: int, device: str) -> None:
        self.every = every
        self._late = device == "cuda"
        self._rows = torch.zeros(every, 3, device=device)
        self._notes: list[tuple[int, float, int]] = []  # step, rate, tokens so far: known on the host
        self._arriving: tuple[Tensor, list[StepDone]] | None = None
        self._since = time.perf_counter()
        self._tokens_before: int | None = None

    def write(self, loss: Tensor, norm: Tensor, finite: Tensor, *, step: int, lr: float, tokens: int, new: int) -> None:
        """Keep one step's results; `tokens` counts all so far, `new` those of this step."""
        if self._tokens_before is None:
            self._tokens_before = tokens - new
        torch.stack([loss, norm, finite.float()], out=self._rows[len(self._notes)])
        self._notes.append((step, lr, tokens))

    def due(self) -> list[StepDone]:
        """Return the events that have arrived, if this is a log point; otherwise none."""
        return self._collect(wait=not self._late) if len(self._notes) == self.every else []

    def drain(self) -> list[StepDone]:
        """Return every event there is, now. For saves and the end, so that no step before a checkpoint is missing."""
        return self._collect(wait=True)

    def _collect(self, *, wait: bool) -> list[StepDone]:
        arrived = self._read()
        if self._notes:
            self._send()
        return arrived + (self._read() if wait else [])

    def _send(self) -> None:
        rows = self._rows[: len(self._notes)].to("cpu", non_blocking=True, copy=True)
        now = time.perf_counter()
        speed = (self._notes[-1][2] - (self._tokens_before or 0)) / max(now - self._since, 1e-9)
        memory = torch.cuda.max_memory_allocated() if self._late else peak_memory_bytes()
        events = [
            StepDone(
                step=step, loss=0.0, grad_norm=0.0, lr=lr, tokens=tokens, skipped=False,
                tokens_per_second=speed, memory_bytes=memory,
            )
            for step, lr, tokens in self._notes
        ]  # fmt: skip
        self._since, self._tokens_before, self._notes = now, self._notes[-1][2], []
        self._arriving = (rows, events)

    def _read(self) -> list[StepDone]:
        if self._arriving is None:
            return []
        if self._late:
            torch.cuda.current_stream().synchronize()
        (rows, events), self._arriving = self._arriving, None
        return [
            event.model_copy(update={"loss": loss, "grad_norm": norm, "skipped": not math.isclose(finite, 1.0)})
            for event, (loss, norm, finite) in zip(events, rows.tolist(), strict=True)
        ]
