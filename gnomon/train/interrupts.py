"""Ctrl-C and SIGTERM: the first asks the run to save and end, the second ends it at once."""

import signal
import threading
import time
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any

from gnomon.base.heartbeat import ECHO_SECONDS, beat, is_supervised
from gnomon.events.types import Event, InterruptAsked


class Interrupts:
    """A context that notes the signals; `check` is the run of a Check that tells of them after every step.

    Outside the main thread, where Python allows no handlers, it notes nothing.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._received_at = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self, model: object, step: int) -> Iterable[Event]:
        """Yield InterruptAsked once a signal has come; a supervisor learns here that the step is done."""
        beat(step)
        if self.received:
            yield InterruptAsked(step=step, signal=self.received)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received and is_supervised() and time.monotonic() - self._received_at < ECHO_SECONDS:
            return  # the same request, once from its sender and once from the supervisor
        if self.received:
            raise KeyboardInterrupt
        self.received, self._received_at = signal.Signals(number).name, time.monotonic()
