"""Which labels teach a router what its model knows: those of rules, of the files, or of the model's own answers.

    python bench/known_labels.py runs/knowing --questions worlds/knowing/questions_dev.jsonl \\
        --held-out worlds/knowing/questions_test.jsonl

The trained model stays as it is. It answers questions of both files without evidence, five times each; then fresh
heads learn `known` from its states behind questions of the first file and where its answers begin, by three labels: how
well posed the form of a question is, by rules alone; whether the file says that it can be answered; and the share of
its own answers that are right, as training measures it. Printed is how well they tell, of the held-out questions,
those that it answers rightly: AUROC and calibration error, of all and of those that can be answered.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gnomon.base.progress import silent
from gnomon.base.seeds import derive, permutation
from gnomon.bundle import Bundle, load_bundle
from gnomon.data.measured.asked import Record, ask, read_records
from gnomon.data.measured.buffer import render
from gnomon.data.questions.heuristics import form_of
from gnomon.evaluate.measured import Examiner, measure
from gnomon.evaluate.questions import scores_of
from gnomon.model.lm import first_weight
from gnomon.store.labels import ROUTER, WEIGHT, WIDTH
from gnomon.taxonomy import MARKS, OPENING, ROUTER_SIGNALS
from gnomon.train.refit import Lessons, Places, fit_heads, read_places, with_heads

KNOWN = ROUTER_SIGNALS.index("known")
HELD_OUT = 10
"""One question in so many says when to end."""
LABELS: dict[str, Callable[["Exam", int], float]] = {
    "rules of form": lambda exam, i: form_of(exam.records[i].question.question).well_posed,
    "the file's word": lambda exam, i: float(bool(exam.records[i].answers)),
    "measured": lambda exam, i: exam.known[i],
}


@dataclass(frozen=True)
class Exam:
    """Questions that were answered: what the model said first, and the share of its answers that are right."""

    records: list[Record]
    texts: list[list[int]]
    known: list[float]


def main() -> None:
    """Ask, teach, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=3000, help="questions of each file, drawn at random")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    bundle = load_bundle(asked.run)
    taught, held_out = (examine(bundle, path, asked.limit) for path in (asked.questions, asked.held_out))
    found: dict[str, Any] = {"questions": len(taught.texts), "held_out": len(held_out.texts)}
    for name, label in LABELS.items():
        each = [told(bundle, taught, held_out, label, seed) for seed in range(asked.seeds)]
        found[name] = {where: {key: [one[where][key] for one in each] for key in each[0][where]} for where in each[0]}
    if asked.json:
        print(json.dumps(found))
        return
    right = np.mean([known >= 0.5 for known in held_out.known])
    print(f"taught by {len(taught.texts):,} questions; {len(held_out.texts):,} held out, {right:.1%} answered rightly")
    for name in LABELS:
        for where, scores in found[name].items():
            figures = (
                f"{key} {np.mean(some):.3f} ({min(some):.3f} to {max(some):.3f})" for key, some in scores.items()
            )
            print(f"{name:<16} {where:<9} {', '.join(figures)}")


def examine(bundle: Bundle, path: Path, limit: int) -> Exam:
    """Return what the model says of some of a file's questions."""
    every = read_records([str(path)])
    records = [every[i] for i in permutation(len(every), derive(0, "known")).tolist()[:limit]]
    asking = ask(records, bundle.tokenizer, bundle.shape.context, bundle.plan.get("recites") is True)
    assert len(asking.questions) == len(records), "all fit into the context"
    examiner = Examiner(asking, bundle.tokenizer, bundle.marks, samples=4, seed=0)
    answered, _ = measure(bundle.model, examiner, range(len(records)), 0)
    answered.sort(key=lambda one: one.number)
    return Exam(records, [next(render(asking, one)).ids for one in answered], [one.known for one in answered])


def told(
    bundle: Bundle, taught: Exam, held_out: Exam, label: Callable[[Exam, int], float], seed: int
) -> dict[str, dict[str, float]]:
    """Return how well heads that learned from labels tell what is known, behind questions and where answers begin."""
    model = with_heads(bundle.model, ["router"], seed)
    assert model.heads is not None
    with torch.no_grad():
        for name, parameter in model.heads.named_parameters():
            parameter.copy_(first_weight(f"heads.{name}", parameter.shape, seed))
    fit_heads(
        model.heads,
        places_of(bundle, taught, label),
        permutation(len(taught.texts), derive(seed, "held out")) % HELD_OUT == 0,
        [],
        Lessons(seed=seed),
        silent,
    )
    places = places_of(bundle, held_out, LABELS["measured"])
    with torch.no_grad():
        said = places.said(model.heads)["router"][:, KNOWN].sigmoid().double().numpy()
    right = np.array([held_out.known[i] >= 0.5 for i in places.text], np.float64)
    can = np.array([bool(held_out.records[i].answers) for i in places.text])
    found = dict[str, dict[str, float]]()
    for kind in sorted(set(places.kind.tolist())):
        here = places.kind == kind
        all_, answerable = (scores_of(np.stack([said, right], 1)[here & which]) for which in (can | True, can))
        found[MARKS[kind]] = {"AUROC": all_["auroc"], "ECE": all_["ece"], "AUROC of answerable": answerable["auroc"]}
    return found


def places_of(bundle: Bundle, exam: Exam, label: Callable[[Exam, int], float]) -> Places:
    """Return the states behind questions, and where their answers begin, with a label of `known`."""
    known = np.full((len(exam.texts), WIDTH), np.nan, np.float32)
    known[:, ROUTER.start + KNOWN] = [label(exam, i) for i in range(len(exam.texts))]
    known[:, WEIGHT.start + KNOWN] = 1.0
    kinds = {token: kind for token, kind in bundle.marks.items() if kind in (0, OPENING)}
    return read_places(bundle.model, exam.texts, known, kinds, silent)


if __name__ == "__main__":
    main()
