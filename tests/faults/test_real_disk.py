"""A real disk that is full, read-only, gone or limited in mid-run costs saves and never the run.

Needs leave to mount a file system: root's, or that of a namespace of its own, which this file makes where it can.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

import psutil
import pytest

from gnomon.base.errors import StorageError
from gnomon.events.journal import read_events
from gnomon.events.types import Check, Event, RollBack, SaveFailed
from gnomon.model.lm import LanguageModel
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.runs import Run
from gnomon.train.act import act
from gnomon.train.hands import settle
from gnomon.train.loop import run as train_loop
from gnomon.train.rollback import restore
from tests.world import Started, gnomon, small_config, start, write_corpus

STEPS = 39  # of 20K tokens
EARLY, LATE = 10, 22  # steps after which trouble begins and ends
SAVES = [4, 8, 10, 12, 16, 20, 24, 28, 30, 32, 36, 39]  # rolling ones every 4 steps; best ones every 10
IN_TROUBLE = [step for step in SAVES if EARLY <= step < LATE]

Act = Callable[[], object]
Trouble = Callable[[Path], AbstractContextManager[object]]
"""Of the folder that a run and its texts lie in."""


def mounted(folder: Path, size: str) -> bool:
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    return bool(shutil.which("mount")) and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 64 MiB."""
    folder = tmp_path / "disk"
    if not mounted(folder, "64m"):
        pytest.skip("mounting is not allowed here: use root, or `unshare -rm pytest tests/faults/test_real_disk.py`")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_all_of_this_in_a_namespace_of_its_own(tmp_path: Path) -> None:
    if mounted(tmp_path / "m", "1m"):
        subprocess.run(["umount", str(tmp_path / "m")], check=True)
        pytest.skip("mounting is allowed as it is")
    own = ["unshare", "-rm"]
    if not shutil.which("unshare") or subprocess.run([*own, "true"], capture_output=True, check=False).returncode:
        pytest.skip("neither mounting nor a namespace of its own is allowed here")
    inner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run([*own, *inner], capture_output=True, text=True, timeout=800, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the last checkpoint of a run that nothing happened to."""
    run = begin(tmp_path_factory.mktemp("undisturbed"))
    go(run, {})
    assert steps(run) == SAVES
    return last(run)


def begin(folder: Path, *, background: bool = False, keep_last: int = 50) -> Started:
    return start(folder, background_saves=background, save_every=4, validate_every=10, log_every=4, keep_last=keep_last)


def go(run: Started, at: dict[int, Act]) -> None:
    """Train to the end; `at` says what happens after which steps. Every save has ended before the next step."""

    def happen(_: LanguageModel, step: int) -> list[Event]:
        settle(run.hands.saver.wait(), run.state, run.hands)
        if step in at:
            at.pop(step)()
        return []

    try:
        restore(run.state, run.hands)
        assert train_loop(run.state, [Check("disk", 1, happen), *run.checks()], run.hands).reason == "finished"
    finally:
        run.close()


def steps(run: Started) -> list[int]:
    """Return the steps of the checkpoints, after making sure that each is whole and that nothing half-written stays."""
    store = run.run.checkpoints
    found = store.all()
    assert [c.damage() for c in found] == [[]] * len(found)
    assert {p.name for p in store.folder.iterdir()} - {"LATEST"} == {c.path.name for c in found}
    return [c.step for c in found]


def last(run: Started) -> dict[str, bytes]:
    """Return the files of the run's newest checkpoint, which is that of the last step."""
    newest = run.run.checkpoints.all()[-1]
    assert newest.step == STEPS
    return newest.read()


def failed(run: Started) -> dict[int, str]:
    return {e.step: e.why for e in run.events(SaveFailed)}


@contextlib.contextmanager
def full(folder: Path, leave: int = 0) -> Iterator[Path]:
    """Take the disk's room, but for `leave` bytes."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as f:
        while (free := shutil.disk_usage(folder).free - leave) > 0:
            f.write(bytes(min(1 << 16, free)))
    yield ballast
    ballast.unlink()


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield
    subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)


@contextlib.contextmanager
def run_away(folder: Path) -> Iterator[None]:
    (folder / "run").rename(folder / "away")
    yield
    assert not (folder / "run").exists(), "something was written where the run had been"
    (folder / "away").rename(folder / "run")


@contextlib.contextmanager
def checkpoints_unwritable(folder: Path) -> Iterator[None]:
    with unwritable(folder / "run" / "checkpoints"):
        yield


@contextlib.contextmanager
def run_unwritable(folder: Path) -> Iterator[None]:
    """Neither events nor checkpoints."""
    with unwritable(folder / "run" / "checkpoints"), unwritable(folder / "run" / "events.jsonl"):
        yield


@contextlib.contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Let nobody write: by the mode, and where the user is root, whom no mode stops, by the file system's attribute."""
    root, mode = os.geteuid() == 0, path.stat().st_mode
    path.chmod(0o555)
    if root and subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("root may write everywhere, and this file system has no immutable files")
    try:
        yield
    finally:
        if root:
            subprocess.run(["chattr", "-i", str(path)], check=True)
        path.chmod(mode)


@contextlib.contextmanager
def limited(folder: Path) -> Iterator[None]:
    """No file may be larger than 64 KiB, as under a quota: neither this process's nor those of the one that writes."""
    processes = [psutil.Process(), *psutil.Process().children()]
    before = [process.rlimit(resource.RLIMIT_FSIZE) for process in processes]
    for process, (_, hard) in zip(processes, before, strict=True):
        process.rlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        yield
    finally:
        for process, limits in zip(processes, before, strict=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.rlimit(resource.RLIMIT_FSIZE, limits)


TROUBLES: dict[Trouble, str] = {
    full: "no space left",
    read_only: "does not let this program write",
    run_away: "has been taken away",
    checkpoints_unwritable: "does not let this program write",
    run_unwritable: "does not let this program write",
    limited: "larger than this program may write",
}


@pytest.mark.parametrize("background", [False, True], ids=["in-process", "background"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_that_passes_costs_the_saves_that_fell_into_it(
    disk: Path, undisturbed: dict[str, bytes], trouble: Trouble, background: bool
) -> None:
    run = begin(disk, background=background)
    with ExitStack() as held:
        go(run, {EARLY: lambda: held.enter_context(trouble(disk)), LATE: held.close})
    assert steps(run) == [step for step in SAVES if step not in IN_TROUBLE]
    assert last(run) == undisturbed
    assert list(failed(run)) == IN_TROUBLE
    assert all(TROUBLES[trouble] in why for why in failed(run).values()), failed(run)
    told = [e.model_dump(mode="json") for e in run.seen]
    kept = read_events(run.run.events_path)
    assert [(e["kind"], e.get("step")) for e in kept] == [(e["kind"], e.get("step")) for e in told]


@pytest.mark.parametrize("background", [True], ids=["background"])
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
def test_trouble_that_stays_is_one_error_at_the_end_and_the_same_run_goes_on_once_it_is_over(
    disk: Path, undisturbed: dict[str, bytes], trouble: Trouble, background: bool
) -> None:
    run = begin(disk, background=background)
    with ExitStack() as held:
        with pytest.raises(StorageError, match=TROUBLES[trouble]):
            go(run, {EARLY: lambda: held.enter_context(trouble(disk))})
        assert run.state.step == STEPS
    assert list(failed(run)) == [step for step in SAVES if step >= EARLY]
    assert steps(run) == [4, 8]
    again = begin(disk, background=background)
    go(again, {})
    assert steps(again) == SAVES
    assert last(again) == undisturbed


def test_checkpoints_that_were_taken_away_are_followed_by_new_ones_that_fit_beside_them(
    disk: Path, undisturbed: dict[str, bytes]
) -> None:
    run, away = begin(disk, background=True), disk / "away"
    go(run, {EARLY: lambda: run.run.checkpoints.folder.rename(away)})
    assert failed(run) == {}
    assert last(run) == undisturbed
    before = [step for step in SAVES if step < EARLY]
    assert steps(run) == SAVES[len(before) :]
    for name in [c.path.name for c in CheckpointStore(away).all()]:
        (away / name).rename(run.run.checkpoints.folder / name)
    assert steps(run) == SAVES


def test_a_run_that_was_removed_is_not_made_anew_by_its_old_process(disk: Path, undisturbed: dict[str, bytes]) -> None:
    run = begin(disk)
    with pytest.raises(StorageError, match="has been taken away"):
        go(run, {EARLY: lambda: shutil.rmtree(run.run.folder)})
    assert run.state.step == STEPS
    assert not run.run.folder.exists()
    again = begin(disk)
    go(again, {})
    assert last(again) == undisturbed


def test_where_room_is_short_fewer_checkpoints_stay_and_never_fewer_than_two(
    disk: Path, undisturbed: dict[str, bytes]
) -> None:
    run = begin(disk, background=True)
    size = sum(map(len, undisturbed.values()))
    with full(disk, leave=int(4.5 * size)):
        seen: list[list[int]] = []
        go(run, {step + 1: lambda: seen.append(steps(run)) for step in SAVES[:-1]})
    assert failed(run) == {}
    assert last(run) == undisturbed
    assert seen[:2] == [SAVES[:1], SAVES[:2]]
    assert all(2 <= len(visible) <= 4 for visible in seen[1:])


def test_a_decision_that_the_disk_refuses_takes_effect_and_is_written_before_any_state_that_knows_of_it(
    tmp_path: Path, disk: Path
) -> None:
    ends, journals = [], []
    for folder, trouble in ((tmp_path / "well", contextlib.nullcontext), (disk, full)):
        folder.mkdir(exist_ok=True)
        run = begin(folder)
        back = RollBack(at_row=run.plan.rows_per_step * 13, skip_rows=8, rate_factor=0.5, rate_rows=80, why="a test")

        def go_back(run: Started = run, back: RollBack = back) -> None:
            assert act([back], run.state, run.hands) is None
            assert run.state.step < 14

        with ExitStack() as held:
            enter = partial(held.enter_context, trouble(folder))
            go(run, {EARLY: enter, 14: go_back, LATE: held.close})
        ends.append(last(run))
        journals.append(run.run.journal_path.read_bytes().strip())
    assert ends[0] == ends[1]
    assert journals[0] == journals[1]
    assert b"a test" in journals[0]


def test_a_writer_killed_in_the_middle_of_a_save_costs_that_save(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_FAULTS", "checkpoint.manifest_written=kill@2")
    run = begin(tmp_path, background=True)
    go(run, {5: lambda: monkeypatch.delenv("GNOMON_FAULTS")})
    assert failed(run) == {8: f"the process that writes checkpoints ended with code -{signal.SIGKILL}"}
    assert steps(run) == [step for step in SAVES if step != 8]
    assert last(run) == undisturbed


def test_writers_that_die_one_after_the_other_are_replaced_by_the_trainer_itself(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_FAULTS", "writer.begins=kill")
    run = begin(tmp_path, background=True)
    go(run, {})
    assert list(failed(run)) == [4, 8]
    assert steps(run) == SAVES[2:]
    assert last(run) == undisturbed


def test_a_writer_that_dies_in_the_last_save_does_not_fail_the_run(
    tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_FAULTS", f"writer.begins=kill@{len(SAVES) - 1}")
    run = begin(tmp_path, background=True)
    go(run, {37: lambda: monkeypatch.setenv("GNOMON_FAULTS", "writer.begins=kill")})
    assert list(failed(run)) == [36, 39]
    assert steps(run) == [step for step in SAVES if step != 36]
    assert last(run) == undisturbed


def test_a_save_in_flight_when_the_trainer_lets_go_is_finished(tmp_path: Path) -> None:
    run = begin(tmp_path, background=True)
    assert run.hands.saver.begin(run.state, "rolling", {}, run.hands.journal) is None
    run.close()
    assert steps(run) == [0]


def test_a_disk_that_fills_up_ends_the_command_with_code_6_and_the_same_command_goes_on(
    disk: Path, tmp_path: Path
) -> None:
    write_corpus(disk / "texts")
    options = {"threads": 1, "dtype": "fp32", "save_every": 10, "log_every": 4, "keep_last": 2, "loader_workers": 0}
    config = small_config(disk, budget="100K tokens", train=options, export={"gguf": [], "hf": False})
    process = subprocess.Popen(
        [sys.executable, "-m", "gnomon", "train", str(config)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    store = Run(disk / "run").checkpoints
    while len(store.all()) < 3 and process.poll() is None:
        time.sleep(0.01)
    with full(disk):
        said = process.communicate(timeout=300)[1]
        assert process.returncode == StorageError.exit_code, said
        assert "no space left on the disk" in said
        assert "Traceback" not in said
        assert [c.damage() for c in store.all()] == [[]] * len(store.all())
        assert len(store.all()) >= 2
    stopped_at = store.all()[-1].step
    done = gnomon("train", config, "--json")
    assert done.returncode == 0, done.stderr
    end = json.loads(done.stdout.splitlines()[-1])
    assert stopped_at < end["steps"] == store.all()[-1].step
    assert gnomon("train", config, f"out={tmp_path / 'other'}", "--json").returncode == 0
    assert Run(tmp_path / "other").checkpoints.all()[-1].read() == store.all()[-1].read()
    assert [e["reason"] for e in read_events(disk / "run" / "events.jsonl") if e["kind"] == "run_stopped"] == [
        "finished"
    ]
