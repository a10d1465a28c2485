"""Batches of changing size: the rows stay in order, and what is decided does not depend on when it is noticed."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gnomon.data.streaming.loader import Loader
from gnomon.data.streaming.stream import Batch, Stream
from gnomon.events.journal import Decisions
from gnomon.events.types import Replan, Request, RollBack, Stop
from gnomon.store.datasets import Dataset
from gnomon.train import act as act_module
from gnomon.train.act import act
from gnomon.train.parallel import ALONE
from tests.world import dataset_of, plain_state, small_dataset

PLANNED, END = 8, 400  # rows of the plan's batch; where a run ends
MOST_LAG = 4  # steps until an event is told
MOST_ROWS = 16
DELAY = (MOST_LAG + 1) * MOST_ROWS  # rows ahead that a size is asked for: no step has reached them when it is told

sizes = st.sampled_from([1, 2, 3, 4, 6, 8, 12, MOST_ROWS])
asks = st.lists(st.tuples(st.integers(0, END), sizes), max_size=8)
places = st.lists(st.integers(0, END), max_size=3)
ramps = st.lists(st.tuples(st.integers(1, END), sizes), max_size=3).map(lambda some: [(0, PLANNED), *sorted(some)])
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return small_dataset(tmp_path_factory.mktemp("sizes"), documents=60)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return dataset_of(tmp_path_factory.mktemp("sources"), {"a": 200, "b": 100, "c": 30})


@dataclass
class Sketch:
    """A run without a model: real decisions, a real stream, and a path of (first row, rows).

    With rows, what is asked for are also the length of pieces and the weights of the sources.
    """

    dataset: Dataset
    ramp: list[tuple[int, int]]
    asks: list[tuple[int, int]]  # the step that has this row asks for so many rows
    bad: list[int]  # the step that has this row is refused
    skips: list[tuple[int, int]]
    lag: int  # steps until events are told
    every: int  # steps between checkpoints
    kills: list[int]  # after so many steps, those taken again included
    path: list[tuple[int, int]] = field(default_factory=list)
    row: int = 0
    step: int = 0
    exact: bool = False

    def __post_init__(self) -> None:
        self.decisions = Decisions([{"at_row": at, "skip_rows": rows} for at, rows in self.skips])
        self.stream = Stream(self.dataset, 64, PLANNED, 4, 3, self.decisions, ramp=self.ramp)
        self.saved: list[tuple[int, list[tuple[int, int]], int]] = []
        self.hands: Any = SimpleNamespace(
            journal=SimpleNamespace(
                entries=self.decisions.entries,
                add=self.decisions.entries.append,
                in_force=self.decisions.in_force,
                decided=self.decisions.decided,
                micro_rows=self.decisions.micro_rows,
            ),
            bus=SimpleNamespace(publish=lambda _: None),
            loader=SimpleNamespace(stream=self.stream),
            world=ALONE,
            micro_rows=4,
        )

    def train(self) -> list[tuple[int, int]]:
        """Run to the end and return the path."""
        waiting: list[int] = []  # places in the path
        taken = 0
        while True:
            if self.row >= END:
                if not self.tell(waiting):
                    return self.path
                continue
            first, rows = self.decisions.after_skips(self.row), self.stream.rows_at(self.row)
            self.path.append((first, rows))
            self.row, self.step, taken = self.stream.after(self.row), self.step + 1, taken + 1
            waiting.append(len(self.path) - 1)
            if taken in self.kills:
                waiting = []
                self.restore()
            elif len(waiting) >= self.lag:
                self.tell(waiting)
            if self.step % self.every == 0 and not self.tell(waiting):
                self.saved.append((self.row, list(self.path), len(self.decisions.entries)))

    def tell(self, waiting: list[int]) -> bool:
        """Have everything carried out that is asked for after these steps; return whether the run went back.

        As in a real run, it is two steps after a bad one that going back is asked for.
        """
        asked: list[Request] = []
        for place in waiting:
            (first, rows), (begin, size) = self.path[place], self.path[max(0, place - 2)]
            here, after = range(first, first + rows), first + DELAY
            if place >= 2 and any(begin <= bad < begin + size for bad in self.bad):
                skip = first + rows - begin
                asked.append(RollBack(why="", at_row=begin, skip_rows=skip, rate_factor=0.5, rate_rows=20))
            asked += [
                Replan(
                    why="",
                    rows_per_step=size,
                    length=4 + size % 3,
                    weights={"a": 1.0, "b": size, "c": row % 7} if len(self.stream.sources) > 1 else None,  # pyright: ignore[reportArgumentType]
                    at_row=after + row * 13 % 64,
                    seen_row=first + rows,
                )
                for row, size in self.asks
                if row in here
            ]  # sooner or later, in no order
        waiting.clear()
        before = len(self.path), self.row
        with patch.object(act_module, "roll_back", self.roll_back):
            act(asked, self, self.hands)  # pyright: ignore[reportArgumentType]
        return (len(self.path), self.row) != before

    def roll_back(self, request: RollBack, *_: object) -> Stop | None:
        self.decisions.entries.append({"roll_back": True, "at_row": request.at_row, "skip_rows": request.skip_rows})
        self.restore()

    def restore(self) -> None:
        whole = [one for one in self.saved if self.decisions.allow(one[0], len(one[1]), one[2])]
        self.saved = whole
        self.row, path, _ = whole[-1] if whole else (0, [], 0)
        self.path = list(path)
        self.step = len(path)


timings = st.tuples(st.integers(1, MOST_LAG), st.integers(1, 9), st.lists(st.integers(1, 120), max_size=3))


@quick
@given(
    ramp=ramps,
    wanted=asks,
    bad=places,
    skips=st.lists(st.tuples(st.integers(0, 60), sizes), max_size=2),
    a=timings,
    b=timings,
)
def test_however_late_it_is_noticed_wherever_it_is_killed_a_run_serves_the_same_batches(
    dataset: Dataset,
    ramp: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    bad: list[int],
    skips: list[tuple[int, int]],
    a: tuple[int, int, list[int]],
    b: tuple[int, int, list[int]],
) -> None:
    one, other = (Sketch(dataset, ramp, wanted, bad, skips, *timing) for timing in (a, b))
    path = one.train()
    assert path == other.train()
    jumps = {e["at_row"]: e["skip_rows"] for e in reversed(one.decisions.entries) if "skip_rows" in e}
    for (first, rows), (following, _) in pairwise([(0, 0), *path]):
        row = first + rows
        while row != following:
            row += jumps[row]  # every row is served, in order and once, but for what was decided to be left out
    served = {row for first, rows in path for row in range(first, first + rows)}
    assert not served & {row for row in bad if row < END - 3 * MOST_ROWS}, (
        "what the run went back for is not served again"
    )


def mixture(one: Sketch, path: list[tuple[int, int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return the length and the weights of every batch of a path."""
    stream = one.stream
    length = lambda row: one.decisions.in_force("length", row, stream.planned["length"])  # noqa: E731
    return [(length(row), stream.mix().parts(row)) for row, _ in path]


@settings(parent=quick, max_examples=60)
@given(ramp=ramps, wanted=asks, bad=places, a=timings, b=timings)
@example(ramp=[(0, 8)], wanted=[(1, 2), (32, 12), (180, 3), (183, 1)], bad=[8], a=(1, 1, []), b=(1, 2, [42]))
def test_length_and_weights_too_are_the_same_however_late_it_is_noticed_wherever_it_is_killed(
    sources: Dataset,
    ramp: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    bad: list[int],
    a: tuple[int, int, list[int]],
    b: tuple[int, int, list[int]],
) -> None:
    one, other = (Sketch(sources, ramp, wanted, bad, [], *timing) for timing in (a, b))
    path = one.train()
    assert path == other.train()
    assert mixture(one, path) == mixture(other, path)
    for key in ("length", "weights"):
        decided = [e["at_row"] for e in one.decisions._kept(key)]
        assert len(decided) == len(set(decided)), "what is decided again is not written again"


def test_what_is_so_already_is_not_decided(sources: Dataset) -> None:
    one = Sketch(sources, [(0, PLANNED)], [(0, PLANNED), (105, PLANNED)], [], [], 1, 50, [30])
    one.train()
    assert [sorted(set(e) - {"at_row", "seen_row", "why"}) for e in one.decisions.entries] == [["length"], ["weights"]]


@quick
@given(ramp=ramps, wanted=asks, bad=places, timing=timings, start=st.integers(0, 200))
def test_the_batches_after_any_step_follow_from_the_journal_alone(
    dataset: Dataset,
    ramp: list[tuple[int, int]],
    wanted: list[tuple[int, int]],
    bad: list[int],
    timing: tuple[int, int, list[int]],
    start: int,
) -> None:
    one = Sketch(dataset, ramp, wanted, bad, [], *timing)
    path = one.train()
    begin = start % len(path)
    row, again = sum(path[begin - 1]) if begin else 0, []
    fresh = Stream(dataset, 64, PLANNED, 4, 3, Decisions(list(one.decisions.entries)), ramp=ramp)
    for _ in path[begin:]:
        again.append((fresh.decisions.after_skips(row), fresh.rows_at(row)))
        row = fresh.after(row)
    assert again == path[begin:]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(ramp=ramps, entries=asks, workers=st.sampled_from([0, 2]), processes=st.sampled_from([1, 2, 3]))
def test_a_row_is_the_same_in_a_batch_of_any_size_and_the_processes_have_equal_shares_of_it(
    dataset: Dataset, ramp: list[tuple[int, int]], entries: list[tuple[int, int]], workers: int, processes: int
) -> None:
    ramp = [(at, rows * processes) for at, rows in ramp]
    journal = [{"at_row": at, "rows_per_step": rows * processes} for at, rows in entries]
    whole = Stream(dataset, 64, 1, 1, 3, Decisions())

    def share(rank: int) -> list[Batch]:
        make = lambda: Stream(dataset, 64, 8, 4, 3, Decisions(journal), rank, processes, ramp)  # noqa: E731
        loader, row, batches = Loader(make, workers), 0, []
        while row < 60:
            batches.append(loader.take(row))
            row = batches[-1].next_row
        loader.close()
        return batches

    for dealt in zip(*map(share, range(processes)), strict=True):
        first = dealt[0]
        assert {(b.row_ids, b.loss_tokens, b.rate_factor, b.share) for b in dealt} == {
            (first.row_ids, first.loss_tokens, first.rate_factor, first.share)
        }
        assert len({sum(len(rows.tokens) for rows in b.micros) for b in dealt}) == 1
        assert first.rate_factor == pytest.approx((len(first.row_ids) / 8) ** 0.5, rel=1e-12)
        assert first.share * 8 == len(first.row_ids)
        got = torch.cat([rows.labels for b in dealt for rows in b.micros])
        expected = torch.cat([whole.take(row).micros[0].labels for row in first.row_ids])
        assert torch.equal(got, expected)


@settings(parent=quick, max_examples=30)
@given(ramp=ramps, wanted=asks, steps=st.integers(1, END // PLANNED - 1))
def test_a_run_of_any_sizes_ends_within_one_batch_of_its_budget(
    dataset: Dataset, ramp: list[tuple[int, int]], wanted: list[tuple[int, int]], steps: int
) -> None:
    decisions = Decisions([{"at_row": at, "rows_per_step": rows} for at, rows in wanted])
    stream = Stream(dataset, 64, PLANNED, 4, 3, decisions, ramp=ramp)
    state, row, last = plain_state(), 0, 0
    state.schedule = replace(state.schedule, steps=steps)
    while not state.finished:
        last = stream.rows_at(row)
        state.done, row = state.done + last / PLANNED, stream.after(row)
    assert row - last < steps * PLANNED <= row
