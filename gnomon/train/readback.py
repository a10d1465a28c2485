"""Numbers of a step on their way from the device to the record, without making the device wait.

A step writes one row into a buffer on the device. At a log point the buffer is copied; on a GPU the copy is
read one log point later, when it has long arrived.
"""

import math
import time
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from gnomon.base.machine import peak_memory_bytes
from gnomon.events.types import StepDone, Verdict
from gnomon.taxonomy import HEAD_LOSSES

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
COLUMNS = 7  # loss, norm, verdict, bad in a row, bad recently, bad since row, loss scale


@dataclass(frozen=True)
class Note:
    """What the host knows of a step: its number, rate, loss-bearing tokens so far, first row, rows, how many of the
    schedule's steps are done after it, and its labels of each of HEAD_LOSSES.
    """

    step: int
    lr: float
    tokens: int
    row: int
    rows: int
    done: float
    labelled: tuple[int, ...] = ()


class Readback:
    """Collects rows of a step's results and turns them into StepDone events every `every` steps."""

    def __init__(self, every: int, device: str, *, noise: bool = False, heads: bool = False) -> None:
        """`noise`: a step's results go on with the noise scale, in tokens, NaN while it is not known. `heads`: they end
        with HEAD_LOSSES.
        """
        self.every = every
        self._late, self._noise = device == "cuda", noise
        self._rows = torch.zeros(
            every, COLUMNS + noise + heads * len(HEAD_LOSSES), dtype=torch.float64, device=device
        )  # float64 holds rows exactly
        self._notes: list[Note] = []
        self._arriving: tuple[Tensor, list[StepDone], list[tuple[int, ...]]] | None = None
        self.last: StepDone | None = None  # that was read
        self._since = time.perf_counter()
        self._tokens_before: int | None = None

    def write(self, results: list[Tensor], note: Note, new_tokens: int) -> None:
        """Keep one step's results, scalars in the order of the columns; `new_tokens` are those of this step."""
        if self._tokens_before is None:
            self._tokens_before = note.tokens - new_tokens
        self._rows[len(self._notes)] = torch.stack([r.to(torch.float64) for r in results])
        self._notes.append(note)

    def due(self) -> list[StepDone]:
        """Return the events that have arrived, if this is a log point; otherwise none."""
        return self._collect(wait=not self._late) if len(self._notes) == self.every else []

    def drain(self) -> list[StepDone]:
        """Return every event there is, now. For saves and the end, so that no step before a checkpoint is missing."""
        return self._collect(wait=True)

    def clear(self) -> None:
        """Drop what has not been told: steps that a roll-back undoes."""
        self._notes, self._arriving, self._tokens_before, self.last = [], None, None, None
        self._since = time.perf_counter()

    def _collect(self, *, wait: bool) -> list[StepDone]:
        arrived = self._read()
        if self._notes:
            self._send()
        return arrived + (self._read() if wait else [])

    def _send(self) -> None:
        rows = self._rows[: len(self._notes)].to("cpu", non_blocking=True, copy=True)
        now = time.perf_counter()
        speed = (self._notes[-1].tokens - (self._tokens_before or 0)) / max(now - self._since, 1e-9)
        memory = torch.cuda.max_memory_allocated() if self._late else peak_memory_bytes()
        events = [
            StepDone(
                step=n.step, loss=0.0, grad_norm=0.0, lr=n.lr, tokens=n.tokens, row=n.row, rows=n.rows, done=n.done,
                tokens_per_second=speed, memory_bytes=memory,
            )
            for n in self._notes
        ]  # fmt: skip
        self._arriving = (rows, events, [n.labelled for n in self._notes])
        self._since, self._tokens_before, self._notes = now, self._notes[-1].tokens, []

    def _read(self) -> list[StepDone]:
        if self._arriving is None:
            return []
        if self._late:
            torch.cuda.current_stream().synchronize()
        (rows, events, labelled), self._arriving = self._arriving, None
        told = [
            event.model_copy(
                update={
                    "loss": loss,
                    "grad_norm": norm,
                    "verdict": VERDICTS[int(verdict)],
                    "bad_in_a_row": int(in_a_row),
                    "bad_recently": int(recently),
                    "bad_since_row": int(since),
                    "loss_scale": scale,
                    "noise_tokens": None if not self._noise or math.isnan(more[0]) else more[0],
                    "heads": _by_name(labels, more[self._noise :]),
                }
            )
            for event, labels, (loss, norm, verdict, in_a_row, recently, since, scale, *more) in zip(
                events, labelled, rows.tolist(), strict=True
            )
        ]
        self.last = told[-1]
        return told


def _by_name(labelled: tuple[int, ...], losses: list[float]) -> dict[str, float] | None:
    """Return the heads' losses of which the step had labels; None where there are no heads."""
    if not losses:
        return None
    return {name: loss for name, count, loss in zip(HEAD_LOSSES, labelled, losses, strict=bool(labelled)) if count}
