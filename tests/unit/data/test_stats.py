"""The numbers of a dataset are those of a slow count over its documents."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from gnomon.base.progress import silent
from gnomon.data.exchange.version import Intake, import_ids
from gnomon.data.stats import QUANTILES, measure_dataset
from gnomon.data.streaming.source import Windows
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.unit.data.exchange.test_version import tokenizer, written

__all__ = ["tokenizer"]


def test_the_numbers_of_a_dataset_are_those_of_a_slow_count(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    parts = {
        name: [draw.integers(150, 300, n).tolist() for n in draw.integers(1, most, 50)]
        for name, most in (("short", 9), ("long", 200))
    }
    paths = [f"{name}={written(tmp_path / f'{name}.jsonl', docs)}" for name, docs in parts.items()]
    dataset = import_ids(Intake(paths, "d", [], str(tokenizer), root=str(tmp_path / "d"), validation_share=0.2), silent)
    monkeypatch.setattr("gnomon.data.stats.WINDOW_DOCUMENTS", 16)
    monkeypatch.setattr("gnomon.data.streaming.source.WINDOW_DOCUMENTS", 16)
    train = dataset.split("train")
    counts = Counter(i for d in range(train.documents) for i in train.tokens(d).tolist())
    limit = sorted(counts.values())[20]
    monkeypatch.setattr("gnomon.data.stats.RARE", limit)
    found = measure_dataset(dataset, [32, 64], 10_000, silent)
    for split, said in found["splits"].items():
        for name, part in {None: dataset.split(split), **dataset.sources(split)}.items():
            sizes = sorted(len(part.tokens(i)) for i in range(part.documents))
            mine = said if name is None else said["sources"][name]
            assert (mine["documents"], mine["tokens"], mine["bytes"]) == (len(sizes), sum(sizes), part.bytes)
            for q in QUANTILES:  # the smallest length that so many per cent are not above
                at = mine["quantiles"][str(q)]
                assert sum(s <= at for s in sizes) * 100 >= q * len(sizes) and at in sizes
                assert sum(s < at for s in sizes) * 100 < q * len(sizes) or at == sizes[0]
            assert [(a, b, sum(a <= s <= b for s in sizes)) for a, b, _ in mine["histogram"]] == [
                tuple(row) for row in mine["histogram"]
            ]
            assert sum(count for _, _, count in mine["histogram"]) == len(sizes)
    tokens = Tokenizer.load(dataset.tokenizer_path).tokens
    assert found["vocabulary"]["never"] == sum(counts[i] == 0 for i in range(tokens))
    assert found["vocabulary"]["rare"] == sum(0 < counts[i] < limit for i in range(tokens))
    assert [(t["id"], t["count"]) for t in found["top"]] == sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:20]
    for context in (32, 64):
        windows = [Windows(part, context) for part in dataset.sources("train").values()]
        rows = sum(int(w.rows.sum()) for w in windows)
        assert found["rows"][str(context)]["rows"] == rows
        assert found["rows"][str(context)]["fill"] == train.n_tokens / (rows * context)
    assert found["epochs"]["all"] == 10_000 / train.n_tokens
    assert found["repeated"] == {"train": 0, "validation": 0, "train in validation": 0}


def test_documents_that_are_there_twice_are_counted(tmp_path: Path, tokenizer: Path) -> None:
    path = written(tmp_path / "a.jsonl", [[i, i] for i in range(200, 260)])
    dataset = import_ids(Intake([path], "d", [], str(tokenizer), root=str(tmp_path)), silent)
    ids = np.load(dataset.folder / "train" / "tokens-00000.npy", mmap_mode="r+")
    ids[4:6] = ids[1:3]  # the second document as the first
    ids[7:9] = dataset.split("validation").tokens(0)[1:]
    ids.flush()
    assert measure_dataset(dataset, [], None, silent)["repeated"] == {
        "train": 1,
        "validation": 0,
        "train in validation": 1,
    }
