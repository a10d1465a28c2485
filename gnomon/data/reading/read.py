"""Documents out of files and folders: .txt, .md and .jsonl, also packed by gzip or Zstandard, .parquet and .arrow."""

import json
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_file
from gnomon.data.document import MAX_BYTES, Document, Note, Removed, cut, part_end
from gnomon.data.forms.form import TEXT, Form, document_of
from gnomon.data.reading.span import WHOLE, Span, seek_to_line, seek_to_mark
from gnomon.data.reading.table import TABLE_KINDS, table_texts
from gnomon.data.reading.unpack import PACKINGS, open_errors, open_unpacked

TEXT_KINDS, RECORD_KINDS = (".txt", ".md"), (".jsonl",)
KINDS = f"{' '.join(TEXT_KINDS + RECORD_KINDS)}, also .gz or .zst, {' '.join(TABLE_KINDS)}"
NOTES = ("readme.md", "licence.md", "license.md", "licence.txt", "license.txt")
"""Files that speak about a corpus and are not part of it."""


MAX_RECORD_BYTES = 64 << 20
"""A longer line of .jsonl is not read into memory."""

READ_BYTES = 1 << 20

MAX_ID_CHARACTERS = 256
"""A longer value under the key of the id is not taken for one."""


@dataclass(frozen=True)
class Source:
    """A file of the corpus; `name` is its path below the folder that was asked for, `bytes` its size on
    disk, `text_field` what its records call the text, where that is not for the config to say.
    """

    path: Path
    name: str
    bytes: int
    text_field: str | None = None

    def sha256(self) -> str:
        """Return the SHA-256 of the file as it lies on disk."""
        with open_errors(self.path):
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
        with open_errors(path):
            for file in _files(path, text):
                name = file.name if file == path else file.relative_to(path).as_posix()
                found[file.resolve()] = Source(file, name, file.stat().st_size)
    return sorted(found.values(), key=lambda s: (s.name, s.path.as_posix()))


def _files(path: Path, text: str) -> list[Path]:
    if not path.exists():
        do = "check the path; it is relative to where you are"
        raise DataError(f"there is no file or folder {text}", where=text, do=do)
    if path.is_file():
        if not _kind(path):
            do = f"use {KINDS}"
            raise DataError(f"{path.name} is no kind of text that can be read", where=text, do=do)
        return [path]
    kept = [p for p in path.rglob("*") if _kind(p) and not _passed_over(p.relative_to(path)) and p.is_file()]
    if not kept:
        raise DataError("no text in this folder", where=text, do=f"put {KINDS} files there")
    return kept


def read_documents(
    source: Source,
    text_field: str,
    separator: str | None,
    note: Note,
    at: Callable[[int], None],
    span: Span = WHOLE,
    id_field: str | None = None,
    fields: Sequence[str] = (),
    form: Form = TEXT,
) -> Iterator[Document]:
    """Yield the documents of one file, or those whose first byte lies in `span`; long ones in parts, but for records of
    a structured `form`, which stay whole. `note` is told of every record that cannot be used, `at` of how many bytes of
    the file, as it lies on disk, have been read; `id_field` names the key of the records' own ids, `fields` others that
    are wanted, such as `url` or `meta.kind`. Memory holds
    one record, one part of a text file, or some rows of a table.

    The documents of all of a file's spans, in order, are those of the file: same texts, same origins, same notes.

    Raises DataError for a file that cannot be opened, is cut or damaged, or a table without the text; DependencyError
    for a table without the library that reads it.
    """
    assert span == WHOLE or can_split(source, separator)
    kind, name, text_field = _kind(source.path), source.name, source.text_field or text_field
    if form.structured and kind not in RECORD_KINDS:
        do = "name .jsonl files, also .gz or .zst, for this source in data.sources"
        raise DataError(f"{form.name} are read from .jsonl only", where=str(source.path), do=do)
    stop = source.bytes if span.stop is None else span.stop
    with open_unpacked(source.path) as (stream, raw):
        if kind in TABLE_KINDS:
            for row in _rows(source, raw, text_field, note, at, id_field, fields):
                yield from cut(row)
            return
        if form.structured:
            documents = _structured(stream, name, form, note, span, id_field, fields)
        elif kind in RECORD_KINDS:
            documents = _records(stream, name, text_field, note, span, id_field, fields)
        else:
            documents = _texts(stream, name, separator, note, span)
        for document in documents:
            yield document
            at(max(0, min(raw.tell(), stop) - span.start))


def read_records(source: Source, text_field: str, note: Note, at: Callable[[int], None]) -> Iterator[Record]:
    """Yield the records of one file, whole; a text file is one. For the rest as `read_documents`; a text file of more
    than MAX_RECORD_BYTES cannot be used. Rows of a table are named by their place.
    """
    kind, text_field = _kind(source.path), source.text_field or text_field
    with open_unpacked(source.path) as (stream, raw):
        if kind in TABLE_KINDS:
            for row in _rows(source, raw, text_field, note, at):
                yield Record(row.text, row.origin, row.origin)
        elif kind in RECORD_KINDS:
            for origin, fields in _lines(stream, source.name, text_field, note, WHOLE):
                if document := _usable(fields[text_field], origin, note):
                    own = str(fields.get("id", origin))
                    yield Record(document.text, origin, origin if _has_lone_surrogate(own) else own)
                    at(raw.tell())
        elif document := _whole(stream, f"{source.name}:1", note):
            yield Record(document.text, document.origin, document.origin)
            at(raw.tell())


def can_split(source: Source, separator: str | None) -> bool:
    """Return whether spans of the file can be read by themselves: unpacked, of lines or with a separator."""
    if source.path.suffix.lower() in PACKINGS:
        return False
    kind = _kind(source.path)
    return kind in RECORD_KINDS or (kind in TEXT_KINDS and bool(separator))


def _rows(
    source: Source,
    raw: BinaryIO,
    text_field: str,
    note: Note,
    at: Callable[[int], None],
    id_field: str | None = None,
    fields: Sequence[str] = (),
) -> Iterator[Document]:
    """Yield the rows of a table, whole."""
    columns = [field.partition(".")[0] for field in fields]
    for number, data, value, said in table_texts(source.path, raw, text_field, at, id_field, columns):
        origin = f"{source.name}:{number}"
        if data is None:
            note(Removed(origin, "no text", f'"{text_field}" is null in this row'))
        elif len(data) > MAX_RECORD_BYTES:
            note(_too_long(origin, "record"))
        elif (text := _decoded(data, origin, "text", 0, note)) is not None and (
            usable := _usable(text, origin, note, own_id(value))
        ):
            yield replace(usable, fields=_said(said, fields)) if fields else usable


def _records(
    stream: BinaryIO,
    name: str,
    text_field: str,
    note: Note,
    span: Span,
    id_field: str | None,
    fields: Sequence[str],
) -> Iterator[Document]:
    for origin, record in _lines(stream, name, text_field, note, span):
        value = record.get(id_field) if id_field else None
        if usable := _usable(record[text_field], origin, note, own_id(value)):
            yield from cut(replace(usable, fields=_said(record, fields)) if fields else usable)


def _structured(
    stream: BinaryIO, name: str, form: Form, note: Note, span: Span, id_field: str | None, fields: Sequence[str]
) -> Iterator[Document]:
    for origin, record in _lines(stream, name, None, note, span):
        try:
            found = document_of(record, form, origin)
        except (ValueError, RecursionError) as e:
            note(Removed(origin, f"no record of {form.name}", str(e)))
            continue
        own = own_id(record.get(id_field)) if id_field else ""
        yield replace(found, own_id=own, fields=_said(record, fields))


def _said(record: dict[str, Any], fields: Sequence[str]) -> tuple[str, ...]:
    """Return what a record says in each of these fields, "" where it has none; of a list, each on a line."""
    found = []
    for field in fields:
        value: Any = record
        for part in field.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        many = [v for v in (value if isinstance(value, list) else [value]) if v is not None]
        words = (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, default=str) for v in many)
        found.append("\n".join(words))
    return tuple(found)


def own_id(value: Any) -> str:
    """Return what a record says its id is, as text; "" where that is no whole number and no string of at most
    MAX_ID_CHARACTERS.
    """
    if isinstance(value, str):
        return "" if len(value) > MAX_ID_CHARACTERS or _has_lone_surrogate(value) else value
    whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64
    return str(value) if whole else ""


def _lines(
    stream: BinaryIO, name: str, text_field: str | None, note: Note, span: Span
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of .jsonl that have a text, each with its place; without a field for it, all of them."""
    number, place = seek_to_line(stream, span)
    while (span.stop is None or place < span.stop) and (line := stream.readline(MAX_RECORD_BYTES)):
        place += len(line)
        number += 1
        origin = f"{name}:{number}"
        if len(line) == MAX_RECORD_BYTES and not line.endswith(b"\n"):
            note(_too_long(origin, "record"))
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_RECORD_BYTES)
                place += len(line)
            continue
        fields = _fields(line.removeprefix(BOM_UTF8) if number == 1 else line, origin, text_field, note)
        if fields is not None:
            yield origin, fields


def _too_long(origin: str, what: str) -> Removed:
    return Removed(origin, "too long", f"the {what} has more than {MAX_RECORD_BYTES:,} bytes")


def _fields(line: bytes, origin: str, text_field: str | None, note: Note) -> dict[str, Any] | None:
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
    if isinstance(record, dict) and (text_field is None or isinstance(record.get(text_field), str)):
        return record
    if text_field is None:
        return note(Removed(origin, "no record", f"the line holds a {type(record).__name__}"))
    if isinstance(record, dict) and text_field in record:
        note(Removed(origin, "text is no string", f'"{text_field}" holds a {type(record[text_field]).__name__}'))
    else:
        keys = f", only {', '.join(list(record)[:6])}" if isinstance(record, dict) and record else ""
        note(Removed(origin, "no text", f'the record has no "{text_field}"{keys}'))
    return None


def _whole(stream: BinaryIO, origin: str, note: Note) -> Document | None:
    """Return a text file as one document; None, and a note, where that cannot be."""
    data = stream.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        return note(_too_long(origin, "file"))
    text = _decoded(data.removeprefix(BOM_UTF8), origin, "file", 0, note)
    return None if text is None else _usable(text, origin, note)


def _texts(stream: BinaryIO, name: str, separator: str | None, note: Note, span: Span) -> Iterator[Document]:
    """Yield a text file's documents, in parts where they are long. A part that cannot be used is left out
    alone.
    """
    begun = False  # a part of the document that the next one may go on from has been yielded
    for part, offset, line, goes_on in text_parts(stream, separator.encode() if separator else b"", span):
        origin, begun = f"{name}:{line}", begun and goes_on
        text = _decoded(part, origin, "file", offset, note)
        if text is not None and (usable := _usable(text, origin, note, goes_on=begun)):
            yield usable
            begun = True


def _decoded(data: bytes, origin: str, whole: str, offset: int, note: Note) -> str | None:
    """Return the text that bytes at `offset` of a `whole` are; None, and a note, where they are no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as e:
        note(Removed(origin, "invalid UTF-8", f"byte {offset + e.start:,} of the {whole}"))
        return None


def text_parts(stream: BinaryIO, mark: bytes, span: Span = WHOLE) -> Iterator[tuple[bytes, int, int, bool]]:
    """Yield the text between the marks, MAX_BYTES at a time, with its first byte's place and line in the
    file, and whether it goes on from the part before it. Of a `span`, the documents that begin in it: right after a
    mark, or with the file.

    Without a mark the file is one document. Line ends next to a mark, and a byte order mark, belong to no
    document; where MAX_BYTES of them or more end a document, the first of these stay.
    """
    before, line = seek_to_mark(stream, mark, span)
    data, start = bytearray(), 0  # `before`: bytes of the file that came before data[0]
    ended, opens = False, True  # the file is read to its end; a document's text has not begun before `start`
    begun = before  # where the document began that `start` is in
    while True:
        if not ended and len(data) - start <= MAX_BYTES + len(mark):
            more = stream.read(READ_BYTES)
            ended = not more
            first = before + start == 0
            data, before, start = data[start:] + more, before + start, 0
            if first and data.startswith(BOM_UTF8):
                start = len(BOM_UTF8)
            continue
        wanted = begun >= span.start
        if start == len(data) or (span.stop is not None and (begun if wanted else before + start) >= span.stop):
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
        if wanted and (text or (opens and last)):  # an empty document is one; an empty rest of one is nothing
            yield text, before + start + lead, line + part.count(b"\n", 0, lead), not opens
        opens, end = closes or (opens and lead == len(part)), end + len(mark) * closes
        line += data.count(b"\n", start, end)
        begun = before + end if closes else begun
        start = end


def _usable(text: str, origin: str, note: Note, own_id: str = "", *, goes_on: bool = False) -> Document | None:
    if not text.strip():
        note(Removed(origin, "empty"))
    elif "\x00" in text:
        note(Removed(origin, "NUL character", f"character {text.index(chr(0)):,}"))
    elif _has_lone_surrogate(text):
        note(Removed(origin, "invalid Unicode", "half of a surrogate pair"))
    else:
        return Document(text, origin, own_id, goes_on)
    return None


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _kind(path: Path) -> str | None:
    """Return what a file is by its name, without the compression's ending; None for unknown kinds."""
    packed = path.suffix.lower() in PACKINGS
    suffix = (Path(path.stem) if packed else path).suffix.lower()
    return suffix if suffix in TEXT_KINDS + RECORD_KINDS + TABLE_KINDS * (not packed) else None


def _passed_over(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts) or relative.name.lower() in NOTES
