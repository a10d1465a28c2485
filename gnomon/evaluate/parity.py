"""Proof, on a given model and text, that cross-entropy does not depend on how the text is batched.

The reference is each piece of a document alone: one forward pass a piece, no packing, no padding, nothing that keeps
pieces apart, float64 from the logits on. Everything else is held against it, by the code that training and `eval` use.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch

from gnomon.base.heartbeat import beat
from gnomon.base.progress import Progress, silent
from gnomon.data.streaming.pack import WINDOW_DOCUMENTS, Layout, pack
from gnomon.data.streaming.rows import Rows, make_rows
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
WHOLE_ROWS = math.lcm(*MICRO_ROWS)
MOST_TOKENS = 100_000  # ten passes over so many take a 1M model a minute or two on two cores


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

    `cut` documents lie in several pieces.
    """

    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: int
    documents: int
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
class _Reference:
    """Pieces in the order of the packed rows, with the losses of their tokens, and the rows they make."""

    document: np.ndarray
    texts: list[Text]
    losses: list[np.ndarray]
    rows: int

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

    Of a longer split, the first rows that hold about `most_tokens` (None: all) are taken.
    """
    reference = _reference(model, split, most_tokens, partial(progress, "each piece alone"))
    tokens, ways = len(reference.flat), _ways(model, split, reference)
    told: list[Score] = []
    for done, way in enumerate(ways.values()):
        progress("other ways", done, len(ways), "ways")
        told.append(way())
    packed = _token_by_token(model, split, reference)
    plain = Score(reference.loss, tokens, tokens * split.bytes / split.n_tokens)
    bits = reference.loss / math.log(2) * split.n_tokens / split.bytes
    several = sources if sources and len(sources) > 1 else {}
    each = None if most_tokens is None else max(1, most_tokens // max(1, len(several)))
    return Parity(
        loss=reference.loss,
        perplexity=plain.perplexity,
        bits_per_byte=bits,
        tokens=tokens,
        documents=len(np.unique(reference.document)),
        pieces=len(reference.texts),
        cut=int((np.unique(reference.document, return_counts=True)[1] > 1).sum()),
        variants=(
            *(
                Variant(name, found.loss, reference.loss, found.tokens, complete=found.tokens == tokens)
                for name, found in zip(ways, told, strict=True)
            ),
            *_by_token(packed, reference),
            Variant("log of the perplexity", math.log(told[0].perplexity), reference.loss, tokens),
            Variant("bits per byte", told[0].bits_per_byte, bits, tokens),
        ),
        sources={name: _one_source(model, part, each) for name, part in several.items()},
    )


def _reference(model: LanguageModel, split: Split, most_tokens: int | None, told: Callable[..., None]) -> _Reference:
    """Return the pieces that packing makes, each alone: of all the split, or of the first rows of its first window."""
    lengths, context = np.diff(split.offsets.astype(np.int64)), model.shape.context
    firsts = range(0, split.documents, WINDOW_DOCUMENTS)
    rows = None
    if most_tokens is not None and split.n_tokens > most_tokens:
        firsts = firsts[:1]
        rows = max(1, most_tokens // (context * WHOLE_ROWS)) * WHOLE_ROWS
    layouts = [(first, pack(lengths[first : first + WINDOW_DOCUMENTS], context)) for first in firsts]
    taken = sum(layout.rows for _, layout in layouts) if rows is None else min(rows, layouts[0][1].rows)
    places = list(_pieces(layouts, taken))
    texts = [
        (ids[start:stop], labels[start:stop])
        for ids, labels, start, stop in ((*text_of(split, document), start, stop) for document, start, stop in places)
    ]
    losses: list[np.ndarray] = []
    for i in range(0, len(texts), 64):
        told(i, len(texts), "pieces")
        losses += losses_alone(model, texts[i : i + 64])
    return _Reference(np.array([document for document, _, _ in places]), texts, losses, taken)


def _pieces(layouts: list[tuple[int, Layout]], rows: int) -> Iterator[tuple[int, int, int]]:
    """Yield document, start and stop of each piece of the first `rows` rows."""
    for first, layout in layouts:
        stop = int(layout.first[min(rows, layout.rows)])
        documents = (first + layout.document[:stop]).tolist()
        yield from zip(documents, layout.start[:stop].tolist(), layout.stop[:stop].tolist(), strict=True)


def _ways(model: LanguageModel, split: Split, reference: _Reference) -> dict[str, Callable[[], Score]]:
    """Return each variant that is one loss, by name, to be computed when it is called."""
    density = split.bytes / split.n_tokens

    def packed(rows: int, ranks: int) -> Score:
        return joined(_shares(model, split, reference.rows, rows, ranks), density)

    def numbered() -> Score:
        micros = _rows(split, model, reference.rows, MICRO_ROWS[1])
        return joined([[_sum(model, micro, numbers=True) for micro in micros]], density)

    def padded() -> Score:
        return joined([share_of(model, _padded(reference, 8))], density)

    def plain() -> Score:
        return joined([[_sum(model, micro, numbers=False) for micro in _padded(reference, 3)]], density)

    return {
        **{f"packed, {n} row{'s' * (n > 1)} at once": partial(packed, n, 1) for n in MICRO_ROWS},
        **{f"packed, dealt to {n} processes": partial(packed, 1, n) for n in RANKS},
        "packed, pieces told apart by number": numbered,
        "a piece a row, padded, 8 at once": padded,
        "a piece a row, padded, not told apart": plain,
    }


def _rows(split: Split, model: LanguageModel, rows: int, at_once: int) -> Iterator[Rows]:
    """Return the split's first `rows` packed rows: all, or a multiple of WHOLE_ROWS, or all of the first window."""
    whole = rows_of(split, model.shape.context, at_once, None)
    complete = rows * model.shape.context >= split.n_tokens
    return whole if complete else islice(whole, -(-rows // at_once))


def _shares(model: LanguageModel, split: Split, rows: int, at_once: int, ranks: int) -> list[list[tuple[float, int]]]:
    """Return what each of several processes would find, one after the other."""
    return [share_of(model, _rows(split, model, rows, at_once), world=World(rank, ranks)) for rank in range(ranks)]


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
def _token_by_token(model: LanguageModel, split: Split, reference: _Reference) -> np.ndarray:
    """Return the losses of the packed rows' tokens in the order of the reference, float64."""
    found = []
    for rows in _rows(split, model, reference.rows, MICRO_ROWS[1]):
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


def _one_source(model: LanguageModel, split: Split, most_tokens: int | None) -> Variant:
    """Return a source's loss, packed, against each of its pieces alone."""
    reference = _reference(model, split, most_tokens, lambda *_: None)
    found = joined(_shares(model, split, reference.rows, MICRO_ROWS[-1], 1), 1.0)
    tokens = len(reference.flat)
    return Variant("packed", found.loss, reference.loss, found.tokens, complete=found.tokens == tokens)
