"""Tokens to equal loss: Muon beside AdamW, over several seeds, with the rate of each found on a grid first.

    python bench/optimizers.py texts.jsonl.zst --validation held-out.jsonl.zst --out experiments/muon-5M
    python bench/optimizers.py texts.jsonl.zst --size 15M --seeds 3 --out experiments/muon-15M --plot muon-15M.svg
    pip install -c constraints.txt -e '.[bench]'    # for the statistics and the plot

Every cell is a run of `gnomon train` with a schedule of its own length, so that no loss is read off half-way. First
each optimizer's rate is chosen: the best of a grid of factors of two, on a third of the tokens, with seed 0. Then, for
each of the seeds 1, 2, …, AdamW trains on all tokens and Muon on some shares of them; where Muon's loss equals AdamW's
is interpolated in the logarithm of tokens. A kill loses nothing: the same command goes on.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gnomon
from gnomon.base.files import pretty_json, write_atomic
from gnomon.config import parse_budget
from gnomon.events.journal import read_events
from gnomon.store.runs import Run

RATES = {"adamw": 1e-3, "muon": 8e-3}  # where the grids begin
SEED_OF_GRIDS = 0


@dataclass(frozen=True)
class Cell:
    """One run of the experiment."""

    optimizer: str
    lr: float
    tokens: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.optimizer}-{self.lr:g}-{self.tokens}-{self.seed}"


class Experiment:
    """Cells of one size, text and batch; what each came to is kept in `results.json`."""

    def __init__(self, out: Path, options: dict[str, Any]) -> None:
        self._out, self._options = out, options
        self._path = out / "results.json"
        self.results: dict[str, dict[str, Any]] = json.loads(self._path.read_text()) if self._path.exists() else {}

    def loss(self, cell: Cell) -> float:
        """Return the loss on all held-out text, in nats a token, after training the cell if that was not done."""
        if cell.name not in self.results:
            config = self._options | {
                "budget": f"{cell.tokens} tokens",
                "seed": cell.seed,
                "out": str(self._out / "cells" / cell.name),
            }
            config["train"] = config["train"] | {"optimizer": cell.optimizer, "lr": cell.lr}
            done = gnomon.train(config)
            training = [e for e in read_events(Run(Path(config["out"])).events_path) if e["kind"] == "validated"]
            found = {"loss": done["val_loss"], "curve": [[e["step"], e["loss"]] for e in training]}
            self.results[cell.name] = asdict(cell) | found
            write_atomic(self._path, pretty_json(self.results))
        print(f"{cell.name:40}{self.results[cell.name]['loss']:.4f}", flush=True)
        return self.results[cell.name]["loss"]

    def best_rate(self, optimizer: str, tokens: int) -> float:
        """Return the rate whose neighbours, half and double, are both worse."""
        rate = RATES[optimizer]
        while True:
            losses = {r: self.loss(Cell(optimizer, r, tokens, SEED_OF_GRIDS)) for r in (rate / 2, rate, rate * 2)}
            best = min(losses, key=lambda r: losses[r])
            if best == rate:
                return rate
            rate = best


def tokens_at(loss: float, seen: list[tuple[int, float]]) -> float:
    """Return the tokens at which the loss is reached, between or beyond two (tokens, loss), log-linearly in tokens."""
    seen = sorted(seen)
    after = next((i for i in range(1, len(seen)) if seen[i][1] <= loss), len(seen) - 1)
    (tokens_a, loss_a), (tokens_b, loss_b) = seen[after - 1], seen[after]
    share = (loss_a - loss) / (loss_a - loss_b)
    return math.exp(math.log(tokens_a) + share * (math.log(tokens_b) - math.log(tokens_a)))


def compare(experiment: Experiment, tokens: int, shares: list[float], seeds: int) -> dict[str, Any]:
    """Return, for every seed, the losses and the share of AdamW's tokens at which Muon has AdamW's loss."""
    rates = {name: experiment.best_rate(name, tokens // 3) for name in RATES}
    rows = []
    for seed in range(1, seeds + 1):
        adamw = experiment.loss(Cell("adamw", rates["adamw"], tokens, seed))
        counts = [round(share * tokens) for share in shares]
        muon = [(count, experiment.loss(Cell("muon", rates["muon"], count, seed))) for count in counts]
        rows.append({"seed": seed, "adamw": adamw, "muon": muon, "share": tokens_at(adamw, muon) / tokens})
    return {"tokens": tokens, "rates": rates, "rows": rows, **statistics_of([row["share"] for row in rows])}


def statistics_of(shares: list[float]) -> dict[str, Any]:
    """Return the geometric mean of the shares, its 95 % interval, and how likely they would be were the true one 1, or
    0.7: one-sided t-tests on the paired differences of log tokens.
    """
    from scipy import stats  # pyright: ignore[reportMissingImports]

    logs = [math.log(share) for share in shares]
    none: Any = stats.ttest_1samp(logs, 0.0, alternative="less")
    below: Any = stats.ttest_1samp(logs, math.log(0.7), alternative="less")
    interval = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    return {
        "share": math.exp(sum(logs) / len(logs)),
        "interval": [math.exp(interval.low), math.exp(interval.high)],
        "p_no_saving": float(none.pvalue),
        "p_saving_below_30_percent": float(below.pvalue),
    }


def table(found: dict[str, Any], shares: list[float]) -> str:
    """Return the comparison as Markdown."""
    head = ["seed", f"AdamW, {found['tokens'] / 1e6:g}M tokens"]
    head += [f"Muon, {share * found['tokens'] / 1e6:g}M" for share in shares] + ["Muon's tokens to AdamW's loss"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in found["rows"]:
        cells = [str(row["seed"]), f"{row['adamw']:.4f}", *(f"{loss:.4f}" for _, loss in row["muon"])]
        lines.append("| " + " | ".join([*cells, f"{100 * row['share']:.0f} %"]) + " |")
    low, high = found["interval"]
    return "\n".join(
        [
            *lines,
            "",
            f"Rates: AdamW {found['rates']['adamw']:g}, Muon {found['rates']['muon']:g}. Muon needs "
            f"{100 * found['share']:.0f} % of AdamW's tokens (95 % interval {100 * low:.0f} to {100 * high:.0f} %); "
            f"p for no saving {found['p_no_saving']:.1g}, for one below 30 % {found['p_saving_below_30_percent']:.1g}.",
        ]
    )


def plot(experiment: Experiment, path: Path) -> None:
    """Write the validation losses of the runs of seed 1 while they trained, against tokens, as SVG."""
    import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for cell in experiment.results.values():
        if cell["seed"] == 1:
            steps, losses = zip(*cell["curve"], strict=True)
            label = f"{cell['optimizer'].replace('adamw', 'AdamW').replace('muon', 'Muon')}, {cell['tokens'] / 1e6:g}M"
            colour = "#b4551d" if cell["optimizer"] == "adamw" else "#1f5fa8"
            tokens = [cell["tokens"] * step / steps[-1] / 1e6 for step in steps]
            axes.plot(tokens, losses, color=colour, alpha=0.4 + 0.6 * cell["tokens"] / 3e6 % 0.61, label=label)
    axes.set(xlabel="million tokens", ylabel="validation loss, nats a token")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Run what is left of the experiment, and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--validation", type=Path, help="held-out text; without, a share of the text is held out")
    parser.add_argument("--size", default="5M")
    parser.add_argument("--tokens", default="3M", help="of AdamW's runs")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.3, 0.5], help="of them that Muon is given")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and results")
    parser.add_argument("--plot", type=Path, help="SVG of the runs of seed 1")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    held_out = {"validation": str(arguments.validation)} if arguments.validation else {}
    options = {
        "data": {"train": str(arguments.text), "root": str(arguments.out / "datasets"), **held_out},
        "size": arguments.size,
        "train": {"batch_tokens": arguments.batch_tokens, "compile": True, "keep_last": 1},
        "export": {"gguf": [], "hf": False},
    }
    experiment = Experiment(arguments.out, options)
    tokens = round(parse_budget(f"{arguments.tokens} tokens")[1])
    found = compare(experiment, tokens, arguments.shares, arguments.seeds)
    if arguments.plot:
        plot(experiment, arguments.plot)
    print(json.dumps(found) if arguments.json else table(found, arguments.shares))


if __name__ == "__main__":
    main()
