"""Training speed beside others: one table, one JSON file and one chart a run of the benchmark."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.machine import this_machine
from gnomon.bench.chart import chart
from gnomon.bench.contest import Entry, rows_of, standings, tcmalloc
from gnomon.bench.peers import why_not
from gnomon.presets import PRESETS, Shape
from gnomon.train.kernels import no_compiler

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
        tokens, flops = count * shape.context, shape.flops_per_token(shape.context)
        table = standings(entries, OURS, tokens, flops, rounds, seconds, lambda said, at=name: tell(f"{at}: {said}"))
        found["sizes"][name] = {"shape": shape.as_dict(), "rows": count, "flops_per_token": flops, "table": table}
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

    compiles = no_compiler() is None
    if not compiles:
        tell(f"nothing is compiled: {no_compiler()}")
    for name, compiled, optimizer in (
        (OURS, compiles, "adamw"),
        ("Gnomon, with Muon", compiles, "muon"),
        *([("Gnomon, not compiled", False, "adamw")] if compiles else []),
    ):
        options = {"compiled": compiled, "optimizer": optimizer}
        yield Entry(name, base | {"kind": "gnomon", "options": options, "own_allocator": True})
    yield Entry(BOUND, base | {"kind": "bound", "own_allocator": True})
    yield Entry(CEILING, {"kind": "ceiling", "own_allocator": True})
    tuning = f"bfloat16{', compiled' * compiles}{', tcmalloc' * bool(library)}"
    yield from peer("transformers", "transformers")
    yield from peer(f"transformers, bfloat16{', tcmalloc' * bool(library)}", "transformers", tuned, bf16=True)
    yield from peer("litgpt", "litgpt", compiled=compiles)
    yield from peer(f"litgpt, {tuning}", "litgpt", tuned, bf16=True, compiled=compiles)
    if nanogpt:
        yield from peer("nanoGPT", "nanogpt", checkout=nanogpt)
        yield from peer(f"nanoGPT, {tuning}", "nanogpt", tuned, bf16=True, compiled=compiles, checkout=nanogpt)
    if nanochat:
        bf16 = {"NANOCHAT_DTYPE": "bfloat16"} | tuned
        yield from peer("nanochat", "nanochat", {"NANOCHAT_DTYPE": "float32"}, checkout=nanochat)
        yield from peer(f"nanochat, {tuning}", "nanochat", bf16, compiled=compiles, checkout=nanochat)


def lines(name: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield one size's table as Markdown, which is also easy to read as it is."""
    shape, table = found["shape"], found["table"]
    yield f"{name}: {shape['layers']} layers of {shape['width']}, vocabulary {shape['vocabulary']:,}; " + (
        f"{found['rows']} rows of {shape['context']} tokens a step"
    )
    yield from rows_of(table)
    if {BOUND, CEILING} <= set(table):
        share = table[OURS]["tflops"] / table[CEILING]["tflops"]
        yield (
            f"{OURS} does {share:.0%} of the operations that one large product does in its time, and is at "
            f"{table[BOUND]['ratio']:.0%} of what products, attention and optimizer alone allow."
        )
