"""Packing loses nothing, repeats nothing, and leaves next to no padding."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.streaming.pack import _best_fit, pack
from gnomon.data.streaming.rows import IGNORE, make_rows
from gnomon.evaluate.windows import windows

lengths_and_length = st.tuples(st.lists(st.integers(1, 300), min_size=1, max_size=80), st.integers(1, 96))


@given(lengths_and_length)
def test_every_token_of_every_document_once_and_rows_full_but_the_last(case: tuple[list[int], int]) -> None:
    lengths, length = np.array(case[0]), case[1]
    layout = pack(lengths, length)
    covered = [
        (int(d), place)
        for d, a, b in zip(layout.document, layout.start, layout.stop, strict=True)
        for place in range(a, b)
    ]
    assert sorted(covered) == [(d, place) for d, n in enumerate(lengths) for place in range(n)]
    used = np.add.reduceat(layout.stop - layout.start, layout.first[:-1])
    assert (used[:-1] == length).all()
    assert 0 < used[-1] <= length
    again = pack(lengths, length)
    assert all(np.array_equal(getattr(layout, f), getattr(again, f)) for f in ("document", "start", "stop", "first"))


def slow_best_fit(sizes: list[int], length: int) -> list[int]:
    """Return the row of each piece: the fullest that has room, of equal ones that which was filled last."""
    gaps: list[int] = []
    filled: list[int] = []
    rows = []
    for number, size in enumerate(sizes):
        open_ = [row for row, gap in enumerate(gaps) if gap >= size]
        row = min(open_, key=lambda row: (gaps[row], -filled[row]), default=len(gaps))
        gaps[row:], filled[row:] = (gaps[row:] or [length]), (filled[row:] or [0])
        gaps[row], filled[row] = gaps[row] - size, number
        rows.append(row)
    return rows


@given(st.lists(st.integers(1, 40), max_size=120), st.integers(40, 90))
def test_pieces_of_one_size_placed_together_lie_where_they_would_one_by_one(sizes: list[int], length: int) -> None:
    sizes = sorted(sizes, reverse=True)
    assert _best_fit(np.array(sizes, dtype=np.int64), length).tolist() == slow_best_fit(sizes, length)


@given(lengths_and_length, st.integers(1, 95))
def test_with_a_stride_the_pieces_are_the_windows_that_evaluation_scores(
    case: tuple[list[int], int], stride: int
) -> None:
    lengths, length = np.array(case[0]), case[1] + 1
    stride = min(stride, length - 1)
    layout, without = pack(lengths, length, stride), pack(lengths, length)
    pieces = zip(layout.document, layout.start, layout.start + layout.seen, layout.stop, strict=True)
    if lengths.max() <= length:
        assert all(np.array_equal(a, b) for a, b in zip(vars(layout).values(), vars(without).values(), strict=True))
        return
    assert sorted(tuple(map(int, piece)) for piece in pieces) == [
        (document, window.start, window.scored, window.stop)
        for document, tokens in enumerate(lengths.tolist())
        for window in windows(tokens, length, stride)
    ]
    used = np.add.reduceat(layout.stop - layout.start, layout.first[:-1])
    assert used.max() <= length and (np.diff(used) <= 0).all() and not without.seen.any()


@given(st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=5), min_size=1, max_size=4))
def test_buckets_cover_every_place_once_and_keep_pieces_apart(sizes: list[list[int]]) -> None:
    length = max(map(sum, sizes))
    tokens = np.arange(len(sizes) * length).reshape(len(sizes), length)
    rows = make_rows(tokens, tokens + 1, sizes)
    used = sum(map(sum, sizes))
    assert rows.loss_tokens == used == int((rows.labels != IGNORE).sum())
    if not rows.buckets:
        assert all(row == [length] for row in sizes)
        return
    flat = rows.tokens.flatten()
    assert torch.equal(torch.cat([flat[b].flatten() for b in rows.buckets])[rows.inverse], flat)
    piece = (rows.segments + 1 + 100 * torch.arange(len(sizes))[:, None]).flatten()
    for bucket in rows.buckets:
        inside = piece[bucket]
        assert (inside == inside[:, :1]).all(), "a bucket's row holds more than one piece"
        assert (rows.positions.flatten()[bucket][:, 0] == 0).all()
