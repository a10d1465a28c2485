"""Other programs' own readers and writers say of files of ids what ours say: Megatron, datatrove, `datasets`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.base.progress import silent
from gnomon.data.exchange.export import export_ids
from gnomon.data.exchange.version import Intake, import_ids
from gnomon.store.datasets import Dataset
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, small_dataset

SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset that was prepared from text."""
    return small_dataset(tmp_path_factory.mktemp("prepared"), 60)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json of 512 ids."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(SENTENCES, 512, "qwen2").save(path)
    return path


def documents(dataset: Dataset) -> list[list[int]]:
    """Return every document, without the end-of-text in front."""
    parts = [dataset.split(name) for name in SPLITS]
    return sorted(part.tokens(i).tolist()[1:] for part in parts for i in range(part.documents))


def drawn(seed: int, count: int = 40) -> list[list[int]]:
    """Return different documents of ids that stand for text."""
    draw = np.random.default_rng(seed)
    return [[200 + i, *draw.integers(200, 330, n).tolist()] for i, n in enumerate(draw.integers(0, 30, count))]


def taken(root: Path, path: Path, tokenizer: Path, **options: Any) -> Dataset:
    return import_ids(Intake([str(path)], "ids", [], str(tokenizer), root=str(root / "datasets"), **options), silent)


def test_megatrons_reader_reads_what_we_write(tmp_path: Path, prepared: Dataset) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset", reason="pip install megatron-core")
    export_ids(prepared, "megatron", tmp_path / "out", [], [], silent)
    end = prepared.manifest["tokenizer"]["end_of_text"]
    for name in SPLITS:
        theirs, ours = indexed.IndexedDataset(str(tmp_path / "out" / name / "texts")), prepared.split(name)
        assert len(theirs) == ours.documents and theirs.document_indices.tolist() == list(range(ours.documents + 1))
        for i in range(ours.documents):
            assert theirs[i].tolist() == [*ours.tokens(i).tolist()[1:], end]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_we_read_what_megatrons_writer_writes(tmp_path: Path, tokenizer: Path, dtype: Any) -> None:
    indexed = pytest.importorskip("megatron.core.datasets.indexed_dataset", reason="pip install megatron-core")
    torch = pytest.importorskip("torch")
    end, texts = Tokenizer.load(tokenizer).end_of_text, drawn(1)
    builder = indexed.IndexedDatasetBuilder(str(tmp_path / "m.bin"), dtype=dtype)
    for i, ids in enumerate(texts):  # some in two sequences
        parts = [ids[:3], [*ids[3:], end]] if i % 3 == 0 else [[*ids, end]]
        builder.add_document(torch.tensor([i for part in parts for i in part]), list(map(len, parts)))
    builder.finalize(str(tmp_path / "m.idx"))
    assert documents(taken(tmp_path, tmp_path / "m.bin", tokenizer)) == sorted(texts)


def test_datatroves_reader_reads_what_we_write(tmp_path: Path, prepared: Dataset) -> None:
    read = pytest.importorskip("datatrove.utils.dataset", reason="pip install datatrove")
    export_ids(prepared, "datatrove", tmp_path / "out", [], [], silent)
    end, split = prepared.manifest["tokenizer"]["end_of_text"], prepared.split("train")
    ids = [i for d in range(split.documents) for i in (*split.tokens(d).tolist()[1:], end)]
    places = [at for d in range(split.documents) for at in range(len(split.tokens(d)))]
    path, length = str(tmp_path / "out" / "train" / "texts.ds"), 63
    theirs = read.DatatroveFileDataset(path, length, token_size=2, return_positions=True)
    assert len(theirs) == len(ids) // (length + 1)
    for row in range(len(theirs)):
        window = slice(row * (length + 1), (row + 1) * (length + 1))
        assert theirs[row]["input_ids"].tolist() == ids[window]
        first = places[window][0]
        expected = [at - first if at - i == first else at for i, at in enumerate(places[window])]
        assert theirs[row]["positions"].tolist() == expected


@pytest.mark.parametrize("size", [2, 4])
def test_we_read_what_datatroves_writer_writes(tmp_path: Path, tokenizer: Path, size: int) -> None:
    write = pytest.importorskip("datatrove.pipeline.tokens.tokenizer", reason="pip install datatrove[processing]")
    end, texts = Tokenizer.load(tokenizer).end_of_text, drawn(2)
    file = write.TokenizedFile(str(tmp_path / "d"), "a.ds", token_size=size, save_loss_metadata=True)
    for ids in texts:
        file.write([*ids, end], np.ones(len(ids) + 1, bool))
    file.close()
    assert documents(taken(tmp_path, tmp_path / "d", tokenizer)) == sorted(texts)


def test_a_folder_that_datasets_saved_is_read_and_our_tables_are(
    tmp_path: Path, prepared: Dataset, tokenizer: Path
) -> None:
    datasets = pytest.importorskip("datasets", reason="pip install 'gnomon[data]'")
    texts = drawn(3)
    datasets.Dataset.from_dict({"n": list(range(len(texts))), "input_ids": texts}).save_to_disk(
        tmp_path / "saved", num_shards=3
    )
    found = taken(tmp_path, tmp_path / "saved", tokenizer)
    assert documents(found) == sorted(texts)
    assert [i["name"].split("-")[0] for i in found.manifest["inputs"]] == ["data"] * 3
    export_ids(prepared, "parquet", tmp_path / "out", ["train"], [], silent)
    path = str(tmp_path / "out" / "train" / "texts.parquet")
    rows = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path / "cache"))
    split = prepared.split("train")
    assert rows["input_ids"][:] == [split.tokens(i).tolist()[1:] for i in range(split.documents)]
    assert rows["id"][:] == [said["id"] for said in split.known(range(split.documents))]
    beside = json.loads((tmp_path / "out" / "gnomon.json").read_text())
    assert beside["splits"]["train"]["documents"] == len(rows)


def test_nanogpts_and_llmcs_own_lines_read_what_we_write(tmp_path: Path, prepared: Dataset) -> None:
    for format in ("bin", "llmc"):
        export_ids(prepared, format, tmp_path / format, ["train"], [], silent)
    end, split = prepared.manifest["tokenizer"]["end_of_text"], prepared.split("train")
    bare = [split.tokens(d).tolist()[1:] for d in range(split.documents)]
    nano = np.memmap(tmp_path / "bin" / "train" / "texts.bin", dtype=np.uint16, mode="r")
    assert nano.tolist() == [i for ids in bare for i in (*ids, end)]
    with (tmp_path / "llmc" / "train" / "texts_000000.bin").open("rb") as f:  # as modded-nanogpt's loader does
        header = np.frombuffer(f.read(256 * 4), dtype=np.int32)
        assert (header[0], header[1]) == (20240520, 1)
        assert np.frombuffer(f.read(), dtype=np.uint16).tolist() == [i for ids in bare for i in (end, *ids)]
    assert header[2] == split.n_tokens
