"""Tokens to equal loss: Muon beside AdamW, over several seeds, each with the rate and the batch that suit it.

    python bench/optimizers.py texts.jsonl.zst --validation held-out.jsonl.zst --out experiments/muon-5M
    python bench/optimizers.py texts.jsonl.zst --size 15M --seeds 3 --out experiments/muon-15M --plot muon-15M.svg \
        --adamw 1e-3 2048 --muon 8e-3 4096    # rate and tokens a step, not searched for
    pip install -c constraints.txt -e '.[bench]'    # for the statistics and the plot

Every cell is a run of `gnomon train` with a schedule of its own length, so that no loss is read off half-way. First
each optimizer's rate and tokens a step are chosen, on a third of the tokens, with seed 0: both are doubled and halved
until nothing is better. Then, for each of the seeds 1, 2, …, AdamW trains on all tokens and Muon on some shares of
them; where Muon's loss equals AdamW's is interpolated in the logarithm of tokens. A kill loses nothing: the same
command goes on.
"""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cells import base_config, parser_of

import gnomon
from gnomon.base.files import pretty_json, write_atomic
from gnomon.config import parse_budget
from gnomon.events.journal import read_events
from gnomon.store.runs import Run

SEED_OF_SEARCH = 0
POINTS = 10  # of a run's curve


@dataclass(frozen=True)
class Dials:
    """What is chosen for an optimizer."""

    lr: float
    batch_tokens: int

    def beside(self) -> list["Dials"]:
        """Return the dials with one of the two halved or doubled."""
        return [
            *(Dials(self.lr * factor, self.batch_tokens) for factor in (0.5, 2)),
            *(Dials(self.lr, round(self.batch_tokens * factor)) for factor in (0.5, 2)),
        ]

    def __str__(self) -> str:
        return f"a rate of {self.lr:g} with {self.batch_tokens:,} tokens a step"


START = {"adamw": Dials(1e-3, 2048), "muon": Dials(8e-3, 4096)}  # where the searches begin


@dataclass(frozen=True)
class Cell:
    """One run of the experiment."""

    optimizer: str
    dials: Dials
    tokens: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.optimizer}-{self.dials.lr:g}-{self.dials.batch_tokens}-{self.tokens}-{self.seed}"


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
            every = cell.tokens // cell.dials.batch_tokens // POINTS
            config["train"] = config["train"] | asdict(cell.dials)
            config["train"] |= {"optimizer": cell.optimizer, "validate_every": every, "save_every": every}
            done = gnomon.train(config)
            training = [e for e in read_events(Run(Path(config["out"])).events_path) if e["kind"] == "validated"]
            found = {"loss": done["val_loss"], "curve": [[e["step"], e["loss"]] for e in training]}
            self.results[cell.name] = asdict(cell) | found
            write_atomic(self._path, pretty_json(self.results))
        print(f"{cell.name:40}{self.results[cell.name]['loss']:.4f}", flush=True)
        return self.results[cell.name]["loss"]

    def search(self, optimizer: str, dials: Dials, tokens: int) -> Dials:
        """Return the dials, from those given on, beside which all others are worse."""
        while True:
            losses = {d: self.loss(Cell(optimizer, d, tokens, SEED_OF_SEARCH)) for d in [dials, *dials.beside()]}
            best = min(losses, key=lambda d: losses[d])
            if best == dials:
                return dials
            dials = best


def tokens_at(loss: float, seen: list[tuple[int, float]]) -> float:
    """Return the tokens at which the loss is reached, between or beyond two (tokens, loss), log-linearly in tokens."""
    seen = sorted(seen)
    after = next((i for i in range(1, len(seen)) if seen[i][1] <= loss), len(seen) - 1)
    (tokens_a, loss_a), (tokens_b, loss_b) = seen[after - 1], seen[after]
    share = (loss_a - loss) / (loss_a - loss_b)
    return math.exp(math.log(tokens_a) + share * (math.log(tokens_b) - math.log(tokens_a)))


def compare(
    experiment: Experiment, dials: dict[str, Dials], tokens: int, shares: list[float], seeds: int
) -> dict[str, Any]:
    """Return, for every seed, the losses and the share of AdamW's tokens at which Muon has AdamW's loss."""
    rows = []
    for seed in range(1, seeds + 1):
        adamw = experiment.loss(Cell("adamw", dials["adamw"], tokens, seed))
        counts = [round(share * tokens) for share in shares]
        muon = [(count, experiment.loss(Cell("muon", dials["muon"], count, seed))) for count in counts]
        rows.append({"seed": seed, "adamw": adamw, "muon": muon, "share": tokens_at(adamw, muon) / tokens})
    chosen = {name: asdict(d) for name, d in dials.items()}
    return {"tokens": tokens, "dials": chosen, "rows": rows, **statistics_of([row["share"] for row in rows])}


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
            f"AdamW has {Dials(**found['dials']['adamw'])}, Muon {Dials(**found['dials']['muon'])}. Muon needs "
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
    parser = parser_of(__doc__, tokens="3M", of="of AdamW's runs", seeds=5)
    parser.add_argument("--shares", type=float, nargs="+", default=[0.4, 0.65], help="of them that Muon is given")
    for name in START:
        parser.add_argument(f"--{name}", type=float, nargs=2, metavar=("RATE", "TOKENS"), help="not to be searched for")
    parser.add_argument("--plot", type=Path, help="SVG of the runs of seed 1")
    arguments = parser.parse_args()
    experiment = Experiment(arguments.out, base_config(arguments))
    tokens = round(parse_budget(f"{arguments.tokens} tokens")[1])
    given = {name: getattr(arguments, name) for name in START}
    dials = {
        name: Dials(given[name][0], int(given[name][1])) if given[name] else experiment.search(name, start, tokens // 3)
        for name, start in START.items()
    }
    found = compare(experiment, dials, tokens, arguments.shares, arguments.seeds)
    if arguments.plot:
        plot(experiment, arguments.plot)
    print(json.dumps(found) if arguments.json else table(found, arguments.shares))


if __name__ == "__main__":
    main()
