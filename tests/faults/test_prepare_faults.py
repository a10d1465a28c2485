"""Whatever stops a preparation, nothing half is visible, and the same command again gives the same digest."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnomon.base import faults
from gnomon.base.disk import DISK
from gnomon.base.errors import DataError, IntegrityError, StorageError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.work import BLOCKS, WORK
from gnomon.store.datasets import Dataset, list_datasets, verify_dataset
from tests.world import write_corpus, write_structured

POINTS = (
    "prepare.source_read@1",
    "prepare.banded",
    "prepare.lines_read@1",
    "prepare.lines_cut@1",
    "prepare.encoded@1",
    "prepare.shard_written@2",
    "prepare.manifest_written",
    "folder.before_rename",
)
PROGRAM = """
import sys
from pathlib import Path
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
folder = Path(sys.argv[1])
data = DataConfig(train=[str(folder / "texts")], root=str(folder / "datasets"), dedup={"lines": 2})
if len(sys.argv) > 2:
    data = DataConfig.model_validate_json(sys.argv[2])
print(prepare(data, TokenizerConfig(), 512, silent).digest)
"""


def made(folder: Path) -> Dataset:
    names = {"train": str(folder / "texts"), "root": str(folder / "datasets"), "dedup": {"lines": 2}}
    return prepare(DataConfig.model_validate(names), TokenizerConfig(), 512, silent)


def write_texts(folder: Path) -> None:
    """A corpus, and records that have a line in common."""
    write_corpus(folder)
    records = ({"text": f"Record {i} says this.\nThe line that stands in all of these records."} for i in range(9))
    (folder / "lines.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def started(folder: Path, armed: str = "", data: dict[str, Any] | None = None) -> subprocess.Popen[str]:
    environment = os.environ | {"GNOMON_FAULTS": armed}
    more = [] if data is None else [json.dumps(data)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), *more], env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an undisturbed preparation of the corpus gives."""
    folder = tmp_path_factory.mktemp("whole")
    write_texts(folder / "texts")
    return made(folder).digest


def test_conversations_and_questions_that_were_killed_give_the_same_digest(tmp_path: Path) -> None:
    undisturbed, data = write_structured(tmp_path / "whole"), write_structured(tmp_path / "killed")
    for armed in ("prepare.source_read=kill@2", "prepare.encoded=kill@2", "prepare.shard_written=kill@3"):
        died = started(tmp_path, armed, data)
        died.communicate(timeout=120)
        assert died.returncode == -signal.SIGKILL
        assert list_datasets(tmp_path / "killed" / "datasets") == []
    again, whole = (
        prepare(DataConfig.model_validate(one), TokenizerConfig(), 512, silent) for one in (data, undisturbed)
    )
    assert again.digest == whole.digest
    assert verify_dataset(again.folder) == []
    assert len(list(again.folder.glob("train/mask-*.npy"))) == 2


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_leaves_nothing_half_and_the_next_call_ends_well(tmp_path: Path, digest: str, point: str) -> None:
    write_texts(tmp_path / "texts")
    name, _, nth = point.partition("@")
    died = started(tmp_path, f"{name}=kill@{nth or 1}")
    died.communicate(timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert list_datasets(tmp_path / "datasets") == []
    again = made(tmp_path)
    assert again.digest == digest
    assert sorted(p.name for p in again.folder.parent.iterdir()) == [BLOCKS, again.version], "leavings were swept"
    assert not list((again.folder.parent / BLOCKS).glob(".*"))


@pytest.mark.parametrize("point", [p for p in POINTS if "source" not in p])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path, digest: str, point: str) -> None:
    write_texts(tmp_path / "texts")
    name, _, nth = point.partition("@")
    faults.arm(f"{name}=ENOSPC@{nth or 1}")
    try:
        with pytest.raises(StorageError, match="no space left") as caught:
            made(tmp_path)
    finally:
        faults.arm("")
    assert caught.value.exit_code == 6
    assert list_datasets(tmp_path / "datasets") == []
    assert {p.name for p in (tmp_path / "datasets" / "texts").iterdir()} <= {BLOCKS, WORK}, "what is whole waits"
    assert made(tmp_path).digest == digest


def test_a_file_that_cannot_be_read_on_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")
    faults.arm("read.opened=EACCES@2")
    try:
        with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
            made(tmp_path)
    finally:
        faults.arm("")
    assert str(caught.value.where).endswith(("one.txt", "stories.jsonl"))
    assert list_datasets(tmp_path / "datasets") == []


def test_a_text_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")

    def meddle(stage: str, done: int, total: int | None, unit: str) -> None:
        if stage == "reading text":
            (tmp_path / "texts" / "stories.jsonl").write_text('{"text": "Something else."}\n')

    data = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    with pytest.raises(DataError, match="changed while it was read"):
        prepare(data, TokenizerConfig(), 512, meddle)
    assert list_datasets(tmp_path / "datasets") == []


def test_a_text_that_changes_before_it_is_read_is_refused(tmp_path: Path) -> None:
    write_texts(tmp_path / "texts")

    def meddle(stage: str, done: int, total: int | None, unit: str) -> None:
        if stage == "checking files" and done == total:
            (tmp_path / "texts" / "one.txt").write_text("Something else.")

    data = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    with pytest.raises(DataError, match="changed while it was read"):
        prepare(data, TokenizerConfig(), 512, meddle)
    assert list_datasets(tmp_path / "datasets") == []


def test_what_a_killed_preparation_of_other_text_left_changes_nothing(tmp_path: Path) -> None:
    def program(folder: Path, texts: list[str], armed: str) -> None:
        (folder / "texts").mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / "texts" / "a.jsonl").write_text(lines)
        started(folder, armed).communicate(timeout=120)

    words = [f"w{i * i % 1009}" for i in range(200)]
    fewer = [f"other{i}" if i % 25 == 3 else word for i, word in enumerate(words)]  # Jaccard 0.67: looked at, and kept
    rest = ["A text that is like none of these, at all, in any way whatsoever.", "And this is one more of that kind."]
    alike = [" ".join(words), " ".join(words) + " once", *rest]
    unlike = [" ".join(words), " ".join(fewer), *rest]
    program(tmp_path / "both", alike, "prepare.encoded=kill")
    program(tmp_path / "both", unlike, "")
    program(tmp_path / "clean", unlike, "")
    (found,), (expected,) = (list_datasets(tmp_path / name / "datasets") for name in ("both", "clean"))
    assert found.digest == expected.digest


@pytest.mark.parametrize("name", ["documents.npy", "bands.npy"])
def test_a_damaged_block_is_read_anew_and_damaged_text_is_told(tmp_path: Path, digest: str, name: str) -> None:
    write_texts(tmp_path / "texts")
    made(tmp_path)
    for folder in (tmp_path / "datasets" / "texts").glob("[0-9a-f]*"):
        (folder / "card.md").unlink()
    for path in (tmp_path / "datasets" / "texts" / BLOCKS).rglob(name):
        data = bytearray(path.read_bytes())
        data[-40] ^= 1
        path.write_bytes(data)
    assert made(tmp_path).digest == digest
    for folder in (tmp_path / "datasets" / "texts").glob("[0-9a-f]*"):
        (folder / "card.md").unlink()
    damaged = max((tmp_path / "datasets" / "texts" / BLOCKS).rglob("texts.zst"), key=lambda p: p.stat().st_size)
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)
    with pytest.raises(IntegrityError, match="is not what it was") as caught:
        made(tmp_path)
    shutil.rmtree(str(caught.value.where))
    assert made(tmp_path).digest == digest


def test_a_disk_that_cannot_hold_it_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path / "texts")
    monkeypatch.setattr(type(DISK), "free", lambda _, path: 20_000)
    with pytest.raises(StorageError, match=r"needs 0\.3 MB more of disk, and 0\.0 MB are free") as caught:
        made(tmp_path)
    assert "data.root" in str(caught.value.do)
    assert not list((tmp_path / "datasets").rglob("*.npy"))
    (tmp_path / "datasets" / "texts" / WORK).mkdir(parents=True)
    (tmp_path / "datasets" / "texts" / WORK / "of before").write_bytes(bytes(10**6))
    assert made(tmp_path), "what is there already is not asked for again"


def test_two_that_prepare_the_same_at_once_give_one_version(tmp_path: Path, digest: str) -> None:
    write_texts(tmp_path / "texts")
    pair = [started(tmp_path) for _ in range(2)]
    assert [p.communicate(timeout=120)[0].strip() for p in pair] == [digest, digest]
    (only,) = list_datasets(tmp_path / "datasets")
    assert verify_dataset(only.folder) == []


def test_a_damaged_version_is_replaced_and_the_others_stay(tmp_path: Path, digest: str) -> None:
    write_texts(tmp_path / "texts")
    whole = made(tmp_path)
    (whole.folder / "card.md").unlink()
    (whole.folder / "train" / "offsets-00000.npy").write_bytes(b"")
    other = tmp_path / "datasets" / "texts" / "0123456789ab"
    other.mkdir()
    (other / "manifest.json").write_text("{}")
    assert made(tmp_path).digest == digest
    assert verify_dataset(whole.folder) == []
    assert sorted(p.name for p in whole.folder.parent.iterdir()) == sorted([other.name, whole.version, BLOCKS])
