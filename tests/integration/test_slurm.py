"""A preparation on Slurm makes what the same preparation makes here, whatever is lost on the way, and says what fails.

What is lost: on a throw-away cluster where Slurm is installed, elsewhere on programs that stand in for its commands.
What fails: on those everywhere.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gnomon.base.errors import ConfigError, DataError, DependencyError, StorageError
from gnomon.base.progress import silent
from gnomon.config import DataConfig, SlurmConfig, TokenizerConfig
from gnomon.config.options import DedupConfig
from gnomon.data.engine import Job, controller, open_engine, slurm
from gnomon.data.prepare import prepare
from gnomon.store.datasets import verify_dataset
from tests.slurm import missing_daemons, stand_ins, throw_away_cluster
from tests.world import write_corpus

pytestmark = [
    pytest.mark.skipif(find_spec("datatrove") is None, reason="needs datatrove: pip install 'gnomon[slurm]'"),
    pytest.mark.skipif(os.name != "posix", reason="needs POSIX processes"),
    pytest.mark.timeout(120),  # a cluster that does nothing
]
ROOT = Path(__file__).parents[2]
SMALL = SlurmConfig(tasks=2, memory=None, time="5")


@pytest.fixture(scope="session", params=["stand-in" if missing_daemons() else "cluster"])
def commands(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands are found: the real ones where they are (apt: slurm-wlm munge)."""
    folder = tmp_path_factory.mktemp("slurm")
    if request.param == "stand-in":
        yield stand_ins(folder)
    else:
        with throw_away_cluster(folder) as environment:
            yield environment


@pytest.fixture
def anywhere(commands: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, where Slurm's commands are found."""
    return _with(commands, tmp_path, monkeypatch)


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, where programs stand in for Slurm's commands."""
    return _with(stand_ins(tmp_path), tmp_path, monkeypatch)


def _with(environment: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**environment, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("gnomon.data.engine.local.WORTH_BYTES", 0)
    monkeypatch.setattr("gnomon.data.groups.ALONE_BYTES", 0)  # a job a file
    monkeypatch.setattr(slurm, "FIRST_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(slurm, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(slurm, "SHARES", 1)
    return folder


def done(folder: Path, call: str, jobs: list[dict[str, Any]], options: SlurmConfig = SMALL) -> list[Any]:
    """What these calls of a function in tests/slurm.py say, asked of Slurm."""
    with open_engine("slurm", None, options, folder / "tasks") as engine:
        asked = [
            Job(f"tests.slurm:{call}", {"folder": str(folder), **job}, 10_000_000 + n) for n, job in enumerate(jobs)
        ]
        return engine("squaring", asked, silent)


def digest(folder: Path, root: str, **data: Any) -> str:
    near = DedupConfig(near=None)  # two stages less
    config = DataConfig(train=[str(folder / "texts")], root=str(folder / root), slurm=SMALL, dedup=near, **data)
    dataset = prepare(config, TokenizerConfig(), 1024, silent)
    assert verify_dataset(dataset.folder) == []
    return dataset.digest


def write_texts(folder: Path) -> None:
    for number in range(3):
        write_corpus(folder / "texts" / str(number), documents=100, seed=number)


def active() -> list[str]:
    """The states of all tasks that still do something, of any job."""
    return controller.ask("squeue", "--noheader", "--array", "--format=%T").split()


def all_end() -> bool:
    """Whether they all end within seconds; a task of Slurm is COMPLETING for some."""
    return comes(lambda: active() == [])


def comes(what: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether this is so within so many seconds."""
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.05)
    return what()


def test_a_preparation_whose_tasks_die_has_the_digest_of_one_here(
    anywhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_texts(anywhere)
    expected = digest(anywhere, "here", workers=1)
    monkeypatch.setenv("GNOMON_FAULTS", "prepare.encoded=kill@2")  # of every task the second time it gets there
    submit, submitted = slurm.Slurm._submit, list[Path]()

    def count(engine: slurm.Slurm, folder: Path) -> tuple[str, list[int]]:
        submitted.append(folder)
        return submit(engine, folder)

    monkeypatch.setattr(slurm.Slurm, "_submit", count)
    assert digest(anywhere, "there", engine="slurm") == expected
    assert len(submitted) > len(set(submitted))  # some of a stage again


def test_results_come_in_the_order_of_the_jobs_and_a_task_has_its_own_processes(anywhere: Path) -> None:
    jobs = [{"n": n, "times": n % 3} for n in range(12)]
    options = SMALL.model_copy(update={"tasks": 1, "cpus": 2})
    assert done(anywhere, "dies_at_first", jobs, options) == [n**2 for n in range(12)]
    assert len(list(anywhere.glob("tasks/*/slurm_logs/*"))) == 1  # who died were processes of the one task


def test_a_task_that_is_cancelled_is_submitted_again(anywhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit, cancelled = slurm.Slurm._submit, list[str]()

    def submit_and_cancel(engine: slurm.Slurm, folder: Path) -> tuple[str, list[int]]:
        number, ranks = submit(engine, folder)
        if not cancelled:
            cancelled.append(f"{number}_1")
            threading.Thread(target=cancel_when_running, args=(number, 1), daemon=True).start()
        return number, ranks

    def cancel_when_running(number: str, index: int) -> None:
        if comes((anywhere / "begun-0").exists):
            controller.ask("scancel", f"{number}_{index}")

    monkeypatch.setattr(slurm.Slurm, "_submit", submit_and_cancel)
    assert done(anywhere, "square", [{"n": 0, "seconds": 50}, {"n": 1}]) == [0, 1]
    assert cancelled and all_end()


def test_what_a_job_raises_is_raised_here_and_the_others_are_cancelled(anywhere: Path) -> None:
    with pytest.raises(DataError, match="the text is empty") as caught:
        done(anywhere, "refuses", [{"seconds": 60}, {"seconds": 60}, {}])
    assert (caught.value.where, caught.value.do) == ("books.txt", "give another")
    assert all_end()


def test_tasks_that_are_refused_say_why(alone: Path) -> None:
    options = SMALL.model_copy(update={"partition": "nope"})
    with pytest.raises(DependencyError, match=r"did not take the tasks: .*[Ii]nvalid partition") as caught:
        done(alone, "square", [{"n": 1}], options)
    assert "--partition=nope" in Path(str(caught.value.where)).read_text()


def test_a_task_that_is_lost_each_time_is_an_error_with_the_end_of_its_log(alone: Path) -> None:
    with pytest.raises(DataError, match=r"lost 3 times .*squaring.*FAILED(.|\n)*Killed") as caught:
        done(alone, "dies_at_first", [{"n": 1, "times": 9}])
    assert Path(str(caught.value.where)).exists()
    assert len(list(alone.glob("died-*"))) == 3


@pytest.mark.parametrize(
    ("end", "kind", "said", "advice"),
    [
        ("TIMEOUT|TimeLimit", DataError, "lost 3 times(.|\n)*TIMEOUT(.|\n)*left no log", "data.slurm.time=5"),
        ("OUT_OF_MEMORY|OutOfMemory", DataError, "OUT_OF_MEMORY", "data.slurm.memory"),
        ("COMPLETED|None", StorageError, "their results are not here", "data.root on a disk"),
        ("PENDING|BadConstraints", ConfigError, "never start these tasks: BadConstraints", "partition"),
        ("PENDING|(launch failed requeued held)", ConfigError, "launch failed requeued held", "partition"),
    ],
)
def test_an_end_that_no_task_comes_back_from_is_told(
    alone: Path, monkeypatch: pytest.MonkeyPatch, end: str, kind: type[Exception], said: str, advice: str
) -> None:
    monkeypatch.setenv("STAND_IN_END", end)
    monkeypatch.setattr(slurm, "SHARED_SECONDS", 0.5)
    with pytest.raises(kind, match=said) as caught:
        done(alone, "square", [{"n": 1}, {"n": 2}])
    assert advice in str(caught.value)


def test_results_that_are_seen_late_are_waited_for(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    look, looks = slurm._Results.look, list[bool]()

    def see_late(results: slurm._Results) -> None:  # as NFS does
        looks.append(active() == [])
        if sum(looks) > 3:
            look(results)

    monkeypatch.setattr(slurm._Results, "look", see_late)
    assert done(alone, "square", [{"n": 3}]) == [9]


def test_a_controller_that_is_away_for_a_while_is_waited_for(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states_of, asked = controller.states_of, list[str]()

    def away_at_first(job: str) -> dict[int, controller.State]:
        asked.append(job)
        (alone / "states" / "away").touch() if len(asked) == 1 else None
        try:
            return states_of(job)
        finally:
            (alone / "states" / "away").unlink() if len(asked) == 3 else None

    monkeypatch.setattr(controller, "states_of", away_at_first)
    assert done(alone, "square", [{"n": 3}]) == [9]
    assert len(asked) > 3


def test_a_controller_that_stays_away_is_an_error(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def go_away() -> None:
        comes((alone / "begun-3").exists)
        (alone / "states" / "away").touch()

    monkeypatch.setattr(slurm, "SILENCE_SECONDS", 0.3)
    leave = threading.Thread(target=go_away, daemon=True)
    leave.start()
    with pytest.raises(DependencyError, match=r"controller does not answer: .*Unable to contact"):
        done(alone, "square", [{"n": 3, "seconds": 30}])
    leave.join(30)
    with pytest.raises(DependencyError, match=r"controller does not answer: .*Unable to contact"):
        done(alone, "square", [{"n": 3}])


def test_a_machine_without_slurm_and_a_folder_with_a_space_are_refused(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="a space or a sign"):
        done(alone / "my texts", "square", [])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DependencyError, match="there is no `sbatch` on this machine"):
        done(alone, "square", [])


INTERRUPTED = """
import signal
import sys
from pathlib import Path
from tests.integration.test_slurm import done
import gnomon.data.engine.local
gnomon.data.engine.local.WORTH_BYTES = 0
signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
done(Path(sys.argv[1]), "square", [{"n": n, "seconds": 60} for n in range(2)])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_what_was_submitted_ends_with_ctrl_c_or_with_the_next_start(anywhere: Path, how: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-Xfaulthandler", "-c", INTERRUPTED, str(anywhere)], stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            assert comes((anywhere / "begun-1").exists) and "RUNNING" in active()
            run.send_signal(how)
            run.wait(timeout=30)
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGABRT)  # Python then says where it stands
            raise AssertionError(run.communicate()[1]) from None
        finally:
            run.kill()
    if how == signal.SIGKILL:
        assert "RUNNING" in active()
        with open_engine("slurm", None, SMALL, anywhere / "tasks"):
            pass
    assert all_end()
