"""Named arrays in safetensors files, whole or cut into slices of rows, one file a rank. NumPy only, no torch.

A file of a run with one process holds whole tensors under their names. With several, every rank writes its share of
the rows under `name[start:stop]`; reading puts the slices together again, however many there are.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.base.disk import DISK, Disk, read_buffer
from gnomon.base.errors import IntegrityError
from gnomon.base.files import parse_json

DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "float64": "F64", "int32": "I32", "uint8": "U8"}
_NUMPY = {code: name for name, code in DTYPES.items()}
MAX_HEAD_BYTES = 1 << 20  # enough for 9,000 tensors; what Python needs for a head of nonsense stays below 32 MiB
MAX_FILE_BYTES = 1 << 50
MAX_AXES = 8
_SLICE = re.compile(r"(.+)\[(\d{1,15}):(\d{1,15})\]", re.ASCII)


@dataclass(frozen=True)
class Spec:
    """A tensor in the making: its key, NumPy type name and shape."""

    key: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Layout:
    """A safetensors file before its data: the head, and where each tensor's bytes begin in the file."""

    head: bytes
    offsets: tuple[int, ...]
    size: int


def layout(specs: Sequence[Spec]) -> Layout:
    """Return the layout of a file that holds the tensors in the given order. Source: the safetensors format, v0.x."""
    entries: dict[str, Any] = {}
    offsets, at = [], 0
    for spec in specs:
        entries[spec.key] = {
            "dtype": DTYPES[spec.dtype],
            "shape": list(spec.shape),
            "data_offsets": [at, at + spec.bytes],
        }
        offsets.append(at)
        at += spec.bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)  # aligned, so that a reader may map the data where it lies
    assert len(text) <= MAX_HEAD_BYTES, "nobody could read this file again"
    head = len(text).to_bytes(8, "little") + text
    return Layout(head, tuple(len(head) + o for o in offsets), len(head) + at)


def not_finite(file: memoryview) -> list[str]:
    """Return the floating-point tensors of a file made by `layout` that hold NaN or infinity, the guard's own aside."""
    size = int.from_bytes(file[:8], "little")
    found = []
    for key, entry in json.loads(bytes(file[8 : 8 + size])).items():
        if entry["dtype"] in ("F32", "F64", "F16") and not key.startswith("guard."):
            start, stop = (8 + size + at for at in entry["data_offsets"])
            values = np.frombuffer(file[start:stop], dtype=_NUMPY[entry["dtype"]])
            if not np.isfinite(values).all():
                found.append(f"{key}: {np.count_nonzero(~np.isfinite(values)):,} of {values.size:,} values")
    return found


def share(rows: int, rank: int, world: int) -> tuple[int, int]:
    """Return the rows, start and stop, that a rank writes of a tensor."""
    return rows * rank // world, rows * (rank + 1) // world


def slice_key(name: str, start: int, stop: int) -> str:
    """Return the key of rows start to stop of a tensor."""
    return f"{name}[{start}:{stop}]"


def read_tensors(paths: Sequence[Path], disk: Disk = DISK) -> dict[str, np.ndarray]:
    """Return the tensors of all files together, by name. Raises IntegrityError for files that do not hold a whole.

    Takes as much memory as the files have bytes, and twice that where tensors are in slices.
    """
    whole: dict[str, np.ndarray] = {}
    slices: dict[str, list[tuple[int, int, np.ndarray]]] = {}
    for path in paths:
        for key, array in _read_file(path, disk).items():
            if m := _SLICE.fullmatch(key):
                slices.setdefault(m[1], []).append((int(m[2]), int(m[3]), array))
            elif key in whole:
                raise IntegrityError(f"the tensor {key:.100} comes twice", where=str(path))
            else:
                whole[key] = array
    for name, parts in slices.items():
        if name in whole or not _make_a_whole(parts):
            raise IntegrityError(f"the slices of {name:.100} do not make a whole", where=str(paths[0].parent))
        whole[name] = np.concatenate([array for _, _, array in parts])
    return whole


def _make_a_whole(parts: list[tuple[int, int, np.ndarray]]) -> bool:
    """Put slices in order and return whether they follow each other from row 0, of one type and width."""
    parts.sort(key=lambda part: part[:2])
    ends = [0, *(stop for _, stop, _ in parts)]
    first = parts[0][2]
    return all(
        start == end and array.shape == (stop - start, *first.shape[1:]) and array.dtype == first.dtype
        for end, (start, stop, array) in zip(ends, parts, strict=False)
    )


def _read_file(path: Path, disk: Disk) -> dict[str, np.ndarray]:
    try:
        data = read_buffer(path, MAX_FILE_BYTES, disk)
    except OSError as e:
        raise IntegrityError(f"{path.name} cannot be read: {e}", where=str(path)) from None
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(len(data) - 8, MAX_HEAD_BYTES):
        raise IntegrityError(f"{path.name} has no head that could be read", where=str(path))
    head = parse_json(bytes(data[8 : 8 + size]), path)
    if not isinstance(head, dict):
        raise IntegrityError(f"{path.name} has a head that is no object", where=str(path))
    notes = head.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise IntegrityError(f"{path.name} has notes that are no words", where=str(path))
    tensors: dict[str, np.ndarray] = {}
    at = 8 + size
    entries = {key: _entry(key, entry, path) for key, entry in head.items()}
    for key, (spec, start, stop) in sorted(entries.items(), key=lambda item: item[1][1:]):
        if (8 + size + start, stop - start) != (at, spec.bytes) or len(data) - at < spec.bytes:
            raise IntegrityError(f"{path.name}: the bytes of {key:.100} are not where they should be", where=str(path))
        values = np.frombuffer(data, spec.dtype, math.prod(spec.shape), at).reshape(spec.shape)
        tensors[key] = np.require(values, requirements="A")  # torch wants numbers aligned
        at += spec.bytes
    if at != len(data):
        raise IntegrityError(f"{path.name} holds bytes that are no tensor's", where=str(path))
    return tensors


def _entry(key: str, entry: Any, path: Path) -> tuple[Spec, int, int]:
    """Return what a head says of one tensor: its spec, and where its bytes begin and end behind the head."""
    match entry:
        case {"dtype": str(code), "shape": [*shape], "data_offsets": [start, stop]} if code in _NUMPY and all(
            type(n) is int and 0 <= n <= MAX_FILE_BYTES for n in (*shape, start, stop)
        ):
            if len(shape) <= MAX_AXES and math.prod(n or 1 for n in shape) <= MAX_FILE_BYTES:
                return Spec(key, _NUMPY[code], tuple(shape)), start, stop
    raise IntegrityError(f"{path.name}: what it says of {key:.100} cannot be", where=str(path))
