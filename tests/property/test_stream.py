"""The stream is a function of dataset, seed and journal: it can begin anywhere and says the same."""

from collections import Counter
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gnomon.base.errors import DataError, IntegrityError
from gnomon.data.streaming import source as source_module
from gnomon.data.streaming.pack import Layout, pack
from gnomon.data.streaming.rows import Rows
from gnomon.data.streaming.stream import Batch, Stream, rows_of, sample_rows, validation_by_source, validation_rows
from gnomon.events.journal import Decisions
from gnomon.store.datasets import Dataset
from tests.world import dataset_of, small_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("stream"), documents=60)


def same(a: Batch, b: Batch) -> bool:
    return (a.first_row, a.next_row, a.row_ids, a.loss_tokens) == (
        b.first_row,
        b.next_row,
        b.row_ids,
        b.loss_tokens,
    ) and all(
        torch.equal(x.tokens, y.tokens) and torch.equal(x.labels, y.labels)
        for x, y in zip(a.micros, b.micros, strict=True)
    )


def stream(dataset: Dataset, journal: list[dict[str, object]] | None = None, seed: int = 3, micro: int = 4) -> Stream:
    return Stream(dataset, 64, 8, micro, seed, Decisions(journal))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(start=st.integers(0, 40), skips=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50)), max_size=3))
def test_a_stream_begun_anywhere_equals_the_rest_of_the_whole(
    dataset: Dataset, start: int, skips: list[tuple[int, int]]
) -> None:
    free = stream(dataset)
    journal: list[dict[str, object]] = []
    whole: list[Batch] = []
    cursor = 0
    for number, batch in enumerate(islice(Stream(dataset, 64, 8, 4, 3, Decisions(journal)).batches(0), 45)):
        assert batch.first_row == cursor
        assert same(batch, next(free.batches(cursor))), "a skip moves the cursor and changes no row"
        whole.append(batch)
        cursor = batch.next_row
        for after, rows in skips:
            if after == number:
                journal.append({"at_row": cursor, "skip_rows": rows})
                cursor += rows
    resumed = stream(dataset, journal).batches(whole[start].next_row)
    for expected, got in zip(whole[start + 1 :], resumed, strict=False):
        assert same(expected, got)


def test_an_epoch_gives_every_token_once_with_its_true_successor(dataset: Dataset) -> None:
    whole = stream(dataset)
    split = dataset.split("train")
    expected = Counter()
    for i in range(split.documents):
        ids = [*split.tokens(i).tolist(), split.end_of_text]
        expected.update(pairwise(ids))
    got: Counter[tuple[int, int]] = Counter()
    taken = 0
    for batch in whole.batches(0):
        for rows in batch.micros:
            for row in range(len(rows.tokens)):
                if taken < whole.rows_per_epoch:
                    bears = rows.labels[row] != -100
                    got.update(zip(rows.tokens[row][bears].tolist(), rows.labels[row][bears].tolist(), strict=True))
                taken += 1
        if taken >= whole.rows_per_epoch:
            break
    assert got == expected
    assert sum(expected.values()) == split.n_tokens


def test_epochs_and_seeds_differ_in_order_only(dataset: Dataset) -> None:
    one = stream(dataset)
    count = one.rows_per_epoch

    def epoch(source: Stream, number: int) -> list[bytes]:
        rows = []
        for batch in islice(source.batches(number * count), -(-count // 8)):
            rows += [t.numpy().tobytes() for m in batch.micros for t in m.tokens]
        return rows[:count]

    first, second, other = epoch(one, 0), epoch(one, 1), epoch(stream(dataset, seed=4), 0)
    assert Counter(first) == Counter(second) == Counter(other)
    assert first != second
    assert first != other


def test_micro_batches_cut_the_same_rows_differently(dataset: Dataset) -> None:
    a, b = next(stream(dataset, micro=8).batches(16)), next(stream(dataset, micro=3).batches(16))
    assert [len(m.tokens) for m in b.micros] == [3, 3, 2]
    assert torch.equal(torch.cat([m.tokens for m in a.micros]), torch.cat([m.tokens for m in b.micros]))
    assert a.loss_tokens == b.loss_tokens


def test_validation_is_the_whole_split_in_a_fixed_order(dataset: Dataset) -> None:
    split = dataset.split("validation")
    assert sum(rows.loss_tokens for rows in validation_rows(dataset, 64, 4, None)) == split.n_tokens
    part = list(validation_rows(dataset, 64, 1, 65))
    assert len(part) == 2
    assert torch.equal(part[0].tokens, next(validation_rows(dataset, 64, 1, None)).tokens)


def as_tuples(rows: Rows) -> list[tuple[int, ...]]:
    """Return tokens, labels and positions of each row."""
    return [tuple(row) for row in torch.cat([rows.tokens, rows.labels, rows.positions], dim=1).tolist()]


def test_sampled_rows_are_rows_of_the_text_and_always_the_same(dataset: Dataset) -> None:
    split = dataset.split("train")
    every = {row for rows in rows_of(split, 64, 4, None) for row in as_tuples(rows)}
    few, many = (as_tuples(sample_rows(split, 64, count)) for count in (5, 2 * len(every) + 1))
    assert len(set(few)) == 5 and many[:5] == few
    assert set(many) == every


def test_a_text_smaller_than_a_batch_is_refused_with_the_way_out(dataset: Dataset) -> None:
    with pytest.raises(DataError, match="one batch needs 100,000") as caught:
        Stream(dataset, 64, 100_000, 4, 0, Decisions())
    assert "train.batch_tokens" in str(caught.value.do)


def test_rows_are_filled(dataset: Dataset) -> None:
    split, source = dataset.split("train"), stream(dataset)
    assert source.rows_per_epoch == int(np.ceil(split.n_tokens / 64))


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), max_size=12), st.integers(0, 20))
def test_where_the_stream_goes_on_depends_on_the_row_alone(
    dataset: Dataset, entries: list[tuple[int, int]], row: int
) -> None:
    journal: list[dict[str, object]] = [{"at_row": a, "skip_rows": n} for a, n in entries]
    first = next(stream(dataset, journal).batches(row)).first_row
    assert next(stream(dataset, journal).batches(first)).first_row == first, "a resumed run skips no more"
    again: list[dict[str, object]] = [
        *journal,
        *[{"at_row": a, "skip_rows": n + 1} for a, n in entries],
        {"at_row": row},
    ]
    assert next(stream(dataset, again).batches(row)).first_row == first, "a decision taken again changes nothing"


def test_a_skip_journalled_while_the_stream_runs_counts_from_the_next_batch_on(dataset: Dataset) -> None:
    journal: list[dict[str, object]] = []
    batches = stream(dataset, journal).batches(0)
    assert next(batches).next_row == 8
    journal.append({"at_row": 8, "skip_rows": 16})
    assert next(batches).first_row == 24
    assert next(batches).first_row == 32


def test_each_piece_begins_at_position_0_and_goes_on_by_ones(dataset: Dataset) -> None:
    for batch in islice(stream(dataset).batches(0), 6):
        for rows in batch.micros:
            begins = torch.ones_like(rows.segments, dtype=torch.bool)
            begins[:, 1:] = rows.segments[:, 1:] != rows.segments[:, :-1]
            assert (rows.positions[begins] == 0).all()
            steps = rows.positions[:, 1:] - rows.positions[:, :-1]
            assert (steps[~begins[:, 1:]] == 1).all()
            assert ((rows.segments == -1) == (rows.labels == -100)).all()


stages = st.lists(st.tuples(st.integers(1, 400), st.sampled_from([8, 9, 16, 24, 32, 64])), max_size=4)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(later=stages, first=st.sampled_from([8, 13, 32]), row=st.integers(0, 500))
def test_pieces_cut_short_hold_the_same_tokens_and_see_less(
    dataset: Dataset, later: list[tuple[int, int]], first: int, row: int
) -> None:
    lengths = [(0, first), *sorted(later)]
    cut = Stream(dataset, 64, 8, 4, 3, Decisions(), lengths=lengths).take(row)
    whole = stream(dataset).take(row)
    longest = next(most for at, most in reversed(lengths) if at <= row)
    assert same(cut, whole) and cut.evenness == whole.evenness
    for a, b in zip(cut.micros, whole.micros, strict=True):
        text = b.segments >= 0
        assert torch.equal(a.positions[text], b.positions[text] % longest)
        begins = (a.positions == 0) & text
        assert torch.equal(a.segments[text], (begins.cumsum(1) - 1)[text].int()), "a piece begins at every cut"


def test_a_pass_over_many_windows_packs_each_once(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "WINDOW_DOCUMENTS", 5)
    packed: list[int] = []

    def counted(lengths: np.ndarray, length: int, stride: int | None, *, uncut: bool) -> Layout:
        packed.append(len(lengths))
        return pack(lengths, length, stride, uncut=uncut)

    monkeypatch.setattr(source_module, "pack", counted)
    source = stream(dataset)
    assert packed == [], "opening a stream packs nothing"
    for batch in source.batches(0):
        if batch.next_row >= source.rows_per_epoch:
            break
    documents = dataset.split("train").documents
    windows = -(-documents // 5)
    assert windows <= len(packed) <= windows + 1, "the last batch may reach into the next epoch"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(tmp_path_factory.mktemp("sources"), {"a": 90, "b": 40, "c": 9})


def several(dataset: Dataset, **options: Any) -> Stream:
    return Stream(dataset, 16, 8, 4, 3, Decisions(), **options)


weights = st.lists(st.sampled_from([0.0, 0.01, 1.0, 2.5]), min_size=3, max_size=3).filter(any)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
@given(first=weights, later=weights, steps=st.integers(1, 90), stride=st.sampled_from([None, 1, 9]))
def test_what_is_foretold_of_the_sources_is_what_is_served(
    sources: Dataset, first: list[float], later: list[float], steps: int, stride: int | None
) -> None:
    stages = [(0, dict(zip("abc", first, strict=True))), (200, dict(zip("abc", later, strict=True)))]
    foretold = several(sources, weights=stages, stride=stride).shares(steps * 8)
    batches = list(islice(several(sources, weights=stages, stride=stride).batches(0), steps))
    assert [batch.accept for batch in batches] == [batch.first_row <= 200 < batch.next_row for batch in batches]
    rows = Counter(source for batch in batches for source in batch.row_sources)
    tokens: Counter[int] = Counter()
    for batch in batches:
        labels = torch.cat([micro.labels for micro in batch.micros])
        for source, row in zip(batch.row_sources, labels, strict=True):
            tokens[source] += int((row != -100).sum())
    assert [(share.rows, share.tokens) for share in foretold] == [(rows[i], tokens[i]) for i in range(3)]
    assert sum(share.share for share in foretold) == pytest.approx(1)
    for share, split in zip(foretold, sources.sources("train").values(), strict=True):
        assert share.epochs == pytest.approx(share.tokens / split.n_tokens)


def test_each_source_gives_every_token_once_before_any_comes_again(
    sources: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "WINDOW_DOCUMENTS", 8)
    seen: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    for batch in islice(several(sources, weights=[(0, {"a": 1, "b": 3, "c": 0.5})]).batches(0), 220):
        rows = torch.cat([micro.tokens for micro in batch.micros])
        for source, row in zip(batch.row_sources, rows, strict=True):
            seen[source].append(row.numpy().tobytes())
    for source, split in enumerate(sources.sources("train").values()):
        every = Counter(row.numpy().tobytes() for rows in rows_of(split, 16, 4, None) for row in rows.tokens)
        epoch = every.total()
        epochs = [seen[source][at : at + epoch] for at in range(0, len(seen[source]), epoch)]
        assert len(epochs) > 1
        for one in epochs[:-1]:
            assert Counter(one) == every
        assert Counter(epochs[-1]) <= every
        if source < 2:  # has several windows, of 10 to 20 rows
            assert (Counter(epochs[0][:5]) & Counter(epochs[1][:20])).total() < 5, "another window comes first"


def test_without_weights_each_source_has_that_of_its_tokens(sources: Dataset) -> None:
    stream = several(sources)
    for share in stream.shares(stream.rows_per_epoch * 1000):
        assert share.epochs == pytest.approx(1000, rel=2e-3)


def test_weights_journalled_while_the_stream_runs_count_from_the_next_block_on(sources: Dataset) -> None:
    stream = several(sources)
    batches = stream.batches(0)
    assert set(source for batch in islice(batches, 3) for source in batch.row_sources) == {0, 1, 2}
    stream.decisions.entries.append({"at_row": 24, "weights": {"b": 1.0}})
    coming = list(islice(batches, 60))
    assert set(source for batch in coming[29:] for source in batch.row_sources) == {1}
    assert set(source for batch in coming[:29] for source in batch.row_sources) == {0, 1, 2}


def test_validation_takes_of_each_source_in_proportion(sources: Dataset) -> None:
    found = validation_by_source(sources, 16, 1, 300)
    splits = sources.sources("validation")
    every = sum(split.n_tokens for split in splits.values())
    for name, rows in found.items():
        tokens = sum(micro.loss_tokens for micro in rows)
        assert 300 * splits[name].n_tokens / every <= tokens < 300 * splits[name].n_tokens / every + 17
    assert sum(micro.loss_tokens for micro in validation_rows(sources, 16, 4, None)) == every


def test_a_journal_with_weights_of_another_text_is_refused(sources: Dataset) -> None:
    journal: list[dict[str, object]] = [{"at_row": 0, "weights": {"z": 1.0}}]
    with pytest.raises(IntegrityError, match="there is no source 'z'"):
        Stream(sources, 16, 8, 4, 3, Decisions(journal)).take(0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=12)
@given(row=st.integers(0, 5000), rows=st.integers(1, 12))
def test_the_spans_of_rows_are_the_tokens_that_are_served(sources: Dataset, row: int, rows: int) -> None:
    stream = Stream(sources, 16, rows, rows, 3, Decisions(), weights=[(0, {"a": 1, "b": 2, "c": 0.1})])
    (micro,) = stream.take(row).micros
    served = [r[s >= 0].tolist() for r, s in zip(micro.tokens, micro.segments, strict=True)]
    told: list[list[int]] = [[] for _ in range(rows)]
    for span in stream.spans(row, rows):
        split = sources.sources("train")[span.source]
        assert split.known([span.document])[0]["id"] == span.id
        told[span.row - row] += split.tokens(span.document)[span.start : span.stop].tolist()
    assert told == served


@pytest.mark.parametrize("stride", [1, 5, 12, 15])
def test_with_a_stride_every_token_bears_its_loss_once_an_epoch_and_sees_what_came_before_it(
    sources: Dataset, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "WINDOW_DOCUMENTS", 8)
    for number, (name, split) in enumerate(sources.sources("train").items()):
        weights = [(0, {name: 1})]
        rows = several(sources, weights=weights, stride=stride)._rows[number].per_epoch
        stream = Stream(sources, 16, rows, rows, 3, Decisions(), weights=weights, stride=stride)
        lengths = np.diff(split.offsets.astype(int))
        assert ((lengths > 16).any() and (lengths <= 16).any()) or number == 2
        bears: Counter[tuple[int, int]] = Counter()
        (micro,) = stream.take(0).micros
        labels, at, row = micro.labels.tolist(), 0, 0
        for span in stream.spans(0, rows):
            at, row = (at, row) if span.row == row else (0, span.row)
            here = labels[row][at : at + span.stop - span.start]
            ids = [*split.tokens(span.document).tolist(), split.end_of_text]
            seen = 16 - stride if span.start and lengths[span.document] > 16 else 0
            assert here == [-100] * seen + ids[span.start + seen + 1 : span.stop + 1]
            bears.update((span.document, place) for place in range(span.start + seen, span.stop))
            at += len(here)
        assert bears == Counter((d, place) for d, length in enumerate(lengths) for place in range(length))
        assert micro.loss_tokens == int((micro.labels != -100).sum()) == split.n_tokens


def test_with_a_stride_that_no_document_needs_nothing_is_other(sources: Dataset) -> None:
    for a, b in zip(
        islice(Stream(sources, 512, 2, 2, 3, Decisions()).batches(0), 40),
        islice(Stream(sources, 512, 2, 2, 3, Decisions(), stride=100).batches(0), 40),
        strict=True,
    ):
        assert same(a, b)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
@given(row=st.integers(0, 10**6), ranks=st.sampled_from([1, 3, 4]))
def test_with_a_stride_too_it_begins_anywhere_and_the_batch_counts_the_tokens_of_all(
    sources: Dataset, row: int, ranks: int
) -> None:
    whole = several(sources, stride=9).take(row)
    parts = [Stream(sources, 16, 8, 4, 3, Decisions(), rank, ranks, stride=9).take(row) for rank in range(ranks)]
    labels = torch.cat([rows.labels for part in parts for rows in part.micros])
    assert {part.loss_tokens for part in parts} == {whole.loss_tokens} == {int((labels != -100).sum())}
    assert torch.equal(labels, torch.cat([rows.labels for rows in whole.micros]))
