"""Proof, on a given model and text, that cross-entropy does not depend on how the text is batched.

The reference is each piece of a document alone: one forward pass a piece, no packing, no padding, nothing that keeps
pieces apart, float64 from the logits on. Everything else is held against it, by the code that training and `eval` use.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from gnomon.base.heartbeat import beat
from gnomon.base.progress import Progress, silent
from gnomon.data.streaming.pack import WINDOW_DOCUMENTS, Layout, pack
from gnomon.data.streaming.rows import Rows, gather, make_rows
from gnomon.data.streaming.source import Windows
from gnomon.data.streaming.stream import rows_of
from gnomon.evaluate.alone import Text, filled, losses_alone, text_of, token_losses
from gnomon.evaluate.loss import Score, joined, share_of
from gnomon.model.attention import Segments
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import IGNORE, next_token_loss
from gnomon.store.datasets import Split
from gnomon.train.parallel import World

LIMIT = 1e-5  # nats a token, over all
TOKEN_LIMIT = 1e-3  # nats, of any single token: float32 gives some 1e-5, a token of another document far more
MICRO_ROWS = (1, 3, 8)
RANKS = (2, 3)
OTHER_WAYS = (
    "packed, pieces told apart by number",
    "a piece a row, padded, 8 at once",
    "a piece a row, padded, not told apart",
)
PIECES = 16  # between two words of progress
WHOLE_ROWS = math.lcm(*MICRO_ROWS)
MOST_TOKENS = 10_000  # ten passes over so many take a 1M model some 6 s on two cores, 40 s where others use them too


@dataclass(frozen=True)
class Variant:
    """One way to batch: its loss in nats a token, and how far that is from `reference`."""

    name: str
    loss: float
    reference: float
    tokens: int
    limit: float = LIMIT
    complete: bool = True  # as many tokens as the reference has

    @property
    def difference(self) -> float:
        return self.loss - self.reference

    @property
    def holds(self) -> bool:
        """Whether it says the same. A loss that is no number does not."""
        return self.complete and abs(self.difference) <= self.limit

    def named(self, name: str) -> "Variant":
        """Return the same by another name."""
        return replace(self, name=name)


@dataclass(frozen=True)
class Parity:
    """The reference (loss, perplexity and bits per byte in float64) and what each variant says; `sources` by name.

    `tokens` and `documents` were compared, of `all_tokens` and `all_documents`; `cut` documents lie in several pieces.
    """

    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: int
    all_tokens: int
    documents: int
    all_documents: int
    pieces: int
    cut: int
    variants: tuple[Variant, ...]
    sources: dict[str, Variant]

    @property
    def broken(self) -> list[Variant]:
        """The variants that do not say what the reference says."""
        return [v for v in (*self.variants, *self.sources.values()) if not v.holds]

    def as_dict(self) -> dict[str, Any]:
        """Return it as scripts read it."""

        def row(variant: Variant) -> dict[str, Any]:
            return {**asdict(variant), "difference": variant.difference, "holds": variant.holds}

        return {
            **asdict(self),
            "holds": not self.broken,
            "variants": [row(v) for v in self.variants],
            "sources": {name: row(v) for name, v in self.sources.items()},
        }


@dataclass(frozen=True)
class _Taken:
    """What is compared of a split: pieces in the order of packed rows; `rows` of its first window, or all (None)."""

    document: np.ndarray
    texts: list[Text]
    rows: np.ndarray | None

    @property
    def tokens(self) -> int:
        return sum(len(ids) for ids, _ in self.texts)


@dataclass(frozen=True)
class _Reference(_Taken):
    """The same, with the losses of the tokens of each piece alone."""

    losses: list[np.ndarray]

    @property
    def flat(self) -> np.ndarray:
        return np.concatenate(self.losses)

    @property
    def loss(self) -> float:
        return float(self.flat.mean())


def parity(
    model: LanguageModel,
    split: Split,
    *,
    sources: Mapping[str, Split] | None = None,
    most_tokens: int | None = MOST_TOKENS,
    progress: Progress = silent,
) -> Parity:
    """Return how each way to batch a split compares with each piece of a document alone, under a model in evaluation
    mode and float32; `sources`, where there are several, one by one.

    Of a longer split, rows that hold about `most_tokens` (None: all) are taken, 24 or more; half of them of several
    pieces, where there are such: those that come first mostly hold a piece of a long document alone, and prove little.
    Progress is told in tokens, over all the passes.
    """
    several = sources if sources and len(sources) > 1 else {}
    each = None if most_tokens is None else max(1, most_tokens // max(1, len(several)))
    taken = _taken(model, split, most_tokens)
    parts = {name: _taken(model, part, each) for name, part in several.items()}
    passes = 1 + len(MICRO_ROWS) + len(RANKS) + len(OTHER_WAYS) + 1
    told = _Told(progress, passes * taken.tokens + 2 * sum(part.tokens for part in parts.values()))
    reference = _alone(model, taken, told)
    tokens, ways = len(reference.flat), _ways(model, split, reference, told)
    scores = [way() for way in ways.values()]
    packed = _token_by_token(model, split, reference, told)
    plain = Score(reference.loss, tokens, tokens * split.bytes / split.n_tokens)
    bits = reference.loss / math.log(2) * split.n_tokens / split.bytes
    return Parity(
        loss=reference.loss,
        perplexity=plain.perplexity,
        bits_per_byte=bits,
        tokens=tokens,
        all_tokens=split.n_tokens,
        documents=len(np.unique(reference.document)),
        all_documents=split.documents,
        pieces=len(reference.texts),
        cut=int((np.unique(reference.document, return_counts=True)[1] > 1).sum()),
        variants=(
            *(
                Variant(name, found.loss, reference.loss, found.tokens, complete=found.tokens == tokens)
                for name, found in zip(ways, scores, strict=True)
            ),
            *_by_token(packed, reference),
            Variant("log of the perplexity", math.log(scores[0].perplexity), reference.loss, tokens),
            Variant("bits per byte", scores[0].bits_per_byte, bits, tokens),
        ),
        sources={name: _one_source(model, several[name], part, told) for name, part in parts.items()},
    )


class _Told:
    """Tells how many tokens the passes have read so far, of how many."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, tokens: int) -> None:
        """Tell that so many more have been read."""
        self._done += tokens
        self._progress("comparing", self._done, self._total, "tokens")

    def each(self, rows: Iterator[Rows], rank: int = 0, ranks: int = 1) -> Iterator[Rows]:
        """Yield the rows, and tell of those whose turn it is when the next are asked for."""
        for turn, micro in enumerate(rows):
            yield micro
            if turn % ranks == rank:
                self.add(micro.loss_tokens)


def _taken(model: LanguageModel, split: Split, most_tokens: int | None) -> _Taken:
    """Return the pieces that packing makes: of all the split, or of some rows of its first window."""
    lengths, context = np.diff(split.offsets.astype(np.int64)), model.shape.context
    firsts, most_rows = range(0, split.documents, WINDOW_DOCUMENTS), None
    if most_tokens is not None and split.n_tokens > most_tokens:
        firsts, most_rows = firsts[:1], max(1, most_tokens // (context * WHOLE_ROWS)) * WHOLE_ROWS
    layouts = [(first, pack(lengths[first : first + WINDOW_DOCUMENTS], context)) for first in firsts]
    rows = None if most_rows is None else _some_rows(layouts[0][1], most_rows)
    places = list(_pieces(layouts, rows))
    texts = [
        (ids[start:stop], labels[start:stop])
        for ids, labels, start, stop in ((*text_of(split, document), start, stop) for document, start, stop in places)
    ]
    return _Taken(np.array([document for document, _, _ in places]), texts, rows)


def _some_rows(layout: Layout, count: int) -> np.ndarray:
    """Return the numbers of `count` rows from all over a window, in order; half of several pieces, if it can be."""
    pieces = np.diff(layout.first)
    mixed, plain = np.flatnonzero(pieces > 1), np.flatnonzero(pieces == 1)
    count = min(count, layout.rows)
    half = max(min(count // 2, len(mixed)), count - len(plain))
    taken = [each[np.arange(n) * len(each) // max(1, n)] for each, n in ((mixed, half), (plain, count - half))]
    return np.sort(np.concatenate(taken))


def _pieces(layouts: list[tuple[int, Layout]], rows: np.ndarray | None) -> Iterator[tuple[int, int, int]]:
    """Yield document, start and stop of each piece of these rows of the first window; None: of all rows of all."""
    for first, layout in layouts:
        wanted = np.arange(layout.rows) if rows is None else rows
        which = np.concatenate([np.arange(layout.first[row], layout.first[row + 1]) for row in wanted.tolist()])
        documents = (first + layout.document[which]).tolist()
        yield from zip(documents, layout.start[which].tolist(), layout.stop[which].tolist(), strict=True)


def _alone(model: LanguageModel, taken: _Taken, told: _Told) -> _Reference:
    losses: list[np.ndarray] = []
    for i in range(0, len(taken.texts), PIECES):
        losses += (found := losses_alone(model, taken.texts[i : i + PIECES]))
        told.add(sum(map(len, found)))
    return _Reference(taken.document, taken.texts, taken.rows, losses)


def _ways(model: LanguageModel, split: Split, reference: _Reference, told: _Told) -> dict[str, Callable[[], Score]]:
    """Return each variant that is one loss, by name, to be computed when it is called."""
    density = split.bytes / split.n_tokens

    def packed(rows: int, ranks: int) -> Score:
        return joined(_shares(model, split, reference.rows, rows, ranks, told), density)

    def numbered() -> Score:
        micros = told.each(_rows(split, model, reference.rows, MICRO_ROWS[1]))
        return joined([[_sum(model, micro, numbers=True) for micro in micros]], density)

    def padded() -> Score:
        return joined([share_of(model, told.each(_padded(reference, 8)))], density)

    def plain() -> Score:
        return joined([[_sum(model, micro, numbers=False) for micro in told.each(_padded(reference, 3))]], density)

    return {
        **{f"packed, {n} row{'s' * (n > 1)} at once": partial(packed, n, 1) for n in MICRO_ROWS},
        **{f"packed, dealt to {n} processes": partial(packed, 1, n) for n in RANKS},
        **dict(zip(OTHER_WAYS, (numbered, padded, plain), strict=True)),
    }


def _rows(split: Split, model: LanguageModel, rows: np.ndarray | None, at_once: int) -> Iterator[Rows]:
    """Yield these packed rows of the split's first window, or all of all windows, so many at once."""
    length = model.shape.context
    if rows is None:
        yield from rows_of(split, length, at_once, None)
        return
    pieces = Windows(split, length).pieces(0)
    for at in range(0, len(rows), at_once):
        yield gather([split], pieces.rows(rows[at : at + at_once]), length)


def _shares(
    model: LanguageModel, split: Split, rows: np.ndarray | None, at_once: int, ranks: int, told: _Told
) -> list[list[tuple[float, int]]]:
    """Return what each of several processes would find, one after the other."""
    return [
        share_of(model, told.each(_rows(split, model, rows, at_once), rank, ranks), world=World(rank, ranks))
        for rank in range(ranks)
    ]


def _padded(reference: _Reference, at_once: int) -> Iterator[Rows]:
    """Yield pieces in rows of their own, padded on the right to the longest of a pass."""
    for i in range(0, len(reference.texts), at_once):
        ids, labels = zip(*reference.texts[i : i + at_once], strict=True)
        yield make_rows(filled(ids, 0), filled(labels, IGNORE), [[len(part)] for part in ids])


@torch.no_grad()
def _sum(model: LanguageModel, rows: Rows, *, numbers: bool) -> tuple[float, int]:
    """Return summed loss and tokens of rows whose pieces are told apart by their numbers, or not at all."""
    hidden = model(rows.tokens, rows.positions if numbers else None, rows.segments if numbers else None).hidden
    cross, _ = next_token_loss(hidden, model.head.detach(), rows.labels)
    beat()
    return cross.item(), rows.loss_tokens


@torch.no_grad()
def _token_by_token(model: LanguageModel, split: Split, reference: _Reference, told: _Told) -> np.ndarray:
    """Return the losses of the packed rows' tokens in the order of the reference, float64."""
    found = []
    for rows in told.each(_rows(split, model, reference.rows, MICRO_ROWS[1])):
        hidden = model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse)).hidden
        found.append(token_losses(model, hidden, rows.labels)[(rows.labels != IGNORE).numpy()])
        beat()
    return np.concatenate(found)


def _by_token(packed: np.ndarray, reference: _Reference) -> Iterator[Variant]:
    """Yield what the packed rows say token by token: in all, of the worst token, and of documents that were cut."""
    alone, tokens = reference.flat, len(packed)
    complete = tokens == len(alone)
    yield Variant("packed, summed in float64", float(packed.mean()), reference.loss, tokens, complete=complete)
    if not complete:
        return
    worst = int(np.abs(packed - alone).argmax())
    yield Variant("packed, the worst token", float(packed[worst]), float(alone[worst]), 1, TOKEN_LIMIT)
    numbers, counts = np.unique(reference.document, return_counts=True)
    several = np.isin(reference.document, numbers[counts > 1])
    if several.any():
        of_cut = np.repeat(several, [len(losses) for losses in reference.losses])
        name = "packed, documents in several pieces"
        yield Variant(name, float(packed[of_cut].mean()), float(alone[of_cut].mean()), int(of_cut.sum()))


def _one_source(model: LanguageModel, split: Split, taken: _Taken, told: _Told) -> Variant:
    """Return a source's loss, packed, against each of its pieces alone."""
    reference = _alone(model, taken, told)
    found = joined(_shares(model, split, reference.rows, MICRO_ROWS[-1], 1, told), 1.0)
    tokens = len(reference.flat)
    return Variant("packed", found.loss, reference.loss, found.tokens, complete=found.tokens == tokens)
