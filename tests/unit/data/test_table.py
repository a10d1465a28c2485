"""Tables give the texts that records would, and say which row, column or byte is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import DataError, DependencyError
from gnomon.data.document import MAX_BYTES, Removed
from gnomon.data.reading import read as read_module
from gnomon.data.reading import table
from gnomon.data.reading.read import Source, find_sources, read_documents

pa = pytest.importorskip("pyarrow", reason="pip install 'gnomon[data]'")
pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'gnomon[data]'")

TEXTS = ["one", "two é", "a" * (MAX_BYTES + 5), "", "a\0b", None, *(f"text {i}" for i in range(300))]
Read = tuple[list[tuple[str, str]], list[Removed]]


def read(path: Path, field: str = "text", at: list[int] | None = None) -> Read:
    bad: list[Removed] = []
    source = Source(path, "a", path.stat().st_size)
    documents = read_documents(source, field, None, bad.append, (at if at is not None else []).append)
    return [(d.origin, d.text) for d in documents], bad


def write(path: Path, column: Any, **others: Any) -> Path:
    contents = pa.table({"text": column, **others})
    if path.suffix == ".parquet":
        pq.write_table(contents, path, row_group_size=90, write_page_checksum=True)
        return path
    form = pa.ipc.new_file if "file" in path.name else pa.ipc.new_stream
    with form(path, contents.schema) as writer:
        writer.write_table(contents, max_chunksize=90)
    return path


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
@pytest.mark.parametrize("kind", ["string", "large_string", "binary", "string_view", "dictionary"])
def test_rows_are_read_as_records_are(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    column = pa.array(TEXTS)
    column = column.dictionary_encode() if kind == "dictionary" else column.cast(getattr(pa, kind)())
    behind: list[int] = []
    path = write(tmp_path / name, column, number=range(len(TEXTS)))
    texts, bad = read(path, at=behind)
    assert texts == read(tmp_path / "a.jsonl")[0]
    assert bad == [
        Removed("a:4", "empty"),
        Removed("a:5", "NUL character", "character 1"),
        Removed("a:6", "no text", '"text" is null in this row'),
    ]
    assert behind == sorted(behind) and (behind[-1] == path.stat().st_size or path.suffix == ".arrow")


def test_a_row_with_invalid_utf8_or_too_many_bytes_is_left_out_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_module, "MAX_RECORD_BYTES", 100)
    path = write(tmp_path / "a.parquet", pa.array([b"one", b"caf\xe9", b"x" * 101, b"two"], pa.binary()))
    assert read(path) == (
        [("a:1", "one"), ("a:4", "two")],
        [
            Removed("a:2", "invalid UTF-8", "byte 3 of the text"),
            Removed("a:3", "too long", "the record has more than 100 bytes"),
        ],
    )


@pytest.mark.parametrize(
    ("field", "says", "do"),
    [
        ("body", 'no column "body", but text, other, number', "name the column of the text in data.text_field"),
        (
            "number",
            'column "number" holds int64, no text',
            "name a column of text in data.text_field; here: text, other",
        ),
    ],
)
def test_a_column_that_gives_no_text_is_an_error_that_names_those_that_do(
    tmp_path: Path, field: str, says: str, do: str
) -> None:
    for name in ("a.parquet", "a.arrow"):
        path = write(tmp_path / name, ["one"], other=["two"], number=[1])
        with pytest.raises(DataError, match=says) as caught:
            read(path, field)
        assert (caught.value.where, caught.value.do) == (str(path), do)


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_cut_table_is_an_error_that_names_it(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path / name, TEXTS)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(DataError, match=f"the {path.suffix} file is cut or damaged: ") as caught:
        read(path)
    assert caught.value.where == str(path)
    assert caught.value.do == "get the file again, or take it out of the folder"


def test_a_damaged_page_is_an_error_and_no_other_text(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.table({"text": [f"text {i}" for i in range(300)]})
    pq.write_table(texts, path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"text 77", b"text 78", 1))
    with pytest.raises(DataError, match=r"cut or damaged: .*[Cc][Rr][Cc]|checksum"):
        read(path)


def test_a_folder_gives_its_tables_and_no_packed_ones(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.PARQUET", "c.arrow", "d.parquet.gz"):
        (tmp_path / name).touch()
    assert [s.name for s in find_sources([str(tmp_path)])] == ["a.parquet", "b.PARQUET", "c.arrow"]
    with pytest.raises(DataError, match="no kind of text"):
        find_sources([str(tmp_path / "d.parquet.gz")])


def test_without_the_library_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet", ["one"])
    monkeypatch.setattr(table, "need", lambda _, **words: need_nothing(**words))
    with pytest.raises(
        DependencyError, match=r"reading .parquet needs the library nothing_here, which is not"
    ) as caught:
        read(path)
    assert caught.value.do == "pip install 'gnomon[data]'"


def need_nothing(**words: str) -> Any:
    from gnomon.base.optional import need

    return need("nothing_here", **words)
