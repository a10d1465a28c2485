"""datatrove's shards: `.ds` with ids, `.ds.index` with the place after each document (uint64), and maybe `.ds.loss`
with a byte for each id, 0 where it is left out of the loss.

Source: datatrove/pipeline/tokens/tokenizer.py, TokenizedFile.
"""

from pathlib import Path

import numpy as np

from gnomon.base.errors import DataError, IntegrityError
from gnomon.data.exchange.binary import EndsBehind, map_ids, size_of
from gnomon.data.exchange.sequences import Asked, Mapped

UINT16_TO = 1 << 16
"""Ids of a vocabulary up to this are stored in uint16, else in uint32."""
LOOKED_AT = 1 << 26
"""Bytes of a mask at once."""


def map_datatrove(path: Path, asked: Asked) -> Mapped:
    """Return what a shard holds. The type of its ids follows from its size and index.

    Raises IntegrityError where the files do not fit each other, DataError for a shard without an index, and where a
    mask leaves ids out of the loss, unless `asked.masks`.
    """
    index, mask = path.with_name(f"{path.name}.index"), path.with_name(f"{path.name}.loss")
    size = size_of(path)
    if not index.exists():
        do = "copy its .index beside it; or read it as --format bin, which cuts documents at end-of-text"
        raise DataError("there is no index beside this shard", where=str(path), do=do)
    stops = np.array(map_ids(index, np.dtype("<u8")))
    if len(stops) and int(stops.max()) >= 1 << 62:
        raise IntegrityError(f"the index names id {int(stops.max()):,}", where=str(index), do="copy it again")
    bounds = np.concatenate([[0], stops.astype(np.int64)])
    ids = int(bounds[-1])
    if (np.diff(bounds) < 0).any():
        wrong = int(np.flatnonzero(np.diff(bounds) < 0)[0])
        raise IntegrityError(f"document {wrong + 1:,} ends before it begins", where=str(index), do="copy it again")
    fitting = [dtype for dtype in map(np.dtype, ("<u2", "<u4")) if size == ids * dtype.itemsize]
    if not fitting:
        raise IntegrityError(
            f"the shard has {size:,} bytes, and its index ends at id {ids:,}: neither 2 nor 4 bytes an id",
            where=str(path),
            do="copy both again: one is cut, or belongs to another",
        )
    if mask.exists() and not asked.masks:
        _refuse_mask(mask, ids)
    return Mapped(map_ids(path, fitting[0]), bounds)


def _refuse_mask(path: Path, ids: int) -> None:
    mask = map_ids(path, np.dtype("u1"), 0, ids)
    left_out = sum(int((mask[at : at + LOOKED_AT] == 0).sum()) for at in range(0, ids, LOOKED_AT))
    if left_out:
        raise DataError(
            f"{left_out:,} of {ids:,} ids are left out of the loss, and every id of a dataset is in it",
            where=str(path),
            do="take them in all the same with --ignore-masks",
        )


class DatatroveWriter:
    """Writes a shard: each document ends with end-of-text."""

    def __init__(self, stem: Path, tokens: int, end_of_text: int) -> None:
        self.dtype = np.dtype("<u2" if tokens <= UINT16_TO else "<u4")
        path = stem.with_name(stem.name + ".ds")
        self._ids, self._index = EndsBehind(path, self.dtype, end_of_text), path.with_name(path.name + ".index")
        self._lengths = [np.zeros(0, np.uint64)]

    def add(self, ids: np.ndarray, lengths: np.ndarray) -> None:
        """Take documents: their ids, end-of-text in front of each, and how many each has with it."""
        self._ids.add(ids)
        self._lengths.append(lengths.astype(np.uint64))

    def close(self) -> None:
        """Finish the files."""
        with self._ids:
            self._index.write_bytes(np.concatenate(self._lengths).cumsum(dtype=np.uint64).data)
