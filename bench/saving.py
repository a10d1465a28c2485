"""What a checkpoint costs: how long training stands still, how long the disk takes, and the share of a run's time.

    python bench/saving.py --size 15M
    python bench/saving.py --size 124M --rows 1 --steps 6 --json

Takes real training steps on random tokens, and saves in the background every other step, which is far more often than
any run does; then prints the stall beside one plain copy of the same bytes, and the share of wall time that a save
every --every steps costs.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from gnomon.base.machine import keep_freed_memory, this_machine
from gnomon.config import make_config
from gnomon.events.journal import Journal
from gnomon.measure import random_rows, trial
from gnomon.presets import PRESETS
from gnomon.store.checkpoints import Retention
from gnomon.store.runs import Run
from gnomon.train.parallel import ALONE
from gnomon.train.precision import choose_dtype
from gnomon.train.saver import Saver
from gnomon.train.state import tensors_of
from gnomon.train.step import step


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    keep_freed_memory()
    torch.set_num_threads(this_machine().cores)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        found = measure(arguments.size, arguments.rows, arguments.steps, Path(folder))
    every = arguments.every
    found["share_percent"] = 100 * found["stall_seconds"] / (every * found["step_seconds"])
    found["slow_down_percent"] = 100 * (found["step_seconds_while_saving"] / found["step_seconds"] - 1)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{arguments.size} on {this_machine().processor}, {found['megabytes']:,.0f} MB a checkpoint")
    print(f"stall a save            {found['stall_seconds']:.3f} s  ({found['stall_lowest']:.3f} to "
          f"{found['stall_highest']:.3f}), one plain copy {found['copy_seconds']:.3f} s")  # fmt: skip
    print(f"written and verified in {found['write_seconds']:.2f} s, beside training")
    print(
        f"a step                  {found['step_seconds']:.3f} s, "
        f"while a save is written {found['slow_down_percent']:+.1f} %"
    )
    print(f"a save every {every} steps  stalls {found['share_percent']:.3f} % of wall time")


def measure(size: str, rows: int, steps: int, folder: Path) -> dict[str, Any]:
    """Return the medians in seconds, over `steps` steps without and `steps` saves with a step after each."""
    config = make_config({"data": "none is read"})
    state, batch = trial(config, PRESETS[size], random_rows(PRESETS[size], rows), "cpu", choose_dtype("cpu", "auto")[0])
    saver = Saver(Run(folder), ALONE, 0, Retention(keep_last=2), background=True)
    journal = Journal(folder / "journal.jsonl")
    quiet, saving, stalls, writes, copies = [], [], [], [], []
    step(state, batch)
    for _ in range(steps):
        quiet.append(_timed(lambda: step(state, batch)))
        copies.append(_timed(lambda: [t.clone() for part in tensors_of(state).values() for t in part.values()]))
    for _ in range(steps + 1):
        stalls.append(_timed(lambda: saver.begin(state, "rolling", {}, journal)))
        saving.append(_timed(lambda: step(state, batch)))
        outcome = saver.wait()
        assert outcome is not None and outcome.error is None, outcome
        writes.append(outcome.seconds)
    saver.close()
    size_bytes = sum(t.numel() * t.element_size() for part in tensors_of(state).values() for t in part.values())
    return {
        "size": size,
        "megabytes": size_bytes / 1e6,
        "stall_seconds": median(stalls[1:]),  # the first makes the room it copies into
        "stall_first": stalls[0],
        "stall_lowest": min(stalls[1:]),
        "stall_highest": max(stalls[1:]),
        "copy_seconds": median(copies),
        "write_seconds": median(writes),
        "step_seconds": median(quiet),
        "step_seconds_while_saving": median(saving[1:]),
    }


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="15M", choices=list(PRESETS))
    parser.add_argument("--rows", type=int, default=8, help="rows of a step")
    parser.add_argument("--steps", type=int, default=15, help="steps and saves that are measured")
    parser.add_argument("--every", type=int, default=100, help="steps between two saves, for the share")
    parser.add_argument("--folder", default=".", help="where the checkpoints are written, and removed again")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
