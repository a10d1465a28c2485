"""Files as plain bytes, whether gzip, Zstandard or nothing packs them."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from gnomon.base import faults
from gnomon.base.errors import DataError

PACKINGS = (".gz", ".zst")

MAX_WINDOW_BYTES = 128 << 20
"""Of Zstandard, as `zstd --long=27` and level 22 use it."""

READ_BYTES = 1 << 20


@contextmanager
def open_errors(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into a DataError that names it."""
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
def open_unpacked(path: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Give the file's plain content, and the file itself, whose position says how far the reading is."""
    with open_errors(path), path.open("rb") as raw:
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
