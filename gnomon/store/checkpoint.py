"""One checkpoint as it lies on disk: what its manifest says, where it is damaged, what it holds. Bytes only."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.disk import DISK, Disk, read_bytes
from gnomon.base.errors import IntegrityError
from gnomon.base.files import parse_json
from gnomon.store.manifest import DIGEST_NAME, NAME, Damage, damaged, read_manifest
from gnomon.store.schema import Manifest, NewerSchema, check_manifest, renamed
from gnomon.store.tensors import read_tensors

MAX_STATE_BYTES = 1 << 20
MANIFEST_BYTES, MANIFEST_SHARE = 1 << 20, 1 << 10
"""A manifest may have so many bytes, and one more for so many of the files beside it: what a hostile one can cost."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is visible, which means that it was whole when it was written."""

    path: Path
    sequence: int
    step: int
    disk: Disk = DISK

    @cached_property
    def manifest(self) -> Manifest:
        """Its manifest, in this version's form. Raises IntegrityError when that is damaged or of a newer version."""
        return self._manifest(fresh=False)

    def _manifest(self, *, fresh: bool) -> Manifest:
        try:
            held = [self.path / name for name in self.disk.names(self.path)]
            size = sum(self.disk.size(path) for path in held if self.disk.kind(path) == "file")
        except OSError as e:
            raise IntegrityError(f"the checkpoint cannot be read: {e.strerror or e}", where=str(self.path)) from None
        body = read_manifest(self.path, self.disk, MANIFEST_BYTES + size // MANIFEST_SHARE, fresh=fresh)
        manifest = check_manifest(body, self.path)
        if (manifest.sequence, manifest.step) != (self.sequence, self.step):
            raise IntegrityError(
                f"the manifest is of sequence {manifest.sequence}, step {manifest.step}", where=str(self.path)
            )
        return manifest

    @property
    def is_best(self) -> bool | None:
        """Whether it was the best at its validation when it was saved; None where that cannot be read."""
        try:
            return self.manifest.metrics.get("is_best") is True
        except IntegrityError:
            return None

    @property
    def size(self) -> int:
        """Its files' bytes."""
        return sum(entry.bytes for entry in self.manifest.files)

    def damage(self, *, fresh: bool = False) -> list[Damage]:
        """Return every place that differs from the manifest; empty when the checkpoint is whole.

        Raises NewerSchema for one that only a newer version can judge.

        `fresh` asks for the device's own bytes, not those that the system still holds in memory.
        """
        try:
            entries = [entry.model_dump() for entry in self._manifest(fresh=fresh).files]
        except NewerSchema:
            raise
        except IntegrityError as e:
            return [Damage(DIGEST_NAME if (e.where or "").endswith(DIGEST_NAME) else NAME, None, e.what)]
        return damaged(self.path, entries, self.disk, fresh=fresh)

    def lasting_damage(self, *, fresh: bool = False) -> list[Damage]:
        """Return the damage that two readings show, the second from the device: no cable flips a bit twice."""
        return self.damage(fresh=fresh) and self.damage(fresh=True)

    def read(self) -> dict[str, bytes]:
        """Return its files' contents by name. Raises IntegrityError for one that cannot be read."""
        try:
            return {e.path: read_bytes(self.path / e.path, e.bytes, self.disk) for e in self.manifest.files}
        except OSError as e:
            raise IntegrityError(f"the checkpoint cannot be read: {e}", where=str(self.path)) from None

    def state(self) -> Any:
        """Return what its state.json says. Raises IntegrityError when that is not JSON."""
        try:
            return parse_json(read_bytes(self.path / "state.json", MAX_STATE_BYTES, self.disk), self.path)
        except OSError as e:
            raise IntegrityError(f"state.json cannot be read: {e}", where=str(self.path)) from None

    def tensors(self, kind: str) -> dict[str, np.ndarray]:
        """Return the tensors of its `model` or `optimizer` files by the names of today, put together from however many
        ranks wrote them.
        """
        names = [e.path for e in self.manifest.files if e.path.startswith(kind) and e.path.endswith(".safetensors")]
        if not names:
            raise IntegrityError(f"the checkpoint has no {kind} file", where=str(self.path))
        return renamed(read_tensors([self.path / name for name in names], self.disk))
