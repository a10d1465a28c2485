"""How jobs are shared out to tasks, and what Slurm's words for a task mean; Slurm itself: tests/integration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.config import SlurmConfig
from gnomon.data.engine import Job
from gnomon.data.engine.controller import State
from gnomon.data.engine.slurm import _share


@given(weights=st.lists(st.integers(0, 1 << 40), min_size=1, max_size=60), wanted=st.integers(1, 20))
def test_every_job_falls_to_one_task_and_no_task_has_much_more_than_its_share(weights: list[int], wanted: int) -> None:
    jobs, count = [Job("a:b", {}, weight) for weight in weights], min(wanted, len(weights))
    tasks = _share(jobs, count)
    assert sorted(number for numbers in tasks for number in numbers) == list(range(len(jobs)))
    heaviest = max(sum(weights[number] for number in numbers) for numbers in tasks)
    assert heaviest * count <= sum(weights) + (count - 1) * max(weights)


def test_equal_jobs_leave_no_task_idle() -> None:
    assert sorted(map(len, _share([Job("a:b", {}, 1)] * 10, 4))) == [2, 2, 3, 3]


@pytest.mark.parametrize(
    ("name", "reason", "ended", "stuck"),
    [
        ("PENDING", "Priority", False, False),
        ("PENDING", "Resources", False, False),
        ("PENDING", "BadConstraints", False, True),
        ("PENDING", "PartitionTimeLimit", False, True),
        ("PENDING", "(launch failed requeued held)", False, True),
        ("RUNNING", "None", False, False),
        ("COMPLETING", "None", False, False),
        ("COMPLETED", "None", True, False),
        ("NODE_FAIL", "NodeDown", True, False),
    ],
)
def test_a_state_is_over_or_stuck_or_neither(name: str, reason: str, ended: bool, stuck: bool) -> None:
    assert (State(name, reason).ended, State(name, reason).stuck) == (ended, stuck)


def test_what_the_preparation_sets_itself_cannot_be_set() -> None:
    with pytest.raises(ValueError, match="'array' is set by the preparation itself"):
        SlurmConfig(sbatch={"qos": "long", "array": "0-9"})
