"""Killed at any named point of an export, or on a full disk, no half file bears a name, and the same call
completes it.
"""

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
POINTS = {
    "export.written": 3, "export.verified": 3, "export.published": 3, "export.recorded": 4, "files.before_rename": 1,
}  # fmt: skip
"""Every point and how often one export of three formats reaches it."""

PLACES = [f"{name}@{nth}" for name, times in POINTS.items() for nth in range(1, times + 1)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tokenizer = train_tokenizer(SENTENCES * 5, 500, "qwen2")
    return saved_bundle(tmp_path_factory.mktemp("run") / "noisy", noisy_model(TINY), tokenizer)


@pytest.fixture
def disarmed() -> Iterator[None]:
    yield
    faults.arm("")


def run_export(bundle: Bundle, out: Path, fault: str = "") -> int:
    arguments = [sys.executable, "-c", EXPORTER, str(bundle.run.folder), str(out)]
    return subprocess.run(arguments, env=os.environ | {"GNOMON_FAULTS": fault}, timeout=120, check=False).returncode


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


def check_completed(bundle: Bundle, out: Path) -> None:
    assert whole_ones(bundle, out).keys() == {"noisy-f32.gguf", "noisy-q8_0.gguf", "hf"}
    assert verify_export(out) == []
    assert not list(out.glob(".staging*"))


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_leaves_whole_files_and_the_next_call_completes_them(bundle: Bundle, tmp_path: Path, place: str) -> None:
    name, nth = place.split("@")
    assert run_export(bundle, tmp_path / "out", f"{name}=kill@{nth}") == -signal.SIGKILL
    before = whole_ones(bundle, tmp_path / "out")
    recorded = (
        int(nth) - (name != "export.published") if name.startswith("export.") and name != "export.recorded" else 0
    )
    assert run_export(bundle, tmp_path / "out") == 0
    check_completed(bundle, tmp_path / "out")
    after = whole_ones(bundle, tmp_path / "out")
    kept = [n for n in before if after[n] == before[n]]
    assert len(kept) >= min(recorded, int(nth) - 1)  # what was recorded was not written again


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS"])
@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(
    bundle: Bundle, tmp_path: Path, disarmed: None, place: str, code: str
) -> None:
    name, nth = place.split("@")
    out = tmp_path / "out"
    if name != "export.published":  # nothing is written between it and the record
        faults.arm(f"{name}={code}@{nth}")
        with pytest.raises(
            StorageError, match="no space left" if code == "ENOSPC" else "does not let this program write"
        ):
            export(bundle, out, ["f32", "q8_0"], True, silent)
        before = whole_ones(bundle, out)
        assert not list(out.glob(".staging*"))
        faults.arm("")
        export(bundle, out, ["f32", "q8_0"], True, silent)
        assert {
            n: inode for n, inode in whole_ones(bundle, out).items() if n in before
        } == before or name == "export.recorded"
    else:
        export(bundle, out, ["f32", "q8_0"], True, silent)
    check_completed(bundle, out)


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
    assert whole_ones(bundle, out) == before and verify_export(out) == []
    monkeypatch.undo()
    assert write.export(bundle, out, ["f32", "q8_0"], True, silent).verdicts[-1]["ok"]
    check_completed(bundle, out)
