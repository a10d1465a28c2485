"""What Slurm is asked: how many tasks a job may have, how far they are, and to cancel them."""

import re
import shutil
import subprocess
from dataclasses import dataclass

from gnomon.base.errors import DependencyError

COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")
ANSWER_SECONDS = 60
"""A command may take this long; Slurm's own give up on a controller that is away before."""

ENDED = (
    "BOOT_FAIL CANCELLED COMPLETED DEADLINE FAILED LAUNCH_FAILED NODE_FAIL OUT_OF_MEMORY PREEMPTED RECONFIG_FAIL"
    " REVOKED TIMEOUT GONE"
).split()
STUCK = (
    "BADCONSTRAINTS DEPENDENCYNEVERSATISFIED INVALIDACCOUNT INVALIDQOS LAUNCHFAILEDREQUEUEDHELD PARTITIONNODELIMIT"
    " PARTITIONTIMELIMIT"
).split()
"""Reasons for which a task waits for ever, without spaces, in capitals."""


class NoAnswer(Exception):
    """A command of Slurm failed; the text is what it said."""


@dataclass(frozen=True)
class State:
    """How a task stands, in Slurm's words, such as PENDING, and why, such as Priority."""

    name: str
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether it does nothing any more."""
        return self.name in ENDED

    @property
    def stuck(self) -> bool:
        """Whether it waits for what does not come."""
        return self.name in ("PENDING", "REQUEUE_HOLD", "SPECIAL_EXIT") and self._reason in STUCK

    @property
    def _reason(self) -> str:
        return re.sub(r"[^A-Z]", "", self.reason.upper())


GONE = State("GONE")
"""Of a task that Slurm has forgotten, as it does some minutes after its end."""


def array_limit() -> int:
    """Return how many tasks one job may have. Raises DependencyError where Slurm is not there, or does not answer."""
    missing = [command for command in COMMANDS if shutil.which(command) is None]
    if missing:
        raise DependencyError(
            f"data.engine=slurm gives the work to Slurm, but there is no `{missing[0]}` on this machine",
            where="PATH",
            do="run this where jobs are submitted from (a login node), or set data.engine=local",
        )
    try:
        said = ask("scontrol", "show", "config")
    except NoAnswer as e:
        raise silent(e) from None
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", said, re.M)
    limit = int(found[1]) if found else 1001  # Slurm's default
    if limit < 1:
        raise DependencyError(
            "this Slurm takes no job arrays (MaxArraySize is 0), which data.engine=slurm submits",
            where="slurm.conf",
            do="ask who runs the cluster to allow them, or set data.engine=local",
        )
    return limit


def silent(why: NoAnswer) -> DependencyError:
    """Return the error for a controller that does not answer."""
    return DependencyError(
        f"Slurm's controller does not answer: {why}",
        where="scontrol, squeue",
        do="see whether `sinfo` works here; the same command goes on from here",
    )


def states_of(job: str) -> dict[int, State]:
    """Return how the tasks of an array job stand, by their index; what Slurm has forgotten is not among them.

    Raises NoAnswer.
    """
    try:
        said = ask("squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%K|%T|%r")
    except NoAnswer as e:
        if "Invalid job id" not in str(e):
            raise
        return {}
    found = {}
    for line in said.splitlines():
        index, name, reason = line.split("|", 2)
        if index.isdigit():
            found[int(index)] = State(name.strip(), reason.strip())
    return found


def states_kept(job: str) -> dict[int, State]:
    """Return how the tasks of an array job ended as far as accounting knows it; nothing where there is none."""
    try:
        said = ask("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=JobID,State")
    except NoAnswer:
        return {}
    found = (re.match(r"\d+_(\d+)\|([A-Z_]+)", line) for line in said.splitlines())
    return {int(task[1]): State(task[2]) for task in found if task}


def cancel(name: str) -> None:
    """End all jobs of this name, if Slurm hears it."""
    try:
        ask("scancel", f"--name={name}")
    except NoAnswer:
        pass  # it has none, or is away; tasks that go on do no harm


def ask(*command: str) -> str:
    """Return what a command prints. Raises NoAnswer where it fails, hangs or is not there."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise NoAnswer(f"`{command[0]}` took more than {ANSWER_SECONDS} s") from None
    except OSError as e:
        raise NoAnswer(f"`{command[0]}` does not run: {e.strerror}") from None
    if run.returncode:
        raise NoAnswer(" ".join(run.stderr.split())[-500:] or f"`{command[0]}` ended with {run.returncode}")
    return run.stdout
