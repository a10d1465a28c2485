"""The calls by which a file comes to be, is read and goes: a seam, where a test can put a simulated disk.

What has to survive a crash (checkpoints, journal, atomic files) reaches the disk through these calls alone. A disk
promises what POSIX promises and no more: bytes are durable after `sync` of their file, a name after `sync_folder` of
its folder, a rename is seen whole or not at all. Every call may raise OSError.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Protocol

CHUNK_BYTES = 1 << 20

Kind = Literal["file", "folder", "other", "nothing"]
"""What a path is; `other` is a link, a device, a pipe: nothing that Gnomon writes."""


class OpenFile(Protocol):
    """A file open for writing at its end."""

    def write(self, data: bytes | memoryview) -> int:
        """Write some of `data`, at least a byte, and return how many bytes were taken."""
        ...

    def sync(self) -> None:
        """Return when the disk has the bytes. After an error they may be lost: what was written is to be given up."""
        ...

    def close(self) -> None:
        """Let go of the file; says nothing about the disk."""
        ...


class Disk(Protocol):
    """What the store needs of a file system."""

    def create(self, path: Path) -> OpenFile:
        """Open an empty file for writing, in place of one that may be there."""
        ...

    def append(self, path: Path) -> OpenFile:
        """Open a file, made if missing, for writing after what it holds."""
        ...

    def kind(self, path: Path) -> Kind:
        """Return what the path itself is; links are not followed."""
        ...

    def size(self, path: Path) -> int:
        """Return a file's bytes."""
        ...

    def chunks(self, path: Path, *, fresh: bool = False) -> Iterator[bytes]:
        """Yield a plain file's content MiB by MiB; with `fresh`, from the device where the system allows it."""
        ...

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted; none when there is no folder."""
        ...

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, unless they are there."""
        ...

    def rename(self, old: Path, new: Path) -> None:
        """Give a file or folder another name in one step; a file takes the place of a file."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file or an empty folder."""
        ...

    def sync_folder(self, folder: Path) -> None:
        """Return when the disk has the folder's names."""
        ...

    def free(self, path: Path) -> int:
        """Return the bytes free where `path` is, or its nearest parent that is there."""
        ...


def open_plain(path: Path, flags: int) -> int:
    """Return a handle of a plain file. Raises OSError for anything else: no link is followed, no pipe waited for."""
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # where the system has them
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags, 0o644)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ENXIO, "it is not a plain file", str(path))
    return handle


class _RealFile:
    def __init__(self, path: Path, flags: int) -> None:
        self._handle = open_plain(path, os.O_WRONLY | os.O_CREAT | flags)

    def write(self, data: bytes | memoryview) -> int:
        return os.write(self._handle, data)

    def sync(self) -> None:
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class RealDisk:
    """The machine's own file system."""

    def create(self, path: Path) -> OpenFile:
        return _RealFile(path, os.O_TRUNC)

    def append(self, path: Path) -> OpenFile:
        return _RealFile(path, os.O_APPEND)

    def kind(self, path: Path) -> Kind:
        """Return what the path itself is."""
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return "nothing"
        return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"

    def size(self, path: Path) -> int:
        return os.lstat(path).st_size

    def chunks(self, path: Path, *, fresh: bool = False) -> Iterator[bytes]:
        """Yield a plain file's content MiB by MiB."""
        with open(open_plain(path, os.O_RDONLY), "rb", buffering=0) as f:
            if fresh and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            while chunk := f.read(CHUNK_BYTES):
                while len(chunk) < CHUNK_BYTES and (more := f.read(CHUNK_BYTES - len(chunk))):
                    chunk += more
                yield chunk

    def names(self, folder: Path) -> list[str]:
        """Return the names in a folder, sorted."""
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def rename(self, old: Path, new: Path) -> None:
        os.replace(old, new)

    def remove(self, path: Path) -> None:
        """Remove a file or an empty folder."""
        if self.kind(path) == "folder":
            os.rmdir(path)
        else:
            os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """Return when the disk has the folder's names."""
        if os.name == "nt":  # folders cannot be opened there
            return
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def free(self, path: Path) -> int:
        """Return the bytes free where `path` is."""
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free


DISK = RealDisk()


def make_durable_folder(folder: Path, disk: Disk = DISK) -> None:
    """Make a folder and those above it that are missing, and return when the disk has the names of all it made."""
    missing = [path for path in (folder, *folder.parents) if disk.kind(path) == "nothing"]
    disk.make_folder(folder)
    for made in reversed(missing):
        disk.sync_folder(made.parent)


def remove_tree(path: Path, disk: Disk = DISK) -> None:
    """Remove a file or a folder with all that is in it; links are removed, not followed; nothing there is fine."""
    if disk.kind(path) == "nothing":
        return
    if disk.kind(path) == "folder":
        for name in disk.names(path):
            remove_tree(path / name, disk)
    with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
        disk.remove(path)


def read_bytes(path: Path, limit: int, disk: Disk = DISK, *, fresh: bool = False) -> bytes:
    """Return a plain file's content. Raises OSError for a file of more than `limit` bytes, which is not read."""
    return bytes(read_buffer(path, limit, disk, fresh=fresh))


def read_buffer(path: Path, limit: int, disk: Disk = DISK, *, fresh: bool = False) -> bytearray:
    """Return a plain file's content as `read_bytes` does, in memory that may be written to."""
    size = disk.size(path)
    if size > limit:
        raise OSError(f"{path} has {size:,} bytes, more than the {limit:,} that it may have")
    data = bytearray()
    for chunk in disk.chunks(path, fresh=fresh):
        data += chunk
        if len(data) > limit:
            raise OSError(f"{path} grew beyond the {limit:,} bytes that it may have")
    return data
