"""Near duplicates in files: whole records, known by their ids, shown and as JSON."""

import gzip
import json
import random
from pathlib import Path

import pytest
import typer
import zstandard
from typer.testing import CliRunner

from gnomon.base.errors import DataError
from gnomon.data.document import MAX_BYTES, Removed
from gnomon.data.duplicates.files import find_duplicates
from gnomon.data.reading import read as read_module
from gnomon.data.reading.read import Record, Source, read_records
from gnomon.verbs.dedup import dedup

app = typer.Typer()
app.command()(dedup)


def prose(words: int, seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(f"w{draw.randrange(9999)}" for _ in range(words))


def records(path: Path) -> tuple[list[Record], list[Removed]]:
    bad: list[Removed] = []
    return list(read_records(Source(path, path.name, 0), "text", bad.append, lambda _: None)), bad


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A long text three times, each a little other; a short one twice; ids of its own, shared, none."""
    long, short = prose(20_000, 1), prose(50, 2)
    assert len(long) > 2 * MAX_BYTES
    first = [{"id": "one", "text": long}, {"id": "two", "text": prose(60, 3)}, {"id": 7, "text": short}]
    second = [{"id": 7, "text": "Changed " + short}, {"text": prose(60, 4)}, {"text": prose(100, 5) + long}]
    lines = ["".join(json.dumps(r) + "\n" for r in rows).encode() for rows in (first, second)]
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines[0]))
    (tmp_path / "b.jsonl.zst").write_bytes(zstandard.compress(lines[1] + b"{broken\n"))
    (tmp_path / "c.txt").write_text(long.upper())
    return tmp_path


def test_records_are_compared_whole_and_named_by_ids_where_these_are_their_own(folder: Path) -> None:
    found = find_duplicates([str(folder)], 0.7).as_dict()
    assert found["clusters"] == [["one", "b.jsonl.zst:3", "c.txt:1"], ["a.jsonl.gz:3", "b.jsonl.zst:1"]]
    assert [pair[:2] for pair in found["pairs"] if pair[2] == 1] == [["one", "c.txt:1"]]
    assert len(found["pairs"]) == sum(found["compared"]) == found["compared"][9] == 4
    assert found["unread"] == ["b.jsonl.zst:4: invalid JSON"] and 0.66 < found["copies_bytes"] / found["bytes"] < 0.67


def test_the_verb_prints_one_object_or_what_a_person_reads(folder: Path) -> None:
    result = CliRunner().invoke(app, [str(folder), "--json"])
    body = json.loads(result.stdout)
    assert result.exit_code == 0 and body["documents"] == 7 and len(body["clusters"]) == 2
    lines = CliRunner().invoke(app, [str(folder)]).stdout.splitlines()
    assert lines[1] == "2 clusters of 5 documents at 0.7 or more; 66.4% of the bytes are copies of another"
    assert lines[3].endswith("0.8: 0  0.9: 4")
    assert lines[-3:-1] == ["2 documents", "  a.jsonl.gz:3   " + prose(50, 2)[:60].rstrip()]


def test_of_records_without_duplicates_nothing_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alone")
    result = CliRunner().invoke(app, [str(tmp_path)])
    assert (
        result.exit_code == 0 and "0 clusters of 0 documents" in result.stdout and "0.0% of the bytes" in result.stdout
    )


def test_a_record_that_cannot_be_whole_in_memory_is_left_out_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_module, "MAX_RECORD_BYTES", 100)
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + b"x" * 97)
    (tmp_path / "b.txt").write_text("x" * 101)
    (tmp_path / "c.md").write_bytes(b"caf\xe9")
    (tmp_path / "d.jsonl").write_text('{"text": "' + "x" * 100 + '"}\n{"text": "y", "id": "\\ud800"}\n')
    assert records(tmp_path / "a.txt") == ([Record("x" * 97, "a.txt:1", "a.txt:1")], [])
    assert records(tmp_path / "b.txt") == ([], [Removed("b.txt:1", "too long", "the file has more than 100 bytes")])
    assert records(tmp_path / "c.md") == ([], [Removed("c.md:1", "invalid UTF-8", "byte 3 of the file")])
    found, bad = records(tmp_path / "d.jsonl")
    assert found == [Record("y", "d.jsonl:2", "d.jsonl:2")] and [b.reason for b in bad] == ["too long"]


def test_a_damaged_file_is_an_error(folder: Path) -> None:
    (folder / "a.jsonl.gz").write_bytes((folder / "a.jsonl.gz").read_bytes()[:-9])
    with pytest.raises(DataError, match="cut or damaged"):
        find_duplicates([str(folder)], 0.7)
