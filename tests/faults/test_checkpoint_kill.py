"""Killed at any named point of a save, a reader finds the old checkpoint or the new one, whole."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gnomon.store.checkpoints import CheckpointStore

WRITER = """
import sys
from pathlib import Path
from gnomon.store.checkpoints import CheckpointStore, Facts, Retention
store = CheckpointStore(Path(sys.argv[1]))
store.sweep()
for i in range(1, 5):
    store.commit({"a": bytes([i]) * 1000, "b": bytes([i]) * 10}, Facts(i, "rolling", {}))
    store.retain(Retention(2), print)
"""
POINTS = [
    f"{name}={what}@{nth}"
    for name, times in {
        "checkpoint.file_written": 8,
        "checkpoint.manifest_written": 4,
        "folder.before_rename": 4,
        "checkpoint.committed": 4,
        "files.before_rename": 4,
        "checkpoint.trashed": 2,
    }.items()
    for nth in range(1, times + 1)
    for what in ["kill"]
]


@pytest.mark.parametrize("fault", POINTS)
def test_a_kill_leaves_whole_checkpoints_and_the_next_process_goes_on(tmp_path: Path, fault: str) -> None:
    arguments = [sys.executable, "-c", WRITER, str(tmp_path / "c")]
    died = subprocess.run(arguments, env=os.environ | {"GNOMON_FAULTS": fault}, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    store = CheckpointStore(tmp_path / "c")
    before = store.all()
    for checkpoint in before:
        contents = checkpoint.read()
        mark = contents["a"][0]
        assert contents == {"a": bytes([mark]) * 1000, "b": bytes([mark]) * 10}
        assert checkpoint.damage() == []
    subprocess.run(arguments, timeout=60, check=True)
    assert [c.step for c in store.all()] == [3, 4]
    assert not list((tmp_path / "c").glob(".staging*"))
