"""Killed at random moments and started again, a run ends with the losses and weights of the run that was never killed.

GNOMON_KILLS sets how many kills (30), GNOMON_KILL_SEED the seed, which is printed.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gnomon.events.journal import read_events
from gnomon.store.checkpoints import CheckpointStore
from gnomon.store.runs import Run
from tests.world import write_corpus

KILLS = int(os.environ.get("GNOMON_KILLS", "30"))
SEED = int(os.environ.get("GNOMON_KILL_SEED", "20"))
SHARE_DURING_TRAINING, SHARE_IN_SAVES = 0.6, 0.1


def test_thirty_random_kills_change_nothing(tmp_path: Path) -> None:
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
                          "log_every": 4, "validation_tokens": 2000},
                "export": {"gguf": [], "hf": False},
            }
        )
    )  # fmt: skip
    whole = tmp_path / "whole"
    train(config, whole)
    assert len(losses(whole)) > 100
    seconds = duration(whole)
    killed, tally = tmp_path / "killed", {"training": 0, "saving": 0, "elsewhere": 0}
    random.seed(SEED)
    while sum(tally.values()) < KILLS:
        where = kill_once(config, killed, seconds)
        if (
            where == "finished"
        ):  # before the kill came: compare, and begin anew, else the other kills would test nothing
            assert_equal_ends(whole, killed)
            shutil.rmtree(killed)
        else:
            tally[where] += 1
    train(config, killed)
    print(f"seed {SEED}: {tally}")
    assert_equal_ends(whole, killed)
    assert tally["training"] + tally["saving"] >= SHARE_DURING_TRAINING * KILLS, tally
    assert tally["saving"] >= SHARE_IN_SAVES * KILLS, tally


def assert_equal_ends(whole: Path, killed: Path) -> None:
    """Every logged loss and every byte of the last checkpoint's weights, moments and state are the same."""
    assert losses(killed) == losses(whole)
    ends = [CheckpointStore(run / "checkpoints").all()[-1].read() for run in (whole, killed)]
    assert ends[0].keys() == ends[1].keys()
    for name in ends[0]:
        assert ends[0][name] == ends[1][name], f"{name} differs"


def command(config: Path, out: Path) -> Sequence[str]:
    return [sys.executable, "-m", "gnomon", "train", str(config), f"out={out}", "--json"]


def train(config: Path, out: Path) -> None:
    done = subprocess.run(command(config, out), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr


def kill_once(config: Path, out: Path, seconds: float) -> str:
    """Start the run, kill it at a random instant and say where it was: training, saving, elsewhere, or finished.

    One kill in ten comes at any time, four in ten wait until a save is under way, the others until the first steps of
    this start are done and then for a random part of a run's time: kills fall everywhere between first and last step.
    """
    events = Run(out).events_path
    before = lines(events)
    process = subprocess.Popen(command(config, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    aim, deadline = random.random(), time.monotonic() + 60
    if aim < 0.1:
        time.sleep(random.uniform(0.0, 3.0))
    elif aim < 0.5:
        count = random.randrange(1, 4)
        while process.poll() is None and time.monotonic() < deadline and count:
            if staging(out):
                count -= 1
                while count and staging(out):
                    time.sleep(0.0005)
            time.sleep(0.0005)
    else:
        while process.poll() is None and time.monotonic() < deadline and lines(events) < before + 2:
            time.sleep(0.005)
        time.sleep(random.uniform(0.0, 0.3 * seconds))
    saving, training = staging(out), lines(events) >= before + 2
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        return "finished"
    return "saving" if saving else "training" if training else "elsewhere"


def staging(out: Path) -> bool:
    folder = out / "checkpoints"
    return folder.is_dir() and any(name.startswith(".staging-0") for name in os.listdir(folder))


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def steps(run: Path) -> list[dict[str, float]]:
    return [e for e in read_events(run / "events.jsonl") if e["kind"] == "step"]


def losses(run: Path) -> list[tuple[float, float, float]]:
    told = [(e["step"], e["loss"], e["grad_norm"]) for e in steps(run)]
    validations = [e for e in read_events(run / "events.jsonl") if e["kind"] == "validated"]
    return told + [(e["step"], e["loss"], e["bits_per_byte"]) for e in validations]


def duration(run: Path) -> float:
    return next(e["seconds"] for e in read_events(run / "events.jsonl") if e["kind"] == "run_stopped")
