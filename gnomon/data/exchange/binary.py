"""Plain arrays in files: mapped, and written piece by piece."""

from pathlib import Path
from types import TracebackType

import numpy as np

from gnomon.base.errors import DataError, IntegrityError


def map_ids(path: Path, dtype: np.dtype, start: int = 0, count: int | None = None) -> np.ndarray:
    """Return the ids in a file from byte `start` on, memory-mapped.

    Raises IntegrityError, with the byte, for a file that does not end with an id, or has not `count` of them.
    """
    size = size_of(path)
    here, rest = divmod(max(0, size - start), dtype.itemsize)
    if count is not None and size != start + count * dtype.itemsize:
        raise IntegrityError(
            f"the file ends at byte {size:,}, and {count:,} ids of {dtype} end at {start + count * dtype.itemsize:,}",
            where=str(path),
            do="copy it again: it is cut, or belongs to another index",
        )
    if rest:
        raise IntegrityError(
            f"the file ends within an id of {dtype}, at byte {size:,}",
            where=str(path),
            do="copy it again; or name the type its ids are stored in with --dtype",
        )
    if not here:  # nothing cannot be mapped
        return np.empty(0, dtype)
    return np.asarray(np.memmap(path, dtype, "r", start, (here,)))


def size_of(path: Path) -> int:
    """Return a file's size in bytes. Raises DataError where there is none."""
    try:
        if path.is_file():
            return path.stat().st_size
        why = "there is no such file"
    except OSError as e:
        why = f"the file cannot be read: {e.strerror or e}"
    raise DataError(why, where=str(path), do="check the path; what belongs together lies side by side")


class EndsBehind:
    """Writes the ids of documents that begin with end-of-text so that each ends with it, as most programs have it."""

    def __init__(self, path: Path, dtype: np.dtype, end_of_text: int) -> None:
        self._file, self._dtype, self._end = path.open("wb"), dtype, end_of_text
        self._empty = True

    def __enter__(self) -> "EndsBehind":
        return self

    def add(self, ids: np.ndarray) -> None:
        """Take whole documents, one after the other: shifted by one, each front end is that of the one before."""
        self._file.write(ids[1 if self._empty else 0 :].astype(self._dtype).data)
        self._empty = self._empty and not len(ids)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._empty:
            self._file.write(np.array([self._end], self._dtype).data)
        self._file.close()
