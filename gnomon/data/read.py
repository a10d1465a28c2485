"""Documents out of files and folders: .txt, .md and .jsonl, also compressed with gzip or Zstandard."""

import gzip
import io
import json
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import zstandard

from gnomon.base import faults
from gnomon.base.errors import DataError
from gnomon.base.files import sha256_file
from gnomon.data.document import MAX_BYTES, Document, Note, Removed, cut, part_end

TEXT_KINDS, RECORD_KINDS, PACKINGS = (".txt", ".md"), (".jsonl",), (".gz", ".zst")
KINDS = " ".join((*TEXT_KINDS, *RECORD_KINDS))
NOTES = ("readme.md", "licence.md", "license.md", "licence.txt", "license.txt")
"""Files that speak about a corpus and are not part of it."""


MAX_RECORD_BYTES = 64 << 20
"""A longer line of .jsonl is not read into memory."""

MAX_WINDOW_BYTES = 128 << 20
"""Of Zstandard, as `zstd --long=27` and level 22 use it."""

READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Source:
    """A file of the corpus; `name` is its path below the folder that was asked for, `bytes` its size on
    disk.
    """

    path: Path
    name: str
    bytes: int

    def sha256(self) -> str:
        """Return the SHA-256 of the file as it lies on disk."""
        with _open_errors(self.path):
            return sha256_file(self.path)


@dataclass(frozen=True)
class Record:
    """A whole record, its place as `file:line`, and its own "id"; where it has none, its place again."""

    text: str
    origin: str
    id: str


def find_sources(paths: list[str]) -> list[Source]:
    """Return the files that `paths` name, folders searched to their depth, sorted by name; hidden files
    are passed over.

    Raises DataError for a path that does not exist, a file of unknown kind, and a folder without any
    known file.
    """
    found: dict[Path, Source] = {}
    for text in paths:
        path = Path(text)
        with _open_errors(path):
            for file in _files(path, text):
                name = file.name if file == path else file.relative_to(path).as_posix()
                found[file.resolve()] = Source(file, name, file.stat().st_size)
    return sorted(found.values(), key=lambda s: (s.name, s.path.as_posix()))


def _files(path: Path, text: str) -> list[Path]:
    if not path.exists():
        do = "check the path in `data`; it is relative to where you are"
        raise DataError(f"there is no file or folder {text}", where=text, do=do)
    if path.is_file():
        if not _kind(path):
            do = f"use {KINDS}, also .gz or .zst"
            raise DataError(f"{path.name} is no kind of text that can be read", where=text, do=do)
        return [path]
    kept = [p for p in path.rglob("*") if _kind(p) and not _passed_over(p.relative_to(path)) and p.is_file()]
    if not kept:
        raise DataError("no text in this folder", where=text, do=f"put {KINDS} files there, also .gz or .zst")
    return kept


def read_documents(
    source: Source, text_field: str, separator: str | None, note: Note, at: Callable[[int], None]
) -> Iterator[Document]:
    """Yield the documents of one file, long ones in parts. `note` is told of every record that cannot be
    used, `at` of how many bytes of the file, as it lies on disk, have been read. Memory holds one record,
    or one part of a text file.

    Raises DataError for a file that cannot be opened or whose compression is cut or damaged.
    """
    with opened(source.path) as (stream, raw):
        if _kind(source.path) in RECORD_KINDS:
            documents = _records(stream, source.name, text_field, note)
        else:
            documents = _texts(stream, source.name, separator, note)
        for document in documents:
            yield document
            at(raw.tell())


def read_records(source: Source, text_field: str, note: Note, at: Callable[[int], None]) -> Iterator[Record]:
    """Yield the records of one file, whole; a text file is one. For the rest as `read_documents`; a text file of more
    than MAX_RECORD_BYTES cannot be used.
    """
    with opened(source.path) as (stream, raw):
        if _kind(source.path) in RECORD_KINDS:
            for origin, fields in _lines(stream, source.name, text_field, note):
                if document := _usable(fields[text_field], origin, note):
                    own = str(fields.get("id", origin))
                    yield Record(document.text, origin, origin if _has_lone_surrogate(own) else own)
                    at(raw.tell())
        elif document := _whole(stream, f"{source.name}:1", note):
            yield Record(document.text, document.origin, document.origin)
            at(raw.tell())


def _records(stream: BinaryIO, name: str, text_field: str, note: Note) -> Iterator[Document]:
    for origin, fields in _lines(stream, name, text_field, note):
        if usable := _usable(fields[text_field], origin, note):
            yield from cut(usable)


def _lines(stream: BinaryIO, name: str, text_field: str, note: Note) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of .jsonl that have a text, each with its place."""
    number = 0
    while line := stream.readline(MAX_RECORD_BYTES):
        number += 1
        origin = f"{name}:{number}"
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            note(Removed(origin, "too long", f"the record has more than {MAX_RECORD_BYTES:,} bytes"))
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD_BYTES)
            continue
        fields = _fields(line.removeprefix(BOM_UTF8) if number == 1 else line, origin, text_field, note)
        if fields is not None:
            yield origin, fields


def _fields(line: bytes, origin: str, text_field: str, note: Note) -> dict[str, Any] | None:
    """Return the record in a line of .jsonl; None, and a note unless the line is blank, where it has no text."""
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        if not line.strip():
            return None
        try:  # the standard library takes more (NaN, half a surrogate pair) and says exactly what is wrong
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as e:
            note(Removed(origin, "invalid UTF-8", f"byte {e.start:,} of the line"))
            return None
        except (ValueError, RecursionError) as e:
            note(Removed(origin, "invalid JSON", str(e)))
            return None
    if isinstance(record, dict) and isinstance(record.get(text_field), str):
        return record
    if isinstance(record, dict) and text_field in record:
        note(Removed(origin, "text is no string", f'"{text_field}" holds a {type(record[text_field]).__name__}'))
    else:
        note(Removed(origin, "no text", f'the record has no "{text_field}"'))
    return None


def _whole(stream: BinaryIO, origin: str, note: Note) -> Document | None:
    """Return a text file as one document; None, and a note, where that cannot be."""
    data = stream.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        return note(Removed(origin, "too long", f"the file has more than {MAX_RECORD_BYTES:,} bytes"))
    try:
        return _usable(data.removeprefix(BOM_UTF8).decode("utf-8"), origin, note)
    except UnicodeDecodeError as e:
        return note(Removed(origin, "invalid UTF-8", f"byte {e.start:,} of the file"))


def _texts(stream: BinaryIO, name: str, separator: str | None, note: Note) -> Iterator[Document]:
    """Yield a text file's documents, in parts where they are long. A part that cannot be used is left out
    alone.
    """
    for part, offset, line in text_parts(stream, separator.encode() if separator else b""):
        origin = f"{name}:{line}"
        try:
            usable = _usable(part.decode("utf-8"), origin, note)
        except UnicodeDecodeError as e:
            usable = note(Removed(origin, "invalid UTF-8", f"byte {offset + e.start:,} of the file"))
        if usable:
            yield usable


def text_parts(stream: BinaryIO, mark: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the text between the marks, MAX_BYTES at a time, with its first byte's place and line in the
    file.

    Without a mark the file is one document. Line ends next to a mark, and a byte order mark, belong to no
    document; where MAX_BYTES of them or more end a document, the first of these stay.
    """
    data, start, before, line = bytearray(), 0, 0, 1  # `before`: bytes of the file that came before data[0]
    ended, opens = False, True  # the file is read to its end; a document begins at `start`
    while True:
        if not ended and len(data) - start <= MAX_BYTES + len(mark):
            more = stream.read(READ_BYTES)
            ended = not more
            first = before + start == 0
            data, before, start = data[start:] + more, before + start, 0
            if first and data.startswith(BOM_UTF8):
                start = len(BOM_UTF8)
            continue
        if start == len(data):
            return
        end = data.find(mark, start, start + MAX_BYTES + len(mark)) if mark else -1
        closes = end >= 0
        if not closes:
            end = part_end(data, start)
            if mark and end < len(data):  # line ends wait for what follows: a mark, or more of the document
                kept = len(data[start:end].rstrip(b"\r\n"))
                end = start + kept if kept else end
        part = bytes(data[start:end])
        lead = len(part) - len(part.lstrip(b"\r\n")) if mark and opens else 0
        last = closes or (ended and end == len(data))
        text = part[lead:].rstrip(b"\r\n") if mark and last else part[lead:]
        if text or (opens and last):  # an empty document is one; an empty rest of one is nothing
            yield text, before + start + lead, line + part.count(b"\n", 0, lead)
        opens, end = closes or (opens and lead == len(part)), end + len(mark) * closes
        line += data.count(b"\n", start, end)
        start = end


def _usable(text: str, origin: str, note: Note) -> Document | None:
    if not text.strip():
        note(Removed(origin, "empty"))
    elif "\x00" in text:
        note(Removed(origin, "NUL character", f"character {text.index(chr(0)):,}"))
    elif _has_lone_surrogate(text):
        note(Removed(origin, "invalid Unicode", "half of a surrogate pair"))
    else:
        return Document(text, origin)
    return None


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _kind(path: Path) -> str | None:
    """Return what a file is by its name, without the compression's ending; None for unknown kinds."""
    plain = Path(path.stem) if path.suffix.lower() in PACKINGS else path
    suffix = plain.suffix.lower()
    return suffix if suffix in TEXT_KINDS + RECORD_KINDS else None


def _passed_over(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts) or relative.name.lower() in NOTES


@contextmanager
def _open_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as e:
        raise DataError(
            f"the compressed file is cut or damaged ({e or 'it ends too early'})",
            where=str(path),
            do="get the file again, or take it out of the folder",
        ) from e
    except OSError as e:
        raise DataError(
            f"the file cannot be read: {e.strerror or e}",
            where=str(path),
            do="make it readable, or take it out of `data`",
        ) from e


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give a file's plain content, and the file itself, whose position says how far the reading is.

    Raises DataError for a file that cannot be opened or whose compression is cut or damaged.
    """
    with _open_errors(path), path.open("rb") as raw:
        faults.point("read.opened")
        suffix = path.suffix.lower()
        if suffix == ".gz":
            with gzip.open(raw) as unpacked:
                yield unpacked, raw  # pyright: ignore[reportReturnType]
        elif suffix == ".zst":
            yield io.BufferedReader(_WholeZstd(raw), READ_BYTES), raw  # pyright: ignore[reportArgumentType]
        else:
            yield raw, raw


class _WholeZstd(io.RawIOBase):
    """A Zstandard stream that says so when it ends in the middle of a frame; the library's reader stays
    silent.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._new = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj
        self._frame: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            self._packed = self._packed or self._raw.read(64 << 10)
            if not self._packed:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("it ends too early")
                return 0
            if self._frame is None or self._frame.eof:
                self._frame = self._new()
            self._ready = memoryview(self._frame.decompress(self._packed))
            self._packed = self._frame.unused_data if self._frame.eof else b""
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
