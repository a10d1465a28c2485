"""Killed at random moments and started again, a run ends with the losses and weights of the run that was never killed.

Killed are the trainer, the process that writes its checkpoints, one of two ranks, the supervisor, and all of them some
time after a SIGTERM, each by SIGKILL.
GNOMON_KILLS sets how many kills (20), GNOMON_KILL_SEED the seed, which is printed.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from gnomon.events.journal import read_events
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.runs import Run
from tests.world import write_corpus

KILLS = int(os.environ.get("GNOMON_KILLS", "20"))
SEED = int(os.environ.get("GNOMON_KILL_SEED", "20"))
SHARE_DURING_TRAINING, SHARE_IN_SAVES = 0.6, 0.1
GRACES = (30.0, 5.0, 0.5)  # seconds from SIGTERM to SIGKILL
VICTIMS = ("trainer",) * 5 + ("writer",) * 2 + ("rank", "supervisor", "whole run, after a SIGTERM")


def test_random_kills_change_nothing(tmp_path: Path) -> None:
    write_corpus(tmp_path / "texts")
    config = tmp_path / "c.json"
    config.write_text(
        json.dumps(
            {
                "data": {"train": str(tmp_path / "texts"), "root": str(tmp_path / "datasets")},
                "size": "1M",
                "budget": "60K tokens",
                "model": {"width": 64, "layers": 2, "feed_forward": 96, "context": 64},
                "tokenizer": {"vocabulary": 512},
                "train": {"batch_tokens": 512, "micro_rows": 4, "threads": 1, "save_every": 7, "validate_every": 10,
                          "log_every": 4, "validation_tokens": 2000, "exact": True, "dropout": 0.1},
                "export": {"gguf": [], "hf": False},
            }
        )
    )  # fmt: skip
    whole = tmp_path / "whole"
    train(config, whole)
    assert len(losses(whole)) > 100
    killed, where, whom = tmp_path / "killed", Counter[str](), Counter[str]()
    draw = random.Random(SEED)
    while where.total() < KILLS:
        victim = VICTIMS[where.total() % len(VICTIMS)]
        moment = kill_once(config, killed, victim, duration(whole), draw)
        if moment == "finished":  # before the kill came: compare, and begin anew, else the others would test nothing
            assert_equal_ends(whole, killed)
            shutil.rmtree(killed)
        else:
            where[moment] += 1
            whom[victim] += 1
    train(config, killed)
    print(f"seed {SEED}: {dict(where)} of {dict(whom)}")
    assert_equal_ends(whole, killed)
    assert where["training"] + where["saving"] >= SHARE_DURING_TRAINING * KILLS, where
    assert where["saving"] >= SHARE_IN_SAVES * KILLS, where


def assert_equal_ends(whole: Path, killed: Path) -> None:
    """Every logged loss and every byte of the last checkpoint's weights, moments and state are the same."""
    assert losses(killed) == losses(whole)
    ends = [CheckpointStore(run / "checkpoints").all()[-1] for run in (whole, killed)]
    for kind in ("model", "optimizer"):
        ours, theirs = (end.tensors(kind) for end in ends)
        assert ours.keys() == theirs.keys()
        assert all(ours[name].tobytes() == theirs[name].tobytes() for name in ours), kind
    assert ends[0].state() == ends[1].state()


def begin(config: Path, out: Path, *options: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "gnomon", "train", str(config), f"out={out}", "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def train(config: Path, out: Path) -> None:
    process = begin(config, out)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said.decode()[-3000:]


def kill_once(config: Path, out: Path, victim: str, seconds: float, draw: random.Random) -> str:
    """Start the run, kill `victim` at a random instant and say where the run was: training, saving, elsewhere, or
    finished before. What the kill left alive is then told to end.
    """
    options = {"trainer": ["train.supervise=false"], "rank": ["train.processes=2"]}.get(victim, [])
    lines_before = lines(Run(out).events_path)
    process = begin(config, out, *options)

    def stepping() -> bool:
        return lines(Run(out).events_path) >= lines_before + 2

    def ended() -> bool:
        return process.poll() is not None

    wait_for_the_moment(out, victim, seconds, draw, stepping, ended)
    pid = child(process.pid, victim, draw) if victim in ("writer", "rank") else process.pid
    saving, training = staging(out), stepping()
    if pid is None or ended():
        process.communicate(timeout=300)
        return "finished"
    if victim.endswith("SIGTERM"):
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=draw.choice(GRACES))
        for part in [*psutil.Process().children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()
    else:
        os.kill(pid, signal.SIGKILL)
    if pid != process.pid:
        time.sleep(draw.uniform(0.0, 2.0))  # a dead writer is replaced, dead ranks are started again
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    return "saving" if saving else "training" if training else "elsewhere"


def wait_for_the_moment(
    out: Path, victim: str, seconds: float, draw: random.Random, stepping: Callable[[], bool], ended: Callable[[], bool]
) -> None:
    """One kill in ten comes at any time, four in ten wait until a save is under way, the others until the first steps
    of this start are done and then for a random part of a run's time: kills fall anywhere from first to last step.
    """
    aim, deadline = draw.random(), time.monotonic() + 60
    if aim < 0.1 and victim == "trainer":
        time.sleep(draw.uniform(0.0, 3.0))
        return
    if aim < 0.5 or victim == "writer":
        for _ in range(draw.randrange(1, 4)):
            while not staging(out) and not ended() and time.monotonic() < deadline:
                time.sleep(0.0005)
            time.sleep(draw.uniform(0.0, 0.01))
        return
    while not stepping() and not ended() and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(draw.uniform(0.0, 0.3 * seconds))


def child(parent: int, victim: str, draw: random.Random) -> int | None:
    """Return the writer, or one of the ranks, below a process that was started; None if there is none now."""
    try:
        below = psutil.Process(parent).children(recursive=True)
        writers = [p.pid for p in below if "gnomon.store.writer" in p.cmdline()]
        ranks = [p.pid for p in below if "gnomon.store.writer" not in p.cmdline()]
    except psutil.Error:
        return None
    found = writers if victim == "writer" else ranks
    return draw.choice(found) if found else None


def staging(out: Path) -> bool:
    folder = out / "checkpoints"
    return folder.is_dir() and any(name.startswith(".staging-0") for name in os.listdir(folder))


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def losses(run: Path) -> list[tuple[float, float, float]]:
    events = read_events(run / "events.jsonl")
    told = [(e["step"], e["loss"], e["grad_norm"]) for e in events if e["kind"] == "step"]
    return told + [(e["step"], e["loss"], e["bits_per_byte"]) for e in events if e["kind"] == "validated"]


def duration(run: Path) -> float:
    return next(e["seconds"] for e in read_events(run / "events.jsonl") if e["kind"] == "run_stopped")
