"""Watches the text that a run is fed: whether each source still is what it was when the dataset was made.

Of each source, rows are gathered into windows, one row in eight, and a full window, and 4 and 16 in a row, are compared
with the source's own text: other tokens than usual (drift), and kinds of tokens that no longer come (collapse). All
rows are counted, to tell of those that come more often than epochs bring them (repetition). Limits are such that a
healthy run is told of anything with a probability of one in a thousand.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from gnomon.data.monitoring.recurrence import Recurred, Recurrence
from gnomon.data.monitoring.shift import (
    LEAST_DISTANCE,
    LEAST_UNSEEN,
    MARGIN,
    SPANS,
    Look,
    Reference,
    compare,
    divergences,
    look,
    sampled,
)

EVERY = 8
"""Of so many rows one is looked at: counting ids costs as much as gathering them."""
WINDOW_TOKENS = 1 << 18
FALSE_ALARMS = 0.001
"""The probability that a run of healthy text, however long, is told of anything."""
TESTS = 2 * len(SPANS)  # that are left to chance: drift and collapse, of each span
LEAST_REPEATED = (0.01, 0.005, 0.0025)
"""Shares of the rows of a span below which nothing is told."""
FEWEST = 8  # rows that came too often
SHOWN = 6  # tokens

Kind = Literal["drift", "collapse", "repetition"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was in a source's text. `value` is above `limit`, what chance gives.

    For drift they are distances from the text, where 1 is usual; for collapse kinds of tokens, for repetition a share
    of the rows. `rising` and `falling` are tokens with their share now and in the source's own text.
    """

    source: str
    kind: Kind
    value: float
    limit: float
    cause: str
    window: int  # of this source, from 0
    windows: int  # that were taken together, the last of them this one
    row: int  # of the stream, where the window ends
    rising: tuple[tuple[int, float, float], ...] = ()
    falling: tuple[tuple[int, float, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Window:
    """The rows of one source since its last comparison, and what is kept of windows before."""

    def __init__(self, reference: Reference) -> None:
        vocabulary = len(reference.counts)
        dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
        self.rows = np.empty((reference.rows, reference.length), dtype)
        self.filled = self.number = 0
        self.counts = [np.zeros(vocabulary, np.int64) for _ in SPANS]
        self.recurrence = Recurrence(reference.text_rows)
        self.recurred: list[Recurred] = []  # of the last SPANS[-1] windows
        self.told: dict[Kind, int] = {}  # and the level at which it was


class Monitor:
    """Finds what is wrong with the text of a stream of rows, source by source in the order of `references`.

    `show` gives the text of ids, for what is said of them. It depends on the rows alone and not on how they come in
    batches. What lasts is told once, until a window is without it.
    """

    def __init__(
        self,
        references: Mapping[str, Reference],
        show: Callable[[list[int]], str] = str,
        *,
        every: int = EVERY,
        false_alarms: float = FALSE_ALARMS,
        margin: float = MARGIN,
        least_distance: float = LEAST_DISTANCE,
    ) -> None:
        self._references, self._show, self._every = list(references.items()), show, every
        self._chance = false_alarms / (TESTS * max(1, len(references)))
        self._margin, self._least_distance = margin, least_distance
        self._windows: dict[int, _Window] = {}
        self._next_row = self._given = 0
        self._first_row: int | None = None
        self.looks: dict[str, Look] = {}  # the newest of each source

    def add(self, row_ids: np.ndarray, sources: np.ndarray, tokens: np.ndarray) -> list[Finding]:
        """Take rows of ids, [rows, length], with their numbers in the stream, which rise, and those of their sources;
        return what has been found. A row that came before, as after going back, is passed over.
        """
        new = row_ids >= self._next_row
        if not new.any():
            return []
        self._first_row = int(row_ids[new][0]) if self._first_row is None else self._first_row
        given = self._given + np.cumsum(new)
        spread = (row_ids + 1 - self._first_row) / np.maximum(given, 1)
        self._next_row, self._given = int(row_ids[-1]) + 1, int(given[-1])
        found: list[Finding] = []
        for number in np.unique(sources[new]).tolist():
            found += self._fill(number, np.flatnonzero(new & (sources == number)), row_ids, spread, tokens)
        return sorted(found, key=lambda finding: finding.row)

    def _fill(
        self, number: int, mine: np.ndarray, row_ids: np.ndarray, spread: np.ndarray, tokens: np.ndarray
    ) -> Iterator[Finding]:
        """Put rows into a source's window and yield what is found whenever it is full."""
        reference = self._references[number][1]
        window = self._windows.get(number) or self._windows.setdefault(number, _Window(reference))
        while len(mine):
            looked = np.flatnonzero(sampled(row_ids[mine], 0, self._every))[: reference.rows - window.filled]
            full = window.filled + len(looked) == reference.rows
            some, mine = np.split(mine, [int(looked[-1]) + 1 if full else len(mine)])
            whole = bool(self._first_row == 0 and spread[some[-1]] == 1)
            window.recurrence.add(tokens[some], spread[some], whole)
            window.rows[window.filled : window.filled + len(looked)] = tokens[some[looked]]
            window.filled += len(looked)
            if full:
                yield from self._judge(number, window, int(row_ids[some[-1]]))
                window.filled = 0
                window.number += 1

    def windows(self, source: int) -> int:
        """Return how many windows of a source have been compared."""
        return self._windows[source].number if source in self._windows else 0

    def _judge(self, number: int, window: _Window, row: int) -> Iterator[Finding]:
        name, reference = self._references[number]
        seen = look(window.rows, reference.counts, reference.end_of_text)
        self.looks[name] = seen
        window.recurred = [*window.recurred, window.recurrence.close()][-SPANS[-1] :]
        for counts in window.counts:
            counts += seen.counts
        found, tested = None, 0
        for level, span in enumerate(SPANS):
            if (window.number + 1) % span:
                break
            place = {"source": name, "window": window.number, "windows": span, "row": row}
            # 1/2 + 1/6 + 1/12 + … = 1, over spans without end
            so_far = window.number // span
            chance = self._chance / ((so_far + 1) * (so_far + 2))
            again = self._repetition(window.recurred[-span:], level, reference, place)
            moved = None if again else self._shift(window.counts[level], level, reference, chance, place)
            if again and (found is None or found.kind != "repetition"):
                found = again  # few rows again and again are another text than all of them: this is the cause
            found = found or moved
            window.counts[level][:] = 0
            tested = level
        window.told = {kind: level for kind, level in window.told.items() if level > tested or found}
        if found and found.kind not in window.told:
            window.told[found.kind] = SPANS.index(found.windows)
            yield found

    def _repetition(
        self, recurred: list[Recurred], level: int, reference: Reference, place: dict[str, Any]
    ) -> Finding | None:
        """Return a finding where rows came more often than the epochs so far can bring them, and than the text itself
        does: what is equal there comes as often in each epoch.
        """
        counted, excess = (sum(getattr(one, part) for one in recurred) for part in ("counted", "excess"))
        if excess < FEWEST or excess <= LEAST_REPEATED[level] * counted:
            return None
        value, limit = excess / counted, LEAST_REPEATED[level] + 2 * reference.twins
        if value <= limit:
            return None
        most = max(recurred, key=lambda one: one.times if one.excess else 0)
        cause = (
            f"{value:.2%} of {counted:,} rows of {place['source']!r} had come more often than its text does so far, "
            f"by chance at most {limit:.2%}; one came {most.times:,} times: {self._show(most.head.tolist())!r}"
        )
        return Finding(kind="repetition", value=value, limit=limit, cause=cause, **place)

    def _shift(
        self, counts: np.ndarray, level: int, reference: Reference, chance: float, place: dict[str, Any]
    ) -> Finding | None:
        """Return a finding where the tokens are not those of the source.

        Where kinds of tokens went missing, it is a collapse if they make up much of what changed and if no other rare
        tokens came for them; another text would have brought its own.
        """
        usual, seen = reference.expected(level), compare(counts, reference.counts)
        shorter = [reference.expected(one) for one in range(level)]
        distance = reference.distance(counts)
        mean = math.exp(usual.distance.mean)
        most = usual.distance.limit(chance, *(one.distance for one in shorter), margin=self._margin)
        most = max(most, self._least_distance * mean)
        least = max(usual.unseen.limit(chance, margin=self._margin) - 1, math.exp(usual.unseen.mean) + LEAST_UNSEEN)
        if distance <= most and seen.unseen <= least:
            return None
        lost, moved, gained = seen.lost - usual.lost, seen.moved - usual.moved, seen.gained - usual.gained
        collapsed = seen.unseen > least and 4 * lost >= moved and 2 * gained < lost
        if not collapsed and distance <= most:
            return None
        rising, falling = _movers(counts, reference.counts, missing=collapsed)
        name = place["source"]
        if collapsed:
            cause = (
                f"{seen.unseen:,} kinds of tokens that {name!r} has did not come, by chance at most {least:,.0f}; "
                f"{self._said('missing', falling)}; {self._said('more', rising)}"
            )
            value, limit = float(seen.unseen), least
        else:
            value, limit = distance / mean, most / mean
            cause = (
                f"the tokens of {name!r} are {value:.2f} times as far from its own text as usual, by chance at most "
                f"{limit:.2f}; {self._said('more', rising)}; {self._said('less', falling)}"
            )
        kind: Kind = "collapse" if collapsed else "drift"
        return Finding(kind=kind, value=value, limit=limit, cause=cause, rising=rising, falling=falling, **place)

    def _said(self, what: str, tokens: tuple[tuple[int, float, float], ...]) -> str:
        shares = (f"{self._show([i])!r} {now:.2%} (was {was:.2%})" for i, now, was in tokens)
        return f"{what}: {', '.join(shares)}"


Movers = tuple[tuple[int, float, float], ...]


def _movers(counts: np.ndarray, reference: np.ndarray, *, missing: bool) -> tuple[Movers, Movers]:
    """Return the tokens that add most to the divergence: those with more than their share, and those with less, or of
    these those that did not come at all.
    """
    p, q = reference / reference.sum(), counts / counts.sum()
    parts = divergences(p, q)
    sides = []
    for side in (q > p, (q < p) & (counts == 0) if missing else q < p):
        order = np.lexsort((np.arange(len(p)), -np.where(side, parts, 0.0)))[:SHOWN]
        sides.append(tuple((i, float(q[i]), float(p[i])) for i in order.tolist() if side[i]))
    return sides[0], sides[1]
