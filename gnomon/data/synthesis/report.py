"""What a set of samples is like: counts, lengths, diversity of words, and whether questions give themselves away."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from gnomon.data.synthesis.render import render
from gnomon.data.synthesis.sample import SPLITS, Sample

_WORD = re.compile(r"[\w'’-]+")
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_PAIRED = ("read", "yes-no", "two-sources")  # kinds in which answerable and unanswerable questions are matched


def report(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return counts by family, kind, type, answerability and tool; lengths; templates; distinct word n-grams."""
    texts = [render(sample).text for sample in samples]
    by_family: dict[str, list[int]] = {}
    for i, sample in enumerate(samples):
        by_family.setdefault(sample.family, []).append(i)
    found: dict[str, Any] = {
        "samples": len(samples),
        "splits": {split: sum(s.split == split for s in samples) for split in SPLITS},
        "families": {},
        "types": _counts(s.question.type for s in samples),
        "answerable": sum(s.question.answerable for s in samples),
        "tools_called": _counts(_called(samples)),
    }
    for family, members in by_family.items():
        lengths = np.array([len(texts[i]) for i in members])
        templates = {split: {t for i in members if samples[i].split == split for t in
                             (samples[i].template, *samples[i].phrases)} for split in SPLITS}  # fmt: skip
        found["families"][family] = {
            "samples": len(members),
            "kinds": _counts(samples[i].kind for i in members),
            "answerable": sum(samples[i].question.answerable for i in members),
            "characters": {f"{q:.0%}": int(np.quantile(lengths, q)) for q in _QUANTILES},
            "templates": {split: len(names) for split, names in templates.items()},
            "distinct": {n: distinct([texts[i] for i in members], n) for n in (1, 2, 3)},
        }
    matched = [s for s in samples if s.family == "knowledge" and s.kind in _PAIRED]
    if {s.question.answerable for s in matched} == {True, False}:
        found["overlap"] = overlap(matched)
        found["question_alone_accuracy"] = round(_question_alone(matched), 4)
    return found


def _counts(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _called(samples: Iterable[Sample]) -> Iterable[str]:
    for sample in samples:
        kinds = {name: kind for kind, name in sample.world["names"].items()} if sample.tools else {}
        for message in sample.messages:
            yield from (kinds[call["function"]["name"]] for call in message.get("tool_calls", ()))


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of different ones among all runs of `n` words."""
    total, seen = 0, set()
    for text in texts:
        words = _WORD.findall(text.lower())
        runs = list(zip(*(words[i:] for i in range(n)), strict=False))
        total += len(runs)
        seen.update(runs)
    return round(len(seen) / max(1, total), 4)


def overlap(samples: Iterable[Sample]) -> dict[str, float]:
    """Return the mean share of a question's words that its documents hold, of answerable and unanswerable ones."""
    shares: dict[bool, list[float]] = {True: [], False: []}
    for sample in samples:
        held = set(_WORD.findall(" ".join(sample.question.documents).lower()))
        words = _WORD.findall(sample.question.question.lower())
        shares[sample.question.answerable].append(sum(word in held for word in words) / len(words))
    return {
        "answerable": round(float(np.mean(shares[True])), 4),
        "unanswerable": round(float(np.mean(shares[False])), 4),
    }


def _question_alone(samples: Sequence[Sample]) -> float:
    questions = [sample.question for sample in samples]
    return accuracy_from_questions([q.question for q in questions], [q.answerable for q in questions])


def accuracy_from_questions(texts: Sequence[str], flags: Sequence[bool], steps: int = 150) -> float:
    """Return how often logistic regression on a question's words alone says its flag rightly, such as whether it can be
    answered.

    Trained on every other question and tried on the rest, and the other way round; as many true as false ones are
    taken, so that 0.5 is chance.
    """
    by_flag = {flag: [text for text, one in zip(texts, flags, strict=True) if one == flag] for flag in (True, False)}
    count = min(map(len, by_flag.values()))
    taken = [text for pair in zip(by_flag[True][:count], by_flag[False][:count], strict=True) for text in pair]
    of_taken, half = np.tile([True, False], count), np.arange(len(taken)) // 2 % 2 == 0
    right = 0
    for train in (half, ~half):
        said = logits_from_words(list(compress(taken, train)), of_taken[train], list(compress(taken, ~train)), steps)
        right += int(((said > 0) == of_taken[~train]).sum())
    return right / len(taken)


def logits_from_words(texts: Sequence[str], flags: np.ndarray, others: Sequence[str], steps: int = 150) -> np.ndarray:
    """Return the logits (float32) that other texts have a flag, by logistic regression on the words of `texts`."""
    words: dict[str, int] = {}
    for text in texts:
        for word in _WORD.findall(text.lower()):
            words.setdefault(word, len(words))
    x, y = _bags(texts, words), np.asarray(flags, np.float32)
    weights = np.zeros(x.shape[1], np.float32)
    for _ in range(steps):
        error = 1 / (1 + np.exp(-x @ weights)) - y
        weights -= 0.5 * (x.T @ error / len(y) + 1e-3 * weights)
    return _bags(others, words) @ weights


def _bags(texts: Sequence[str], words: Mapping[str, int]) -> np.ndarray:
    """Return which words are in which text, and a column of ones."""
    x = np.zeros((len(texts), len(words) + 1), np.float32)
    x[:, -1] = 1
    for row, text in enumerate(texts):
        x[row, [words[word] for word in _WORD.findall(text.lower()) if word in words]] = 1
    return x
