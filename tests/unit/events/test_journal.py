"""A record that survives kills: torn lines cost themselves only, and a resumed run reads as one run."""

import errno
from pathlib import Path

from gnomon.base.disk import OpenFile, RealDisk
from gnomon.events.bus import Bus
from gnomon.events.journal import EventLog, Journal, read_events
from gnomon.events.types import Event, RunStarted, Save, StepDone


def step_done(step: int, loss: float) -> StepDone:
    return StepDone(
        step=step,
        loss=loss,
        grad_norm=1.0,
        lr=0.1,
        tokens=step,
        row=0,
        tokens_per_second=1.0,
        memory_bytes=1,
    )


def test_a_torn_last_line_costs_that_line_only(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    Journal(path).add({"at_row": 8, "skip_rows": 4})
    with path.open("ab") as f:
        f.write(b'{"at_row": 99, "skip')
    journal = Journal(path)
    journal.add({"at_row": 16, "skip_rows": 2})
    assert [e["at_row"] for e in Journal(path).entries] == [8, 16] == [e["at_row"] for e in journal.entries]


def test_events_read_back_as_the_newest_attempt_of_every_step(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    first, second = Bus([log], [], attempt=1), Bus([log], [], attempt=2)
    first.publish(RunStarted(run="r", step=0, steps=6))
    for i in range(1, 6):
        first.publish(step_done(i, float(i)))
    second.publish(RunStarted(run="r", step=3, steps=6, resumed_from="c"))
    for i in range(4, 7):
        second.publish(step_done(i, i + 0.5))
    steps = [e for e in read_events(tmp_path / "events.jsonl") if e["kind"] == "step"]
    assert [(e["step"], e["loss"], e["attempt"]) for e in steps] == [
        (1, 1.0, 1), (2, 2.0, 1), (3, 3.0, 1), (4, 4.5, 2), (5, 5.5, 2), (6, 6.5, 2),
    ]  # fmt: skip


def test_numbers_that_are_not_finite_survive_the_record(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    for loss in (float("nan"), float("inf"), 0.1 + 0.2):
        log(step_done(1, loss))
    losses = [e["loss"] for e in read_events(tmp_path / "events.jsonl")]
    assert losses[0] != losses[0]
    assert losses[1:] == [float("inf"), 0.1 + 0.2]


def test_events_wait_while_the_disk_takes_none_and_follow_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    log = EventLog(folder / "events.jsonl")
    for i in (1, 2):
        log(step_done(i, 1.0))
    folder.mkdir()
    log(step_done(3, 1.0))
    assert [e["step"] for e in read_events(folder / "events.jsonl")] == [1, 2, 3]


def test_a_sink_that_fails_is_left_out_and_the_others_go_on() -> None:
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise OSError("gone")

    bus = Bus([broken, seen.append], [lambda e: [Save(why="x")]], attempt=3)
    bus.publish(step_done(1, 1.0))
    bus.publish(step_done(2, 1.0))
    assert [e.attempt for e in seen] == [3, 3]
    assert [r.why for r in bus.ask(seen[0])] == ["x"]


def test_a_decision_that_the_disk_took_and_denied_counts_once(tmp_path: Path) -> None:
    disk = Denying()
    journal = Journal(tmp_path / "journal.jsonl", disk)
    for row in (8, 16, 24):
        disk.denies = row == 16
        journal.add({"at_row": row, "until_row": 99, "rate_factor": 0.5})
    read = Journal(tmp_path / "journal.jsonl")
    assert (tmp_path / "journal.jsonl").read_bytes().count(b'"at_row":16') == 2
    assert read.entries == journal.entries
    assert (len(read.entries), read.rate_factor(50)) == (3, 0.125)


class Denying(RealDisk):
    """A disk that takes all bytes and says of some that it has not."""

    denies = False

    def append(self, path: Path) -> OpenFile:
        file = super().append(path)
        if self.denies:
            file.sync = self.fail  # pyright: ignore[reportAttributeAccessIssue]
        return file

    def fail(self) -> None:
        raise OSError(errno.EIO, "denied")
