"""Random histories: any number of processes and loader threads, kills, roll-backs, and weights, lengths and batch sizes
that change on the way, with and without windows that overlap. Every batch is that of one process which nobody stopped.

GNOMON_SOAK=1 goes through 1,000 of them.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.base.files import canonical_json
from gnomon.base.progress import silent
from gnomon.config import DataConfig, TokenizerConfig
from gnomon.data.prepare import prepare
from gnomon.data.streaming import mix as mix_module
from gnomon.data.streaming import source as source_module
from gnomon.data.streaming.loader import Loader
from gnomon.data.streaming.mix import PARTS
from gnomon.data.streaming.rows import IGNORE, Rows
from gnomon.data.streaming.stream import Stream
from gnomon.events.journal import Decisions
from gnomon.store.datasets import Dataset
from tests.world import dataset_of, write_structured

HISTORIES = 1000 if os.environ.get("GNOMON_SOAK") else 150
LENGTH, PLANNED, END = 16, 32, 600  # tokens of a row, rows of a batch, rows of a run
SEED, MICRO = 5, 4
SOURCES = {"books": 70, "code": 30, "letters": 9, "rare": 1}

LONGER = 120  # tokens of a row of conversations and questions
STRUCTURED = {"texts": 60, "chat": 24, "asked": 40}
NAMES = ("tokens", "labels", "positions")

Served = tuple[tuple[int, ...], tuple[int, ...], int, dict[str, int], tuple[bytes, ...]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "WINDOW_DOCUMENTS", 16)
        patch.setattr(mix_module, "BLOCK_ROWS", 64)
        patch.setattr(mix_module, "CYCLE_BLOCKS", PARTS // 64)
        patch.setattr(mix_module, "_shares", lru_cache(64)(mix_module._shares.__wrapped__))
        yield dataset_of(tmp_path_factory.mktemp("histories"), SOURCES)


@pytest.fixture(scope="module")
def structured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source_module, "WINDOW_DOCUMENTS", 16)
        folder = tmp_path_factory.mktemp("structured")
        yield prepare(DataConfig.model_validate(write_structured(folder)), TokenizerConfig(), 512, silent)


@dataclass
class Run:
    """Serves a history; `plan` says what is decided once a row is reached, `bad` rows make it go back."""

    dataset: Dataset
    plan: dict[int, dict[str, Any]]
    bad: list[int]
    stride: int | None = None
    ranks: int = 1
    workers: int = 0
    every: int = 1  # steps between checkpoints
    kills: tuple[int, ...] = ()  # after so many steps, those that are served again included
    length: int = LENGTH
    served: list[Served] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decisions = Decisions()
        self.saved: list[tuple[int, int, int]] = [(0, 0, 0)]  # row, step, decisions that were known
        self.loaders: list[Loader] = []
        self.begin()

    def begin(self) -> None:
        """Begin anew as a process does: nothing is left but the journal's lines."""
        for loader in self.loaders:
            loader.close()
        self.decisions = Decisions([json.loads(canonical_json(entry)) for entry in self.decisions.entries])
        self.loaders = [Loader(lambda rank=rank: self.stream(rank), self.workers) for rank in range(self.ranks)]

    def stream(self, rank: int) -> Stream:
        """Return what a process serves."""
        first, second, *others = self.dataset.sources("train")
        weights = [(0, {first: 2.0, second: 1.0}), (300, {first: 1, second: 1, others[0]: 1, others[-1]: 0.01})]
        return Stream(
            self.dataset, self.length, PLANNED, MICRO, SEED, self.decisions, rank, self.ranks,
            ramp=[(0, 8), (40, PLANNED)], lengths=[(0, 5), (200, self.length)], weights=weights, stride=self.stride,
        )  # fmt: skip

    def run(self) -> list[Served]:
        """Serve every batch and return them."""
        row = taken = 0
        while row < END:
            shares = [loader.take(row) for loader in self.loaders]
            first, after = shares[0], shares[0].next_row
            assert len({(s.row_ids, s.row_sources, s.loss_tokens, s.rate_factor) for s in shares}) == 1
            assert all(share.labelled == first.labelled for share in shares)
            micros = [rows for share in shares for rows in share.micros]
            assert first.loss_tokens == sum(int((rows.labels != IGNORE).sum()) for rows in micros)
            contents = tuple(torch.cat([getattr(rows, name) for rows in micros]).numpy().tobytes() for name in NAMES)
            contents += known(micros, self.length)
            self.served.append((first.row_ids, first.row_sources, first.loss_tokens, dict(first.labelled), contents))
            row, taken = after, taken + 1
            if taken in self.kills:
                row = self.restore()
                self.begin()
                continue
            for reached, what in self.plan.items():
                if reached in first.row_ids:
                    at = after + what["later"]
                    entry = {k: v for k, v in what.items() if k != "later"}
                    self.decisions.entries.append({"at_row": at, "seen_row": after, **entry})
            if any(at in first.row_ids for at in self.bad):
                back = {"roll_back": True, "at_row": first.first_row, "skip_rows": after - first.first_row}
                self.decisions.entries.append(back)
                row = self.restore()
            elif len(self.served) % self.every == 0:
                self.saved.append((row, len(self.served), len(self.decisions.entries)))
        for loader in self.loaders:
            loader.close()
        return self.served

    def restore(self) -> int:
        """Go back to the newest checkpoint that is part of the run; return its row."""
        self.saved = [one for one in self.saved if self.decisions.allow(*one)]
        row, step, _ = self.saved[-1]
        del self.served[step:]
        return row


def known(micros: list[Rows], length: int) -> tuple[bytes, ...]:
    """Return the labels of all micro-batches by their places in the batch."""
    found, before = list[tuple[torch.Tensor, ...]](), 0
    for rows in micros:
        if (t := rows.targets) is not None:
            found.append((t.places + before, t.kinds, t.router, t.weight, t.coarse, t.fine))
        before += len(rows.tokens) * length
    return tuple(torch.cat(parts).numpy().tobytes() for parts in zip(*found, strict=True))


def history(
    draw: random.Random, sources: dict[str, int] = SOURCES, length: int = LENGTH
) -> tuple[dict[int, dict[str, Any]], list[int]]:
    """Return what is decided where, and the rows that make a run go back."""

    def weights() -> dict[str, float]:
        some = draw.sample(list(sources), draw.randrange(1, len(sources) + 1))
        return {name: draw.choice([0.0, 0.001, 1.0, draw.random()]) for name in some} | {some[0]: 1.0}

    kinds = [
        lambda: {"weights": weights()},
        lambda: {"length": draw.randrange(1, length + 4)},
        lambda: {"rows_per_step": draw.choice([5, 8, 13, 32, 64, 100])},
        lambda: {"micro_rows": draw.randrange(1, MICRO + 1)},
    ]
    plan = {draw.randrange(END): draw.choice(kinds)() | {"later": draw.choice([0, 0, 5, 64])} for _ in range(7)}
    if draw.random() < 0.5:
        plan[draw.randrange(END)] = {"skip_rows": draw.randrange(1, 300), "later": 0}
    return plan, [draw.randrange(END) for _ in range(draw.randrange(3))]


def test_every_batch_is_that_of_one_process_that_nobody_stopped(dataset: Dataset) -> None:
    began, largest = time.monotonic(), 0
    sources: set[int] = set()
    for number in range(HISTORIES):
        draw = random.Random(number)
        plan, bad = history(draw)
        stride = draw.choice([None, None, 6, 13])
        expected = Run(dataset, plan, bad, stride).run()
        kills = tuple(draw.sample(range(1, 30), draw.randrange(1, 4)))
        ranks, workers, every = draw.choice([1, 2, 3, 4, 7]), draw.choice([0, 1, 2, 4]), draw.randrange(1, 6)
        run = Run(dataset, plan, bad, stride, ranks, workers, every, kills)
        assert run.run() == expected, f"history {number}: {ranks} processes, {workers} workers, {plan}, {bad}, {kills}"
        largest = max(largest, sum(len(canonical_json(entry)) + 1 for entry in run.decisions.entries))
        sources.update(*(batch[1] for batch in expected))
    assert len(sources) == len(SOURCES)
    assert largest <= 4096, "journal and row are all there is to keep"
    print(f"{HISTORIES:,} histories in {time.monotonic() - began:.0f} s, the longest journal has {largest:,} bytes")


def test_masks_and_labels_are_those_of_one_process_too(structured: Dataset) -> None:
    labels, sources = 0, set[int]()
    for number in range(HISTORIES // 8):
        draw = random.Random(-1 - number)
        plan, bad = history(draw, STRUCTURED, LONGER)
        stride = draw.choice([None, None, 30, 90])
        expected = Run(structured, plan, bad, stride, length=LONGER).run()
        kills = tuple(draw.sample(range(1, 30), draw.randrange(1, 4)))
        ranks, workers, every = draw.choice([2, 3, 4, 7]), draw.choice([0, 1, 2]), draw.randrange(1, 6)
        run = Run(structured, plan, bad, stride, ranks, workers, every, kills, LONGER)
        assert run.run() == expected, f"history {number}: {ranks} processes, {workers} workers, {plan}, {bad}, {kills}"
        sources.update(*(batch[1] for batch in expected))
        labels += sum(sum(batch[3].values()) for batch in expected)
    assert len(sources) == len(STRUCTURED)
    assert labels > 0


def test_a_stream_begins_wherever_it_is_asked_to(tmp_path: Path) -> None:
    text = dataset_of(tmp_path, SOURCES)
    entries = [{"at_row": 10**9 * i, "weights": {"books": 1.0, "code": i + 0.5}} for i in range(10)]
    for row in (10**6, 10**9 + 7, 10**12 + 12345):
        batch = Stream(text, LENGTH, PLANNED, MICRO, SEED, Decisions(entries)).take(row)
        assert batch.row_ids[0] == row and len(batch.row_sources) == PLANNED
