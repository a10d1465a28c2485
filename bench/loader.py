"""What the loader costs: packing, gathering, the first batch after a resume, and its share of a training step.

    python bench/loader.py --documents 8192 --rows 16 --context 512

On random ids in documents whose lengths are as spread as those of real text (log-normal). Prints the fill of rows and
the tokens that are in none, tokens per second and core of each part of serving a warm batch, the milliseconds until a
stream made anew gives its first batch at random far rows, and the part of a step on this processor that its batch
takes: of a model of --size, at the batch that a 10 minute run plans. --sources is how many the ids come from.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from gnomon.data.document import Document
from gnomon.data.shards import SplitWriter
from gnomon.data.streaming.rows import gather
from gnomon.data.streaming.source import Windows
from gnomon.data.streaming.stream import Stream
from gnomon.events.journal import Decisions
from gnomon.store.datasets import Dataset, Split


class Sources(Dataset):
    """A dataset of random ids."""

    def sources(self, split: str) -> dict[str, Split]:
        """Return each source's part of a split, by its name."""
        return self.manifest["sources"]


def write(folder: Path, documents: int, median: int, sources: int) -> Sources:
    """Return a dataset of so many documents a source."""
    draw = np.random.default_rng(0)
    like: Any = SimpleNamespace(end_of_text=0, vocabulary=4096)
    found = {}
    for number in range(sources):
        with SplitWriter(like) as writer:
            for i, length in enumerate(draw.lognormal(np.log(median), 1.0, documents).astype(int) + 1):
                ids = draw.integers(1, 4096, length, dtype=np.uint16)
                writer.add(Document(f"{number} {i}", f"{i}"), ids.tolist())
            place = folder / f"source-{number}"
            place.mkdir()
            found[f"source-{number}"] = Split(place / "train", writer.write(place / "train"), 0)
    return Sources(folder, {"name": "random", "sources": found})


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """Return the median processor time of some work, after once to warm up."""
    work()
    found = []
    for _ in range(rounds):
        began = time.thread_time()
        work()
        found.append(time.thread_time() - began)
    return statistics.median(found)


def measure(dataset: Sources, context: int, rows: int, rounds: int) -> dict[str, float]:
    """Return the figures of packing and serving."""
    split = next(iter(dataset.sources("train").values()))
    windows = Windows(split, context)
    every = [windows.pieces(window) for window in range(len(windows.rows))]
    packing = seconds(lambda: [windows.pieces(window) for window in range(len(windows.rows))], rounds // 4)
    packed = sum(int(pieces.size.sum()) for pieces in every)

    tokens, numbers = rows * context, iter(range(rounds + 1))
    cuts = every[0].tokens().argsort(kind="stable")[::-1][: rows * (len(every[0].first) // rows)].reshape(-1, rows)
    some = lambda: every[0].rows(cuts[next(numbers) % len(cuts)])  # noqa: E731
    chosen = [some() for _ in range(rounds + 1)]
    turn = iter(chosen)
    gathering = seconds(lambda: gather([split], next(turn), context), rounds)
    stream = Stream(dataset, context, rows, rows, 1, Decisions())
    place = iter(range(0, (rounds + 2) * rows, rows))
    batch = seconds(lambda: stream.take(next(place)), rounds)

    draw, firsts = np.random.default_rng(1), []
    for row in draw.integers(10**6, 10**12, 7).tolist():
        began = time.perf_counter()
        Stream(dataset, context, rows, rows, 1, Decisions()).take(row)
        firsts.append(time.perf_counter() - began)
    return {
        "fill": packed / (sum(len(pieces.first) - 1 for pieces in every) * context),
        "dropped_tokens": split.n_tokens - packed,
        "packing_tokens_per_second": packed / packing,
        "gather_tokens_per_second": tokens / gathering,
        "batch_tokens_per_second": tokens / batch,
        "first_batch_ms": 1000 * statistics.median(firsts),
        "first_batch_worst_ms": 1000 * max(firsts),
    }


def share_of_step(dataset: Sources, size: str) -> dict[str, float]:
    """Return the part that the batch takes of a step, both on this processor, with loading and training in turn."""
    from gnomon.assemble import make_state
    from gnomon.base.machine import this_machine
    from gnomon.config import make_config
    from gnomon.pace import guessed
    from gnomon.plan import make_plan, shape_of
    from gnomon.train.precision import choose_dtype
    from gnomon.train.schedule import Schedule
    from gnomon.train.step import step

    config = make_config({"data": "texts", "size": size, "budget": "10m", "train": {"compile": False}})
    shape = shape_of(config)
    dtype = choose_dtype("cpu", "auto")
    pace = guessed(shape.flops_per_token(shape.context), shape.parameters)
    plan = make_plan(config, this_machine(), device="cpu", dtype=dtype, pace=pace)
    torch.set_num_threads(plan.threads)
    schedule = Schedule("wsd", plan.lr, plan.steps, plan.warmup_steps, 0.4, 0.05)
    state = make_state(
        shape, schedule, config, device="cpu", dtype=dtype[0], seed=1, compiled=False, optimizer=plan.optimizer
    )
    stream = Stream(dataset, shape.context, plan.rows_per_step, plan.micro_rows, 1, Decisions())
    loading = training = 0.0
    for turn in range(4):
        began = time.perf_counter()
        batch = stream.take(state.row)
        loaded = time.perf_counter()
        step(state, batch)
        if turn:
            loading, training = loading + loaded - began, training + time.perf_counter() - loaded
    return {"step_seconds": training / 3, "loader_share_of_step": loading / training}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=8192, help="of each source")
    parser.add_argument("--median", type=int, default=300, help="tokens of a document")
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--rows", type=int, default=16, help="of a batch, in one micro-batch")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--size", default="5M", help="of the model; none: leave the step out")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dataset = write(Path(folder), arguments.documents, arguments.median, arguments.sources)
        found = measure(dataset, arguments.context, arguments.rows, arguments.rounds)
        if arguments.size != "none":
            found |= share_of_step(dataset, arguments.size)
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"fill                {found['fill']:.4%}   in no row: {found['dropped_tokens']:,} tokens")
    for name in ("packing", "gather", "batch"):
        print(f"{name:18}{found[name + '_tokens_per_second'] / 1e6:8,.0f} M tokens/s a core")
    print(f"first batch       {found['first_batch_ms']:8.1f} ms, at worst {found['first_batch_worst_ms']:.1f}")
    if "step_seconds" in found:
        print(f"of a step         {found['loader_share_of_step']:8.3%}   of {found['step_seconds']:.2f} s")


if __name__ == "__main__":
    main()
