"""Answers under constraints: how many are none, and what a mask costs at a vocabulary of 32k.

    python bench/constrained.py wikipedia_train.jsonl.zst
    python bench/constrained.py wikipedia_train.jsonl.zst --answers 1000 --json

A tokenizer is learned from the text; a model of random weights answers, sampled at a temperature of 1, from what it
knows and, in half of the questions, from passages of the text. An end of the answer is made likelier and an abstention
less likely, by constants added to their logits, so that most are answers. Each answer is judged by the validators,
which share no pattern with the grammars, and a name or code from evidence by whether the passage holds it. A third of
the questions has three types at once. Times are of the processor.
"""

import argparse
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnomon.answer.constrain import Constraint, constraints_of
from gnomon.answer.grammar import QUOTED
from gnomon.answer.session import Session
from gnomon.answer.utterance import say
from gnomon.answer.validate import type_of
from gnomon.data.reading.read import find_sources, read_documents
from gnomon.model.lm import LanguageModel, first_weight
from gnomon.model.reading import Reading
from gnomon.presets import Shape
from gnomon.taxonomy import ANSWER_TYPES
from gnomon.tokenizer.tokenizer import Tokenizer
from gnomon.tokenizer.train import train_tokenizer

BATCH, PROMPT, MOST_TOKENS, TRAINING_CHARACTERS = 64, 4, 64, 24_000_000
STOP_BIAS, ABSTAIN_BIAS = 8.0, -2.0


class Timed:
    """A constraint whose masks are timed."""

    def __init__(self, inner: Constraint, seconds: list[float]) -> None:
        self._inner, self._seconds = inner, seconds

    def allowed(self) -> NDArray[np.bool_]:
        """Return the inner one's mask."""
        start = time.thread_time()
        mask = self._inner.allowed()
        self._seconds.append(time.thread_time() - start)
        return mask

    def advance(self, token: int) -> None:
        self._inner.advance(token)

    @property
    def may_stop(self) -> bool:
        return self._inner.may_stop


class Drawing(Session):
    """A session in which the likeliest token is one drawn at a temperature of 1, from biased logits: they have Gumbel
    noise on them.
    """

    def __init__(self, model: LanguageModel, rows: int, bias_V: Tensor, seed: int) -> None:
        super().__init__(model, {}, rows, PROMPT + MOST_TOKENS)
        self._bias_V, self._generator = bias_V, torch.Generator().manual_seed(seed)

    def read(self, pieces: Sequence[Sequence[int]]) -> list[list[Reading]]:
        """Read on, and draw the noise of the rows that did."""
        found = super().read(pieces)
        rows = [row for row, piece in enumerate(pieces) if piece]
        noise_RV = torch.empty(len(rows), len(self._bias_V)).exponential_(generator=self._generator).log_()
        self.scores_BV[rows] += self._bias_V - noise_RV
        return found


def main() -> None:
    """Generate, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--vocabulary", type=int, default=32_768)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = list(_texts(arguments.text))
    tokenizer = train_tokenizer(texts, arguments.vocabulary, "qwen2")
    found = measure(tokenizer, texts, arguments.answers, arguments.width, arguments.seed)
    print(json.dumps(found) if arguments.json else table(found))


def _texts(path: Path) -> Iterator[str]:
    left = TRAINING_CHARACTERS
    for document in read_documents(find_sources([str(path)])[0], "text", None, lambda bad: None, lambda at: None):
        yield document.text
        left -= len(document.text)
        if left < 0:
            return


def measure(tokenizer: Tokenizer, texts: Sequence[str], answers: int, width: int, seed: int) -> dict[str, Any]:
    """Return the counts and times of so many answers."""
    model, draw, every = _model(tokenizer, width, seed), random.Random(seed), constraints_of(tokenizer)
    bias_V = torch.zeros(tokenizer.vocabulary)
    bias_V[every.stop], bias_V[every.abstain] = STOP_BIAS, ABSTAIN_BIAS
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    masks: dict[str, list[float]] = defaultdict(list)
    starts: list[float] = []
    wrong: list[str] = []
    for first in range(0, answers, BATCH):
        asked = [_question(draw, at, texts) for at in range(first, min(first + BATCH, answers))]
        constraints = []
        for types, evidence in asked:
            start = time.thread_time()
            made = every.start(types, evidence=evidence)
            starts.append(time.thread_time() - start)
            constraints.append(Timed(made, masks[_name(types, evidence)]))
        for (types, evidence), said in zip(asked, _said(model, tokenizer, constraints, bias_V, first), strict=True):
            verdict = judge(tokenizer, said, types, evidence)
            counts[_name(types, evidence)][verdict] += 1
            if verdict in ("invalid", "invented"):
                wrong.append(f"{types}: {tokenizer.decode(said or [])!r}")
    total = sum(counts.values(), Counter[str]())
    return {
        "vocabulary": tokenizer.vocabulary,
        "answers": total["answer"],
        "abstentions": total["abstention"],
        "unfinished": total["unfinished"],
        "invalid": total["invalid"],
        "invented": total["invented"],
        "wrong": wrong[:20],
        "masks": sum(map(len, masks.values())),
        "mask_microseconds": _quantiles([one for some in masks.values() for one in some]),
        "start_microseconds": _quantiles(starts),
        "by_type": {name: {**counts[name], **_quantiles(masks[name])} for name in sorted(masks)},
    }


def judge(tokenizer: Tokenizer, said: list[int] | None, types: Sequence[str], evidence: list[str] | None) -> str:
    """Return what became of a question: `answer`, `abstention`, `unfinished`, or a fault."""
    if said is None:
        return "unfinished"
    if said == [constraints_of(tokenizer).abstain]:
        return "abstention"
    text = tokenizer.decode_bytes(said, specials=True).decode().strip()
    if type_of(text, types, evidence) is None:
        return "invalid"
    if evidence is not None and all(type_ in QUOTED for type_ in types) and not any(text in p for p in evidence):
        return "invented"
    return "answer"


def _question(draw: random.Random, at: int, texts: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """Return the types of a question and its evidence: every type in turn, some with two others."""
    types = [ANSWER_TYPES[at // 2 % len(ANSWER_TYPES)]]
    if draw.random() < 1 / 3:
        types += draw.sample([type_ for type_ in ANSWER_TYPES if type_ not in types], 2)
    return types, [_passage(draw, texts) for _ in range(draw.randint(1, 3))] if at % 2 else None


def _passage(draw: random.Random, texts: Sequence[str]) -> str:
    text = draw.choice(texts)
    at = draw.randrange(max(1, len(text) - 500))
    return text[at : at + 500]


def _name(types: Sequence[str], evidence: list[str] | None) -> str:
    return ("three types" if len(types) > 1 else types[0]) + (", evidence" if evidence is not None else "")


def _said(
    model: LanguageModel, tokenizer: Tokenizer, constraints: Sequence[Constraint], bias_V: Tensor, seed: int
) -> list[list[int] | None]:
    """Return the ids of each answer; None for one that did not end."""
    opening, closing = tokenizer.special_id("<|q|>"), tokenizer.special_id("<|/q|>")
    session = Drawing(model, len(constraints), bias_V, seed)
    session.read([[opening, 300 + (seed + row) % 30_000, closing] for row in range(len(constraints))])
    said = say(session, tokenizer, constraints, [MOST_TOKENS] * len(constraints))
    return [one.ids if one is not None and one.finished else None for one in said]


def _model(tokenizer: Tokenizer, width: int, seed: int) -> LanguageModel:
    """Return a model of one layer and random weights, whose logits have a deviation of about one."""
    heads = width // 16
    shape = Shape(tokenizer.vocabulary, width, 1, heads, heads, head_width=16, feed_forward=2 * width, context=128)
    model = LanguageModel(shape)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(first_weight(name, parameter.shape, seed))
        model.head.mul_(1 / (0.02 * width**0.5))
    return model.eval()


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    median, most = np.quantile(seconds, [0.5, 0.95]) * 1e6
    return {"median": round(float(median), 1), "p95": round(float(most), 1)}


def table(found: dict[str, Any]) -> str:
    """Return the figures as lines."""
    kinds = ("answer", "abstention", "unfinished", "invalid", "invented")
    lines = [f"{'':24}" + "".join(f"{kind:>12}" for kind in kinds) + "   mask, µs: median     p95"]
    for name, one in found["by_type"].items():
        row = "".join(f"{one.get(kind, 0):12,}" for kind in kinds)
        lines.append(f"{name:24}{row}{one['median']:19.1f}{one['p95']:8.1f}")
    mask, start = found["mask_microseconds"], found["start_microseconds"]
    lines += [
        f"{found['answers']:,} answers, {found['abstentions']:,} abstentions, {found['unfinished']:,} unfinished:"
        f" {found['invalid']} invalid, {found['invented']} not in the evidence",
        f"{found['masks']:,} masks over {found['vocabulary']:,} tokens: median {mask['median']} µs,"
        f" p95 {mask['p95']} µs; a new constraint: median {start['median']:,.0f} µs, p95 {start['p95']:,.0f} µs",
        *found["wrong"],
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
