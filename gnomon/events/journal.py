"""Two append-only files of a run: `journal.jsonl` (decisions that change what comes next) and `events.jsonl`."""

import json
import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, ValidationError, model_validator

from gnomon.base.disk import DISK, Disk
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.files import LineFile, canonical_json, parse_json, raw_lines, read_lines
from gnomon.events.types import EVENTS, Event

log = logging.getLogger(__name__)

PENDING_EVENTS = 100_000  # kept in memory while the disk takes none


_Count = Annotated[StrictInt, Field(ge=0, lt=2**53)]


class _Decision(BaseModel):
    """The form of a journal's entry; see `Decisions`. A key that is not known here could change what comes next."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n: _Count = 0
    at_row: _Count
    why: str = ""
    skip_rows: _Count = 0
    rate_factor: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    until_row: _Count = 0
    micro_rows: Annotated[_Count, Field(gt=0)] = 1
    rows_per_step: Annotated[_Count, Field(gt=0)] = 1
    length: Annotated[_Count, Field(gt=0)] = 1
    weights: dict[str, Annotated[float, Field(ge=0, strict=True)]] = {}
    measured: Annotated[str, Field(pattern=r"^[0-9a-f]{64}\.json$")] = ""
    seen_row: _Count = 0
    accept: StrictBool = False
    roll_back: StrictBool = False
    before_step: _Count = 0

    @model_validator(mode="after")
    def _a_rate_has_an_end(self) -> "_Decision":
        if "rate_factor" in self.model_fields_set and "until_row" not in self.model_fields_set:
            raise ValueError("a rate_factor without until_row")
        if "weights" in self.model_fields_set and not any(self.weights.values()):
            raise ValueError("weights without one above 0")
        return self


class Decisions:
    """What was decided in the course of a run, as a pure function of the row that is about to be served.

    An entry is a plain dict with `at_row`, the first row it applies to, `why`, and one or more of:
    `skip_rows` (the stream goes on so many rows later), `rate_factor` with `until_row` (the learning rate is multiplied
    while rows below that are served), `micro_rows` (rows of one forward pass from here on), `rows_per_step` (rows of
    one batch from here on), `length` (tokens of the longest piece), `weights` (of the sources by name, from the next
    block of rows on), `measured` (a file of what the model knew, which heads learn from here on), `accept` (the guard
    forgets what was usual). Of rows, length and weights, `seen_row` is the row
    up to which the steps lie that they were decided after, `at_row` where that is not said. An entry with `roll_back`
    sends the run back: checkpoints of later rows that were made without knowing of it no longer count, nor do those at
    `before_step` or later.
    """

    def __init__(self, entries: list[dict[str, Any]] | None = None) -> None:
        self.entries = entries if entries is not None else []

    def after_skips(self, row: int) -> int:
        """Return where a stream that is about to serve `row` goes on.

        Of several skips at one row the first counts, so that a decision that a resumed run takes again changes nothing.
        """
        skips: dict[int, int] = {}
        for entry in self.entries:
            if "skip_rows" in entry:
                skips.setdefault(entry["at_row"], entry["skip_rows"])
        while skip := skips.get(row, 0):
            row += skip
        return row

    def micro_rows(self, row: int, planned: int) -> int:
        """Return the rows of one forward pass at `row`."""
        asked = [e["micro_rows"] for e in self.entries if "micro_rows" in e and e["at_row"] <= row]
        return min([planned, *asked])

    def in_force(self, key: str, row: int, planned: Sequence[tuple[int, Any]], seen_row: int | None = None) -> Any:
        """Return the `rows_per_step`, `length` or `weights` at `row`; with `seen_row`, by what was decided up to there.

        `planned` says from which row on what is planned, first from row 0.
        """
        return next(value for at, value in reversed(self.stages(key, planned, seen_row)) if at <= row)

    def stages(
        self, key: str, planned: Sequence[tuple[int, Any]], seen_row: int | None = None
    ) -> list[tuple[int, Any]]:
        """Return from which row on which `rows_per_step`, `length`, `weights` or `measured` hold, in the order of rows.

        What was decided for a row counts from there to the next row for which something was planned or decided; of
        several decisions for one row the first counts. A decision that was made after steps which a later roll-back
        undoes is undone with them.
        """
        values = dict(planned)
        for entry in reversed(self._kept(key)):
            if seen_row is None or _seen(entry) <= seen_row:
                values[entry["at_row"]] = entry[key]
        return sorted(values.items(), key=lambda stage: stage[0])

    def decided(self, key: str, row: int) -> bool:
        """Return whether a decision for this very row stands, so that another one for it would change nothing."""
        return any(entry["at_row"] == row for entry in self._kept(key))

    def _kept(self, key: str) -> list[dict[str, Any]]:
        """Return the entries with `key` that no roll-back has undone."""
        kept: list[dict[str, Any]] = []
        for entry in self.entries:
            if entry.get("roll_back"):
                kept = [one for one in kept if _seen(one) <= entry["at_row"]]
            if key in entry:
                kept.append(entry)
        return kept

    def rate_factor(self, row: int) -> float:
        """Return what the schedule's learning rate is multiplied with at `row`."""
        factor = 1.0
        for entry in self.entries:
            if "rate_factor" in entry and entry["at_row"] <= row < entry["until_row"]:
                factor *= entry["rate_factor"]
        return factor

    def accepts(self, row: int, next_row: int) -> bool:
        """Return whether the guard is to forget what was usual before the batch of rows `row` to `next_row`."""
        return any(e.get("accept") and row <= self.after_skips(e["at_row"]) < next_row for e in self.entries)

    def roll_backs(self, since_row: int = 0) -> int:
        """Return how many times the run was sent back over rows from `since_row` on."""
        return sum(1 for e in self.entries if e.get("roll_back") and e["at_row"] >= since_row)

    def allow(self, row: int, step: int, known: int) -> bool:
        """Return whether a state at `row` and `step`, made when `known` entries were there, is part of the run."""
        return all(
            row <= e["at_row"] and step < e.get("before_step", step + 1)
            for e in self.entries[known:]
            if e.get("roll_back")
        )


def _seen(entry: dict[str, Any]) -> int:
    return entry.get("seen_row", entry["at_row"])


class Journal(Decisions):
    """The decisions of a run, durable before they take effect, so that a kill in between changes nothing.

    While the disk takes none they take effect all the same and wait in memory: as long as no checkpoint knows of them
    (see `flush`), a process that goes on after a kill comes to the same rows and decides the same again. With `keep`
    false they stay in memory: with several processes, only the run's first one writes. Each line carries its number
    `n`, since one may be in the file although the disk said that it failed, and then comes twice.

    Raises IntegrityError, with the line, for an entry that is no decision, or where one is gone; a line that a kill
    tore was never one.
    """

    def __init__(self, path: Path, disk: Disk = DISK, *, keep: bool = True) -> None:
        super().__init__([])
        for entry in _read_decisions(path, disk):
            known = len(self.entries)
            number = entry.pop("n", known)
            if number == known:
                self.entries.append(entry)
            elif number not in range(known):
                raise IntegrityError(
                    f"the journal goes on with decision {number} where {known} should follow",
                    where=str(path),
                    do="restore the file from a backup, or start again in another `out` folder",
                )
        self._file = LineFile(path, disk) if keep else None
        self._durable = len(self.entries)

    def add(self, entry: dict[str, Any]) -> None:
        """Take one decision, after the disk has it or has refused it."""
        self.entries.append(entry)
        try:
            self.flush()
        except StorageError as e:
            log.warning("a decision waits in memory until the disk takes it: %s", e.what)

    def flush(self) -> None:
        """Return when the disk has every decision. Raises StorageError; then no state that knows more may be saved."""
        while self._file and self._durable < len(self.entries):
            line = {"n": self._durable, **self.entries[self._durable]}
            self._file.append(canonical_json(line), durable=True)
            self._durable += 1


def _read_decisions(path: Path, disk: Disk) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for number, line in raw_lines(path, disk):
        if _is_torn(line):
            continue
        try:
            entry = parse_json(line, path)
            _Decision.model_validate(entry)
        except (IntegrityError, ValidationError) as e:
            why = e.what if isinstance(e, IntegrityError) else _first_of(e)
            raise IntegrityError(
                f"line {number:,} of the journal is no decision: {why}",
                where=str(path),
                do="restore the file from a backup: what the run decided changes what comes next",
            ) from None
        entries.append(entry)
    return entries


def _is_torn(line: bytes) -> bool:
    try:
        json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return True
    except (ValueError, RecursionError):
        pass  # JSON that Python does not take: no kill made it
    return False


def _first_of(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))[:100]}: {first['msg']}"


class EventLog:
    """A sink that appends each event as one line of JSON; non-finite numbers are written as strings.

    While the disk takes nothing, events wait in memory, the newest 100,000, and follow when it does.
    """

    def __init__(self, path: Path) -> None:
        self._file = LineFile(path)
        self._waiting: deque[bytes] = deque(maxlen=PENDING_EVENTS)
        self._failed = False

    def __call__(self, event: Event) -> None:
        self._waiting.append(event.model_dump_json().encode())
        try:
            while self._waiting:
                self._file.append(self._waiting[0])
                self._waiting.popleft()
            self._failed = False
        except StorageError as e:
            if not self._failed:
                log.warning("events wait in memory until the disk takes them: %s", e.what)
            self._failed = True


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return a run's events in order, with only the newest attempt of every step, so that a resumed run reads as one.

    Events of an attempt that lie after the step where the next attempt went on, or to which the run was sent back, are
    left out. A line that was written twice, because the disk failed in between, counts once; one that is no event, of
    a kind known here, counts for nothing.
    """
    kept: list[dict[str, Any]] = []
    last: Any = None
    for line in read_lines(path):
        if line == last or (event := _event(line)) is None:
            continue
        last = line
        if event["kind"] in ("run_started", "rolled_back"):
            back_to = event["step"]
            kept = [e for e in kept if e.get("step", 0) <= back_to or e["kind"] in ("run_started", "rolled_back")]
        kept.append(event)
    return kept


def _event(line: Any) -> dict[str, Any] | None:
    """Return what a line of the record says in this version's words, without keys that another version added."""
    kind = line.get("kind") if isinstance(line, dict) else None
    known = EVENTS.get(kind) if isinstance(kind, str) else None
    if known is None:
        return None
    try:
        event = known.model_validate({k: v for k, v in line.items() if k in known.model_fields}).model_dump()
    except (ValidationError, OverflowError):
        return None
    whole = all(abs(v) < 2**63 for v in event.values() if isinstance(v, int))
    return event if whole else None
