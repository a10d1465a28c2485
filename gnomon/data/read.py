"""Documents out of files and folders: .txt, .md and .jsonl, also compressed with gzip or Zstandard."""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from gnomon.base.errors import DataError
from gnomon.data.document import Document, Note, Removed, cut

TEXT_KINDS, RECORD_KINDS, PACKINGS = (".txt", ".md"), (".jsonl",), (".gz", ".zst")
KINDS = " ".join((*TEXT_KINDS, *RECORD_KINDS))
NOTES = ("readme.md", "licence.md", "license.md", "licence.txt", "license.txt")
"""Files that speak about a corpus and are not part of it."""


@dataclass(frozen=True)
class Source:
    """A file of the corpus; `name` is its path below the folder that was asked for."""

    path: Path
    name: str

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size

    def sha256(self) -> str:
        """Return the SHA-256 of the file as it lies on disk."""
        with _open_errors(self.path), self.path.open("rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()


def find_sources(paths: list[str]) -> list[Source]:
    """Return the files that `paths` name, folders searched to their depth, sorted by name; hidden files are passed over.

    Raises DataError for a path that does not exist, a file of unknown kind, and a folder without any known file.
    """
    found: dict[Path, Source] = {}
    for text in paths:
        path = Path(text)
        if not path.exists():
            raise DataError(
                f"there is no file or folder {text}",
                do="check the path in `data`; it is relative to where you are",
            )
        if path.is_file() and not _kind(path):
            raise DataError(
                f"{path.name} is no kind of text that can be read",
                where=text,
                do=f"use {KINDS}, also .gz or .zst",
            )
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        kept = [f for f in files if f == path or (_kind(f) and not _passed_over(f.relative_to(path)))]
        if not kept:
            raise DataError("no text in this folder", where=text, do=f"put {KINDS} files there, also .gz or .zst")
        for f in kept:
            found[f.resolve()] = Source(f, f.name if f == path else f.relative_to(path).as_posix())
    return sorted(found.values(), key=lambda s: (s.name, s.path.as_posix()))


def read_documents(
    source: Source, text_field: str, separator: str | None, note: Note, at: Callable[[int], None]
) -> Iterator[Document]:
    """Yield the documents of one file, long ones in parts. `note` is told of every record that cannot be
    used, `at` of how many bytes of the file, as it lies on disk, have been read.

    Raises DataError for a file that cannot be opened or whose compression is cut or damaged.
    """
    with _open(source.path) as (stream, raw):
        if _kind(source.path) in RECORD_KINDS:
            documents = _records(stream, source.name, text_field, note)
        else:
            documents = _texts(stream, source.name, separator, note)
        for document in documents:
            yield from cut(document)
            at(raw.tell())


def _records(stream: BinaryIO, name: str, text_field: str, note: Note) -> Iterator[Document]:
    for number, line in enumerate(stream, 1):
        origin = f"{name}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError as e:
            note(Removed(origin, "invalid UTF-8", f"byte {e.start} of the line"))
            continue
        except (ValueError, RecursionError) as e:
            note(Removed(origin, "invalid JSON", str(e)))
            continue
        text = record.get(text_field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            note(Removed(origin, "no text", f'the record has no text in "{text_field}"'))
        elif usable := _usable(text, origin, note):
            yield usable


def _texts(stream: BinaryIO, name: str, separator: str | None, note: Note) -> Iterator[Document]:
    data = stream.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        note(Removed(name, "invalid UTF-8", f"byte {e.start:,} of the file"))
        return
    line = 1
    for part in text.split(separator) if separator else [text]:
        if usable := _usable(part.strip("\n") if separator else part, f"{name}:{line}", note):
            yield usable
        line += part.count("\n") + (separator or "").count("\n")


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
def _open(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give the file's plain content, and the file itself, whose position says how far the reading is."""
    with _open_errors(path), path.open("rb") as raw:
        suffix = path.suffix.lower()
        if suffix == ".gz":
            with gzip.open(raw) as unpacked:
                yield unpacked, raw  # pyright: ignore[reportReturnType]
        elif suffix == ".zst":
            yield io.BufferedReader(_WholeZstd(raw)), raw  # pyright: ignore[reportArgumentType]
        else:
            yield raw, raw


class _WholeZstd(io.RawIOBase):
    """A Zstandard stream that says so when it ends in the middle of a frame; the library's reader stays silent."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._new = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj
        self._frame: Any = None
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            data = self._raw.read(1 << 20)
            if not data:
                if self._frame is not None and not self._frame.eof:
                    raise EOFError("it ends too early")
                return 0
            while data:
                if self._frame is None or self._frame.eof:
                    self._frame = self._new()
                self._ready += self._frame.decompress(data)
                data = self._frame.unused_data if self._frame.eof else b""
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
