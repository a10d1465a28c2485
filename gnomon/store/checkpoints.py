"""Checkpoints of a run: committed by one rename, checked by hash, set aside when damaged. Bytes only, no torch.

checkpoints/000012-step-00001000/     commit sequence, then step; the sequence alone gives the order, never a clock
    manifest.json (last)  model.safetensors  optimizer.safetensors  state.json
checkpoints/LATEST                    name of the newest, a hint for people
checkpoints/pins.json                 names of those that are kept whatever happens
checkpoints/quarantine/               what was found damaged, with the reason
"""

import contextlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.disk import DISK, Disk, make_durable_folder, read_bytes, remove_tree
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.files import (
    STAGING_PREFIX,
    parse_json,
    pretty_json,
    storage_errors,
    sweep_staging,
    write_atomic,
    write_synced,
)
from gnomon.store.checkpoint import MAX_STATE_BYTES, Checkpoint
from gnomon.store.manifest import Damage, describe_bytes, write_manifest
from gnomon.store.schema import SCHEMA

PART_SECONDS = 120.0  # that rank 0 waits for another rank's share of a checkpoint
WHOLE_ALWAYS = 2  # checkpoints, checked anew, that stay before anything older is removed

_NAME = re.compile(r"(\d{6,})-step-(\d{8,})")
_STAGED = re.compile(re.escape(STAGING_PREFIX) + _NAME.pattern.replace("(", "(?:") + r"-(\d+)-(\d+)")

OnDamage = Callable[[Checkpoint, list[Damage]], None]


@dataclass(frozen=True)
class Facts:
    """What a checkpoint's manifest says besides its files; `save` counts the saves of an attempt."""

    step: int
    reason: str
    metrics: dict[str, Any]
    attempt: int = 0
    save: int = 0


@dataclass(frozen=True)
class Retention:
    """Which checkpoints stay: the newest `keep_last`, those at multiples of `keep_every` steps, best and pinned."""

    keep_last: int
    keep_every: int | None = None


class CheckpointStore:
    """The checkpoints of one run. One process at a time may write (see `store/runs.py`, lock and attempts).

    `fence` is called before anything is written and right before a commit's rename; it raises StorageError when another
    attempt has taken the run, or its folder is gone.
    """

    def __init__(self, folder: Path, disk: Disk = DISK, fence: Callable[[], None] | None = None) -> None:
        self.folder, self._disk, self._fence = folder, disk, fence
        self._highest = 0  # sequence number seen so far, also of checkpoints that were taken away since

    def all(self) -> list[Checkpoint]:
        """Return the visible checkpoints, oldest commit first. Raises StorageError."""
        with storage_errors(self.folder, self._disk):
            found = [(m, self.folder / name) for name in self._disk.names(self.folder) if (m := _NAME.fullmatch(name))]
            checkpoints = (Checkpoint(p, int(m[1]), int(m[2]), self._disk) for m, p in found)
            return sorted((c for c in checkpoints if self._disk.kind(c.path) == "folder"), key=lambda c: c.sequence)

    def next_name(self, step: int) -> str:
        """Return the name of the checkpoint that would be committed now; a sequence number is never given twice."""
        names = [*self._disk.names(self.folder), *self._disk.names(self.folder / "quarantine")]
        with contextlib.suppress(OSError):  # it also knows of one that was discarded
            names.append(read_bytes(self.folder / "LATEST", 200, self._disk).decode(errors="replace"))
        used = [int(m[1]) for name in names if (m := _NAME.search(name))]
        self._highest = max([self._highest, *used])
        return f"{self._highest + 1:06d}-step-{step:08d}"

    def commit(
        self,
        files: Mapping[str, bytes | memoryview],
        facts: Facts,
        *,
        name: str | None = None,
        world: int = 1,
    ) -> Checkpoint:
        """Write a checkpoint and return it once it is durable and has been read back whole.

        With `world` above 1, `name` is agreed beforehand, the other ranks' files come by `write_part`, and this waits
        for them. Raises StorageError when the disk is full or fails, IntegrityError when what was read back differs; in
        both cases the checkpoints before are untouched, and nothing half-written stays.
        """
        with storage_errors(self.folder, self._disk):
            self._check_fence()  # before anything is made: a run that was moved away is not begun anew in its place
            make_durable_folder(self.folder, self._disk)
            self._disk.sync_folder(self.folder.parent)  # one that was killed may have made it and got no further
            self._sweep_earlier_saves(facts)
            self._make_room(sum(map(len, files.values())))
            before = self.all()
            final = self.folder / (name or self.next_name(facts.step))
            staged, moving = self._staged(final.name, facts), False
            try:
                entries = self._write_files(staged, files)
                for rank in range(1, world):
                    entries += self._await_part(staged, rank)
                checkpoint = Checkpoint(final, int(final.name.split("-")[0]), facts.step, self._disk)
                body = {
                    "schema": SCHEMA,
                    "sequence": checkpoint.sequence,
                    "step": facts.step,
                    "attempt": facts.attempt,
                    "reason": facts.reason,
                    "parent": before[-1].path.name if before else None,
                    "world": world,
                    "metrics": facts.metrics,
                    "files": sorted(entries, key=lambda e: e["path"]),
                }
                write_manifest(staged, body, self._disk)
                faults.point("checkpoint.manifest_written")
                self._disk.sync_folder(staged)
                self._check_fence()
                faults.point("folder.before_rename")
                moving = True
                self._disk.rename(staged, final)
                self._disk.sync_folder(self.folder)
            except BaseException:
                self._withdraw(staged, final if moving else None)
                raise
            faults.point("checkpoint.committed")
            damage = checkpoint.lasting_damage(fresh=True)
            if damage:
                with contextlib.suppress(StorageError):  # the next reader finds it too
                    self.quarantine(checkpoint, damage)
                raise IntegrityError(f"what was written reads back differently: {damage[0]}", where=str(final))
            with contextlib.suppress(StorageError):  # a hint; the checkpoint stands without it
                write_atomic(self.folder / "LATEST", f"{final.name}\n".encode(), self._disk)
            return checkpoint

    def _withdraw(self, staged: Path, final: Path | None) -> None:
        """Remove a save that failed. What cannot be removed now is swept at the next start."""
        with contextlib.suppress(OSError):
            if final and self._disk.kind(staged) == "nothing":  # it was renamed, but nobody knows whether for good
                self._disk.rename(final, staged)
                self._disk.sync_folder(self.folder)
            remove_tree(staged, self._disk)

    def write_part(self, files: Mapping[str, bytes | memoryview], facts: Facts, *, name: str, rank: int) -> None:
        """Write one rank's files of the checkpoint `name` that rank 0 commits. Raises StorageError."""
        staged = self._staged(name, facts)
        with storage_errors(self.folder, self._disk):
            self._check_fence()
            entries = self._write_files(staged, files)
            write_atomic(staged / _part(rank), pretty_json(entries), self._disk)

    def _staged(self, name: str, facts: Facts) -> Path:
        """Return where a save is staged: a place of its own for every save, so that two never mix."""
        return self.folder / f"{STAGING_PREFIX}{name}-{facts.attempt}-{facts.save}"

    def _check_fence(self) -> None:
        if self._fence:
            self._fence()

    def _sweep_earlier_saves(self, facts: Facts) -> None:
        """Remove what a writer of this attempt left when it died; nothing of the save that other ranks have begun."""
        for name in self._disk.names(self.folder):
            if (m := _STAGED.fullmatch(name)) and int(m[1]) == facts.attempt and int(m[2]) < facts.save:
                remove_tree(self.folder / name, self._disk)

    def _write_files(self, staged: Path, files: Mapping[str, bytes | memoryview]) -> list[dict[str, Any]]:
        self._disk.make_folder(staged)
        for name, data in files.items():
            write_synced(staged / name, data, self._disk)
            faults.point("checkpoint.file_written")
        return [describe_bytes(name, data) for name, data in files.items()]

    def _await_part(self, staged: Path, rank: int) -> list[dict[str, Any]]:
        path, deadline = staged / _part(rank), time.monotonic() + PART_SECONDS
        while self._disk.kind(path) != "file":
            if time.monotonic() > deadline:
                raise StorageError(
                    f"rank {rank} did not write its share within {PART_SECONDS:.0f} s", where=str(staged)
                )
            time.sleep(0.005)
        entries = parse_json(read_bytes(path, 1 << 26, self._disk), path)
        self._disk.remove(path)
        return entries

    def newest_whole(
        self, on_damage: OnDamage, wanted: Callable[[Checkpoint], bool] = lambda _: True
    ) -> Checkpoint | None:
        """Return the newest checkpoint that is whole and wanted; damaged ones on the way are quarantined and reported.

        None when there is none to choose from. Raises IntegrityError when all there are are damaged, and leaves them
        where they are: a run never starts over silently, not at the second try either. Raises StorageError.
        """
        with storage_errors(self.folder, self._disk):
            candidates, bad, some_whole = self.all(), list[tuple[Checkpoint, list[Damage]]](), False
            found: Checkpoint | None = None
            while candidates and not found:
                checkpoint = candidates.pop()
                damage = checkpoint.lasting_damage()
                if damage and self._disk.kind(checkpoint.path) == "nothing":
                    candidates, bad, some_whole = self.all(), [], False  # another process has just removed it
                elif damage:
                    bad.append((checkpoint, damage))
                else:
                    some_whole = True
                    found = checkpoint if wanted(checkpoint) else None
            if bad and not some_whole:
                for checkpoint, damage in bad:
                    on_damage(checkpoint, damage)
                raise IntegrityError(
                    f"all {len(bad)} checkpoints are damaged",
                    where=str(self.folder),
                    do="restore one from a backup, or start again in another `out` folder",
                )
            self._set_aside(bad, on_damage)
            return found

    def _set_aside(self, bad: list[tuple[Checkpoint, list[Damage]]], on_damage: OnDamage) -> None:
        for checkpoint, damage in bad:
            with contextlib.suppress(StorageError):  # on a disk that does not let it move, it stays and is passed over
                self.quarantine(checkpoint, damage)
            on_damage(checkpoint, damage)

    def best(self) -> Checkpoint | None:
        """Return the checkpoint that was the best at its validation, the newest such; None if there is none."""
        return next((c for c in self.by_merit() if c.is_best), None)

    def by_merit(self) -> list[Checkpoint]:
        """Return the visible checkpoints, those first that were the best at their validation, newer before older."""
        return sorted(reversed(self.all()), key=lambda c: not c.is_best)

    def pins(self) -> list[str]:
        """Return the names that are pinned. Raises IntegrityError when the list cannot be read."""
        path = self.folder / "pins.json"
        try:
            if self._disk.kind(path) == "nothing":
                return []
            names = parse_json(read_bytes(path, MAX_STATE_BYTES, self._disk), path)
        except OSError as e:
            raise IntegrityError(f"the pins cannot be read: {e}", where=str(path)) from None
        if not isinstance(names, list) or not all(isinstance(n, str) and _NAME.fullmatch(n) for n in names):
            raise IntegrityError("the pins are not a list of checkpoints' names", where=str(path))
        return names

    def pin(self, name: str, *, keep: bool) -> None:
        """Keep the checkpoint of this name whatever happens, or no longer so."""
        names = [n for n in self.pins() if n != name] + ([name] if keep else [])
        write_atomic(self.folder / "pins.json", pretty_json(names), self._disk)

    def quarantine(self, checkpoint: Checkpoint, damage: list[Damage]) -> None:
        """Move a damaged checkpoint out of sight, with the reason in it. Raises StorageError when it stays in sight."""
        aside = self.folder / "quarantine"
        with storage_errors(aside, self._disk):
            if self._disk.kind(aside) == "other":
                raise StorageError("the quarantine is a link or a device", where=str(aside), do="remove it")
            self._disk.make_folder(aside)
            remove_tree(aside / checkpoint.path.name, self._disk)
            self._disk.rename(checkpoint.path, aside / checkpoint.path.name)
            self._disk.sync_folder(self.folder)
            self._disk.sync_folder(aside)
            reason = pretty_json([d.as_dict() for d in damage])
        with contextlib.suppress(OSError):
            write_synced(aside / checkpoint.path.name / "REASON.json", reason, self._disk)

    def quarantined(self) -> dict[str, str]:
        """Return why each checkpoint in quarantine was set aside, by name."""
        aside = self.folder / "quarantine"
        reasons: dict[str, str] = {}
        for name in self._disk.names(aside):
            path = aside / name / "REASON.json"
            try:
                (first, *_) = parse_json(read_bytes(path, MAX_STATE_BYTES, self._disk), path)
                reasons[name] = str(Damage(**first))
            except (OSError, IntegrityError, ValueError, TypeError):
                reasons[name] = "the reason was not written down"
        return reasons

    def retain(self, retention: Retention, on_damage: OnDamage) -> list[str]:
        """Remove what need not stay and return the names removed, each by a rename first, so that none is half there.

        Nothing goes before two of those that stay have been read anew and found whole; damaged ones on the way are set
        aside. Raises StorageError.
        """
        with storage_errors(self.folder, self._disk):
            staying, bad = self._staying(retention), list[tuple[Checkpoint, list[Damage]]]()
            whole = 0
            for checkpoint in reversed(self.all()):
                damage = checkpoint.lasting_damage()
                staying.add(checkpoint.path.name)
                if damage:
                    bad.append((checkpoint, damage))
                else:
                    whole += 1
                if whole == WHOLE_ALWAYS:
                    break
            if whole:
                self._set_aside(bad, on_damage)
            going = [c for c in self.all() if c.path.name not in staying]  # none, if fewer than two are whole
            for checkpoint in going:
                self._drop(checkpoint)
            return [c.path.name for c in going]

    def discard(self, checkpoint: Checkpoint) -> None:
        """Remove a whole checkpoint that a roll-back has left behind. Raises StorageError."""
        with storage_errors(self.folder, self._disk):
            self._drop(checkpoint)

    def sweep(self) -> None:
        """Remove what a killed writer left. Only for the holder of the run's lock. Raises StorageError."""
        sweep_staging(self.folder, self._disk)

    def _staying(self, retention: Retention) -> set[str]:
        """Return the names of those that a rule keeps, or that it might keep if they could be read."""
        checkpoints = self.all()
        try:
            pinned = self.pins()
        except IntegrityError:
            return {c.path.name for c in checkpoints}  # nobody knows what is pinned: nothing goes
        best, every = [c.is_best for c in checkpoints], retention.keep_every
        newest_best = max((i for i, is_best in enumerate(best) if is_best), default=None)
        return {
            c.path.name
            for i, c in enumerate(checkpoints)
            if i >= len(checkpoints) - retention.keep_last
            or i == newest_best
            or best[i] is None
            or c.path.name in pinned
            or (every is not None and c.step > 0 and c.step % every == 0)
        }

    def _make_room(self, needed: int) -> None:
        """Tighten retention when the disk is nearly full; never below two whole checkpoints, best and pinned."""
        needed += needed // 10 + (64 << 10)
        with contextlib.suppress(OSError, StorageError):
            if self._disk.free(self.folder) < needed:
                self.retain(Retention(WHOLE_ALWAYS), lambda *_: None)

    def _drop(self, checkpoint: Checkpoint) -> None:
        trash = checkpoint.path.with_name(f"{STAGING_PREFIX}trash-{checkpoint.path.name}")
        with storage_errors(self.folder, self._disk):
            remove_tree(trash, self._disk)
            self._disk.rename(checkpoint.path, trash)
            self._disk.sync_folder(self.folder)
            faults.point("checkpoint.trashed")
            remove_tree(trash, self._disk)


def _part(rank: int) -> str:
    return f"part-{rank}.json"
