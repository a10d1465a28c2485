"""Training speed beside others: one table, one JSON file and one chart a run of the benchmark."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.machine import this_machine
from gnomon.bench.chart import chart
from gnomon.bench.contest import Contestant, Entry, in_turn, tcmalloc
from gnomon.bench.peers import why_not
from gnomon.presets import PRESETS, Shape

CLASSES = {
    "S": Shape(4096, width=256, layers=6, heads=8, kv_heads=8, head_width=32, feed_forward=704, context=256),
    "M": Shape(32768, width=384, layers=8, heads=6, kv_heads=6, head_width=64, feed_forward=1024, context=256),
    "L": Shape(50304, width=768, layers=12, heads=12, kv_heads=12, head_width=64, feed_forward=2048, context=256),
}
"""Shapes as others choose them, as many key heads as query heads: 5.9M, 26.8M and 123.6M parameters."""
ROWS = {"S": 16, "M": 8, "L": 4}
STEP_TOKENS = 4096  # of a preset's step
OURS, BOUND, CEILING = "Gnomon", "products, attention, optimizer alone", "one large product"


def sizes() -> dict[str, Shape]:
    """Return every shape that can be asked for, by name."""
    return CLASSES | PRESETS


def speed(
    names: Sequence[str],
    out: Path,
    *,
    rows: int | None,
    rounds: int,
    seconds: float,
    nanogpt: str | None,
    nanochat: str | None,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return, and write to `out`, tokens a second of everyone, for each size. What cannot be had is told and left out.

    Raises ConfigError for a size that is none, TrainingError where a contestant's process ends.
    """
    if unknown := [name for name in names if name not in sizes()]:
        raise ConfigError(f"there is no size {unknown[0]}", where="--size", do=f"choose from {', '.join(sizes())}")
    found: dict[str, Any] = {"machine": this_machine().as_dict(), "rounds": rounds, "sizes": {}}
    for name in names:
        shape = sizes()[name]
        count = rows or ROWS.get(name) or max(1, STEP_TOKENS // shape.context)
        entries = list(contestants(shape, count, nanogpt, nanochat, tell))
        found["sizes"][name] = contest(name, shape, count, entries, rounds, seconds, tell)
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(out / "speed.json", pretty_json(found))
        write_atomic(out / "speed.html", chart(found).encode())
    return found


def contestants(
    shape: Shape, rows: int, nanogpt: str | None, nanochat: str | None, tell: Callable[[str], None]
) -> Iterator[Entry]:
    """Yield everyone that can be had here: ours, what nobody can be faster than, and others, as they come and tuned."""
    base = {"shape": shape.as_dict(), "rows": rows}
    library = tcmalloc()
    if library is None:
        tell("tcmalloc is not here, and others are tuned without it (on Debian: apt install libgoogle-perftools4)")
    tuned = {"LD_PRELOAD": library} if library else {}

    def peer(name: str, kind: str, environment: dict[str, str] | None = None, **options: Any) -> Iterator[Entry]:
        if why := why_not(kind, options.get("checkout", "")):
            tell(f"{name} is left out: {why}")
            return
        yield Entry(name, base | {"kind": kind, "options": options}, environment or {})

    for name, compiled, optimizer in (
        (OURS, True, "adamw"),
        ("Gnomon, with Muon", True, "muon"),
        ("Gnomon, not compiled", False, "adamw"),
    ):
        options = {"compiled": compiled, "optimizer": optimizer}
        yield Entry(name, base | {"kind": "gnomon", "options": options, "own_allocator": True})
    yield Entry(BOUND, base | {"kind": "bound", "own_allocator": True})
    yield Entry(CEILING, {"kind": "ceiling", "own_allocator": True})
    with_it = ", tcmalloc" if library else ""
    yield from peer("transformers", "transformers")
    yield from peer(f"transformers, bfloat16{with_it}", "transformers", tuned, bf16=True)
    yield from peer("litgpt, compiled", "litgpt", compiled=True)
    yield from peer(f"litgpt, bfloat16, compiled{with_it}", "litgpt", tuned, bf16=True, compiled=True)
    if nanogpt:
        yield from peer("nanoGPT", "nanogpt", checkout=nanogpt)
        yield from peer(
            f"nanoGPT, bfloat16, compiled{with_it}", "nanogpt", tuned, bf16=True, compiled=True, checkout=nanogpt
        )
    if nanochat:
        bf16 = {"NANOCHAT_DTYPE": "bfloat16"} | tuned
        yield from peer("nanochat", "nanochat", {"NANOCHAT_DTYPE": "float32"}, checkout=nanochat)
        yield from peer(f"nanochat, bfloat16, compiled{with_it}", "nanochat", bf16, compiled=True, checkout=nanochat)


def contest(
    name: str,
    shape: Shape,
    rows: int,
    entries: Sequence[Entry],
    rounds: int,
    seconds: float,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return tokens a second, ratios and memory of every entry, all timed in turn.

    Beside the medians stands `ratio`: the median over rounds of our tokens a second over theirs.
    """
    with ExitStack() as stack:
        running = []
        for entry in entries:
            tell(f"{name}: warming up {entry.name}")
            running.append(stack.enter_context(Contestant(entry)))
        times = in_turn(running, rounds, seconds, lambda turn: tell(f"{name}: round {turn} of {rounds}"))
        tokens, flops = rows * shape.context, shape.flops_per_token(shape.context)
        table = {}
        for c in running:
            one = c.entry.name
            work = c.first["operations"] / flops if one == CEILING else tokens
            rates = [work / t for t in times[one]]
            ratios = [tokens / ours / rate for ours, rate in zip(times[OURS], rates, strict=True)]
            table[one] = {
                "tokens_per_second": statistics.median(rates),
                "lowest": min(rates),
                "highest": max(rates),
                "ratio": statistics.median(ratios),
                "tflops": statistics.median(rates) * flops / 1e12,
                "first_seconds": c.first["first_seconds"],
                "memory_bytes": c.peak_memory(),
                "parameters": c.first.get("parameters"),
            }
    return {"shape": shape.as_dict(), "rows": rows, "flops_per_token": flops, "table": table}


def lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield one size's table as Markdown, which is also easy to read as it is."""
    shape, table = found["shape"], found["table"]
    yield f"{name}: {shape['layers']} layers of {shape['width']}, vocabulary {shape['vocabulary']:,}; " + (
        f"{found['rows']} rows of {shape['context']} tokens a step"
    )
    yield f"| {'':38} | tokens/s {'':21} | Gnomon is | TFLOP/s | first step |   memory |"
    yield f"|{'-' * 40}|{'-' * 32}|{'-' * 11}|{'-' * 9}|{'-' * 12}|{'-' * 10}|"
    for one, row in sorted(table.items(), key=lambda item: -item[1]["tokens_per_second"]):
        spread = f"({row['lowest']:,.0f} to {row['highest']:,.0f})"
        yield (
            f"| {one:38} | {row['tokens_per_second']:>9,.0f} {spread:>20} | {row['ratio']:>8.2f}x | "
            f"{row['tflops']:>7.3f} | {row['first_seconds']:>8.1f} s | {row['memory_bytes'] / 2**20:>6,.0f} M |"
        )
    ours = table[OURS]
    yield (
        f"{OURS} does {ours['tflops'] / table[CEILING]['tflops']:.0%} of the operations that one large product does in "
        f"its time, and is at {table[BOUND]['ratio']:.0%} of what products, attention and optimizer alone allow."
    )
