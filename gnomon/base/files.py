"""Files that are either whole or not there: write aside, fsync, rename, fsync the folder."""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.errors import IntegrityError, StorageError

STAGING_PREFIX = ".staging-"
CHUNK_BYTES = 1 << 20


def canonical_json(value: Any) -> bytes:
    """Return `value` as JSON bytes that are equal for equal values: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def pretty_json(value: Any) -> bytes:
    """Return `value` as indented JSON for people to read, keys in the order they were given."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def finite(number: float) -> float | str:
    """Return `number`, or its name (`"nan"`, `"inf"`, `"-inf"`) where JSON has no word for it."""
    return number if math.isfinite(number) else str(number)


def read_json(path: Path) -> Any:
    """Return what the JSON file holds. Raises IntegrityError, with the byte, for a file that is cut or garbled."""
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as e:
        raise IntegrityError(f"{path.name} is not valid JSON at byte {e.pos:,}: {e.msg}", where=str(path)) from e
    except UnicodeDecodeError as e:
        raise IntegrityError(f"{path.name} is not valid UTF-8 at byte {e.start:,}", where=str(path)) from e


def sha256_bytes(data: bytes | memoryview) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def chunk_hashes(path: Path, chunk_bytes: int = CHUNK_BYTES) -> list[str]:
    """Return the SHA-256 of each `chunk_bytes` of a file, cut to 16 hex digits: enough to say where it is damaged."""
    with path.open("rb") as f:
        return [sha256_bytes(chunk)[:16] for chunk in iter(lambda: f.read(chunk_bytes), b"")]


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Does nothing where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_synced(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to `path` and wait until the disk has it. The name itself is durable after `fsync_folder`."""
    with path.open("wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step: a reader sees the old file or the new one, also after a crash."""
    with no_space_is_an_error(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            write_synced(staged, data)
            faults.point("files.before_rename")
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        fsync_folder(path.parent)


class Staged:
    """A folder in the making: `publish` makes it visible under its final name, whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, final: Path) -> None:
        """Fsync everything inside, then rename to `final`, which must not exist yet, and make the name durable."""
        sync_tree(self.path)
        faults.point("folder.before_rename")
        self.path.rename(final)
        fsync_folder(final.parent)


@contextlib.contextmanager
def staged_folder(parent: Path, label: str) -> Iterator[Staged]:
    """Give a new folder below `parent` to fill and publish; what is not published vanishes with the block."""
    with no_space_is_an_error(parent / label):
        parent.mkdir(parents=True, exist_ok=True)
        staged = Staged(parent / f"{STAGING_PREFIX}{label}-{uuid.uuid4().hex[:8]}")
        staged.path.mkdir()
        try:
            yield staged
        finally:
            shutil.rmtree(staged.path, ignore_errors=True)


def sync_tree(folder: Path) -> None:
    """Fsync every file and folder below `folder`, then `folder` itself."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            fsync_folder(path)
        else:
            with path.open("rb") as f:
                os.fsync(f.fileno())
    fsync_folder(folder)


def sweep_staging(folder: Path) -> int:
    """Remove what killed writers left in `folder` and return how many leavings there were. Only for the one writer."""
    leavings = [p for p in folder.glob(f"{STAGING_PREFIX}*")] if folder.is_dir() else []
    for path in leavings:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return len(leavings)


@contextlib.contextmanager
def no_space_is_an_error(path: Path) -> Iterator[None]:
    """Turn the disk's refusals (full, over quota, read-only, not permitted) into one StorageError that names `path`."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            free = free_bytes(path)
            raise StorageError(
                f"no space left on the disk ({free / 2**20:,.0f} MiB free) while writing {path.name}",
                where=str(path),
                do="free some space and run the same command again; what was written before is whole",
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(
                f"the system does not let this program write {path.name} ({e.strerror})",
                where=str(path),
                do="make the folder writable, or choose another `out`",
            ) from e
        raise


def free_bytes(path: Path) -> int:
    """Return the bytes free on the disk that holds `path` (or its nearest existing parent)."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def append_line(path: Path, line: bytes, *, durable: bool = False) -> None:
    """Append one line to a log file; with `durable` the disk has it before this returns.

    A tail without a line end, left by a kill, is closed first, so that one torn line never swallows the next.
    """
    with no_space_is_an_error(path), path.open("ab+") as f:
        if f.tell() > 0:
            f.seek(-1, os.SEEK_END)
            if f.read(1) != b"\n":
                f.write(b"\n")
        f.write(line + b"\n")
        f.flush()
        if durable:
            os.fsync(f.fileno())


def read_lines(path: Path) -> Iterator[Any]:
    """Yield the JSON values of a log file, leaving out lines that a kill tore."""
    if not path.exists():
        return
    with path.open("rb") as f:
        for line in f:
            try:
                yield json.loads(line)
            except ValueError:
                continue
