"""Every kind of file that can be read, and every way in which it cannot."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import DataError
from gnomon.data.document import MAX_BYTES, Document, Removed, cut, fingerprint
from gnomon.data.reading import read as read_module
from gnomon.data.reading.read import Source, find_sources, read_documents


def read(path: Path, separator: str | None = None) -> tuple[list[str], list[Removed]]:
    bad: list[Removed] = []
    documents = read_documents(
        Source(path, path.name, path.stat().st_size), "text", separator, bad.append, lambda _: None
    )
    return [d.text for d in documents], bad


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
def test_the_same_records_come_out_of_every_packing(tmp_path: Path, packing: str) -> None:
    texts = [f"text number {i} é" * (i + 1) for i in range(50)]
    data = "".join(json.dumps({"text": t}) + "\n" for t in texts).encode()
    packed = {"": lambda d: d, ".gz": gzip.compress, ".zst": zstandard.compress}[packing](data)
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(packed)
    assert read(path) == (texts, [])


def test_a_long_zstd_window_and_several_frames_are_read(tmp_path: Path) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    long = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frames = [long.compress(b"one\n" * 100) + long.flush(), zstandard.compress(b"two")]
    assert zstandard.get_frame_parameters(frames[0]).window_size == 128 << 20
    (tmp_path / "a.txt.zst").write_bytes(b"".join(frames))
    assert read(tmp_path / "a.txt.zst")[0] == ["one\n" * 100 + "two"]


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_cut_packed_file_is_an_error_that_names_it(tmp_path: Path, packing: str, share: float) -> None:
    data = "".join(json.dumps({"text": f"{i} {i * i}"}) + "\n" for i in range(5000)).encode()
    packed = gzip.compress(data) if packing == ".gz" else zstandard.compress(data)
    path = tmp_path / f"a.jsonl{packing}"
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(DataError, match="cut or damaged") as caught:
        read(path)
    assert caught.value.where == str(path)
    assert caught.value.exit_code == 3


def test_each_bad_record_is_quarantined_with_its_line_and_reason(tmp_path: Path) -> None:
    lines = [b'{"text": "fine"}', b"{broken", b'{"other": "x"}', b'{"text": 3}', b'{"text": "  "}',
             b'{"text": "a\\u0000b"}', b'{"text": "caf\xe9"}', b'{"text": "\\ud800"}', b"[1]", b"",
             b'{"text": "also fine"}']  # fmt: skip
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    texts, bad = read(tmp_path / "a.jsonl")
    assert texts == ["fine", "also fine"]
    assert [(b.origin, b.reason) for b in bad] == [
        ("a.jsonl:2", "invalid JSON"), ("a.jsonl:3", "no text"), ("a.jsonl:4", "text is no string"),
        ("a.jsonl:5", "empty"), ("a.jsonl:6", "NUL character"), ("a.jsonl:7", "invalid UTF-8"),
        ("a.jsonl:8", "invalid Unicode"),
        ("a.jsonl:9", "no text"),
    ]  # fmt: skip


def test_deep_json_is_a_bad_record_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"[" * 200_000 + b"\n" + b'{"text": "fine"}\n')
    texts, bad = read(tmp_path / "a.jsonl")
    assert (texts, [b.reason for b in bad]) == (["fine"], ["invalid JSON"])


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    for name, data in (("a.jsonl", b'{"text": "fine"}\n'), ("b.txt", b"fine")):
        (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + data)
        assert read(tmp_path / name) == (["fine"], [])


def test_a_record_that_would_fill_the_memory_is_left_out_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_module, "MAX_RECORD_BYTES", 100)
    long = json.dumps({"text": "long " * 100})
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n' + long + '\n{"text": "two"}\n' + long)
    texts, bad = read(tmp_path / "a.jsonl")
    assert texts == ["one", "two"]
    assert [(b.origin, b.reason) for b in bad] == [("a.jsonl:2", "too long"), ("a.jsonl:4", "too long")]


def test_a_text_file_with_invalid_utf8_says_at_which_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + b"x" * 1234 + b"\xff")
    assert read(tmp_path / "a.txt") == ([], [Removed("a.txt:1", "invalid UTF-8", "byte 1,237 of the file")])
    (tmp_path / "b.txt").write_bytes(b"%%\n\none\n%%\n\ntwo \xff\n%%three")
    assert read(tmp_path / "b.txt", separator="%%") == (
        ["one", "three"],
        [Removed("b.txt:1", "empty"), Removed("b.txt:6", "invalid UTF-8", "byte 16 of the file")],
    )


def test_a_separator_cuts_text_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\n%%\ntwo\nlines\n%%\n\n%%\nthree")
    texts, bad = read(tmp_path / "a.txt", separator="%%")
    assert texts == ["one", "two\nlines", "three"]
    assert [b.reason for b in bad] == ["empty"]


@given(st.text(alphabet="ab \n—🦊", max_size=40), st.integers(0, 4000))
def test_parts_of_a_long_document_are_small_and_joined_are_the_document(seed: str, times: int) -> None:
    text = (seed or "x") * (times + 1)
    parts = list(cut(Document(text, "f:1")))
    assert "".join(p.text for p in parts) == text
    assert all(0 < len(p.text.encode()) <= MAX_BYTES for p in parts)


def test_folders_are_read_whole_hidden_files_and_notes_are_not(tmp_path: Path) -> None:
    for name in (
        "b.txt",
        "sub/a.md",
        "sub/c.jsonl.gz",
        ".hidden.txt",
        "image.png",
        "LICENCE.md",
        "README.md",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [s.name for s in find_sources([str(tmp_path)])] == ["b.txt", "sub/a.md", "sub/c.jsonl.gz"]


@pytest.mark.parametrize(
    ("name", "says"), [("none", "there is no file"), ("a.pdf", "no kind of text"), ("e", "no text in")]
)
def test_paths_that_give_nothing_are_errors(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "a.pdf").write_text("x")
    (tmp_path / "e").mkdir()
    with pytest.raises(DataError, match=says):
        find_sources([str(tmp_path / name)])


def test_texts_are_equal_whatever_their_spacing_and_accents() -> None:
    texts = ["a  b", "a b", "caf\u00e9", "cafe\u0301", "A b", "ab"]
    assert [[fingerprint(a) == fingerprint(b) for b in texts].index(True) for a in texts] == [0, 0, 2, 2, 4, 5]
