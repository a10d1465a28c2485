"""Packed files in a manifest: they are known by what they hold, for another version of the packer packs it otherwise.

Under `files` stand size and SHA-256 of the content; under `packed` those of the file as it lies on disk, with its
chunks. The latter are no part of what the manifest's digest says.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from gnomon.base.files import canonical_json, sha256_bytes
from gnomon.store.manifest import Damage, damaged, describe

SUFFIX = ".zst"
READ_BYTES = 1 << 20


def describe_content(folder: Path, paths: list[Path]) -> dict[str, list[dict[str, Any]]]:
    """Return what a manifest says of files below `folder`, under `files` and `packed`."""
    entries = describe(folder, paths)
    packed = [entry for entry in entries if entry["path"].endswith(SUFFIX)]
    content = {entry["path"]: {"path": entry["path"]} | _content(folder / entry["path"]) for entry in packed}
    return {"files": [content.get(entry["path"], entry) for entry in entries], "packed": packed}


def digest_of(body: dict[str, Any]) -> str:
    """Return the SHA-256 of a manifest's canonical JSON, without what depends on the packer."""
    return sha256_bytes(canonical_json({key: value for key, value in body.items() if key != "packed"}))


def on_disk(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the entries that say what the files are as they lie on disk."""
    return [entry for entry in body["files"] if "chunks" in entry] + body.get("packed", [])


def damaged_content(folder: Path, body: dict[str, Any]) -> list[Damage]:
    """Return every place where files differ from what the manifest says of them, on disk or unpacked."""
    return damaged(folder, on_disk(body)) or list(_otherwise(folder, body))


def _otherwise(folder: Path, body: dict[str, Any]) -> Iterator[Damage]:
    described = {entry["path"] for entry in on_disk(body)}
    for entry in body["files"]:
        name = entry["path"]
        if "chunks" in entry:
            continue
        if name not in described:
            yield Damage(name, None, "the manifest does not say how it lies on disk")
            continue
        try:
            if _content(folder / name) != {"bytes": entry["bytes"], "sha256": entry.get("sha256")}:
                yield Damage(name, None, "what it holds differs from the manifest's SHA-256")
        except (OSError, zstandard.ZstdError) as e:
            yield Damage(name, None, f"it cannot be unpacked: {e}")


def _content(path: Path) -> dict[str, Any]:
    """Return size and SHA-256 of what a file holds."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as f, zstandard.ZstdDecompressor().stream_reader(f, read_across_frames=True) as unpacked:
        while piece := unpacked.read(READ_BYTES):
            digest.update(piece)
            size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}
