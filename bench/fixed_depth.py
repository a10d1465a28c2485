"""Loops beside fixed depth: a model whose tokens loop as often as they need, and models trained at a fixed depth.

    python bench/fixed_depth.py texts.jsonl.zst held-out.jsonl.zst --out experiments/depth
    python bench/fixed_depth.py texts.jsonl.zst held-out.jsonl.zst --out experiments/depth --seeds 1 --steps 50

For each seed trains a model with loops; then, on the same rows in the same order, models that pass every token through
the same layers once, twice, … whose multiplications a token lie below and above the mean of the first: what they lose
is interpolated at it. Beside them, with the first seed, the model with loops without the loss of tokens that loop
alike. What each came to is kept in `results.json`; the same command goes on where it was stopped.
"""

import argparse
import json
import math
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gnomon.assemble import make_state
from gnomon.base.files import pretty_json, write_atomic
from gnomon.config import make_config
from gnomon.data.reading.read import find_sources, read_documents
from gnomon.data.streaming.rows import Rows, make_rows
from gnomon.data.streaming.stream import Batch
from gnomon.evaluate.depth import depth_of
from gnomon.evaluate.loss import score
from gnomon.presets import PRESETS, Shape
from gnomon.tokenizer.train import train_tokenizer
from gnomon.train.schedule import Schedule
from gnomon.train.state import State
from gnomon.train.step import step

NEVER = -80.0  # logit of the chance to stop, which bfloat16 and float32 take for none


class Experiment:
    """Models of one shape on one text."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments, self._path = arguments, arguments.out / "results.json"
        self.results: dict[str, dict[str, Any]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        arguments.out.mkdir(parents=True, exist_ok=True)
        self._rows, self._held_out = self._text()

    def _text(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return rows to train on and rows held out, one token longer than the context."""
        a, kept = self._arguments, self._arguments.out / "tokens.npz"
        if not kept.exists():
            texts = _texts(a.text, 5 * a.steps * a.rows * a.context)
            held_out = _texts(a.held_out, 12 * a.validation)
            tokenizer = train_tokenizer(texts, a.vocabulary, "qwen2")
            ids = {
                name: np.concatenate([[tokenizer.end_of_text, *one] for one in tokenizer.encode_batch(some)])
                for name, some in (("rows", texts), ("held_out", held_out))
            }
            whole = {name: of[: len(of) // (a.context + 1) * (a.context + 1)] for name, of in ids.items()}
            np.savez(kept, rows=whole["rows"], held_out=whole["held_out"])
        found = np.load(kept)
        rows, held_out = (found[name].astype(np.int64).reshape(-1, a.context + 1) for name in ("rows", "held_out"))
        return rows, held_out[: a.validation // a.context]

    def shape(self, loops: int) -> Shape:
        """Return the shape of the models, with so many loops."""
        a = self._arguments
        return replace(
            PRESETS["5M"], vocabulary=a.vocabulary, width=a.width, feed_forward=4 * a.width, heads=a.width // 32,
            kv_heads=a.width // 64, head_width=32, layers=a.layers, context=a.context, loops=loops,
        )  # fmt: skip

    def run(self, name: str, seed: int, loops: int, *, fixed: bool, diversity: float) -> dict[str, Any]:
        """Return what a model came to, after training it if that was not done."""
        key, a = f"{name}, seed {seed}", self._arguments
        if key in self.results:
            return self.results[key]
        start = time.process_time()
        state = self._state(seed, loops, diversity)
        if fixed and state.model.depth is not None:
            with torch.no_grad():
                state.model.depth.halting.weight.zero_()
                state.model.depth.halting.bias.fill_(NEVER)
        order = np.random.default_rng(seed).permutation(len(self._rows))
        for i in range(a.steps):
            chosen = order[np.arange(i * a.rows, (i + 1) * a.rows) % len(order)]
            micro = _as_rows(self._rows[chosen])
            step(state, Batch((micro,), micro.loss_tokens, 0, 0, (), a.rows))
        model, micros = state.model.eval(), [_as_rows(some) for some in np.array_split(self._held_out, 8)]
        if fixed:
            found: dict[str, Any] = {
                "loss": score(model, micros, bytes_per_token=1.0, device="cpu", dtype=a.dtype).loss
            }
        else:
            found = depth_of(model, micros, dtype=a.dtype).as_dict()
        found |= {"seconds": time.process_time() - start, "parameters": model.shape.parameters}
        self.results[key] = found
        write_atomic(self._path, pretty_json(self.results))
        if not a.json:
            print(key, {k: v for k, v in found.items() if not isinstance(v, tuple)}, flush=True)
        return found

    def _state(self, seed: int, loops: int, diversity: float) -> State:
        a = self._arguments
        config = make_config({"data": "none", "adaptive": {"diversity": diversity}})
        return make_state(
            self.shape(loops), Schedule("wsd", a.lr, a.steps, 10, 0.4, 0.05), config, device="cpu", dtype=a.dtype,
            seed=seed, compiled=False, optimizer="muon",
        )  # fmt: skip


def _texts(path: Path, characters: int) -> list[str]:
    """Return the first documents of a file, together of so many characters."""
    found, left = list[str](), characters
    for document in read_documents(find_sources([str(path)])[0], "text", None, lambda bad: None, lambda at: None):
        found.append(document.text)
        if (left := left - len(document.text)) < 0:
            break
    return found


def _as_rows(rows: NDArray[np.int64]) -> Rows:
    return make_rows(rows[:, :-1], rows[:, 1:], [[rows.shape[1] - 1]] * len(rows))


def main() -> None:
    """Train, compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--validation", type=int, default=16384, help="tokens held out")
    parser.add_argument("--vocabulary", type=int, default=1024)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--loops", type=int, default=4)
    parser.add_argument("--diversity", type=float, default=0.3)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--dtype", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    experiment = Experiment(arguments)
    told = []
    for seed in range(arguments.seeds):
        own = experiment.run("loops", seed, arguments.loops, fixed=False, diversity=arguments.diversity)
        low = min(int(own["mean"]), arguments.loops - 1)
        below, above = (
            experiment.run(f"{k} fixed", seed, k, fixed=True, diversity=0.0)["loss"] for k in (low, low + 1)
        )
        part = own["mean"] - low
        told.append(own | {"seed": seed, "equal": (1 - part) * below + part * above, "below": below, "above": above})
        if seed == 0:
            experiment.run("loops, no diversity", seed, arguments.loops, fixed=False, diversity=0.0)
    if arguments.json:
        print(json.dumps({"seeds": told, "results": experiment.results}))
        return
    _tell(experiment, told)


def _tell(experiment: Experiment, told: list[dict[str, Any]]) -> None:
    print("seed   loops          rank   loss    shuffled  as many each  equal FLOP, trained so")
    for one in told:
        ratios = [100 * (one[name] / one["loss"] - 1) for name in ("shuffled", "interpolated")]
        own = 100 * (one["loss"] / one["equal"] - 1)
        print(
            f"{one['seed']:4}   {one['mean']:.2f} ± {one['deviation']:.2f}   {one['rank']:+.2f}   {one['loss']:.4f}   "
            f"{ratios[0]:+.2f} %   {ratios[1]:+.2f} %   {one['equal']:.4f}, with loops {own:+.2f} %"
        )
    ratios = [100 * (one["loss"] / one["equal"] - 1) for one in told]
    spread = stdev(ratios) if len(ratios) > 1 else math.nan
    print(f"loss with loops, on that of fixed depth at as many multiplications: {mean(ratios):+.2f} ± {spread:.2f} %")
    flat = experiment.results["loops, no diversity, seed 0"]
    print(f"without diversity {flat['mean']:.2f} ± {flat['deviation']:.2f} loops, loss {flat['loss']:.4f}")


if __name__ == "__main__":
    main()
