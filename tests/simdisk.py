"""A disk in memory that keeps what POSIX promises and nothing more, and can show every state a crash may leave.

Bytes are durable after `sync` of their file, names after `sync_folder` of every folder they were changed in. What is
not durable yet may survive a crash or not, in any mixture: names one by one, a file's length, and its bytes sector by
sector. Only what depends on each other keeps its order: two changes of one name, or two moves of one file.
"""

import errno
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gnomon.base.disk import CHUNK_BYTES, Kind, OpenFile

SECTOR = 512
CHANGING = ("create", "append", "write", "sync", "make_folder", "rename", "remove", "sync_folder")
"""The calls that change something, be it only what a crash may take."""

Item = tuple[str, int, int, int]
"""One thing that a crash may take: ("name", change, 0, 0), ("length" | "cut" | "sector", inode, write, sector)."""


@dataclass(frozen=True)
class Call:
    """One call of the seam, counted from 0; `path` is the one that is written, read or made."""

    number: int
    name: str
    path: Path


class Faults:
    """What goes wrong; here nothing does. Tests override what they need."""

    def before(self, call: Call) -> None:
        """Be told of a call that is about to happen; raise OSError to make it fail."""

    def takes(self, call: Call, size: int) -> int:
        """Return how many bytes of a write are taken."""
        return size

    def syncs(self, call: Call) -> bool:
        """Return whether a sync that says so makes anything durable."""
        return True

    def stored(self, path: Path, data: bytes) -> bytes:
        """Return what the device holds of a file's content after its sync."""
        return data

    def lands(self, path: Path) -> Path:
        """Return the file whose bytes on the device a sync of `path` overwrites; one that is not there: the void."""
        return path

    def seen(self, path: Path, data: bytes, fresh: bool) -> bytes:
        """Return what a reader gets of a file's content."""
        return data


@dataclass(frozen=True)
class _Write:
    """Bytes on their way to the device. `at` -1: the file is cut to nothing. `lost`: no later sync makes it durable."""

    at: int
    data: bytes
    lost: bool = False


@dataclass(frozen=True)
class _File:
    """`cache` is what programs see, `platter` what the device holds, `pending` what lies between the two."""

    platter: bytes = b""
    cache: bytes = b""
    pending: tuple[_Write, ...] = ()


@dataclass
class _Change:
    """A change of names that may not be durable yet: `gone` loses its name, `here` gets the inode."""

    inode: int
    gone: tuple[int, str] | None
    here: tuple[int, str] | None
    waits: set[int] = field(default_factory=set)

    def slots(self) -> set[tuple[int, str]]:
        return {slot for slot in (self.gone, self.here) if slot}

    def apply(self, folders: dict[int, dict[str, int]]) -> None:
        if self.gone:
            folders[self.gone[0]].pop(self.gone[1], None)
        if self.here:
            folders[self.here[0]][self.here[1]] = self.inode


class _Handle:
    def __init__(self, disk: "SimDisk", path: Path, inode: int) -> None:
        self._disk, self._path, self._inode, self._open = disk, path, inode, True
        disk.open_files += 1

    def write(self, data: bytes | memoryview) -> int:
        assert self._open and len(data)
        return self._disk.write_inode(self._path, self._inode, bytes(data))

    def sync(self) -> None:
        assert self._open
        self._disk.sync_inode(self._path, self._inode)

    def close(self) -> None:
        assert self._open, "closed twice"
        self._open = False
        self._disk.open_files -= 1


class SimDisk:
    """A `Disk` in memory. `calls` lists every call; `version` grows with every change that a crash could undo."""

    def __init__(self, *folders: Path, capacity: int = 1 << 40) -> None:
        self.faults = Faults()
        self.calls: list[Call] = []
        self.version = 0
        self.open_files = 0
        self.capacity = capacity
        self._files: dict[int, _File] = {}
        self._live: dict[int, dict[str, int]] = {0: {}}
        self._durable: dict[int, dict[str, int]] = {0: {}}
        self._changes: list[_Change] = []
        for folder in folders:
            self.make_folder(folder)
        self.settle()
        self.calls.clear()

    # the calls of the seam

    def create(self, path: Path) -> OpenFile:
        self._call("create", path)
        inode = self._open(path)
        file = self._files[inode]
        if file.cache or file.pending:
            self._files[inode] = _File(file.platter, b"", (*file.pending, _Write(-1, b"")))
        return _Handle(self, path, inode)

    def append(self, path: Path) -> OpenFile:
        self._call("append", path)
        return _Handle(self, path, self._open(path))

    def kind(self, path: Path) -> Kind:
        self._call("kind", path)
        inode = self._find(path)
        return "nothing" if inode is None else "folder" if inode in self._live else "file"

    def size(self, path: Path) -> int:
        self._call("size", path)
        return len(self._file(path)[1].cache)

    def chunks(self, path: Path, *, fresh: bool = False) -> Iterator[bytes]:
        self._call("chunks", path)
        inode, file = self._file(path)
        if fresh and all(w.lost for w in file.pending):
            data = _content(file, set())
            self._files[inode] = file = _File(data, data)
        data = self.faults.seen(path, file.cache, fresh)
        for at in range(0, len(data), CHUNK_BYTES):
            yield data[at : at + CHUNK_BYTES]

    def names(self, folder: Path) -> list[str]:
        self._call("names", folder)
        inode = self._find(folder)
        return sorted(self._live.get(inode, {})) if inode is not None else []

    def make_folder(self, folder: Path) -> None:
        self._call("make_folder", folder)
        at = Path(folder.anchor)
        for name in folder.parts[1:]:
            inode = self._find(at / name)
            if inode is None:
                parent = self._folder(at)
                inode = self._new_inode()
                self._live[inode], self._durable[inode] = {}, {}
                self._change(_Change(inode, None, (parent, name)))
            elif inode not in self._live:
                raise _error(errno.EEXIST, folder)
            at /= name

    def rename(self, old: Path, new: Path) -> None:
        self._call("rename", old)
        inode, taken = self._find(old), self._find(new)
        if inode is None:
            raise _error(errno.ENOENT, old)
        if taken is not None and taken != inode:
            if taken in self._live and inode not in self._live:
                raise _error(errno.EISDIR, new)
            if inode in self._live and taken not in self._live:
                raise _error(errno.ENOTDIR, new)
            if self._live.get(taken):
                raise _error(errno.ENOTEMPTY, new)
        self._change(_Change(inode, (self._folder(old.parent), old.name), (self._folder(new.parent), new.name)))

    def remove(self, path: Path) -> None:
        self._call("remove", path)
        inode = self._find(path)
        if inode is None:
            raise _error(errno.ENOENT, path)
        if self._live.get(inode):
            raise _error(errno.ENOTEMPTY, path)
        self._change(_Change(inode, (self._folder(path.parent), path.name), None))

    def sync_folder(self, folder: Path) -> None:
        call = self._call("sync_folder", folder)
        inode = self._folder(folder)
        if self.faults.syncs(call):
            for change in self._changes:
                change.waits.discard(inode)
            self._make_durable()

    def free(self, path: Path) -> int:
        self._call("free", path)
        return self.capacity - self._used()

    # what handles do

    def write_inode(self, path: Path, inode: int, data: bytes) -> int:
        call = self._call("write", path)
        room = self.capacity - self._used()
        if room <= 0:
            raise _error(errno.ENOSPC, path)
        data = data[: min(self.faults.takes(call, len(data)), room)]
        file = self._files[inode]
        write = _Write(len(file.cache), data)
        self._files[inode] = _File(file.platter, file.cache + data, (*file.pending, write))
        self.version += 1
        return len(data)

    def sync_inode(self, path: Path, inode: int) -> None:
        file = self._files[inode]
        try:
            call = self._call("sync", path)
        except OSError:  # the system drops what it could not write, and the next sync says all is well
            lost = tuple(_Write(w.at, w.data, lost=True) for w in file.pending)
            self._files[inode] = _File(file.platter, file.cache, lost)
            raise
        if not self.faults.syncs(call):
            return
        kept = tuple(w for w in file.pending if w.lost)
        platter = file.cache if not kept else _content(file, {(i, s) for i, w, s in _sectors(file) if not w.lost})
        if (there := self.faults.lands(path)) != path:
            target, platter = self._find(there), bytes(len(platter))
            if target is not None:
                other = self._files[target]
                self._files[target] = _File(file.cache + other.platter[len(file.cache) :], other.cache, other.pending)
        self._files[inode] = _File(self.faults.stored(path, platter), file.cache, kept)
        self.version += 1

    # what tests do to it

    def content(self, path: Path) -> bytes:
        """Return a file's content, without a call."""
        return self._file(path)[1].cache

    def put(self, path: Path, data: bytes) -> None:
        """Give a file this content, durably and without a call: what a stray write or a person does."""
        self._files[self._open(path)] = _File(data, data)
        self.settle()

    def tree(self, folder: Path) -> dict[str, bytes]:
        """Return every file below `folder`, by its path from there, without a call."""
        inode = self._folder(folder)
        found: dict[str, bytes] = {}
        for name, child in self._live[inode].items():
            if child in self._files:
                found[name] = self._files[child].cache
            else:
                found |= {f"{name}/{rest}": data for rest, data in self.tree(folder / name).items()}
        return found

    def settle(self) -> None:
        """Make everything durable and hold nothing in memory, as time does: reads see what the device holds."""
        for inode, file in self._files.items():
            data = file.cache if file.pending else file.platter
            self._files[inode] = _File(data, data)
        for change in self._changes:
            change.apply(self._durable)
        self._changes.clear()

    def images(self, rng: random.Random, budget: int) -> Iterator["SimDisk"]:
        """Yield up to `budget` disks that a crash at this moment may leave, each another mixture of what is pending.

        The first has nothing of it. Then come everything, names alone and bytes alone, each thing dropped or kept
        alone, as far as a part of the budget goes, and then chance.
        """
        items = self._items()
        every, names = frozenset(items), frozenset(i for i in items if i[0] == "name")
        plain = [every, names, every - names]
        plain += [choice for item in items for choice in (every - {item}, frozenset({item}))]
        sure = 3 if budget >= 8 else 0
        room = max(sure, budget * 2 // 3)
        if len(plain) > room:
            plain[sure:] = rng.sample(plain[sure:], room - sure)
        seen: set[frozenset[Item]] = set()
        for choice in [frozenset[Item](), *plain][:budget]:
            if choice not in seen:
                seen.add(choice)
                yield self._image(choice, None)
        for _ in range(budget - len(seen)):
            kept = rng.random()
            choice = frozenset(item for item in items if rng.random() < kept)
            if choice not in seen:
                seen.add(choice)
                yield self._image(choice, rng)

    # inside

    def _call(self, name: str, path: Path) -> Call:
        call = Call(len(self.calls), name, path)
        self.calls.append(call)
        self.faults.before(call)
        return call

    def _find(self, path: Path) -> int | None:
        inode = 0
        for name in path.parts[1:]:
            inode = self._live.get(inode, {}).get(name)
            if inode is None:
                return None
        return inode

    def _folder(self, path: Path) -> int:
        inode = self._find(path)
        if inode is None:
            raise _error(errno.ENOENT, path)
        if inode not in self._live:
            raise _error(errno.ENOTDIR, path)
        return inode

    def _file(self, path: Path) -> tuple[int, _File]:
        inode = self._find(path)
        if inode is None:
            raise _error(errno.ENOENT, path)
        if inode not in self._files:
            raise _error(errno.EISDIR, path)
        return inode, self._files[inode]

    def _open(self, path: Path) -> int:
        inode = self._find(path)
        if inode is None:
            parent, inode = self._folder(path.parent), self._new_inode()
            self._files[inode] = _File()
            self._change(_Change(inode, None, (parent, path.name)))
        elif inode not in self._files:
            raise _error(errno.EISDIR, path)
        self.version += 1
        return inode

    def _new_inode(self) -> int:
        return max([*self._live, *self._files]) + 1

    def _used(self) -> int:
        return sum(
            len(self._files[i].cache) for names in self._live.values() for i in names.values() if i in self._files
        )

    def _change(self, change: _Change) -> None:
        change.waits = {folder for folder, _ in change.slots()}
        change.apply(self._live)
        self._changes.append(change)
        self.version += 1

    def _make_durable(self) -> None:
        staying: list[_Change] = []
        for change in self._changes:
            if change.waits or any(_depends(change, earlier) for earlier in staying):
                staying.append(change)
            else:
                change.apply(self._durable)
        self._changes = staying
        self.version += 1

    def _items(self) -> list[Item]:
        items: list[Item] = [("name", i, 0, 0) for i in range(len(self._changes))]
        for inode, file in self._files.items():
            if file.pending:
                items.append(("length", inode, 0, 0))
                items += [("cut" if w.at < 0 else "sector", inode, i, s) for i, w, s in _sectors(file)]
        return items

    def _image(self, choice: frozenset[Item], rng: random.Random | None) -> "SimDisk":
        image = SimDisk(capacity=self.capacity)
        image._live = {inode: dict(names) for inode, names in self._durable.items()}
        dropped: list[_Change] = []
        for i, change in enumerate(self._changes):
            if ("name", i, 0, 0) in choice and not any(_depends(change, earlier) for earlier in dropped):
                change.apply(image._live)
            else:
                dropped.append(change)
        image._durable = {inode: dict(names) for inode, names in image._live.items()}
        for inode, file in self._files.items():
            data = file.platter
            if file.pending:
                chosen = {(i, s) for name, n, i, s in choice if n == inode and name in ("cut", "sector")}
                data = _content(file, chosen, rng)
                if ("length", inode, 0, 0) not in choice:
                    data = data[: len(file.platter)]
                elif rng and rng.random() < 0.3:
                    whole = 0 if any(name == "cut" and n == inode for name, n, _, _ in choice) else len(file.platter)
                    data = data[: max(whole, rng.randrange(len(data) // SECTOR + 1) * SECTOR)]
            image._files[inode] = _File(data, data)
        return image


def _sectors(file: _File) -> Iterator[tuple[int, _Write, int]]:
    """Yield the pending writes of a file cut at the device's sector edges, a cut as one: (number, write, sector)."""
    for i, write in enumerate(file.pending):
        if write.at < 0:
            yield i, write, 0
        else:
            for sector in range(write.at // SECTOR, (write.at + len(write.data) - 1) // SECTOR + 1):
                yield i, write, sector


def _content(file: _File, chosen: set[tuple[int, int]], rng: random.Random | None = None) -> bytes:
    """Return a file's content at full length if only the chosen sectors reached the device.

    What did not is zeros or, by chance, what somebody else's deleted file left there.
    """
    data = bytearray(file.platter)
    length = len(file.cache)
    junk = rng is not None and rng.random() < 0.5
    for i, write, sector in _sectors(file):
        if write.at < 0:
            data = bytearray() if (i, sector) in chosen else data
            continue
        start = max(write.at, sector * SECTOR)
        stop = min(write.at + len(write.data), (sector + 1) * SECTOR)
        if len(data) < stop:
            size = stop - len(data)
            data += rng.randbytes(size) if junk and rng else bytes(size)
        if (i, sector) in chosen:
            data[start:stop] = write.data[start - write.at : stop - write.at]
    return bytes(data[:length] + bytes(max(0, length - len(data))))


def _depends(change: _Change, earlier: _Change) -> bool:
    return change.inode == earlier.inode or bool(change.slots() & earlier.slots())


def _error(code: int, path: Path) -> OSError:
    return OSError(code, os.strerror(code), str(path))
