"""What `gnomon plan` foretells beside what happens: seconds of training and the most memory, size by size.

    python bench/predictions.py texts.jsonl.zst --size 1M 5M 15M --budget 2m
    python bench/predictions.py texts.jsonl.zst --size 5M --override model.width=320 model.layers=7 model.context=192

Every run is one of `gnomon train`, with the text prepared before. Compared are the plan's `seconds` and `memory_bytes`
with the time between a run's first and last event and with the most memory that its process held.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gnomon.base.files import pretty_json
from gnomon.events.journal import read_events
from gnomon.plan import read_plan
from gnomon.store.runs import Run


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--validation", type=Path, help="held-out text; without, a share of the text is held out")
    parser.add_argument("--size", nargs="+", default=["1M", "5M", "15M"])
    parser.add_argument("--budget", default="90s")
    parser.add_argument("--override", nargs="*", default=[], help="key=value words for `gnomon train`, of all sizes")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.size:
            found.append(measure(arguments, size, Path(folder)))
            if not arguments.json:
                print(line(found[-1]), flush=True)
    if arguments.json:
        print(json.dumps(found))


def measure(arguments: argparse.Namespace, size: str, folder: Path) -> dict[str, Any]:
    """Return a run's planned and measured seconds and bytes."""
    held_out = {"validation": str(arguments.validation)} if arguments.validation else {}
    config = {
        "data": {"train": str(arguments.text), "root": str(folder / "datasets"), **held_out},
        "size": size,
        "budget": arguments.budget,
        "out": str(folder / size),
        "export": {"gguf": [], "hf": False},
    }
    path = folder / f"{size}.json"
    path.write_bytes(pretty_json(config))
    for verb in (["data", "prepare"], ["train"]):
        command = [sys.executable, "-m", "gnomon", *verb, str(path), *arguments.override]
        subprocess.run(command, check=True, capture_output=True)
    run = Run(folder / size)
    plan, events = read_plan(run.plan_path), read_events(run.events_path)
    return {
        "size": size,
        "parameters": plan.parameters,
        "compile": plan.compile,
        "seconds_planned": plan.seconds,
        "seconds": next(e["seconds"] for e in events if e["kind"] == "run_stopped"),
        "memory_planned": plan.memory_bytes,
        "memory": max(e["memory_bytes"] for e in events if e["kind"] == "step"),
        "why_memory": plan.reasons["memory_bytes"],
    }


def line(found: dict[str, Any]) -> str:
    """Return one run as a row of a Markdown table."""
    seconds, memory = found["seconds"], found["memory"]
    return (
        f"| {found['size']}, {found['parameters'] / 1e6:.1f}M{', compiled' * found['compile']} "
        f"| {found['seconds_planned']:,.0f} s | {seconds:,.0f} s | {found['seconds_planned'] / seconds - 1:+.0%} "
        f"| {found['memory_planned'] / 2**20:,.0f} MiB | {memory / 2**20:,.0f} MiB "
        f"| {found['memory_planned'] / memory - 1:+.0%} |"
    )


if __name__ == "__main__":
    main()
