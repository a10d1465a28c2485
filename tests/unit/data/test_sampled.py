"""What a preparation's tokenizer is: one that was brought along, or one learned from so much of each source."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import silent
from gnomon.config import Config, DataConfig, MixConfig, TokenizerConfig
from gnomon.data import work
from gnomon.data.document import Document
from gnomon.data.prepare import find_prepared, prepare
from gnomon.data.sample import SharedSample
from gnomon.data.streaming.weights import planned_weights
from gnomon.data.work import sample_of
from gnomon.pipeline import train
from gnomon.store.datasets import Dataset
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.world import write_corpus


def made(folder: Path, **tokenizer: Any) -> Dataset:
    data = DataConfig(train=[str(folder / "texts")], root=str(folder / "datasets"))
    return prepare(data, TokenizerConfig.model_validate(tokenizer), 512, silent)


def test_a_tokenizer_that_is_there_is_used_and_a_version_known_by_its_content(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    words = [f"some word{i % 7} and another{i % 11}" for i in range(200)]
    brought = train_tokenizer(words, 448, "llama-bpe")
    for where in ("here", "there"):
        (tmp_path / where).mkdir()
        brought.save(tmp_path / where / "tokenizer.json")
    first = made(tmp_path, path=str(tmp_path / "here"))
    assert Tokenizer.load(first.tokenizer_path).digest == brought.digest == first.manifest["tokenizer"]["digest"]
    assert first.manifest["tokenizer"]["vocabulary"] == first.manifest["tokenizer"]["requested"] == 448
    assert made(tmp_path, path=str(tmp_path / "there" / "tokenizer.json"), vocabulary=448).folder == first.folder
    assert str(tmp_path) not in json.dumps(first.manifest)
    tokenizer, split = Tokenizer.load(first.tokenizer_path), first.split("train")
    texts = {json.loads(line)["text"] for line in (tmp_path / "texts" / "stories.jsonl").read_text().splitlines()}
    texts.add((tmp_path / "texts" / "one.txt").read_text())
    assert all(tokenizer.decode(split.tokens(i).tolist()) in texts for i in range(split.documents))
    train_tokenizer(words, 384, "qwen2").save(tmp_path / "here" / "tokenizer.json")
    assert made(tmp_path, path=str(tmp_path / "here")).version != first.version


def test_a_tokenizer_that_cannot_be_used_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    with pytest.raises(DataError, match="no such file"):
        made(tmp_path, path=str(tmp_path / "nowhere"))
    train_tokenizer(["a b"], 384, "qwen2").save(tmp_path / "t.json")
    with pytest.raises(ConfigError, match="512 is asked for, and this tokenizer has 384 ids") as caught:
        made(tmp_path, path=str(tmp_path / "t.json"), vocabulary=512)
    assert "leave tokenizer.vocabulary out" in str(caught.value.do)


def test_a_tokenizer_that_no_gguf_can_hold_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    brought = json.loads(train_tokenizer(["a b"], 384, "qwen2").to_json())
    brought["normalizer"] = {"type": "NFC"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(brought))
    said = {"data": {"train": str(tmp_path / "none")}, "tokenizer": {"path": str(tmp_path)}}
    with pytest.raises(ConfigError, match="GGUF cannot hold a model with this tokenizer") as caught:
        train(Config.model_validate(said | {"out": str(tmp_path / "run")}))
    assert "export.gguf=[]" in str(caught.value.do)


def sources(folder: Path) -> DataConfig:
    """Two sources of texts of their own words, the first with ten times as many."""
    for name, word, count in (("a", "zabu", 300), ("b", "qoxi", 30)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        texts = [{"text": " ".join(f"{word}{i * k % 7}" for k in range(40)) + f" {i}"} for i in range(count)]
        (folder / name / "t.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    named = [{"paths": [str(folder / name)]} for name in "ab"]
    said = {"sources": named, "root": str(folder / "datasets"), "name": "both", "dedup": {"near": None}}
    return DataConfig.model_validate(said)


def test_the_tokenizer_learns_of_each_source_by_its_weight(tmp_path: Path) -> None:
    data = sources(tmp_path)
    tokens = {}
    for word, weights in (("even", None), ("first", {"a": 1.0}), ("second", {"a": 0.0, "b": 2.0})):
        dataset = prepare(data, TokenizerConfig(sample_weights=weights), 448, silent)
        tokens[word] = set(Tokenizer.load(dataset.tokenizer_path).token_texts)
    assert ("Ġzabu" in tokens["first"], "Ġqoxi" in tokens["first"]) == (True, False)
    assert ("Ġzabu" in tokens["second"], "Ġqoxi" in tokens["second"]) == (False, True)
    assert "Ġzabu" in tokens["even"]
    with pytest.raises(ConfigError, match="no source 'c'"):
        prepare(data, TokenizerConfig(sample_weights={"c": 1}), 384, silent)
    with pytest.raises(ConfigError, match="not known here"):
        find_prepared(data, TokenizerConfig(sample_weights="mix"), 384)


def test_words_are_prepared_alike_by_any_number_of_workers(tmp_path: Path) -> None:
    asked, found = Config.model_validate({"data": "x", "tokenizer": {"kind": "words"}}).learned, []
    for workers in (1, 2):
        data = sources(tmp_path).model_copy(update={"workers": workers, "root": str(tmp_path / str(workers))})
        found.append(prepare(data, asked, 448, silent))
    assert found[0].digest == found[1].digest
    assert found[0].manifest["tokenizer"]["kind"] == "words"
    tokenizer, split = Tokenizer.load(found[0].tokenizer_path), found[0].split("train")
    texts = {
        line["text"]
        for name in "ab"
        for line in map(json.loads, (tmp_path / name / "t.jsonl").read_text().splitlines())
    }
    assert all(tokenizer.decode(split.tokens(i).tolist()) in texts for i in range(split.documents))
    assert "whole words and bytes" in (found[0].folder / "card.md").read_text()
    with pytest.raises(ValueError, match="leave pretokenizer out"):
        TokenizerConfig(kind="words", pretokenizer="qwen2")


def test_the_weights_of_training_stand_for_their_name() -> None:
    said = {"data": {"train": "texts"}, "tokenizer": {"sample_weights": "mix"}}
    config = Config.model_validate(said | {"mix": {"weights": {"a": 3, "b": 1}}})
    assert config.learned.sample_weights == {"a": 3, "b": 1}
    assert Config.model_validate(said).learned.sample_weights is None
    tempered = Config.model_validate(said | {"mix": {"temperature": 2}}).learned
    assert (tempered.sample_weights, tempered.sample_temperature) == (None, 2)
    for wrong, why in (
        ({"sample_temperature": 0}, "above 0"),
        ({"sample_temperature": 2, "sample_weights": {"a": 1}}, "exclude"),
    ):
        with pytest.raises(ValueError, match=why):
            TokenizerConfig.model_validate(wrong)


@pytest.mark.parametrize("budget", [None, 3000])
def test_a_temperature_weighs_the_sample_by_tokens_as_it_does_training(
    budget: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second source has a token a byte or so, so that its share by bytes is far from that by tokens."""
    draw, taken = random.Random(1), list[list[str]]()
    made = {
        "a": [" ".join(draw.choices(("considerably", "independent", "throughout"), k=30)) for _ in range(200)],
        "b": ["".join(draw.choices("0123456789", k=200)) for _ in range(300)],
    }
    for name, texts in made.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    named = [{"paths": [str(tmp_path / name)], "tokens": budget if name == "b" else None} for name in "ab"]
    said = {"sources": named, "dedup": {"near": None}, "workers": 1}

    def watched(texts: Iterable[str], *rest: Any, **more: Any) -> Tokenizer:
        taken.append(list(texts))
        return train_tokenizer(taken[-1], *rest, **more)

    monkeypatch.setattr(work, "train_tokenizer", watched)
    options, found = TokenizerConfig(sample_temperature=2, sample_bytes=20_000), list[Dataset]()
    for root, order in (("one", (0, 1)), ("two", (1, 0))):
        data = said | {"root": str(tmp_path / root), "name": "x", "sources": [named[i] for i in order]}
        found.append(prepare(DataConfig.model_validate(data), options, 448, silent))
    assert len(taken) == 4 and taken[:2] == taken[2:] and len(taken[0]) < len(taken[1])
    tokens = {name: split.n_tokens for name, split in found[0].sources("train").items()}
    meant = planned_weights(MixConfig(temperature=2), tokens, 100, 64)[0][0][1]
    sizes = [sum(len(t) for t in taken[1] if (t[0] in "0123456789") == digits) for digits in (False, True)]
    assert sizes[1] / sum(sizes) == pytest.approx(meant["b"] / (meant["a"] + meant["b"]), abs=0.03)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.text("ab é", min_size=1, max_size=30)), max_size=60, unique_by=lambda d: d[1]
    ),
    st.dictionaries(st.sampled_from("xyz"), st.floats(0, 4), min_size=1).filter(lambda w: any(w.values())),
    st.integers(1, 400),
)
def test_the_sample_is_the_one_that_documents_coming_one_by_one_give(
    documents: list[tuple[int, str]], weights: dict[str, float], limit: int
) -> None:
    texts = [Document(text, "") for _, text in documents]
    ids = np.array([[int(d.id[:16], 16), int(d.id[16:], 16)] for d in texts], np.uint64).reshape(-1, 2)
    sizes = np.array([len(d.text.encode()) for d in texts], np.int64)
    corpus: Any = SimpleNamespace(
        ids_of=lambda _: (np.arange(len(texts)), ids, sizes),
        sources_of=lambda _: (["x", "y", "z"], np.array([i for i, _ in documents], np.int64)),
    )
    numbers, _ = sample_of(corpus, limit, weights)
    shared = SharedSample(limit, {name: weights.get(name, 0) for name in "xyz"})
    for (i, _), document in zip(documents, texts, strict=True):
        shared.add(document, "xyz"[i])
    expected = sorted(entry for ones in shared.texts().values() for entry in ones)
    assert [texts[i].text for i in numbers.tolist()] == [text for _, text in expected]
