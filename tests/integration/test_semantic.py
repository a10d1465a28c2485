"""Semantic duplicates from end to end: any number of workers, many cells, and sentence models of `transformers`."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gnomon.base.errors import ConfigError, DataError, DependencyError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.duplicates import semantic
from gnomon.data.duplicates.likeness import find_alike
from gnomon.data.prepare import prepare
from gnomon.embed import minilm
from gnomon.embed.embedder import UNIT
from gnomon.embed.minilm import SentenceEmbedder
from gnomon.store.datasets import Dataset

WORDS = [f"w{i}" for i in range(300)]


@pytest.fixture(autouse=True)
def _jobs_go_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gnomon.data.engine.local.WORTH_BYTES", 0)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence encoder of 2 layers with random weights, as `save_pretrained` writes it."""
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("model")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    torch.manual_seed(3)
    shape: dict[str, Any] = {
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 96,
    }
    BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=80, **shape)).save_pretrained(folder)
    BertTokenizer(vocab={word: i for i, word in enumerate(vocabulary)}).save_pretrained(folder)
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    return folder


def sentences(count: int, seed: int, words: int = 30) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choice(WORDS) for _ in range(draw.randrange(3, words))) for _ in range(count)]


def write(folder: Path, texts: list[str], parts: int = 3) -> None:
    folder.mkdir(parents=True)
    for part in range(parts):
        lines = (json.dumps({"text": text}) + "\n" for text in texts[part::parts])
        (folder / f"{part}.jsonl").write_text("".join(lines))


def made(folder: Path, name: str, workers: int, **dedup: Any) -> Dataset:
    data = {"train": str(folder / "texts"), "root": str(folder / name), "workers": workers, "validation_share": 0.3}
    return prepare(DataConfig.model_validate(data | {"dedup": dedup}), TokenizerConfig(), 512, silent)


@pytest.mark.parametrize("exact", [32768, 10])
def test_no_telling_of_a_held_out_text_is_trained_on_with_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exact: int
) -> None:
    monkeypatch.setattr(semantic, "EXACT_DOCUMENTS", exact)
    monkeypatch.setattr("gnomon.data.duplicates.meaning.CELL_DOCUMENTS", 20)
    texts = [" ".join(random.Random(i).choices(WORDS, k=25)) for i in range(90)]
    tellings = [" ".join(random.Random(-i).sample(text.split(), 25)) for i, text in enumerate(texts)]
    write(tmp_path / "texts", texts + tellings)
    first = made(tmp_path, "one", 1, semantic=0.95)
    again = made(tmp_path, "two", 2, semantic=0.95)
    assert again.digest == first.digest and first.manifest["removed"] == {"semantic duplicate": 90}
    assert first.split("train").documents + first.split("validation").documents == 90


def test_a_sentence_models_vectors_are_those_of_transformers_and_of_no_company(model: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    texts = [*sentences(40, 1), " ".join(WORDS * 2), "w1", "", "w7 unknown"]
    embedder = SentenceEmbedder.open(str(model))
    found = embedder.embed(texts)
    theirs, tokenizer = AutoModel.from_pretrained(model).eval(), AutoTokenizer.from_pretrained(model)
    for text, vector in zip(texts, found, strict=True):
        given = tokenizer(text, return_tensors="pt", truncation=True, max_length=64)
        with torch.inference_mode():
            mean = theirs(**given).last_hidden_state[0].mean(dim=0).numpy()
        wanted = mean / np.linalg.norm(mean) * UNIT
        assert np.abs(vector - wanted).max() < 0.6
    order = random.Random(2).sample(range(len(texts)), len(texts))
    assert np.array_equal(embedder.embed([texts[i] for i in order]), found[order])
    assert np.array_equal(np.concatenate([embedder.embed([text]) for text in texts]), found)
    assert embedder.embed([]).shape == (0, 48)


def test_a_corpus_is_compared_by_a_sentence_model_in_a_folder_and_what_lies_there_decides(
    tmp_path: Path, model: Path
) -> None:
    write(tmp_path / "texts", sentences(40, 5))
    shown = find_alike([str(tmp_path / "texts")], embedder=str(model))
    level = float(np.searchsorted(np.cumsum(shown.histogram), 25)) / 50  # random weights: few are as like as that
    first = made(tmp_path, "one", 1, semantic=level, embedder=str(model), near=None)
    assert first.manifest["semantic"]["embedder"] == SentenceEmbedder.open(str(model)).digest
    assert "embedder" not in first.manifest["config"]["data"]["dedup"]
    alike = find_alike([str(tmp_path / "texts")], level, embedder=str(model))
    assert 0 < len(alike.goes) < 40 and alike.histogram == first.manifest["semantic"]["histogram"]


def test_what_is_no_model_or_cannot_be_fetched_is_told_at_once(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DataError, match="neither a folder nor the name of a model"):
        SentenceEmbedder.open(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="holds no model"):
        SentenceEmbedder.open(str(tmp_path))
    with pytest.raises(ConfigError, match="without a commit"):
        SentenceEmbedder.open("sentence-transformers/all-MiniLM-L6-v2")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(DependencyError, match="could not be fetched"):
        SentenceEmbedder.open("sentence-transformers/all-MiniLM-L6-v2@0123456789abcdef0123456789abcdef01234567")
    monkeypatch.setattr(minilm, "FETCH_SECONDS", 0.01)
    with pytest.raises(DependencyError, match="did not come within"):
        SentenceEmbedder.open("sentence-transformers/all-MiniLM-L6-v2@0123456789abcdef0123456789abcdef01234567")
    (broken := tmp_path / "broken").mkdir()
    for path in model.iterdir():
        (broken / path.name).write_bytes(path.read_bytes()[: 200 if path.suffix == ".safetensors" else None])
    with pytest.raises(DataError, match="cannot load this model"):
        SentenceEmbedder.open(str(broken)).embed(["w1"])
    (broken / "1_Pooling").mkdir()
    (broken / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": false}')
    with pytest.raises(DataError, match="does not take the mean"):
        SentenceEmbedder.open(str(broken))
