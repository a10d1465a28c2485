"""The .npy files of a dataset: checked before they are trusted, then read by memory map. No torch."""

import re
from pathlib import Path

import numpy as np

from gnomon.base.disk import DISK
from gnomon.base.errors import IntegrityError

HEAD_BYTES = 256
_HEAD = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(<u[248]|\|u1|<f2)', 'fortran_order': False,"
    rb" 'shape': \((\d{1,15}),(?: (\d{1,5}))?\), \} *\n",
    re.DOTALL,
)


def mapped(path: Path, dtypes: tuple[str, ...], width: int | None = None) -> np.ndarray:
    """Return the numbers in a .npy file as Gnomon writes it, memory-mapped: a row of them, or of a table of this width
    all its rows, one after the other. Raises IntegrityError for a file that holds something else.
    """
    try:
        if DISK.kind(path) != "file":
            raise ValueError("it is missing or no plain file")
        with path.open("rb") as f:
            head = _HEAD.match(f.read(HEAD_BYTES))
        wide = None if width is None else str(width).encode()
        if head is None or head[1].decode() not in dtypes or head[3] != wide:
            raise ValueError(f"it is no row of {' or '.join(dtypes)}")
        dtype, count, start = np.dtype(head[1].decode()), int(head[2]) * (width or 1), head.end()
        if path.stat().st_size != start + count * dtype.itemsize:
            raise ValueError(f"it has not the bytes of {count:,} numbers")
        return np.asarray(np.memmap(path, dtype, "r", start, (count,)))
    except (OSError, ValueError) as e:
        raise IntegrityError(f"{path.name} is not a sound .npy file: {e}", where=str(path)) from None


def bits_of(mask: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the bits at these places, 0 or 1; the lowest of a byte comes first."""
    return mask[places >> 3] >> (places & 7).astype(np.uint8) & 1
