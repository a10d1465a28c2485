"""Jobs on a Slurm cluster, through datatrove: a stage is one array of tasks, each with a share of the jobs.

Tasks leave a file for each job they have done, so that a task that was lost is submitted again with what it has not
done. Only the folder is shared with the nodes; how tasks stand is asked of `squeue`, and of `sacct` where there is one.
"""

import heapq
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

from gnomon.base.errors import ConfigError, DataError, DependencyError, StorageError
from gnomon.base.files import sha256_bytes, write_atomic
from gnomon.base.optional import need
from gnomon.base.progress import Progress
from gnomon.config import SlurmConfig
from gnomon.data.engine import controller, local
from gnomon.data.engine.base import TRIES, Job, as_error, part_of
from gnomon.data.engine.controller import GONE, NoAnswer, State

SHARES = 4
"""Tasks of a stage by those at once: that many may be of unlike size before one keeps the others waiting."""

FIRST_LOOK_SECONDS, LOOK_SECONDS = 0.2, 5.0
"""Between two looks at the results and two questions to Slurm: at the start of a stage, and later on."""

SILENCE_SECONDS = 600
"""The controller may be away this long while tasks go on."""

SUBMIT_SECONDS = 600
"""One submission may take this long."""

SHARED_SECONDS = 120
"""Until what another node wrote is seen here; NFS keeps what it knows of a folder for up to 60 s."""

SUBMIT = "from gnomon.data.engine.trove import main; main()"  # not `-m`: what tasks load must have its real name
LOG_LINES, LOG_WIDTH = 8, 200


class Slurm:
    """Tasks on a cluster that others use too; those of a preparation that was killed are ended first."""

    def __init__(self, options: SlurmConfig, folder: Path) -> None:
        need("datatrove", extra="slurm", why="data.engine=slurm prepares text through it")
        if not re.fullmatch(r"[\w./@+=,~-]+", str(folder)):
            raise ConfigError(
                "the scripts that are given to Slurm cannot name this folder: it has a space or a sign in it",
                where=str(folder),
                do="choose a folder of plain letters and digits in data.root and data.name",
            )
        self._options, self._folder, self._stages = options, folder, 0
        self._limit = controller.array_limit()
        self._name = f"gnomon-{sha256_bytes(str(folder).encode())[:12]}"
        controller.cancel(self._name)

    def __call__(self, stage: str, jobs: Sequence[Job], progress: Progress) -> list[Any]:
        if sum(job.weight for job in jobs) < local.WORTH_BYTES:
            return local.Pool(1)(stage, jobs, progress)
        folder = self._folder / f"{self._stages:02}-{uuid.uuid4().hex[:8]}"
        self._stages += 1
        tasks = _share(jobs, min(len(jobs), self._limit, SHARES * self._options.tasks))
        self._write(folder, jobs, tasks)
        results, tries = _Results(folder / "results", stage, jobs, progress), Counter[int]()
        while True:
            number, ranks = self._submit(folder)
            states = self._wait(number, [tasks[rank] for rank in ranks], results)
            if not results.missing:
                return results.values
            for index, rank in enumerate(ranks):
                left = [n for n in tasks[rank] if n in results.missing]
                if left:
                    log, state = folder / "slurm_logs" / f"{number}_{index}.out", states.get(index, GONE)
                    tries[left[0]] += 1
                    if state.name == "COMPLETED":
                        raise _unseen(folder, log)
                    if tries[left[0]] == TRIES:
                        raise self._lost(stage, jobs[left[0]], state, log)
            controller.cancel(self._name)  # what Slurm itself may have begun again

    def close(self) -> None:
        """End what was submitted, whatever it does."""
        if self._stages:
            controller.cancel(self._name)

    def _write(self, folder: Path, jobs: Sequence[Job], tasks: list[list[int]]) -> None:
        """Write what tasks read."""
        asked = self._options
        own = f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
        one_thread = " ".join(f"{name}={value}" for name, value in local.ONE_THREAD.items())
        executor = {
            "tasks": len(tasks),
            "workers": min(asked.tasks, len(tasks)),
            "time": asked.time,
            "partition": asked.partition,
            "cpus_per_task": asked.cpus,
            "mem_per_cpu_gb": asked.memory,
            "qos": "",  # datatrove's is "normal", which not every cluster has
            "job_name": self._name,
            "env_command": f"{own} {one_thread}\n{asked.setup}",
            "sbatch_args": asked.sbatch,
            "max_array_size": self._limit,
            "with_srun": False,  # one process on one node
        }
        for rank, numbers in enumerate(tasks):
            own_jobs = orjson.dumps([[number, asdict(jobs[number])] for number in numbers])
            write_atomic(folder / "tasks" / f"{rank:06d}.json", own_jobs)
        (folder / "results").mkdir()
        write_atomic(folder / "stage.json", orjson.dumps({"processes": asked.cpus, "executor": executor}))

    def _submit(self, folder: Path) -> tuple[str, list[int]]:
        """Give Slurm the tasks that are not done; return the job's number, and which task has each index of it."""
        until = time.monotonic() + SILENCE_SECONDS
        while True:
            run = _sbatch(folder)
            number = run.stdout.strip().rpartition("\n")[2] if run.returncode == 0 else ""
            if number == "-1":  # datatrove has marked all of them done
                raise _unseen(folder, folder / "slurm_logs")
            if number.isdigit():
                return number, orjson.loads((folder / "ranks_to_run.json").read_bytes())
            said = re.findall(r"^sbatch: (?:error: )?(.*)", run.stderr, re.M)
            if not any("ontact slurm controller" in line for line in said) or time.monotonic() > until:
                break
            time.sleep(LOOK_SECONDS)
        why = "; ".join(said) or (f"sbatch said {number!r}" if run.returncode == 0 else run.stderr.strip())
        raise DependencyError(
            f"Slurm did not take the tasks: {why[-1000:]}",
            where=str(folder / "launch_script.slurm"),
            do="set data.slurm as the cluster wants it (partition, time, memory, sbatch); see docs/data.md",
        )

    def _wait(self, job: str, tasks: list[list[int]], results: "_Results") -> dict[int, State]:
        """Return how the tasks of a job ended, when all have, or as soon as every result is there.

        Raises what a job raised; ConfigError for tasks that will never start.
        """
        pause, heard, ended = FIRST_LOOK_SECONDS, time.monotonic(), float("inf")
        known = dict[int, State]()
        while True:
            try:
                now, heard = controller.states_of(job), time.monotonic()
                forgotten = [i for i in range(len(tasks)) if i not in now and not (i in known and known[i].ended)]
                known |= now | dict.fromkeys(forgotten, GONE)
            except NoAnswer as e:
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise controller.silent(e) from None
            results.look()
            results.tell(known)
            if not results.missing:
                return known
            _refuse_stuck(known)
            if known and all(state.ended for state in known.values()):
                ended = min(ended, time.monotonic())
                kept = controller.states_kept(job) if GONE in known.values() else {}
                known = {i: kept.get(i, state) if state == GONE else state for i, state in known.items()}
                done = [number for i, numbers in enumerate(tasks) if known[i].name == "COMPLETED" for number in numbers]
                if results.missing.isdisjoint(done) or time.monotonic() - ended > SHARED_SECONDS:
                    return known
            time.sleep(pause)
            pause = min(LOOK_SECONDS, pause * 1.5)

    def _lost(self, stage: str, job: Job, state: State, log: Path) -> DataError:
        what = (
            f"a task of Slurm was lost {TRIES} times over the same part of the text ({stage}:"
            f" {part_of(job)}); the last was {state.name}"
        )
        do = "see what its log says; data.slurm.setup prepares the shell of a task"
        no_log = "it left no log"
        if state.name in ("TIMEOUT", "DEADLINE"):
            do = f"give a task more than data.slurm.time={self._options.time}"
        elif state.name == "OUT_OF_MEMORY":
            do = f"give more than data.slurm.memory={self._options.memory}"
        elif state.name in ("CANCELLED", "PREEMPTED", "NODE_FAIL"):
            do = "see who or what ended it"
        else:
            no_log += f" in {log.parent}: do the nodes share this folder?"
        try:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-LOG_LINES:]
        except OSError:
            lines = [f"({no_log})"]
        said = "\n      ".join([what, *(line[:LOG_WIDTH] for line in lines)])
        return DataError(said, where=str(log), do=f"{do}; the same command goes on from here")


class _Results:
    """What the jobs of a stage said so far."""

    def __init__(self, folder: Path, stage: str, jobs: Sequence[Job], progress: Progress) -> None:
        self._folder, self._stage, self._jobs, self._progress = folder, stage, jobs, progress
        self.values, self.missing = list[Any]([None] * len(jobs)), set(range(len(jobs)))
        self._done, self._total = 0, sum(job.weight for job in jobs)

    def look(self) -> None:
        """Take in what has come. Raises what a job raised."""
        there = {int(name[:-5]) for name in os.listdir(self._folder) if re.fullmatch(r"\d+\.json", name)}
        for number in sorted(there & self.missing):
            said = orjson.loads((self._folder / f"{number}.json").read_bytes())
            if "failed" in said:
                raise as_error(said["failed"])
            self.values[number] = said["done"]
            self.missing.remove(number)
            self._done += self._jobs[number].weight

    def tell(self, states: dict[int, State]) -> None:
        """Say how much is done, or that all tasks wait."""
        if self._done == 0 and states and all(state.name == "PENDING" for state in states.values()):
            self._progress("waiting for Slurm", len(states), None, "tasks")
        else:
            self._progress(self._stage, self._done, self._total, "bytes")


def _share(jobs: Sequence[Job], count: int) -> list[list[int]]:
    """Return the numbers of the jobs of each of so many tasks, about equal in weight: each to the lightest so far."""
    tasks = [(0, rank, list[int]()) for rank in range(count)]
    for number in sorted(range(len(jobs)), key=lambda n: (-jobs[n].weight, n)):
        weight, rank, numbers = tasks[0]
        numbers.append(number)
        heapq.heapreplace(tasks, (weight + jobs[number].weight, rank, numbers))
    return [numbers for _, _, numbers in sorted(tasks, key=lambda task: task[1])]


def _sbatch(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run what submits a stage, as if from outside of any job."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM_ARRAY_", "SLURM_MEM_"))}
    command = [sys.executable, "-c", SUBMIT, str(folder)]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=own, timeout=SUBMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise controller.silent(NoAnswer(f"`sbatch` took more than {SUBMIT_SECONDS} s")) from None


def _refuse_stuck(states: dict[int, State]) -> None:
    """Raise ConfigError where a task will never start."""
    for state in states.values():
        if state.stuck:
            raise ConfigError(
                f"Slurm will never start these tasks: {state.reason}",
                where="data.slurm",
                do="ask for what its partition has (time, cpus, memory); `scontrol show partition` shows it",
            )


def _unseen(folder: Path, log: Path) -> StorageError:
    return StorageError(
        f"Slurm says that tasks are done, but after {SHARED_SECONDS} s their results are not here",
        where=str(folder / "results"),
        do=f"choose a data.root on a disk that this machine and the nodes share, or see {log}",
    )
