"""A file read in spans, wherever it is cut, is the file read whole: same texts, same origins, same notes."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon.data import document
from gnomon.data.document import Removed
from gnomon.data.reading import read, span
from gnomon.data.reading.read import Source, can_split, read_documents
from gnomon.data.reading.span import WHOLE, Span, cut_spans

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
lines = st.one_of(
    st.sampled_from(['{"text": "' + "long " * 12 + '"}', "", " ", "{", '{"no": 1}', '{"text": "%%"}']),
    st.integers(0, 999).map(lambda n: f'{{"text": "{n} —"}}'),
)
steps = st.one_of(st.just(1), st.integers(2, 99))  # a span for every byte meets every border
Read = tuple[list[tuple[str, str]], list[Removed]]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 32 bytes, read 7 at a time, records of 64 at most, so that every border is met."""
    monkeypatch.setattr(document, "MAX_BYTES", 32)
    monkeypatch.setattr(read, "MAX_BYTES", 32)
    monkeypatch.setattr(read, "MAX_RECORD_BYTES", 64)
    for module in (read, span):
        monkeypatch.setattr(module, "READ_BYTES", 7)


def read_spans(path: Path, separator: str | None, spans: list[Span]) -> Read:
    source, bad = Source(path, path.name, path.stat().st_size), []
    assert spans == [WHOLE] or can_split(source, separator)
    each = [read_documents(source, "text", separator, bad.append, lambda _: None, s) for s in spans]
    return [(d.origin, d.text) for documents in each for d in documents], bad


def spans_of(data: bytes, step: int) -> list[Span]:
    places = [*range(0, len(data), step), len(data)]
    return [Span(a, b, data.count(b"\n", 0, a)) for a, b in pairwise(places)]


@quiet
@given(
    st.lists(lines, max_size=9),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    steps,
)
def test_any_spans_of_records_are_the_file(
    tmp_path: Path, records: list[str], end: str, last: bool, bom: bool, step: int
) -> None:
    data = b"\xef\xbb\xbf" * bom + (end.join(records) + end * last).encode()
    (tmp_path / "a.jsonl").write_bytes(data)
    assert read_spans(tmp_path / "a.jsonl", None, spans_of(data, step)) == read_spans(
        tmp_path / "a.jsonl", None, [WHOLE]
    )


@quiet
@given(
    st.lists(st.one_of(st.text("ab \n%—-", max_size=12), st.sampled_from(["a" * 70, "\n" * 40, "%%", "\n---\n"]))).map(
        "".join
    ),
    st.sampled_from(["%", "%%", "%a%", "\n---\n", "<|cut|>"]),
    st.booleans(),
    steps,
)
@example("a%%%%%%%%%%%%%%%%%%%%%%%%%%%%%a%%", "%%", False, 1)
@example("a\n---\n---\nb", "\n---\n", False, 1)
def test_any_spans_of_separated_texts_are_the_file(tmp_path: Path, text: str, mark: str, bom: bool, step: int) -> None:
    data = b"\xef\xbb\xbf" * bom + text.encode()
    (tmp_path / "a.txt").write_bytes(data)
    assert read_spans(tmp_path / "a.txt", mark, spans_of(data, step)) == read_spans(tmp_path / "a.txt", mark, [WHOLE])


@quiet
@given(st.text("a\n", max_size=60), st.integers(1, 50))
def test_spans_that_a_file_is_cut_into_have_its_bytes_and_lines(tmp_path: Path, text: str, size: int) -> None:
    data = text.encode()
    (tmp_path / "a.jsonl").write_bytes(data)
    assert cut_spans(tmp_path / "a.jsonl", size) == (spans_of(data, size) or [Span(0, 0, 0)])


def test_packed_files_tables_and_texts_without_separator_are_read_whole() -> None:
    able = {"a.jsonl": True, "a.jsonl.gz": False, "a.txt": False, "a.parquet": False}
    assert {name: can_split(Source(Path(name), name, 0), None) for name in able} == able
    assert can_split(Source(Path("a.txt"), "a.txt", 0), "%")
