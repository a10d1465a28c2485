"""Bit rot: whichever bit of a real checkpoint flips, it is found and placed, and the checkpoint before is used."""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.disk import CHUNK_BYTES
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts
from gnomon.store.manifest import Damage
from gnomon.store.tensors import Spec, layout

SEED = int(os.environ.get("GNOMON_CRASH_SEED", "1"))
FLIPS = 50_000 if os.environ.get("GNOMON_SOAK") == "1" else 10_000
WHOLE_WAY = 20  # one flip of so many goes through a fall-back, on a copy of the run
FILES: tuple[str, ...] = (
    "model.safetensors",
    "optimizer.safetensors",
    "state.json",
    "manifest.json",
    "manifest.json.sha256",
)


def safetensors(arrays: dict[str, np.ndarray]) -> bytes:
    plan = layout([Spec(name, str(a.dtype), a.shape) for name, a in arrays.items()])
    data = bytearray(plan.head) + bytes(plan.size - len(plan.head))
    for at, array in zip(plan.offsets, arrays.values(), strict=True):
        data[at : at + array.nbytes] = array.tobytes()
    return bytes(data)


def checkpoint_files(rng: random.Random, width: int) -> dict[str, bytes]:
    """Return the files of a two-layer model, its two Adam moments and a state, as a run writes them."""
    draw = np.random.default_rng(rng.getrandbits(32))
    shapes = {"embed": (257, width), "0.qkv": (3 * width, width), "0.up": (4 * width, width), "norm": (width,)}
    model = {name: draw.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}
    moments = {f"{kind}.{name}": a * a for kind in ("m", "v") for name, a in model.items()}
    state = {"step": 1000, "row": 4096, "rng": [rng.getrandbits(64) for _ in range(8)], "loss": 2.25}
    return {
        "model.safetensors": safetensors(model),
        "optimizer.safetensors": safetensors(moments),
        "state.json": json.dumps(state, indent=1).encode(),
    }


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file where it lies."""
    with path.open("r+b") as f:
        f.seek(bit // 8)
        byte = f.read(1)[0]
        f.seek(bit // 8)
        f.write(bytes([byte ^ 1 << bit % 8]))


def check_damage(damage: list[Damage], name: str, bit: int, case: str) -> None:
    assert damage, f"not found: {case}"
    if name.startswith("manifest"):
        assert [d.file for d in damage] == [name], case
    else:
        place = bit // 8 // CHUNK_BYTES * CHUNK_BYTES
        assert [(d.file, d.offset) for d in damage] == [(name, place)], case


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> CheckpointStore:
    store = CheckpointStore(tmp_path_factory.mktemp("run") / "checkpoints")
    for step in (900, 1000):
        store.commit(checkpoint_files(random.Random(step), 32), Facts(step, "rolling", {"loss": 2.25}))
    return store


def test_every_flipped_bit_is_found_and_placed_and_the_checkpoint_before_is_used(
    run: CheckpointStore, tmp_path: Path
) -> None:
    print(f"GNOMON_CRASH_SEED={SEED}")
    rng = random.Random(SEED)
    newest = run.all()[-1]
    older = run.all()[0].read()
    sizes = {name: (newest.path / name).stat().st_size for name in FILES}
    assert 100_000 < sum(sizes.values()) < 300_000
    # half by size, as rot has it, and half evenly, so that the small files get their share
    drawn = rng.choices(FILES, [sizes[name] / sum(sizes.values()) + 1 / len(FILES) for name in FILES], k=FLIPS)
    every_bit = [("manifest.json.sha256", bit) for bit in range(8 * sizes["manifest.json.sha256"])]
    counts = dict.fromkeys(FILES, 0)
    for i, (name, bit) in enumerate([(n, rng.randrange(8 * sizes[n])) for n in drawn] + every_bit):
        case = f"{name}, bit {bit:,}"
        counts[name] += 1
        if i % WHOLE_WAY:
            flip(newest.path / name, bit)
            check_damage(Checkpoint(newest.path, 2, 1000).damage(), name, bit, case)
            flip(newest.path / name, bit)
        else:
            falls_back(run, tmp_path / "copy", older, name, bit)
    assert newest.damage() == [], "every flip was taken back"
    print(f"{sum(counts.values()):,} flips, all found: " + ", ".join(f"{n} {k:,}" for n, k in counts.items()))
    assert sum(counts.values()) >= FLIPS and min(counts.values()) > FLIPS // 20


def falls_back(run: CheckpointStore, copy: Path, older: dict[str, bytes], name: str, bit: int) -> None:
    shutil.copytree(run.folder, copy)
    store, told = CheckpointStore(copy), list[list[Damage]]()
    flip(store.all()[-1].path / name, bit)
    used = store.newest_whole(lambda c, damage: told.append(damage))
    assert used is not None and used.step == 900 and used.read() == older
    check_damage(told[0], name, bit, f"{name}, bit {bit:,}")
    (aside,) = (copy / "quarantine").iterdir()
    assert json.loads((aside / "REASON.json").read_text())[0]["file"] == name
    assert [c.step for c in store.all()] == [900]
    shutil.rmtree(copy)


def test_the_mib_of_a_flip_in_a_large_file_is_named(tmp_path: Path) -> None:
    rng = random.Random(SEED)
    store = CheckpointStore(tmp_path / "checkpoints")
    size = 3 * CHUNK_BYTES + 777
    checkpoint = store.commit({"model.safetensors": rng.randbytes(size)}, Facts(1, "rolling", {}))
    edges = [byte + by for byte in range(0, size, CHUNK_BYTES) for by in (-1, 0) if byte + by >= 0]
    for byte in [*edges, size - 1, *(rng.randrange(size) for _ in range(30))]:
        bit = 8 * byte + rng.randrange(8)
        flip(checkpoint.path / "model.safetensors", bit)
        check_damage(checkpoint.damage(), "model.safetensors", bit, f"byte {byte:,}")
        flip(checkpoint.path / "model.safetensors", bit)
