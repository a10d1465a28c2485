"""Sources follow each other by their weights, to less than a row, from wherever one looks, and none starves."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnomon.data.streaming.mix import BLOCK_ROWS, CYCLE_BLOCKS, PARTS, Mix, parts_of, shared

weight = st.one_of(st.floats(0.01, 1), st.sampled_from([0.0, 1e-7, 1e-3, 1 / 3, 1.0, 5.0]))
NAMES = [f"source {i}" for i in range(12)]
some = st.lists(weight, min_size=1, max_size=12).filter(any)
quick = settings(deadline=None, max_examples=40)


def parts(weights: list[float]) -> tuple[int, ...]:
    names = NAMES[: len(weights)]
    return parts_of(dict(zip(names, weights, strict=True)), names)


changes = st.integers(1, 8).flatmap(
    lambda count: st.lists(
        st.tuples(st.integers(1, 6000), st.lists(weight, min_size=count, max_size=count).filter(any)), max_size=6
    ).map(lambda later: [(0, parts([1.0] * count)), *((at, parts(w)) for at, w in dict(later).items())])
)
Stages = list[tuple[int, tuple[int, ...]]]


@given(some)
def test_weights_are_whole_parts_that_add_up_and_none_above_nothing_is_lost(weights: list[float]) -> None:
    found, total = parts(weights), sum(map(Fraction, weights))
    assert sum(found) == PARTS
    for part, given_ in zip(found, weights, strict=True):
        assert (part > 0) == (given_ > 0)
        assert abs(part - PARTS * Fraction(given_) / total) <= len(weights)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 1.0, "c": 1.0}, "there is no source 'c'; the sources are a, b"),
        ({"a": -0.5}, "'a' is -0.5"),
        ({"b": float("nan")}, "'b' is nan"),
        ({"b": float("inf")}, "'b' is inf"),
        ({"a": 0.0, "b": 0.0}, "no source has a weight above 0"),
        ({}, "no source has a weight above 0"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(weights: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parts_of(weights, ["a", "b"])


@settings(quick, max_examples=12)
@given(weights=some, far=st.integers(0, 10**12))
@example(weights=[0.02, 0.0625, 0.02, 0.7, 0.5, 254.6975], far=0)  # the largest deficit first is too late in block 26
def test_at_every_block_end_each_source_has_its_share_to_less_than_a_row(weights: list[float], far: int) -> None:
    each = parts(weights)
    blocks = [*range(80), *range(far, far + 20), CYCLE_BLOCKS - 1, CYCLE_BLOCKS, CYCLE_BLOCKS + 1]
    for block in blocks:
        counts, following = shared(each, block), shared(each, block + 1)
        assert counts.sum() == block * BLOCK_ROWS
        assert (following >= counts).all()
        for count, part in zip(counts.tolist(), each, strict=True):
            assert abs(count * PARTS - block * BLOCK_ROWS * part) < PARTS


@quick
@given(changes)
def test_after_a_change_too_but_for_whole_rows_that_are_settled_and_nobody_falls_behind(stages: Stages) -> None:
    mix, blocks = Mix(stages, 0), 40
    begins = [b for b in range(1, blocks) if mix.parts(b * BLOCK_ROWS) != mix.parts((b - 1) * BLOCK_ROWS)]
    behind = [Fraction(0)] * len(stages[0][1])
    for first, last in pairwise([0, *begins, blocks]):
        each = mix.parts(first * BLOCK_ROWS)
        assert each == max((at, p) for at, p in stages if -(-at // BLOCK_ROWS) <= first)[1]
        start = mix.counts(first * BLOCK_ROWS)
        owes = any(abs(rows) >= 1 for rows in behind)
        off: list[Fraction] = []
        for block in range(first, last + 1):
            given_ = mix.counts(block * BLOCK_ROWS) - start
            off = [
                n - Fraction(part * (block - first) * BLOCK_ROWS, PARTS)
                for n, part in zip(given_.tolist(), each, strict=True)
            ]
            assert owes or max(map(abs, off)) < 1
        behind = [was - more for was, more in zip(behind, off, strict=True)]
        assert all(abs(rows) < 4 for rows in behind)


def test_a_rare_source_gets_its_rows_also_where_weights_change_before_its_row_is_due() -> None:
    rare = [(block * BLOCK_ROWS, parts([1.0, 0.6 + block // 2 % 2 / 10, 1e-4])) for block in range(0, 400, 2)]
    mix = Mix(rare, 0)
    quota = sum(BLOCK_ROWS * mix.parts(block * BLOCK_ROWS)[2] for block in range(400)) / PARTS
    assert quota > 5 and abs(int(mix.counts(400 * BLOCK_ROWS)[2]) - quota) < 2


@quick
@given(stages=changes, first=st.integers(0, 7000), count=st.integers(1, 600), far=st.sampled_from([0, 10**12]))
def test_each_row_of_a_source_comes_once_and_in_order_wherever_one_begins_to_look(
    stages: Stages, first: int, count: int, far: int
) -> None:
    first += far
    sources, rows = Mix(stages, 7).rows(first, count)
    again = Mix(stages, 7)
    counts = again.counts(first)
    for row, (source, own) in enumerate(zip(sources.tolist(), rows.tolist(), strict=True), start=first):
        assert counts[source] == own, "counted one by one"
        counts[source] += 1
        if row % 97 == 0:
            assert [part.tolist() for part in again.rows(row, 1)] == [[source], [own]]
    assert counts.tolist() == again.counts(first + count).tolist()


@settings(quick, max_examples=20)
@given(changes)
def test_a_decision_that_changes_no_weight_changes_no_row(stages: Stages) -> None:
    stages = sorted(stages)
    row = stages[-1][0] + 1000
    mix, same = Mix(stages, 1), Mix([*stages, (row, stages[-1][1])], 1)
    assert np.array_equal(mix.rows(row, 600)[1], same.rows(row, 600)[1])
    assert np.array_equal(mix.rows(row, 600)[0], same.rows(row, 600)[0])
