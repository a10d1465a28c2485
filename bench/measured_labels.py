"""What labels that the model measures itself are worth: how well a router says what it knows, with them and without.

    gnomon data world worlds/small --entities 40
    python bench/measured_labels.py worlds/small
    python bench/measured_labels.py worlds/small --budget "2M tokens" --json

Of the world's questions for training, without evidence, seven in ten are trained on as text, with the labels that need
no model; a part of the others is asked while the model trains (`heads.measured`), and a part is held out. Three runs
from the same weights see the same text: one without what is measured (`static`), one with both kinds of labels
(`both`), and one in which measured ones stand for those of `known` and `retrieve` in the text (`measured`). The
finished models are then asked the held-out questions: printed are AUROC and calibration error of what their heads say
against what they answer.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from gnomon.base.seeds import derive
from gnomon.bundle import load_bundle, mark_kinds
from gnomon.config import make_config
from gnomon.data.measured.asked import ask, read_records
from gnomon.evaluate.measured import Examiner, forecast_of, measure
from gnomon.observe.console import Console
from gnomon.pipeline import train
from gnomon.store.runs import Run

RUNS = ("static", "both", "measured")
TRAINED, MEASURED = 70, 85  # of 100 questions: those below are text, those below are asked, the others held out


def main() -> None:
    """Train, ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("world", type=Path)
    parser.add_argument("--budget", default="800K tokens")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        part(arguments.world, Path(folder))
        found = {name: score(Path(folder), arguments, name) for name in arguments.runs}
    if arguments.json:
        print(json.dumps(found))
        return
    for name, one in found.items():
        for which in ("all", "answerable"):
            told = ", ".join(
                f"{signal} AUROC {said['auroc'] or float('nan'):.3f} ECE {said['ece']:.3f}"
                for signal, said in one[which].items()
            )
            print(f"{name}, {one['questions'][which]} {which}, {one['known'][which]:.1%} known: {told}")
        print(f"{name}: language loss {one['loss']:.4f}, {one['seconds']:.0f} s")


def part(world: Path, folder: Path) -> None:
    """Write the parts of a world's questions."""
    files = {name: (folder / f"{name}.jsonl").open("w") for name in ("text", "asked", "held_out")}
    for line in (world / "questions_train.jsonl").read_text().splitlines():
        record = json.loads(line)
        place = derive(0, record["id"]) % 100
        name = "text" if place < TRAINED else "asked" if place < MEASURED else "held_out"
        if name == "text":
            record.pop("evidence"), record.pop("fresh", None), record.pop("edited", None)
        files[name].write(json.dumps(record) + "\n")
    for file in files.values():
        file.close()


def score(folder: Path, arguments: argparse.Namespace, name: str) -> dict[str, Any]:
    """Train a run and return how well it says what it knows of the held-out questions."""
    asked = {"questions": [str(folder / "asked.jsonl")], "at_once": 128, "every": 20, "alone": name == "measured"}
    asked = {} if name == "static" else asked
    config = make_config(
        {
            "data": {
                "sources": [
                    {"paths": [str(arguments.world / "documents.jsonl")], "name": "documents"},
                    {"paths": [str(folder / "text.jsonl")], "name": "questions", "form": "questions"},
                ],
                "root": str(folder / "datasets"),
            },
            "size": "1M",
            "budget": arguments.budget,
            "out": str(folder / name),
            "seed": arguments.seed,
            "model": {"width": 128, "layers": 3, "feed_forward": 256, "context": 256},
            "tokenizer": {"vocabulary": 1024},
            "mix": {"weights": {"documents": 0.3, "questions": 0.7}},
            "train": {"batch_tokens": 2048, "dtype": "fp32", "supervise": False, "compile": False},
            "export": {"gguf": [], "hf": False},
            "heads": {"router": True, "measured": asked},
        }
    )
    said = train(config, Console())
    bundle = load_bundle(Run(Path(said["run"])).checkpoints.all()[-1].path)  # the one that all was learned from
    asking = ask(read_records([str(folder / "held_out.jsonl")]), bundle.tokenizer, bundle.shape.context)
    examiner = Examiner(asking, bundle.tokenizer, mark_kinds(bundle.tokenizer), samples=4, seed=0)
    found: dict[str, Any] = {"loss": said["val_loss"], "seconds": said["seconds"], "known": {}, "questions": {}}
    for which in ("all", "answerable"):
        numbers = [n for n, one in enumerate(asking.questions) if which == "all" or one.answers]
        with torch.no_grad():
            answered, pairs = measure(bundle.model, examiner, numbers, 0)
        found["questions"][which] = len(numbers)
        found["known"][which] = sum(one.known for one in answered) / len(answered)
        found[which] = forecast_of(pairs)
    return found


if __name__ == "__main__":
    main()
