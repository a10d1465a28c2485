"""Counts how often each row of a source came, over the whole run, and tells which came more often than epochs bring it.

In each epoch a row comes once. So after e epochs none has come more than e times, whatever else changed: weights,
lengths of pieces, batches. What came more often is repeated, however far apart.
"""

import math
from dataclasses import dataclass

import numpy as np

from gnomon.data.monitoring.shift import row_keys

TRACKED = 1 << 17
"""Rows of a source that are counted, 12 bytes each; of a text with more, one in so many, chosen by what they hold."""
MARGIN = 1.1  # on epochs, where not all rows are seen: those of one process of several, or with rows left out
HEAD = 24  # tokens of a row that are kept, to be shown


@dataclass(frozen=True)
class Recurred:
    """Rows that were counted in a window, and how many of these came too often; the one that came most, and its
    `times`.
    """

    counted: int
    excess: int
    times: int
    head: np.ndarray


class Recurrence:
    """The rows of one source that came so far: as long as there are no more than `text_rows` of them, all."""

    def __init__(self, text_rows: int) -> None:
        self._text_rows, self._seen = max(1, text_rows), 0
        self._one_in = 1 << max(0, math.ceil(math.log2(self._text_rows / TRACKED)))
        self._keys, self._times = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, rows: np.ndarray, spread: np.ndarray, whole: bool) -> None:
        """Take rows, [rows, length], in the order of the stream. `spread` says for each how many rows the stream has
        for one that is given here; `whole`, that every row since the stream's first one was.
        """
        keys = row_keys(rows)
        epochs = (self._seen + 1 + np.arange(len(rows))) * spread / self._text_rows
        self._seen += len(rows)
        usual = np.ceil(epochs) if whole else np.ceil(MARGIN * epochs) + 1
        chosen = self._chosen(keys)
        self._waiting.append((keys[chosen], usual[chosen], rows[chosen, :HEAD]))

    def close(self) -> Recurred:
        """Return what recurred among the rows that were added since this was last asked, and count them."""
        parts, self._waiting = self._waiting, []
        keys, usual, heads = (np.concatenate([part[i] for part in parts]) for i in range(3))
        distinct, where = np.unique(keys, return_inverse=True)
        at = np.searchsorted(self._keys, distinct)
        known = at < len(self._keys)
        known[known] = self._keys[at[known]] == distinct[known]
        before = np.zeros(len(distinct), np.int64)
        before[known] = self._times[at[known]]
        times = before[where] + earlier(keys) + 1
        excess = times > usual
        most = int(np.where(excess, times, 0).argmax()) if len(keys) else 0
        self._count(distinct, where, at, known)
        head = heads[most] if len(keys) else np.zeros(0, np.int64)
        return Recurred(len(keys), int(excess.sum()), int(times[most]) if len(keys) else 0, head)

    def _chosen(self, keys: np.ndarray) -> np.ndarray:
        return keys >> np.uint64(32) & np.uint64(self._one_in - 1) == 0

    def _count(self, distinct: np.ndarray, where: np.ndarray, at: np.ndarray, known: np.ndarray) -> None:
        """Add the rows of a window; where they are too many, as in a stream of other rows, keep half."""
        times = np.bincount(where, minlength=len(distinct)).astype(np.int32)
        self._times[at[known]] += times[known]
        self._keys = np.insert(self._keys, at[~known], distinct[~known])
        self._times = np.insert(self._times, at[~known], times[~known])
        while len(self._keys) > 2 * TRACKED:
            self._one_in *= 2
            kept = self._chosen(self._keys)
            self._keys, self._times = self._keys[kept], self._times[kept]


def earlier(values: np.ndarray) -> np.ndarray:
    """Return how many equal ones stand before each value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(values) else np.empty(0, bool)
    begins = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    found = np.empty(len(values), np.int64)
    found[order] = np.arange(len(values)) - begins
    return found
