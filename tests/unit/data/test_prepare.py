"""The same text gives the same dataset; a text on one side of the split is never on the other."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.errors import DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import find_prepared, prepare
from gnomon.store.datasets import Dataset, list_datasets, open_dataset, verify_dataset
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.world import write_corpus


def made(folder: Path, vocabulary: int = 512, texts: str = "texts", **data: object) -> Dataset:
    config = DataConfig.model_validate({"train": str(folder / texts), "root": str(folder / "datasets")} | data)
    return prepare(config, TokenizerConfig(), vocabulary, silent)


def documents(dataset: Dataset, split: str) -> list[str]:
    tokenizer, part = Tokenizer.load(dataset.tokenizer_path), dataset.split(split)
    return [tokenizer.decode(part.tokens(i).tolist()) for i in range(part.documents)]


def test_every_text_is_kept_once_on_one_side(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    texts = [json.loads(line)["text"] for line in (tmp_path / "texts" / "stories.jsonl").open()]
    texts.append((tmp_path / "texts" / "one.txt").read_text())
    dataset = made(tmp_path)
    assert sorted(documents(dataset, "train") + documents(dataset, "validation")) == sorted(texts)
    assert documents(dataset, "validation")
    split = dataset.split("train")
    assert split.bytes == sum(len(t.encode()) for t in documents(dataset, "train"))
    assert all(split.tokens(i)[0] == split.end_of_text for i in range(split.documents))


def test_the_digest_depends_on_the_text_and_not_on_names_order_or_place(tmp_path: Path) -> None:
    rng = random.Random(0)
    digests = set()
    for number in range(3):
        folder = tmp_path / str(number)
        write_corpus(folder / "texts")
        lines = (folder / "texts" / "stories.jsonl").read_text().splitlines()
        (folder / "texts" / "stories.jsonl").unlink()
        for i in range(3):
            (folder / "texts" / f"{'cab'[(i + number) % 3]}.jsonl").write_text("\n".join(lines[i::3]) + "\n")
        digests.add(made(folder).split("train").ids.tobytes())
        rng.shuffle(lines)
    assert len(digests) == 1
    write_corpus(tmp_path / "a" / "texts"), write_corpus(tmp_path / "b" / "texts")
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert first.digest == second.digest
    with (tmp_path / "b" / "texts" / "one.txt").open("a") as f:
        f.write(" more")
    assert made(tmp_path / "b").digest != first.digest


def test_a_prepared_text_is_found_again_and_not_made_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    first = made(tmp_path)
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    assert made(tmp_path).folder == first.folder
    assert (first.folder / "manifest.json").stat().st_mtime_ns == stamp
    config = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    found = find_prepared(config, TokenizerConfig(), 512)
    assert found is not None
    assert found.digest == first.digest
    assert find_prepared(config, TokenizerConfig(), 1024) is None
    assert [d.version for d in list_datasets(tmp_path / "datasets")] == [first.version]


def test_a_damaged_version_is_named_and_a_version_with_a_missing_file_is_made_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    dataset = made(tmp_path)
    assert verify_dataset(dataset.folder) == []
    path = dataset.folder / "train" / "tokens.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    (damage,) = verify_dataset(dataset.folder)
    assert (damage.file, damage.offset) == ("train/tokens.npy", 0)
    path.unlink()
    assert np.array_equal(made(tmp_path).split("train").ids, np.load(path))
    assert verify_dataset(dataset.folder) == []


def test_validation_text_of_its_own_is_kept_out_of_training(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    (tmp_path / "held.jsonl").write_text(
        (tmp_path / "texts" / "stories.jsonl").read_text().splitlines()[4] + '\n{"text": "Quite another text."}\n'
    )
    dataset = made(tmp_path, validation=[str(tmp_path / "held.jsonl")])
    held = documents(dataset, "validation")
    assert len(held) == 2
    assert not set(held) & set(documents(dataset, "train"))
    assert dataset.manifest["removed"] == {"duplicate": 1}


def test_one_long_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    rng = random.Random(1)
    words = [f"{rng.randrange(10**6):x}" for _ in range(40_000)]
    (tmp_path / "texts" / "long.txt").write_text(" ".join(words))
    dataset = made(tmp_path)
    assert dataset.split("validation").documents >= 1
    joined = documents(dataset, "train") + documents(dataset, "validation")
    assert sorted("".join(joined)) == sorted(" ".join(words))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.txt": b""}, "the text is empty"),
        ({"a.txt": b"only one"}, "one document is too little"),
        ({"a.jsonl": b"{\n" * 9 + b'{"text": "x"}\n{"text": "y"}\n'}, "9 of 11 records cannot be used"),
        ({"a.png": b"x"}, "no text in this folder"),
    ],
)
def test_text_that_cannot_be_used_is_refused_and_leaves_nothing(
    tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    (tmp_path / "texts").mkdir()
    for name, data in files.items():
        (tmp_path / "texts" / name).write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        made(tmp_path)
    assert caught.value.do
    assert not list((tmp_path / "datasets").rglob("manifest.json"))


def test_a_few_bad_records_are_counted_and_listed(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    with (tmp_path / "texts" / "stories.jsonl").open("a") as f:
        f.write("{broken\n")
    dataset = made(tmp_path)
    assert dataset.manifest["quarantined"] == {"invalid JSON": 1}
    assert "1 (invalid JSON)" in (dataset.folder / "card.md").read_text()


def test_a_vocabulary_that_was_asked_for_and_that_the_text_does_not_support_is_refused(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path / "texts")
    config = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    with pytest.raises(DataError, match="does not support a vocabulary of 8,192") as caught:
        prepare(config, TokenizerConfig(vocabulary=8192), 8192, silent)
    offered = int(str(caught.value.do).split()[2].replace(",", ""))
    assert prepare(config, TokenizerConfig(vocabulary=offered), offered, silent)
    derived = prepare(config, TokenizerConfig(), 8192, silent)
    assert derived.manifest["tokenizer"]["vocabulary"] < 8192 == derived.manifest["tokenizer"]["asked"]


@pytest.mark.parametrize("fault", ["prepare.source_read@3", "prepare.manifest_written", "folder.before_rename"])
def test_a_kill_leaves_nothing_half_and_the_next_call_gives_the_same_digest(tmp_path: Path, fault: str) -> None:
    write_corpus(tmp_path / "texts")
    write_corpus(tmp_path / "other" / "texts")
    program = (
        "import sys; from pathlib import Path; from gnomon.data.prepare import prepare\n"
        "from gnomon.config import DataConfig, TokenizerConfig; from gnomon.base.progress import silent\n"
        "f = Path(sys.argv[1])\n"
        "prepare(DataConfig(train=[str(f / 'texts')], root=str(f / 'datasets')), TokenizerConfig(), 512, silent)"
    )
    name, _, nth = fault.partition("@")
    environment = os.environ | {"GNOMON_FAULTS": f"{name}=kill@{nth or 1}"}
    died = subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=environment, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL
    assert list_datasets(tmp_path / "datasets") == []
    again = made(tmp_path)
    assert again.digest == made(tmp_path / "other").digest
    assert [p.name for p in again.folder.parent.iterdir()] == [again.version]
    assert open_dataset(again.folder).digest == again.digest
