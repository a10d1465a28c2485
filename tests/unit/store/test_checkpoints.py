"""A checkpoint that is visible is whole; one that is damaged is found, named, set aside, and the one before is used."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gnomon.base import faults
from gnomon.base.disk import CHUNK_BYTES
from gnomon.base.errors import IntegrityError, StorageError
from gnomon.store.checkpoint import Checkpoint
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
from gnomon.store.manifest import Damage


def files(mark: int) -> dict[str, bytes]:
    return {
        "model.safetensors": bytes([mark]) * (2 * CHUNK_BYTES + 500),
        "state.json": json.dumps({"m": mark}).encode(),
    }


def filled(folder: Path, count: int) -> CheckpointStore:
    store = CheckpointStore(folder / "checkpoints")
    for i in range(1, count + 1):
        store.commit(files(i), Facts(i * 10, "rolling", {"is_best": i == 2}))
    return store


def test_what_is_committed_is_read_back(tmp_path: Path) -> None:
    store = filled(tmp_path, 3)
    newest = store.all()[-1]
    assert newest.read() == files(3)
    assert (newest.sequence, newest.step) == (3, 30)
    assert newest.manifest.parent == store.all()[1].path.name
    assert (store.folder / "LATEST").read_text().strip() == newest.path.name


@pytest.mark.parametrize("place", ["model.safetensors", "state.json", "manifest.json", "manifest.json.sha256"])
def test_a_flipped_bit_anywhere_is_found_and_the_checkpoint_before_is_used(tmp_path: Path, place: str) -> None:
    store = filled(tmp_path, 3)
    path = store.all()[-1].path / place
    data = bytearray(path.read_bytes())
    at = len(data) * 2 // 3
    data[at] ^= 1
    path.write_bytes(data)
    told: list[tuple[Checkpoint, list[Damage]]] = []
    used = store.newest_whole(lambda c, d: told.append((c, d)))
    assert used is not None
    assert used.read() == files(2)
    ((damaged, places),) = told
    assert damaged.step == 30
    if place == "model.safetensors":
        assert (places[0].file, places[0].offset) == (place, at // CHUNK_BYTES * CHUNK_BYTES)
    assert (store.folder / "quarantine" / damaged.path.name / "REASON.json").exists()
    assert store.commit(files(9), Facts(40, "rolling", {})).sequence == 4, "a sequence number is never given twice"


@pytest.mark.parametrize("cut", ["missing", "shorter", "longer", "link"])
def test_missing_cut_lengthened_and_linked_files_are_damage(tmp_path: Path, cut: str) -> None:
    checkpoint = filled(tmp_path, 1).all()[0]
    path = checkpoint.path / "model.safetensors"
    data = path.read_bytes()
    path.unlink()
    if cut == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    elif cut != "missing":
        path.write_bytes(data[:-100] if cut == "shorter" else data + b"x")
    (damage, *_) = checkpoint.damage()
    assert damage.file == "model.safetensors"


def test_a_manifest_that_points_outside_its_folder_is_damage(tmp_path: Path) -> None:
    from gnomon.store.manifest import damaged

    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "inside").mkdir()
    entry = {"path": "../secret", "bytes": 1, "sha256": "", "chunks": []}
    assert "leaves the folder" in damaged(tmp_path / "inside", [entry])[0].why


def test_when_every_checkpoint_is_damaged_the_run_does_not_start_over_silently(tmp_path: Path) -> None:
    store = filled(tmp_path, 2)
    for checkpoint in store.all():
        (checkpoint.path / "state.json").write_bytes(b"{}")
    with pytest.raises(IntegrityError, match="all 2 checkpoints are damaged"):
        store.newest_whole(lambda *_: None)
    assert CheckpointStore(tmp_path / "none").newest_whole(lambda *_: None) is None


def test_retention_keeps_the_last_ones_and_the_best(tmp_path: Path) -> None:
    store = filled(tmp_path, 6)
    store.retain(Retention(keep_last=2), lambda *_: None)
    assert [c.sequence for c in store.all()] == [2, 5, 6]
    assert store.best() == store.all()[0]


def test_a_newer_schema_is_refused_with_the_remedy(tmp_path: Path) -> None:
    from gnomon.store.manifest import write_manifest

    checkpoint = filled(tmp_path, 1).all()[0]
    write_manifest(checkpoint.path, checkpoint.manifest.model_dump(by_alias=True) | {"schema": 99})
    with pytest.raises(IntegrityError, match="schema 99") as caught:
        _ = replace(checkpoint).manifest
    assert caught.value.do == "update gnomon"
    with pytest.raises(IntegrityError, match="schema 99"):
        CheckpointStore(checkpoint.path.parent).newest_whole(lambda *_: None)
    assert checkpoint.path.exists(), "what only a newer version can judge stays where it is"


@pytest.mark.parametrize("point", ["checkpoint.file_written", "checkpoint.manifest_written", "folder.before_rename"])
@pytest.mark.parametrize("code", ["ENOSPC", "EROFS"])
def test_a_full_or_read_only_disk_leaves_the_old_ones_and_nothing_half(tmp_path: Path, point: str, code: str) -> None:
    store = filled(tmp_path, 2)
    faults.arm(f"{point}={code}")
    try:
        with pytest.raises(StorageError):
            store.commit(files(3), Facts(30, "rolling", {}))
    finally:
        faults.arm("")
    assert [c.read() for c in store.all()] == [files(1), files(2)]
    assert {p.name for p in store.folder.iterdir()} == {c.path.name for c in store.all()} | {"LATEST"}
