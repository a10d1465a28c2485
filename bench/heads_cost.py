"""What heads cost: speed and language loss of a run with them, beside the same run without.

    python bench/heads_cost.py texts.jsonl.zst questions.jsonl.gz
    python bench/heads_cost.py texts.jsonl.zst questions.jsonl.gz --steps 2000 --seeds 3

Both runs begin with the same weights and take the same batches in turn: rows of text, and a row of questions in eight.
The heads learn the questions' types, and as a router's signal whether a question's first letter comes before N; a tenth
of the questions is held out. Prints the median over turns of the speed with heads as a share of that without, both by
processor time; the losses on held-out text after as many steps; how often the head's fine type is right on held-out
questions; and the norm of the heads' gradient by that of the language's, measured at all weights of the trunk.
"""

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnomon.assemble import make_state
from gnomon.bundle import mark_kinds
from gnomon.config import make_config
from gnomon.data.forms.questions import question_parts
from gnomon.data.parts import encode_parts
from gnomon.data.questions.question import Question, read_questions
from gnomon.data.streaming.rows import Rows, make_rows
from gnomon.data.streaming.stream import Batch, Stream, validation_rows
from gnomon.data.streaming.targets import Targets
from gnomon.evaluate.loss import score
from gnomon.events.journal import Decisions
from gnomon.model.attention import Segments
from gnomon.model.loss import next_token_loss
from gnomon.model.reading import read_each
from gnomon.observe.console import Console
from gnomon.pipeline import prepare_data
from gnomon.plan import shape_of
from gnomon.store.datasets import Dataset
from gnomon.taxonomy import ANSWER_TYPES, COARSE_OF, FINE_TYPES, ROUTER_SIGNALS
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.train.heads import HeadPass
from gnomon.train.schedule import Schedule
from gnomon.train.state import State
from gnomon.train.step import step

ROWS = 8  # of a batch; one of them holds questions
HELD_OUT = 10  # one question in so many


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--size", default="1M")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--turn", type=int, default=10, help="steps of one run before the other takes as many")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--share", type=float, default=0.1, help="heads.gradient_share")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = {"train": str(arguments.text), "root": f"{folder}/datasets"}
        heads = {"router": True, "types": True, "gradient_share": arguments.share}
        config = make_config({"data": data, "size": arguments.size, "heads": heads, "out": f"{folder}/run"})
        dataset = prepare_data(config, Console(quiet=True))
        questions = [q for q in read_questions(arguments.questions) if q.fine_type in FINE_TYPES]
        found = [
            measure(config, dataset, questions, arguments.steps, arguments.turn, seed)
            for seed in range(arguments.seeds)
        ]
    if arguments.json:
        print(json.dumps(found))
        return
    for one in found:
        print(
            f"{arguments.size}, {arguments.steps} steps of {one['tokens_per_step']:,} tokens: {one['speed']:.1%} of the"
            f" speed (quartiles {one['speed_quartiles'][0]:.1%} and {one['speed_quartiles'][1]:.1%}); loss"
            f" {one['loss_with']:.4f} with heads, {one['loss_without']:.4f} without:"
            f" {one['loss_with'] / one['loss_without'] - 1:+.2%}; fine type right {one['fine']:.1%}, its coarse one"
            f" {one['coarse']:.1%}; gradient in the trunk {one['gradient_share']:.1%} of the language's"
        )


def measure(
    config: Any, dataset: Dataset, questions: Sequence[Question], steps: int, turn: int, seed: int
) -> dict[str, Any]:
    """Train both runs and return what came of them."""
    shape = shape_of(config, dataset.manifest["tokenizer"]["vocabulary"])
    tokenizer = Tokenizer.load(dataset.tokenizer_path)
    schedule = Schedule("wsd", 0.005, steps, steps // 20, 0.4, 0.05)
    states = {
        name: make_state(
            shape,
            schedule,
            config,
            device="cpu",
            dtype="fp32",
            seed=seed,
            compiled=False,
            optimizer="muon",
            heads=kinds,
        )
        for name, kinds in (("with", config.heads.kinds), ("without", ()))
    }
    asked = Asked(tokenizer, questions[len(questions) // HELD_OUT :], shape.context, seed)
    stream = Stream(dataset, shape.context, ROWS - 1, ROWS - 1, seed, Decisions())
    shares = []
    for number in range(0, steps, turn):
        batches = [asked.beside(stream.take((number + i) * (ROWS - 1))) for i in range(turn)]
        seconds = {}
        for name in sorted(states, reverse=number // turn % 2 == 1):
            start = time.process_time()
            for batch in batches:
                step(states[name], batch)
            seconds[name] = time.process_time() - start
        shares.append(seconds["without"] / seconds["with"])
        print(f"step {number + turn} of {steps}: {shares[-1]:.3f}", file=sys.stderr, flush=True)
    low, middle, high = statistics.quantiles(shares[1:], n=4)
    ratio = trunk_ratio(states["with"], asked.beside(stream.take(steps * (ROWS - 1))))
    losses = {}
    for name, state in states.items():
        split = dataset.split("validation")
        rows = list(validation_rows(dataset, shape.context, ROWS, 200_000))
        losses[name] = score(state.model.eval(), rows, bytes_per_token=split.bytes / split.n_tokens).loss
    return {
        "speed": middle,
        "speed_quartiles": [low, high],
        "tokens_per_step": ROWS * shape.context,
        "loss_with": losses["with"],
        "loss_without": losses["without"],
        "gradient_share": ratio,
        **right(states["with"], tokenizer, questions[: len(questions) // HELD_OUT]),
    }


class Asked:
    """Rows of questions, drawn again and again."""

    def __init__(self, tokenizer: Tokenizer, questions: Sequence[Question], length: int, seed: int) -> None:
        self._length, self._draw, self._end = length, random.Random(seed), tokenizer.end_of_text
        self._known = [(ids_of(tokenizer, q), q) for q in questions]

    def beside(self, batch: Batch) -> Batch:
        """Return the batch with a row of questions more, in a pass of its own."""
        rows = self.row()
        assert rows.targets is not None
        micros = (*batch.micros, rows)
        return replace(
            batch,
            micros=micros,
            loss_tokens=sum(m.loss_tokens for m in micros),
            labelled=dict.fromkeys(("well_posed", "coarse", "fine"), len(rows.targets.places)),
        )

    def row(self) -> Rows:
        """Return a row of as many questions as it holds."""
        ids, sizes, places, found = list[int](), list[int](), list[int](), list[Question]()
        while True:
            more, question = self._draw.choice(self._known)
            if len(ids) + len(more) > self._length:
                break
            ids, sizes = ids + more, [*sizes, len(more)]
            places.append(len(ids) - 1)
            found.append(question)
        inputs = np.full((1, self._length), self._end)
        inputs[0, : len(ids)] = ids
        labels = np.roll(inputs, -1, 1)
        return replace(make_rows(inputs, labels, [sizes]), targets=targets_of(found, places))


def ids_of(tokenizer: Tokenizer, question: Question) -> list[int]:
    """Return a question's tokens, from end of text to the mark."""
    ((ids, _),) = encode_parts([question_parts(Question(question.id, question.question))], tokenizer)
    return [tokenizer.end_of_text, *ids]


def targets_of(questions: Sequence[Question], places: Sequence[int]) -> Targets:
    """Return what heads should say at the ends of questions."""
    count = len(questions)
    router, weight = torch.full((2, count, len(ROUTER_SIGNALS)), torch.nan).unbind()
    router[:, 0] = torch.tensor([float(q.question[:1].upper() < "N") for q in questions])
    fine = torch.tensor([[float(name == q.fine_type) for name in FINE_TYPES] for q in questions])
    of = [COARSE_OF[q.fine_type or ""] for q in questions]
    coarse = torch.tensor([[float(name == one) for name in ANSWER_TYPES] for one in of])
    kinds = torch.zeros(count, dtype=torch.int64)
    return Targets(torch.tensor(places), kinds, router, weight.fill_(1.0), coarse, fine)


def trunk_ratio(state: State, batch: Batch) -> float:
    """Return the norm of the heads' gradient at the trunk's weights by that of the language's, in a batch."""
    assert state.budget is not None
    named = dict(state.model.named_parameters())
    trunk = [parameter for name, parameter in named.items() if not name.startswith("heads.")]
    heads, language = ([torch.zeros_like(p) for p in trunk] for _ in range(2))
    for rows in batch.micros:
        one = HeadPass(state.budget, rows.targets, state.budget.share(state.done))
        output = state.model(rows.tokens, rows.positions, Segments(rows.buckets, rows.inverse), marks=one.marks)
        cross, _ = next_token_loss(output.hidden, state.model.head, rows.labels)
        for total, loss in ((heads, one.loss(output, batch)), (language, cross / batch.loss_tokens)):
            found = torch.autograd.grad(loss, trunk, retain_graph=True, allow_unused=True)
            for kept, gradient in zip(total, found, strict=True):
                kept += 0.0 if gradient is None else gradient
    return float(_norm(heads) / _norm(language))


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    return torch.stack([gradient.norm() for gradient in gradients]).norm()


def right(state: State, tokenizer: Tokenizer, questions: Sequence[Question]) -> dict[str, float]:
    """Return how often the likeliest fine type, and the coarse type of it, is a question's own."""
    texts = [ids_of(tokenizer, question) for question in questions]
    said = [at[0].fine for at in read_each(state.model.eval(), texts, mark_kinds(tokenizer))]
    best = [max(fine, key=lambda name: fine[name]) for fine in said]
    meant = [question.fine_type or "" for question in questions]
    return {
        "fine": statistics.mean(a == b for a, b in zip(best, meant, strict=True)),
        "coarse": statistics.mean(COARSE_OF[a] == COARSE_OF[b] for a, b in zip(best, meant, strict=True)),
    }


if __name__ == "__main__":
    main()
