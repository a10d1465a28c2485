"""What is written in a format is read again, for any documents and vocabulary; what does not fit is refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.base.errors import DataError, GnomonError, IntegrityError
from gnomon.data.exchange import formats, sequences
from gnomon.data.exchange.datatrove import DatatroveWriter
from gnomon.data.exchange.flat import FlatWriter, LlmcWriter
from gnomon.data.exchange.formats import find_ids, read_ids
from gnomon.data.exchange.megatron import MegatronWriter
from gnomon.data.exchange.records import RecordWriter
from gnomon.data.exchange.sequences import Asked, Cutter, Mapped, Sequences, sequences_of
from gnomon.data.exchange.table import TableWriter

END = 3
WRITERS: dict[str, tuple[Callable[..., Any], str, str]] = {
    "megatron": (MegatronWriter, ".bin", "megatron"),
    "datatrove": (DatatroveWriter, ".ds", "datatrove"),
    "bin": (FlatWriter, ".bin", "bin"),
    "llmc": (LlmcWriter, "_000000.bin", "bin"),
    "jsonl": (RecordWriter, ".jsonl.zst", "jsonl"),
    "parquet": (TableWriter, ".parquet", "parquet"),
}
VOCABULARIES = [512, 65_499, 65_500, 65_536, 65_537, 200_000]


@st.composite
def corpora(draw: st.DrawFn) -> tuple[int, list[list[int]]]:
    """A vocabulary, and documents of its ids: some empty, some of one id, its highest among them."""
    tokens = draw(st.sampled_from(VOCABULARIES))
    ids = st.one_of(st.integers(0, tokens - 1), st.just(tokens - 1)).filter(lambda i: i != END)
    return tokens, draw(st.lists(st.lists(ids, max_size=6), max_size=12))


def write(kind: str, folder: Path, tokens: int, documents: list[list[int]], batch: int) -> Path:
    """Write documents, some at once, and return the file that holds their ids."""
    make, suffix, _ = WRITERS[kind]
    stem = folder / "a.b"
    writer = make(stem, *({"jsonl": ["s"], "parquet": ["s", tokens]}.get(kind) or [tokens, END]))
    for at in range(0, len(documents), batch):
        some = documents[at : at + batch]
        front = [] if kind in ("jsonl", "parquet") else [END]
        ids = np.array([i for ids in some for i in (*front, *ids)], np.uint32)
        lengths = np.array([len(ids) + len(front) for ids in some], np.int64)
        known = [[str(i) for i in range(len(some))]] if not front else []
        writer.add(*known, ids, lengths)
    writer.close()
    return folder / f"a.b{suffix}"


Found = list[tuple[list[int], int, int]]
"""Documents, each with its record and which part of it."""


def cut(batches: Any, tokens: int, ends: tuple[int, ...] = (END,)) -> tuple[Found, list[int]]:
    """Return each document with its record and part, and the records without one."""
    cutter, found = Cutter("here", ends, tokens), []
    for batch in batches:
        documents = cutter(batch)
        pieces = np.split(documents.ids, documents.lengths.cumsum()[:-1])
        found += zip(
            map(np.ndarray.tolist, pieces[: len(documents.lengths)]),
            documents.record.tolist(),
            documents.part.tolist(),
            strict=True,
        )
    return found, cutter.empty


@pytest.mark.parametrize("kind", WRITERS)
@settings(max_examples=7)
@given(corpora(), st.integers(1, 5))
@example((200_000, [[], [199_999], [], [65_536, 0]]), 1)
@example((65_536, []), 1)
def test_documents_come_back_from_every_format(
    tmp_path_factory: pytest.TempPathFactory, kind: str, corpus: tuple[int, list[list[int]]], batch: int
) -> None:
    tokens, documents = corpus
    path = write(kind, tmp_path_factory.mktemp("format"), tokens, documents, batch)
    dtype = "uint16" if tokens <= 1 << 16 else "uint32"
    (file,) = find_ids([str(path)], "auto")
    assert file.format == WRITERS[kind][2]
    found, empty = cut(read_ids(path, file.format, Asked((END,), dtype=dtype), lambda _: None), tokens)
    assert [ids for ids, _, _ in found] == [ids for ids in documents if ids]
    if file.format != "bin":
        assert [record for _, record, _ in found] == [n for n, ids in enumerate(documents, 1) if ids]
        assert empty == [n for n, ids in enumerate(documents, 1) if not ids]


def slow_cut(records: list[list[int]], ends: tuple[int, ...], longest: int) -> Found:
    found = []
    for number, record in enumerate(records, 1):
        runs, part = [[]], 0
        for i in record:
            runs.append([]) if i in ends else runs[-1].append(i)
        for run in runs:
            for at in range(0, len(run), longest):
                part += 1
                found.append((run[at : at + longest], number, part))
    return found


@settings(max_examples=90)
@given(
    st.lists(st.lists(st.integers(0, 6), max_size=40), max_size=8),
    st.sampled_from([(3,), (3, 0)]),
    st.sampled_from([5, 10, 1000]),
)
def test_records_are_cut_at_ends_and_at_the_longest_document_however_they_are_read(
    records: list[list[int]], ends: tuple[int, ...], batch: int
) -> None:
    flat = np.array([i for record in records for i in record], np.uint16)
    mapped = Mapped(flat, np.cumsum([0, *map(len, records)]))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sequences, "MAX_IDS", 5)
        patched.setattr(sequences, "BATCH_IDS", batch)
        found, empty = cut(sequences_of(mapped, ends, lambda _: None), 7, ends)
    expected = slow_cut(records, ends, 5)
    assert found == expected
    if batch == 1000:
        assert empty == sorted(set(range(1, len(records) + 1)) - {number for _, number, _ in expected})


def test_a_flat_file_is_cut_at_its_ends_whichever_side_they_stand_on(tmp_path: Path) -> None:
    documents = [[5, 6], [7], [8, 9, 10]]
    behind = [i for ids in documents for i in (*ids, END)]
    for name, ids in (("behind", behind), ("before", [END, *behind[:-1]]), ("both", [END, END, *behind])):
        (path := tmp_path / f"{name}.bin").write_bytes(np.array(ids, np.uint16).tobytes())
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("gnomon.data.exchange.flat.LOOKED_AT", 2)
            found, empty = cut(read_ids(path, "bin", Asked((END,)), lambda _: None), 100)
        assert [ids for ids, _, _ in found] == documents, name
        assert [record for _, record, _ in found] == [1, 2, 3] and empty == []


def test_llmc_shards_end_with_a_document(tmp_path: Path) -> None:
    writer = LlmcWriter(tmp_path / "a", 512, END, shard_ids=6)
    writer.add(np.array([END, 5, 6, END, 7, 8, 9, END, *range(10, 20), END]), np.array([3, 4, 11, 1]))
    writer.close()
    heads = [np.fromfile(p, np.int32, 3).tolist() for p in sorted(tmp_path.iterdir())]
    assert heads == [[20240520, 1, n] for n in (3, 4, 11, 1)]


def damage(path: Path, how: str) -> None:
    """Spoil a file written by `write`, or one beside it."""
    data = bytearray(path.read_bytes())
    what, _, amount = how.partition(" ")
    if what == "cut":
        data = data[: -int(amount)]
    elif what == "put":
        at, value = (int(word) for word in amount.split())
        data[at : at + 4] = value.to_bytes(4, "little")
    elif what == "say":
        data = bytearray(amount.encode())
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("kind", "name", "how", "error", "words"),
    [
        ("megatron", "a.b.bin", "cut 2", IntegrityError, "ends at byte 10, and 6 ids of uint16 end at 12"),
        ("megatron", "a.b.idx", "cut 1", IntegrityError, "ends at byte 101 instead of 102"),
        ("megatron", "a.b.idx", "put 9 2", DataError, "version 2, and this program reads 1"),
        ("megatron", "a.b.idx", "put 17 775", DataError, "names type 7"),
        ("megatron", "a.b.idx", "put 0 1", IntegrityError, "no index of Megatron's"),
        ("megatron", "a.b.idx", "put 46 1", IntegrityError, "sequence 1 does not begin where"),
        ("megatron", "a.b.idx", "put 94 9", IntegrityError, "do not cover the 3 sequences"),
        ("datatrove", "a.b.ds", "cut 1", IntegrityError, "11 bytes, and its index ends at id 6"),
        ("datatrove", "a.b.ds.index", "cut 3", IntegrityError, "ends within an id of uint64, at byte 21"),
        ("datatrove", "a.b.ds.index", "put 8 1", IntegrityError, "document 2 ends before it begins"),
        ("bin", "a.b.bin", "cut 1", IntegrityError, "ends within an id of uint16, at byte 11"),
        ("llmc", "a.b_000000.bin", "cut 2", IntegrityError, "ends at byte 1,034, and 6 ids"),
        ("llmc", "a.b_000000.bin", "put 4 2", DataError, "version 2, and this program reads 1"),
        ("jsonl", "a.b.jsonl.zst", "cut 1", DataError, "cut or damaged"),
        ("parquet", "a.b.parquet", "cut 8", DataError, "cut or damaged"),
    ],
)
def test_a_damaged_file_is_refused_with_the_place(
    tmp_path: Path, kind: str, name: str, how: str, error: type[GnomonError], words: str
) -> None:
    path = write(kind, tmp_path, 512, [[5, 6], [7], []], 9)
    damage(tmp_path / name, how)
    with pytest.raises(error, match=words) as caught:
        cut(read_ids(path, WRITERS[kind][2], Asked((END,)), lambda _: None), 512)
    assert caught.value.where and name.split(".")[0] in caught.value.where and caught.value.do is not None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 cannot be used: it is not JSON"),
        ('{"ids": [1]}', 'it has no "input_ids", but ids'),
        ('{"input_ids": [1, 2.5]}', "no list of whole numbers"),
        ('{"input_ids": [true]}', "no list of whole numbers"),
        ('{"input_ids": "1 2"}', "no list of whole numbers"),
        ('{"input_ids": [18446744073709551615]}', "beyond 64 bits"),
        ('{"input_ids": [1, 512]}', "id 512 is not one of the tokenizer's 512"),
        ('{"input_ids": [1, -1]}', "id -1 is not one"),
    ],
)
def test_a_record_that_holds_no_ids_is_refused_by_its_line(tmp_path: Path, line: str, words: str) -> None:
    (path := tmp_path / "a.jsonl").write_text('{"input_ids": [4, 5]}\n' + line + "\n")
    with pytest.raises(DataError, match=words) as caught:
        cut(read_ids(path, "jsonl", Asked((END,)), lambda _: None), 512)
    assert (caught.value.where is not None and ":2" in caught.value.where) or "record 2" in str(caught.value.where)


def test_masked_ids_are_refused_unless_they_shall_be_taken(tmp_path: Path) -> None:
    path = write("datatrove", tmp_path, 512, [[5, 6], [7]], 9)
    (tmp_path / "a.b.ds.loss").write_bytes(bytes([1, 0, 1, 1, 1]))
    assert find_ids([str(path)], "auto")[0].beside == (path.with_name("a.b.ds.index"), path.with_name("a.b.ds.loss"))
    with pytest.raises(DataError, match="1 of 5 ids are left out of the loss"):
        list(read_ids(path, "datatrove", Asked((END,)), lambda _: None))
    assert len(list(read_ids(path, "datatrove", Asked((END,), masks=True), lambda _: None))) == 1


def test_a_folder_gives_what_its_files_are(tmp_path: Path) -> None:
    for kind in WRITERS:
        (tmp_path / kind).mkdir()
        write(kind, tmp_path / kind, 512, [[5, 6]], 9)
    (tmp_path / "notes.json").write_text(json.dumps({}))
    found = {file.name: file.format for file in find_ids([str(tmp_path)], "auto")}
    assert found == {f"{kind}/a.b{suffix}": format for kind, (_, suffix, format) in WRITERS.items()}
    assert [f.name for f in find_ids([str(tmp_path)], "datatrove")] == ["datatrove/a.b.ds"]
    assert [f.path.name for f in find_ids([str(tmp_path / "megatron" / "a.b")], "auto")] == ["a.b.bin"]
    with pytest.raises(DataError, match="nothing here in the format parquet"):
        find_ids([str(tmp_path / "megatron")], "parquet")
    (tmp_path / "megatron" / "a.b.bin").unlink()
    with pytest.raises(DataError, match="no such file"):
        find_ids([str(tmp_path / "megatron" / "a.b.bin")], "auto")


def test_only_documents_of_the_tokenizer_pass() -> None:
    with pytest.raises(DataError, match="id 9 is not one") as caught:
        Cutter("f.bin", (END,), 9)(Sequences(np.array([1, 2, 3, 9]), np.array([0, 2, 2]), 11))
    assert caught.value.where == "f.bin: record 13, id 2 of it"
    assert formats.FORMATS == ("megatron", "datatrove", "bin", "jsonl", "parquet")
