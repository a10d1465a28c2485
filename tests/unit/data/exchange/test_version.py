"""Ids from elsewhere become a version like one that was prepared, the same from every format, and train as it does."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers
from typer.testing import CliRunner

from gnomon.base import faults
from gnomon.base.errors import ConfigError, DataError, IntegrityError, StorageError
from gnomon.base.progress import silent
from gnomon.cli import app
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.exchange.export import FORMATS, export_ids
from gnomon.data.exchange.intake import bytes_of_ids
from gnomon.data.exchange.sequences import digest_of, hashes_of
from gnomon.data.exchange.version import Intake, import_ids
from gnomon.data.prepare import find_prepared, prepare
from gnomon.store.datasets import Dataset, list_datasets, verify_dataset
from gnomon.store.lineage import trace
from gnomon.tokenizer.foreign import adopt
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer
from tests.world import SENTENCES, small_dataset

SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer.json of 512 ids."""
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_tokenizer(SENTENCES, 512, "qwen2").save(path)
    return path


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset that was prepared from text."""
    return small_dataset(tmp_path_factory.mktemp("prepared"), 40)


def written(path: Path, documents: list[list[int]]) -> str:
    """Write documents as records of ids and return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"input_ids": ids}) + "\n" for ids in documents))
    return str(path)


def taken(root: Path, paths: list[str], tokenizer: Path | None, **options: Any) -> Dataset:
    """Import files into `root`."""
    wanted = {"validation": [], "tokenizer": None if tokenizer is None else str(tokenizer), **options}
    return import_ids(Intake(paths, "ids", root=str(root), **wanted), silent)


def held(dataset: Dataset) -> dict[str, list[list[int]]]:
    """Return the documents of each split, without the end-of-text in front."""
    parts = {name: dataset.split(name) for name in SPLITS}
    return {name: [split.tokens(i).tolist()[1:] for i in range(split.documents)] for name, split in parts.items()}


def arrays(dataset: Dataset) -> dict[str, list[bytes]]:
    """Return the ids and offsets of each split, as they lie there."""
    parts = {name: dataset.split(name) for name in SPLITS}
    return {name: [a.tobytes() for a in (*part.shards, *part.shard_offsets)] for name, part in parts.items()}


def order(documents: list[list[int]]) -> list[list[int]]:
    """Return documents in the order of the hashes of their ids."""
    flat = np.array([i for ids in documents for i in ids])
    hashes = hashes_of(flat, np.array([len(ids) for ids in documents]))
    return [documents[i] for i in np.lexsort((hashes[:, 1], hashes[:, 0]))]


lengths = st.lists(st.integers(0, 5), min_size=4, max_size=30)


@settings(max_examples=2)
@given(lengths, st.integers(0, 99))
@example([0, 1, 1, 0, 5, 1, 3], 0)
def test_what_is_exported_comes_in_again_the_same_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: Path, lengths: list[int], seed: int
) -> None:
    folder, draw = tmp_path_factory.mktemp("law"), np.random.default_rng(seed)
    documents = [draw.integers(200, 330, length).tolist() for length in lengths] + [[220], [221, 222]]
    first = taken(folder / "first", [written(folder / "a.jsonl", documents)], tokenizer)
    found = held(first)
    assert sorted(found["train"] + found["validation"]) == sorted(map(list, {tuple(d) for d in documents if d}))
    assert all(ids == order(ids) for ids in found.values()) and all(found.values())
    for format in FORMATS:
        if format == "text":
            continue
        said = export_ids(first, format, folder / format, [], [], silent)
        again = taken(folder / f"from-{format}", [str(folder / format)], None)
        assert arrays(again) == arrays(first), format
        assert again.manifest["splits"]["train"]["tokens"] == said["splits"]["train"]["tokens"]
        assert [again.manifest["splits"][s]["bytes"] for s in SPLITS] == [
            first.manifest["splits"][s]["bytes"] for s in SPLITS
        ]


def test_a_prepared_dataset_comes_back_with_its_sides_bytes_and_sources(tmp_path: Path, prepared: Dataset) -> None:
    export_ids(prepared, "megatron", tmp_path / "out", [], [], silent)
    again = taken(tmp_path, [str(tmp_path / "out")], None)
    for name in SPLITS:
        assert sorted(held(again)[name]) == sorted(held(prepared)[name])
        assert again.manifest["splits"][name]["bytes"] == prepared.manifest["splits"][name]["bytes"]
    assert again.manifest["tokenizer"] == prepared.manifest["tokenizer"]
    assert list(again.sources("train")) == list(prepared.sources("train")) == ["texts"]
    assert verify_dataset(again.folder) == [] and again.unigrams()["texts"].sum() == again.split("train").n_tokens


@pytest.fixture(scope="module")
def domains(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dataset with a source `web`, its domain `web/news`, and one whose name is what `web/news` is written as."""
    folder = tmp_path_factory.mktemp("domains")
    for name in ("web", "web%2Fnews"):
        records = [{"text": f"{name} {i}: {SENTENCES[i % len(SENTENCES)]}", "kind": "ab"[i % 2]} for i in range(24)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    sources = [{"name": "web", "paths": str(folder / "web.jsonl"), "licence": "CC0", "domain": "mixed"}]
    sources.append({"name": "web%2Fnews", "paths": str(folder / "web%2Fnews.jsonl")})
    rules = [{"domain": "news", "source": "web", "field": "kind", "matches": "a"}]
    said = {"sources": sources, "domains": rules, "name": "d", "root": str(folder / "d"), "dedup": {"near": None}}
    return prepare(DataConfig.model_validate(said | {"validation_share": 0.3}), TokenizerConfig(), 512, silent)


@pytest.mark.parametrize("format", FORMATS)
def test_domains_go_out_and_come_in_again_as_sources_of_their_own(
    tmp_path: Path, domains: Dataset, format: str
) -> None:
    said, names = export_ids(domains, format, tmp_path / "out", [], [], silent), {"web", "web/news", "web%2Fnews"}
    for split in SPLITS:
        files = said["splits"][split]["sources"]
        assert files.keys() == names and all(files.values())
        listed = sorted(name for each in files.values() for name in each)
        assert listed == sorted(
            p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out" / split).iterdir()
        )
        assert all(name.startswith(f"{split}/web%2Fnews") for name in files["web/news"])
    if format == "text":
        with pytest.raises(DataError, match="holds texts"):
            taken(tmp_path, [str(tmp_path / "out")], None)
        return
    again = taken(tmp_path, [str(tmp_path / "out")], None)
    for split in SPLITS:
        held_by = [
            {n: sorted(part.tokens(i).tolist() for i in range(part.documents)) for n, part in d.sources(split).items()}
            for d in (domains, again)
        ]
        assert held_by[0] == held_by[1]
    assert {s["name"]: s for s in again.manifest["sources"]} == {s["name"]: s for s in domains.manifest["sources"]}


@pytest.mark.parametrize("name", ["a/b/c", "/news", "web/", "web/..", "../web", ".a", "a\n", "", "web/" + "x" * 101])
def test_an_export_with_a_source_that_cannot_be_is_refused(tmp_path: Path, domains: Dataset, name: str) -> None:
    export_ids(domains, "bin", tmp_path / "out", [], [], silent)
    said = json.loads((tmp_path / "out" / "gnomon.json").read_text())
    said["splits"]["train"]["sources"][name] = said["splits"]["train"]["sources"].pop("web/news")
    (tmp_path / "out" / "gnomon.json").write_text(json.dumps(said))
    with pytest.raises(ConfigError, match="cannot name a source"):
        taken(tmp_path, [str(tmp_path / "out")], None)


def test_a_domain_may_be_named_in_front_of_files_of_ids(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    documents = [[i, i + 1] for i in range(200, 240)]
    paths = [written(tmp_path / "a.jsonl", documents[:20]), written(Path("web/lang=en.jsonl"), documents[20:])]
    dataset = taken(tmp_path, [f"web/news={paths[0]}", paths[1]], tokenizer)
    said = [{"name": "web/news", "domain": "news", "licence": None}, {"name": "ids", "domain": None, "licence": None}]
    assert dataset.manifest["sources"] == said


def test_texts_go_out_as_they_came_in(tmp_path: Path, prepared: Dataset) -> None:
    export_ids(prepared, "text", tmp_path / "texts", ["train"], [], silent)
    data = DataConfig(train=[str(tmp_path / "texts" / "train")], root=str(tmp_path / "d"), name="again")
    config = data.model_copy(update={"validation_share": 0.2})
    again = prepare(config, TokenizerConfig(), 512, silent)
    ids = {said.id for said in trace(again, "texts.jsonl.zst:1")}
    assert sum(again.split(name).documents for name in SPLITS) == prepared.split("train").documents
    assert ids <= {line["id"] for line in prepared.split("train").known(range(prepared.split("train").documents))}
    with pytest.raises(DataError, match="holds texts"):
        taken(tmp_path, [str(tmp_path / "texts")], None)


def test_equal_documents_are_kept_once_held_out_ones_before_others(tmp_path: Path, tokenizer: Path) -> None:
    train = written(tmp_path / "a.jsonl", [[220, 221], [222], [], [220, 221], [230, 231]])
    validation = written(tmp_path / "v.jsonl", [[222], [240]])
    dataset = taken(tmp_path, [train], tokenizer, validation=[validation])
    assert held(dataset) == {"train": order([[220, 221], [230, 231]]), "validation": order([[222], [240]])}
    assert dataset.manifest["removed"] == {"duplicate": 1, "in validation": 1}
    (first,) = trace(dataset, "a.jsonl:4")
    assert (first.status, first.reason, first.detail) == ("removed", "duplicate", "of a.jsonl:1")
    assert trace(dataset, "a.jsonl:3")[0].reason == "empty"


def test_the_digest_is_that_of_the_files_not_of_where_they_lie_or_who_works(tmp_path: Path, tokenizer: Path) -> None:
    documents = [[i, j, 177] for i in range(200, 220) for j in range(200, 220)]
    one, two = written(tmp_path / "a" / "x.jsonl", documents[:99]), written(tmp_path / "a" / "y.jsonl", documents[99:])
    digest = taken(tmp_path / "1", [one, two], tokenizer).digest
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere")
    moved = [str(tmp_path / "elsewhere" / name) for name in ("y.jsonl", "x.jsonl")]
    assert taken(tmp_path / "2", moved, tokenizer, workers=1).digest == digest
    before = [p.stat().st_mtime_ns for p in sorted((tmp_path / "1").rglob("*"))]
    assert taken(tmp_path / "1", moved, tokenizer).digest == digest
    assert [p.stat().st_mtime_ns for p in sorted((tmp_path / "1").rglob("*"))] == before, "found again"
    assert taken(tmp_path / "1", [one], tokenizer).digest != digest


@pytest.mark.parametrize("point", ["import.manifest_written", "prepare.shard_written", "folder.before_rename"])
def test_a_full_disk_leaves_nothing_half(tmp_path: Path, tokenizer: Path, point: str) -> None:
    path = written(tmp_path / "a.jsonl", [[i, i + 1] for i in range(200, 299)])
    faults.arm(f"{point}=ENOSPC@{2 if point == 'folder.before_rename' else 1}")
    try:
        with pytest.raises(StorageError, match="no space left"):
            taken(tmp_path / "d", [path], tokenizer)
    finally:
        faults.arm("")
    assert list_datasets(tmp_path / "d") == []
    made = taken(tmp_path / "d", [path], tokenizer)
    assert [p.name for p in made.folder.parent.iterdir()] == [made.version]


def test_an_export_is_whole_or_not_there(tmp_path: Path, prepared: Dataset) -> None:
    faults.arm("export.written=ENOSPC")
    try:
        with pytest.raises(StorageError):
            export_ids(prepared, "bin", tmp_path / "out", [], [], silent)
    finally:
        faults.arm("")
    assert list(tmp_path.iterdir()) == []
    for key, wrong in (("format", "csv"), ("splits", ["test"]), ("sources", ["x"])):
        options: dict[str, Any] = {"format": "bin", "splits": [], "sources": []} | {key: wrong}
        with pytest.raises(ConfigError, match=f"no {key.rstrip('s')}"):
            export_ids(prepared, out=tmp_path / "out", progress=silent, **options)
    with pytest.raises(ConfigError, match="there already"):
        export_ids(prepared, "bin", tmp_path, [], [], silent)


def test_what_lies_beside_an_export_is_held_against_it(tmp_path: Path, prepared: Dataset, tokenizer: Path) -> None:
    export_ids(prepared, "jsonl", tmp_path / "out", [], [], silent)
    with pytest.raises(IntegrityError, match="exported with tokenizer"):
        taken(tmp_path, [str(tmp_path / "out")], tokenizer)
    said = json.loads((tmp_path / "out" / "gnomon.json").read_text())
    hashes = hashes_of(np.array([5, 6, 7]), np.array([1, 2]))
    assert said["splits"]["train"]["digest"] != digest_of(hashes) == digest_of(hashes[::-1])
    shutil.copy(*(tmp_path / "out" / s / "texts.jsonl.zst" for s in ("validation", "train")))
    with pytest.raises(IntegrityError, match="train documents are not those that were exported"):
        taken(tmp_path, [str(tmp_path / "out")], None)
    said["splits"]["train"]["sources"] = {"a": ["../elsewhere.jsonl"]}
    (tmp_path / "out" / "gnomon.json").write_text(json.dumps(said))
    with pytest.raises(IntegrityError, match="lies outside of the export"):
        taken(tmp_path, [str(tmp_path / "out")], None)
    (tmp_path / "out" / "gnomon.json").write_text(json.dumps(said | {"gnomon": 2}))
    with pytest.raises(DataError, match="version 2"):
        taken(tmp_path, [str(tmp_path / "out")], None)


def test_what_cannot_be_meant_is_refused(tmp_path: Path, tokenizer: Path) -> None:
    path = written(tmp_path / "a.jsonl", [[220, 221], [222]])
    (flat := tmp_path / "a.bin").write_bytes(np.arange(220, 240, dtype=np.uint16).tobytes())
    end = Tokenizer.load(tokenizer).end_of_text
    (tmp_path / "i4.bin").write_bytes(np.array([220, end, 221, 222, end, 223], np.int32).tobytes())
    special = written(tmp_path / "s.jsonl", [[1], [2], [3]])
    cases: list[tuple[Any, str, list[str], Path | None, dict[str, Any]]] = [
        (ConfigError, "without the tokenizer", [path], None, {}),
        (DataError, "no such file", [path], tmp_path / "none" / "tokenizer.model", {}),
        (DataError, "there is no such file or folder", [str(tmp_path / "none")], tokenizer, {}),
        (DataError, "none of the 20 ids is", [str(flat)], tokenizer, {}),
        (ConfigError, "no format 'csv'", [path], tokenizer, {"format": "csv"}),
        (ConfigError, "not stored in 'float32'", [path], tokenizer, {"dtype": "float32"}),
        (DataError, "one document cannot be both", [written(tmp_path / "b.jsonl", [[220], [220]])], tokenizer, {}),
        (DataError, "stand for no text", [special], tokenizer, {}),
        (DataError, "id 512 is not one", [written(tmp_path / "c.jsonl", [[512], [220]])], tokenizer, {}),
    ]
    for error, words, paths, named, options in cases:
        with pytest.raises(error, match=words):
            taken(tmp_path / "d", paths, named, **options)
    assert list_datasets(tmp_path / "d") == []
    found = held(taken(tmp_path / "d", [str(tmp_path / "i4.bin")], tokenizer, dtype="int32"))
    assert sorted(found["train"] + found["validation"]) == [[220], [221, 222], [223]]
    found = held(taken(tmp_path / "d", [f"x={flat}"], tokenizer, ends=(230,)))
    assert sorted(found["train"] + found["validation"]) == [[*range(220, 230)], [*range(231, 240)]]


def test_a_config_names_a_version_that_is_there(tmp_path: Path, prepared: Dataset) -> None:
    for named in (prepared.folder, prepared.folder.parent):
        data = DataConfig(prepared=str(named))
        assert prepare(data, TokenizerConfig(), 4096, silent).digest == prepared.digest
    assert find_prepared(DataConfig(prepared=str(tmp_path)), TokenizerConfig(), 512) is None
    with pytest.raises(ConfigError, match="vocabulary of 512, and 1,024 is asked for"):
        prepare(data, TokenizerConfig(vocabulary=1024), 1024, silent)
    with pytest.raises(ValueError, match="names text"):
        DataConfig(prepared="x", train=["y"])


def test_the_verbs_say_what_they_did(tmp_path: Path, prepared: Dataset) -> None:
    def said(*arguments: object) -> dict[str, Any]:
        done = CliRunner().invoke(app, ["data", *map(str, arguments), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output.splitlines()[-1])

    out = said("export", prepared.folder, "--format", "datatrove", "--out", tmp_path / "out")
    assert out["splits"]["train"]["sources"] == {"texts": ["train/texts.ds", "train/texts.ds.index"]}
    back = said("import", tmp_path / "out", "--name", "back", "--root", tmp_path / "datasets")
    assert back["splits"]["train"]["tokens"] == prepared.split("train").n_tokens
    table = CliRunner().invoke(app, ["data", "stats", back["dataset"], "--tokens", "1M"])
    assert "1,000,000 tokens read the training text" in table.output


def test_the_bytes_of_a_document_are_those_of_its_text_also_where_a_space_is_put_before_it(tmp_path: Path) -> None:
    pieces = ["<unk>", "</s>", "▁", "▁the", "▁lamp", "a", "é", "日本", "<0xE6>"]
    inner = tokenizers.Tokenizer(models.Unigram([(piece, -float(i)) for i, piece in enumerate(pieces)], unk_id=0))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    inner.add_special_tokens(["</s>"])
    tokenizer = adopt(json.loads(inner.to_str()), "here")
    sizes, led = bytes_of_ids(tokenizer)
    for ids in ([3, 4], [5, 3, 6], [2, 2, 7], [4], [6, 7, 5]):
        assert sizes[ids].sum() - led[ids[0]] == len(tokenizer.decode(ids).encode()), ids
    assert sizes[tokenizer.end_of_text] == 0 and led.sum() > 1
    tokenizer.save(tmp_path / "tokenizer.json")
    documents = [[3, 4], [5, 3, 6], [2, 2, 7], [4], [6, 7, 5]]
    dataset = taken(tmp_path, [written(tmp_path / "a.jsonl", documents)], tmp_path / "tokenizer.json")
    texts = [len(tokenizer.decode(ids).encode()) for ids in documents]
    assert sum(dataset.split(name).bytes for name in SPLITS) == sum(texts)


def test_documents_lie_by_their_hash_over_all_blocks_and_shards(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.data.exchange.intake.BLOCK_IDS", 30)
    monkeypatch.setattr("gnomon.data.exchange.sequences.BATCH_IDS", 15)
    monkeypatch.setattr("gnomon.data.exchange.records.BATCH_IDS", 15)
    monkeypatch.setattr("gnomon.data.encode.SHARD_BYTES", 100)
    documents = [[i, i + 1, i + 2] for i in range(200, 300)]
    dataset = taken(tmp_path, [written(tmp_path / "a.jsonl", documents)], tokenizer, validation_share=0.1)
    found = held(dataset)
    assert len(dataset.manifest["splits"]["train"]["shards"]) > 5
    assert found["train"] == order(found["train"]) and sorted(found["train"] + found["validation"]) == documents
    assert verify_dataset(dataset.folder) == []


def test_the_parts_of_a_long_record_lie_on_one_side(
    tmp_path: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gnomon.data.exchange.sequences.MAX_IDS", 2)
    monkeypatch.setattr("gnomon.data.exchange.intake.BLOCK_IDS", 40)
    path = written(tmp_path / "a.jsonl", [[i, 150, i, 151, i] for i in range(200, 300)])
    dataset = taken(tmp_path, [path], tokenizer, validation_share=0.2)
    sides = [{ids[0] for ids in found} for found in held(dataset).values()]
    assert sum(map(len, held(dataset).values())) == 300
    assert not sides[0] & sides[1] and min(map(len, sides)) > 5
    assert trace(dataset, "a.jsonl:7#3")[0].tokens == 2
