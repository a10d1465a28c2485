"""Conversations and questions: the exact layout, loss where it belongs, labels at their marks, and no text that makes a
mark.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zstandard

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data import groups
from gnomon.data.prepare import prepare
from gnomon.data.recipe import Recipe
from gnomon.data.split import held_out_groups
from gnomon.data.streaming.stream import Stream, rows_of
from gnomon.data.streaming.targets import refuse_other_marks
from gnomon.data.synthesis.render import render
from gnomon.data.synthesis.sample import as_record
from gnomon.data.synthesis.synthesize import synthesize
from gnomon.events.journal import Decisions
from gnomon.store import labels as table
from gnomon.store.datasets import Dataset, Split, verify_dataset
from gnomon.taxonomy import ANSWER_TYPES, FINE_TYPES, ROUTER_SIGNALS
from gnomon.tokenizer.tokenizer import Tokenizer
from tests.world import HOSTILE, chat_records, question_records, write_structured

FORMS = (("chat", "chat"), ("asked", "questions"))
Shown = list[tuple[str, bool]]  # each character or mark, and whether it is to be learned to say


def made(data: dict[str, Any], **more: Any) -> Dataset:
    return prepare(DataConfig.model_validate(data | more), TokenizerConfig(), 512, silent)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return made(write_structured(tmp_path_factory.mktemp("structured")))


def bits(split: Split) -> np.ndarray:
    """Whether what follows a token bears loss, by the files alone."""
    parts = [np.unpackbits(np.load(files.mask), bitorder="little") for files in split.files]
    return np.concatenate([part[: len(ids)] for part, ids in zip(parts, split.shards, strict=True)]).astype(bool)


def shown(dataset: Dataset, source: str) -> dict[str, Shown]:
    """Each document of a source by its record's id, from its ids and bits; a mark is one entry, behind a NUL."""
    tokenizer, found = Tokenizer.load(dataset.tokenizer_path), dict[str, Shown]()
    for split in (dataset.sources(name)[source] for name in ("train", "validation") if source in dataset.sources(name)):
        mask = bits(split)
        for i in range(split.documents):
            ids, first = split.tokens(i).tolist(), int(split.offsets[i])
            follows = mask[first : first + len(ids)].tolist()
            entries: list[tuple[bytes, bool]] = []
            for id_, loss in zip([*ids[1:], ids[0]], follows, strict=True):
                special = id_ in tokenizer.special_ids
                data = tokenizer.decode_bytes([id_], specials=True)
                entries += [(b"\x00" + data, loss)] if special else [(data[k : k + 1], loss) for k in range(len(data))]
            own = json.loads(json.dumps(split.known([i])[0]))["own_id"]
            found[own] = [(data.decode("latin-1"), loss) for data, loss in entries]
    return found


def slow(parts: list[tuple[str, bool]]) -> Shown:
    """What is expected: parts that begin with NUL are marks."""
    found: Shown = []
    for text, loss in [*parts, ("\x00<|endoftext|>", parts[-1][1])]:
        data = text.encode().decode("latin-1")
        found += [(data, loss)] if text.startswith("\x00") else [(letter, loss) for letter in data]
    return found


def turn(role: str, *said: tuple[str, bool]) -> list[tuple[str, bool]]:
    learned = role == "assistant"
    return [("\x00<|im_start|>", False), (f"{role}\n", False), *said, ("\x00<|im_end|>", learned), ("\n", False)]


def slow_chat(record: dict[str, Any]) -> list[tuple[str, bool]]:
    if "completion" in record:
        return turn("user", (record["prompt"], False)) + turn("assistant", (record["completion"], True))
    if "output" in record:
        asked = f"{record['instruction']}\n\n{record['input']}"
        return turn("user", (asked, False)) + turn("assistant", (record["output"], True))
    parts, messages = list[tuple[str, bool]](), record["messages"]
    if "tools" in record:
        listed = "\n".join(json.dumps(tool) for tool in record["tools"])
        parts += turn("system", (messages[0]["content"] + "\n\n", False), ("\x00<tools>", False),
                      (f"\n{listed}\n", False), ("\x00</tools>", False))  # fmt: skip
        messages = messages[1:]
    for message in messages:
        if message["role"] == "tool":
            said = [("\x00<tool_response>", False), (f"\n{message['content']}\n", False)]
            parts += turn("user", *said, ("\x00</tool_response>", False))
        elif calls := message.get("tool_calls"):
            said = []
            for call in calls:
                function = call["function"]
                body = f'{{"name": "{function["name"]}", "arguments": {function["arguments"]}}}'
                said += [("\n", True)] * bool(said)
                said += [("\x00<tool_call>", True), (f"\n{body}\n", True), ("\x00</tool_call>", True)]
            parts += turn("assistant", *said)
        else:
            parts += turn(message["role"], (message["content"], message["role"] == "assistant"))
    return parts


def slow_question(
    record: dict[str, Any], asked: bool = True, read: bool = False, abstain: str = "always", recite: bool = False
) -> list[tuple[str, bool]]:
    parts = [("\x00<|q|>", False), (" " + record["question"], asked), ("\x00<|/q|>", False)]
    if record["evidence"]:
        passages = [(("\x00<|doc|>", False), (" " + one, read), ("\x00<|/doc|>", False)) for one in record["evidence"]]
        parts += [("\x00<|ctx|>", False), *(p for passage in passages for p in passage), ("\x00<|/ctx|>", False)]
    chosen = recite and not record["evidence"]
    if chosen and "recitation" in record:
        parts += [("\x00<|fact|>", True), (" " + record["recitation"], True), ("\x00<|/fact|>", True)]
    if record.get("answerable") is False or record.get("well_posed") is False:
        if abstain == "always" or (abstain == "evidence" and record["evidence"]):
            parts += [("\x00<|a|>", chosen), ("\x00<|abstain|>", True), ("\x00<|/a|>", True)]
    elif record.get("answers"):
        parts += [("\x00<|a|>", chosen), (" " + record["answers"][0], True), ("\x00<|/a|>", True)]
    return parts if ("\x00<|a|>", chosen) in parts else [*parts, ("\x00<|a|>", False)]  # heads are read there


def test_questions_of_another_layout_are_prepared_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_structured(tmp_path)
    before = made(data)
    assert made(data).digest == before.digest and shown(before, "asked")
    monkeypatch.setattr("gnomon.data.forms.questions.GAP", "  ")
    assert made(data).digest == before.digest, "equal settings find what is there"
    monkeypatch.setattr("gnomon.data.forms.form.LAYOUT", 99)
    after = made(data)
    assert shown(after, "chat") == shown(before, "chat")
    for name, entries in shown(after, "asked").items():
        assert entries[1:3] == [(" ", entries[1][1])] * 2 and entries != shown(before, "asked")[name]


def test_a_conversation_is_laid_out_exactly_and_the_assistant_alone_bears_loss(dataset: Dataset) -> None:
    found = shown(dataset, "chat")
    assert len(found) == len(chat_records())
    for record in chat_records():
        assert found[record["id"]] == slow(slow_chat(record)), record


def test_a_question_is_laid_out_exactly_and_evidence_bears_no_loss(dataset: Dataset) -> None:
    found = shown(dataset, "asked")
    records = {record["id"]: record for record in question_records()}
    gone = {int(line["own_id"][1:]) for line in ledger(dataset)}
    assert len(found) + len(gone) == len(records)
    assert all(records[f"q{i}"]["question"] == records[f"q{i - 1}"]["question"] for i in gone)  # equal in every part
    for own, got in found.items():
        assert got == slow(slow_question(records[own])), own


@pytest.mark.parametrize(
    ("asked", "read", "abstain", "recite"),
    [(False, True, "evidence", True), (True, True, "never", False), (True, False, "always", True)],
)
def test_a_source_may_say_what_bears_loss_what_abstains_and_what_is_recited(
    tmp_path: Path, asked: bool, read: bool, abstain: str, recite: bool
) -> None:
    data = write_structured(tmp_path)
    plain = data["sources"][2]
    options = {"question_loss": asked, "evidence_loss": read, "abstain": abstain, "recite": recite}
    digests = [Recipe.of(DataConfig.model_validate(data), TokenizerConfig(), 512, silent).digest]
    for name in ("evidence_loss", "abstain", "recite"):
        sources = [*data["sources"][:2], plain | {name: options[name]}]
        said = DataConfig.model_validate(data | {"sources": sources})
        digests.append(Recipe.of(said, TokenizerConfig(), 512, silent).digest)
    assert len(set(digests)) == 1 + sum((read, abstain != "always", recite)), "a default adds nothing"
    found = shown(made(data, sources=[*data["sources"][:2], plain | options]), "asked")
    records = {record["id"]: record for record in question_records()}
    assert len(found) > 30
    for own, got in found.items():
        assert got == slow(slow_question(records[own], asked, read, abstain, recite)), own
    recited = {f"q{i}" for i in range(40) if not records[f"q{i}"]["evidence"] and "recitation" in records[f"q{i}"]}
    assert bool(recited & {own for own, got in found.items() if any("fact" in piece for piece, _ in got)}) == recite


def ledger(dataset: Dataset) -> Iterator[dict[str, str]]:
    with zstandard.open(dataset.folder / "ledger.jsonl.zst") as lines:
        yield from (said for line in lines.read().splitlines() if "own_id" in (said := json.loads(line)))


def test_records_of_data_synth_are_what_synth_renders(tmp_path: Path) -> None:
    samples = [sample for sample in synthesize(40, seed=3) if sample.messages][:12]
    lines = [json.dumps(as_record(sample) | {"id": f"s{i}"}) for i, sample in enumerate(samples)]
    (tmp_path / "synth.jsonl").write_text("\n".join(lines) + "\n")
    source = {"name": "synth", "paths": str(tmp_path / "synth.jsonl"), "form": "chat"}
    found = shown(made({"sources": [source], "root": str(tmp_path / "datasets"), "dedup": {"near": None}}), "synth")
    for i, sample in enumerate(samples):
        rendered = render(sample)
        begin = rendered.text.index("<|im_start|>")  # behind the mark of the family
        text = "".join(piece.removeprefix("\x00") for piece, _ in found[f"s{i}"]).encode("latin-1").decode()
        assert text == rendered.text[begin:] + "<|endoftext|>"
        learned = "".join(piece.removeprefix("\x00") for piece, loss in found[f"s{i}"] if loss)
        assert learned.encode("latin-1").decode() == "".join(rendered.text[a:b] for a, b in rendered.spans)


def test_no_text_makes_a_mark(tmp_path: Path) -> None:
    tools = [{"name": HOSTILE, "description": HOSTILE, "parameters": {HOSTILE: HOSTILE}}]
    said: list[dict[str, Any]] = [
        {"role": role, "content": HOSTILE} for role in ("system", "user", "tool", "assistant")
    ]
    said[3]["tool_calls"] = [{"function": {"name": HOSTILE, "arguments": {HOSTILE: HOSTILE}}}]
    records = [{"id": "a", "messages": said, "tools": tools}, {"id": "b", "prompt": "And?", "completion": "So."}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    source = {"name": "a", "paths": str(tmp_path / "a.jsonl"), "form": "chat"}
    marks = [
        piece for piece, _ in shown(made({"sources": [source], "root": str(tmp_path)}), "a")["a"] if "\x00" in piece
    ]
    turns = [["tools", "/tools"], [], ["tool_response", "/tool_response"], ["tool_call", "/tool_call"]]
    wanted = [["|im_start|", *inner, "|im_end|"] for inner in turns]
    assert marks == [f"\x00<{name}>" for name in [*(n for each in wanted for n in each), "|endoftext|"]]


def known(record: dict[str, Any]) -> list[float]:
    """The row of the labels' table, by the record alone."""
    row = [math.nan] * table.WIDTH

    def say(signal: str, value: float, weight: float = 1.0) -> None:
        row[ROUTER_SIGNALS.index(signal)], row[5 + ROUTER_SIGNALS.index(signal)] = value, weight

    answerable = False if record.get("well_posed") is False else record.get("answerable")
    if "well_posed" in record:
        say("well_posed", 0)
    if answerable is not None and record["evidence"]:
        say("sufficient", answerable)
    elif answerable is False:
        say("known", 0)
        say("retrieve", 0)
    if "labels" in record:
        say("known", 0.375, 0.5)
        say("correct", 1)
    type_ = "person" if "fine_type" in record else record.get("type")
    if type_:
        row[10:28] = [float(one == type_) for one in ANSWER_TYPES]
    if "fine_type" in record:
        row[28:78] = [float(one == "HUM:ind") for one in FINE_TYPES]
    return row


@pytest.mark.parametrize("length", [256, 64])
def test_labels_say_what_the_record_says_at_the_marks_where_it_is_read(dataset: Dataset, length: int) -> None:
    tokenizer, split = Tokenizer.load(dataset.tokenizer_path), dataset.sources("train")["asked"]
    records = {record["id"]: record for record in question_records()}
    said = [known(records[split.known([i])[0]["own_id"]]) for i in range(split.documents)]
    assert np.array_equal(split.labels(np.arange(split.documents)), np.array(said, np.float32), equal_nan=True)
    stream = Stream(dataset, length, 8, 3, 1, Decisions(), lengths=[(0, 40), (64, length)])
    marks = [tokenizer.special_id(mark) for mark in ("<|/q|>", "<|/ctx|>", "<|/a|>", "<|a|>")]
    of_signals = [{0, 3}, {0, 3}, {0, 3}, {1, 3}, {2}]
    kinds_of = [*of_signals, *of_signals, *[{0}] * 68]
    totals, seen = dict[str, int](), set[int]()
    for _ in range(12):
        batch = stream.take(row := 8 * _)
        longest = 40 if row < 64 else length
        expected: list[tuple[int, int, int, list[float]]] = []
        counts = dict.fromkeys([*ROUTER_SIGNALS, "coarse", "fine"], 0)
        spans = stream.spans(batch.first_row, 8)
        place_in = dict.fromkeys(range(8), 0)
        for span in spans:
            at, ids = place_in[span.row - batch.first_row], np.array([], int)
            place_in[span.row - batch.first_row] += span.stop - span.start
            if span.source == "asked" and span.start == 0:
                ids = split.tokens(span.document)[: min(span.stop, longest)].astype(int)
            for k, id_ in enumerate(ids.tolist()):
                if id_ in marks:
                    kind = marks.index(id_)
                    here = [kind in kinds for kinds in kinds_of]
                    row_of = np.where(here, said[span.document], np.nan).tolist()
                    if not all(map(math.isnan, row_of)):
                        expected.append((span.row - batch.first_row, at + k, kind, row_of))
                        seen.add(kind)
        got: list[tuple[int, int, int, list[float]]] = []
        for number, micro in enumerate(batch.micros):
            if (targets := micro.targets) is None:
                continue
            rows = torch.cat([targets.router, targets.weight, targets.coarse, targets.fine], dim=1)
            for place, kind, row_of in zip(targets.places.tolist(), targets.kinds.tolist(), rows.tolist(), strict=True):
                got.append((3 * number + place // length, place % length, kind, row_of))
        assert str(got) == str(expected)  # NaN is NaN
        for _, _, _, row_of in expected:
            for k, name in enumerate(ROUTER_SIGNALS):
                counts[name] += not math.isnan(row_of[k])
            counts["coarse"] += not math.isnan(row_of[10])
            counts["fine"] += not math.isnan(row_of[28])
        assert batch.labelled == counts
        totals |= {name: totals.get(name, 0) + n for name, n in counts.items()}
    assert length < 256 or (seen == {0, 1, 2, 3} and all(totals.values()))


def test_what_the_mask_silences_has_no_label_and_is_not_counted(dataset: Dataset) -> None:
    sources = dataset.sources("train")
    masks = {name: bits(split) if split.masked else np.ones(split.n_tokens, bool) for name, split in sources.items()}
    for stride in (None, 24):
        stream = Stream(dataset, 48, 8, 3, 1, Decisions(), stride=stride)
        for first in range(0, 160, 8):
            batch = stream.take(first)
            labels = torch.cat([micro.labels for micro in batch.micros]).numpy()
            at, wanted = dict.fromkeys(range(8), 0), np.full((8, 48), -100)
            for span in stream.spans(first, 8):
                split, row = sources[span.source], span.row - first
                ids = np.append(split.tokens(span.document), split.end_of_text).astype(int)
                here = masks[span.source][int(split.offsets[span.document]) :][span.start : span.stop].copy()
                if stride and span.start:
                    here[: 48 - stride] = False
                end = at[row] + span.stop - span.start
                wanted[row, at[row] : end] = np.where(here, ids[span.start + 1 : span.stop + 1], -100)
                at[row] = end
            assert np.array_equal(labels, wanted)
            assert batch.loss_tokens == int((wanted != -100).sum())
            assert [micro.loss_tokens for micro in batch.micros] == [
                int((m.labels != -100).sum()) for m in batch.micros
            ]
        counts = stream.mix().counts(160)
        given = sum(share.tokens for share in stream.shares(160))
        assert given == sum(stream.take(first).loss_tokens for first in range(0, 160, 8))
        assert counts.sum() == 160


def test_a_question_that_fits_into_a_row_is_never_cut(dataset: Dataset) -> None:
    split = dataset.sources("train")["asked"]
    sizes = np.diff(split.offsets.astype(np.int64))
    length = int(np.median(sizes)) + 3
    stream = Stream(dataset, length, 4, 4, 0, Decisions(), weights=[(0, {"asked": 1.0})])
    for span in stream.spans(0, 200):
        whole = span.start == 0 and span.stop == sizes[span.document]
        assert whole or sizes[span.document] > length
    rows = list(rows_of(split, length, 4, None))
    assert sum(row.loss_tokens for row in rows) == split.bearing == int(bits(split).sum())


def test_records_of_one_question_stay_on_one_side(tmp_path: Path) -> None:
    records = [{"question": f"Who is {i // 4}?", "answers": [str(i)]} for i in range(400)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    source = {"name": "q", "paths": str(tmp_path / "q.jsonl"), "form": "questions"}
    dataset = made({"sources": [source], "root": str(tmp_path), "validation_share": 0.1})
    sides: list[set[int]] = []
    for name in ("train", "validation"):
        lines = [
            int(said["origin"].partition(":")[2])
            for said in dataset.split(name).known(range(dataset.split(name).documents))
        ]
        sides.append({(line - 1) // 4 for line in lines})
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 100
    assert 5 <= len(sides[1]) <= 20
    ids, sizes = np.arange(20, dtype=np.uint64).reshape(10, 2), np.full(10, 100)
    everything = held_out_groups(np.arange(10), np.full(10, 7, np.uint64), ids, sizes, 0.1)
    assert len(everything) in (0, 10)


def test_files_that_are_read_apart_give_the_same_shards(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "ALONE_BYTES", 1)
    data = write_structured(tmp_path)
    for source in data["sources"][1:]:
        whole = Path(source["paths"])
        lines, source["paths"] = whole.read_text().splitlines(keepends=True), []
        for i in range(3):
            source["paths"].append(str(tmp_path / f"{source['name']}-{i}.jsonl"))
            Path(source["paths"][i]).write_text("".join(lines[i::3]))
    again = made(data)
    assert len(list((tmp_path / "datasets").glob("*/.blocks/*/00000/parts.npy"))) == 6
    for name in ("train/mask-00001", "train/mask-00002", "train/labels-00002", "train/tokens-00002"):
        assert (again.folder / f"{name}.npy").read_bytes() == (dataset.folder / f"{name}.npy").read_bytes()


def test_records_are_left_out_whole_and_by_their_text(tmp_path: Path) -> None:
    said = "The harbour master counted every barrel that came ashore before the storm broke over the old town"
    chats = [{"id": f"c{i}", "prompt": f"{said}. Why?", "completion": f"He never said, in {i}"} for i in range(2)]
    chats.append({"id": "pii", "prompt": "Whom do I ask?", "completion": "Write to ada.byron@sea.dk."})
    asked = [{"id": f"q{i}", "question": f"{said} of {i}?", "answers": ["Yes"]} for i in range(12)]
    asked[3]["question"] = "Which painter lived beside the northern lighthouse of Skagen from autumn until spring?"
    asked.append(asked[5] | {"id": "again"})
    long = " ".join(
        f"In {year} the {year % 7}th ship of that spring brought {year * 31} barrels." for year in range(1700, 1760)
    )
    chats.append({"id": "long", "prompt": f"{long} {asked[3]['question']} {long[::-1]}", "completion": "Nobody knows."})
    suite = tmp_path / "suite.jsonl"
    suite.write_text(json.dumps({"question": asked[3]["question"], "answer": "Yes"}) + "\n")
    for name, records in (("chat", chats), ("asked", asked)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    sources = [{"paths": str(tmp_path / f"{name}.jsonl"), "form": form} for name, form in FORMS]
    (tmp_path / "held.txt").write_text("This is held out.")
    dataset = made(
        {"sources": sources, "root": str(tmp_path), "validation": str(tmp_path / "held.txt")},
        clean={"rules": ["gopher-quality", "c4"], "pii": True},
        dedup={"lines": 1, "near": 0.7},
        decontaminate={"against": str(suite), "action": "cut"},
    )
    gone = {line["own_id"]: line["reason"] for line in ledger(dataset)}
    near = next(own for own in gone if own in ("c0", "c1"))
    assert gone == {"again": "duplicate", near: "near duplicate", "q3": "in a suite", "long": "in a suite"}
    text = "".join(piece for piece, _ in shown(dataset, "chat")["pii"])
    assert "ada.byron" not in text
    assert text.count("\x00<|im_start|>") == 2


def test_a_dataset_of_text_alone_says_nothing_of_forms(tmp_path: Path) -> None:
    data, named = write_structured(tmp_path), {"name": "texts", "paths": str(tmp_path / "texts")}
    digests = set()
    for source in (named, named | {"form": "text"}, named | {"form": "text", "question_loss": False}):
        config = DataConfig.model_validate(data | {"sources": [source]})
        digests.add(Recipe.of(config, TokenizerConfig(), 512, silent).digest)
    assert len(digests) == 1
    dataset = made(data, sources=[named])
    said = (dataset.folder / "manifest.json").read_text()
    assert dataset.manifest["format"] == 3
    assert not [w for w in ('form"', "question_loss", "marks", "bearing", "labelled", "mask-", "labels-") if w in said]
    blocks = tmp_path / "datasets" / "several" / ".blocks"
    assert {p.name for p in blocks.glob("*/00000/*")} == {"documents.npy", "frames.npy", "ids.zst", "texts.zst"}


def test_a_flipped_bit_is_found(dataset: Dataset) -> None:
    assert verify_dataset(dataset.folder) == []
    for name in ("mask-00001.npy", "labels-00002.npy"):
        path = dataset.folder / "train" / name
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert [damage.file for damage in verify_dataset(dataset.folder)] == [f"train/{name}"]
        path.write_bytes(data)
    assert verify_dataset(dataset.folder) == []


@pytest.mark.parametrize(
    ("form", "record", "why"),
    [
        ("chat", {"text": "Hello"}, '"messages"'),
        ("chat", {"messages": [{"role": "user", "content": "Hello"}]}, "says nothing"),
        ("chat", {"messages": [{"role": "queen", "content": "Hello"}]}, "'queen'"),
        ("chat", {"prompt": "a\x00", "completion": "b"}, "NUL"),
        ("chat", {"messages": [{"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{"}]}]}, "JSON"),
        ("questions", {"text": "Hello"}, '"question" is missing'),
        ("questions", {"question": "Who?", "labels": {"sure": 1}}, "'sure'"),
        ("questions", {"question": "Who?", "labels": {"known": 2}}, "from 0 to 1"),
        ("questions", {"question": "Who?", "labels": {"coarse": {"queen": 1}}}, "'queen'"),
        ("questions", [], "list"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_is_named(tmp_path: Path, form: str, record: Any, why: str) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    source = {"name": "a", "paths": str(tmp_path / "a.jsonl"), "form": form}
    with pytest.raises(DataError, match=why) as caught:
        made({"sources": [source], "root": str(tmp_path)})
    assert "a.jsonl:1" in str(caught.value)


def test_a_dataset_of_before_heads_were_read_where_answers_begin_is_refused_for_new_heads(dataset: Dataset) -> None:
    marks = dataset.manifest["tokenizer"]["marks"]
    refuse_other_marks(dataset, marks)
    with pytest.raises(ConfigError, match="other marks") as refused:
        refuse_other_marks(dataset, marks[:3])
    assert refused.value.where == str(dataset.folder)
