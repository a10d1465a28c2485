"""Spans of a large file, so that several tasks read it, each its own records and all of them together every record."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gnomon.data.reading.unpack import READ_BYTES, open_errors


@dataclass(frozen=True)
class Span:
    """The bytes from `start` to before `stop` (None: the file's end), `lines` line ends lying before `start`."""

    start: int
    stop: int | None
    lines: int


WHOLE = Span(0, None, 0)


def cut_spans(path: Path, bytes_each: int) -> list[Span]:
    """Return the spans that a file comes apart into. Reads it once, to count lines; DataError if that fails."""
    with open_errors(path):
        size = path.stat().st_size
        starts = range(0, size, bytes_each)
        lines, spans = 0, []
        for start in starts:
            stop = min(start + bytes_each, size)
            spans.append(Span(start, stop, lines))
            lines += count_lines(path, start, stop)
        return spans or [Span(0, 0, 0)]


def count_lines(path: Path, start: int, stop: int) -> int:
    """Return how many line ends lie in these bytes of a file."""
    with open_errors(path), path.open("rb", buffering=0) as file:
        file.seek(start)
        return sum(int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == ord("\n"))) for chunk in _chunks(file, stop))


def _chunks(file: BinaryIO, stop: int) -> Iterator[bytes]:
    while chunk := file.read(min(READ_BYTES, stop - file.tell())):
        yield chunk


def seek_to_line(stream: BinaryIO, span: Span) -> tuple[int, int]:
    """Return how many lines come before the first one that begins in the span or later, and the place where it begins,
    to which `stream` is moved.
    """
    if not span.start:
        return 0, 0
    place = stream.seek(span.start - 1)
    while piece := stream.readline(READ_BYTES):
        place += len(piece)
        if piece.endswith(b"\n"):
            return span.lines + (place > span.start), place  # the line end right before the span is one of `lines`
    return span.lines, place


def seek_to_mark(stream: BinaryIO, mark: bytes, span: Span) -> tuple[int, int]:
    """Return a place from which reading on finds the very marks that reading from the file's beginning finds, and its
    line; `stream` is moved there. What follows a mark that ends in the span or later lies behind it.

    Marks may overlap, as in `%%%` for `%%`, and the earlier one counts: the place is one that none lies across.
    """
    if not span.start:
        return 0, 1
    place = _uncrossed(stream, mark, max(0, span.start - len(mark)))
    stream.seek(place)
    line = 1 + span.lines - stream.read(span.start - place).count(b"\n")
    stream.seek(place)
    return place, line


def _uncrossed(stream: BinaryIO, mark: bytes, place: int) -> int:
    """Return the last place up to `place` that no mark lies across."""
    while True:
        first = max(0, place - READ_BYTES)
        stream.seek(first)
        data = stream.read(place - first + len(mark) - 1)
        inside = place - first
        while (crossing := data.find(mark, max(0, inside - len(mark) + 1), inside + len(mark) - 1)) >= 0:
            inside = crossing
        place = first + inside
        if not first or inside >= len(mark):
            return place
