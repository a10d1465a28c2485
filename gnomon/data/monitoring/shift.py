"""What a window of rows looks like beside the text it comes from, and what chance alone makes of that.

Tokens come in documents, so their counts vary far more than those of single draws would. How much they do is measured
on windows drawn from the text itself, in the way that training samples it. Some say how much each token varies, others
how far windows, and runs of several, then are from the text: what is learned from one is not tested on it.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np

from gnomon.base.seeds import derive, permutation, scatter
from gnomon.data.streaming.pack import WINDOW_DOCUMENTS, Layout, pack, rows_needed
from gnomon.store.datasets import Dataset, Split

WEIGHED = 24
"""Windows drawn from a source's text to learn how much each token varies."""
PRIOR = 8  # windows as which tokens that are drawn one by one count for that
SPANS = (1, 4, 16)
"""Windows that are taken together: what changed by a quarter as much shows in 16 of them."""
RUNS = (48, 24, 12)
"""Runs of so many windows that are drawn to learn how far they are from the text by chance."""
TWIN_ROWS = 1 << 13  # drawn to learn how many rows are equal in the text itself
COLUMNS = 32  # tokens by which a row is known again
MARGIN = 1.25
"""Times as many spreads away as chance has it where text is as mixed as that of tests: on that, limits without it are
passed as often as asked for (tests/unit/data/test_monitor.py). Of real text, 3 of 2,300 windows alone were 3.5 to 3.7
spreads away, where a normal distribution has 0.3.
"""
LEAST_DISTANCE, LEAST_UNSEEN = 1.06, 8.0
"""Times the usual distance, and kinds of tokens, below which nothing is told, however sure it is."""
FEW = 3  # tokens that a broken filter may put in the place of many


@dataclass(frozen=True)
class Look:
    """What a window of rows looks like. Rows that came before in it are counted in `repeated` and nowhere else."""

    rows: int
    repeated: int
    counts: np.ndarray  # int64 [vocabulary]
    divergence: float  # Jensen-Shannon, bits
    unseen: int  # kinds of tokens that did not come and of which at least one was to be expected
    lost: float  # the share that these have in the reference
    moved: float  # the share of the tokens that would have to be others: total variation
    gained: float  # what the reference's rare tokens have more than there, the FEW that gained most left out
    entropy: float  # bits a token
    lengths: tuple[int, int, int]  # of pieces of documents, tokens: 10 %, 50 %, 90 %


def look(rows: np.ndarray, reference: np.ndarray, end_of_text: int) -> Look:
    """Return what rows of ids, [rows, length], look like beside a histogram."""
    first = np.sort(np.unique(fingerprints(rows), return_index=True)[1])
    distinct = rows[first]
    counts = np.bincount(distinct.reshape(-1), minlength=len(reference))
    counts[end_of_text] -= _padding(distinct, end_of_text)
    p, q = reference / reference.sum(), counts / counts.sum()
    changed = compare(counts, reference)
    return Look(
        rows=len(rows),
        repeated=len(rows) - len(first),
        counts=counts,
        divergence=float(divergences(p, q).sum()),
        unseen=changed.unseen,
        lost=changed.lost,
        moved=changed.moved,
        gained=changed.gained,
        entropy=float(-(q * np.log2(q, out=np.zeros_like(q), where=q > 0)).sum()),
        lengths=_lengths(distinct, end_of_text),
    )


@dataclass(frozen=True)
class Change:
    """How counts of tokens differ from a histogram; the fields are those of a Look."""

    unseen: int
    lost: float
    moved: float
    gained: float


def compare(counts: np.ndarray, reference: np.ndarray) -> Change:
    """Return how counts of tokens differ from a histogram."""
    p, q = reference / reference.sum(), counts / counts.sum()
    missing = (counts == 0) & (p * counts.sum() >= 1)
    rare = (p < 1 / np.count_nonzero(p)) & (q > p)
    gains = np.sort((q - p)[rare])[: -FEW or None]
    return Change(int(missing.sum()), float(p[missing].sum()), float(np.abs(p - q).sum() / 2), float(gains.sum()))


def divergences(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return what each token adds to the Jensen-Shannon divergence of two distributions, bits; none is negative."""
    middle = (p + q) / 2
    safe = np.where(middle > 0, middle, 1.0)
    parts = [x * np.log2(x / safe, out=np.zeros_like(x), where=x > 0) for x in (p, q)]
    return np.maximum((parts[0] + parts[1]) / 2, 0.0)


def fingerprints(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row, uint64; equal rows have equal ones, and others hardly ever do."""
    factors = scatter(np.arange(rows.shape[1], dtype=np.uint64), 1) | np.uint64(1)
    return scatter(rows.astype(np.uint64) @ factors, 2)


def row_keys(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row by which it is known again, uint64: of COLUMNS of its tokens, spread evenly."""
    return fingerprints(rows[:, np.linspace(0, rows.shape[1] - 1, min(COLUMNS, rows.shape[1])).astype(np.int64)])


def _padding(rows: np.ndarray, end_of_text: int) -> int:
    """Return how many end-of-text ids at the ends of rows are no text: all of a run but its first."""
    ends = rows[(rows[:, -2:] == end_of_text).all(axis=1)]
    return int((np.logical_and.accumulate(ends[:, ::-1] == end_of_text, axis=1).sum(axis=1) - 1).sum())


def _lengths(rows: np.ndarray, end_of_text: int) -> tuple[int, int, int]:
    begins = rows == end_of_text
    begins[:, 0] = True
    at = np.append(np.flatnonzero(begins), rows.size)
    low, middle, high = np.quantile(np.diff(at), (0.1, 0.5, 0.9), method="lower").tolist()
    return low, middle, high


@dataclass(frozen=True)
class Usual:
    """What chance makes of a figure: the mean and the spread of its logarithm over so many draws."""

    mean: float
    spread: float
    draws: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Usual":
        """Return what these values, one of each draw, say."""
        logs = np.log(np.maximum(values, 1e-12))
        return cls(float(logs.mean()), float(logs.std(ddof=1)), len(logs))

    def limit(self, chance: float, *shorter: "Usual", margin: float = 1.0) -> float:
        """Return what another draw exceeds with this probability, where logarithms are spread normally: the mean and
        spread are estimates, so that Student's distribution says how many spreads away that is, `margin` times.

        `shorter` runs, of which there are more, vary by as much or more: the farthest limit holds.
        """
        away = max(student(chance, one.draws - 1) * one.spread for one in (self, *shorter))
        return math.exp(self.mean + margin * away * math.sqrt(1 + 1 / self.draws))


def student(chance: float, freedom: int) -> float:
    """Return what Student's t exceeds with this probability, by its expansion around the normal distribution
    (Abramowitz and Stegun 26.7.5): to 1 % at 47 degrees of freedom and 1e-9.
    """
    z = -NormalDist().inv_cdf(chance)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


@dataclass(frozen=True)
class Expected:
    """What runs of windows of a source are like by chance."""

    distance: Usual
    unseen: Usual
    lost: float  # means
    moved: float
    gained: float


@dataclass(frozen=True)
class Text:
    """A source's text: `offsets` gives where each document begins and where the last one ends, `tokens` the ids of one,
    which begin with end-of-text.
    """

    n_tokens: int
    end_of_text: int
    offsets: Callable[[], np.ndarray]
    tokens: Callable[[int], np.ndarray]


class Reference:
    """The text that windows of a source are compared with: its histogram, and the text itself, to draw windows from.

    A window has `rows` rows of `length` tokens, of which one in `every` of the stream's is sampled.
    """

    def __init__(
        self, counts: np.ndarray, text: Text, *, length: int, rows: int, every: int, stride: int | None = None
    ) -> None:
        self.counts, self.length, self.rows, self.every, self.stride = counts, length, rows, every, stride
        self.end_of_text, self.text_rows = text.end_of_text, rows_needed(text.n_tokens, length)
        self._text = text
        self._expected: dict[int, Expected] = {}

    def expected(self, level: int) -> Expected:
        """Return what SPANS[level] windows of this text are like together, learned from some when it is first asked."""
        if level not in self._expected:
            layouts: dict[int, Layout] = {}
            drawn = [self._run(derive(0, "draw", level, i), SPANS[level], layouts) for i in range(RUNS[level])]
            changes = [compare(counts, self.counts) for counts in drawn]
            self._expected[level] = Expected(
                distance=Usual.of([self.distance(counts) for counts in drawn]),
                unseen=Usual.of([change.unseen + 1.0 for change in changes]),
                lost=float(np.mean([change.lost for change in changes])),
                moved=float(np.mean([change.moved for change in changes])),
                gained=float(np.mean([change.gained for change in changes])),
            )
        return self._expected[level]

    def distance(self, counts: np.ndarray) -> float:
        """Return how far counts are from the text: by how many of its own spreads each token's share is off, summed.

        Shakespeare in novels, at 5 %, is so 2 to 3 times further out than by Jensen-Shannon divergence, to which names,
        which come many times in few documents, add most of the noise.
        """
        return float((np.abs(counts / counts.sum() - self.counts / self.counts.sum()) * self._weights).sum())

    @cached_property
    def _weights(self) -> np.ndarray:
        """For each token, 1 over the spread of its share of a window, and no less than that of single draws."""
        total, layouts = int(self.counts.sum()), dict[int, Layout]()
        shares = self.counts / total
        single = np.maximum(shares, 1 / total) / (self.rows * self.length)
        squares = PRIOR * single
        for i in range(WEIGHED):
            counts = self._run(derive(0, "weigh", i), 1, layouts)
            squares += (counts / counts.sum() - shares) ** 2
        return 1 / np.sqrt(np.maximum(squares / (WEIGHED + PRIOR), single))

    def _run(self, seed: int, windows: int, layouts: dict[int, Layout]) -> np.ndarray:
        """Return the counts of some windows in a row, drawn anew."""
        rows, counts = self.walk(seed, self.every, layouts, amid=True), np.zeros(len(self.counts), np.int64)
        for _ in range(windows):
            window = np.concatenate(list(itertools.islice(rows, self.rows)))
            counts += look(window, self.counts, self.end_of_text).counts
        return counts

    @cached_property
    def twins(self) -> float:
        """Return the share of rows that have one with the same key before them when the text is read once: as drawn, or
        with two spreads more where only a part is.
        """
        every = -(-self.text_rows // TWIN_ROWS)
        count = self.text_rows if every == 1 else self.text_rows * 9 // (10 * every)  # no more than an epoch has
        drawn = np.concatenate(list(itertools.islice(self.walk(0, every), max(1, count))))
        again = len(drawn) - len(np.unique(row_keys(drawn)))
        share = (again + (2 * math.sqrt(again) if every > 1 else 0)) / len(drawn)
        return min(1.0, share * self.text_rows / len(drawn))

    def walk(
        self, seed: int, every: int, layouts: dict[int, Layout] | None = None, *, amid: bool = False
    ) -> Iterator[np.ndarray]:
        """Yield rows of the text without end, [1, length] each, one in `every` of those that training is given: in each
        epoch the windows of documents in another order, and the rows of each too. `layouts` keeps how they are packed.
        `amid`, it begins anywhere in an epoch: how far a run is from the text depends on where in it the run lies: a
        whole epoch has nearly the text's own counts.
        """
        offsets, kept = self._text.offsets().astype(np.int64), {} if layouts is None else layouts
        windows, epoch = -(-(len(offsets) - 1) // WINDOW_DOCUMENTS), 0
        while True:
            order = permutation(windows, derive(seed, "windows", epoch))
            if amid and epoch == 0:
                order = order[derive(seed, "amid") % windows :]
            for window in order.tolist():
                first = window * WINDOW_DOCUMENTS
                if window not in kept:
                    lengths = np.diff(offsets[first : first + WINDOW_DOCUMENTS + 1])
                    kept[window] = pack(lengths, self.length, self.stride)
                layout = kept[window]
                chosen = sampled(np.arange(layout.rows), derive(seed, "sample", epoch, window), every)
                rows = permutation(layout.rows, derive(seed, "rows", epoch, window))[chosen]
                begin = derive(seed, "amid, row") % max(1, len(rows)) if amid else 0
                amid = False
                for row in rows[begin:].tolist():
                    yield self._row(layout, first, row)
                if layouts is None:
                    kept.clear()
            epoch += 1

    def _row(self, layout: Layout, first: int, row: int) -> np.ndarray:
        found, at = np.full((1, self.length), self.end_of_text), 0
        for piece in range(layout.first[row], layout.first[row + 1]):
            ids = self._text.tokens(first + int(layout.document[piece]))[layout.start[piece] : layout.stop[piece]]
            found[0, at : at + len(ids)] = ids
            at += len(ids)
        return found


def sampled(rows: np.ndarray, seed: int, every: int) -> np.ndarray:
    """Return which rows are looked at, one in `every` by their numbers alone: bool [rows]."""
    return scatter(rows.astype(np.uint64), seed) % np.uint64(every) == 0


def references_of(
    dataset: Dataset, length: int, tokens: int, every: int, stride: int | None = None
) -> dict[str, Reference]:
    """Return what windows of about `tokens` tokens, in rows of `length`, are compared with, for each source of a
    dataset's training split by its name; long documents are cut with `stride`. The text is read
    when a window is first compared.
    """
    sources, counts = dataset.sources("train"), dataset.unigrams()
    rows = -(-tokens // length)
    return {
        name: Reference(counts[name], _text_of(split), length=length, rows=rows, every=every, stride=stride)
        for name, split in sources.items()
    }


def _text_of(split: Split) -> Text:
    return Text(split.n_tokens, split.end_of_text, lambda: split.offsets, split.tokens)
