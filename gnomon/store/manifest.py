"""What an artifact's files hold, written last and checked first: sizes, SHA-256, and a hash of every MiB."""

from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gnomon.base.errors import IntegrityError
from gnomon.base.files import (
    CHUNK_BYTES,
    canonical_json,
    chunk_hashes,
    read_json,
    sha256_bytes,
    sha256_file,
    write_synced,
)

NAME = "manifest.json"


@dataclass(frozen=True)
class Damage:
    """One place where a file does not hold what its manifest says; `offset` is in bytes."""

    file: str
    offset: int | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        at = f" at byte {self.offset:,}" if self.offset is not None else ""
        return f"{self.file}{at}: {self.why}"


def describe(folder: Path, paths: list[Path]) -> list[dict[str, Any]]:
    """Return the manifest entries of files below `folder`, sorted by path."""
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
            "chunks": chunk_hashes(path),
        }
        for path in sorted(paths)
    ]


def write_manifest(folder: Path, body: dict[str, Any]) -> str:
    """Write `body` as the folder's manifest and return its digest, the SHA-256 of its canonical JSON."""
    data = canonical_json(body)
    write_synced(folder / NAME, data)
    write_synced(folder / f"{NAME}.sha256", f"{sha256_bytes(data)}\n".encode())
    return sha256_bytes(data)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the folder's manifest. Raises IntegrityError when it is missing, cut or changed."""
    path = folder / NAME
    try:
        data, digest = path.read_bytes(), (folder / f"{NAME}.sha256").read_bytes().strip()
    except FileNotFoundError as e:
        raise IntegrityError(f"{Path(e.filename).name} is missing", where=str(folder)) from None
    if sha256_bytes(data).encode() != digest:
        raise IntegrityError("the manifest does not match its own SHA-256", where=str(path))
    return read_json(path)


def damaged(folder: Path, entries: list[dict[str, Any]]) -> list[Damage]:
    """Return every place where the files below `folder` differ from their entries; empty when all are whole."""
    return [damage for entry in entries for damage in _damaged_file(folder, entry)]


def _damaged_file(folder: Path, entry: dict[str, Any]) -> list[Damage]:
    name = entry["path"]
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        return [Damage(name, None, "its path leaves the folder")]
    path = folder / name
    if path.is_symlink() or not path.is_file():
        return [Damage(name, None, "missing" if not path.exists() else "not a plain file")]
    size = path.stat().st_size
    if size == entry["bytes"] and sha256_file(path) == entry["sha256"]:
        return []
    now = chunk_hashes(path)
    found = [
        Damage(name, i * CHUNK_BYTES, "its bytes differ from the manifest's hash within this MiB")
        for i, (is_, was) in enumerate(zip(now, entry["chunks"], strict=False))
        if is_ != was
    ]
    if size != entry["bytes"]:
        found.append(Damage(name, min(size, entry["bytes"]), f"it has {size:,} bytes instead of {entry['bytes']:,}"))
    return found or [Damage(name, None, "its SHA-256 differs from the manifest's")]
