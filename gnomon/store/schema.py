"""The versions of a checkpoint's manifest: the newest form, checked strictly, and the way to it from every older one;
and what its tensors were called before.

1   sequence, step, reason, parent, metrics, files
2   adds the attempt that wrote it and the number of ranks whose files it holds
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, ValidationError, model_validator

from gnomon.base.disk import CHUNK_BYTES
from gnomon.base.errors import IntegrityError
from gnomon.taxonomy import HEAD_OUTPUTS

SCHEMA = 2

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
ChunkHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Count = Annotated[StrictInt, Field(ge=0, lt=2**53)]


class NewerSchema(IntegrityError):
    """A checkpoint was written by a newer version of Gnomon: nothing is wrong with it, and it stays as it is."""


class FileEntry(BaseModel):
    """One file: plain name, size, SHA-256, and a short hash of every MiB."""

    model_config = ConfigDict(frozen=True)

    path: FileName
    bytes: Count
    sha256: Sha256
    chunks: Annotated[list[ChunkHash], Field(fail_fast=True)]  # of a million wrong ones, one is told

    @model_validator(mode="after")
    def _a_hash_for_every_mib(self) -> "FileEntry":
        if len(self.chunks) != -(-self.bytes // CHUNK_BYTES):
            raise ValueError("the chunk hashes are not as many as the MiB")
        return self


class Manifest(BaseModel):
    """What a checkpoint says of itself. Keys that a newer version of the same schema added are let through."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    version: Count = Field(alias="schema")
    sequence: Count
    step: Count
    attempt: Count
    reason: str
    parent: str | None
    world: Annotated[StrictInt, Field(ge=1, le=1 << 16)]
    written_schema: Count = SCHEMA  # before it was brought to this form
    metrics: Annotated[dict[str, bool | float | str | None], Field(max_length=100)]
    files: Annotated[list[FileEntry], Field(min_length=1, fail_fast=True)]

    @model_validator(mode="after")
    def _no_file_twice(self) -> "Manifest":
        if len({entry.path for entry in self.files}) < len(self.files):
            raise ValueError("a file is named twice")
        return self


def check_manifest(body: dict[str, Any], where: Path) -> Manifest:
    """Return a manifest of any version in the newest form. Raises IntegrityError with the remedy."""
    version = body.get("schema")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise IntegrityError(f"the checkpoint has no schema that is known: {version!r:.40}", where=str(where))
    if version > SCHEMA:
        raise NewerSchema(
            f"the checkpoint has schema {version} and this version reads up to {SCHEMA}",
            where=str(where),
            do="update gnomon",
        )
    for older in range(version, SCHEMA):
        body = MIGRATIONS[older](body)
    try:
        return Manifest.model_validate(body)
    except ValidationError as e:
        first = e.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100]
        raise IntegrityError(f"the manifest does not hold: {place}: {first['msg']}", where=str(where)) from None


def _from_1(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "schema": 2, "attempt": 0, "world": 1, "written_schema": 1}


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1}
"""From each older schema to the next, in memory; what is on disk stays as it was written."""


def renamed(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors by the names of today: the mix that all heads had in common is one of each kind of them, and the
    router has a head and a mix of their own where an answer begins, which begin as those that it had everywhere.
    """
    found = dict(tensors)
    for name in [name for name in tensors if name.endswith("heads.mix")]:
        before = name.removesuffix("mix")
        there = {other.removeprefix(before).partition(".")[0] for other in tensors if other.startswith(before)}
        mix = found.pop(name)
        found |= {f"{name}.{kind}": mix.copy() for kind, outputs in HEAD_OUTPUTS.items() if there & outputs.keys()}
    for part in ("heads.router.", "heads.mix.router"):
        before = {name: name.replace(part, part.replace("router", "opening")) for name in found if part in name}
        if not before.values() & found.keys():
            found |= {after: found[name].copy() for name, after in before.items()}
    return found
