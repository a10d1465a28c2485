"""Sources follow each other by their weights, to less than a row, from wherever one looks, and none starves."""

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon.data.streaming import mix as mix_module
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


@st.composite
def restless(draw: st.DrawFn) -> Stages:
    """Return weights of up to 200 sources that change every few blocks: even, steep, tiny, many of them none."""
    count, every = draw(st.sampled_from([2, 3, 8, 30, 200])), draw(st.sampled_from([1, 2, 5]))
    random, names = np.random.default_rng(draw(st.integers(0, 2**32))), [f"{i}" for i in range(count)]
    kinds = [
        lambda: random.random(count),
        lambda: random.random(count) ** 8,
        lambda: np.exp(random.normal(0, 5, count)),
        lambda: (random.random(count) < 0.4) * random.random(count),
    ]
    drawn = [kinds[random.integers(4)]() for _ in range(24)]
    drawn = [one if one.any() else one + 1 for one in drawn]
    weights = (dict(zip(names, one.tolist(), strict=True)) for one in drawn)
    return [(number * every * BLOCK_ROWS, parts_of(one, names)) for number, one in enumerate(weights)]


def each_block(stages: Stages, blocks: int) -> Iterator[tuple[list[Fraction], list[int], tuple[int, ...]]]:
    """Yield, block by block, what each source was due, in rows, what it got, and the weights."""
    mix, behind, before = Mix(stages, 0), [Fraction(0)] * len(stages[0][1]), np.zeros(len(stages[0][1]), dtype=int)
    for block in range(blocks):
        weights, counts = mix.parts(block * BLOCK_ROWS), mix.counts((block + 1) * BLOCK_ROWS)
        assert weights == max((at, p) for at, p in stages if at <= block * BLOCK_ROWS)[1]
        due = [was + Fraction(BLOCK_ROWS * part, PARTS) for was, part in zip(behind, weights, strict=True)]
        got = (counts - before).tolist()
        yield due, got, weights
        behind, before = [d - g for d, g in zip(due, got, strict=True)], counts


@settings(quick, max_examples=20)
@given(stages=restless())
def test_after_a_change_too_each_source_has_its_share_to_less_than_a_row_wherever_that_can_be(stages: Stages) -> None:
    for due, got, weights in each_block(stages, stages[-1][0] // BLOCK_ROWS + 8):
        assert sum(got) == BLOCK_ROWS and min(got) >= 0
        assert all(part or not rows for part, rows in zip(weights, got, strict=True)), "no weight, no row"
        least = sum(max(0, math.floor(rows)) for rows, part in zip(due, weights, strict=True) if part)
        most = sum(max(0, math.ceil(rows)) for rows, part in zip(due, weights, strict=True) if part)
        for rows, given_, part in zip(due, got, weights, strict=True):
            assert abs(rows - given_) < 2
            if part and rows > -1 and least <= BLOCK_ROWS <= most:  # so many rows can be given out
                assert abs(rows - given_) < 1


def test_where_no_division_has_all_within_a_row_rows_go_where_most_is_missing() -> None:
    even, quarter = (PARTS // 2, PARTS // 2, 0, 0), PARTS // 4
    for behind, rows in (((7, 1, -8, 0), [129, 127]), ((-7, -1, 8, 0), [127, 129]), ((8, 8, -16, 0), [128, 128])):
        found = mix_module._shares(even, tuple(quarter * quarters for quarters in behind), 1)
        assert found[1].tolist() == [*rows, 0, 0]


def test_weights_of_all_sources_may_change_again_and_again_and_none_is_a_row_off() -> None:
    draw, names, stages = np.random.default_rng(0), [f"{i}" for i in range(30)], []
    for number in range(300):
        weights = dict(zip(names, draw.random(30).tolist(), strict=True))
        stages.append((number * 3 * BLOCK_ROWS, parts_of(weights, names)))
    assert all(abs(d - g) < 1 for due, got, _ in each_block(stages, 900) for d, g in zip(due, got, strict=True))


def test_a_rare_source_gets_its_rows_also_where_weights_change_before_its_row_is_due() -> None:
    rare = [(block * BLOCK_ROWS, parts([1.0, 0.6 + block // 2 % 2 / 10, 1e-4])) for block in range(0, 400, 2)]
    mix = Mix(rare, 0)
    quota = sum(BLOCK_ROWS * mix.parts(block * BLOCK_ROWS)[2] for block in range(400)) / PARTS
    assert quota > 5 and abs(int(mix.counts(400 * BLOCK_ROWS)[2]) - quota) < 1


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


@settings(quick, max_examples=8)
@given(weights=some, behind=st.lists(st.integers(-PARTS, PARTS), min_size=12, max_size=12), cycles=st.integers(1, 5))
def test_counts_far_away_are_those_that_one_comes_to_cycle_by_cycle(
    weights: list[float], behind: list[int], cycles: int
) -> None:
    each, inside = parts(weights), 77
    state, rows = tuple(behind[: len(each)]), np.zeros(len(each), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mix_module, "CYCLE_BLOCKS", 64)
        patch.setattr(mix_module, "PARTS", 64 * BLOCK_ROWS)
        each, state = parts(weights), tuple(b // 64 for b in state)
        found = mix_module.shared(each, cycles * 64 + inside % 64, state)
        for size in [64] * cycles + [inside % 64]:
            more = mix_module._shares(each, state, size)[size]
            state, rows = mix_module._behind(each, state, size, more), rows + more
    assert found.tolist() == rows.tolist()


@settings(quick, max_examples=20)
@given(changes)
def test_a_decision_that_changes_no_weight_changes_no_row(stages: Stages) -> None:
    stages = sorted(stages)
    row = stages[-1][0] + 1000
    mix, same = Mix(stages, 1), Mix([*stages, (row, stages[-1][1])], 1)
    assert np.array_equal(mix.rows(row, 600)[1], same.rows(row, 600)[1])
    assert np.array_equal(mix.rows(row, 600)[0], same.rows(row, 600)[0])


@pytest.fixture
def small_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let counts begin anew after 64 blocks, so that many cycles are gone through in no time."""
    for name, value in {
        "CYCLE_BLOCKS": 64,
        "PARTS": 64 * BLOCK_ROWS,
        "LOOKS_BACK": (4, 20, 100),
        "TABLE_BLOCKS": 8,
    }.items():
        monkeypatch.setattr(mix_module, name, value)


@pytest.mark.usefixtures("small_cycles")
@settings(quick, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), count=st.sampled_from([2, 3, 5, 12, 40]), far=st.sampled_from([40, 500, 5000]))
def test_a_look_back_finds_what_one_comes_to_block_by_block(seed: int, count: int, far: int) -> None:
    random, names = np.random.default_rng(seed), [f"{i}" for i in range(count)]
    kinds = [
        lambda: random.random(count),
        lambda: np.exp(random.normal(0, 4, count)),
        lambda: (random.random(count) < 0.5) * random.random(count),
    ]
    rows, stages = 0, list[tuple[int, tuple[int, ...]]]()
    for _ in range(4):
        drawn = kinds[random.integers(3)]()
        stages.append(
            (rows, parts_of(dict(zip(names, (drawn if drawn.any() else drawn + 1).tolist(), strict=True)), names))
        )
        rows += int(random.integers(1, far)) * BLOCK_ROWS
    for stretch in Mix(stages, 0)._stretches:
        for blocks in random.integers(0, far, 4).tolist():
            found = mix_module.shared(stretch.parts, blocks, stretch.behind)
            assert found.tolist() == mix_module._cycle_by_cycle(stretch.parts, stretch.behind, blocks).tolist()


@pytest.mark.usefixtures("small_cycles")
@settings(quick, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), count=st.integers(3, 8))
def test_a_look_back_is_trusted_only_where_no_source_is_ever_a_row_off(seed: int, count: int) -> None:
    random, part = np.random.default_rng(seed), mix_module.PARTS
    for _ in range(8):
        weights = (random.random(count) < 0.5) * random.random(count)
        each = parts((weights if weights.any() else weights + 1).tolist())
        behind = random.integers(-part, part, count)
        behind[random.integers(count)] -= behind.sum()
        state, blocks = tuple(behind.tolist()), int(random.integers(20, 900))
        found = mix_module.shared(each, blocks, state)
        assert found.tolist() == mix_module._cycle_by_cycle(each, state, blocks).tolist()


def test_where_more_rows_are_due_than_fit_in_the_lower_end_gives_up_those_that_are_late_first() -> None:
    due = mix_module._Due(np.zeros((2, 3)), [2, 1], [3, 3], [[1, 2, 0]] * 2, [[True, True, True]])
    assert [due.following(1, early) for early in ([0, 1], [1, 2], [2, 0])] == [[0], [2], [0]]


def test_the_first_rows_anywhere_come_without_going_through_a_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    random, names = np.random.default_rng(5), [f"{i}" for i in range(30)]
    drawn = [dict(zip(names, (0.1 + random.random(30)).tolist(), strict=True)) for _ in range(8)]
    stages = [(number * 10**9, parts_of(one, names)) for number, one in enumerate(drawn)]
    with monkeypatch.context() as patch:
        patch.setattr(mix_module, "LOOKS_BACK", ())
        mix_module._rows_before.cache_clear()
        slow = Mix(stages[:3], 3).rows(3 * 10**9 + 77, 500)
    mix_module._rows_before.cache_clear()
    gone_through: list[int] = []
    cycle_by_cycle = mix_module._cycle_by_cycle

    def told(parts: tuple[int, ...], behind: tuple[int, ...], blocks: int) -> np.ndarray:
        gone_through.append(blocks)
        return cycle_by_cycle(parts, behind, blocks)

    monkeypatch.setattr(mix_module, "_cycle_by_cycle", told)
    quick_ = Mix(stages[:3], 3).rows(3 * 10**9 + 77, 500)
    Mix(stages, 3).rows(10**12, 500)
    assert max(gone_through, default=0) == 0
    assert [one.tolist() for one in quick_] == [one.tolist() for one in slow]
