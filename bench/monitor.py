"""What watching the text costs: the monitor's time for a batch beside a training step's.

    python bench/monitor.py --size 5M --rows 128

Feeds the monitor batches of random tokens as a run would, until several windows have been compared, and takes real
training steps of the same rows. Prints microseconds a batch, windows included, tokens a second, and the share of a
step; and apart from these what is learned once of a source, and one window's comparison.
"""

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch

from gnomon.base.machine import keep_freed_memory, this_machine
from gnomon.config import make_config
from gnomon.data.monitoring.monitor import EVERY, WINDOW_TOKENS, Monitor
from gnomon.data.monitoring.shift import SPANS, Reference, Text, look
from gnomon.measure import random_rows, trial
from gnomon.presets import PRESETS
from gnomon.train.precision import choose_dtype
from gnomon.train.step import step

DOCUMENT, DOCUMENTS, WINDOWS = 500, 20_000, 16


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="5M", choices=list(PRESETS))
    parser.add_argument("--rows", type=int, default=128, help="rows of a step")
    parser.add_argument("--steps", type=int, default=5, help="steps that are measured")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(this_machine().cores)
    found = watching(arguments.size, arguments.rows)
    found["step_seconds"] = training(arguments.size, arguments.rows, arguments.steps, arguments.device)
    found["share_percent"] = found["batch_microseconds"] / found["step_seconds"] / 1e4
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{arguments.size}, {arguments.rows} rows a step, on {this_machine().processor} and {arguments.device}")
    print(
        f"monitor     {found['batch_microseconds']:8.0f} us a batch, {found['tokens_per_second'] / 1e6:,.0f} M tokens/s"
    )
    print(f"step        {found['step_seconds'] * 1e3:8.1f} ms, of which the monitor is {found['share_percent']:.3f} %")
    print(f"a window    {found['window_ms']:8.1f} ms to compare, every {EVERY * WINDOW_TOKENS:,} tokens")
    print(f"a source    {found['source_seconds'] * 1e3:8.0f} ms once, to learn what is usual")


def watching(size: str, rows: int) -> dict[str, float]:
    """Return what the monitor takes for a batch, in all and for its parts."""
    shape, rng = PRESETS[size], np.random.default_rng(0)
    shares = 1 / np.arange(2, shape.vocabulary + 1)
    ids = 1 + np.searchsorted(shares.cumsum() / shares.sum(), rng.random(DOCUMENT * DOCUMENTS)).astype(np.int64)
    ids[::DOCUMENT] = 0
    text = Text(len(ids), 0, lambda: np.arange(0, len(ids) + 1, DOCUMENT), lambda i: ids[i * DOCUMENT :][:DOCUMENT])
    counts = np.bincount(ids, minlength=shape.vocabulary).astype(np.uint64)
    window = -(-WINDOW_TOKENS // shape.context)
    reference = Reference(counts, text, length=shape.context, rows=window, every=EVERY)
    start = time.perf_counter()
    learned = [reference.twins, *(reference.expected(level) for level in range(len(SPANS)))]
    source_seconds = (time.perf_counter() - start) * bool(learned)
    stream = ids[: len(ids) // shape.context * shape.context].reshape(-1, shape.context)
    monitor, sources, row = Monitor({"text": reference}), np.zeros(rows, np.int64), 0
    spent, batches = 0.0, 0
    while monitor.windows(0) < WINDOWS:
        at = np.arange(row, row + rows)
        batch = stream[at % len(stream)]
        start = time.perf_counter()
        monitor.add(at, sources, batch)
        spent, batches, row = spent + time.perf_counter() - start, batches + 1, row + rows
    some = stream[:window].astype(np.uint16)
    compared = [_timed(lambda: look(some, counts, 0)) for _ in range(5)]
    return {
        "batch_microseconds": 1e6 * spent / batches,
        "tokens_per_second": batches * rows * shape.context / spent,
        "window_ms": 1e3 * median(compared),
        "source_seconds": source_seconds,
    }


def training(size: str, rows: int, steps: int, device: str) -> float:
    """Return the seconds of a training step."""
    config = make_config({"data": "none is read"})
    shape = PRESETS[size]
    state, batch = trial(config, shape, random_rows(shape, rows), device, choose_dtype(device, "auto")[0])

    def one() -> None:
        step(state, batch)
        if device == "cuda":
            torch.cuda.synchronize()

    one()
    return median(_timed(one) for _ in range(steps))


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
