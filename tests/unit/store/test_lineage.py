"""Every record that came in can be found again: in the dataset, in the ledger, or in quarantine."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gnomon.base.errors import ConfigError
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.exchange.export import export_ids
from gnomon.data.exchange.version import Intake, import_ids
from gnomon.data.prepare import prepare
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import diff, everything, trace
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, write_corpus


def made(folder: Path, texts: str, **data: Any) -> Dataset:
    data = {"train": [str(folder / texts)], "root": str(folder / "datasets"), "max_bad_share": 0.5} | data
    return prepare(DataConfig.model_validate(data), TokenizerConfig(), 512, silent)


def worn(folder: Path) -> int:
    """Write a corpus with records that come twice, are broken or empty; return how many records there are."""
    write_corpus(folder)
    rng, path = random.Random(3), folder / "stories.jsonl"
    lines = path.read_text().splitlines()
    lines += [rng.choice(lines).replace(" ", "  ", 1) for _ in range(20)] + ["{broken", '{"text": ""}', '{"no": 1}']
    rng.shuffle(lines)
    path.write_text("\n".join(lines) + "\n")
    return len(lines) + 1


def test_every_record_is_in_the_dataset_or_it_is_known_why_not(tmp_path: Path) -> None:
    count = worn(tmp_path / "texts")
    dataset = made(tmp_path, "texts")
    known = list(everything(dataset))
    expected = [f"stories.jsonl:{n}" for n in range(1, count)] + ["one.txt:1"]
    assert sorted(t.origin for t in known) == sorted(expected)
    for t in known:
        assert trace(dataset, t.origin)[0] == t
        assert (t.status in ("train", "validation")) == (t.reason is None)
    removed = next(t for t in known if t.status == "removed")
    keeper, *twins = trace(dataset, str(removed.detail).removeprefix("of "))
    assert keeper.status in ("train", "validation")
    assert removed in twins
    assert keeper.id
    assert trace(dataset, keeper.id[:8])[0] == keeper
    for unknown in ("stories.jsonl:100000", "ffffffffffff", "a"):
        with pytest.raises(ConfigError, match="no document"):
            trace(dataset, unknown)


def test_the_difference_of_two_versions_is_what_was_changed(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a")
    first = made(tmp_path, "a", name="x")
    assert diff(first, first)["same"]
    (tmp_path / "a" / "more.jsonl").write_text(json.dumps({"text": "One more text, unlike all the others."}) + "\n")
    lines = (tmp_path / "a" / "stories.jsonl").read_text().splitlines()
    (tmp_path / "a" / "stories.jsonl").write_text("\n".join(lines[5:]) + "\n")
    second = made(tmp_path, "a", name="x", validation_share=0.25)
    found = diff(first, second)
    assert not found["same"]
    assert found["options"] == {"data.validation_share": [0.02, 0.25]}
    assert found["files"] == {"came": ["x/more.jsonl"], "went": [], "changed": ["x/stories.jsonl"]}
    sides = [{t.id: t.status for t in everything(d)} for d in (first, second)]
    moved = [i for i in sides[0].keys() & sides[1].keys() if sides[0][i] != sides[1][i]]
    assert found["changed_sides"] == len(moved) > 10
    for split, counts in found["documents"].items():
        before, after = ({i for i, side in s.items() if side == split} for s in sides)
        assert counts == {"stayed": len(before & after), "went": len(before - after), "came": len(after - before)}


def test_documents_whose_ids_are_hashes_of_different_things_are_not_compared(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a")
    text = made(tmp_path, "a", name="x")
    export_ids(text, "bin", tmp_path / "out", [], [], silent)
    ids = import_ids(Intake([str(tmp_path / "out")], "y", [], root=str(tmp_path / "d")), silent)
    for old, new in ((text, ids), (ids, text)):
        found = diff(old, new)
        assert found["documents"] is None and found["changed_sides"] is None
        assert "of texts" in found["not_comparable"] and "of token ids" in found["not_comparable"]
        said = CliRunner().invoke(app, ["data", "diff", str(old.folder), str(new.folder)]).output
        assert found["not_comparable"] in said and "came," not in said and "train      " in said
    assert diff(ids, ids)["not_comparable"] is diff(text, text)["not_comparable"] is None
    one = {"input_ids": list(range(300, 320))}
    (tmp_path / "b.jsonl").write_text(json.dumps(one) + "\n" + json.dumps({"input_ids": [301, 302]}) + "\n")
    train_tokenizer(SENTENCES, 512, "llama-bpe").save(tmp_path / "other.json")
    wanted = Intake([str(tmp_path / "b.jsonl")], "z", [], str(tmp_path / "other.json"), root=str(tmp_path / "d"))
    other = import_ids(wanted, silent)
    assert "tokenizers" in diff(ids, other)["not_comparable"]
    assert ids.manifest["tokenizer"]["digest"] != other.manifest["tokenizer"]["digest"]
