"""Stands in for Slurm's commands where there is none: tasks are processes of this machine, states are files.

Its first argument is the name of the command. STAND_IN is its folder; STAND_IN_END, where it is set, is the state that
every task takes without having run (`PENDING|BadConstraints`: that it stays in); a file `away` there makes the
controller silent. Whoever looks at states or changes them does it alone: a task that is cancelled while it is being
started would outlive its cancellation.
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])


def sbatch(words: list[str]) -> int:
    script = Path(words[-1]).read_text()
    options = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.M))
    if options.get("partition") == "nope":
        sys.stderr.write("sbatch: error: Batch job submission failed: Invalid partition name specified\n")
        return 1
    last, at_once = re.findall(r"\d+", options["array"].removeprefix("0-"))
    number = len(list(FOLDER.glob("*.json"))) + 1
    (FOLDER / f"{number}.sh").write_text(script)
    for index in range(int(last) + 1):
        say(number, index, os.environ.get("STAND_IN_END", "PENDING|Priority"))
    facts = {"name": options["job-name"], "count": int(last) + 1, "at_once": int(at_once), "output": options["output"]}
    (FOLDER / f"{number}.json").write_text(json.dumps(facts))
    if "STAND_IN_END" not in os.environ:
        command = [sys.executable, __file__, "run", str(number)]
        subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print("Submitted batch job", number)
    return 0


def run(words: list[str]) -> int:
    number = int(words[0])
    facts = json.loads((FOLDER / f"{number}.json").read_text())
    waiting, running = list(range(facts["count"])), dict[int, subprocess.Popen[bytes]]()
    while waiting or running:
        with alone():
            for index, process in list(running.items()):
                if process.poll() is not None:
                    del running[index]
                    if state(number, index) != "CANCELLED":
                        say(number, index, "FAILED|NonZeroExitCode" if process.returncode else "COMPLETED|None")
            while waiting and len(running) < facts["at_once"]:
                if state(number, index := waiting.pop(0)) == "PENDING":
                    running[index] = start(number, index, facts["output"])
        time.sleep(0.02)
    return 0


def start(number: int, index: int, output: str) -> subprocess.Popen[bytes]:
    environment = {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_NODELIST": "here", "SLURM_JOB_ID": str(number)}
    with open(output.replace("%A", str(number)).replace("%a", str(index)), "wb") as log:
        process = subprocess.Popen(
            ["bash", str(FOLDER / f"{number}.sh")],
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (FOLDER / f"{number}_{index}.pid").write_text(str(process.pid))
    say(number, index, "RUNNING|None")
    return process


def squeue(words: list[str]) -> int:
    number = next((word.removeprefix("--jobs=") for word in words if word.startswith("--jobs=")), None)
    for path in FOLDER.glob(f"{number or '*'}_*.state"):
        if number:
            print(path.stem.partition("_")[2] + "|" + path.read_text())
        elif (name := path.read_text().partition("|")[0]) in ("PENDING", "RUNNING"):
            print(name)
    return 0


def scancel(words: list[str]) -> int:
    for path in FOLDER.glob("*.json"):
        if words == [f"--name={json.loads(path.read_text())['name']}"]:
            for index in range(json.loads(path.read_text())["count"]):
                end(int(path.stem), index)
    if re.fullmatch(r"\d+_\d+", words[0]):
        end(*map(int, words[0].split("_")))
    return 0


def scontrol(words: list[str]) -> int:
    print("here" if words[:2] == ["show", "hostnames"] else "MaxArraySize            = 5")
    return 0


@contextmanager
def alone() -> Iterator[None]:
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def end(number: int, index: int) -> None:
    if state(number, index) in ("PENDING", "RUNNING"):
        say(number, index, "CANCELLED|None")
        if (pid := FOLDER / f"{number}_{index}.pid").exists():
            os.killpg(int(pid.read_text()), signal.SIGKILL)


def state(number: int, index: int) -> str:
    return (FOLDER / f"{number}_{index}.state").read_text().partition("|")[0]


def say(number: int, index: int, what: str) -> None:
    aside = FOLDER / f"{number}_{index}.{os.getpid()}"
    aside.write_text(what)
    aside.rename(FOLDER / f"{number}_{index}.state")


if __name__ == "__main__":
    name, *rest = sys.argv[1:]
    if (FOLDER / "away").exists():
        sys.exit(f"{name}: error: Unable to contact slurm controller (connect failure)")
    if name == "run":
        sys.exit(run(rest))
    with alone():
        sys.exit({f.__name__: f for f in (sbatch, squeue, scancel, scontrol)}[name](rest))
