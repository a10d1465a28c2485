"""Saves the state without making training wait: copied into shared memory, written by a process of its own.

One save is in flight at a time. Where there is no such process, or it has died, this one writes.
"""

import json
import mmap
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import IO, Any

import torch
from torch import Tensor

from gnomon.base.errors import StorageError
from gnomon.base.files import canonical_json, storage_errors
from gnomon.base.heartbeat import beat
from gnomon.events.journal import Journal
from gnomon.store.checkpoints import Facts, Retention
from gnomon.store.runs import Run
from gnomon.store.tensors import Layout, layout
from gnomon.store.writer import carry_out
from gnomon.train.parallel import World
from gnomon.train.state import State, file_name, held_of, numbers_of, shares

MOST_SECONDS = 1800.0  # for a save that is waited for; a disk that takes longer is sick
ALIGNED = 64  # bytes; where a file begins in the arena
NUMBERS_BYTES = 1 << 20  # kept free for state.json, which is a few KB
MOST_LOST = 2  # writers that end without an answer, one after the other, before this process writes by itself


@dataclass(frozen=True)
class Outcome:
    """How a save ended: `error` says why it failed, else `checkpoint` is its name (None on ranks above 0)."""

    step: int
    reason: str
    stall_seconds: float
    checkpoint: str | None = None
    bytes: int = 0
    seconds: float = 0.0
    error: str | None = None
    error_kind: str = "storage"  # or "integrity", or "writer" when the process that wrote is gone
    damaged: tuple[tuple[str, str], ...] = ()


class Saver:
    """Writes checkpoints of one run, in the background where it can. `attempt` is that of the run."""

    def __init__(self, run: Run, world: World, attempt: int, retention: Retention, *, background: bool) -> None:
        self._run, self._world, self._attempt, self._retention = run, world, attempt, retention
        self._background = background and os.name == "posix"  # elsewhere no handle can be passed on
        self._arena = _Arena()
        self._writer: subprocess.Popen[bytes] | None = None
        self._flight: tuple[int, str, float] | None = None  # step, reason, stall in seconds
        self._saves = 0
        self._lost = 0  # writers, since the last answer

    @property
    def busy(self) -> bool:
        """Whether a save is in flight."""
        return self._flight is not None

    def reserve(self, state: State) -> None:
        """Take the addresses that a copy of the state needs, so that a save does not fail where a limit on them (ulimit
        -v) is reached later. The memory itself is taken by the first save.

        Raises StorageError where even now there are none.
        """
        with storage_errors(self._run.folder):
            self._arena.hold(self._plan(state)[1] + NUMBERS_BYTES)

    def begin(self, state: State, reason: str, metrics: dict[str, Any], journal: Journal) -> Outcome | None:
        """Copy the state and have it written; the state may change as soon as this returns.

        Returns the outcome where this process wrote it itself, else None. One save at a time. No state is written that
        knows of a decision which the disk has not.
        """
        assert self._flight is None, "one save at a time"
        start = time.monotonic()
        self._saves += 1
        name, files, error = "", [], None
        try:
            journal.flush()
            name = self._run.checkpoints.next_name(state.step)
            with storage_errors(self._run.folder):
                files = self._copy(state, len(journal.entries))
        except StorageError as e:
            error = e.what
        told = self._world.gather((name, error))
        if error := next((why for _, why in told if why), None):
            return Outcome(state.step, reason, time.monotonic() - start, error=error)
        name = told[0][0]
        request = {
            "run": str(self._run.folder.resolve()),
            "files": files,
            "facts": asdict(Facts(state.step, reason, metrics, self._attempt, self._saves)),
            "name": name,
            "rank": self._world.rank,
            "world": self._world.size,
            "retention": asdict(self._retention),
            "arena_bytes": self._arena.size,
        }
        stall = time.monotonic() - start
        if self._background and self._send(request):
            self._flight = (state.step, reason, time.monotonic() - start)
            return None
        return Outcome(state.step, reason, stall, **_answer(carry_out(request, self._arena.view)))

    def poll(self) -> Outcome | None:
        """Return how the save in flight ended, once it has; does not wait."""
        return self._read(0.0) if self._flight else None

    def wait(self) -> Outcome | None:
        """Return how the save in flight ended, waiting for it; None if there is none."""
        deadline = time.monotonic() + MOST_SECONDS
        while self._flight:
            if outcome := self._read(1.0):
                return outcome
            beat()
            if time.monotonic() > deadline:
                step, reason, stall = self._flight
                self._flight = None
                self._forget_writer()
                return Outcome(step, reason, stall, error=f"it was not done within {MOST_SECONDS:,.0f} s")
        return None

    def close(self) -> None:
        """Let the writer end."""
        if self._writer and self._writer.stdin:
            self._writer.stdin.close()
            self._writer.wait()
            assert self._writer.stdout is not None
            self._writer.stdout.close()
        self._writer = None
        self._arena.close()

    def _plan(self, state: State) -> tuple[list[tuple[str, int, Layout, list[Tensor]]], int]:
        """Return the files of this rank's share (name, beginning, layout, tensors) and where the last one ends."""
        plans, at = [], 0
        for kind, tensors in held_of(state).items():
            specs, views = shares(tensors, self._world.rank, self._world.size)
            if specs:
                planned = layout(specs)
                plans.append((file_name(kind, self._world.rank, self._world.size), at, planned, views))
                at += planned.size + -planned.size % ALIGNED
        return plans, at

    def _copy(self, state: State, decisions: int) -> list[dict[str, Any]]:
        """Copy this rank's share into the arena and return where each file lies."""
        plans, at = self._plan(state)
        numbers = canonical_json(numbers_of(state, decisions)) if self._world.first else b""
        self._arena.hold(at + len(numbers))
        for _, start, planned, views in plans:
            self._arena.view[start : start + len(planned.head)] = planned.head
            for view, offset in zip(views, planned.offsets, strict=True):
                self._arena.tensor(start + offset, view).copy_(view)
        files = [{"name": name, "offset": start, "bytes": planned.size} for name, start, planned, _ in plans]
        if numbers:
            self._arena.view[at : at + len(numbers)] = numbers
            files.append({"name": "state.json", "offset": at, "bytes": len(numbers)})
        return files

    def _send(self, request: dict[str, Any]) -> bool:
        """Hand a request to the writer, started if need be; return whether it has it."""
        if self._writer is not None and self._writer.poll() is not None:
            self._forget_writer()
        try:
            if self._writer is None:
                command = [sys.executable, "-m", "gnomon.store.writer", str(self._arena.handle)]
                self._writer = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[self._arena.handle]
                )
            assert self._writer.stdin is not None
            self._writer.stdin.write(canonical_json(request) + b"\n")
            self._writer.stdin.flush()
        except OSError:
            self._forget_writer()
            return False
        return True

    def _read(self, timeout: float) -> Outcome | None:
        assert self._writer is not None and self._writer.stdout is not None and self._flight is not None
        out: IO[bytes] = self._writer.stdout
        if not select.select([out], [], [], timeout)[0]:
            return None
        line = out.readline()
        step, reason, stall = self._flight
        self._flight = None
        if not line.endswith(b"\n"):
            code = self._writer.wait()
            self._forget_writer()
            self._lost += 1
            self._background = self._lost < MOST_LOST
            why = f"the process that writes checkpoints ended with code {code}"
            return Outcome(step, reason, stall, error=why, error_kind="writer")
        self._lost = 0
        return Outcome(step, reason, stall, **_answer(json.loads(line)))

    def _forget_writer(self) -> None:
        if self._writer is None:
            return
        for pipe in (self._writer.stdin, self._writer.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    pass  # what it still held was for a process that is gone
        self._writer.kill()
        self._writer.wait()
        self._writer = None


def _answer(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "damaged": tuple((name, why) for name, why in answer.get("damaged", []))}


class _Arena:
    """Memory that another process can map: grows, never shrinks, and is the same from save to save."""

    def __init__(self) -> None:
        if hasattr(os, "memfd_create"):
            self.handle = os.memfd_create("gnomon-arena")
        else:
            with tempfile.TemporaryFile() as file:  # unlinked: it lives as long as its handles
                self.handle = os.dup(file.fileno())
        self.size = 0
        self._map: mmap.mmap | None = None
        self._tensors: dict[tuple[int, torch.Size], Tensor] = {}

    @property
    def view(self) -> memoryview:
        assert self._map is not None
        return memoryview(self._map)

    def hold(self, size: int) -> None:
        """Make room for `size` bytes."""
        if size > self.size:
            self._tensors.clear()
            os.ftruncate(self.handle, size)
            self._map, self.size = mmap.mmap(self.handle, size), size

    def tensor(self, offset: int, like: Tensor) -> Tensor:
        """Return the arena's bytes at `offset` as a tensor of the shape and type of `like`."""
        key = (offset, like.shape)
        if key not in self._tensors:
            flat = torch.frombuffer(self.view, dtype=like.dtype, count=like.numel(), offset=offset)
            self._tensors[key] = flat.view(like.shape)
        return self._tensors[key]

    def close(self) -> None:
        self._tensors.clear()
        self._map = None
        if self.handle >= 0:
            os.close(self.handle)
        self.handle = -1
