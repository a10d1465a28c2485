"""Killed at any point of an export, or on a full disk, no half file bears a name; the same call completes."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.base import faults
from gnomon.base.errors import StorageError
from gnomon.base.files import write_synced
from gnomon.base.progress import silent
from gnomon.bundle import Bundle
from gnomon.export import hf, write
from gnomon.export.verify import verify_gguf, verify_hf
from gnomon.export.write import export, verify_export
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, TINY, noisy_model, saved_bundle

EXPORTER = """
import sys
from pathlib import Path
from gnomon.base.progress import silent
from gnomon.bundle import load_bundle
from gnomon.export.write import export
export(load_bundle(Path(sys.argv[1])), Path(sys.argv[2]), ["f32", "q8_0"], True, silent)
"""
NAMES = ["noisy-f32.gguf", "noisy-q8_0.gguf", "hf"]
"""What it writes, in this order."""

PLACES = {
    "export.written@1": 0, "export.written@3": 2, "export.verified@2": 1, "export.verified@3": 2,
    "export.published@1": 0, "export.published@3": 2, "export.recording@1": 0, "export.recording@5": 2,
    "export.recording@6": 0, "files.before_rename@1": 3, "export.recording@7": 3,
}  # fmt: skip
"""Where it ends, and how many exports are in the manifest by then: those must not be written again. Between
the manifest and its digest (an even `recording`) none is trusted."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(TINY), tokenizer)


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


def whole_ones(bundle: Bundle, out: Path) -> dict[str, int]:
    """Return the inodes of the exports that bear their names, after checking that each is whole and right."""
    found = {}
    for dtype in ("f32", "q8_0"):
        if (path := out / f"noisy-{dtype}.gguf").exists():
            assert verify_gguf(bundle, path, path.name, dtype).ok
            found[path.name] = path.stat().st_ino
    if (out / "hf").exists():
        assert verify_hf(bundle, out / "hf", "hf", "f32").ok
        found["hf"] = (out / "hf").stat().st_ino
    return found


def check_completed(bundle: Bundle, out: Path, before: dict[str, int], kept: int) -> None:
    after = whole_ones(bundle, out)
    assert list(after) == NAMES
    assert all(after[name] == before[name] for name in NAMES[:kept])
    assert verify_export(out) == []
    assert not list(out.glob(".staging*"))


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_leaves_whole_files_and_the_next_call_completes_them(bundle: Bundle, tmp_path: Path, place: str) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-c", EXPORTER, str(bundle.run.folder), str(out)]
    fault = {"GNOMON_FAULTS": place.replace("@", "=kill@")}
    assert (
        subprocess.run(words, env=os.environ | fault | {"OMP_NUM_THREADS": "1"}, timeout=120, check=False).returncode
        == -signal.SIGKILL
    )
    before = whole_ones(bundle, out)
    export(bundle, out, ["f32", "q8_0"], True, silent)
    check_completed(bundle, out, before, PLACES[place])


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(
    bundle: Bundle, tmp_path: Path, disarmed: None, place: str
) -> None:
    out = tmp_path / "out"
    faults.arm(place.replace("@", "=ENOSPC@"))
    with pytest.raises(StorageError, match="no space left"):
        export(bundle, out, ["f32", "q8_0"], True, silent)
    assert not list(out.glob(".staging*"))
    before = whole_ones(bundle, out)
    faults.arm("")
    export(bundle, out, ["f32", "q8_0"], True, silent)
    check_completed(bundle, out, before, PLACES[place])


def test_a_disk_that_fills_up_in_the_middle_of_a_file(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        write_synced(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out"
    export(bundle, out, ["f32"], False, silent)
    before = whole_ones(bundle, out)
    monkeypatch.setattr(hf, "write_synced", full)
    with pytest.raises(StorageError, match="no space left"):
        export(bundle, out, ["f32"], True, silent)
    assert whole_ones(bundle, out) == before
    assert verify_export(out) == []
    monkeypatch.undo()
    assert write.export(bundle, out, ["f32", "q8_0"], True, silent).verdicts[-1]["ok"]
    check_completed(bundle, out, before, 1)
