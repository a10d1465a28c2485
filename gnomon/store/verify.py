"""Looks at everything that a run's folder holds and names what is damaged, where. Reads, and changes nothing.

Damage is what was lost or changed. What kills and full disks leave behind, and what was set aside before, is no damage
and is told as a note.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gnomon.base.disk import DISK
from gnomon.base.errors import DataError, IntegrityError
from gnomon.base.files import STAGING_PREFIX, read_json, read_lines
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.datasets import open_dataset, verify_dataset
from gnomon.store.manifest import Damage
from gnomon.store.runs import Run


@dataclass
class Findings:
    """What a look at an artifact found: `damage`, and `notes` for people, one line each."""

    damage: list[Damage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, damage: list[Damage], prefix: str = "") -> bool:
        """Take over damage, its files named from `prefix`, and return whether there was none."""
        self.damage += [replace(d, file=f"{prefix}{d.file}") for d in damage]
        return not damage


def verify_run(run: Run) -> Findings:
    """Return what is damaged in a run, its exports aside: checkpoints, settings, record, pins, and its dataset."""
    found = Findings()
    whole = _checkpoints(run.checkpoints, found)
    for path in (run.config_path, run.plan_path, run.tokenizer_path):
        found.add(_unreadable(path, must=True))
    found.add(_unreadable(run.evaluation_path, must=False), "eval/")
    if found.add(damaged_lines(run.journal_path, _never)):
        found.add(_lost_decisions(run.journal_path, whole))
    found.add(_measurements(run), "measured/")
    if found.add(damaged_lines(run.events_path, _starts_anew)) and whole and not run.events_path.exists():
        found.add([Damage(run.events_path.name, None, "missing")])
    if not run.checkpoints.all() and any(_is(event, "checkpoint_saved") for event in read_lines(run.events_path)):
        found.add([Damage("checkpoints", None, "there are none, and the record says that some were saved")])
    _dataset(run, found)
    return found


def damaged_lines(path: Path, starts_anew: Callable[[Any], bool]) -> list[Damage]:
    """Return the lines of a log that do not hold what was written, each with its byte offset.

    No damage: a last line without its end, which a kill tore; a line that is the beginning of the next, which a full
    disk tore and which was written again; a torn line before one that `starts_anew`. A decision's number that does not
    follow those before shows that lines are gone.
    """
    if DISK.kind(path) == "nothing":
        return []
    try:
        with path.open("rb") as f:
            return list(_damaged_lines(path.name, f, starts_anew))
    except OSError as e:
        return [Damage(path.name, None, f"it cannot be read: {e.strerror or e}")]


def _damaged_lines(name: str, lines: Iterator[bytes], starts_anew: Callable[[Any], bool]) -> Iterator[Damage]:
    at, decisions, torn = 0, 0, (b"", Damage(name, 0, ""))
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
            why = "" if isinstance(value, dict) else "is no object"
        except (ValueError, RecursionError) as e:
            value, why = None, f"is not JSON ({str(e).splitlines()[0]})"
        if torn[0] and not line.startswith(torn[0]) and not (starts_anew(value) and torn[0].startswith(b"{")):
            yield torn[1]
        torn = (b"", torn[1])
        if why and line.endswith(b"\n"):
            torn = (line.rstrip(b"\n") or b"\n", Damage(name, at, f"line {number:,} {why}"))
        elif not why:
            place = value.get("n", decisions) if isinstance(value, dict) else decisions
            if place != decisions and place != decisions - 1:  # one that was written twice is there twice
                yield Damage(name, at, f"line {number:,} is decision {place}, and {decisions} should follow")
            decisions = max(decisions, place + 1) if isinstance(place, int) else decisions
        at += len(line)
    if torn[0]:
        yield torn[1]


def _lost_decisions(path: Path, checkpoints: list[Checkpoint]) -> list[Damage]:
    """Say when whole checkpoints know of more decisions than the journal's file has."""
    here = len({entry.get("n", i) for i, entry in enumerate(read_lines(path))})
    known = max(map(_known_decisions, checkpoints), default=0)
    if here >= known:
        return []
    return [Damage(path.name, None, f"it has {here} decisions, and checkpoints were made with {known}")]


def _measurements(run: Run) -> list[Damage]:
    """Return the measurements that the journal names and that are gone or damaged."""
    damage: list[Damage] = []
    entries = (entry for entry in read_lines(run.journal_path) if isinstance(entry, dict))
    for name in dict.fromkeys(name for entry in entries if isinstance(name := entry.get("measured"), str)):
        try:
            run.measured.read(name)
        except IntegrityError as e:
            damage.append(Damage(name, None, e.what))
    return damage


def _known_decisions(checkpoint: Checkpoint) -> int:
    try:
        return int(checkpoint.state()["decisions"])
    except (IntegrityError, KeyError, ValueError, TypeError):  # of an older schema, or not saved by a trainer
        return 0


def _never(_: Any) -> bool:
    return False


def _starts_anew(event: Any) -> bool:
    return _is(event, "run_started")


def _is(event: Any, kind: str) -> bool:
    return isinstance(event, dict) and event.get("kind") == kind


def _checkpoints(store: CheckpointStore, found: Findings) -> list[Checkpoint]:
    """Look at the checkpoints and what lies with them; return the whole ones."""
    checkpoints, names = store.all(), DISK.names(store.folder)
    whole = [c for c in checkpoints if found.add(c.damage(), f"checkpoints/{c.path.name}/")]
    found.notes.append(f"checkpoints: {len(whole)} of {len(checkpoints)} whole")
    if left := [name for name in names if name.startswith(STAGING_PREFIX)]:
        found.notes.append(f"checkpoints: {len(left)} that a kill cut short, to be swept by the next start")
    aside = store.quarantined()
    found.notes += [f"quarantine: {name}: {why}" for name, why in aside.items()]
    visible = {c.path.name for c in checkpoints}
    try:
        lost = [name for name in store.pins() if name not in visible]
        found.notes += [f"pinned {name} is in quarantine" for name in lost if name in aside]
        found.add([Damage("checkpoints/pins.json", None, f"{n} is pinned and gone") for n in lost if n not in aside])
    except (IntegrityError, OSError) as e:
        found.add([Damage("checkpoints/pins.json", None, e.what if isinstance(e, IntegrityError) else str(e))])
    if "LATEST" in names:
        latest = (store.folder / "LATEST").read_bytes()[:100].decode(errors="replace").strip()
        if checkpoints and latest != checkpoints[-1].path.name:
            found.notes.append(f"LATEST names {latest!r}, not the newest; it is a hint that the next save puts right")
    return whole


def _unreadable(path: Path, *, must: bool) -> list[Damage]:
    if DISK.kind(path) == "nothing":
        return [Damage(path.name, None, "missing")] if must else []
    try:
        read_json(path)
    except IntegrityError as e:
        return [Damage(path.name, None, e.what)]
    except OSError as e:
        return [Damage(path.name, None, f"it cannot be read: {e.strerror or e}")]
    return []


def _dataset(run: Run, found: Findings) -> None:
    try:
        plan = read_json(run.plan_path)
        folder, digest = Path(plan["dataset_folder"]), plan["dataset"]
    except (OSError, IntegrityError, KeyError, TypeError):  # told already, or a run that was made without one
        found.notes.append("dataset: the plan names none")
        return
    if not folder.is_dir():
        found.notes.append(f"dataset: not at {folder}, and so not looked at")
        return
    try:
        damage = verify_dataset(folder)
        if not damage and open_dataset(folder).digest != digest:
            damage = [Damage("manifest.json", None, "it is another version than the run was trained on")]
    except (IntegrityError, DataError) as e:
        damage = [Damage("manifest.json", None, e.what)]
    if found.add(damage, f"{folder}/"):
        found.notes.append(f"dataset: whole, {folder}")
