"""Signals as a parent of training processes needs them: noted, and each ending its wait at once."""

import contextlib
import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Any


class ParentSignals:
    """A context that notes the signals for this process; `wait` returns early when one comes or a child changes."""

    def __init__(self) -> None:
        self.stops: list[int] = []
        self.pause = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "ParentSignals":
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._wakeup_before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP, signal.SIGTSTP):
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if not (ignored and number in (signal.SIGHUP, signal.SIGTSTP)):  # nohup, a shell without job control
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read)
        os.close(self._write)

    def wait(self, seconds: float) -> None:
        """Return after `seconds`, or as soon as a signal comes."""
        select.select([self._read], [], [], max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass

    def wait_for_stop(self, seconds: float) -> bool:
        """Return whether a stop signal has come, at once when it does, after `seconds` otherwise."""
        deadline = time.monotonic() + seconds
        while not self.stops and time.monotonic() < deadline:
            self.wait(deadline - time.monotonic())
        return bool(self.stops)

    def stop_here(self) -> None:
        """Stop this process as Ctrl-Z does by default, and return when it goes on."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTSTP:
            self.pause = True
        elif number != signal.SIGCHLD:
            self.stops.append(number)
