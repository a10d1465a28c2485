"""Held-out questions parted in three by a hash of their ids: to fit calibrations, to fuse signals, to certify.

A part may not do another's work: a threshold certified on what the calibration was fitted on promises what it need
not keep. What belongs together stays together: equal ids, equal questions but for case and punctuation, one group.
"""

import re
from collections.abc import Collection, Sequence

import numpy as np

from gnomon.base.errors import DataError
from gnomon.base.files import sha256_bytes
from gnomon.base.seeds import derive

PARTS = ("fit", "fuse", "certify")
SHARES = (0.25, 0.25, 0.5)
WORD = re.compile(r"\w+")


def plain(question: str) -> str:
    """Return the words of a question in lower case: what makes two questions the same one."""
    return " ".join(WORD.findall(question.casefold())) or question


def together(
    ids: Sequence[str], questions: Sequence[str | None] | None = None, groups: Sequence[str | None] | None = None
) -> list[str]:
    """Return for each question the id of the first, in the order of ids, of all that it belongs together with, by id,
    question or group, and over others.
    """
    root = list(range(len(ids)))

    def top(i: int) -> int:
        while root[i] != i:
            root[i] = i = root[root[i]]
        return i

    every: list[Sequence[str | None]] = [ids, [plain(q) if q else None for q in questions or []], groups or []]
    for names in every:
        first = dict[str, int]()
        for i, name in enumerate(names):
            if name is not None:
                a, b = sorted((top(i), top(first.setdefault(name, i))))
                root[b] = a
    named = dict[int, str]()
    for i, name in enumerate(ids):
        named[top(i)] = min(name, named.get(top(i), name))
    return [named[top(i)] for i in range(len(ids))]


def split(units: Sequence[str], shares: Sequence[float] = SHARES, seed: int = 0) -> np.ndarray:
    """Return the part of each question, int64, as a place in `shares`: a hash of its unit's name alone says which, so
    that others may come and go. `units` are those of `together`.
    """
    ends = np.cumsum(shares) / sum(shares)
    places = np.array([derive(seed, "part", unit) for unit in units], np.float64) / 2.0**63
    return np.minimum(np.searchsorted(ends, places, side="right"), len(ends) - 1)


def mark(question: str) -> str:
    """Return 16 hex digits by which a question is known again, in another file and from another run."""
    return sha256_bytes(question.encode(errors="surrogatepass"))[:16]


def refuse_overlap(fitted: Collection[str], certifying: Collection[str], where: str) -> None:
    """Raise DataError if a question, known by its mark, is among both."""
    if shared := set(fitted) & set(certifying):
        raise DataError(
            f"{len(shared):,} of {len(set(certifying)):,} questions that are to certify have also fitted the "
            "calibration; a bound from them would not hold",
            where=where,
            do="certify on questions that were not fitted on, or fit anew without a saved calibration",
        )
