"""Vectors of words, such as GloVe's, from the text form in which they are given away.

A line has a word and its numbers, with spaces between; a first line with how many words and how many numbers, as
word2vec writes it, is passed over. Also packed as .gz or .zst.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_file
from gnomon.data.reading.unpack import open_unpacked

AT_ONCE = 4096
MOST_WIDE = 4096
DO = "give a text file with a word and its numbers a line, as GloVe's"


@dataclass(frozen=True)
class Vectors:
    """Unit vectors, float16 [words, width], the row of each word, and the hash of the file they come from."""

    table: np.ndarray
    row: dict[str, int]
    digest: str

    @property
    def width(self) -> int:
        return self.table.shape[1]

    @cached_property
    def nothing(self) -> np.ndarray:
        return np.zeros(self.width, np.float32)

    def of(self, *forms: str) -> np.ndarray:
        """Return the vector of the first of these forms of a word that has one, float32; zeros where none has."""
        row = next((self.row[form] for form in forms if form in self.row), None)
        return self.nothing if row is None else self.table[row].astype(np.float32)


def load_vectors(path: Path) -> Vectors:
    """Return the vectors in a file. Raises DataError, with the line, for a file that is cut or something else."""
    row, tables, width, number = dict[str, int](), list[np.ndarray](), 0, 1
    with open_unpacked(path) as (lines, _):
        while some := list(islice(lines, AT_ONCE)):
            if not some[-1].endswith(b"\n"):
                raise DataError("the last line is cut", where=str(path), do=DO)
            texts = [line.decode("utf-8", "replace").rstrip() for line in some]
            if not width:
                if len(texts[0].split()) == 2:  # how many words, and how many numbers each
                    texts, number = texts[1:], 2
                width = len(texts[0].split(" ")) - 1 if texts else 0
            if not texts:
                continue
            pairs = [_cut(text, width) for text in texts]
            for i, (word, numbers) in enumerate(pairs):
                if not word or numbers.count(" ") != width - 1 or not 1 < width <= MOST_WIDE:
                    raise _wrong(path, number + i)
                row.setdefault(word, number + i)
            tables.append(_numbers([numbers for _, numbers in pairs], width, path, number))
            number += len(pairs)
    if not tables or not row:
        raise DataError("there are no vectors in it", where=str(path), do=DO)
    table = np.concatenate(tables)
    first = number - len(table)
    return Vectors(table, {word: at - first for word, at in row.items()}, sha256_file(path))


def _cut(text: str, width: int) -> tuple[str, str]:
    """Return a line's word, which may have spaces in it, and its numbers."""
    parts = text.rsplit(" ", width) if width > 0 else [text]
    return parts[0], " ".join(parts[1:])


def _numbers(texts: list[str], width: int, path: Path, first: int) -> np.ndarray:
    """Return rows of numbers, each of length 1, float16."""
    try:
        found = np.array(" ".join(texts).split(" "), np.float32).reshape(len(texts), width)
        if not np.isfinite(found).all():
            raise ValueError
    except ValueError:
        for i, text in enumerate(texts):
            try:
                whole = np.isfinite(np.array(text.split(" "), np.float32)).all()
            except ValueError:
                whole = False
            if not whole:
                raise _wrong(path, first + i) from None
        raise
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)).astype(np.float16)


def _wrong(path: Path, line: int) -> DataError:
    return DataError("this is no word with its numbers", where=f"{path}:{line}", do=DO)
