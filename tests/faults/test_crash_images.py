"""After a crash at any call, whatever the disk has kept of what was not durable, the store has the old or the new.

Every workload runs on a simulated disk. Before each call that follows a change, the disk shows states that a crash at
this moment may leave; on each a new process starts, and finds what it must, bit for bit, and goes on.

GNOMON_CRASH_SEED=n chooses other mixtures, GNOMON_SOAK=1 takes many more of them.
"""

import contextlib
import errno
import itertools
import json
import os
import random
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from gnomon.base.errors import StorageError
from gnomon.base.files import LineFile, read_lines, write_atomic
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
from gnomon.store.manifest import Damage
from tests.simdisk import CHANGING, Call, Faults, SimDisk

SEED = int(os.environ.get("GNOMON_CRASH_SEED", "1"))
IMAGES = 50_000 if os.environ.get("GNOMON_SOAK") == "1" else 6_500
RUN = Path("/runs/a")
FOLDER = RUN / "checkpoints"
JOURNAL = RUN / "journal.jsonl"
CONFIG = RUN / "eval" / "new" / "config.json"
NEXT = 99


class Killed(BaseException):
    """The process is gone: no clean-up runs."""


class Scene:
    """A run on a simulated disk, and what a new process must find of it, from contents kept here."""

    def __init__(self, rng: random.Random, turn: int) -> None:
        self.turn = turn
        self.rng, self.images, self.budget = rng, 0, 12
        self.disk = SimDisk(RUN)
        self.kept: dict[int, dict[str, bytes]] = {}
        self.newest: set[int | None] = {None}  # steps, one of which is the newest whole
        self.staying: set[int] = set()  # steps that must be there and whole besides
        self.least = 0  # as many are there at least
        self.gone: set[int] = set()  # steps that must be out of sight
        self.damaged: set[int] = set()  # steps whose bytes were damaged on purpose
        self.pins: list[list[int]] = [[]]
        self.lines: list[int] = []  # that must be in the journal
        self.soft: list[int] = []  # whose append has returned, without the word that they are durable
        self.begun = 0  # lines, in all
        self.config: set[bytes | None] = {None}

    def store(self) -> CheckpointStore:
        return CheckpointStore(FOLDER, self.disk)

    def files(self, *sizes: int) -> dict[str, bytes]:
        model, optimizer = (*sizes, *[self.rng.randrange(600, 3000) for _ in "mo"])[:2]
        return {
            "model.safetensors": self.rng.randbytes(model),
            "optimizer.safetensors": self.rng.randbytes(optimizer),
            "state.json": json.dumps({"n": self.rng.random()}).encode(),
        }

    def commit(self, step: int, *sizes: int) -> Checkpoint:
        """Commit a checkpoint; from its return on it must be the newest."""
        self.kept[step] = self.files(*sizes)
        self.newest.add(step)
        checkpoint = self.store().commit(self.kept[step], Facts(step, "rolling", {"is_best": step == 1}))
        self.newest = {step}
        return checkpoint

    def settled(self, *steps: int) -> None:
        """Commit these and let time make them durable."""
        for step in steps:
            self.commit(step)
        self.disk.settle()

    def checkpoint(self, step: int) -> Checkpoint:
        return next(c for c in self.store().all() if c.step == step)

    def pin(self, step: int) -> None:
        self.pins.append([*self.pins[-1], step])
        self.store().pin(self.checkpoint(step).path.name, keep=True)
        self.pins = self.pins[-1:]

    def append(self, log: LineFile, *, durable: bool) -> None:
        self.begun += 1
        log.append(json.dumps({"n": self.begun, "x": "y" * self.rng.randrange(1000)}).encode(), durable=durable)
        self.soft.append(self.begun)
        if durable:
            self.lines, self.soft = self.lines + self.soft, []

    def write(self, data: bytes) -> None:
        self.config.add(data)
        write_atomic(CONFIG, data, self.disk)
        self.config = {data}

    def check(self, image: SimDisk) -> None:
        """Start a new process on what a crash has left."""
        self.images += 1
        store, told = CheckpointStore(FOLDER, image), list[int]()

        def on_damage(checkpoint: Checkpoint, damage: list[Damage]) -> None:
            told.append(checkpoint.step)

        store.sweep()
        seen = {c.step for c in store.all()}
        newest = store.newest_whole(on_damage)
        step = newest.step if newest else None
        assert step in self.newest
        assert set(told) <= self.damaged, "what was durable and whole is called damaged"
        assert newest is None or newest.read() == self.kept[newest.step]
        there = {c.step: c for c in store.all()}
        assert self.staying <= set(there) and self.least <= len(there)
        assert not self.gone & seen, "what was set aside is back"
        for at, checkpoint in there.items():
            assert at in self.damaged or checkpoint.read() == self.kept[at]
        assert [name for name in image.tree(RUN) if name.startswith("checkpoints/.staging")] == []
        assert [int(name.split("-")[-1]) for name in store.pins()] in self.pins
        self._check_files(image)
        files = self.files()
        store.commit(files, Facts(NEXT, "rolling", {}, attempt=2))
        assert all(c.damage() == [] for c in store.all() if c.step not in self.damaged)
        (again,) = image.images(self.rng, 1)  # nothing that was not durable survives a second crash
        last = CheckpointStore(FOLDER, again).newest_whole(on_damage)
        assert last is not None and (last.step, last.read()) == (NEXT, files)

    def _check_files(self, image: SimDisk) -> None:
        found = list(read_lines(JOURNAL, image))
        lines = [line["n"] for line in found if isinstance(line, dict)]
        assert len(lines) == len(found) and lines == sorted(set(lines))
        assert set(self.lines) <= set(lines) <= set(range(1, self.begun + 1))
        assert (image.content(CONFIG) if image.kind(CONFIG) == "file" else None) in self.config
        LineFile(JOURNAL, image).append(b'{"n":0}', durable=True)
        assert [*lines, 0] == [line["n"] for line in read_lines(JOURNAL, image)]

    def watched(self, work: Callable[["Scene"], None]) -> None:
        """Do the work and crash before every call of it, and after the last."""
        self.disk.faults = _Crashing(self)
        work(self)
        _crash(self)


class _Crashing(Faults):
    def __init__(self, scene: Scene) -> None:
        self.scene, self.last = scene, ()

    def before(self, call: Call) -> None:
        scene = self.scene
        now = (scene.disk.version, frozenset(scene.newest), len(scene.lines), len(scene.pins), len(scene.config))
        if now != self.last:
            self.last = now
            try:
                _crash(scene)
            except Exception as e:
                e.add_note(f"GNOMON_CRASH_SEED={SEED}: crash before call {call.number}, {call.name} {call.path}")
                raise


def _crash(scene: Scene) -> None:
    for image in scene.disk.images(scene.rng, scene.budget):
        scene.check(image)


def first(scene: Scene) -> None:
    scene.watched(lambda s: s.commit(1) and None)


def third(scene: Scene) -> None:
    scene.settled(1, 2)
    scene.staying = {1, 2}
    scene.watched(lambda s: s.commit(3) and None)


def large(scene: Scene) -> None:
    scene.settled(1)
    scene.watched(lambda s: s.commit(2, (1 << 20) + 3000, 700) and None)


def two_and_retain(scene: Scene) -> None:
    scene.settled(1, 2, 3)
    scene.staying = {1, 2, 3}

    def work(s: Scene) -> None:
        for step in (4, 5):
            s.commit(step)
            s.staying = {1, step - 1}  # the best one, and one of the last two
            s.store().retain(Retention(2), _no_damage)

    scene.watched(work)


def quarantine(scene: Scene) -> None:
    scene.settled(1, 2, 3)
    path = scene.checkpoint(3).path / "model.safetensors"
    scene.disk.put(path, scene.disk.content(path)[:-1] + b"?")
    scene.damaged, scene.newest, scene.staying = {3}, {2}, {1, 2}

    def work(s: Scene) -> None:
        found = s.store().newest_whole(lambda *_: None)
        assert found is not None and found.step == 2
        s.gone = {3}
        s.commit(4)

    scene.watched(work)


def discard(scene: Scene) -> None:
    scene.settled(1, 2, 3, 4)
    scene.staying = {1, 2}

    def work(s: Scene) -> None:
        for step in (4, 3):
            s.newest.add(step - 1)
            s.store().discard(s.checkpoint(step))
            s.newest = {step - 1}
        assert s.commit(5).sequence == 5, "a number is never given twice"

    scene.watched(work)


def pin(scene: Scene) -> None:
    scene.settled(1, 2, 3, 4, 5, 6)
    scene.staying = {1, 2, 5, 6}

    def work(s: Scene) -> None:
        s.pin(2)
        s.store().retain(Retention(1), _no_damage)
        s.pin(5)
        s.commit(7)

    scene.watched(work)


def shares(scene: Scene) -> None:
    """Two ranks write one checkpoint."""
    scene.settled(1)
    whole = scene.files()
    scene.kept[2] = whole | {"model-1.safetensors": scene.rng.randbytes(900)}

    def work(s: Scene) -> None:
        s.newest.add(2)
        store, facts = s.store(), Facts(2, "rolling", {})
        name = store.next_name(2)
        store.write_part({"model-1.safetensors": s.kept[2]["model-1.safetensors"]}, facts, name=name, rank=1)
        store.commit(whole, facts, name=name, world=2)
        s.newest = {2}

    scene.watched(work)


def killed(scene: Scene) -> None:
    """A process is killed at any call, its successor goes on, and the power fails under that one."""
    scene.settled(*([1, 2, 3] * (scene.turn % 2)))
    _stop_at(scene, scene.turn // 2, _one_and_retain)
    scene.newest |= set(scene.kept)

    def work(s: Scene) -> None:
        store = s.store()
        store.sweep()
        found = store.newest_whole(_no_damage)
        s.newest |= {found.step if found else None}
        s.budget = 1 + (s.turn % 3 == 0)
        s.append(LineFile(JOURNAL, s.disk), durable=True)
        s.commit(11)
        s.store().retain(Retention(2), _no_damage)

    scene.watched(work)


def _one_and_retain(scene: Scene) -> None:
    scene.append(LineFile(JOURNAL, scene.disk), durable=True)
    scene.commit(10)
    scene.store().retain(Retention(1), _no_damage)


def _stop_at(scene: Scene, number: int, work: Callable[[Scene], None]) -> None:
    """Do the work up to its change of this number, counted from 0, and no further."""

    class Kill(Faults):
        changes = 0

        def before(self, call: Call) -> None:
            self.changes += call.name in CHANGING
            if self.changes > number:
                raise Killed

    scene.disk.faults = Kill()
    with contextlib.suppress(Killed):
        work(scene)
    scene.disk.faults = Faults()


def refused(scene: Scene) -> None:
    """A call fails, the process goes on with the next save, and then the power fails."""
    scene.settled(1, 2, 3)
    scene.staying, scene.least = {1}, 3

    class Refuse(_Crashing):
        count = 0

        def before(self, call: Call) -> None:
            if call.name in CHANGING:
                self.count += 1
                if self.count == scene.turn:
                    raise OSError(errno.EIO, "Input/output error", str(call.path))
            if self.count >= scene.turn:
                scene.budget = 9 if self.count < scene.turn + 12 else 1
                super().before(call)

    def work(s: Scene) -> None:
        s.disk.faults = Refuse(s)
        log = LineFile(JOURNAL, s.disk)
        for step in (4, 5):
            for _ in range(2):
                with contextlib.suppress(StorageError):
                    s.append(log, durable=True)
            with contextlib.suppress(StorageError):
                s.commit(step)
                s.store().retain(Retention(2), _no_damage)

    scene.watched(work)


def durable_lines(scene: Scene) -> None:
    log = LineFile(JOURNAL, scene.disk)

    def work(s: Scene) -> None:
        for _ in range(5):
            s.append(log, durable=True)

    scene.watched(work)


def mixed_lines(scene: Scene) -> None:
    log = LineFile(JOURNAL, scene.disk)

    def work(s: Scene) -> None:
        for durable in (False, True, False, False, True):
            s.append(log, durable=durable)

    scene.watched(work)


def replaced_file(scene: Scene) -> None:
    def work(s: Scene) -> None:
        for size in (10, 1500, 900, 600):
            s.write(s.rng.randbytes(size))

    scene.watched(work)


WORKLOADS: dict[Callable[[Scene], None], int] = {
    first: 1,
    third: 1,
    large: 1,
    two_and_retain: 1,
    quarantine: 1,
    discard: 1,
    pin: 1,
    shares: 1,
    killed: 90,
    refused: 90,
    durable_lines: 1,
    mixed_lines: 1,
    replaced_file: 1,
}
"""And how many turns each takes at least: one for every call at which a process can be killed or refused."""


def _no_damage(checkpoint: Checkpoint, damage: list[Damage]) -> None:
    pytest.fail(f"{checkpoint.path.name} is called damaged: {damage[0]}")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.__name__)
def test_whatever_a_crash_leaves_the_old_or_the_new_is_found(
    workload: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = random.Random(SEED)
    monkeypatch.setattr(uuid, "uuid4", lambda: uuid.UUID(int=names.getrandbits(128)))
    wanted, count = IMAGES // len(WORKLOADS) + 1, 0
    for turn in itertools.count():
        scene = Scene(random.Random(f"{SEED} {workload.__name__} {turn}"), turn)
        try:
            workload(scene)
        except Exception as e:
            e.add_note(f"GNOMON_CRASH_SEED={SEED}: {workload.__name__}, turn {turn}, image {scene.images}")
            raise
        count += scene.images
        if count >= wanted and turn + 1 >= WORKLOADS[workload]:
            break
    print(f"{workload.__name__}: {count:,} crash images, GNOMON_CRASH_SEED={SEED}")
    assert count >= wanted
