"""Slurm for tests: a throw-away cluster of this machine alone, programs that stand in for one, and jobs to give it."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gnomon.base.errors import DataError
from gnomon.data.worker import Tell

STAND_IN = Path(__file__).parent / "slurm_stand_in.py"
DAEMONS = ("munged", "slurmctld", "slurmd")
SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])

CONFIG = """
ClusterName=thrown-away
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
KillWait=1
MessageTimeout=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_daemons() -> list[str]:
    """Return which programs of a cluster this machine has not."""
    return [name for name in (*DAEMONS, "sbatch") if shutil.which(name, path=SEARCHED) is None]


@contextmanager
def throw_away_cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster of this machine alone, and give the environment in which its commands find it."""
    host, ports = socket.gethostname().partition(".")[0], [_free_port(), _free_port()]
    config, key = folder / "slurm.conf", folder / "munge.key"
    config.write_text(CONFIG.format(host=host, ports=ports, folder=folder, user=getpass.getuser()))
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    environment = {"SLURM_CONF": str(config), "PATH": SEARCHED}
    for name in ("state", "spool"):
        (folder / name).mkdir()
    places = {"key-file": key, "socket": folder / "munge.socket", "pid-file": folder / "munged.pid"}
    places |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    commands = [
        ["munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in places.items())],
        ["slurmctld", "-D", "-i", "-c"],
        ["slurmd", "-D"],
    ]
    daemons = list[subprocess.Popen[bytes]]()
    with (folder / "said.log").open("wb") as log:
        try:
            for command in commands:
                command[0] = str(shutil.which(command[0], path=SEARCHED))
                daemons.append(subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log))
                time.sleep(0.3)
            _wait_until_idle(environment, folder)
            yield environment
        finally:
            subprocess.run(["scancel", "--state=RUNNING"], env=os.environ | environment, check=False, timeout=60)
            for daemon in reversed(daemons):
                daemon.send_signal(signal.SIGTERM)
                try:
                    daemon.wait(20)
                except subprocess.TimeoutExpired:
                    daemon.kill()


def _wait_until_idle(environment: dict[str, str], folder: Path) -> None:
    command, said = ["sinfo", "--noheader", "--format=%T"], ""
    for _ in range(50):
        run = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=60)
        said = run.stdout + run.stderr
        if run.stdout.strip() == "idle":
            return
        time.sleep(0.2)
    logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("*.log")))
    raise RuntimeError(f"the throw-away cluster does not come up: {said}\n{logs}")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stand_ins(folder: Path) -> dict[str, str]:
    """Write programs that stand in for Slurm's, and return the environment in which they are found."""
    (programs := folder / "programs").mkdir()
    (folder / "states").mkdir()
    for name in ("sbatch", "squeue", "scancel", "scontrol"):
        (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} {STAND_IN} {name} "$@"\n')
        (programs / name).chmod(0o755)
    return {"STAND_IN": str(folder / "states"), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def square(args: dict[str, Any], tell: Tell) -> int:
    """Return n², the first time after so many `seconds`."""
    if not (begun := Path(args["folder"], f"begun-{args['n']}")).exists():
        begun.touch()
        time.sleep(args.get("seconds", 0))
    return args["n"] ** 2


def dies_at_first(args: dict[str, Any], tell: Tell) -> int:
    """Return n², but kill the process that tries it `times` times first."""
    for number in range(args["times"]):
        try:
            Path(args["folder"], f"died-{args['n']}-{number}").touch(exist_ok=False)
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    return args["n"] ** 2


def refuses(args: dict[str, Any], tell: Tell) -> int:
    """Raise what a job raises, after so many `seconds`."""
    time.sleep(args.get("seconds", 0))
    raise DataError("the text is empty", where="books.txt", do="give another")
