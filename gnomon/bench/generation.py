"""Speed of generation beside `transformers`: one prompt, the likeliest token each time, with a cache of keys."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gnomon.base.errors import ConfigError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.machine import this_machine
from gnomon.bench.chart import chart
from gnomon.bench.contest import Entry, rows_of, standings
from gnomon.bench.peers import why_not
from gnomon.presets import PRESETS

OURS = "Gnomon"


def generation(
    size: str, out: Path, *, prompt: int, tokens: int, rounds: int, seconds: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Return, and write to `out`, tokens a second after a prompt of so many tokens, and the time to the first one.

    Raises ConfigError for a size that is none, and for more tokens than the size's context.
    """
    if size not in PRESETS:
        raise ConfigError(f"there is no size {size}", where="--size", do=f"choose from {', '.join(PRESETS)}")
    shape = PRESETS[size]
    if prompt + tokens > shape.context:
        raise ConfigError(
            f"{prompt + tokens:,} tokens are more than the context of {shape.context:,}",
            where="--prompt",
            do="ask for fewer",
        )
    found: dict[str, Any] = {"machine": this_machine().as_dict(), "prompt": prompt, "rounds": rounds, "sizes": {}}
    flops = shape.flops_per_token(shape.context) / 3  # no backward pass
    for title, count in ((f"{size}, {tokens} tokens", tokens), (f"{size}, the first token", 1)):
        settings = {"shape": shape.as_dict(), "prompt": prompt, "tokens": count}
        entries = [Entry(OURS, settings | {"kind": "generate", "own_allocator": True})]
        if why := why_not("transformers"):
            tell(f"transformers is left out: {why}")
        else:
            entries.append(Entry("transformers", settings | {"kind": "generate-transformers"}))
        table = standings(entries, OURS, count, flops, rounds, seconds, lambda said, at=title: tell(f"{at}: {said}"))
        found["sizes"][title] = {"shape": shape.as_dict(), "tokens": count, "table": table}
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "generate.json", pretty_json(found))
    write_atomic(out / "generate.html", chart(found).encode())
    return found


def lines(title: str, found: dict[str, Any], prompt: int) -> Iterator[str]:
    """Yield one table as Markdown, which is also easy to read as it is."""
    yield f"{title}, after a prompt of {prompt}, in float32"
    yield from rows_of(found["table"])
    for name, row in found["table"].items():
        yield f"{name}: {1e3 * found['tokens'] / row['tokens_per_second']:,.1f} ms from the prompt to the last token"
