"""What watching a run costs: the training loop with everything that watches, beside the same loop with nothing of it.

    python bench/observed.py texts.jsonl.zst
    python bench/observed.py texts.jsonl.zst --size 15M --batch-tokens 4096 --pairs 20

One model trains on. In every pair it takes some steps with console, record on disk, health rules, the watch for
signals and a read-back every 10 steps; and as many with no sink, no observer, no check and one read-back at the end;
the order changes from pair to pair. Prints the median over pairs of the one's speed as a share of the other's.
Validation, samples and saves are in neither.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from gnomon.assemble import build_checks, build_hands, build_state
from gnomon.config import make_config
from gnomon.events.bus import Bus
from gnomon.events.types import Check
from gnomon.observe.console import Console
from gnomon.pipeline import plan_of, prepare_data
from gnomon.store.runs import Run
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.hands import Hands
from gnomon.train.interrupts import Interrupts
from gnomon.train.loop import run as train_loop
from gnomon.train.parallel import ALONE
from gnomon.train.readback import Readback
from gnomon.train.state import State


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--size", default="5M")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument(
        "--batch-tokens", type=int, default=2048, help="of a step: the fewer, the more there is to tell"
    )
    parser.add_argument("--steps", type=int, default=10, help="of one half of a pair")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shares = measure(
            arguments.text, arguments.size, arguments.batch_tokens, arguments.pairs, arguments.steps, Path(folder)
        )
    low, middle, high = statistics.quantiles(shares, n=4)
    if arguments.json:
        print(json.dumps({"shares": shares, "median": middle}))
        return
    what = f"{arguments.size}, {len(shares)} pairs of {arguments.steps} steps of {arguments.batch_tokens:,} tokens"
    print(f"{what}: with everything that watches, {100 * middle:.1f} % of the speed without (quartiles {100 * low:.1f} "
          f"and {100 * high:.1f} %)")  # fmt: skip


def measure(text: Path, size: str, batch_tokens: int, pairs: int, steps: int, folder: Path) -> list[float]:
    """Return, for every pair, the speed with everything that watches as a share of that without."""
    console = Console()
    config = make_config(
        {
            "data": {"train": str(text), "root": str(folder / "datasets")},
            "size": size,
            "budget": "10M tokens",
            "train": {"batch_tokens": batch_tokens},
            "out": str(folder / "run"),
        }
    )
    dataset, run = prepare_data(config, console), Run(folder / "run")
    plan = plan_of(config, dataset, console)
    torch.set_num_threads(plan.threads)
    state = build_state(plan, config)
    watched = build_hands(run, plan, config, dataset, ALONE, run.begin_attempt(), console)
    alone = replace(watched, bus=Bus([], [], attempt=1))
    tokenizer = Tokenizer.load(dataset.folder / "tokenizer.json")
    shares = []
    with Interrupts() as interrupts:
        checks = build_checks(plan, config, dataset, tokenizer, interrupts, ALONE, watched.loader)
        watching = [check for check in checks if check.name in ("interrupts", "text")]
        take(state, alone, [], Readback(steps, plan.device), 3)  # compiles
        for pair in range(pairs):
            halves = {
                "watched": lambda: take(state, watched, watching, Readback(config.train.log_every, plan.device), steps),
                "alone": lambda: take(state, alone, [], Readback(steps + 1, plan.device), steps),
            }
            order = list(halves) if pair % 2 == 0 else list(reversed(halves))
            seconds = {name: halves[name]() for name in order}
            shares.append(seconds["alone"] / seconds["watched"])
            print(f"pair {pair + 1} of {pairs}: {shares[-1]:.3f}", file=sys.stderr, flush=True)
    watched.loader.close()
    console.finish()
    return shares


def take(state: State, hands: Hands, checks: Sequence[Check], readback: Readback, steps: int) -> float:
    """Return the seconds that so many steps of the loop take; its save at the end is left out."""
    state.readback, state.schedule = readback, replace(state.schedule, steps=state.step + steps)
    state.saved_at = state.step + steps
    hands.loader.take(state.row)  # the batches ahead are on their way
    start = time.perf_counter()
    train_loop(state, checks, hands)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
