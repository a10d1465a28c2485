"""Keeps training going: starts it as child processes, watches for their beats, starts them again after a crash or hang.

The parent imports no torch: it is small, starts quickly and outlives what ends its children. It decides by exit codes:
those of `base/errors.py` are answers, which a second try would only repeat; everything else is a crash.

Each child leads a process group of its own. Ctrl-C in a terminal reaches the foreground group only, so the parent alone
gets it and hands it on once; and a child is killed together with whatever it has started. The children stay in the
parent's session: they write to the same terminal and find its width. They would be stopped if they read from it, which
training never does. What the terminal no longer does for them, the parent does: Ctrl-Z and `fg` are handed on as well.
"""

import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gnomon.base.errors import GnomonError, Interrupted, TrainingError
from gnomon.base.files import LineFile, canonical_json
from gnomon.base.heartbeat import ECHO_SECONDS, PIPE, WORKER
from gnomon.train.signals import ParentSignals

ANSWERS = (0, 2, 3, 4, 5, 6, 130)
NOT_STARTED = 127  # the shell's code for a command that could not be run
TICK_SECONDS = 0.2  # between looks at the beats; the end of a child and signals are seen at once
START_SECONDS = 1800.0  # of silence allowed before the first training step: preparing, compiling, a slow first step
LEAST_HANG_SECONDS = 300.0
GAPS_IN_A_HANG = 20  # a silence this many times as long as any before is a hang
DUMP_SECONDS = 0.5  # for a hung child to write its stacks, which it does inside the signal handler
LONGEST_BACKOFF_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How children are kept going; `restarts` counts those without progress in between, times are in seconds."""

    run: Path  # folder that gets supervisor.jsonl
    processes: int = 1
    restarts: int = 5
    hang_seconds: float | None = None  # None: learned from the beats
    backoff_seconds: float = 1.0  # before the first restart; doubles with each
    grace_seconds: float = 10.0  # between asking a child to end and ending it


@dataclass(frozen=True)
class Ending:
    """How an attempt ended. `code` is the answer, or that of the child that crashed (minus the signal that killed it);
    `silence_seconds` is set when it hung; `step` is the furthest one done, -1 before the first.
    """

    code: int
    rank: int
    step: int
    silence_seconds: float | None = None

    @property
    def is_answer(self) -> bool:
        return self.code in ANSWERS and self.silence_seconds is None

    @property
    def signal(self) -> str | None:
        """The name of the signal that killed the child, if one did."""
        try:
            return signal.Signals(-self.code).name if self.code < 0 else None
        except ValueError:
            return f"signal {-self.code}"

    def __str__(self) -> str:
        if self.silence_seconds is not None:
            how = f"hung: no sign of life for {self.silence_seconds:,.0f} s"
        elif self.code == NOT_STARTED:
            return "could not be started"
        elif self.code < 0:
            hint = ", as the system does when memory runs out" if self.signal == "SIGKILL" else ""
            how = f"was killed by {self.signal}{hint}"
        else:
            how = f"ended with exit code {self.code}, a fault in the program"
        return how + (f", after step {self.step:,}" if self.step >= 0 else ", before its first step")


def can_supervise(environment: Mapping[str, str]) -> bool:
    """Whether this process may start children to train: not when it is such a child itself, or one of torchrun's; not
    on Windows, which has neither these signals nor process groups; and only from the main thread, which gets signals.
    """
    is_worker = WORKER in environment or "RANK" in environment
    return os.name == "posix" and not is_worker and threading.current_thread() is threading.main_thread()


def gnomon_command(*words: str) -> list[str]:
    """Return the command line that runs gnomon with `words` on this same Python and the same code."""
    from_here = sys.path[:1] in ([""], [os.getcwd()])
    safe = [] if from_here else ["-P"]  # else a file json.py in the current folder would be taken for Python's own
    return [sys.executable, *safe, "-m", "gnomon", *words]


def supervise(command: Sequence[str], environment: Mapping[str, str], settings: Settings) -> int:
    """Run `command` in `settings.processes` children until it gives an answer, and return that answer: an exit code.

    A child that crashes (killed by a signal, or an exit code that is no answer) or hangs is started again, with all
    the others, after a pause that doubles up to a minute. A run that gets further than before has its restarts anew.
    Several children get RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT as torchrun gives them.
    SIGTERM, SIGINT and SIGHUP (as SIGTERM) are handed on; after one nothing is started again.

    Raises TrainingError when the restarts are used up, Interrupted when a stop signal ended a child that had no time
    to answer. Call it from the main thread.
    """
    failures, furthest, patience = 0, -1, Patience(settings.hang_seconds)
    with ParentSignals() as signals:
        for attempt in itertools.count(1):
            ending = _Job(settings, signals, patience).run(command, environment)
            if ending.is_answer or (signals.stops and ending.code > 0 and ending.silence_seconds is None):
                return ending.code
            if signals.stops:
                break
            if ending.step > furthest:
                failures, furthest, patience.hangs = 0, ending.step, 0
            failures += 1
            patience.hangs += ending.silence_seconds is not None
            if failures > settings.restarts:
                _record(settings.run, attempt, ending, None)
                raise _gave_up(ending, attempt, settings)
            backoff = min(LONGEST_BACKOFF_SECONDS, settings.backoff_seconds * 2 ** (failures - 1))
            _record(settings.run, attempt, ending, backoff)
            again = f"starting again in {backoff:g} s ({failures} of {settings.restarts} restarts)"
            log.warning("%straining%s %s; %s", _cursor(), _of_rank(ending, settings), ending, again)
            if signals.wait_for_stop(backoff):
                break
    raise Interrupted("stopped; what was finished is saved", do="run the same command again to go on")


def _cursor() -> str:
    """Return what shows a terminal's cursor again, which a console that was killed left hidden; else nothing."""
    return "\x1b[?25h\n" if sys.stderr.isatty() else ""


def _of_rank(ending: Ending, settings: Settings) -> str:
    return f" (rank {ending.rank})" if settings.processes > 1 and ending.silence_seconds is None else ""


def _gave_up(ending: Ending, attempts: int, settings: Settings) -> TrainingError:
    tries = f"{attempts} attempts; the last one" if attempts > 1 else "its first attempt; it"
    by_system = ending.signal == "SIGKILL" and ending.silence_seconds is None
    memory = ", with less memory (train.micro_rows=1) if that was the cause" if by_system else ""
    return TrainingError(
        f"training failed after {tries} {ending}. No restarts are left (train.restarts = {settings.restarts})",
        where=str(settings.run / "supervisor.jsonl"),
        do=f"look above for what the program said; the same command goes on from the last checkpoint{memory}",
    )


def _record(run: Path, attempt: int, ending: Ending, backoff_seconds: float | None) -> None:
    """Append how an attempt ended to supervisor.jsonl, if that can be done; the record must never end the run."""
    line = {
        "time": time.time(),
        "attempt": attempt,
        "ending": "hung" if ending.silence_seconds is not None else "killed" if ending.code < 0 else "failed",
        "code": ending.code,
        "signal": ending.signal,
        "rank": ending.rank,
        "step": ending.step,
        "silence_seconds": ending.silence_seconds,
        "backoff_seconds": backoff_seconds,
    }
    try:
        run.mkdir(parents=True, exist_ok=True)
        LineFile(run / "supervisor.jsonl").append(canonical_json(line))
    except (GnomonError, OSError) as e:
        log.warning("this could not be written to %s: %s", run / "supervisor.jsonl", str(e).splitlines()[0])


@dataclass
class Patience:
    """How long a silence may last, learned from the beats of all attempts so far; times are in seconds."""

    hang_seconds: float | None
    hangs: int = 0  # in a row, without progress
    longest: float = 0.0  # silence between two beats
    silence: float = 0.0  # up to now
    has_beaten: bool = False
    has_stepped: bool = False

    def begin(self) -> None:
        """Start with a new attempt, which may be as slow at first as any."""
        self.silence, self.has_beaten, self.has_stepped = 0.0, False, False

    def heard(self, stepped: bool) -> None:
        """Note a beat."""
        if self.has_beaten:
            self.longest = max(self.longest, self.silence)
        self.silence, self.has_beaten = 0.0, True
        self.has_stepped |= stepped

    @property
    def limit(self) -> float:
        """The silence that is taken for a hang. What was learned is doubled by each hang without progress: what hung
        twice at the same place may only be slow there.
        """
        if self.hang_seconds is not None:
            return self.hang_seconds if self.has_beaten else max(START_SECONDS, self.hang_seconds)
        least = LEAST_HANG_SECONDS if self.has_stepped else START_SECONDS
        return max(least, GAPS_IN_A_HANG * self.longest) * 2**self.hangs


class _Job:
    """One attempt: all ranks, from their start to the end of the last one."""

    def __init__(self, settings: Settings, signals: ParentSignals, patience: Patience) -> None:
        self._settings, self._signals, self._patience = settings, signals, patience
        self._ranks: list[_Rank] = []
        self._handed_on = 0  # of the signals' stops
        self._next_stop_at = 0.0
        self._kill_at = float("inf")
        self._looked_at = time.monotonic()

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Ending:
        """Start the ranks and return how they ended."""
        self._patience.begin()
        try:
            for place in _places(self._settings.processes):
                self._ranks.append(_Rank(command, {**environment, **place}))
        except OSError as e:
            log.warning("no process can be started: %s", e)
            self._end()
            return Ending(NOT_STARTED, len(self._ranks), -1)
        silence = self._watch()
        crashed = next((i for i, rank in enumerate(self._ranks) if rank.code not in (None, *ANSWERS)), None)
        if silence is not None:
            self._dump_stacks()
        elif crashed is None:  # with one rank's answer the others have only to end, too
            self._wait_until_ended(self._settings.grace_seconds)
        self._end()
        return self._verdict(crashed, silence)

    def _watch(self) -> float | None:
        """Return None when a rank's end decides about all, or the length of the silence when they hang.

        Ranks wait for each other, so that when one hangs all fall silent; one alone may be silent while another
        evaluates or saves.
        """
        while self._ranks[0].code is None and not any(rank.code for rank in self._ranks):
            self._look()
            if self._patience.silence > self._patience.limit:
                return self._patience.silence
        return None

    def _look(self) -> None:
        """Wait a tick, shorter when something happens; listen for beats and hand on signals."""
        self._signals.wait(TICK_SECONDS)
        now = time.monotonic()
        # A longer pause than a tick is one of this process (stopped, starved, a laptop asleep), and tells nothing.
        self._patience.silence += min(now - self._looked_at, 2 * TICK_SECONDS)
        self._looked_at = now
        for rank in self._ranks:
            before = rank.step
            if rank.listen():
                self._patience.heard(rank.step > before)
        if self._signals.pause:
            self._signals.pause = False
            self._pause()
        self._hand_on(now)

    def _hand_on(self, now: float) -> None:
        """Hand on the first two stop signals, far enough apart to be told from echoes; kill at the third, or when the
        second has had its time.
        """
        if self._handed_on < len(self._signals.stops) and now >= self._next_stop_at:
            number = self._signals.stops[self._handed_on]
            self._handed_on += 1
            self._next_stop_at = now + ECHO_SECONDS + TICK_SECONDS
            self._signal(signal.SIGTERM if number == signal.SIGHUP else number)
            if self._handed_on == 2:
                self._kill_at = now + self._settings.grace_seconds
        if self._handed_on > 2 or now > self._kill_at:
            for rank in self._ranks:
                rank.signal_group(signal.SIGKILL)

    def _pause(self) -> None:
        """Stop with the children, as Ctrl-Z asks, and go on with them."""
        for rank in self._ranks:
            rank.signal_group(signal.SIGSTOP)
        self._signals.stop_here()
        for rank in self._ranks:
            rank.signal_group(signal.SIGCONT)

    def _dump_stacks(self) -> None:
        self._signal(signal.SIGUSR1)
        self._signal(signal.SIGCONT)  # one that was stopped could neither write its stacks nor save
        self._wait_until_ended(DUMP_SECONDS)

    def _end(self) -> None:
        """End what still runs, gently at first, and whatever a crashed rank has started."""
        self._signal(signal.SIGTERM)
        self._wait_until_ended(self._settings.grace_seconds)
        for rank in self._ranks:
            rank.close()

    def _signal(self, number: int) -> None:
        for rank in self._ranks:
            rank.process.send_signal(number)  # does nothing once the rank has ended

    def _wait_until_ended(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(rank.code is None for rank in self._ranks) and time.monotonic() < deadline:
            self._look()

    def _verdict(self, crashed: int | None, silence: float | None) -> Ending:
        """Return what the ranks' codes mean together. A rank that answers is worth more than one that crashes: when one
        gives up with an error, the connection of the others breaks.
        """
        codes = [rank.process.wait() for rank in self._ranks]
        step = max(rank.step for rank in self._ranks)
        answers = [(code, i) for i, code in enumerate(codes) if code in ANSWERS and code not in (0, 130)]
        if codes[0] == 0:
            return Ending(0, 0, step)
        if answers:
            return Ending(*answers[0], step)
        if silence is not None:
            return Ending(codes[0], 0, step, silence)
        if 130 in codes and (crashed is None or self._signals.stops):
            return Ending(130, codes.index(130), step)
        at = crashed or 0
        return Ending(codes[at], at, step)


def _places(processes: int) -> list[dict[str, str]]:
    """Return what torchrun would put into each rank's environment; nothing for a process on its own."""
    if processes == 1:
        return [{}]
    with socket.socket() as probe:  # another port each time: the last one may not be free again yet
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [{**shared, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(processes)]


class _Rank:
    """One child with the pipe of its beats."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.step = -1  # the furthest one heard of
        self._pipe, theirs = os.pipe()
        os.set_blocking(self._pipe, False)
        self._rest = b""
        try:
            self.process = subprocess.Popen(
                command, env={**environment, WORKER: "1", PIPE: str(theirs)}, pass_fds=[theirs], process_group=0
            )
        except OSError:
            os.close(self._pipe)
            raise
        finally:
            os.close(theirs)

    @property
    def code(self) -> int | None:
        """The exit code, None while the child runs, minus the signal that killed it."""
        return self.process.poll()

    def listen(self) -> bool:
        """Read the beats that have come and return whether there are any."""
        heard = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._pipe, 1 << 16):
                heard += piece
        *lines, self._rest = (self._rest + heard).split(b"\n")
        self.step = max([self.step, *(int(line) for line in lines if line.isdigit())])
        return bool(lines)

    def signal_group(self, number: int) -> None:
        """Send a signal to the child and all that it has started, as far as they are there."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def close(self) -> None:
        """End what is left, unless the child has answered and so has cleaned up; collect the last beats."""
        if self.code not in ANSWERS:
            self.signal_group(signal.SIGKILL)
        self.process.wait()
        self.listen()
        os.close(self._pipe)
