"""What supervision decides, without processes; and what a beat does to the process that gives it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.heartbeat import PIPE, attach, beat, is_supervised
from gnomon.config import make_config
from gnomon.store.runs import Run
from gnomon.train.supervise import (
    GAPS_IN_A_HANG,
    LEAST_HANG_SECONDS,
    START_SECONDS,
    Ending,
    Patience,
    can_supervise,
    gnomon_command,
)

GAPS = st.lists(st.tuples(st.floats(0, 1e4), st.booleans()), max_size=20)


@given(GAPS, st.integers(0, 4))
def test_no_silence_that_has_been_heard_before_is_a_hang(gaps: list[tuple[float, bool]], hangs: int) -> None:
    patience = Patience(None, hangs=hangs)
    for gap, stepped in gaps:
        patience.silence += gap
        patience.heard(stepped)
    known = max([gap for gap, _ in gaps[1:]], default=0.0)
    stepped = any(stepped for _, stepped in gaps)
    assert patience.silence == 0
    assert patience.limit == max(LEAST_HANG_SECONDS if stepped else START_SECONDS, GAPS_IN_A_HANG * known) * 2**hangs
    before = patience.limit
    patience.begin()
    assert patience.limit >= before


def test_a_limit_of_ones_own_holds_from_the_first_beat_on() -> None:
    patience = Patience(7)
    assert patience.limit == START_SECONDS
    patience.silence = 5
    patience.heard(stepped=False)
    patience.silence = 6
    patience.heard(stepped=True)
    assert patience.limit == 7


def test_an_ending_says_how_it_was() -> None:
    assert [code for code in range(-64, 256) if Ending(code, 0, -1).is_answer] == [0, 2, 3, 4, 5, 6, 130]
    assert not Ending(0, 0, 5, silence_seconds=300).is_answer
    assert str(Ending(-9, 0, 1200)) == (
        "was killed by SIGKILL, as the system does when memory runs out, after step 1,200"
    )
    assert str(Ending(-50, 0, -1)) == "was killed by signal 50, before its first step"
    assert str(Ending(-15, 0, 3, 312.0)) == "hung: no sign of life for 312 s, after step 3"


def test_children_and_ranks_of_torchrun_start_no_children() -> None:
    assert can_supervise({})
    assert not can_supervise({"GNOMON_WORKER": "1"})
    assert not can_supervise({"RANK": "0"})


def test_a_file_in_the_current_folder_is_not_taken_for_pythons_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(77)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["/somewhere/bin", *sys.path])
    done = subprocess.run(gnomon_command("--help"), capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "train" in done.stdout


def test_how_a_run_is_supervised_may_change(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.plan_path.write_text("{}")
    run.settle_config(make_config({"data": "t"}).model_dump(mode="json"), {})
    other = {"supervise": False, "processes": 2, "restarts": 0, "hang_seconds": 9}
    run.settle_config(make_config({"data": "t", "train": other}).model_dump(mode="json"), {})


def test_a_run_from_before_an_option_was_there_goes_on_with_its_default_and_no_other(tmp_path: Path) -> None:
    run, now = Run(tmp_path), make_config({"data": "t"}).model_dump(mode="json")
    run.plan_path.write_text("{}")
    older = {**now, "train": {key: value for key, value in now["train"].items() if key != "compile"}}
    run.settle_config(older, {})
    run.settle_config(now, now)
    write_atomic(run.config_path, pretty_json(older))
    with pytest.raises(ConfigError, match="compile"):
        run.settle_config(make_config({"data": "t", "train": {"compile": True}}).model_dump(mode="json"), now)


def test_without_a_parent_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    for written in ("", "nonsense", "999999", "0", "-1"):
        monkeypatch.setenv(PIPE, written)
        assert not attach()
        assert PIPE not in os.environ
        beat(1)
        assert not is_supervised()


def test_a_beat_never_waits_for_a_parent_that_does_not_read() -> None:
    code = (
        "import os; from gnomon.base.heartbeat import attach, beat; assert attach();\n"
        "assert 'GNOMON_HEARTBEAT' not in os.environ\n"
        "for step in range(100_000): beat(step)"
    )
    ours, theirs = os.pipe()
    environment = os.environ | {PIPE: str(theirs)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, pass_fds=[theirs], timeout=60, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        lines = pipe.read().split(b"\n")[:-1]
    assert done.returncode == 0
    assert lines == [b"%d" % i for i in range(len(lines))] and len(lines) > 1000
