"""How often a certified risk is kept: by predictors whose errors are known, under a planned shift, and by a real one.

    python bench/certified_risk.py --out predictions --questions trec.jsonl

Simulated predictors have a known chance of error at each confidence. Of each, 200 samples of certifying questions
certify a threshold, whose true risk is known; 200 halves of one pool certify another, which is judged on the pool and
on the other half; and the same take the largest coverage whose risk is low enough as seen, without a bound. Then one of
them meets a shift. The real predictor is naive Bayes over words and pairs of words, which names the coarse type of each
question of a file out of folds that leave it out, equal questions in one fold; its shift are the same questions without
their first two words. With --out the predictions are written as files for `gnomon calibrate`.
"""

import argparse
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from gnomon.answer.certify import Order, certify, fixed_order, resplit
from gnomon.answer.logistic import sigmoid
from gnomon.answer.split import WORD, plain, split
from gnomon.base.files import canonical_json, write_atomic
from gnomon.data.questions.question import Question, read_questions
from gnomon.evaluate.selective.assess import assess
from gnomon.evaluate.selective.confident import Choice
from gnomon.evaluate.selective.predictions import Prediction, of_lines

DRAWS, PLACING, CERTIFYING, POOL = 200, 500, 1000, 2000
BUCKETS, FOLDS, SMOOTHING = 1 << 16, 5, 0.3
Draw = np.random.Generator
Sampled = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class World:
    """A predictor: how it is sure, by a uniform number u, and its chance of error there."""

    name: str
    confidence: Callable[[np.ndarray], np.ndarray]
    error: Callable[[np.ndarray], np.ndarray]

    def sample(self, draw: Draw, n: int) -> Sampled:
        """Return confidences, and which answers are wrong."""
        u = draw.random(n)
        return self.confidence(u), draw.random(n) < self.error(u)

    def risk(self, threshold: float) -> float:
        """Return the true share of wrong answers from a confidence on."""
        u = (np.arange(200_000) + 0.5) / 200_000
        given = self.confidence(u) >= threshold
        return float(self.error(u[given]).mean()) if given.any() else 0.0

    def best(self, risk: float) -> float:
        """Return the largest coverage whose true risk is low enough."""
        u = (np.arange(200_000) + 0.5) / 200_000
        error = self.error(u)[np.argsort(-self.confidence(u), kind="stable")]
        fine = np.flatnonzero(error.cumsum() <= risk * np.arange(1, len(u) + 1))
        return float((fine[-1] + 1) / len(u)) if len(fine) else 0.0


WORLDS = (
    World("calibrated", lambda u: 1 - 0.6 * u**2, lambda u: 0.6 * u**2),
    World("twice too sure", lambda u: 1 - 0.3 * u**1.5, lambda u: 0.6 * u**1.5),
    World("ten confidences", lambda u: 1 - np.ceil(10 * u) / 10, lambda u: 0.5 * (np.ceil(10 * u) / 10) ** 2),
    World("wrong at its surest", lambda u: 1 - u, lambda u: np.where(u < 0.02, 0.2, 0.5 * u**2)),
    World("a cliff", lambda u: 1 - u, lambda u: np.where(u < 0.5, 0.03, 0.5)),
    World("knows nothing", lambda u: u, lambda u: np.full(len(u), 0.048)),
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=Path, help="questions with fine types, such as TREC's, for the real one")
    parser.add_argument("--risk", type=float, default=0.05)
    parser.add_argument("--confidence", type=float, default=0.95)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the predictions, as files")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    choice = Choice(arguments.risk, arguments.confidence, seed=arguments.seed)
    files = {"simulated": simulated(arguments.seed, 4000, 0.0), "shifted": simulated(arguments.seed + 1, 1000, 1.5)}
    if arguments.questions:
        questions = [q for q in read_questions(arguments.questions) if q.fine_type]
        files["named"], files["cut"] = named(questions)
    found: dict[str, Any] = {"worlds": [simulate(world, choice) for world in WORLDS]}
    for name, other in (("simulated", "shifted"), ("named", "cut")):
        if name in files:
            found[name] = assess(of_lines(files[name]), choice, shift=of_lines(files[other])).found
    for name, lines in files.items() if arguments.out else ():
        write_atomic(arguments.out / f"{name}.jsonl", b"".join(canonical_json(line_of(p)) + b"\n" for p in lines))
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"risk {choice.risk:g} at {choice.trust:g}; kept, of {DRAWS}: by samples, by halves on pool and rest, bare")
    for row in found["worlds"]:
        kept = f"{row['kept']:4} {row['kept_pool']:4} {row['kept_rest']:4}   {row['bare_kept']:4} {row['bare_pool']:4}"
        print(f"{row['world']:20} {kept}   coverage {row['coverage']:6.1%} of {row['best']:6.1%} possible")
    for name in ("simulated", "named"):
        if name in found:
            print(f"\n{name}")
            for who, said in found[name]["scores"].items():
                print(f"{who:12} AUROC {said['auroc']:.4f}, AURC {said['aurc']:.4f}, ECE {said['ece']:.4f}")
            print("\n".join(found[name]["says"].values()))


def simulate(world: World, choice: Choice) -> dict[str, Any]:
    """Return how often a world's certificates are kept, and how often what is low enough as seen is."""
    draw = np.random.default_rng([choice.seed, zlib.crc32(world.name.encode())])
    kept = bare = 0
    coverage = []
    for _ in range(DRAWS):
        order = fixed_order(*world.sample(draw, PLACING))
        sample = world.sample(draw, CERTIFYING)
        test = certify(*sample, order, choice.risk, choice.trust).certified
        kept += test is None or world.risk(test.threshold) <= choice.risk
        coverage.append(test.answered / CERTIFYING if test else 0.0)
        bare += world.risk(_low_as_seen(*sample, order, choice.risk)) <= choice.risk
    order, pool = fixed_order(*world.sample(draw, PLACING)), world.sample(draw, POOL)
    units = [str(i) for i in range(POOL)]
    halves, bare_halves = (
        resplit(*pool, order, choice.risk, choice.trust, units, times=DRAWS, seed=choice.seed, correct=correct)
        for correct in (True, False)
    )
    return {
        "world": world.name,
        "kept": kept,
        "kept_pool": halves.kept_pool,
        "kept_rest": halves.kept_rest,
        "certified": halves.certified,
        "bare_kept": bare,
        "bare_pool": bare_halves.kept_pool,
        "coverage": float(np.mean(coverage)),
        "best": world.best(choice.risk),
    }


def _low_as_seen(confidence: np.ndarray, wrong: np.ndarray, order: Order, risk: float) -> float:
    """Return the threshold of the largest coverage whose share of wrong answers is low enough as it is seen."""
    for threshold in order.thresholds[::-1]:
        given = confidence >= threshold
        if given.any() and wrong[given].mean() <= risk:
            return float(threshold)
    return np.inf


def simulated(seed: int, n: int, worse: float) -> list[Prediction]:
    """Return predictions of a model whose stated logits are twice the true ones, and its entropy, a second signal.

    `worse` is taken from the true logits, so that it is that much less often right than it thinks.
    """
    draw = np.random.default_rng(seed)
    z = draw.normal(2.5, 2, n)
    right, entropy = draw.random(n) < sigmoid(z - worse), draw.normal(-z, 1)
    signals = [
        {"confidence": round(p, 6), "entropy": round(e, 4)} for p, e in zip(sigmoid(2 * z), entropy, strict=True)
    ]
    return [Prediction(f"{seed}-{i}", signals[i], float(right[i])) for i in range(n)]


def named(questions: Sequence[Question]) -> tuple[list[Prediction], list[Prediction]]:
    """Return the coarse types that naive Bayes names, of the questions and of what is left without two words."""
    types = np.array([str(q.fine_type).partition(":")[0] for q in questions])
    labels, true = np.unique(types, return_inverse=True)
    fold = split([plain(q.question) for q in questions], [1.0] * FOLDS)
    found: tuple[list[Prediction], list[Prediction]] = ([], [])
    whole = [features(q.question) for q in questions]
    counts = np.zeros((FOLDS, len(labels), BUCKETS))
    for i, buckets in enumerate(whole):
        np.add.at(counts[fold[i], true[i]], buckets, 1)
    for k in range(FOLDS):
        others = counts.sum(0) - counts[k] + SMOOTHING
        weights = np.log(others) - np.log(others.sum(1, keepdims=True))
        prior = np.log(np.bincount(true[fold != k], minlength=len(labels)) / (fold != k).sum())
        known = counts.sum((0, 1)) - counts[k].sum(0) > 0
        for i in np.flatnonzero(fold == k).tolist():
            short = features(" ".join(questions[i].question.split()[2:]) or "?")
            for buckets, lines in ((whole[i], found[0]), (short, found[1])):
                z = prior + weights[:, buckets].sum(1)
                best, second = np.sort(z)[::-1][:2]
                signals = {
                    "confidence": float(1 / np.exp(z - best).sum()),
                    "margin": float(best - second) / len(buckets),
                    "known": float(known[buckets].mean()),
                }
                name = str(labels[int(z.argmax())])
                right = float(name == types[i])
                q = questions[i]
                lines.append(Prediction(q.id, signals, right, type=str(types[i]), predicted=name, question=q.question))
    return found


def features(text: str) -> np.ndarray:
    """Return the buckets of the words of a text and of pairs of neighbours, with the edges."""
    words = ["<", *WORD.findall(text.casefold()), ">"]
    pairs = [f"{a} {b}" for a, b in pairwise(words)]
    return np.array([zlib.crc32(part.encode()) % BUCKETS for part in words[1:-1] + pairs])


def line_of(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as a line of a file."""
    signals = dict(prediction.signals)
    line = {"id": prediction.id, "confidence": signals.pop("confidence"), "signals": signals}
    texts = {name: getattr(prediction, name) for name in ("type", "predicted", "question")}
    return {**line, "correct": prediction.correct == 1, **{k: v for k, v in texts.items() if v is not None}}


if __name__ == "__main__":
    main()
