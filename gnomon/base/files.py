"""Files that are either whole or not there: write aside, fsync, rename, fsync the folder."""

import contextlib
import errno
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base import faults
from gnomon.base.disk import DISK, Disk, OpenFile, make_durable_folder, read_bytes, remove_tree
from gnomon.base.errors import IntegrityError, StorageError

STAGING_PREFIX = ".staging-"
_STEPS = bytes({"[": 1, "{": 1, "]": 255, "}": 255}.get(chr(byte), 0) for byte in range(256))
MAX_JSON_BYTES = 16 << 20  # of a file that `read_json` reads; Python needs up to twenty times as much for what it says
MAX_LEVELS = 64  # of objects and lists within each other
MAX_LINE_BYTES = 16 << 20


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
    """Return what the JSON file holds. Raises IntegrityError, with the byte, for a file that is cut or garbled, larger
    than 16 MiB, or no plain file.
    """
    try:
        return parse_json(read_bytes(path, MAX_JSON_BYTES), path)
    except OSError as e:
        raise IntegrityError(f"{path.name} cannot be read: {e}", where=str(path)) from None


def parse_json(data: bytes, path: Path) -> Any:
    """Return what JSON bytes say, read strictly: no NaN, no key twice, no half of a character, at most 64 levels.

    Raises IntegrityError that names `path` and the place.
    """
    try:
        value = json.loads(
            data.decode(), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_no_key_twice
        )
        if _levels(data) > MAX_LEVELS:
            raise ValueError(f"it is nested more than {MAX_LEVELS} deep")
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair could not be written again
        return value
    except json.JSONDecodeError as e:
        raise IntegrityError(f"{path.name} is not valid JSON at byte {e.pos:,}: {e.msg}", where=str(path)) from e
    except UnicodeDecodeError as e:
        raise IntegrityError(f"{path.name} is not valid UTF-8 at byte {e.start:,}", where=str(path)) from e
    except RecursionError:
        raise IntegrityError(f"{path.name} is nested too deeply", where=str(path)) from None
    except ValueError as e:
        raise IntegrityError(f"{path.name}: {e}", where=str(path)) from None


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _levels(data: bytes) -> int:
    """Return how many objects and lists valid JSON has within each other."""
    text = data.replace(b"\\\\", b"").replace(b'\\"', b"")  # what quotes are left open and close strings
    steps = np.frombuffer(text.translate(_STEPS), np.int8)
    in_string = np.bitwise_xor.accumulate(np.frombuffer(text, np.uint8) == ord('"'))
    return int(steps[~in_string & (steps != 0)].cumsum(dtype=np.int32).max(initial=0))


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice in one object")
    return found


def sha256_bytes(data: bytes | memoryview) -> str:
    """Return the hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path, disk: Disk = DISK, *, fresh: bool = False) -> str:
    """Return the hex SHA-256 of a file, read in pieces; with `fresh`, from the device rather than from memory."""
    digest = hashlib.sha256()
    for chunk in disk.chunks(path, fresh=fresh):
        digest.update(chunk)
    return digest.hexdigest()


def chunk_hashes(chunks: Iterable[bytes | memoryview]) -> list[str]:
    """Return the SHA-256 of each MiB, cut to 16 hex digits: enough to say where a file is damaged."""
    return [sha256_bytes(chunk)[:16] for chunk in chunks]


def write_synced(path: Path, data: bytes | memoryview, disk: Disk = DISK) -> None:
    """Write `data` to `path` and wait until the disk has it. The name itself is durable after `sync_folder`."""
    _write(disk.create(path), data, sync=True)


def _write(file: OpenFile, data: bytes | memoryview, *, sync: bool) -> None:
    try:
        rest = memoryview(data).cast("B")
        while len(rest):
            rest = rest[file.write(rest) :]
        if sync:
            file.sync()
    finally:
        file.close()


def write_atomic(path: Path, data: bytes, disk: Disk = DISK) -> None:
    """Replace `path` by `data` in one step: a reader sees the old file or the new one, also after a crash."""
    with storage_errors(path, disk):
        make_durable_folder(path.parent, disk)
        staged = path.with_name(f"{STAGING_PREFIX}{path.name}-{uuid.uuid4().hex[:8]}")
        try:
            write_synced(staged, data, disk)
            faults.point("files.before_rename")
            disk.rename(staged, path)
        except OSError:
            with contextlib.suppress(OSError):
                disk.remove(staged)
            raise
        disk.sync_folder(path.parent)


class Staged:
    """A folder in the making: `publish` makes it visible under its final name, whole."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def publish(self, final: Path) -> None:
        """Fsync everything inside, then rename to `final`, which must not exist yet, and make the name durable."""
        sync_tree(self.path)
        faults.point("folder.before_rename")
        self.path.rename(final)
        DISK.sync_folder(final.parent)

    def publish_once(self, final: Path) -> None:
        """The same for what two may make at once, with equal content: whoever comes later leaves it as it is."""
        try:
            self.publish(final)
        except OSError as e:
            if e.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise


@contextlib.contextmanager
def staged_folder(parent: Path, label: str) -> Iterator[Staged]:
    """Give a new folder below `parent` to fill and publish; what is not published vanishes with the block."""
    with storage_errors(parent / label):
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
            DISK.sync_folder(path)
        else:
            with path.open("rb") as f:
                os.fsync(f.fileno())
    DISK.sync_folder(folder)


def sweep_staging(folder: Path, disk: Disk = DISK) -> int:
    """Remove what killed writers left in `folder` and return how many leavings there were. Only for the one writer.

    Raises StorageError.
    """
    with storage_errors(folder, disk):
        leavings = [name for name in disk.names(folder) if name.startswith(STAGING_PREFIX)]
        if leavings:  # or a crash might bring back the old name of something whose inside is gone
            disk.sync_folder(folder)
        for name in leavings:
            remove_tree(folder / name, disk)
        return len(leavings)


@contextlib.contextmanager
def storage_errors(path: Path, disk: Disk = DISK) -> Iterator[None]:
    """Turn the disk's refusals (full, over quota, read-only, gone, sick) into one StorageError that names `path`."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(
                f"no space left on the disk ({_free(path, disk)}) while writing {path.name}",
                where=str(path),
                do="free some space and run the same command again; what was written before is whole",
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise StorageError(
                f"the system does not let this program write {path.name} ({e.strerror})",
                where=str(path),
                do="make the folder writable, or name another with data.root, out or --out",
            ) from e
        if e.errno in (errno.ENOENT, errno.ENOTDIR) and _is_nothing(path, disk):
            raise StorageError(
                f"this folder cannot be written to ({e.strerror})",
                where=str(path.parent if path.name.startswith(".") else path),
                do="name another with data.root, out or --out, or see whether its disk is there",
            ) from e
        if e.errno == errno.EFBIG:
            raise StorageError(
                f"{path.name} would have a file larger than this program may write",
                where=str(path),
                do="raise the limit (`ulimit -f unlimited`, or that of the job); what was written before is whole",
            ) from e
        if e.errno in (errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY, errno.ENAMETOOLONG):
            raise StorageError(
                f"{path.name} cannot be written: something else has its place ({e.strerror})",
                where=str(path),
                do="see whether a link or a folder lies where a file should be, and move it away",
            ) from e
        raise StorageError(
            f"the disk failed while {path.name} was written ({e.strerror or e})",
            where=str(path),
            do="see whether the disk is there and sound; what was written before is whole",
        ) from e


def _is_nothing(path: Path, disk: Disk) -> bool:
    try:
        return disk.kind(path) == "nothing"
    except OSError:
        return False


def _free(path: Path, disk: Disk) -> str:
    try:
        return f"{disk.free(path) / 2**20:,.0f} MiB free"
    except OSError as e:
        return f"how much is free cannot be seen: {e.strerror}"


class LineFile:
    """A log that grows by whole lines. A tail without a line end, left by a kill or a full disk, is closed first,
    so that one torn line never swallows the next.
    """

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self.path, self._disk = path, disk
        self._whole: bool | None = None  # whether the file ends with a line end; None: look it up
        self._named = False  # whether its name is durable: who made it may have been killed right after

    def append(self, lines: bytes, *, durable: bool = False) -> None:
        """Append lines, given without the last line end; with `durable` the disk has them before this returns.

        Raises StorageError; how much of the lines is then in the file is open, and readers pass over a torn one.
        """
        with storage_errors(self.path, self._disk):
            torn = not (self._ends_whole() if self._whole is None else self._whole)
            self._whole = False  # if this fails, the device may lack what the file seems to end with
            _write(self._disk.append(self.path), (b"\n" if torn else b"") + lines + b"\n", sync=durable)
            if durable and not self._named:
                self._disk.sync_folder(self.path.parent)
                self._named = True
            self._whole = True

    def _ends_whole(self) -> bool:
        last = b"\n"
        if self._disk.kind(self.path) != "nothing":
            for chunk in self._disk.chunks(self.path, fresh=True):  # as an earlier process may have failed
                last = chunk[-1:]
        return last == b"\n"


def read_lines(path: Path, disk: Disk = DISK) -> Iterator[Any]:
    """Yield the JSON values of a log file, leaving out lines that a kill tore; nothing if there is no file."""
    for _, line in raw_lines(path, disk):
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(line)


def raw_lines(path: Path, disk: Disk = DISK) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a log file that are not empty, with their numbers from 1; nothing if there is no file.

    Of a line without end 16 MiB are kept, so that no file can fill the memory.
    """
    if disk.kind(path) != "file":
        return
    number, rest = 0, b""
    for chunk in disk.chunks(path):
        *lines, rest = (rest[:MAX_LINE_BYTES] + chunk).split(b"\n")
        for line in lines:
            number += 1
            if line:
                yield number, line
    if rest:
        yield number + 1, rest


def covers(written: str, file: Path) -> bool:
    """Return whether a path, however it is written, is a file or a folder that the file lies in."""
    whole, one = Path(written).resolve(), file.resolve()
    return whole == one or whole in one.parents
