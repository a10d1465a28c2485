"""Arrays in .npy files: written so that a full disk says so, read by memory map."""

from pathlib import Path

import numpy as np

SMALL_BYTES = 1 << 16  # are read at once: an array without elements cannot be mapped


def write_array(path: Path, values: np.ndarray) -> None:
    """Write a .npy. Not by `np.save`, whose error on a full disk does not say that the disk is full."""
    with path.open("wb") as f:
        np.lib.format.write_array_header_1_0(f, np.lib.format.header_data_from_array_1_0(values))
        f.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)


def load_array(path: Path) -> np.ndarray:
    """Return the array in a .npy of our own making, memory-mapped unless it is small."""
    return np.load(path, mmap_mode=None if path.stat().st_size < SMALL_BYTES else "r")
