"""What a run's model said to the questions it was asked, one file a measurement, named by the hash of its content."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base import faults
from gnomon.base.disk import DISK, read_bytes
from gnomon.base.errors import IntegrityError
from gnomon.base.files import canonical_json, parse_json, sha256_bytes, sweep_staging, write_atomic

MAX_BYTES = 1 << 28
NAME = re.compile(r"[0-9a-f]{64}\.json", re.ASCII)


@dataclass(frozen=True)
class Said:
    """An answer, as ids; None: it was not finished. `evidence` is 0 without any, 1 with some that is enough, 2 with
    some that is not; `right` is None where nobody can say, as of an abstention.
    """

    evidence: int
    ids: tuple[int, ...] | None
    right: bool | None


@dataclass(frozen=True)
class Answered:
    """What was measured of the question of a number: the share of answers without evidence that are right, whether
    evidence turns a wrong one into a right one (None: undecided), and what was said.
    """

    number: int
    known: float
    retrieve: bool | None
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Measurement:
    """What was measured after a step."""

    step: int
    answered: tuple[Answered, ...]


class MeasuredStore:
    """The measurements in a folder. Files appear whole, and none is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, measurement: Measurement) -> str:
        """Return the name of a measurement's file, once the disk has it. Raises StorageError."""
        data = canonical_json(_plain(measurement))
        name = f"{sha256_bytes(data)}.json"
        write_atomic(self.folder / name, data)
        faults.point("measured.written")
        return name

    def read(self, name: str) -> Measurement:
        """Return a measurement. Raises IntegrityError where its file is gone or not what was written."""
        path = self.folder / name
        if not NAME.fullmatch(name):
            raise _lost(path, "has another name than files have here")
        try:
            data = read_bytes(path, MAX_BYTES)
        except OSError as e:
            raise _lost(path, f"cannot be read: {e.strerror or e}") from None
        if f"{sha256_bytes(data)}.json" != name:
            raise _lost(path, "does not hold what was written")
        return _measurement(parse_json(data, path), path)

    def sweep(self) -> None:
        """Remove what killed writers left."""
        if DISK.kind(self.folder) != "nothing":
            sweep_staging(self.folder)


def _lost(path: Path, why: str) -> IntegrityError:
    return IntegrityError(
        f"a measurement that the run learned from {why}",
        where=str(path),
        do="restore the file from a backup, or start again in another `out` folder",
    )


def _plain(measurement: Measurement) -> dict[str, Any]:
    return {
        "step": measurement.step,
        "answered": [
            [one.number, one.known, one.retrieve, [[s.evidence, s.ids, s.right] for s in one.said]]
            for one in measurement.answered
        ],
    }


def _measurement(value: Any, path: Path) -> Measurement:
    try:
        answered = tuple(
            Answered(
                int(number),
                float(known),
                retrieve,
                tuple(Said(int(e), None if ids is None else tuple(map(int, ids)), right) for e, ids, right in said),
            )
            for number, known, retrieve, said in value["answered"]
        )
        if not all(0 <= one.known <= 1 and math.isfinite(one.known) for one in answered):
            raise ValueError("a share is none")
        return Measurement(int(value["step"]), answered)
    except (KeyError, TypeError, ValueError) as e:
        raise _lost(path, f"is none: {e}") from None
