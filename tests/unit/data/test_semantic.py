"""Semantic duplicates: the pairs that plain loops find, who stays, and what becomes of them in a preparation."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from gnomon.base.arrays import load_array, write_array
from gnomon.base.errors import ConfigError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.duplicates import semantic
from gnomon.data.duplicates.likeness import find_alike
from gnomon.data.duplicates.meaning import compare_texts
from gnomon.data.duplicates.semantic import first_partners, histogram, leaders, search
from gnomon.data.prepare import prepare
from gnomon.embed.embedder import UNIT, to_units
from gnomon.observe.preparation import preparation_html
from gnomon.store.datasets import Dataset
from gnomon.store.lineage import packed_lines
from gnomon.verbs.dedup import dedup

app = typer.Typer()
app.command()(dedup)


def slow_cosine(a: list[int], b: list[int]) -> float:
    across, left, right = (sum(x * y for x, y in zip(*pair, strict=True)) for pair in ((a, b), (a, a), (b, b)))
    return across / max((left * right) ** 0.5, 1)


def slow_pairs(vectors: list[list[int]], threshold: float) -> set[tuple[int, int]]:
    every = ((j, i) for j in range(len(vectors)) for i in range(j))
    return {(j, i) for j, i in every if slow_cosine(vectors[j], vectors[i]) >= threshold}


def slow_leaders(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    gone: dict[int, int] = {}
    for later, earlier in sorted(pairs):
        if later not in gone and earlier not in gone:
            gone[later] = earlier
    return gone


few = st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=30)


@given(few, st.sampled_from([0.5, 0.8, 0.9, 1.0]), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_pairs_and_nearest_ones_are_those_of_plain_loops_in_one_cell_or_many(
    rows: list[list[int]], threshold: float, size: int
) -> None:
    vectors = to_units(np.array(rows))
    slow = vectors.tolist()
    wanted = slow_pairs(slow, threshold)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "MOST_PARTNERS", 99)
        for exact, cell, probes in ((99, 99, 1), (0, size, 99), (0, size, 1)):
            for name, value in (("EXACT_DOCUMENTS", exact), ("CELL_DOCUMENTS", cell), ("PROBES", probes)):
                patch.setattr(semantic, name, value)
            for name in ("ROWS", "COLUMNS"):
                patch.setattr(semantic, name, size)
            found, cells = search(vectors, threshold)
            pairs = [(later, earlier) for later, earlier in found.pairs.tolist()]
            assert pairs == sorted(set(pairs)) and set(pairs) <= wanted
            if probes > 1 or cells is None:
                assert set(pairs) == wanted
                for i, vector in enumerate(slow):
                    products = [sum(a * b for a, b in zip(vector, v, strict=True)) for v in slow]
                    others = [p for j, p in enumerate(products) if j != i] if any(vector) else []
                    best = max([-1, *others])
                    assert found.products[i] == best
                    assert best < 0 or (products[found.partners[i]] == best and found.partners[i] != i)
            else:
                assert {pair for pair in wanted if cells[pair[0], 0] == cells[pair[1], 0]} <= set(pairs)


@given(st.sets(st.tuples(st.integers(0, 14), st.integers(0, 14)).filter(lambda pair: pair[0] > pair[1])))
@settings(max_examples=80, deadline=None)
def test_who_goes_is_like_one_that_stays_and_no_two_that_stay_are_alike(pairs: set[tuple[int, int]]) -> None:
    gone, kept = leaders(np.array(sorted(pairs), np.int64).reshape(-1, 2))
    assert dict(zip(gone.tolist(), kept.tolist(), strict=True)) == slow_leaders(pairs)
    assert not set(kept.tolist()) & set(gone.tolist())


def test_of_very_many_alike_only_the_first_partners_are_noted_and_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "PAIRS", 100)
    found, _ = search(np.tile(to_units(np.array([[1, 2, 3]])), (300, 1)), 1.0)
    assert len(found.pairs) < 32 * 300 and leaders(found.pairs)[0].tolist() == list(range(1, 300))
    pairs, values = first_partners([(np.array([[3, 1], [2, 0], [3, 1]]), np.array([0.9, 0.8, 0.9]))])
    assert pairs.tolist() == [[2, 0], [3, 1]] and values.tolist() == [0.8, 0.9]
    assert histogram(np.array([-1, 0, UNIT**2 // 2, UNIT**2 + 5])) == [2, *[0] * 24, 1, *[0] * 23, 1]


def test_a_comparison_opens_only_the_blocks_of_what_it_compares(tmp_path: Path) -> None:
    folders = [tmp_path / str(b) for b in range(5)]
    for b in (1, 3):  # no other is there
        folders[b].mkdir()
        write_array(folders[b] / "vectors.npy", to_units(np.array([[1, 2, 3], [b, -1, 0]])))
    given = {"order": range(10), "starts": range(0, 11, 2), "at.rows": [2, 6], "at.columns": [2, 3, 6]}
    for name, values in given.items():
        write_array(tmp_path / f"{name}.npy", np.array(values))
    args: dict[str, Any] = {name: str(tmp_path / f"{name}.npy") for name in ("order", "starts")}
    args |= {"at": str(tmp_path / "at"), "vectors": list(map(str, folders)), "threshold": 0.9, "cells": None}
    compare_texts(args, lambda _: None)
    assert load_array(tmp_path / "at.pairs.npy").tolist() == [[6, 2]]


def sentences(count: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(3000)}" for _ in range(40)) for _ in range(count)]


def shuffled(text: str, seed: int, more: str = "") -> str:
    """The same words in another order: no near duplicate, and the same to an embedder that knows no order."""
    words = text.split()
    random.Random(seed).shuffle(words)
    return " ".join(words) + more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Texts and held-out ones; of one of each another telling, the training one longer."""
    texts, held = sentences(60, 1), sentences(5, 2)
    texts += [shuffled(texts[0], 3, " again"), shuffled(held[0], 4, " and much more of it"), "..."]
    (tmp_path / "texts").mkdir()
    lines = [json.dumps({"text": text, "id": f"t{i}"}) + "\n" for i, text in enumerate(texts)]
    (tmp_path / "texts" / "b.jsonl").write_text("".join(lines[:30]))
    (tmp_path / "texts" / "a.jsonl").write_text("".join(lines[30:]))
    (tmp_path / "held.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in held))
    return tmp_path


def made(folder: Path, workers: int = 1, **data: object) -> Dataset:
    whole = {"train": str(folder / "texts"), "root": str(folder / f"datasets{workers}"), "workers": workers} | data
    return prepare(DataConfig.model_validate(whole), TokenizerConfig(), 512, silent)


def test_of_two_tellings_the_held_out_one_stays_then_the_longer_one_and_the_ledger_says_so(folder: Path) -> None:
    dataset = made(folder, validation=str(folder / "held.jsonl"), dedup={"semantic": 0.9})
    gone = [(e["origin"], e["reason"], e["detail"]) for e in packed_lines(dataset.folder / "ledger.jsonl.zst")]
    assert gone == [
        ("a.jsonl:32", "semantic duplicate of validation", "of held.jsonl:1"),
        ("b.jsonl:1", "semantic duplicate", "of a.jsonl:31"),
    ]
    said = dataset.manifest["semantic"]
    assert said["compared"] == 67 == sum(said["histogram"]) and said["pairs"] == 2 and sum(said["histogram"][45:]) == 4
    page = preparation_html(dataset)
    assert "How like texts are to their nearest other" in page and "Removed: semantic duplicate" in page


def test_the_verb_shows_how_like_records_are_and_what_goes_at_a_threshold(folder: Path) -> None:
    body = json.loads(CliRunner().invoke(app, [str(folder / "texts"), "--semantic", "--json"]).stdout)
    assert body["documents"] == 63 and sum(body["highest"]) == 62 and body["removed"] == []
    assert [pair[:2] for pair in body["examples"] if pair[2] > 0.9] == [["t0", "t60"]]
    listed = [str(folder / "texts"), "--semantic", "--threshold", "0.9"]
    body = json.loads(CliRunner().invoke(app, [*listed, "--json"]).stdout)
    assert [pair[:2] for pair in body["removed"]] == [["t0", "t60"]] and body["removed_bytes"] > 100
    lines = CliRunner().invoke(app, listed).stdout.splitlines()
    assert "1 documents go at 0.9, 1.6% of the bytes" in lines and lines[-3] == "2 documents"
    shown = CliRunner().invoke(app, [str(folder / "texts"), "--semantic"]).stdout
    assert "from 0.95\n  0.9" in shown and shown.endswith("--threshold 0.93\n")
    with pytest.raises(ConfigError, match="cannot be told at"):
        find_alike([str(folder / "texts")], 0.3)
