"""The same text gives the same dataset; a text on one side of the split is never on the other."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.contamination.decontaminate import FORM
from gnomon.data.document import Document
from gnomon.data.prepare import find_prepared, prepare
from gnomon.data.recipe import Recipe
from gnomon.data.sample import Sample
from gnomon.data.split import held_out, held_out_records, rank
from gnomon.store.datasets import Dataset, list_datasets, verify_dataset
from gnomon.store.lineage import everything
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import SMALLEST
from tests.world import write_corpus


def made(folder: Path, vocabulary: int = 512, texts: str = "texts", **data: object) -> Dataset:
    config = DataConfig.model_validate({"train": str(folder / texts), "root": str(folder / "datasets")} | data)
    return prepare(config, TokenizerConfig(), vocabulary, silent)


def halves(ids: list[str]) -> np.ndarray:
    return np.array([[int(i[:16], 16), int(i[16:], 16)] for i in ids], np.uint64).reshape(-1, 2)


def documents(dataset: Dataset, split: str) -> list[str]:
    tokenizer, part = Tokenizer.load(dataset.tokenizer_path), dataset.split(split)
    return [tokenizer.decode(part.tokens(i).tolist()) for i in range(part.documents)]


def unpacked(dataset: Dataset, name: str) -> list[bytes]:
    with zstandard.open(dataset.folder / f"{name}.jsonl.zst") as lines:
        return lines.read().splitlines()


def test_every_text_is_kept_once_on_one_side(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    texts = [json.loads(line)["text"] for line in (tmp_path / "texts" / "stories.jsonl").read_text().splitlines()]
    texts.append((tmp_path / "texts" / "one.txt").read_text())
    dataset = made(tmp_path)
    assert sorted(documents(dataset, "train") + documents(dataset, "validation")) == sorted(texts)
    assert documents(dataset, "validation")
    split = dataset.split("train")
    assert split.bytes == sum(len(t.encode()) for t in documents(dataset, "train"))
    assert all(split.tokens(i)[0] == split.end_of_text for i in range(split.documents))


def test_the_digest_depends_on_the_text_and_not_on_names_order_or_place(tmp_path: Path) -> None:
    digests = set()
    for number in range(3):
        folder = tmp_path / str(number)
        write_corpus(folder / "texts")
        lines = (folder / "texts" / "stories.jsonl").read_text().splitlines()
        (folder / "texts" / "stories.jsonl").unlink()
        for i in range(3):
            (folder / "texts" / f"{'cab'[(i + number) % 3]}.jsonl").write_text("\n".join(lines[i::3]) + "\n")
        digests.add(made(folder).split("train").shards[0].tobytes())
    assert len(digests) == 1
    for name in "ab":
        write_corpus(tmp_path / name / "texts")
    first, second = made(tmp_path / "a"), made(tmp_path / "b")
    assert first.digest == second.digest
    with (tmp_path / "b" / "texts" / "one.txt").open("a") as f:
        f.write(" more")
    assert made(tmp_path / "b").digest != first.digest


def test_files_of_one_name_are_told_apart_by_their_folders_wherever_these_lie(tmp_path: Path) -> None:
    versions = []
    for where in ("here", "there"):
        folder = tmp_path / where
        for i, name in enumerate("xy"):
            write_corpus(folder / name, documents=40, seed=i)
        paths = [str(folder / name) for name in ("yx" if where == "there" else "xy")]
        data = DataConfig(train=paths, root=str(folder / "datasets"), name="both")
        versions.append(prepare(data, TokenizerConfig(), 512, silent))
    assert versions[0].version == versions[1].version
    origins = [t.origin for t in everything(versions[0])]
    assert len(set(origins)) == len(origins) == 80
    assert {"x/stories.jsonl:7", "y/stories.jsonl:7", "y/one.txt:1"} <= set(origins)


def test_files_of_one_name_in_two_sources_have_the_source_before_it(tmp_path: Path) -> None:
    for i, name in enumerate("xy"):
        write_corpus(tmp_path / name, documents=40, seed=i)
    (tmp_path / "x" / "only.jsonl").write_text(json.dumps({"text": "A name that the other source has not."}) + "\n")
    sources = [{"paths": [str(tmp_path / name)], "name": f"source-{name}"} for name in "xy"]
    data = DataConfig.model_validate({"sources": sources, "root": str(tmp_path / "datasets"), "name": "both"})
    origins = [t.origin for t in everything(prepare(data, TokenizerConfig(), 512, silent))]
    assert len(set(origins)) == len(origins) == 81
    assert {"source-x/stories.jsonl:7", "source-y/stories.jsonl:7", "only.jsonl:1"} <= set(origins)


def test_the_tokenizer_learns_nothing_from_held_out_text(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    draws = (f"{i}" + " zqxjv" * 4000 for i in range(1000))
    secret = next(text for text in draws if rank(halves([Document(text, "").id]))[0] < 0.02 * 2**64)
    (tmp_path / "texts" / "secret.txt").write_text(secret)
    dataset = made(tmp_path)
    assert secret in documents(dataset, "validation")
    assert len(Tokenizer.load(dataset.tokenizer_path).encode(" zqxjv")) > 3


def test_a_prepared_text_is_found_again_and_not_made_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    first = made(tmp_path)
    stamp = (first.folder / "manifest.json").stat().st_mtime_ns
    assert made(tmp_path).folder == first.folder
    assert (first.folder / "manifest.json").stat().st_mtime_ns == stamp
    config = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    found = find_prepared(config, TokenizerConfig(), 512)
    assert found is not None
    assert found.digest == first.digest
    assert find_prepared(config, TokenizerConfig(), 1024) is None
    assert [d.version for d in list_datasets(tmp_path / "datasets")] == [first.version]


def test_a_damaged_version_is_named_and_a_version_with_a_missing_file_is_made_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    dataset = made(tmp_path)
    assert verify_dataset(dataset.folder) == []
    path = dataset.folder / "train" / "tokens-00000.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    (damage,) = verify_dataset(dataset.folder)
    assert (damage.file, damage.offset) == ("train/tokens-00000.npy", 0)
    path.unlink()
    assert np.array_equal(made(tmp_path).split("train").shards[0], np.load(path))
    assert verify_dataset(dataset.folder) == []


def test_validation_text_of_its_own_is_kept_out_of_training(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    (tmp_path / "held.jsonl").write_text(
        (tmp_path / "texts" / "stories.jsonl").read_text().splitlines()[4] + '\n{"text": "Quite another text."}\n'
    )
    dataset = made(tmp_path, validation=[str(tmp_path / "held.jsonl")])
    held = documents(dataset, "validation")
    assert len(held) == 2
    assert not set(held) & set(documents(dataset, "train"))
    assert dataset.manifest["removed"] == {"in validation": 1}


def test_one_long_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    rng = random.Random(1)
    words = [f"{rng.randrange(10**6):x}" for _ in range(40_000)]
    (tmp_path / "texts" / "long.txt").write_text(" ".join(words))
    dataset = made(tmp_path, clean={"repair": False})  # which takes the blanks from the ends of parts
    assert dataset.split("validation").documents >= 1
    joined = documents(dataset, "train") + documents(dataset, "validation")
    assert sorted("".join(joined)) == sorted(" ".join(words))


LINES = b'{"text": "one"}\n{"text": "two"}\n'


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (
            {"a.txt": b""},
            "the text is empty, or nothing of it can be used:\n +a.txt:1: empty|the text is empty",
        ),
        ({"a.txt": b"only one"}, "one document is too little"),
        ({"a.txt": b"same", "b.txt": b"same"}, "one document is too little"),
        (
            {"a.jsonl": b"{\n" + b'{"no": 1}\n{"text": 2}\n{"text": "\xff"}\n' + LINES},
            "4 of 6 records cannot be used, more than data.max_bad_share allows\n"
            " +a.jsonl:1: invalid JSON .*\n +a.jsonl:2: no text .*\n +a.jsonl:3: text is no string",
        ),
        (
            {"a.jsonl": LINES, "b.txt": b"a\0b"},
            r"1 of 3 records .*\n +b.txt:1: NUL character \(character 1\)",
        ),
        ({"a.png": b"x"}, r"no text in this folder"),
        ({".hidden.txt": b"x", "README.md": b"x"}, r"no text in this folder"),
        ({"a.jsonl.gz": b"no gzip"}, "the compressed file is cut or damaged"),
        ({"a.jsonl.zst": b"no zstd"}, "the compressed file is cut or damaged"),
    ],
)
def test_text_that_cannot_be_used_is_refused_and_leaves_nothing(
    tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    (tmp_path / "texts").mkdir()
    for name, data in files.items():
        (tmp_path / "texts" / name).write_bytes(data)
    with pytest.raises(DataError, match=says) as caught:
        made(tmp_path)
    assert caught.value.exit_code == 3
    assert caught.value.where
    assert caught.value.do
    assert not list((tmp_path / "datasets").rglob("manifest.json"))


def test_paths_and_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    with pytest.raises(DataError, match="there is no file or folder") as caught:
        made(tmp_path, texts="nowhere")
    assert caught.value.where == str(tmp_path / "nowhere")
    for name in ("../outside", ".hidden", ""):
        with pytest.raises(ConfigError, match="cannot name a dataset"):
            made(tmp_path, name=name)
    for asked, offered in ((64, SMALLEST), (1000, 1024)):
        with pytest.raises(ConfigError, match=f"a vocabulary of {asked:,} is") as wrong:
            prepare(DataConfig(train=["x"]), TokenizerConfig(vocabulary=asked), asked, silent)
        assert f"{offered:,}" in str(wrong.value.do)


def test_a_share_of_bad_records_that_is_allowed_is_set_aside(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    (tmp_path / "texts" / "bad.jsonl").write_bytes(b"{\n" * 60)
    with pytest.raises(DataError, match="60 of 180 records") as caught:
        made(tmp_path)
    allowed = float(str(caught.value.do).rsplit("=", 1)[1])
    dataset = made(tmp_path, max_bad_share=allowed)
    set_aside = [json.loads(line) for line in unpacked(dataset, "quarantine")]
    assert len(set_aside) == 60
    assert set_aside[0]["origin"] == "bad.jsonl:1"
    assert set_aside[0]["reason"] == "invalid JSON"


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ("", "the validation text is empty"),
        ("{broken\n", "the validation text is empty"),
        (None, "the text is empty"),
    ],
)
def test_validation_text_that_leaves_a_side_empty_is_refused(tmp_path: Path, held: str | None, says: str) -> None:
    write_corpus(tmp_path / "texts")
    path = tmp_path / "held.jsonl"
    path.write_text((tmp_path / "texts" / "stories.jsonl").read_text() if held is None else held)
    (tmp_path / "texts" / "one.txt").unlink()
    with pytest.raises(DataError, match=says):
        made(tmp_path, validation=[str(path)], max_bad_share=1.0)


def test_every_removed_text_is_in_the_ledger_with_its_keeper(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    lines = (tmp_path / "texts" / "stories.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "texts" / "twice.jsonl").write_text(lines[3] + lines[7].replace(" ", "  "))
    (tmp_path / "held.jsonl").write_text(lines[5])
    dataset = made(tmp_path, validation=[str(tmp_path / "held.jsonl")])
    entries = [json.loads(line) for line in unpacked(dataset, "ledger")]
    assert entries[0].pop("id") == Document(json.loads(lines[5])["text"], "").id
    assert all(len(entry.pop("id")) == 32 for entry in entries[1:])
    assert [entry.pop("own_id") for entry in entries] == ["5", "3", "7"]
    assert entries == [
        {"origin": "stories.jsonl:6", "reason": "in validation", "detail": "of held.jsonl:1"},
        {"origin": "twice.jsonl:1", "reason": "duplicate", "detail": "of stories.jsonl:4"},
        {"origin": "twice.jsonl:2", "reason": "duplicate", "detail": "of stories.jsonl:8"},
    ]
    assert dataset.manifest["removed"] == {"duplicate": 2, "in validation": 1}
    assert dataset.split("train").documents + dataset.split("validation").documents == 120


def test_the_tokenizer_learns_from_a_sample_that_does_not_depend_on_order(tmp_path: Path) -> None:
    texts = [f"text {i} " * (i % 7 + 1) for i in range(200)]
    samples = []
    for order in (texts, texts[::-1], texts[::2] + texts[1::2]):
        sample = Sample(2000)
        for text in order:
            sample.add(Document(text, "f:1"))
        samples.append(sample.texts())
    assert samples[0] == samples[1] == samples[2]
    sizes = [len(text.encode()) for _, text in samples[0]]
    assert sum(sizes) >= 2000 > sum(sizes[:-1])
    lowest = sorted(Document(t, "f:1").id for t in texts)
    assert [i for i, _ in samples[0]] == lowest[: len(sizes)]


@given(
    st.dictionaries(st.integers(), st.integers(1, 5000), min_size=2, max_size=200),
    st.floats(0.001, 0.499),
)
def test_both_sides_of_a_split_have_text_and_the_share_is_held_out(numbers: dict[int, int], share: float) -> None:
    ids = halves([Document(str(n), "f:1").id for n in numbers])
    sizes = np.array(list(numbers.values()), np.uint32)
    held = held_out(ids, sizes, share)
    rest = np.setdiff1d(np.arange(len(ids)), held)
    assert len(held)
    assert len(rest)
    assert set(held) == {len(ids) - 1 - i for i in held_out(ids[::-1], sizes[::-1], share).tolist()}
    ranks = rank(ids)
    assert ranks[held].max() < ranks[rest].min(), "the hash alone gives the order"
    assert len(rest) == 1 or (ranks[rest] >= share * 2**64).all(), "what falls below the share is held out"
    assert len(rest) == 1 or sizes[held].sum() >= share * sizes.sum()


@given(
    st.lists(st.lists(st.integers(1, 5000), min_size=1, max_size=5), min_size=1, max_size=60).filter(
        lambda records: sum(map(len, records)) > 1
    ),
    st.floats(0.001, 0.499),
)
def test_a_record_is_held_out_whole_unless_it_is_more_than_the_share(records: list[list[int]], share: float) -> None:
    sizes = np.array([size for record in records for size in record], np.int64)
    of = np.array([3 * i for i, record in enumerate(records) for _ in record], np.int64)
    ids = halves([Document(str(n), "f:1").id for n in range(len(sizes))])
    chosen = held_out_records(of, ids, sizes, share)
    held = np.isin(np.arange(len(sizes)), chosen)
    assert held.any() and not held.all()
    units, first = [], 0
    for record in records:
        here = list(range(first, first + len(record)))
        units += [[i] for i in here] if sum(record) > share * sizes.sum() else [here]
        first += len(record)
    assert all(len({bool(held[i]) for i in unit}) == 1 for unit in units)
    expected = held_out(ids[[u[0] for u in units]], np.array([sizes[u].sum() for u in units]), share)
    assert [units[i] for i in expected.tolist()] == [u for u in units if held[u[0]]]


@pytest.mark.parametrize("kind", ["jsonl", "txt"])
def test_the_parts_of_a_long_record_lie_on_one_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("gnomon.data.document.MAX_BYTES", 500)
    monkeypatch.setattr("gnomon.data.reading.read.MAX_BYTES", 500)
    rng = random.Random(4)
    long = ["\n".join(f"{i} {rng.randrange(10**6)} words" for _ in range(100)) for i in range(30)]
    (tmp_path / "texts").mkdir()
    if kind == "jsonl":
        (tmp_path / "texts" / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in long))
    else:
        (tmp_path / "texts" / "a.txt").write_text("\n%%\n".join(long))
    dataset = made(tmp_path, 448, validation_share=0.2, separator="%%", dedup={"near": None}, workers=1)
    train, held = ([text.split()[0] for text in documents(dataset, side)] for side in ("train", "validation"))
    assert len(held) > 2 * len(set(held)) > 4
    assert not set(train) & set(held)


def test_a_few_bad_records_are_counted_and_listed(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    with (tmp_path / "texts" / "stories.jsonl").open("a") as f:
        f.write("{broken\n")
    dataset = made(tmp_path)
    assert dataset.manifest["quarantined"] == {"invalid JSON": 1}
    assert "1 (invalid JSON)" in (dataset.folder / "card.md").read_text()


def test_a_vocabulary_that_was_asked_for_and_that_the_text_does_not_support_is_refused(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path / "texts")
    config = DataConfig(train=[str(tmp_path / "texts")], root=str(tmp_path / "datasets"))
    with pytest.raises(DataError, match="does not support a vocabulary of 8,192") as caught:
        prepare(config, TokenizerConfig(vocabulary=8192), 8192, silent)
    offered = int(str(caught.value.do).split()[2].replace(",", ""))
    assert prepare(config, TokenizerConfig(vocabulary=offered), offered, silent)
    derived = prepare(config, TokenizerConfig(), 8192, silent)
    assert derived.manifest["tokenizer"]["vocabulary"] < 8192 == derived.manifest["tokenizer"]["requested"]


def edited(text: str, words: int) -> str:
    """Return the text with so many words of its middle replaced."""
    parts = text.split(" ")
    middle = len(parts) // 2
    return " ".join([*parts[:middle], *["otherwise"] * words, *parts[middle + words :]])


def test_of_texts_that_are_much_alike_one_is_kept_and_validation_text_before_all(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    lines = (tmp_path / "texts" / "stories.jsonl").read_text().splitlines()
    texts = [json.loads(line)["text"] for line in lines]
    long = [i for i, text in enumerate(texts) if len(text.split()) > 250]
    held, twin, far = long[:3]
    (tmp_path / "held.jsonl").write_text(json.dumps({"text": edited(texts[held], 4)}) + "\n")
    more = [edited(texts[twin], 3) + " And one more word.", edited(texts[far], 120)]
    (tmp_path / "texts" / "more.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in more))
    dataset = made(tmp_path, validation=[str(tmp_path / "held.jsonl")])
    assert [
        (e := json.loads(line))["origin"] + " " + e["reason"] + " " + e["detail"]
        for line in unpacked(dataset, "ledger")
    ] == [
        f"stories.jsonl:{held + 1} like one in validation of held.jsonl:1",
        f"stories.jsonl:{twin + 1} near duplicate of more.jsonl:1",
    ]
    shown = {e["reason"]: e for e in map(json.loads, unpacked(dataset, "samples"))}
    assert shown["near duplicate"]["text"][:40] == shown["near duplicate"]["kept_text"][:40] == texts[twin][:40]
    everything = made(tmp_path, validation=[str(tmp_path / "held.jsonl")], dedup={"near": None})
    assert everything.manifest["removed"] == {}
    flow = dataset.manifest["flow"]
    assert flow["texts"]["in"][0] == flow["texts"]["train"][0] + 2 == everything.split("train").documents


def test_what_is_mended_replaced_and_left_out_is_counted_and_in_the_ledger(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    lines = [
        "A letter to jane.roe@mail.fastmail.com, sent on Monday\u00ad by the wellâ€”known author of these lines.",
        "bad " * 5,
        "{ " * 50,
        "\u200b",
    ]
    (tmp_path / "texts" / "odd.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in lines))
    clean = {"pii": True, "rules": ["gopher-quality"], "thresholds": {"gopher-quality.min_stop_words": 0}}
    dataset = made(tmp_path, clean=clean)
    kept = documents(dataset, "train") + documents(dataset, "validation")
    assert not any("bad bad" in text or "{ {" in text for text in kept)
    entries = [json.loads(line) for line in unpacked(dataset, "ledger")]
    reasons = {e["origin"]: (e["reason"], e["detail"]) for e in entries}
    assert reasons["odd.jsonl:2"] == ("gopher-quality.min_words", "words 5 < 50")
    assert reasons["odd.jsonl:3"][0].startswith("gopher-quality.")
    assert [json.loads(line)["origin"] for line in unpacked(dataset, "quarantine")] == ["odd.jsonl:4"]
    body = dataset.manifest
    assert body["replaced"] == {"email": 1}
    assert body["repaired"]["mojibake"] == 1
    same = made(
        tmp_path, clean=clean | {"thresholds": {"gopher-quality.min_words": 3, "gopher-quality.min_stop_words": 0}}
    )
    assert "odd.jsonl:2" not in {json.loads(line)["origin"] for line in unpacked(same, "ledger")}
    with pytest.raises(ConfigError, match="gopher-qualty"):
        made(tmp_path, clean={"rules": ["gopher-qualty"]})


def test_other_thresholds_read_nothing_anew(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    made(tmp_path, clean={"scores": True})
    blocks = sorted(p.stat().st_mtime_ns for p in (tmp_path / "datasets" / "texts" / ".blocks").iterdir())
    found = made(tmp_path, clean={"rules": ["gopher-quality"], "thresholds": {"gopher-quality.min_words": 60}})
    assert found.manifest["removed"]["gopher-quality.min_words"] > 1
    assert blocks == sorted(p.stat().st_mtime_ns for p in (tmp_path / "datasets" / "texts" / ".blocks").iterdir())


@pytest.mark.parametrize("action", ["drop", "cut", "flag"])
def test_items_of_a_suite_are_taken_out_of_training_text(tmp_path: Path, action: str) -> None:
    write_corpus(tmp_path / "texts")
    item = "How many of the nineteen grey horses did the ferryman carry over the river before the first snow fell?"
    around = "The ferry was old and slow, and nobody remembered who had built it or when it had first crossed. " * 8
    holder = f"{around}Then somebody asked: {item.upper()} {around}"
    (tmp_path / "texts" / "holder.jsonl").write_text(json.dumps({"text": holder}) + "\n")
    (tmp_path / "suite.jsonl").write_text(json.dumps({"id": "horses", "question": item, "answer": "eleven"}) + "\n")
    suite = {"against": [str(tmp_path / "suite.jsonl")], "action": action}
    dataset = made(tmp_path, decontaminate=suite, validation=str(tmp_path / "texts" / "one.txt"))
    kept = [text for text in documents(dataset, "train") if "old and slow" in text]
    assert len(kept) == (action != "drop")
    assert any("NINETEEN" in text for text in kept) == (action == "flag")
    if action == "cut":
        assert 200 < len(kept[0]) < len(holder) - len(item) - 300
    (hit,) = [json.loads(line) for line in unpacked(dataset, "contamination")]
    assert (hit["origin"], hit["item"], hit["coverage"]) == ("holder.jsonl:1", "horses", 1.0)
    assert dataset.manifest["contamination"]["documents"] == 1
    assert dataset.manifest["removed"].get("in a suite", 0) == (action == "drop")
    assert verify_dataset(dataset.folder) == []


def test_a_text_that_a_cut_makes_equal_to_another_is_left_out_and_a_suite_that_changed_is_read_anew(
    tmp_path: Path,
) -> None:
    write_corpus(tmp_path / "texts")
    items = [
        f"Which of the {word} horses did the ferryman carry over before the snow fell?" for word in ("grey", "bay")
    ]
    around = "The ferry was old and slow, and nobody remembered who had built it or when it had first crossed. " * 8
    texts = [around.strip() + f" {items[0]} " + "x " * 9, around.strip() + f" {items[0]} {items[1]} " + "y " * 9]
    (tmp_path / "texts" / "cut.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    suite = tmp_path / "suite.jsonl"
    wanted = {"against": [str(suite)], "action": "cut"}
    suite.write_text(json.dumps({"question": items[1]}) + "\n")
    first = made(tmp_path, decontaminate=wanted, dedup={"near": None})
    assert "cut.jsonl:2" in [json.loads(line)["origin"] for line in unpacked(first, "contamination")]
    suite.write_text(json.dumps({"question": items[0]}) + "\n")
    second = made(tmp_path, decontaminate=wanted, dedup={"near": None})
    hits = [json.loads(line) for line in unpacked(second, "contamination")]
    assert {hit["text"] for hit in hits} == {items[0]}
    assert {hit["origin"] for hit in hits} == {"cut.jsonl:1", "cut.jsonl:2"}
    ids = [t.id for t in everything(second) if t.status in ("train", "validation")]
    assert len(ids) == len(set(ids))
    assert second.manifest["removed"] == {"duplicate": 1}
    assert {hit["id"] for hit in hits} & set(ids)
    for split in ("train", "validation"):
        assert second.manifest["flow"]["texts"][split] == [second.split(split).documents, second.split(split).bytes]


def test_what_another_form_of_decontamination_left_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_corpus(tmp_path / "texts")
    (tmp_path / "suite.jsonl").write_text(json.dumps({"question": "Which horse was carried over the river?"}) + "\n")
    keys = []
    for against in ([], [str(tmp_path / "suite.jsonl")]):
        values = {"train": str(tmp_path / "texts"), "decontaminate": {"against": against}}
        for form in (FORM, FORM + 1):
            monkeypatch.setattr("gnomon.data.contamination.decontaminate.FORM", form)
            keys.append(Recipe.of(DataConfig.model_validate(values), TokenizerConfig(), 512, silent).digest)
    assert keys[0] == keys[1]
    assert len({*keys}) == 3
