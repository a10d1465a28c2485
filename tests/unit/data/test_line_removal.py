"""Repeated lines of a corpus: cut as a dict of lines would have it, counted, traced, and seen by what comes after."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from gnomon.base.arrays import load_array
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data import blocks as blocks_module
from gnomon.data import document
from gnomon.data import prepare as preparation
from gnomon.data.account import flow_of
from gnomon.data.corpus import Corpus
from gnomon.data.document import Document, cut
from gnomon.data.duplicates import line_removal
from gnomon.data.prepare import prepare
from gnomon.observe.preparation import preparation_html
from gnomon.store.datasets import Dataset, verify_dataset
from gnomon.store.lineage import trace
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.unit.data.slow_lines import cut_lines

OFTEN = [f"The line number {i} of those that many have." for i in range(6)]
COOKIES = "We use cookies to make this page better."


def made(folder: Path, **data: Any) -> Dataset:
    config = DataConfig.model_validate({"train": str(folder / "texts"), "root": str(folder / "datasets")} | data)
    dataset = prepare(config, TokenizerConfig(), 512, silent)
    assert verify_dataset(dataset.folder) == []
    return dataset


def documents(dataset: Dataset) -> list[str]:
    tokenizer = Tokenizer.load(dataset.tokenizer_path)
    splits = [dataset.split(name) for name in ("train", "validation")]
    return sorted(tokenizer.decode(s.tokens(i).tolist()) for s in splits for i in range(s.documents))


def write_records(path: Path, texts: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def random_texts(count: int, draw: random.Random) -> list[str]:
    """Texts of a few lines of their own, some of them long, with lines between that others have too."""
    texts = []
    for number in range(count):
        lines = [f"own words {draw.randrange(10**9)} of text {number}" for _ in range(draw.choice([1, 2, 3, 40]))]
        for line in draw.choices(OFTEN, k=draw.randrange(4)):
            lines.insert(draw.randrange(len(lines) + 1), draw.choice([line, line.upper(), "\n " + line + "\n"]))
        texts.append("\n".join(lines))
    return texts


def test_any_cut_into_parts_gives_what_a_dict_of_lines_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_BYTES", 600)
    draw, versions = random.Random(0), list[Dataset]()
    held, texts = random_texts(4, draw), random_texts(40, draw)
    texts.insert(30, "\n".join(OFTEN[:2]) + "\nshort")
    header = "A line that a long record has in many parts."
    texts[3] = "\n".join(f"{header}\nmore words {draw.randrange(10**9)}, all of them its own" for _ in range(90))
    texts += [f"{header}\nand then some words of number {i}" for i in range(3)]
    for number, (frame, part_lines) in enumerate(((1 << 20, 1 << 20), (3000, 50))):
        monkeypatch.setattr(blocks_module, "FRAME_BYTES", frame)
        monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 2 * frame)
        monkeypatch.setattr(line_removal, "PART_LINES", part_lines)
        monkeypatch.setattr(line_removal, "BATCH_BYTES", frame)
        write_records(tmp_path / str(number) / "held.jsonl", held)
        write_records(tmp_path / str(number) / "texts" / "a.jsonl", texts)
        folder = tmp_path / str(number)
        versions.append(made(folder, validation=str(folder / "held.jsonl"), dedup={"lines": 3, "near": None}))
    parts = [(i, part.text) for i, text in enumerate(held + texts) for part in cut(Document(text, ""))]
    every = [text for _, text in parts]
    left = cut_lines(every, 30, 3, [record for record, _ in parts])
    expected = [every[i] if record < len(held) else left[i] for i, (record, _) in enumerate(parts)]
    kept = [text for text, was in zip(expected, every, strict=True) if text == was or len("".join(text.split())) >= 30]
    dataset = versions[1]
    assert documents(dataset) == sorted(kept)
    assert dataset.digest == versions[0].digest and dataset.manifest["removed"] == {
        "only repeated lines": len(parts) - len(kept)
    }
    flow = dataset.manifest["flow"]["texts"]
    changed = sum(text in kept and text != was for text, was in zip(expected, every, strict=True))
    assert flow["cut"][0] == dataset.manifest["lines"]["cut"]["texts"][0] == changed > 10
    assert flow["cut"][1] == dataset.manifest["lines"]["cut"]["texts"][2]
    ends = [flow["train"], flow["validation"], flow["cut"], *flow["removed"].values()]
    assert flow["in"][1] == sum(size for _, size in ends) == sum(len(t.encode()) for r, t in parts if r >= len(held))


def test_a_text_that_holds_a_line_that_counts_only_when_folded_stays(tmp_path: Path) -> None:
    line = "Gr\u00fc\u00dfe aus Gro\u00df\u00dftra\u00dfenhei\u00dfig"
    assert len("".join(line.split())) < 30 <= len("".join(line.casefold().split()))
    texts = [f"Words of their own, number {i} of them.\n{COOKIES}\n{line}" for i in range(1, 9)]
    write_records(tmp_path / "texts" / "a.jsonl", [f"Some more words.\n{COOKIES}", f"{line}\n{COOKIES}", *texts])
    write_records(tmp_path / "held.jsonl", ["Something else."])
    dataset = made(tmp_path, dedup={"lines": 2, "near": None}, validation=str(tmp_path / "held.jsonl"))
    assert [text for text in documents(dataset) if line in text] == [line + "\n"]
    assert dataset.manifest["removed"] == {}


def test_lines_are_counted_by_domain_and_only_parts_with_lines_that_go_are_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, removed = list[int](), list[int]()

    def load(path: Path) -> np.ndarray:
        if path.name == "keepers.npy":
            going.append(len(load_array(path)))
        return load_array(path)

    def flow(corpus: Corpus) -> dict[str, Any]:
        removed.extend(len(r.numbers) for r in corpus.removals if r.reason == "only repeated lines")
        return flow_of(corpus)

    monkeypatch.setattr(line_removal, "load_array", load)
    monkeypatch.setattr(preparation, "flow_of", flow)
    monkeypatch.setattr(line_removal, "PART_LINES", 4)
    for name, value in (("FRAME_BYTES", 500), ("BLOCK_BYTES", 500)):
        monkeypatch.setattr(blocks_module, name, value)
    for folder, count in (("news", 20), ("forum", 30)):
        texts = [f"The words of text {i} of the {folder} are all its own.\n{COOKIES}" for i in range(count)]
        write_records(tmp_path / "texts" / folder / "a.jsonl", texts)
    write_records(tmp_path / "texts" / "y.jsonl", [f"no. {i}\n{COOKIES}" for i in range(40)])
    write_records(tmp_path / "held.jsonl", ["Something else."])
    domains = [{"domain": "forum", "path": "forum/*"}]
    held = str(tmp_path / "held.jsonl")
    dataset = made(tmp_path, dedup={"lines": 2, "near": None}, validation=held, domains=domains)
    assert {name: c[:2] for name, c in dataset.manifest["lines"]["cut"].items()} == {
        "texts/forum": [29, 29],
        "texts": [20, 20],
    }
    came = dataset.manifest["flow"]
    assert all(came[name]["cut"] == [c[0], c[2]] for name, c in dataset.manifest["lines"]["cut"].items())
    assert removed == [40], "one entry for all blocks"
    assert going and all(going)


def test_what_was_cut_is_shown_traced_and_gone_for_all_that_comes_after(tmp_path: Path) -> None:
    item = "How many of the nineteen grey horses did the ferryman carry over the river before the first snow fell?"
    around = "The ferry was old and slow, and nobody remembered who had built it or when it had first crossed. " * 8
    around = around.strip()
    texts = [f"Story {i} of many, each with words of its own such as {i * i}.\n\n{COOKIES}" for i in range(60)]
    texts += [f"{around}\n{COOKIES}\n{around} {item} {around}", texts[7].partition("\n")[0] + "\n"]
    write_records(tmp_path / "texts" / "a.jsonl", texts)
    write_records(tmp_path / "held.jsonl", ["Something else."])
    (tmp_path / "suite.jsonl").write_text(json.dumps({"question": item}) + "\n")
    suite = {"against": str(tmp_path / "suite.jsonl"), "action": "cut"}
    dataset = made(
        tmp_path, dedup={"lines": 5, "near": None}, decontaminate=suite, validation=str(tmp_path / "held.jsonl")
    )
    kept = documents(dataset)
    assert [text for text in kept if COOKIES in text] == [texts[0]], "the first keeps it"
    (ferry,) = [text for text in kept if "old and slow" in text]
    assert "ferryman" not in ferry and ferry.startswith(around + "\n" + around[:40]), "both cuts are in the text"
    assert dataset.manifest["removed"] == {"duplicate": 1}, "what only the line told apart is equal now"
    assert dataset.manifest["lines"]["most"] == [[COOKIES, 61]]
    shown = CliRunner().invoke(app, ["data", "trace", str(dataset.folder), "a.jsonl:3"])
    assert shown.stdout.splitlines()[1].strip() == f"cut out: {COOKIES}"
    assert trace(dataset, "a.jsonl:1")[0].cut == () and trace(dataset, "a.jsonl:61")[0].cut == (COOKIES,)
    page = preparation_html(dataset)
    assert f"<td>{COOKIES}</td>" in page and "cut out of documents" in page
    assert "60 documents" in (dataset.folder / "card.md").read_text()


def test_the_verb_lists_the_most_repeated_lines(tmp_path: Path) -> None:
    texts = [f"Words of text {i} alone.\n{COOKIES.upper() if i else COOKIES}" for i in range(9)]
    write_records(tmp_path / "texts" / "a.jsonl", [*texts, OFTEN[0] + "\n" + OFTEN[0]])
    command = ["data", "dedup", str(tmp_path / "texts"), "--lines", "5"]
    lines = CliRunner().invoke(app, command).stdout.splitlines()
    assert lines[1].startswith("1 lines stand in more than 5 records; ") and "8 documents would lose 8" in lines[1]
    assert lines[2] == f"{9:>10}  {COOKIES}"
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert found["most"] == [[COOKIES, 9]] and found["cut_bytes"] == 8 * len(COOKIES)
