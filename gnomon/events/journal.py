"""Two append-only files of a run: `journal.jsonl` (decisions that change what comes next) and `events.jsonl`."""

from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.files import append_line, canonical_json, read_lines
from gnomon.events.types import Event


class Journal:
    """The decisions of a run, durable before they take effect, so that a kill in between changes nothing.

    An entry is a plain dict with `at_row`, the first row of the stream it applies to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.entries: list[dict[str, Any]] = list(read_lines(path))

    def add(self, entry: dict[str, Any]) -> None:
        """Append one decision and wait until the disk has it."""
        append_line(self._path, canonical_json(entry), durable=True)
        faults.point("journal.after_append")
        self.entries.append(entry)


class EventLog:
    """A sink that appends each event as one line of JSON; non-finite numbers are written as strings."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, event: Event) -> None:
        append_line(self._path, event.model_dump_json().encode())


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return a run's events in order, with only the newest attempt of every step, so that a resumed run reads as one.

    Events of an attempt that lie after the step where the next attempt went on are left out.
    """
    kept: list[dict[str, Any]] = []
    for event in read_lines(path):
        if event.get("kind") == "run_started":
            from_step = event["step"]
            kept = [e for e in kept if e.get("step", 0) <= from_step or e["kind"] == "run_started"]
        kept.append(event)
    return [{k: _number(v) for k, v in event.items()} for event in kept]


def _number(value: Any) -> Any:
    return float(value) if value in ("NaN", "Infinity", "-Infinity") else value
