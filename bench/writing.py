"""What loops save where a model writes: tokens that stop early beside all loops for all tokens, by rows at once.

    python bench/writing.py                            adaptive-25m; of seven tokens one takes all loops
    python bench/writing.py --late 0.36 --rows 1 32    other shares of tokens that take all loops, other batches

Weights are drawn, and which tokens loop is drawn too: the time does not depend on what they say. Of each number of rows
the two ways, and one loop for all, write in turn; printed are processor time of a step, median and quartiles over the
rounds, and how many times as fast it is as with all loops.
"""

import argparse
import json
import statistics
import time
from typing import Any

import torch
from torch import Tensor

from gnomon.model.cache import Cache
from gnomon.model.lm import LanguageModel, first_weight
from gnomon.presets import PRESETS


@torch.no_grad()
def seconds_of(model: LanguageModel, tokens_BT: Tensor, steps_BT: Tensor, new: int) -> float:
    """Return the processor time of one step of writing, after the other tokens were read."""
    rows, length = tokens_BT.shape
    cache, read = Cache(rows, length, model.shape, model.head), length - new
    model(tokens_BT[:, :read], cache=cache, steps_BT=torch.ones_like(steps_BT[:, :read]))
    start = time.process_time()
    for at in range(read, read + new):
        hidden = model(tokens_BT[:, at : at + 1], cache=cache, steps_BT=steps_BT[:, at : at + 1]).hidden
        model.logits(hidden[:, -1])
    return (time.process_time() - start) / new


def measured(model: LanguageModel, rows: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return quartiles of milliseconds a step, and of how many times as fast that is as with all loops."""
    generator, loops = torch.Generator().manual_seed(rows), model.shape.loops
    length = arguments.read + arguments.new
    tokens_BT = torch.randint(model.shape.vocabulary, (rows, length), generator=generator)
    late_BT = torch.rand(rows, length, generator=generator) < arguments.late
    ways = {"own": torch.where(late_BT, loops, 1), "all": torch.full_like(tokens_BT, loops)}
    ways["one"] = torch.ones_like(tokens_BT)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, steps_BT in ways.items():
            found[name].append(1000 * seconds_of(model, tokens_BT, steps_BT, arguments.new))
    ratios = [all_ / own for all_, own in zip(found["all"], found["own"], strict=True)]
    return {"rows": rows, "times": _quartiles(ratios), **{name: _quartiles(each) for name, each in found.items()}}


def _quartiles(values: list[float]) -> list[float]:
    return statistics.quantiles(values, n=4, method="inclusive")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="adaptive-25m")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--late", type=float, default=0.147, help="share of the tokens that take all loops")
    parser.add_argument("--read", type=int, default=32, help="tokens before those that are written")
    parser.add_argument("--new", type=int, default=6, help="tokens that are written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = LanguageModel(PRESETS[arguments.size]).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(first_weight(name, parameter.shape, 0))
    found = [measured(model, rows, arguments) for rows in arguments.rows]
    if arguments.json:
        print(json.dumps(found))
        return
    print("rows   own loops, ms          all loops, ms          one loop, ms    times as fast as all loops")
    for one in found:
        own, all_, times = (
            f"{one[k][1]:.{d}f} ({one[k][0]:.{d}f} to {one[k][2]:.{d}f})"
            for k, d in (("own", 1), ("all", 1), ("times", 2))
        )
        print(f"{one['rows']:4}   {own:22} {all_:22} {one['one'][1]:<15.1f} {times}")


if __name__ == "__main__":
    main()
