"""Contestants in processes of their own, timed in turn, so that a machine that slows down slows all."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from gnomon.base.errors import TrainingError
from gnomon.base.machine import this_machine


@dataclass(frozen=True)
class Entry:
    """A contestant: a name, what `worker.py` makes of `settings`, and what its process finds in its environment."""

    name: str
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)


class Contestant:
    """A process that has warmed up and waits to be told how many steps to take."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._said = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gnomon.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
            env=os.environ | entry.environment,
        )
        self.first = self._ask(entry.settings)

    def take(self, steps: int) -> float:
        """Return the seconds that so many steps took."""
        return self._ask({"steps": steps})["seconds"]

    def peak_memory(self) -> int:
        """Return the most bytes its process has held."""
        return self._ask({"steps": 0})["memory_bytes"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._said):
            if pipe is not None:
                pipe.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._process.wait()
            self._said.seek(0)
            said = self._said.read().strip().splitlines() or [f"exit code {self._process.returncode}"]
            last = next((line for line in reversed(said) if "Error" in line), said[-1])
            self._close()
            raise TrainingError(
                f"{self.entry.name} ended: {last:.300}",
                where="gnomon bench",
                do="mend what it says; where memory is short, ask for a smaller --size or fewer --rows",
            )
        return json.loads(answer)


def tcmalloc() -> str | None:
    """Return the path of an allocator that careful users load beside torch, where this machine has it."""
    folders = [Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib"), *Path("/usr/lib").glob("*-linux-gnu")]
    found = [path for folder in folders for path in sorted(folder.glob("libtcmalloc*.so.4"))]
    return str(found[0]) if found else None


def in_turn(
    contestants: Sequence[Contestant], rounds: int, seconds: float, told: Callable[[int], None]
) -> dict[str, list[float]]:
    """Return seconds a step, by name and round. A turn takes about so many `seconds`; `told` counts the rounds."""
    steps = {c.entry.name: max(1, round(seconds / max(c.take(1), 1e-9))) for c in contestants}
    times: dict[str, list[float]] = {c.entry.name: [] for c in contestants}
    for turn in range(rounds):
        for c in contestants:
            name = c.entry.name
            times[name].append(c.take(steps[name]) / steps[name])
        told(turn + 1)
    return times


def standings(
    entries: Sequence[Entry],
    ours: str,
    tokens: int,
    flops: float,
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
    memory_bytes: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Return tokens a second, ratios and memory of every entry; a step is `tokens` of `flops` each.

    All are timed in turn; or, where they do not fit into memory together (this machine's, or so much), in heats, with
    ours in every one. Beside the medians stands `ratio`: the median over rounds of the tokens a second of `ours` over
    theirs. Others that cannot be run are told and left out. Raises TrainingError where ours cannot, or where anyone
    ends later.
    """
    room = memory_bytes or round(0.9 * this_machine().memory_bytes)
    (own,), waiting = ([e for e in entries if (e.name == ours) is mine] for mine in (True, False))
    table: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        tell(f"warming up {ours}")
        first = stack.enter_context(Contestant(own))
        while waiting or ours not in table:
            with ExitStack() as heat:
                running, largest = [first], first.peak_memory()
                while waiting and (len(running) < 2 or _held(running) + 1.5 * largest < room):
                    tell(f"warming up {waiting[0].name}")
                    try:
                        running.append(heat.enter_context(Contestant(waiting.pop(0))))
                        largest = max(largest, running[-1].peak_memory())
                    except TrainingError as e:
                        tell(f"left out: {e.what}")
                if waiting:
                    tell(f"the other {len(waiting)} come after these, for want of memory")
                elif running == [first] and table:
                    break  # nobody is left who can be run
                times = in_turn(running, rounds, seconds, lambda turn: tell(f"round {turn} of {rounds}"))
                own_rates = [tokens / t for t in times[ours]]
                for c in running:
                    row = _row(c, times[c.entry.name], own_rates, tokens, flops)
                    table.setdefault(c.entry.name, row)
    return table


def _held(running: Sequence[Contestant]) -> int:
    return sum(c.peak_memory() for c in running)


def _row(
    contestant: Contestant, times: Sequence[float], ours: Sequence[float], tokens: int, flops: float
) -> dict[str, Any]:
    """Return what the table says of a contestant whose rounds took these `times` a step, beside the rates of ours."""
    work = contestant.first["operations"] / flops if "operations" in contestant.first else tokens
    rates = [work / t for t in times]
    return {
        "tokens_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "ratio": statistics.median(mine / rate for mine, rate in zip(ours, rates, strict=True)),
        "tflops": statistics.median(rates) * flops / 1e12,
        "first_seconds": contestant.first["first_seconds"],
        "memory_bytes": contestant.peak_memory(),
        "parameters": contestant.first.get("parameters"),
    }


def rows_of(table: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a Markdown table, the fastest first."""
    yield f"| {'':38} | tokens/s {'':21} | Gnomon is | TFLOP/s | first step |   memory |"
    yield f"|{'-' * 40}|{'-' * 32}|{'-' * 11}|{'-' * 9}|{'-' * 12}|{'-' * 10}|"
    for name, row in sorted(table.items(), key=lambda item: -item[1]["tokens_per_second"]):
        spread = f"({row['lowest']:,.0f} to {row['highest']:,.0f})"
        yield (
            f"| {name:38} | {row['tokens_per_second']:>9,.0f} {spread:>20} | {row['ratio']:>8.2f}x | "
            f"{row['tflops']:>7.3f} | {row['first_seconds']:>8.1f} s | {row['memory_bytes'] / 2**20:>6,.0f} M |"
        )
