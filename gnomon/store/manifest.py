"""What an artifact's files hold, written last and checked first: sizes, SHA-256, and a hash of every MiB."""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gnomon.base.disk import CHUNK_BYTES, DISK, Disk, read_bytes
from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, chunk_hashes, parse_json, sha256_bytes, sha256_file, write_synced

NAME = "manifest.json"
DIGEST_NAME = f"{NAME}.sha256"
MAX_BYTES = 64 << 20
"""Of a manifest, where its reader sets no closer bound."""
DIGEST_BYTES = 100
"""Of the file beside a manifest that holds its SHA-256, at most."""
_DIGEST = re.compile(rb"[0-9a-f]{64}\n")


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
            "chunks": chunk_hashes(DISK.chunks(path)),
        }
        for path in sorted(paths)
    ]


def describe_bytes(name: str, data: bytes | memoryview) -> dict[str, Any]:
    """Return the manifest entry of a file that is to hold `data`; the disk has no part in it."""
    pieces = (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
    return {"path": name, "bytes": len(data), "sha256": sha256_bytes(data), "chunks": chunk_hashes(pieces)}


def write_manifest(folder: Path, body: dict[str, Any], disk: Disk = DISK) -> str:
    """Write `body` as the folder's manifest and return its digest, the SHA-256 of its canonical JSON."""
    data = canonical_json(body)
    write_synced(folder / NAME, data, disk)
    write_synced(folder / DIGEST_NAME, f"{sha256_bytes(data)}\n".encode(), disk)
    return sha256_bytes(data)


def read_manifest(folder: Path, disk: Disk = DISK, limit: int = MAX_BYTES, *, fresh: bool = False) -> dict[str, Any]:
    """Return the folder's manifest. Raises IntegrityError, `where` the file, when it is missing, changed, no object, or
    larger than `limit` bytes.

    `fresh` asks for the device's own bytes.
    """
    path, beside = folder / NAME, folder / DIGEST_NAME
    data, said = _read(path, disk, limit, fresh), _read(beside, disk, DIGEST_BYTES, fresh)
    digest = f"{sha256_bytes(data)}\n".encode()
    if said != digest:
        if not _DIGEST.fullmatch(said) or sum(a != b for a, b in zip(said, digest, strict=True)) < 16:
            # another manifest would have another digest altogether: 60 of 64 digits differ by chance
            raise IntegrityError(f"{DIGEST_NAME} does not hold the manifest's SHA-256", where=str(beside))
        raise IntegrityError("the manifest does not match its own SHA-256", where=str(path))
    body = parse_json(data, path)
    if not isinstance(body, dict):
        raise IntegrityError("the manifest is not an object", where=str(path))
    return body


def _read(path: Path, disk: Disk, limit: int, fresh: bool) -> bytes:
    try:
        kind = disk.kind(path)
        if kind == "file":
            return read_bytes(path, limit, disk, fresh=fresh)
    except OSError as e:
        raise IntegrityError(f"the manifest cannot be read: {path.name}: {e.strerror or e}", where=str(path)) from None
    why = "missing" if kind == "nothing" else "not a plain file"
    raise IntegrityError(f"the manifest cannot be read: {path.name} is {why}", where=str(path))


def damaged(folder: Path, entries: Any, disk: Disk = DISK, *, fresh: bool = False) -> list[Damage]:
    """Return every place where the files below `folder` differ from their entries; empty when all are whole.

    `entries` are what a manifest says under `files`, whatever that is. `fresh` asks for the device's own bytes, not
    those that the system still holds in memory.
    """
    if not isinstance(entries, list):
        return [Damage(NAME, None, "it lists no files")]
    return [damage for entry in entries for damage in _damaged_file(folder, entry, disk, fresh)]


def _damaged_file(folder: Path, entry: Any, disk: Disk, fresh: bool) -> Iterator[Damage]:
    match entry:
        case {"path": str(name), "bytes": int(), "sha256": str(), "chunks": [*_]}:
            pure = PurePosixPath(name)
        case _:
            yield Damage(NAME, None, "an entry does not say path, bytes, sha256 and chunks")
            return
    if pure.is_absolute() or ".." in pure.parts:
        yield Damage(name, None, "its path leaves the folder")
        return
    path = folder / name
    try:
        kind = disk.kind(path)
        if kind != "file":
            yield Damage(name, None, "missing" if kind == "nothing" else "not a plain file")
        elif disk.size(path) != entry["bytes"] or sha256_file(path, disk, fresh=fresh) != entry["sha256"]:
            yield from _places(path, entry, disk, fresh)
    except OSError as e:
        yield Damage(name, None, f"it cannot be read: {e.strerror or e}")
    except ValueError as e:  # a name with a zero byte
        yield Damage(name, None, f"no file can have this name: {e}")


def _places(path: Path, entry: dict[str, Any], disk: Disk, fresh: bool) -> Iterator[Damage]:
    """Yield where a file that is not what its entry says differs: chunk by chunk, then its size."""
    name, size, found = entry["path"], disk.size(path), False
    chunks = (
        disk.chunks(path, fresh=fresh) if size <= 2 * entry["bytes"] + CHUNK_BYTES else ()
    )  # nothing huge is read for a hint
    for i, (is_, was) in enumerate(zip(chunk_hashes(chunks), entry["chunks"], strict=False)):
        if is_ != was:
            found = True
            yield Damage(name, i * CHUNK_BYTES, "its bytes differ from the manifest's hash within this MiB")
    if size != entry["bytes"]:
        found = True
        yield Damage(name, min(size, entry["bytes"]), f"it has {size:,} bytes instead of {entry['bytes']:,}")
    if not found:
        yield Damage(name, None, "its SHA-256 differs from the manifest's")
