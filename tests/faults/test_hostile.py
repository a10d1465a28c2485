"""Whatever lies where a checkpoint should be: one clear error, or the very state that was saved. Never code, never a
hang, never half a state, never more memory than its bytes explain.

`GNOMON_HOSTILE=100000` asks for more cases, `GNOMON_HOSTILE_SEED=7` for others or for the same ones again.
"""

import copy
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load

from gnomon.base.disk import OpenFile, RealDisk, remove_tree
from gnomon.base.errors import GnomonError
from gnomon.base.files import canonical_json, pretty_json
from gnomon.bundle import load_bundle
from gnomon.pipeline import verify
from gnomon.presets import Shape
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts
from gnomon.store.runs import Run
from gnomon.store.tensors import layout
from gnomon.tokenizer.train import train_tokenizer
from gnomon.train.state import State, held_of, load_checkpoint, numbers_of, shares, tensors_of
from tests.hostile import MODEL, OPTIMIZER, SLOTS, SPOILERS, Forgery, huge, things
from tests.world import SENTENCES, plain_state

SEED = int(os.environ.get("GNOMON_HOSTILE_SEED", "1"))
CASES = int(os.environ.get("GNOMON_HOSTILE", "5000"))
SMALL = Shape(vocabulary=384, width=32, layers=1, heads=1, kv_heads=1, head_width=32, feed_forward=32, context=32)
MEMORY_FACTOR, MEMORY_CONSTANT = 2, 40 << 20
HANG_SECONDS = 20
_SLICE = re.compile(r"(.+)\[(\d+):(\d+)\]", re.ASCII)

Saved = tuple[dict[str, bytes], dict[str, Any]]
"""A state by value: the bytes of its tensors by name, and its numbers."""


class QuickDisk(RealDisk):
    """The machine's own disk, not waited for."""

    def create(self, path: Path) -> OpenFile:
        file = super().create(path)
        file.sync = lambda: None
        return file

    def sync_folder(self, folder: Path) -> None:
        pass


class World:
    """A run with a whole checkpoint, the older one; a whole newer one to be spoiled; and a state to be loaded into."""

    def __init__(self, folder: Path) -> None:
        self.run, self.canary, self.outside = Run(folder / "run"), folder / "canary", folder / "outside"
        self.run.folder.mkdir(parents=True)
        self.run.plan_path.write_bytes(
            pretty_json({"shape": SMALL.as_dict(), "dataset": "0" * 64, "dataset_folder": None})
        )
        train_tokenizer([" ".join(SENTENCES)], 384, "qwen2").save(self.run.tokenizer_path)
        self.store = CheckpointStore(self.run.checkpoints.folder, QuickDisk())
        older, newer = (_trained(seed) for seed in (1, 2))
        self.older = self.store.commit(
            _files(older), Facts(older.step, "rolling", {"best_loss": 3.5, "is_best": False})
        )
        whole = self.store.commit(_files(newer), Facts(newer.step, "rolling", {"best_loss": 3.5, "is_best": False}))
        self.name, self.files = whole.path.name, whole.read()
        self.body = whole.manifest.model_dump(by_alias=True, exclude={"written_schema"})
        self.older_saved, self.saved = by_value(older), by_value(newer)
        remove_tree(whole.path)
        self.state = _trained(3)
        self.live = {name: t for part in tensors_of(self.state).values() for name, t in part.items()}
        self._kept = {name: tensor.clone() for name, tensor in self.live.items()}
        self.before = by_value(self.state)

    def forgery(self, *, remade: bool) -> Forgery:
        return Forgery(dict(self.files), copy.deepcopy(self.body), self.canary, remade, self.name)

    def reset(self) -> None:
        """Put the state back, and the run's folder."""
        for name, tensor in self.live.items():
            tensor.copy_(self._kept[name])
        numbers = self.before[1]
        for name in ("step", "row", "tokens", "best_loss", "since_best"):
            setattr(self.state, name, numbers[name])
        for path in self.store.folder.iterdir():
            if path != self.older.path:
                remove_tree(path)
        self.outside.unlink(missing_ok=True)


def _trained(seed: int) -> State:
    """Return a state as training could have left it, of the run's seed."""
    state, draw = plain_state(seed=seed, shape=SMALL), torch.Generator().manual_seed(seed)
    state.seed = 0
    moments = state.optimizer.tensors()
    for name in (name for name in moments if name.startswith("exp_avg.")):
        squares = moments[name.replace("exp_avg.", "exp_avg_sq.")]
        squares.copy_(torch.rand(squares.shape, generator=draw))
        moments[name].copy_(0.1 * squares.sqrt())
        moments[name.replace("exp_avg.", "step.")].fill_(5 * seed)
    state.guard.tensors()["window"][:, : 5 * seed] = 1.5
    state.guard.tensors()["accepted"].fill_(5 * seed)
    state.step, state.row, state.tokens, state.best_loss, state.since_best = 5 * seed, 40 * seed, 2500 * seed, 3.5, seed
    return state


def _files(state: State) -> dict[str, bytes]:
    found = {}
    for kind, tensors in held_of(state).items():
        specs, views = shares(tensors, 0, 1)
        data = b"".join(view.detach().numpy().tobytes() for view in views)
        found[f"{kind}.safetensors"] = layout(specs).head + data
    return found | {"state.json": canonical_json(numbers_of(state, 0))}


def by_value(state: State) -> Saved:
    numbers = {k: getattr(state, k) for k in ("step", "row", "tokens", "best_loss", "since_best")}
    return {n: t.detach().numpy().tobytes() for part in tensors_of(state).values() for n, t in part.items()}, numbers


def tensors_as_read_by_others(forgery: Forgery, *names: str) -> dict[str, bytes]:
    """Return what tensors a forgery's files hold, by the safetensors library."""
    arrays: dict[str, np.ndarray] = {}
    parts: dict[str, list[tuple[int, np.ndarray]]] = {}
    for name in names:
        for key, array in load(forgery.files[name]).items():
            if m := _SLICE.fullmatch(key):
                parts.setdefault(m[1], []).append((int(m[2]), array))
            else:
                arrays[key] = array
    for name, rows in parts.items():
        arrays[name] = np.concatenate([array for _, array in sorted(rows, key=lambda row: row[0])])
    return {name: array.tobytes() for name, array in arrays.items()}


def as_read_by_others(forgery: Forgery) -> Saved:
    """Return what a forgery's files say, by the safetensors library and a plain JSON reader."""
    said = forgery.said()
    numbers = {k: said[k] for k in ("step", "row", "tokens", "best_loss", "since_best")}
    numbers["best_loss"] = float(numbers["best_loss"])
    return tensors_as_read_by_others(forgery, MODEL, OPTIMIZER), numbers


@contextmanager
def no_hang(case: str) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"{case}: more than {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def resume(world: World) -> Checkpoint | None:
    """Do what a run does that goes on; return the checkpoint that was loaded."""
    checkpoint = world.store.newest_whole(lambda *_: None)
    if checkpoint is not None:
        load_checkpoint(world.state, checkpoint)
    return checkpoint


def refused(error: GnomonError) -> str:
    """Return the outcome of an error, once it says what and where."""
    assert error.what
    assert error.where, error
    str(error).encode()
    assert len(str(error)) < 2000
    return "refused"


def open_bundle(world: World, forgery: Forgery) -> str:
    try:
        bundle = load_bundle(world.run.folder)
    except GnomonError as e:
        return refused(e)
    weights = {name: t.numpy().tobytes() for name, t in bundle.model.state_dict().items()}
    if bundle.checkpoint.path == world.older.path:
        assert weights == {name: world.older_saved[0][name] for name in weights}
        return "unseen"
    assert weights == tensors_as_read_by_others(forgery, MODEL)
    return "loaded"


def go_on(world: World, forgery: Forgery) -> str:
    try:
        used = resume(world)
    except GnomonError as e:
        assert by_value(world.state) == world.before, "a state was changed by a checkpoint that was refused"
        return refused(e)
    if used is None:
        return "unseen"
    if used.path == world.older.path:
        assert by_value(world.state) == world.older_saved
        return "refused"
    assert by_value(world.state) == as_read_by_others(forgery)
    assert forgery.remade or forgery.files == world.files
    return "loaded"


def spoiled(world: World, number: int, seed: int = SEED) -> tuple[str, Forgery]:
    """Return case `number` of a seed, laid out on disk, and the name of its kind."""
    draw = Random(f"{seed}:{number}")
    spoiler = SPOILERS[number % len(SPOILERS)]
    forgery = world.forgery(remade=draw.random() < 0.5)
    nth = number // len(SPOILERS) * SPOILERS.count(spoiler) + SPOILERS[: number % len(SPOILERS)].count(spoiler)
    spoiler(draw, forgery, nth)
    forgery.lay(world.store.folder)
    if spoiler is things and nth % 7 < len(SLOTS):
        forgery.files = {}  # nothing that could be loaded
    return spoiler.__name__, forgery


def bytes_on_disk(folder: Path) -> int:
    return sum(p.lstat().st_size for p in folder.rglob("*") if p.is_file() and not p.is_symlink())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is quick to make and remove files in: the disk has no part in these tests."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as name:
        yield Path(name)


def test_no_hostile_checkpoint_does_more_than_be_refused_or_be_loaded_as_it_was_saved(folder: Path) -> None:
    torch.set_num_threads(1)
    world, outcomes, highest = World(folder), Counter[tuple[str, str, str]](), Counter[str]()
    seconds = dict.fromkeys((spoiler.__name__ for spoiler in SPOILERS), 0.0)
    for number in range(CASES):
        start = time.process_time()
        kind, forgery = spoiled(world, number)
        case = f"GNOMON_HOSTILE_SEED={SEED}, case {number} ({kind}, {'remade' if forgery.remade else 'as it is'})"
        measured = number % 20 == 0 or (kind == "huge" and number // len(SPOILERS) % 3 == 0)
        limit = MEMORY_FACTOR * bytes_on_disk(world.run.folder) + MEMORY_CONSTANT
        with no_hang(case):
            try:
                if number % 5 == 0 and (world.store.folder / forgery.name).is_dir():
                    verified(world.store.folder / forgery.name)
                for way, act in (("bundle", open_bundle), ("resume", go_on)):
                    if measured:
                        tracemalloc.start()
                    outcomes[kind, way, act(world, forgery)] += 1
                    if measured:
                        peak = tracemalloc.get_traced_memory()[1]
                        tracemalloc.stop()
                        assert peak <= limit, f"{peak:,} bytes of memory for {bytes_on_disk(world.run.folder):,}"
                        highest[kind] = max(highest[kind], peak)
                assert not world.canary.exists(), "code of a checkpoint has run"
            except Exception as e:
                raise AssertionError(case) from e
        world.reset()
        seconds[kind] += time.process_time() - start
    print(f"\nseed {SEED}, {CASES:,} cases, {sum(seconds.values()):.1f} s of processor")
    print("  kind: bundle | resume, peak memory in MiB, seconds")
    for spoiler in dict.fromkeys(SPOILERS):
        kind = spoiler.__name__
        row = " | ".join(
            " ".join(f"{outcomes[kind, way, o]:4} {o}" for o in ("refused", "loaded", "unseen"))
            for way in ("bundle", "resume")
        )
        print(f"  {kind:8} {row}   {highest[kind] / 2**20:5.1f} {seconds[kind]:5.1f}")
    if CASES >= 1000:
        assert {o for _, _, o in outcomes} == {"refused", "loaded", "unseen"}, "the cases do not reach every outcome"


def verified(folder: Path) -> None:
    try:
        damage = verify(folder)
    except GnomonError as e:
        refused(e)
    else:
        assert all(str(d).encode() for d in damage.damage)


PEAK = """
import resource, sys
from pathlib import Path
from tests.faults.test_hostile import World, bytes_on_disk, go_on, open_bundle, spoiled
def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
number, world = int(sys.argv[1]), World(Path(sys.argv[2]))
whole = world.forgery(remade=False)
whole.lay(world.store.folder)
assert [open_bundle(world, whole), go_on(world, whole)] == ["loaded", "loaded"]
before = peak()
world.reset()
_, forgery = spoiled(world, number)
size = bytes_on_disk(world.run.folder)
open_bundle(world, forgery), go_on(world, forgery)
print(peak() - before, size)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in Linux's unit")
@pytest.mark.parametrize("nth", range(6))
def test_what_a_huge_one_costs_a_process_is_bounded_by_its_size(folder: Path, nth: int) -> None:
    number = SPOILERS.index(huge) + nth * len(SPOILERS)
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(number), str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    grown, size = map(int, done.stdout.split())
    assert grown <= MEMORY_FACTOR * size + MEMORY_CONSTANT
