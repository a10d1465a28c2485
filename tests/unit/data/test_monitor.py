"""Healthy text raises nothing, planted faults are found and named as what they are, whatever the batches."""

import math
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.monitoring.monitor import Finding, Monitor
from gnomon.data.monitoring.shift import Reference, Text, Usual, fingerprints, look, student

VOCABULARY, LENGTH, WINDOW = 2048, 128, 1 << 14
Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@cache
def zipf(seed: int, tokens: int) -> tuple[Text, np.ndarray]:
    """A text whose kinds of tokens follow Zipf's law, each document with favourites of its own; and its histogram."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(2, VOCABULARY + 1) ** 1.1
    below = shares.cumsum() / shares.sum()
    kinds = np.random.default_rng([7, seed]).permutation(np.arange(1, VOCABULARY))
    sizes = np.maximum(4, rng.lognormal(5, 1, tokens // 240)).astype(np.int64)
    offsets = np.concatenate([[0], sizes.cumsum()])
    ids = kinds[np.searchsorted(below, rng.random(offsets[-1]))]
    favourites = kinds[np.searchsorted(below, rng.random((len(sizes), 12)))]
    of_document = favourites[np.repeat(np.arange(len(sizes)), sizes), rng.integers(0, 12, len(ids))]
    ids = np.where(rng.random(len(ids)) < 0.3, of_document, ids)
    ids[offsets[:-1]] = 0
    text = Text(len(ids), 0, lambda: offsets, lambda i: ids[offsets[i] : offsets[i + 1]])
    return text, np.bincount(ids, minlength=VOCABULARY).astype(np.uint64)


@cache
def reference(seed: int, every: int = 4, tokens: int = 600_000, window: int = WINDOW) -> Reference:
    text, counts = zipf(seed, tokens)
    return Reference(counts, text, length=LENGTH, rows=window // LENGTH, every=every)


@cache
def epoch(of: Reference, seed: int) -> np.ndarray:
    return np.concatenate(list(islice(of.walk(seed, 1), of.text_rows)))


def findings(references: dict[str, Reference], rows: dict[str, np.ndarray], every: int = 4) -> list[Finding]:
    monitor, at, found = Monitor(references, every=every), 0, []
    for number, name in enumerate(references):
        mine = rows[name]
        found += monitor.add(np.arange(at, at + len(mine)), np.full(len(mine), number), mine)
        at += len(mine)
    return found


@pytest.mark.parametrize("window", [1 << 11, 1 << 13])
def test_healthy_sources_raise_nothing_over_epochs(window: int) -> None:
    references = {name: reference(i, window=window) for i, name in enumerate("ab")}
    epochs = {n: np.concatenate([epoch(reference(i), seed) for seed in range(3)]) for i, n in enumerate(references)}
    assert findings(references, epochs) == []


def test_a_short_text_may_come_in_many_epochs() -> None:
    of = reference(2, tokens=20_000)
    assert findings({"a": of}, {"a": np.concatenate([epoch(of, seed) for seed in range(12)])}) == []


def test_passages_that_come_again_in_the_text_itself_with_other_ends_are_no_repetition() -> None:
    """As questions about one passage are often kept: each with the whole of it."""
    passages, questions = np.random.default_rng(9).integers(1, VOCABULARY, (500, LENGTH)), 5
    ids = np.repeat(passages, questions, axis=0)
    ids[:, 0], ids[:, -2] = 0, np.arange(len(ids)) % VOCABULARY
    text = Text(ids.size, 0, lambda: np.arange(len(ids) + 1) * LENGTH, lambda i: ids[i])
    counts = np.bincount(ids.reshape(-1), minlength=VOCABULARY).astype(np.uint64)
    of = Reference(counts, text, length=LENGTH, rows=64, every=4)
    assert findings({"a": of}, {"a": np.concatenate([epoch(of, seed) for seed in range(2)])}) == []


def quantile(chance: float, draws: int, share: float) -> int:
    """The number of draws with something, each with probability `share`, that chance makes no larger so often."""
    ways = [math.lgamma(draws + 1) - math.lgamma(n + 1) - math.lgamma(draws - n + 1) for n in range(draws + 1)]
    logs = [way + n * math.log(share) + (draws - n) * math.log1p(-share) for n, way in enumerate(ways)]
    return int(np.searchsorted(np.cumsum(np.exp(logs)), chance))


def test_alarms_on_healthy_text_are_as_frequent_as_asked_for() -> None:
    """Without the margin for real text. Half of what may be raised is for collapse, which needs more than its limit:
    the share of runs with an alarm lies between that of drift alone and that of all, over spans of 1 and 4 windows.
    """
    alarms, runs, asked, windows, layouts = 0, 60, 0.6, 4, [{}, {}, {}]
    for run in range(runs):
        of = reference(3 + run % 3, window=1 << 11)
        monitor = Monitor({"a": of}, every=1, false_alarms=asked, margin=1.0, least_distance=1.0)
        rows = np.concatenate(list(islice(of.walk(1000 + run, of.every, layouts[run % 3]), windows * of.rows)))
        alarms += bool(monitor.add(np.arange(len(rows)), np.zeros(len(rows), int), rows))
    drift = sum(asked / 6 / ((n + 1) * (n + 2)) for span in (1, 4) for n in range(windows // span))
    assert 0 < quantile(0.005, runs, drift) <= alarms <= quantile(0.995, runs, 2 * drift)


def test_levels_are_the_sum_of_their_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    of, judged = reference(0, window=1 << 12), list[np.ndarray]()
    usual = [of.expected(level) for level in (0, 1)]
    monkeypatch.setattr(of, "distance", lambda counts: judged.append(counts.copy()) or math.exp(usual[0].distance.mean))
    rows = epoch(reference(0), 2)[: 8 * of.rows]
    Monitor({"a": of}, every=1, margin=1e3).add(np.arange(len(rows)), np.zeros(len(rows), int), rows)
    windows = [look(part, of.counts, 0).counts for part in np.split(rows, 8)]
    fours = [look(part, of.counts, 0).counts for part in np.split(rows, 2)]
    expected = [*windows[:4], fours[0], *windows[4:], fours[1]]
    assert [counts.tolist() for counts in judged] == [counts.tolist() for counts in expected]


def mixed(share: float) -> Fault:
    def fault(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        other = np.concatenate([epoch(reference(1), seed) for seed in (0, 1)])[: len(rows)]
        return np.where(rng.random((len(rows), 1)) < share, other, rows)

    return fault


def collapsed(kept: float, into: slice) -> Fault:
    """The rarest kinds of tokens that make up a tenth of the text are others now, all but a part of these kinds."""

    def fault(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = reference(0).counts.astype(np.int64)
        order = np.argsort(-counts, kind="stable")
        rare = np.isin(np.arange(VOCABULARY), order[counts[order].cumsum() > 0.9 * counts.sum()])
        rare &= np.arange(VOCABULARY) % 10 >= 10 * kept
        return np.where(rare[rows], rng.choice(order[into], rows.shape), rows)

    return fault


def plain(share: float) -> Fault:
    """Some rows are of another text, which has nothing but the source's frequent kinds of tokens."""

    def fault(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        order = np.argsort(-reference(0).counts.astype(np.int64), kind="stable")
        other = rng.choice(order[1:200], rows.shape)
        return np.where(rng.random((len(rows), 1)) < share, other, rows)

    return fault


def repeated(share: float, pool: int) -> Fault:
    def fault(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        again = rows[rng.integers(0, pool, len(rows))]
        return np.where(rng.random((len(rows), 1)) < share, again, rows)

    return fault


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("drift", mixed(0.1)),
        ("drift", mixed(0.3)),
        ("drift", mixed(1.0)),
        ("drift", plain(0.5)),
        ("collapse", collapsed(0, slice(1, 40))),
        ("collapse", collapsed(0.5, slice(1, 40))),
        ("collapse", collapsed(0, slice(5, 6))),  # into one frequent token
        ("collapse", collapsed(0, slice(-1, None))),  # into one that hardly ever came
        ("repetition", repeated(0.05, 1)),
        ("repetition", repeated(0.3, 20)),
        ("repetition", repeated(1.0, 300)),
    ],
)
def test_a_planted_fault_is_found_in_its_source_and_named(kind: str, fault: Fault) -> None:
    references = {"sound": reference(1), "odd": reference(0)}
    rows = {name: epoch(of, 2) for name, of in references.items()}
    rows["odd"] = fault(rows["odd"], np.random.default_rng(5))
    found = findings(references, rows)
    assert {(f.source, f.kind) for f in found} == {("odd", kind)}
    first = found[0]
    assert first.value > first.limit
    assert "'odd'" in first.cause
    if kind == "drift":
        now, was = (sum(share[i] for share in first.rising) for i in (1, 2))
        assert now > 2 * was


def test_rows_that_come_again_only_in_later_windows_are_found() -> None:
    of = reference(0, window=1 << 11)
    found = findings({"a": of}, {"a": repeated(0.3, 150)(epoch(reference(0), 2), np.random.default_rng(5))})
    assert {f.kind for f in found} == {"repetition"}
    assert found[0].window < 12


def test_what_was_planted_is_said() -> None:
    rows = epoch(reference(0), 2)
    found = findings({"odd": reference(0)}, {"odd": collapsed(0, slice(5, 6))(rows, np.random.default_rng(5))})
    target = int(np.argsort(-reference(0).counts.astype(np.int64), kind="stable")[5])
    assert found[0].rising[0][0] == target
    assert all(now == 0 for _, now, _ in found[0].falling)
    assert f"[{target}]" in found[0].cause


@given(cuts=st.lists(st.integers(1, 4000), max_size=12), going_back=st.integers(0, 2500))
@settings(max_examples=8)
def test_batches_and_going_back_make_no_difference(cuts: list[int], going_back: int) -> None:
    references = {"a": reference(0), "b": reference(1)}
    rows = np.concatenate([mixed(0.3)(epoch(reference(0), 2), np.random.default_rng(5)), epoch(reference(1), 2)])
    sources = np.repeat([0, 1], [reference(0).text_rows, reference(1).text_rows])
    order = np.random.default_rng(0).permutation(len(rows))
    rows, sources, ids = rows[order], sources[order], np.arange(len(rows))
    whole = Monitor(references, every=4).add(ids, sources, rows)
    monitor, found, edges = Monitor(references, every=4), [], sorted({0, len(rows), *cuts})
    for first, last in pairwise(edges):
        again = max(0, first - going_back)  # rows that came before come again
        found += monitor.add(ids[again:last], sources[again:last], rows[again:last])
    assert found == whole
    assert whole


def test_a_look_is_that_of_a_slow_one() -> None:
    rows = np.concatenate([epoch(reference(0), 2)[:40], epoch(reference(0), 2)[:3]])
    rows[5, -9:] = 0  # the end of a window of documents: one end-of-text, then padding
    counts = reference(0).counts
    seen, distinct = look(rows, counts, 0), [*dict.fromkeys(map(tuple, rows.tolist()))]
    slow, lengths = Counter[int](), []
    for row in distinct:
        end = len(row)
        while row[end - 2 : end] == (0, 0):
            end -= 1
        slow.update(row[:end])
        begins = [0, *(i for i in range(1, len(row)) if row[i] == 0), len(row)]
        lengths += [b - a for a, b in pairwise(begins)]
    n, total = sum(slow.values()), int(counts.sum())
    divergence = 0.0
    for token in range(VOCABULARY):
        p, q = int(counts[token]) / total, slow[token] / n
        divergence += sum(x * math.log2(2 * x / (p + q)) / 2 for x in (p, q) if x)
    assert (seen.repeated, int(seen.counts.sum())) == (len(rows) - len(distinct), n)
    assert seen.divergence == pytest.approx(divergence)
    assert seen.entropy == pytest.approx(-sum(c / n * math.log2(c / n) for c in slow.values()))
    assert seen.unseen == sum(int(c) * n >= total and not slow[i] for i, c in enumerate(counts))
    lengths.sort()
    assert seen.lengths == tuple(lengths[int(q * (len(lengths) - 1))] for q in (0.1, 0.5, 0.9))


def test_fingerprints_tell_rows_apart_by_their_order_too() -> None:
    rows = np.random.default_rng(0).integers(0, 3, (400, 6))
    prints = fingerprints(rows).tolist()
    assert len(set(prints)) == len(set(map(tuple, rows.tolist())))
    assert prints == fingerprints(rows.astype(np.uint16)).tolist()


def test_students_limits_are_exceeded_as_often_as_asked() -> None:
    freedom = 47
    scale = math.gamma((freedom + 1) / 2) / math.gamma(freedom / 2) / math.sqrt(freedom * math.pi)
    for chance in (0.1, 1e-3, 1e-6, 1e-9):
        beyond = np.linspace(student(chance, freedom), 60, 400_001)
        density = scale * (1 + beyond**2 / freedom) ** (-(freedom + 1) / 2)
        assert np.trapezoid(density, beyond) == pytest.approx(chance, rel=0.03)


def test_what_is_an_epoch_long_and_begins_in_the_middle_of_one_is_usual_too() -> None:
    of, runs, passed = reference(3, every=1, tokens=15_000, window=1 << 12), 40, 0
    for run in range(runs):
        begin = run * of.text_rows // runs
        rows = np.concatenate(list(islice(of.walk(1000 + run, 1), begin, begin + 4 * of.rows)))
        counts = sum(look(part, of.counts, 0).counts for part in np.split(rows, 4))
        passed += of.distance(np.asarray(counts)) > of.expected(1).distance.limit(0.1)
    assert passed <= quantile(0.999, runs, 0.1)


@pytest.mark.parametrize("draws", [12, 48])
def test_limits_learned_from_few_draws_are_passed_by_another_as_often_as_asked(draws: int) -> None:
    values = np.exp(np.random.default_rng(draws).normal(3, 0.02, (2000, draws + 1)))
    for chance in (0.2, 0.05):
        passed = sum(new > Usual.of(known).limit(chance) for *known, new in values)
        assert quantile(0.001, len(values), chance) <= passed <= quantile(0.999, len(values), chance)
