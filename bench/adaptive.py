"""What loops cost and bring: a model with loops of its own choice beside the same weights at every fixed depth.

    python bench/adaptive.py --steps 300                    trains a small model on Python's own help, and measures it
    python bench/adaptive.py --steps 300 --diversity 0      the same without the loss of tokens that loop alike
    python bench/adaptive.py --run runs/adaptive            measures a run on its validation text

Prints mean and deviation of the loops, Spearman's correlation of loops and difficulty, the loss beside that of the same
loops dealt to other tokens, of equally many loops for all, and of all loops; then tokens a second of reading and of
writing, beside all loops for all tokens.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from pydoc_data import topics
from typing import Any

import torch
from torch import Tensor

from gnomon.assemble import make_state
from gnomon.bundle import load_bundle
from gnomon.config import make_config
from gnomon.data.streaming.rows import Rows, make_rows
from gnomon.data.streaming.stream import Batch, validation_rows
from gnomon.evaluate.depth import depth_of
from gnomon.model.cache import Cache
from gnomon.model.lm import LanguageModel
from gnomon.plan import shape_of
from gnomon.store.datasets import open_dataset
from gnomon.train.schedule import Schedule
from gnomon.train.step import step


def trained(arguments: argparse.Namespace) -> tuple[LanguageModel, list[Rows]]:
    """Return a small model that has read bytes of Python's help, and rows of it that were held out."""
    config = make_config(
        {
            "data": "none",
            "size": "1M",
            "tokenizer": {"vocabulary": 256},
            "model": {
                "width": arguments.width, "layers": arguments.layers, "loops": arguments.loops, "context": 128,
                "feed_forward": 2 * arguments.width, "halting": arguments.halting, "halt_at": arguments.halt_at,
            },
            "adaptive": {"diversity": arguments.diversity, "budget": arguments.budget, "noise": arguments.noise},
        }
    )  # fmt: skip
    text = torch.tensor(list("\n\n".join(topics.topics.values()).encode()), dtype=torch.long)
    rows = text[: len(text) // 129 * 129].view(-1, 129)[torch.randperm(len(text) // 129, generator=_seeded(0))]
    held_out, rows = rows[:64], rows[64:]
    state = make_state(
        shape_of(config), Schedule("wsd", arguments.lr, arguments.steps, 10, 0.4, 0.1), config, device="cpu",
        dtype="fp32", seed=arguments.seed, compiled=False, optimizer="muon",
    )  # fmt: skip
    order = torch.randint(len(rows), (arguments.steps, arguments.rows), generator=_seeded(arguments.seed))
    for i, chosen in enumerate(order):
        micro = _as_rows(rows[chosen])
        step(state, Batch((micro,), micro.loss_tokens, 0, 0, (), arguments.rows))
        if not arguments.json and (i + 1) % max(1, arguments.steps // 4) == 0:
            state.model.eval()
            found = depth_of(state.model, [_as_rows(held_out)])
            print(f"step {i + 1:5}  loss {found.loss:.3f}  loops {found.mean:.2f} ± {found.deviation:.2f}", flush=True)
            state.model.train()
    return state.model, [_as_rows(held_out)]


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _as_rows(rows: Tensor) -> Rows:
    return make_rows(rows[:, :-1].numpy(), rows[:, 1:].numpy(), [[rows.shape[1] - 1]] * len(rows))


def of_run(folder: Path, tokens: int) -> tuple[LanguageModel, list[Rows]]:
    """Return the model of a run, and rows of its validation text."""
    bundle = load_bundle(folder)
    dataset = open_dataset(Path(str(bundle.plan["dataset_folder"])))
    return bundle.model, list(validation_rows(dataset, bundle.shape.context, 8, tokens))


@torch.no_grad()
def speeds(model: LanguageModel, tokens_BT: Tensor, rounds: int) -> dict[str, float]:
    """Return tokens a second of reading and of writing: with loops as the model wants, and with all of them."""
    every = torch.full_like(tokens_BT, model.shape.loops)
    rows, new = tokens_BT.shape[0], min(32, tokens_BT.shape[1])

    def write(steps_BT: Tensor | None) -> None:
        cache = Cache(rows, new, model.shape, model.head)
        for i in range(new):
            model(tokens_BT[:, i : i + 1], cache=cache, steps_BT=None if steps_BT is None else steps_BT[:, i : i + 1])

    ways: dict[str, Callable[[], Any]] = {
        "read": lambda: model(tokens_BT),
        "read, all loops": lambda: model(tokens_BT, steps_BT=every),
        "write": lambda: write(None),
        "write, all loops": lambda: write(every),
    }
    best = dict.fromkeys(ways, math.inf)
    for _ in range(rounds):  # in turn, so that what else the machine does meets all of them
        for name, way in ways.items():
            start = time.process_time()
            way()
            best[name] = min(best[name], time.process_time() - start)
    count = {"read": tokens_BT.numel(), "write": rows * new}
    return {name: count[name.split(",")[0]] / seconds for name, seconds in best.items()}


def main() -> None:
    """Train or load, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--tokens", type=int, default=8192, help="of validation text, with --run")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--halting", choices=["act", "ponder"], default="act")
    parser.add_argument("--halt-at", type=float, default=0.75)
    parser.add_argument("--budget", type=float)
    parser.add_argument("--diversity", type=float, default=0.3)
    parser.add_argument("--noise", type=float, default=0.5)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model, rows = of_run(arguments.run, arguments.tokens) if arguments.run else trained(arguments)
    model.eval()
    found = depth_of(model, rows)
    fast = speeds(model, rows[0].tokens[:8], arguments.rounds)
    if arguments.json:
        print(json.dumps({**found.as_dict(), "tokens_per_second": fast}))
        return
    print(f"loops           {found.mean:.2f} ± {found.deviation:.2f}, with difficulty {found.rank:+.2f}")
    for name, loss in (
        ("shuffled", found.shuffled), ("as many each", found.interpolated), ("all loops", found.fixed[-1])
    ):  # fmt: skip
        print(f"{name:16}loss {loss:.4f}, {100 * (loss / found.loss - 1):+.2f} % on {found.loss:.4f}")
    for way in ("read", "write"):
        quick, slow = fast[way], fast[f"{way}, all loops"]
        print(f"{way:6}{quick:10,.0f} tokens/s, {quick / slow:.2f} times as fast as with all loops")


if __name__ == "__main__":
    main()
