"""The histograms that a dataset carries are those of its shards, whatever jobs wrote them."""

import json
from pathlib import Path

import numpy as np
import pytest

import gnomon.data.encode as writing
from gnomon.base.errors import IntegrityError
from gnomon.base.files import write_synced
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.store.datasets import UNIGRAMS, Dataset, verify_dataset
from tests.world import write_corpus


def test_histograms_are_those_of_the_shards_and_are_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate("xy"):
        write_corpus(tmp_path / name, documents=30, seed=number)
    monkeypatch.setattr(writing, "SHARD_BYTES", 4096)
    sources = [{"name": f"of_{n}", "paths": [str(tmp_path / n)]} for n in "xy"]
    dataset = prepare(
        DataConfig.model_validate(
            {"sources": sources, "root": str(tmp_path / "datasets"), "name": "two", "workers": 1}
        ),
        TokenizerConfig(),
        512,
        silent,
    )
    for split in ("train", "validation"):
        slow = {
            name: np.bincount(np.concatenate(part.shards), minlength=512)
            for name, part in dataset.sources(split).items()
        }
        found = dataset.unigrams(split)
        assert list(found) == list(slow)
        assert all(np.array_equal(found[name], slow[name]) for name in slow)
    assert len(dataset.split("train").files) > len(dataset.sources("train")) > 1
    assert not list(dataset.folder.rglob("counts-*"))
    older = dataset.manifest | {"files": [f for f in dataset.manifest["files"] if UNIGRAMS not in f["path"]]}
    counted = Dataset(dataset.folder, json.loads(json.dumps(older))).unigrams()
    assert all(np.array_equal(counted[name], counts) for name, counts in dataset.unigrams().items())

    path = dataset.folder / "train" / UNIGRAMS
    whole = path.read_bytes()
    write_synced(path, whole[:-8] + b"\1" * 8)
    assert [damage.file for damage in verify_dataset(dataset.folder)] == [f"train/{UNIGRAMS}"]
    with pytest.raises(IntegrityError, match="counts are not as many"):
        dataset.unigrams()
