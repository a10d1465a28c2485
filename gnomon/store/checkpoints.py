"""Checkpoints of a run: committed by one rename, checked by hash, set aside when damaged. Bytes only, no torch.

checkpoints/000012-step-00001000/     commit sequence, then step; the sequence alone gives the order
    manifest.json (last)  model.safetensors  optimizer.safetensors  state.json
checkpoints/LATEST                    name of the newest, a hint for people
checkpoints/quarantine/               what was found damaged, with the reason
"""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.errors import IntegrityError
from gnomon.base.files import (
    fsync_folder,
    pretty_json,
    staged_folder,
    sweep_staging,
    write_atomic,
    write_synced,
)
from gnomon.store.manifest import Damage, damaged, describe, read_manifest, write_manifest

SCHEMA = 1
_NAME = re.compile(r"(\d{6})-step-(\d{8})")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is visible, which means that it was whole when it was written."""

    path: Path
    sequence: int
    step: int

    @property
    def manifest(self) -> dict[str, Any]:
        """Its manifest. Raises IntegrityError when that is damaged or of a newer version."""
        body = read_manifest(self.path)
        if body.get("schema") != SCHEMA:
            raise IntegrityError(
                f"the checkpoint has schema {body.get('schema')} and this version reads {SCHEMA}",
                where=str(self.path),
                do="update gnomon",
            )
        return body

    @property
    def size(self) -> int:
        """Its files' bytes."""
        return sum(entry["bytes"] for entry in self.manifest["files"])

    def damage(self) -> list[Damage]:
        """Return every place that differs from the manifest; empty when the checkpoint is whole."""
        try:
            return damaged(self.path, self.manifest["files"])
        except IntegrityError as e:
            return [Damage("manifest.json", None, e.what)]

    def read(self) -> dict[str, bytes]:
        """Return its files' contents by name."""
        return {entry["path"]: (self.path / entry["path"]).read_bytes() for entry in self.manifest["files"]}


class CheckpointStore:
    """The checkpoints of one run. One process at a time may write (see `store/runs.py`, the lock)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Checkpoint]:
        """Return the visible checkpoints, oldest commit first."""
        if not self.folder.is_dir():
            return []
        found = [(m, p) for p in self.folder.iterdir() if (m := _NAME.fullmatch(p.name)) and p.is_dir()]
        return sorted((Checkpoint(p, int(m[1]), int(m[2])) for m, p in found), key=lambda c: c.sequence)

    def commit(self, files: dict[str, bytes], step: int, reason: str, metrics: dict[str, Any]) -> Checkpoint:
        """Write a checkpoint and return it once it is durable and has been read back whole.

        Raises StorageError when the disk is full, IntegrityError when what was read back differs; in both cases
        the checkpoints before are untouched.
        """
        before = self.all()
        sequence = 1 + max([c.sequence for c in before] + [self._quarantined()])
        final = self.folder / f"{sequence:06d}-step-{step:08d}"
        with staged_folder(self.folder, final.name) as staged:
            for name, data in files.items():
                write_synced(staged.path / name, data)
                faults.point("checkpoint.file_written")
            body = {
                "schema": SCHEMA,
                "sequence": sequence,
                "step": step,
                "reason": reason,
                "parent": before[-1].path.name if before else None,
                "metrics": metrics,
                "files": describe(staged.path, [staged.path / name for name in files]),
            }
            write_manifest(staged.path, body)
            faults.point("checkpoint.manifest_written")
            staged.publish(final)
        faults.point("checkpoint.committed")
        checkpoint = Checkpoint(final, sequence, step)
        damage = checkpoint.damage()
        if damage:
            self.quarantine(checkpoint, damage)
            raise IntegrityError(f"what was written reads back differently: {damage[0]}", where=str(final))
        write_atomic(self.folder / "LATEST", f"{final.name}\n".encode())
        return checkpoint

    def newest_whole(self, on_damage: Callable[[Checkpoint, list[Damage]], None]) -> Checkpoint | None:
        """Return the newest checkpoint that is whole; damaged ones on the way are quarantined and reported.

        None when there never was one. Raises IntegrityError when there are some and none is whole: a run never
        starts over silently.
        """
        candidates = self.all()
        for checkpoint in reversed(candidates):
            damage = checkpoint.damage()
            if not damage:
                return checkpoint
            self.quarantine(checkpoint, damage)
            on_damage(checkpoint, damage)
        if candidates:
            raise IntegrityError(
                f"all {len(candidates)} checkpoints are damaged",
                where=str(self.folder / "quarantine"),
                do="restore one from a backup, or start again in another `out` folder",
            )
        return None

    def best(self) -> Checkpoint | None:
        """Return the checkpoint that was the best at its validation, the newest such; None if there is none."""
        return next((c for c in reversed(self.all()) if _is_best(c)), None)

    def quarantine(self, checkpoint: Checkpoint, damage: list[Damage]) -> None:
        """Move a damaged checkpoint out of sight, with the reason beside it."""
        target = self.folder / "quarantine" / checkpoint.path.name
        target.parent.mkdir(exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        checkpoint.path.rename(target)
        write_synced(target / "REASON.json", pretty_json([d.as_dict() for d in damage]))
        fsync_folder(self.folder)

    def retain(self, keep_last: int) -> None:
        """Remove all but the newest `keep_last` and the best, each by a rename first, so that none is half there."""
        checkpoints = self.all()
        best = self.best()
        for checkpoint in checkpoints[:-keep_last]:
            if best is None or checkpoint.path != best.path:
                trash = checkpoint.path.with_name(f".staging-trash-{checkpoint.path.name}")
                checkpoint.path.rename(trash)
                faults.point("checkpoint.trashed")
                shutil.rmtree(trash)

    def sweep(self) -> None:
        """Remove what a killed writer left. Only for the holder of the run's lock."""
        sweep_staging(self.folder)

    def _quarantined(self) -> int:
        names = (self.folder / "quarantine").glob("*") if (self.folder / "quarantine").is_dir() else ()
        return max((int(m[1]) for p in names if (m := _NAME.fullmatch(p.name))), default=0)


def _is_best(checkpoint: Checkpoint) -> bool:
    try:
        return bool(checkpoint.manifest["metrics"].get("is_best"))
    except IntegrityError:
        return False
