"""Time to a loss beside a plain loop: the same text, shape and scorer; each from the start of its process."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnomon.base.errors import ConfigError, TrainingError
from gnomon.base.files import pretty_json, write_atomic
from gnomon.base.machine import this_machine
from gnomon.bench.chart import curves
from gnomon.bench.peers import refuse_missing
from gnomon.bench.plain import score, windows
from gnomon.bundle import load_bundle
from gnomon.config import Config, parse_budget
from gnomon.events.journal import read_events
from gnomon.plan import shape_of
from gnomon.presets import Shape
from gnomon.store.datasets import Dataset
from gnomon.store.runs import Run

COLD, WARM = "no kernels known", "again"
POINTS = 8  # of a plain loop's curve


@dataclass(frozen=True)
class Plain:
    """The plain loop: whose model, its rate, the tokens of its steps, bfloat16 and compiled or as it comes."""

    kind: str
    lr: float
    batch_tokens: int
    tuned: bool

    @property
    def name(self) -> str:
        return f"{self.kind}, bfloat16, compiled" if self.tuned else self.kind


def time_to_loss(
    config: Config,
    dataset: Dataset,
    out: Path,
    plain: Plain,
    *,
    share: float,
    rounds: int,
    tell: Callable[[str], None],
) -> dict[str, Any]:
    """Return, and write to `out`, seconds and losses of every run, and the curves of the last round: each by what it
    validates on itself, where the losses at the end are by one scorer.

    In each round the plain loop trains on the config's budget, `gnomon train` on a `share` of it, with an empty cache
    of kernels and again with a full one. What is done is not done again: with another share the plain loop's runs
    stand. Raises ConfigError where the budget is a time, DependencyError where the plain loop's model is not here.
    """
    kind, tokens = parse_budget(config.budget)
    if kind != "tokens":
        raise ConfigError(f"the budget is {config.budget}", where="budget", do='give tokens, such as "1M tokens"')
    refuse_missing(plain.kind)
    shape = shape_of(config)
    settings = {"shape": shape.as_dict(), "tokens": tokens, **vars(plain), "dataset": dataset.digest}
    path = out / "loss.json"
    found: dict[str, Any] = {"machine": this_machine().as_dict(), "settings": settings, "rounds": []}
    if path.exists():
        before = json.loads(path.read_bytes())
        if before["settings"] != settings:
            raise ConfigError("other settings were measured there", where=str(path), do="choose another --out")
        found = before
    out.mkdir(parents=True, exist_ok=True)
    names = [f"Gnomon on {share:.0%} of the tokens, {how}" for how in (COLD, WARM)]
    for seed in range(rounds):
        if seed == len(found["rounds"]):
            tell(f"round {seed + 1} of {rounds}: {plain.name}")
            found["rounds"].append({plain.name: run_plain(shape, dataset, plain, tokens, seed)})
            write_atomic(path, pretty_json(found))
        done = found["rounds"][seed]
        with tempfile.TemporaryDirectory() as cache:
            for name in names if names[-1] not in done else []:
                tell(f"round {seed + 1} of {rounds}: {name}")
                done[name] = run_gnomon(config, dataset, shape, share * tokens, seed, out / "run", cache)
        write_atomic(path, pretty_json(found))
        write_atomic(out / "loss.html", curves({name: run["curve"] for name, run in done.items()}).encode())
    return found


def run_plain(shape: Shape, dataset: Dataset, plain: Plain, tokens: float, seed: int) -> dict[str, Any]:
    """Run the plain loop in a process of its own; return seconds without scoring, loss, and the curve between."""
    rows = max(1, plain.batch_tokens // shape.context)
    steps = max(1, round(tokens / rows / shape.context))
    asked = {
        "shape": shape.as_dict(), "dataset": str(dataset.folder), "kind": plain.kind, "lr": plain.lr, "rows": rows,
        "steps": steps, "seed": seed, "every": max(1, steps // POINTS), "began": time.time(),
        "options": {"bf16": plain.tuned, "compiled": plain.tuned},
    }  # fmt: skip
    command = [sys.executable, "-m", "gnomon.bench.plain"]
    done = subprocess.run(command, input=json.dumps(asked) + "\n", capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise TrainingError(f"the plain loop ended: {last:.300}", where=plain.name, do="choose another --peer")
    points = [json.loads(line) for line in done.stdout.splitlines()]
    curve = [(point["seconds"], point["loss"]) for point in points]
    return {"seconds": points[-1]["seconds"], "loss": points[-1]["loss"], "curve": curve}


def run_gnomon(
    config: Config, dataset: Dataset, shape: Shape, tokens: float, seed: int, folder: Path, cache: str
) -> dict[str, Any]:
    """Run `gnomon train`; return seconds until its last checkpoint was there, everything included, and its loss."""
    shutil.rmtree(folder, ignore_errors=True)
    asked = config.model_dump(mode="json") | {"budget": f"{round(tokens)} tokens", "seed": seed, "out": str(folder)}
    asked["export"] = {"gguf": [], "hf": False}
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "config.json"
        path.write_bytes(pretty_json(asked))
        command = [sys.executable, "-m", "gnomon", "train", str(path), "--json"]
        began = time.time()
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"XDG_CACHE_HOME": cache})
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise TrainingError(f"gnomon train ended: {last:.300}", where=str(folder))
    run = Run(folder)
    newest = run.checkpoints.all()[-1]
    model = load_bundle(newest.path).model.eval()
    loss = score(lambda ids: model.logits(model(ids).hidden), windows(dataset.split("validation"), shape.context))
    seconds = (newest.path / "manifest.json").stat().st_mtime - began
    curve = [(e["time"] - began, e["loss"]) for e in read_events(run.events_path) if e["kind"] == "validated"]
    return {"seconds": seconds, "loss": loss, "curve": curve}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the result as Markdown, which is also easy to read as it is."""
    rounds = found["rounds"]
    first, *ours = {name: None for done in rounds for name in done}
    yield f"| {'':44} | {'seconds':24} | of the plain loop's | loss, nats a token |"
    yield f"|{'-' * 46}|{'-' * 26}|{'-' * 21}|{'-' * 20}|"
    for name in (first, *ours):
        runs = [(done[name], done[first]) for done in rounds if name in done]
        seconds = sorted(run["seconds"] for run, _ in runs)
        ratio = statistics.median(run["seconds"] / beside["seconds"] for run, beside in runs)
        spread = f"{statistics.median(seconds):7.1f} ({seconds[0]:.1f} to {seconds[-1]:.1f})"
        losses = ", ".join(f"{run['loss']:.3f}" for run, _ in runs)
        yield f"| {name:44} | {spread:24} | {ratio:19.2f} | {losses:18} |"
    for name in ours:
        runs = [(done[name], done[first]) for done in rounds if name in done]
        reached = sum(run["loss"] <= beside["loss"] for run, beside in runs)
        yield f"{name}: at or below the plain loop's loss in {reached} of {len(runs)} rounds."
