"""Text files come apart and together again, whatever the sizes of what is read and cut."""

import io

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from gnomon.data import document
from gnomon.data.document import Document, cut
from gnomon.data.reading import read
from gnomon.data.reading.read import text_parts

texts = st.lists(st.one_of(st.text("ab \n\r—🦊%"), st.text("a—🦊", min_size=12, max_size=40))).map("".join)
quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 32 bytes, read 7 at a time, so that every border is met."""
    monkeypatch.setattr(document, "MAX_BYTES", 32)
    monkeypatch.setattr(read, "MAX_BYTES", 32)
    monkeypatch.setattr(read, "READ_BYTES", 7)


@quiet
@given(texts)
@example("a" * 32)
@example("a" * 64)
def test_parts_joined_are_the_file_and_say_where_they_were(text: str) -> None:
    data = text.encode()
    parts = list(text_parts(io.BytesIO(data), b""))
    assert b"".join(p for p, *_ in parts) == data
    for part, offset, line, _ in parts:
        assert 0 < len(part) <= 32
        assert part.decode("utf-8"), "no character is cut"
        assert data[offset : offset + len(part)] == part
        assert line == 1 + data.count(b"\n", 0, offset)


@quiet
@given(
    st.lists(st.text(alphabet="ab \n—", max_size=90), min_size=1, max_size=6),
    st.sampled_from(["%", "<|cut|>", "\n\n%%\n\n"]),
)
@example(["a" * 31 + "\n\n"], "%")
@example(["\n" * 40 + "a", "b" * 33 + "\n" * 20 + "c"], "%")
def test_a_separator_gives_back_what_was_between_it(documents: list[str], separator: str) -> None:
    data = separator.join(documents).encode()
    assume(b"\n" * 32 not in data.lstrip(b"\n"))  # as many as a part has
    whole = [d.strip("\r\n").encode() for d in data.decode().split(separator)]
    got = list(text_parts(io.BytesIO(data), separator.encode()))
    assert b"".join(p for p, *_ in got) == b"".join(whole)
    for part, offset, line, _ in got:
        assert data[offset : offset + len(part)] == part
        assert line == 1 + data.count(b"\n", 0, offset)
        assert separator.encode() not in part


@quiet
@given(texts)
def test_a_long_record_is_cut_as_a_file_is(text: str) -> None:
    parts = [d.text for d in cut(Document(text, "f:1"))]
    assert "".join(parts) == text
    if len(text.encode()) > 32:
        assert parts == [p.decode() for p, *_ in text_parts(io.BytesIO(text.encode()), b"")]
