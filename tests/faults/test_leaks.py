"""A thousand saves, steps and batches leave memory, handles and threads as they were, here and in the writer."""

from dataclasses import dataclass
from pathlib import Path

import psutil

from gnomon.train.act import act
from gnomon.train.hands import settle
from gnomon.train.step import step
from tests.world import Started, start

SAVES, WARM_UP = 1000, 300
GROWTH = 0.01


@dataclass(frozen=True)
class Held:
    """What a process holds; memory in bytes."""

    memory: int
    handles: int
    threads: int


def held(process: psutil.Process) -> Held:
    return Held(process.memory_info().rss, process.num_fds(), process.num_threads())


def save_once(one: Started) -> None:
    step(one.state, one.hands.loader.take(one.state.row))
    outcome = one.hands.saver.begin(one.state, "rolling", {}, one.hands.journal) or one.hands.saver.wait()
    assert outcome is not None and outcome.error is None, outcome
    settle(outcome, one.state, one.hands)
    act([], one.state, one.hands)
    one.seen.clear()


def test_a_thousand_saves_leave_memory_handles_and_threads_as_they_were(tmp_path: Path) -> None:
    one = start(tmp_path, background_saves=True, loader_workers=2, keep_last=2)
    for _ in range(WARM_UP):
        save_once(one)
    trainer = psutil.Process()
    (writer,) = (p for p in trainer.children() if "gnomon.store.writer" in p.cmdline())
    before = held(trainer), held(writer)
    for _ in range(SAVES - WARM_UP):
        save_once(one)
    after = held(trainer), held(writer)
    for name, was, is_ in zip(("trainer", "writer"), before, after, strict=True):
        print(f"{name}: {was.memory / 2**20:.1f} MiB after {WARM_UP} saves, {is_.memory / 2**20:.1f} after {SAVES}")
        assert is_.memory <= was.memory * (1 + GROWTH)
        assert (is_.handles, is_.threads) == (was.handles, was.threads)
    assert len(one.run.checkpoints.all()) == 2
    one.close()
    assert not writer.is_running()
