"""A micro-batch of packed rows, as tensors: pieces of text side by side, each with its own positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor

from gnomon.data.streaming.source import Pieces
from gnomon.data.streaming.targets import Targets, find_marks
from gnomon.store.arrays import bits_of
from gnomon.store.datasets import Split

IGNORE = -100
FEW_TOKENS = 48  # of a piece on average, measured: from here on it is faster to copy pieces than tokens


@dataclass(frozen=True)
class Rows:
    """One micro-batch of packed rows, [rows, length] each, int64.

    `labels` are the true next tokens, also where a document was cut; -100 at padding, and where a token is there only
    to be seen: at the beginning of a window that overlaps, and where the dataset's mask says so. `positions` count from
    0 in every piece; `segments` number the pieces of a row, -1 at padding. `buckets` and `inverse` group the pieces by
    length for attention: each bucket is [pieces, bucket length] of indices into the flattened tokens, where slots
    beyond a piece's end repeat its last token; `inverse` finds each token in the concatenated buckets. No buckets:
    every row is one piece.
    `targets` are the labels of questions in them; None where there are none.
    """

    tokens: Tensor
    labels: Tensor
    positions: Tensor
    segments: Tensor
    buckets: tuple[Tensor, ...]
    inverse: Tensor
    loss_tokens: int
    targets: Targets | None = None


def gather(splits: Sequence[Split], pieces: Pieces, length: int, longest: int | None = None) -> Rows:
    """Return rows of `length` tokens; pieces of more than `longest` are cut there. `splits` are the sources'."""
    count, tokens = len(pieces.first) - 1, pieces.tokens()
    short = np.flatnonzero(tokens < length)  # rows with a gap at their end; one in a window at most
    sizes, text = pieces.size, np.ones(len(pieces.size), dtype=bool)
    if len(short):
        behind = pieces.first[short + 1]
        sizes, text = np.insert(sizes, behind, length - tokens[short]), np.insert(text, behind, False)
    starts = (sizes.cumsum() - sizes)[text]
    shards = (pieces.source << 32) + pieces.shard
    every = {one: np.asarray(splits[one >> 32].shards[one & 0xFFFFFFFF]) for one in set(shards.tolist())}
    inputs = _text(every, pieces, shards)
    if len(short):
        gaps = length - tokens[short]
        ends = starts[pieces.first[short + 1] - 1] + pieces.size[pieces.first[short + 1] - 1]
        inputs = np.insert(inputs, np.repeat(ends - (gaps.cumsum() - gaps), gaps), splits[0].end_of_text)
    following = np.full(len(starts), splits[0].end_of_text, dtype=np.int64)
    goes_on = np.flatnonzero(~pieces.ends)
    for one, ids in every.items():
        some = goes_on if len(every) == 1 else goes_on[shards[goes_on] == one]
        following[some] = ids[pieces.begin[some] + pieces.size[some]]
    labels = np.empty_like(inputs)
    labels[:-1] = inputs[1:]
    labels[starts + pieces.size - 1] = following
    if len(some := np.flatnonzero(pieces.seen)):
        seen = pieces.seen[some]
        before = seen.cumsum() - seen
        labels[np.repeat(starts[some] - before, seen) + _steps(int(seen.sum()))] = IGNORE
    for one in [one for one in every if splits[one >> 32].masked]:
        if (mask := splits[one >> 32].masks[one & 0xFFFFFFFF]) is not None:
            some = np.flatnonzero(shards == one)
            begin, size, start = pieces.begin[some], pieces.size[some], starts[some]
            before, steps = size.cumsum() - size, _steps(int(size.sum()))
            silent = bits_of(mask, np.repeat(begin - before, size) + steps) == 0
            labels[(np.repeat(start - before, size) + steps)[silent]] = IGNORE
    for row in short.tolist():
        labels[row * length + int(tokens[row]) : (row + 1) * length] = IGNORE
    if longest is not None and longest < length:
        sizes, text = _cut(sizes, text, longest)
    known = any(split.labelled for split in splits)
    bearing, targets = (
        int(pieces.bearing().sum()),
        find_marks(splits, pieces, longest).targets(starts) if known else None,
    )
    rows = _as_rows(inputs.reshape(count, length), labels.reshape(count, length), sizes, text, bearing)
    return rows if targets is None else replace(rows, targets=targets)


def _text(every: Mapping[int, np.ndarray], pieces: Pieces, shards: np.ndarray) -> np.ndarray:
    """Return the tokens of all pieces, one after the other; `every` shard by the number that is in `shards`.

    Long pieces are copied one by one, short ones token by token.
    """
    if int(pieces.size.sum()) >= FEW_TOKENS * len(shards):
        begins, stops = pieces.begin.tolist(), (pieces.begin + pieces.size).tolist()
        found = [every[one][a:b] for one, a, b in zip(shards.tolist(), begins, stops, strict=True)]
        return np.concatenate(found, dtype=np.int64)
    starts = pieces.size.cumsum() - pieces.size
    inputs = np.empty(int(pieces.size.sum()), dtype=np.int64)
    for one, ids in every.items():
        some = np.flatnonzero(shards == one)
        begin, size, start = pieces.begin[some], pieces.size[some], starts[some]
        before = size.cumsum() - size
        steps = _steps(int(before[-1] + size[-1]))
        found = ids[np.repeat(begin - before, size) + steps]
        if len(every) == 1:
            return found.astype(np.int64)
        inputs[np.repeat(start - before, size) + steps] = found
    return inputs


def _cut(sizes: np.ndarray, text: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the sizes of pieces after those of text were cut to at most `longest` tokens, and which are text."""
    cuts = np.where(text, -(-sizes // longest), 1)
    ends = cuts.cumsum() - 1
    cut = np.full(ends[-1] + 1, longest)
    cut[ends] = sizes - (cuts - 1) * longest
    return cut, np.repeat(text, cuts)


def make_rows(inputs: np.ndarray, labels: np.ndarray, sizes: list[list[int]]) -> Rows:
    """Return a micro-batch from inputs and labels, [rows, length], and the sizes of each row's pieces,
    left to right.

    What follows the last piece of a row is padding: it bears no loss and is a piece of its own for
    attention.
    """
    length = inputs.shape[1]
    gaps = [length - sum(pieces) for pieces in sizes]
    every = [size for pieces, gap in zip(sizes, gaps, strict=True) for size in (*pieces, gap) if size]
    text = [
        last for pieces, gap in zip(sizes, gaps, strict=True) for last in [True] * len(pieces) + [False] * (gap > 0)
    ]
    labels = labels.astype(np.int64)
    for row, gap in enumerate(gaps):
        labels[row, length - gap :] = IGNORE
    bearing = int((labels != IGNORE).sum())
    return _as_rows(np.ascontiguousarray(inputs, dtype=np.int64), labels, np.array(every), np.array(text), bearing)


def halves(rows: Rows) -> tuple[Rows, Rows]:
    """Return the first and the second half of a micro-batch of two rows or more, on the CPU and without targets."""
    tokens, labels, segments = (tensor.cpu().numpy() for tensor in (rows.tokens, rows.labels, rows.segments))
    middle, found = len(tokens) // 2, list[Rows]()
    for part in (slice(0, middle), slice(middle, None)):
        sizes = [np.bincount(row[row >= 0]).tolist() for row in segments[part]]
        found.append(make_rows(tokens[part], labels[part], sizes))
    return found[0], found[1]


def _as_rows(inputs: np.ndarray, labels: np.ndarray, sizes: np.ndarray, text: np.ndarray, bearing: int) -> Rows:
    """Return a micro-batch with so many loss-bearing tokens; `sizes` are those of all pieces of all rows, and where not
    `text`, of padding.
    """
    count, length = inputs.shape
    starts = sizes.cumsum() - sizes
    row = starts // length
    number = np.arange(len(sizes)) - np.searchsorted(row, np.arange(count))[row]  # in its row
    positions = np.repeat(starts, sizes)
    np.subtract(_steps(count * length), positions, out=positions)
    segments = np.repeat(np.where(text, number, -1).astype(np.int32), sizes)
    whole = len(sizes) == count
    buckets, inverse = ([], np.empty(0, dtype=np.int64)) if whole else _bucket(starts, sizes, length)
    return Rows(
        tokens=torch.from_numpy(inputs),
        labels=torch.from_numpy(labels),
        positions=torch.from_numpy(positions.reshape(count, length)),
        segments=torch.from_numpy(segments.reshape(count, length)),
        buckets=tuple(map(torch.from_numpy, buckets)),
        inverse=torch.from_numpy(inverse),
        loss_tokens=bearing,
    )


def _bucket(starts: np.ndarray, sizes: np.ndarray, longest: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the buckets, shortest first, and the inverse; see Rows."""
    classes = _bucket_lengths(longest)
    which = np.searchsorted(classes, sizes)
    order = which.argsort(kind="stable")
    width = classes[which[order]]
    slots = width.cumsum() - width  # where a piece begins in the concatenated buckets
    taken = np.repeat(starts[order] - slots, width)
    taken += _steps(len(taken))
    np.minimum(taken, np.repeat((starts + sizes - 1)[order], width), out=taken)
    inverse = np.empty_like(slots)
    inverse[order] = slots
    inverse = np.repeat(inverse - starts, sizes)
    inverse += _steps(len(inverse))
    edges = np.flatnonzero(np.diff(width)) + 1
    firsts, lasts = slots[[0, *edges]].tolist(), [*slots[edges].tolist(), len(taken)]
    widths = width[[0, *edges]].tolist()
    return [taken[a:b].reshape(-1, w) for a, b, w in zip(firsts, lasts, widths, strict=True)], inverse


def _steps(count: int) -> np.ndarray:
    """Return 0 to `count` - 1, not to be written to; made anew only for more of them than ever before."""
    return _all_steps(1 << (count - 1).bit_length())[:count]


@cache
def _all_steps(count: int) -> np.ndarray:
    steps = np.arange(count)
    steps.setflags(write=False)
    return steps


@cache
def _bucket_lengths(longest: int) -> np.ndarray:
    """Return the length classes: 1, 2, 3, 4, 6, 8, 12, 16, … up to `longest`, so at most a third of a
    slot is wasted.
    """
    classes = {min(longest, size) for k in range(longest.bit_length() + 1) for size in (2**k, 3 * 2**k // 2)}
    return np.array(sorted(classes))
