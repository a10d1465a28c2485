"""A record is found by its own id, and ids that stand for two texts are told; files that come together cost one job."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.work import BLOCKS
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import everything, trace
from tests.world import write_corpus


def made(folder: Path, **data: object) -> Dataset:
    config = DataConfig.model_validate({"train": str(folder / "texts"), "root": str(folder / "datasets")} | data)
    return prepare(config, TokenizerConfig(), 512, silent)


def write(path: Path, *records: Mapping[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_a_record_is_found_by_its_own_id_whatever_became_of_it(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    long = "\n\n".join(f"Paragraph {i} of a long record, {i * i % 97} of {i * 7919 % 9973}." for i in range(1500))
    write(
        tmp_path / "texts" / "own.jsonl",
        {"id": "long/1", "text": long},
        {"id": "n-ä", "text": "A text of its own, which is there once."},
        {"id": 18446744073709551615, "text": "Another text of its own, there twice."},
        {"id": "again", "text": "Another  text of its own, there twice."},
        {"id": 1.5, "text": "A number with a point is no id of anything."},
        {"id": True, "text": "And true and false are none either."},
    )
    dataset = made(tmp_path)
    assert [t.origin for t in trace(dataset, "n-ä")] == ["own.jsonl:2"]
    assert {t.origin for t in trace(dataset, "long/1")} == {"own.jsonl:1", "own.jsonl:1#2", "own.jsonl:1#3"}
    assert [(t.origin, t.status) for t in trace(dataset, "again")] == [("own.jsonl:4", "removed")]
    kept, twin = trace(dataset, "18446744073709551615")
    assert (kept.origin, twin.origin, twin.own_id) == ("own.jsonl:3", "own.jsonl:4", "again")
    ids = {t.origin: t.own_id for t in everything(dataset)}
    assert (ids["own.jsonl:5"], ids["own.jsonl:6"], ids["one.txt:1"], ids["stories.jsonl:1"]) == (None, None, None, "0")
    without = made(tmp_path, id_field=None)
    assert {t.own_id for t in everything(without)} == {None}


def test_ids_that_stand_for_two_texts_are_told_and_equal_texts_are_only_duplicates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_corpus(tmp_path / "texts")
    texts = [f"The {i * i}th of {i} texts that nobody has written before {i * 37 % 101}." for i in range(8)]
    write(tmp_path / "texts" / "a.jsonl", *({"id": f"x{i % 4}", "text": texts[i]} for i in range(6)))
    write(tmp_path / "texts" / "b.jsonl", {"id": "x5", "text": texts[6]}, {"id": "x5", "text": texts[6] + " "})
    with caplog.at_level(logging.WARNING):
        dataset = made(tmp_path)
    said = dataset.manifest["repeated_ids"]["texts"]
    expected = [["x0", "a.jsonl:1", "a.jsonl:5"], ["x1", "a.jsonl:2", "a.jsonl:6"]]
    assert said == {"ids": 2, "records": 4, "examples": expected}
    assert "2 ids of source texts stand for more than one text: x0 in a.jsonl:1 and a.jsonl:5" in caplog.text
    assert "2 ids of source texts stand for more than one text" in (dataset.folder / "card.md").read_text()


def test_many_small_files_are_one_group_and_one_more_leaves_the_other_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.data.groups.OPENING_BYTES", 1 << 20)  # about 16 files a group
    for i in range(80):
        write(
            tmp_path / "texts" / f"{i:03d}.jsonl", {"id": i, "text": f"Text {i}, the {i * i * 7919 % 9973}th of all."}
        )
    first = made(tmp_path, validation_share=0.1)
    assert [f["name"] for f in first.manifest["inputs"]] == sorted(f["name"] for f in first.manifest["inputs"])
    assert {t.origin: t.own_id for t in everything(first)} == {f"{i:03d}.jsonl:1": str(i) for i in range(80)}
    stamps = {p: p.stat().st_mtime_ns for p in read(first)}
    assert 2 < len(stamps) < 20
    write(tmp_path / "texts" / "0400.jsonl", {"id": 400, "text": "A text that came later than the others."})
    again = read(made(tmp_path, validation_share=0.1))
    assert sum(p in again and p.stat().st_mtime_ns == stamp for p, stamp in stamps.items()) >= len(stamps) - 2


def test_another_threshold_reads_no_text_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    first = read(made(tmp_path))
    stamps = [p.stat().st_mtime_ns for p in first]
    second = read(made(tmp_path, dedup={"near": 0.5}))
    assert (first, stamps) == (second, [p.stat().st_mtime_ns for p in second])


def read(dataset: Dataset) -> list[Path]:
    """Return what says that files were read, for each group."""
    return sorted((dataset.folder.parent / BLOCKS).glob("*/00000"))
