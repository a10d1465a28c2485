"""A disk that refuses, lies, loses, misplaces and misreads: what was committed stays whole, and what is not is named.

Everything here runs on a simulated disk. `GNOMON_CRASH_SEED=n` chooses other bytes, places and crash images.
"""

import errno
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gnomon.base.errors import IntegrityError, StorageError
from gnomon.base.files import LineFile, read_lines, write_atomic
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
from gnomon.store.manifest import Damage
from tests.simdisk import CHANGING, Call, Faults, SimDisk

SEED = int(os.environ.get("GNOMON_CRASH_SEED", "1"))
RUN = Path("/runs/a")
FOLDER = RUN / "checkpoints"
HASHED = ("model.safetensors", "optimizer.safetensors", "state.json")
ALL = (*HASHED, "manifest.json", "manifest.json.sha256")

Files = dict[str, bytes]
Told = list[tuple[int, list[str]]]


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    print(f"GNOMON_CRASH_SEED={SEED}")
    return random.Random(f"{SEED} {request.node.name}")


class World:
    """A run with checkpoints of some steps, durable, and the contents that they were given."""

    def __init__(self, rng: random.Random, *steps: int, capacity: int = 1 << 40) -> None:
        self.disk, self.rng = SimDisk(RUN, capacity=capacity), rng
        self.kept: dict[int, Files] = {}
        for step in steps:
            self.commit(step)
        self.disk.settle()
        self.told: Told = []

    @property
    def store(self) -> CheckpointStore:
        return CheckpointStore(FOLDER, self.disk)

    def commit(self, step: int) -> Checkpoint:
        self.kept[step] = {
            "model.safetensors": self.rng.randbytes(self.rng.randrange(600, 3000)),
            "optimizer.safetensors": self.rng.randbytes(self.rng.randrange(600, 3000)),
            "state.json": json.dumps({"n": self.rng.random()}).encode(),
        }
        return self.store.commit(self.kept[step], Facts(step, "rolling", {}, save=len(self.kept)))

    def checkpoint(self, step: int) -> Checkpoint:
        return next(c for c in self.store.all() if c.step == step)

    def tell(self, checkpoint: Checkpoint, damage: list[Damage]) -> None:
        self.told.append((checkpoint.step, sorted({d.file for d in damage})))

    def newest(self) -> int | None:
        """Return the step of the newest whole checkpoint, after a look at its bits."""
        found = self.store.newest_whole(self.tell)
        assert found is None or found.read() == self.kept[found.step]
        return found.step if found else None

    def steps(self) -> list[int]:
        """Return the steps of what is in sight; all of it must be whole and bit for bit what it was given."""
        for checkpoint in self.store.all():
            assert checkpoint.damage() == [] and checkpoint.read() == self.kept[checkpoint.step]
        return [c.step for c in self.store.all()]

    def power_cut(self) -> None:
        """Lose everything that is not durable."""
        (self.disk,) = self.disk.images(self.rng, 1)

    def goes_on(self) -> None:
        """Check that the next save works, and that a sweep leaves no leavings."""
        self.commit(99)
        assert self.newest() == 99
        self.store.sweep()
        assert [name for name in self.disk.tree(RUN) if ".staging" in name] == []
        assert self.disk.open_files == 0


class Failing(Faults):
    """From call `first` on, one call or all fail with `code`; with `short`, writes take only a part before that."""

    def __init__(self, first: int, code: int | None, *, once: bool, short: bool, at: int) -> None:
        self.first, self.code, self.once, self.short = first + at, code, once, short
        self.failed = self.cut = False

    def before(self, call: Call) -> None:
        due = call.number >= self.first and not (self.once and self.failed)
        if self.code and due and (not self.short or (self.cut and call.name == "write")):
            self.failed = True
            raise OSError(self.code, os.strerror(self.code), str(call.path))

    def takes(self, call: Call, size: int) -> int:
        if self.short and call.number >= self.first and size > 1 and not (self.once and self.cut):
            self.cut = True
            return size // 2
        return size


WAYS: dict[str, tuple[int | None, bool]] = {
    "EIO": (errno.EIO, False),
    "ENOSPC": (errno.ENOSPC, False),
    "EINTR": (errno.EINTR, False),
    "ENOTEMPTY": (errno.ENOTEMPTY, False),
    "short": (None, True),
    "short, then ENOSPC": (errno.ENOSPC, True),
}


def save(world: World) -> None:
    world.commit(4)


def retain(world: World) -> None:
    world.store.retain(Retention(1), world.tell)


def discard(world: World) -> None:
    world.store.discard(world.checkpoint(3))


def sweep(world: World) -> None:
    world.store.sweep()


def pin(world: World) -> None:
    world.store.pin(world.checkpoint(1).path.name, keep=True)


# what is done, and which steps may then be in sight, whatever failed
WORK: dict[Callable[[World], None], list[list[int]]] = {
    save: [[1, 2, 3], [1, 2, 3, 4]],
    retain: [[1, 2, 3], [2, 3]],
    discard: [[1, 2, 3], [1, 2]],
    sweep: [[1, 2, 3]],
    pin: [[1, 2, 3]],
}


def failures(make: Callable[[], World], work: Callable[[World], None], way: str, once: bool) -> Iterator[World]:
    """Yield the world after each failure of the work, one for every call of it, and the world after no failure."""
    code, short = WAYS[way]
    for k in range(1000):
        world = make()
        before = len(world.disk.calls)
        world.disk.faults = Failing(before, code, once=once, short=short, at=k)
        try:
            work(world)
            raised = False
        except (StorageError, IntegrityError):
            raised = True
        reached = len(world.disk.calls) - before > k
        world.disk.faults = Faults()
        assert code or not raised, "a short write is no failure"
        yield world
        if not reached:
            return
    pytest.fail("the work never ends")


@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("work", WORK, ids=lambda w: w.__name__)
def test_whichever_call_fails_the_old_ones_stay_and_nothing_half_is_seen(
    work: Callable[[World], None], way: str, once: bool, rng: random.Random
) -> None:
    def make() -> World:
        world = World(rng, 1, 2, 3)
        world.disk.put(FOLDER / ".staging-000003-step-00000003-0-0", b"left by a kill")
        return world

    count = 0
    for world in failures(make, work, way, once):
        count += 1
        assert world.steps() in WORK[work]
        world.told.clear()
        assert world.newest() in (2, 3, 4)
        assert world.told == [], "nothing here is damaged"
        assert world.store.pins() in ([], [world.store.all()[0].path.name])
        world.goes_on()
        world.power_cut()
        assert world.newest() == 99
        assert set(world.steps()) >= {2}
    assert count > 3


@pytest.mark.parametrize("once", [True, False], ids=["once", "for good"])
@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_of_a_fall_back_fails_the_one_before_is_used_now_or_at_the_next_try(
    way: str, once: bool, rng: random.Random
) -> None:
    def make() -> World:
        world = World(rng, 1, 2, 3)
        path = world.checkpoint(3).path / "model.safetensors"
        world.disk.put(path, world.disk.content(path)[1:])
        return world

    def fall_back(world: World) -> None:
        found = world.store.newest_whole(world.tell)
        assert found is not None and found.step in (1, 2)

    for world in failures(make, fall_back, way, once):
        world.told.clear()
        assert world.newest() == 2
        assert world.told in ([], [(3, ["model.safetensors"])])
        assert world.steps() == [1, 2]
        world.goes_on()


@pytest.mark.parametrize("way", WAYS)
def test_whichever_call_of_a_first_save_fails_the_next_one_is_durable(way: str, rng: random.Random) -> None:
    for world in failures(lambda: World(rng), lambda w: w.commit(1) and None, way, once=True):
        assert world.newest() in (None, 1)
        world.goes_on()
        world.power_cut()
        assert world.newest() == 99


@pytest.mark.parametrize("way", WAYS)
def test_a_save_that_failed_is_out_of_sight_also_when_its_rename_was_not(way: str, rng: random.Random) -> None:
    raised = 0
    for k in range(200):
        world = World(rng, 1)
        code, short = WAYS[way]
        start = len(world.disk.calls)
        world.disk.faults = Failing(start, code, once=True, short=short, at=k)
        try:
            world.commit(2)
        except (StorageError, IntegrityError):
            raised += 1
            world.disk.faults = Faults()
            assert world.steps() == [1]
            assert [name for name in world.disk.tree(RUN) if ".staging" in name] == []
        if len(world.disk.calls) - start <= k:
            break
    assert bool(raised) == (WAYS[way][0] is not None)


@pytest.mark.parametrize("process", ["the same", "a new one"])
@pytest.mark.parametrize("way", WAYS)
def test_lines_and_replaced_files_fail_with_one_kind_of_error_and_go_on(
    way: str, process: str, rng: random.Random
) -> None:
    config, lines = RUN / "config.json", dict[int, tuple[LineFile, list[int]]]()

    def make() -> World:
        world = World(rng)
        world.disk.put(config, b"old")
        lines[id(world)] = LineFile(RUN / "journal.jsonl", world.disk), []
        return world

    def work(world: World) -> None:
        log, done = lines[id(world)]
        for n in range(3):
            log.append(json.dumps({"n": n, "x": "y" * 700}).encode(), durable=True)
            done.append(n)
        write_atomic(config, b"new" * 400, world.disk)

    for world in failures(make, work, way, once=True):
        assert world.disk.content(config) in (b"old", b"new" * 400)
        assert [name for name in world.disk.tree(RUN) if ".staging" in name] == []
        log, done = lines[id(world)]
        if process == "a new one":
            log = LineFile(log.path, world.disk)
        log.append(b'{"n": 9}', durable=True)
        world.power_cut()
        found = [value["n"] for value in read_lines(log.path, world.disk)]
        assert {*done, 9} <= set(found) and len(set(found)) == len(found)
        assert world.disk.content(config) in (b"old", b"new" * 400)


def test_a_full_disk_is_made_room_on_and_never_below_two(rng: random.Random) -> None:
    world = World(rng, 1, 2, 3, 4)
    world.disk.capacity = sum(map(len, world.disk.tree(RUN).values())) + 1000
    world.commit(5)
    assert world.steps() == [3, 4, 5]
    world.disk.capacity = sum(map(len, world.disk.tree(RUN).values())) - 20_000
    with pytest.raises(StorageError, match="no space left"):
        world.commit(6)
    assert world.steps() == [4, 5]
    assert [name for name in world.disk.tree(RUN) if ".staging" in name] == []
    world.disk.capacity = 1 << 40
    world.goes_on()


# a disk that lies


class _Lying(Faults):
    def __init__(self, *names: str) -> None:
        self.names = names

    def syncs(self, call: Call) -> bool:
        return call.name not in self.names


@pytest.mark.parametrize("about", [["sync"], ["sync_folder"], ["sync", "sync_folder"]], ids="+".join)
@pytest.mark.parametrize("kept", [(), (1, 2)], ids=["about all", "about the newest"])
def test_a_sync_that_lies_costs_no_more_than_what_it_lied_about(
    about: list[str], kept: tuple[int, ...], rng: random.Random
) -> None:
    fell_back = 0
    for _ in range(4):
        world = World(rng, *kept)
        world.disk.faults = _Lying(*about)
        for step in (3, 4):
            world.commit(step)
        for image in world.disk.images(rng, 60):
            after = World(rng)
            after.disk, after.kept = image, dict(world.kept)
            try:
                newest = after.newest()
            except IntegrityError:
                assert not kept and {step for step, _ in after.told} == {c.step for c in after.store.all()}
                fell_back += 1
                continue
            assert newest in ({2, 3, 4} if kept else {None, 3, 4})
            assert all(newest is None or step > newest for step, _ in after.told)
            fell_back += newest != 4
            after.goes_on()
    assert fell_back > 10


class _Flipping(Faults):
    """A bit of one file is flipped: on its way to the device, or on the way back."""

    def __init__(self, path: Path, rng: random.Random, *, stored: bool = False, reads: int = 0) -> None:
        self.path, self.at, self.bit = path, rng.random(), 1 << rng.randrange(8)
        self.on_the_way, self.reads, self.poisoned = stored, reads, False

    def _flip(self, data: bytes) -> bytes:
        at = int(self.at * len(data))
        return data[:at] + bytes([data[at] ^ self.bit]) + data[at + 1 :]

    def stored(self, path: Path, data: bytes) -> bytes:
        return self._flip(data) if self.on_the_way and path.name == self.path.name else data

    def seen(self, path: Path, data: bytes, fresh: bool) -> bytes:
        if path != self.path or (fresh and self.poisoned) or not self.reads:
            return data
        self.reads -= 1
        return self._flip(data)


@pytest.mark.parametrize("name", ALL)
def test_a_bit_flipped_on_the_way_to_the_disk_is_found_at_once(name: str, rng: random.Random) -> None:
    for _ in range(30):
        world = World(rng, 1, 2)
        world.disk.faults = _Flipping(Path(name), rng, stored=True)
        with pytest.raises(IntegrityError, match="reads back differently") as caught:
            world.commit(3)
        assert f"differently: {name}" in caught.value.what
        aside = FOLDER / "quarantine" / Path(caught.value.where or "").name
        assert json.loads(world.disk.content(aside / "REASON.json"))[0]["file"] == name
        world.disk.faults = Faults()
        assert world.steps() == [1, 2] and world.newest() == 2
        world.goes_on()


def test_a_damaged_save_that_cannot_be_set_aside_is_still_refused_and_passed_over(rng: random.Random) -> None:
    class NoQuarantine(_Flipping):
        def before(self, call: Call) -> None:
            if "quarantine" in call.path.parts and call.name in CHANGING:
                raise OSError(errno.EROFS, "Read-only file system", str(call.path))

    world = World(rng, 1, 2)
    world.disk.faults = NoQuarantine(Path("state.json"), rng, stored=True)
    with pytest.raises(IntegrityError, match="reads back differently"):
        world.commit(3)
    assert world.newest() == 2
    assert world.told == [(3, ["state.json"])]
    world.disk.faults = Faults()
    assert world.store.retain(Retention(1), world.tell) == []
    assert world.steps() == [1, 2]
    world.goes_on()


@pytest.mark.parametrize("poisoned", [False, True], ids=["once", "until read from the device"])
@pytest.mark.parametrize("name", ALL)
def test_a_bit_flipped_on_the_way_back_moves_nothing(name: str, poisoned: bool, rng: random.Random) -> None:
    def misread(world: World, step: int) -> None:
        path = FOLDER / f"{step:06d}-step-{step:08d}" / name
        flipping = _Flipping(path, rng, reads=1000 if poisoned else 1)
        flipping.poisoned = poisoned
        world.disk.faults = flipping

    for step in (1, 2, 3):
        world = World(rng, 1, 2, 3)
        world.store.pin(world.checkpoint(1).path.name, keep=True)
        misread(world, step)
        found = world.store.newest_whole(world.tell)
        assert found is not None and found.step == 3
        misread(world, step)
        world.store.retain(Retention(1), world.tell)
        misread(world, 4)
        world.commit(4)
        world.disk.faults = Faults()
        assert world.told == []
        assert world.steps() == [1, 2, 3, 4]


def test_a_best_one_whose_manifest_is_misread_is_not_removed(rng: random.Random) -> None:
    world = World(rng)
    for step in (1, 2, 3, 4):
        files = {"state.json": b"{}"}
        world.kept[step] = files
        world.store.commit(files, Facts(step, "rolling", {"is_best": step == 1}))
    world.disk.faults = _Flipping(world.checkpoint(1).path / "manifest.json", rng, reads=1)
    world.store.retain(Retention(2), world.tell)
    world.disk.faults = Faults()
    assert world.steps() == [1, 3, 4]


@pytest.mark.parametrize("name", ALL)
def test_a_file_that_is_always_misread_is_named_and_the_one_before_is_used(name: str, rng: random.Random) -> None:
    for _ in range(20):
        world = World(rng, 1, 2, 3)
        world.disk.faults = _Flipping(world.checkpoint(3).path / name, rng, reads=1000)
        assert world.newest() == 2
        assert world.told == [(3, [name])]


@pytest.mark.parametrize("there", [*ALL, "older"])
@pytest.mark.parametrize("name", ALL)
def test_a_write_that_lands_in_another_file_is_found_in_both(name: str, there: str, rng: random.Random) -> None:
    class Misdirected(Faults):
        def lands(self, path: Path) -> Path:
            if path.name != name or path.parent.name[0] != ".":
                return path
            return old.path / "model.safetensors" if there == "older" else path.parent / there

    world = World(rng, 1, 2)
    old = world.checkpoint(2)
    world.disk.faults = Misdirected()
    if name == there:
        world.commit(3)
        return
    with pytest.raises(IntegrityError, match="reads back differently") as caught:
        world.commit(3)
    world.disk.faults = Faults()
    hit = {name} | ({there} if there in ALL[: ALL.index(name)] else set())  # one that is written later heals
    reason = FOLDER / "quarantine" / Path(caught.value.where or "").name / "REASON.json"
    named = {damage["file"] for damage in json.loads(world.disk.content(reason))}
    assert named == hit or (hit & {"manifest.json", "manifest.json.sha256"} >= named)
    world.disk.settle()
    assert world.newest() == (1 if there == "older" else 2)
    assert world.told == ([(2, ["model.safetensors"])] if there == "older" else [])
    world.goes_on()


@pytest.mark.parametrize("name", ALL)
def test_a_stale_read_is_found(name: str, rng: random.Random) -> None:
    class Stale(Faults):
        def seen(self, path: Path, data: bytes, fresh: bool) -> bytes:
            return older if path == newest.path / name else data

    world = World(rng, 1, 2, 3)
    newest = world.checkpoint(3)
    older = world.disk.content(world.checkpoint(2).path / name)
    world.disk.faults = Stale()
    assert world.newest() == 2
    ((step, files),) = world.told
    assert step == 3 and (files == [name] or name.startswith("manifest"))


# others at work


def test_a_reader_is_not_troubled_by_what_a_writer_removes_under_its_eyes(rng: random.Random) -> None:
    class Writer(Faults):
        def __init__(self, world: World, at: int) -> None:
            self.world, self.at = world, at

        def before(self, call: Call) -> None:
            if call.number == self.at:
                self.world.disk.faults = Faults()
                self.world.store.discard(self.world.checkpoint(3))
                self.world.commit(4)
                self.world.store.discard(self.world.checkpoint(2))

    answers = set[int | None]()
    for k in range(200):
        world = World(rng, 1, 2, 3)
        start = len(world.disk.calls)
        world.disk.faults = Writer(world, start + k)
        found = world.store.newest_whole(world.tell)
        world.disk.faults = Faults()
        answers.add(found.step if found else None)
        assert world.told == [] and world.steps() in ([1, 4], [1, 2, 3])
        assert not any("quarantine" in name for name in world.disk.tree(RUN))
        if world.steps() == [1, 2, 3]:
            break
    assert answers <= {1, 3, 4} and len(answers) > 1


def test_when_nothing_is_whole_every_try_says_so(rng: random.Random) -> None:
    world = World(rng, 1, 2)
    for step in (1, 2):
        world.disk.put(world.checkpoint(step).path / "state.json", b"{}")
    for _ in range(3):
        with pytest.raises(IntegrityError, match="all 2 checkpoints are damaged"):
            world.newest()
    assert world.store.retain(Retention(1), world.tell) == []
    assert len(world.store.all()) == 2
