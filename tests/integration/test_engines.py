"""Whoever does the jobs of a preparation, and whatever happens to them, the dataset is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.engine.local import Pool
from gnomon.data.prepare import prepare
from gnomon.store.datasets import list_datasets, verify_dataset
from tests.world import write_corpus

PROGRAM = """
import sys
from pathlib import Path
import gnomon.data.engine.local
import gnomon.data.groups
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.engine.local import Pool
from gnomon.data.prepare import prepare
gnomon.data.engine.local.WORTH_BYTES = gnomon.data.groups.ALONE_BYTES = 0
folder = Path(sys.argv[1])
data = DataConfig(train=[str(folder / "texts")], root=str(folder / "datasets"), dedup={"lines": 3}, workers=2)
print(prepare(data, TokenizerConfig(), 1024, silent).digest)
"""


@pytest.fixture(autouse=True)
def _never_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.data.engine.local.WORTH_BYTES", 0)
    monkeypatch.setattr("gnomon.data.groups.ALONE_BYTES", 0)  # a job a file


def write_texts(folder: Path) -> None:
    for number in range(6):
        write_corpus(folder / "texts" / str(number), documents=300, seed=number % 5)
        lines = [f"Line {i * i % 9} of those that stand in many of these records." for i in range(40)]
        own = [f"\nWhat stands in {number} alone, in the record {i}\n" for i in range(40)]
        records = ({"text": lines[i] + own[i] + lines[(i * i + number) % 40]} for i in range(40))
        (folder / "texts" / str(number) / "lines.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))


def made(folder: Path, **data: Any) -> str:
    names = {"train": [str(folder / "texts")], "root": str(folder / "datasets"), "dedup": {"lines": 3}}
    dataset = prepare(DataConfig.model_validate(names | data), TokenizerConfig(), 1024, silent)
    assert verify_dataset(dataset.folder) == []
    assert dataset.manifest["lines"]["cut"]["texts"][0] > 100
    return dataset.digest


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What one process gives, undisturbed."""
    folder = tmp_path_factory.mktemp("alone")
    write_texts(folder)
    return made(folder, workers=1)


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_digest(tmp_path: Path, digest: str, workers: int) -> None:
    write_texts(tmp_path)
    assert made(tmp_path, workers=workers) == digest


@pytest.mark.parametrize("point", ["folder.before_rename=kill@2", "prepare.encoded=kill@2"])
def test_workers_that_die_are_replaced(
    tmp_path: Path, digest: str, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(tmp_path)
    monkeypatch.setenv("GNOMON_FAULTS", point)  # read by the workers; this process has looked before
    bury, died = Pool._bury, list[bool]()

    def count(pool: Pool, worker: subprocess.Popen[bytes]) -> None:
        died.append(worker.wait(10) == -signal.SIGKILL if worker.poll() is not None else False)
        bury(pool, worker)

    monkeypatch.setattr(Pool, "_bury", count)
    assert made(tmp_path, workers=2) == digest
    assert any(died)


def test_a_part_of_the_text_that_kills_every_worker_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    monkeypatch.setenv("GNOMON_FAULTS", "read.opened=kill")
    with pytest.raises(DataError, match=r"died 3 times .*reading text") as caught:
        made(tmp_path, workers=2)
    assert str(caught.value.where).startswith(str(tmp_path / "texts"))


def test_what_a_worker_raises_is_raised_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_texts(tmp_path)
    monkeypatch.setenv("GNOMON_FAULTS", "read.opened=EACCES@2")
    with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
        made(tmp_path, workers=2)
    assert str(caught.value.where).startswith(str(tmp_path / "texts"))
    assert list_datasets(tmp_path / "datasets") == []


def test_killed_at_any_moment_and_begun_again_it_gives_the_same_digest(tmp_path: Path, digest: str) -> None:
    rng, killed = random.Random(5), 0
    for number in range(5):
        write_texts(folder := tmp_path / str(number))
        for _ in range(2):
            run = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder)], stdout=subprocess.PIPE, text=True)
            try:
                run.communicate(timeout=0.3 + 0.7 * rng.random())
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.communicate()
                killed += 1
        assert made(folder, workers=2) == digest
        assert len(list_datasets(folder / "datasets")) == 1
    assert killed > 3


@pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install 'gnomon[ray]'")
@pytest.mark.filterwarnings("default")
def test_ray_gives_the_same_digest_also_when_a_worker_of_it_is_killed(tmp_path: Path, digest: str) -> None:
    write_texts(tmp_path)
    program = PROGRAM.replace("workers=2", "workers=2, engine='ray'")
    run = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    killed = 0
    while run.poll() is None and killed < 2:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                name = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if name.startswith(b"ray::_answer_on_ray"):
                os.kill(int(pid), signal.SIGKILL)
                killed += 1
                break
        time.sleep(0.01)
    out, _ = run.communicate(timeout=120)
    assert killed
    assert out.split()[-1] == digest
