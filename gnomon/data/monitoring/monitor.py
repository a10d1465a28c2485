"""Watches the text that a run is fed: whether each source still is what it was when the dataset was made.

One row in eight is looked at. Of each source they are gathered into windows, and a full window is compared with the
source's own text: other tokens than usual (drift), kinds of tokens that no longer come (collapse), and rows that come
again and again (repetition). Limits are such that a healthy run is told of anything with a probability of 1 %.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from gnomon.data.monitoring.shift import (
    DRAWS,
    LEAST_DIVERGENCE,
    LEAST_REPEATED,
    LEAST_UNSEEN,
    Look,
    Reference,
    divergences,
    fingerprints,
    look,
    sampled,
    student,
)

EVERY = 8
"""Of so many rows one is looked at: counting ids costs as much as gathering them."""
WINDOW_TOKENS = 1 << 18
FALSE_ALARMS = 0.01
"""The probability that a run of healthy text, however long, is told of anything."""
TESTS = 3  # of a window: drift, collapse, repetition
MEMORY_ROWS = 1 << 14
"""Rows of a source that are remembered, if so many are less than those of an epoch."""
EPOCH_MARGIN = 1.1  # on how many epochs some sampled rows reach over: which are sampled is up to chance
SHOWN = 6  # tokens
SHOWN_ROW = 24  # tokens of a repeated row

Kind = Literal["drift", "collapse", "repetition"]


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was in a source's text. `value` is above `limit`, what chance gives.

    They are bits of divergence for drift, kinds of tokens for collapse, and a share of the rows for repetition.
    `rising` and `falling` are tokens with their share now and in the source's own text.
    """

    source: str
    kind: Kind
    value: float
    limit: float
    cause: str
    window: int  # of this source, from 0
    row: int  # of the stream, where the window ends
    rising: tuple[tuple[int, float, float], ...] = ()
    falling: tuple[tuple[int, float, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class _Window:
    """The rows of one source since its last comparison."""

    def __init__(self, reference: Reference) -> None:
        vocabulary = len(reference.counts)
        dtype = np.uint16 if vocabulary <= 1 << 16 else np.uint32
        self.rows = np.empty((reference.rows, reference.length), dtype)
        self.filled = self.number = 0
        self.memory = max(1, min(MEMORY_ROWS, reference.text_rows // (10 * reference.every) - reference.rows))
        self.remembered = np.empty(0, np.uint64)  # fingerprints of so many rows before these
        self.told: Kind | None = None


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
    ) -> None:
        self._references, self._show, self._every = list(references.items()), show, every
        self._chance = false_alarms / (TESTS * max(1, len(references)))
        self._windows: dict[int, _Window] = {}
        self._next_row = 0
        self.looks: dict[str, Look] = {}  # the newest of each source

    def add(self, row_ids: np.ndarray, sources: np.ndarray, tokens: np.ndarray) -> list[Finding]:
        """Take rows of ids, [rows, length], with their numbers in the stream, which rise, and those of their sources;
        return what has been found. A row that came before, as after going back, is passed over.
        """
        new = row_ids >= self._next_row
        if not new.any():
            return []
        self._next_row = int(row_ids[-1]) + 1
        chosen = np.flatnonzero(new & sampled(row_ids, 0, self._every))
        found: list[Finding] = []
        for number in np.unique(sources[chosen]).tolist():
            found += self._fill(number, chosen[sources[chosen] == number], row_ids, tokens)
        return sorted(found, key=lambda finding: finding.row)

    def _fill(self, number: int, mine: np.ndarray, row_ids: np.ndarray, tokens: np.ndarray) -> Iterator[Finding]:
        """Put rows into a source's window and yield what is found whenever it is full."""
        reference = self._references[number][1]
        window = self._windows.get(number) or self._windows.setdefault(number, _Window(reference))
        while len(mine):
            some, mine = np.split(mine, [reference.rows - window.filled])
            window.rows[window.filled : window.filled + len(some)] = tokens[some]
            window.filled += len(some)
            if window.filled == reference.rows:
                yield from self._judge(number, window, int(row_ids[some[-1]]))
                window.filled = 0
                window.number += 1

    def windows(self, source: int) -> int:
        """Return how many windows of a source have been compared."""
        return self._windows[source].number if source in self._windows else 0

    def _judge(self, number: int, window: _Window, row: int) -> list[Finding]:
        name, reference = self._references[number]
        seen = look(window.rows, reference.counts, reference.end_of_text)
        self.looks[name] = seen
        # 1/2 + 1/6 + 1/12 + … = 1, over windows without end
        chance = self._chance / ((window.number + 1) * (window.number + 2))
        place = {"source": name, "window": window.number, "row": row}
        before = window.remembered
        prints = np.concatenate([before, fingerprints(window.rows)])
        window.remembered = prints[-window.memory :]
        finding = self._repetition(window, prints, reference, chance, place)
        if finding is None:
            finding = self._shift(seen, reference, chance, place)
            if finding:  # few texts again and again are another text than all of them
                own = prints[len(before) :]
                finding = self._repetition(window, own, reference, chance, place, pairs=True) or finding
        last, window.told = window.told, finding.kind if finding else None
        return [finding] if finding and finding.kind != last else []

    def _repetition(
        self,
        window: _Window,
        prints: np.ndarray,
        reference: Reference,
        chance: float,
        place: dict[str, Any],
        *,
        pairs: bool = False,
    ) -> Finding | None:
        """Return a finding where rows came more often than the epochs among those that are remembered can bring them;
        with `pairs`, where more came twice than rows that are drawn from the whole source do.

        What is equal in the text itself may do so: as often as it was met in windows of it, by the pairs there are.
        """
        rows, usual, away = len(window.rows), reference.expected, student(chance, DRAWS - 1)
        times = 1 if pairs else 1 + math.ceil(self._every * EPOCH_MARGIN * len(prints) / reference.text_rows)
        often = _earlier(prints)[-rows:] >= times
        value = np.count_nonzero(often) / rows
        by_chance = (usual.repeated + away * usual.repeated_spread) * (2 * len(prints) / rows - 1)
        if pairs:
            met = rows**2 / (2 * reference.text_rows)
            by_chance += met + away * math.sqrt(met)
        limit = max(by_chance / rows, LEAST_REPEATED)
        if value <= limit:
            return None
        distinct, counts = np.unique(prints, return_counts=True)
        each = counts[np.searchsorted(distinct, prints[-rows:])]  # how often each row of the window came
        most = int(each.argmax())
        begin = self._show(window.rows[most, :SHOWN_ROW].tolist())
        before = "before" if times == 1 else f"{times:,} times or more"
        cause = (
            f"{value:.1%} of {rows:,} rows of {place['source']!r} had come {before} among the last {len(prints):,}, "
            f"by chance at most {limit:.1%}; one came {int(each[most]):,} times: {begin!r}"
        )
        return Finding(kind="repetition", value=value, limit=limit, cause=cause, **place)

    def _shift(self, seen: Look, reference: Reference, chance: float, place: dict[str, Any]) -> Finding | None:
        """Return a finding where the tokens are not those of the source.

        Where kinds of tokens went missing, it is a collapse if they make up much of what changed and if no other rare
        tokens came for them; another text would have brought its own.
        """
        usual = reference.expected
        most = max(usual.divergence.limit(chance), LEAST_DIVERGENCE)
        least = max(usual.unseen.limit(chance) - 1, math.exp(usual.unseen.mean) + LEAST_UNSEEN)
        if seen.divergence <= most and seen.unseen <= least:
            return None
        lost, moved, gained = seen.lost - usual.lost, seen.moved - usual.moved, seen.gained - usual.gained
        collapsed = seen.unseen > least and 4 * lost >= moved and 2 * gained < lost
        if not collapsed and seen.divergence <= most:
            return None
        rising, falling = _movers(seen.counts, reference.counts, missing=collapsed)
        name = place["source"]
        if collapsed:
            cause = (
                f"{seen.unseen:,} kinds of tokens that {name!r} has did not come, by chance at most {least:,.0f}; "
                f"{self._said('missing', falling)}; {self._said('more', rising)}"
            )
            value, limit = float(seen.unseen), least
        else:
            cause = (
                f"the tokens of {name!r} differ by {seen.divergence:.4f} bits from its own text, by chance at most "
                f"{most:.4f}; {self._said('more', rising)}; {self._said('less', falling)}"
            )
            value, limit = seen.divergence, most
        kind: Kind = "collapse" if collapsed else "drift"
        return Finding(kind=kind, value=value, limit=limit, cause=cause, rising=rising, falling=falling, **place)

    def _said(self, what: str, tokens: tuple[tuple[int, float, float], ...]) -> str:
        shares = (f"{self._show([i])!r} {now:.2%} (was {was:.2%})" for i, now, was in tokens)
        return f"{what}: {', '.join(shares)}"


Movers = tuple[tuple[int, float, float], ...]


def _earlier(values: np.ndarray) -> np.ndarray:
    """Return how many equal ones stand before each value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(values) else np.empty(0, bool)
    begins = np.maximum.accumulate(np.where(first, np.arange(len(values)), 0))
    earlier = np.empty(len(values), np.int64)
    earlier[order] = np.arange(len(values)) - begins
    return earlier


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
