"""JSON Lines whose records hold ids under a key: `{"input_ids": [15496, 11]}`, also packed by gzip or Zstandard."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import zstandard

from gnomon.base.errors import DataError
from gnomon.data.exchange.sequences import BATCH_IDS, Asked, At, Sequences
from gnomon.data.reading.unpack import open_unpacked


def read_records(path: Path, asked: Asked, at: At) -> Iterator[Sequences]:
    """Yield the records of a file. Raises DataError, with the line, for one that holds no list of whole numbers."""
    ids, lengths, held, first, number = list[np.ndarray](), list[int](), 0, 1, 0
    with open_unpacked(path) as (lines, raw):
        for line in lines:
            number += 1
            if not line.strip():
                found = np.zeros(0, np.int64)
            else:
                found = _ids(line, asked.key, path, number)
            ids.append(found)
            lengths.append(len(found))
            held += len(found)
            if held >= BATCH_IDS or len(lengths) >= 1 << 16:
                yield Sequences(np.concatenate(ids), np.array(lengths, np.int64), first)
                at(raw.tell())
                ids, lengths, held, first = [], [], 0, number + 1
    if lengths:
        yield Sequences(np.concatenate(ids), np.array(lengths, np.int64), first)


def _ids(line: bytes, key: str, path: Path, number: int) -> np.ndarray:
    try:
        record: Any = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        raise _unusable(f"it is not JSON ({e})", path, number) from None
    if not isinstance(record, dict) or key not in record:
        keys = ", ".join(list(record)[:8]) if isinstance(record, dict) else type(record).__name__
        raise _unusable(f'it has no "{key}", but {keys or "nothing"}', path, number, "name the key with --key")
    value = record[key]
    if not isinstance(value, list) or set(map(type, value)) - {int}:
        raise _unusable(f'its "{key}" is no list of whole numbers', path, number, "name the key of the ids with --key")
    try:
        return np.array(value, np.int64)
    except OverflowError:
        raise _unusable(f'its "{key}" has a number beyond 64 bits', path, number) from None


def _unusable(why: str, path: Path, number: int, do: str | None = None) -> DataError:
    what = f"line {number:,} cannot be used: {why}"
    return DataError(what, where=f"{path}:{number}", do=do or "mend the line, or take the file out")


class RecordWriter:
    """Writes a .jsonl.zst: a line a document, with its id, its source, and its ids or text."""

    def __init__(self, stem: Path, source: str) -> None:
        self._raw = stem.with_name(stem.name + ".jsonl.zst").open("wb")
        self._file: Any = zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(self._raw)
        self._source = source

    def add(self, known: list[str], ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: the id of each, their ids without end-of-text, and how many each has."""
        for name, (start, stop) in zip(known, pairwise([0, *lengths.cumsum().tolist()]), strict=True):
            said = {"id": name, "source": self._source, "input_ids": ids[start:stop]}
            self._file.write(orjson.dumps(said, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))

    def add_texts(self, known: list[str], texts: list[str]) -> None:
        """Take documents as texts."""
        for name, text in zip(known, texts, strict=True):
            said = {"id": name, "source": self._source, "text": text}
            self._file.write(orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Finish the file."""
        self._file.close()
        self._raw.close()
