"""Each way in which a text cannot be used is refused: what it is, where it is, what to do; and leaves nothing."""

import gzip
from pathlib import Path

import pytest

from gnomon.base.errors import ConfigError, DataError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.reading import read as read_module

GOOD = b'{"text": "one"}\n{"text": "two"}\n'
MEND = "mend them, or accept the loss with data.max_bad_share=0.34"


def refused(folder: Path, name: str, data: bytes, tree: type[Exception] = DataError) -> tuple[str, str, str]:
    """Return what, where and what to do, as preparing a folder with this file and two good texts says it."""
    (folder / "texts").mkdir()
    (folder / "texts" / "good.jsonl").write_bytes(GOOD)
    (folder / "texts" / name).write_bytes(data)
    config = DataConfig(train=[str(folder / "texts")], root=str(folder / "datasets"))
    with pytest.raises(tree) as caught:
        prepare(config, TokenizerConfig(), 512, silent)
    assert not list((folder / "datasets").rglob("manifest.json"))
    error = caught.value
    assert isinstance(error, DataError | ConfigError)
    return error.what, str(error.where).replace(str(folder), ""), str(error.do)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl", b'\n{"text": "x"', "a.jsonl:2: invalid JSON (Expecting ',' delimiter: line 1 column 13 (char 12))"),
        ("a.jsonl", b'{"body": "x"}', 'a.jsonl:1: no text (the record has no "text", only body)'),
        ("a.jsonl", b"[1]", 'a.jsonl:1: no text (the record has no "text")'),
        ("a.jsonl", b'{"text": 3}', 'a.jsonl:1: text is no string ("text" holds a int)'),
        ("a.jsonl", b'{"text": null}', 'a.jsonl:1: text is no string ("text" holds a NoneType)'),
        ("a.jsonl", b'{"text": "caf\xe9"}', "a.jsonl:1: invalid UTF-8 (byte 13 of the line)"),
        ("a.txt", b"caf\xe9", "a.txt:1: invalid UTF-8 (byte 3 of the file)"),
        ("a.jsonl", b'{"text": "\\ud83e"}', "a.jsonl:1: invalid Unicode (half of a surrogate pair)"),
        ("a.jsonl", b'{"text": "a\\u0000b"}', "a.jsonl:1: NUL character (character 1)"),
        ("a.txt", b"a\x00b", "a.txt:1: NUL character (character 1)"),
        ("a.jsonl", b'{"text": "' + b"x" * 100 + b'"}', "a.jsonl:1: too long (the record has more than 100 bytes)"),
    ],
)
def test_a_record_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, says: str
) -> None:
    monkeypatch.setattr(read_module, "MAX_RECORD_BYTES", 100)
    what, where, do = refused(tmp_path, name, data)
    assert what == f"1 of 3 records cannot be used, more than data.max_bad_share allows\n      {says}"
    named = "name the key that holds the text with data.text_field; or " if "has no" in says else ""
    assert (where, do) == ("/texts", named + MEND)


@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf"])
def test_texts_that_are_all_empty(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_bytes(data)
    config = DataConfig(train=[str(tmp_path / "empty")], root=str(tmp_path / "datasets"))
    with pytest.raises(DataError, match="the text is empty") as caught:
        prepare(config, TokenizerConfig(), 512, silent)
    assert caught.value.where == str(tmp_path / "empty")
    assert caught.value.do == "check that the files hold text of their own"


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.jsonl.gz", gzip.compress(GOOD, mtime=0)[:-9], "the compressed file is cut or damaged"),
        ("a.jsonl.zst", b"(\xb5/\xfd", "the compressed file is cut or damaged"),
    ],
)
def test_a_packed_file_that_is_cut(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    what, where, do = refused(tmp_path, name, data)
    assert what.startswith(says)
    assert (where, do) == (f"/texts/{name}", "get the file again, or take it out of the folder")


def parquet(text: list[str | None], field: str = "text") -> bytes:
    pa = pytest.importorskip("pyarrow", reason="pip install 'gnomon[data]'")
    from pyarrow import parquet as pq

    out = pa.BufferOutputStream()
    pq.write_table(pa.table({field: pa.array(text, pa.string())}), out)
    return out.getvalue().to_pybytes()


def test_a_table_without_the_column(tmp_path: Path) -> None:
    what, where, do = refused(tmp_path, "a.parquet", parquet(["three"], "body"))
    assert what == 'the table has no column "text", but body'
    assert (where, do) == ("/texts/a.parquet", "name the column of the text in data.text_field")


def test_a_table_that_is_cut(tmp_path: Path) -> None:
    what, where, do = refused(tmp_path, "a.parquet", parquet(["three"])[:-3])
    assert what.startswith("the .parquet file is cut or damaged: ")
    assert (where, do) == ("/texts/a.parquet", "get the file again, or take it out of the folder")


def test_a_row_without_text(tmp_path: Path) -> None:
    what, where, do = refused(tmp_path, "a.parquet", parquet([None]))
    assert what.endswith('\n      a.parquet:1: no text ("text" is null in this row)')
    assert (where, do) == ("/texts", MEND)
