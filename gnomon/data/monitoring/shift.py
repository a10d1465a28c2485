"""What a window of rows looks like beside the text it comes from, and what chance alone makes of that.

Tokens come in documents, so their counts vary far more than those of single draws would. How much they do is measured
on windows drawn from the text itself, in the way that training samples it.
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

DRAWS = 48
"""Windows drawn from a source's text to learn what is usual."""
LEAST_DIVERGENCE, LEAST_UNSEEN, LEAST_REPEATED = 5e-4, 8.0, 0.01
"""Bits, kinds of tokens, and a share of the rows, below which nothing is told, however sure it is."""
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
    missing = (counts == 0) & (p * counts.sum() >= 1)
    rare = (p < 1 / np.count_nonzero(p)) & (q > p)
    gains = np.sort((q - p)[rare])[: -FEW or None]
    return Look(
        rows=len(rows),
        repeated=len(rows) - len(first),
        counts=counts,
        divergence=float(divergences(p, q).sum()),
        unseen=int(missing.sum()),
        lost=float(p[missing].sum()),
        moved=float(np.abs(p - q).sum() / 2),
        gained=float(gains.sum()),
        entropy=float(-(q * np.log2(q, out=np.zeros_like(q), where=q > 0)).sum()),
        lengths=_lengths(distinct, end_of_text),
    )


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
    """What chance makes of a figure: the mean and the spread of its logarithm over DRAWS windows."""

    mean: float
    spread: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Usual":
        """Return what these DRAWS values say."""
        logs = np.log(np.maximum(values, 1e-12))
        return cls(float(logs.mean()), float(logs.std(ddof=1)))

    def limit(self, chance: float) -> float:
        """Return what another draw exceeds with this probability, where logarithms are spread normally: the mean and
        spread are estimates, so that Student's distribution says how many spreads away that is.
        """
        return math.exp(self.mean + student(chance, DRAWS - 1) * self.spread * math.sqrt(1 + 1 / DRAWS))


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
    """What windows of a source are like by chance."""

    divergence: Usual
    unseen: Usual
    lost: float  # means
    moved: float
    gained: float
    repeated: float
    repeated_spread: float


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

    @cached_property
    def expected(self) -> Expected:
        """What windows of this text are like, learned from some that are drawn when it is first asked."""
        layouts: dict[int, Layout] = {}
        looks = [self._look(derive(0, "draw", i), layouts) for i in range(DRAWS)]
        repeated = np.array([found.repeated for found in looks], dtype=np.float64)
        return Expected(
            divergence=Usual.of([found.divergence for found in looks]),
            unseen=Usual.of([found.unseen + 1.0 for found in looks]),
            lost=float(np.mean([found.lost for found in looks])),
            moved=float(np.mean([found.moved for found in looks])),
            gained=float(np.mean([found.gained for found in looks])),
            repeated=float(repeated.mean()),
            repeated_spread=float(repeated.std(ddof=1)),
        )

    def _look(self, seed: int, layouts: dict[int, Layout]) -> Look:
        rows = np.concatenate(list(itertools.islice(self.walk(seed, self.every, layouts), self.rows)))
        return look(rows, self.counts, self.end_of_text)

    def walk(self, seed: int, every: int, layouts: dict[int, Layout] | None = None) -> Iterator[np.ndarray]:
        """Yield rows of the text without end, [1, length] each, one in `every` of those that training is given: in each
        epoch the windows of documents in another order, and the rows of each too. `layouts` keeps how they are packed.
        """
        offsets, kept = self._text.offsets().astype(np.int64), {} if layouts is None else layouts
        windows, epoch = -(-(len(offsets) - 1) // WINDOW_DOCUMENTS), 0
        while True:
            for window in permutation(windows, derive(seed, "windows", epoch)).tolist():
                first = window * WINDOW_DOCUMENTS
                if window not in kept:
                    lengths = np.diff(offsets[first : first + WINDOW_DOCUMENTS + 1])
                    kept[window] = pack(lengths, self.length, self.stride)
                layout = kept[window]
                chosen = sampled(np.arange(layout.rows), derive(seed, "sample", epoch, window), every)
                for row in permutation(layout.rows, derive(seed, "rows", epoch, window))[chosen].tolist():
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
