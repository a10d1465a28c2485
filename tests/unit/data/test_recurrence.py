"""Rows that came too often are those that a slow Counter says."""

import math
from collections import Counter
from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.monitoring import recurrence
from gnomon.data.monitoring.recurrence import Recurred, Recurrence
from gnomon.data.monitoring.shift import fingerprints

LENGTH = 40


class Slow:
    """The same, a row at a time: which rows are counted goes by their fingerprints, as there."""

    def __init__(self, text_rows: int, tracked: int) -> None:
        self.text_rows, self.tracked, self.seen, self.one_in = text_rows, tracked, 0, 1
        while self.one_in * tracked < text_rows:
            self.one_in *= 2
        self.times, self.window = Counter[int](), list[tuple[int, int, list[int]]]()

    def add(self, rows: np.ndarray, spread: list[float], whole: bool) -> None:
        columns = [int(i * (LENGTH - 1) / 31) for i in range(32)]
        for row, wide in zip(rows, spread, strict=True):
            self.seen += 1
            epochs = self.seen * wide / self.text_rows
            usual = math.ceil(epochs) if whole else math.ceil(1.1 * epochs) + 1
            key = int(fingerprints(row[None, columns])[0])
            if (key >> 32) % self.one_in == 0:
                self.window.append((key, usual, row[:24].tolist()))

    def close(self) -> tuple[int, int, int, list[int]]:
        excess, times, most = 0, 0, list[int]()
        for key, usual, head in self.window:
            self.times[key] += 1
            if self.times[key] > usual:
                excess += 1
                if self.times[key] > times:
                    times, most = self.times[key], head
        counted, self.window = len(self.window), []
        while len(self.times) > 2 * self.tracked:
            self.one_in *= 2
            self.times = Counter({key: n for key, n in self.times.items() if (key >> 32) % self.one_in == 0})
        return counted, excess, times, most


def said(found: Recurred) -> tuple[int, int, int, list[int]]:
    return found.counted, found.excess, found.times if found.excess else 0, found.head.tolist() if found.excess else []


@given(
    seed=st.integers(0, 1 << 32),
    text_rows=st.one_of(st.integers(1, 8), st.integers(1, 80)),
    tracked=st.sampled_from([4, 1 << 17]),
    windows=st.lists(
        st.tuples(st.lists(st.integers(1, 20), min_size=1, max_size=3), st.booleans()), min_size=2, max_size=5
    ),
)
@settings(max_examples=40, deadline=None)
def test_recurrence_is_that_of_a_counter(
    seed: int, text_rows: int, tracked: int, windows: list[tuple[list[int], bool]]
) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 9, (int(rng.choice([3, 20, 60])), LENGTH))
    with patch.object(recurrence, "TRACKED", tracked):
        fast, slow = Recurrence(text_rows), Slow(text_rows, tracked)
        for sizes, whole in windows:
            for size in sizes:
                rows, spread = kinds[rng.integers(0, len(kinds), size)], rng.choice([1.0, 2.0], size)
                fast.add(rows, spread, whole)
                slow.add(rows, spread.tolist(), whole)
            assert said(fast.close()) == slow.close()
