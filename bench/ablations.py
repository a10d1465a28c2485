"""What one setting is worth: the same runs with it and without, over several seeds.

    python bench/ablations.py texts.jsonl.zst --validation held-out.jsonl.zst --out experiments/ablations
    python bench/ablations.py texts.jsonl.zst --out experiments/cosine --tokens 3M --change train.schedule=cosine
    pip install -c constraints.txt -e '.[bench]'    # for the statistics

Every cell is a run of `gnomon train` to the end of its schedule. Printed is the loss on all held-out text, in nats a
token, with each change less that without, paired by seed, and its 95 % interval: below zero the change teaches more. A
change may be several settings, joined by commas. A kill loses nothing: the same command goes on.
"""

import json
import re
from pathlib import Path
from typing import Any

from cells import base_config, parser_of

import gnomon
from gnomon.base.files import pretty_json, write_atomic
from gnomon.config import load_config

CHANGES = [
    "train.batch_ramp=fixed",
    "train.length_ramp=fixed",
    "train.z_loss=0.0001",
    "train.schedule=cosine",
]


def main() -> None:
    """Run what is left, and print the table."""
    parser = parser_of(__doc__, tokens="1M", of="of every run", seeds=3)
    parser.add_argument("--change", nargs="+", default=CHANGES, help="key=value words, joined by commas")
    arguments = parser.parse_args()
    base = base_config(arguments) | {"budget": f"{arguments.tokens} tokens"}
    seeds = range(1, arguments.seeds + 1)
    losses = {
        change: [loss_of(arguments.out, base, change, seed) for seed in seeds] for change in ("", *arguments.change)
    }
    print(json.dumps(losses) if arguments.json else "\n".join(table(losses)))


def loss_of(out: Path, base: dict[str, Any], change: str, seed: int) -> float:
    """Return the loss at the end of a run, which is trained if that was not done."""
    path, name = out / "results.json", f"{change or 'without'} {seed}"
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"base": base, "losses": {}}
    if known["base"] != base:
        raise SystemExit(f"{path} has other runs: choose another --out")
    if name not in known["losses"]:
        folder = out / "cells" / re.sub("[^a-z0-9_]+", "-", name)
        config = folder.with_suffix(".json")
        config.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(config, pretty_json(base | {"seed": seed, "out": str(folder)}))
        asked = load_config(config, change.split(",") if change else [])
        known["losses"][name] = gnomon.train(asked, quiet=True)["val_loss"]
        write_atomic(path, pretty_json(known))
    print(f"{name:50}{known['losses'][name]:.4f}", flush=True)
    return known["losses"][name]


def table(losses: dict[str, list[float]]) -> list[str]:
    """Return the comparison as lines of Markdown."""
    from scipy import stats  # pyright: ignore[reportMissingImports]

    lines = ["| change | loss, seed by seed | less that without | 95 % interval |", "|---|---|---|---|"]
    for change, found in losses.items():
        row = f"| {change or 'none'} | {', '.join(f'{loss:.4f}' for loss in found)} |"
        if change:
            less = [a - b for a, b in zip(found, losses[""], strict=True)]
            interval: Any = stats.ttest_1samp(less, 0.0).confidence_interval(0.95)
            row += f" {sum(less) / len(less):+.4f} | {interval.low:+.4f} to {interval.high:+.4f} |"
        lines.append(row if change else row + " | |")
    return lines


if __name__ == "__main__":
    main()
