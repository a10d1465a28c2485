"""Hashes of spans of bytes, many at once: equal bytes, equal hash, on any machine."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

PAD = 8
"""Bytes that must follow the last span, for it is read eight at a time."""

STEP, FIRST, SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53))
KEEP: Hashes = np.array([(1 << 8 * k) - 1 for k in range(9)], np.uint64)
"""By length up to 8: the bytes of an eight-byte read that belong to a span."""


def hash_spans(data: NDArray[np.uint8], starts: Ints, ends: Ints) -> Hashes:
    """Return a hash of each span of `data`, which goes on for PAD bytes after the last one; equal bytes, equal hash."""
    eights, lengths = eights_of(data), ends - starts
    hashes = mix(eights[starts] & KEEP[np.minimum(lengths, 8)])
    long = np.flatnonzero(lengths > 8)
    if len(long):
        more = (lengths[long] - 1) // 8  # reads after the first
        begin = np.cumsum(more) - more
        k = np.arange(1, more.sum() + 1) - np.repeat(begin, more)
        at = np.repeat(starts[long], more) + 8 * k
        left = np.repeat(ends[long], more) - at
        pieces = mix((eights[at] & KEEP[np.minimum(left, 8)]) + k.astype(np.uint64) * STEP)
        hashes[long] += np.add.reduceat(pieces, begin)
    return mix(hashes + lengths.astype(np.uint64) * STEP)


def eights_of(data: bytes | NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the eight bytes from each byte on as a number, without a copy; there is none for the last seven."""
    return np.ndarray(len(data) - 7, "<u8", data, strides=(1,))


def mix(values: Hashes) -> Hashes:
    """Spread every bit over all 64 (the finaliser of MurmurHash3, public domain): a bijection."""
    mixed = (values ^ (values >> np.uint64(33))) * FIRST
    mixed = (mixed ^ (mixed >> np.uint64(33))) * SECOND
    return mixed ^ (mixed >> np.uint64(33))
