"""How far one comes in a world without knowing it: guessing the commonest object, judging a question by its words."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnomon.data.synthesis.report import logits_from_words
from gnomon.data.world.facts import World

AT_MOST = 1000
"""Questions of a split that are judged by their words."""

_STEPS = 40  # of learning to


def baselines(world: World, train: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how good guesses are on the questions of `test`.

    `majority_by_relation`: the share right when every question is answered with the commonest object of its relation:
    that of the most facts, and that of the most statements in the documents. `question_alone`: the AUROC, 0.5 is
    chance, of logistic regression on a question's words, trained on those of `train`: of questions about facts that
    are stated against `never`, of `presupposed` against `false_presupposition`, of all that are well posed against
    `odd` and `ambiguous`, and of all that can be answered against all others. `evidence_alone`: the same of
    whether what is shown is enough, judged by its words without the question, by its length, and by the share of the
    question's words that it holds.
    """
    return {
        "majority_by_relation": {
            "facts": _majority(world, test, weighted=False),
            "statements": _majority(world, test, weighted=True),
        },
        "question_alone": {
            "never": _alone(train, test, ("plain",)),
            "two_hops": _alone(train, test, ("two_hops",)),
            "false_presupposition": _alone(train, test, ("presupposed", "false_presupposition")),
            "odd_or_ambiguous": _alone(train, test, ("plain", "odd", "ambiguous"), "well_posed"),
            "answerable": _alone(train, test),
        },
        "evidence_alone": _evidence_alone(train, test),
    }


def _majority(world: World, questions: Sequence[Mapping[str, Any]], *, weighted: bool) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = {}
    for fact in world.facts:
        if fact.stated:
            counts.setdefault(fact.relation.name, Counter())[fact.object] += (
                world.exposures[fact.number] if weighted else 1
            )
    guess = {name: min(every, key=lambda one: (-every[one], one)) for name, every in counts.items()}
    right, asked = Counter[str](), Counter[str]()
    for question in questions:
        if question["answerable"]:
            fact = world.facts[int(question["fact"][question["hops"] - 1][1:])]
            asked[fact.relation.name] += 1
            right[fact.relation.name] += guess[fact.relation.name] == fact.object
    told = [name for name in asked if name != "railway"]
    return {
        "all": _share(sum(right.values()), sum(asked.values())),
        "all_but_boolean": _share(sum(right[name] for name in told), sum(asked[name] for name in told)),
        "by_relation": {name: _share(right[name], asked[name]) for name in sorted(asked)},
    }


def _alone(
    train: Sequence[Mapping[str, Any]],
    test: Sequence[Mapping[str, Any]],
    kinds: Sequence[str] = (),
    label: str = "answerable",
) -> float | None:
    halves = [[q for q in every if not kinds or q["kind"] in kinds][:AT_MOST] for every in (train, test)]
    told, asked = ([(str(q["question"]), bool(q[label])) for q in half] for half in halves)
    return _auroc(_by_words(told, asked), [flag for _, flag in asked])


def _evidence_alone(train: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    told, asked = ([one for q in every[:AT_MOST] for one in q.get("shown", ())] for every in (train, test))
    words = [_words(q["question"]) for q in test[:AT_MOST] for _ in q.get("shown", ())]
    flags = [flag for _, flag in asked]
    held = [len(mine & _words(text)) / len(mine) for mine, (text, _) in zip(words, asked, strict=True)]
    return {
        "words": _auroc(_by_words(told[:AT_MOST], asked), flags),
        "length": _auroc([len(text) for text, _ in asked], flags),
        "overlap": _auroc(held, flags),
    }


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _by_words(told: Sequence[tuple[str, bool]], asked: Sequence[tuple[str, bool]]) -> np.ndarray:
    flags = np.array([flag for _, flag in told], bool)
    if not 0 < flags.sum() < len(flags):
        return np.zeros(len(asked), np.float32)
    return logits_from_words([text for text, _ in told], flags, [text for text, _ in asked], _STEPS)


def _auroc(scores: Sequence[float] | np.ndarray, flags: Sequence[bool]) -> float | None:
    """Return how often a true one has more than a false one, None where there are too few of either."""
    given, true = np.asarray(scores, np.float32), np.array(flags, bool)
    if min(true.sum(), (~true).sum()) < 20:
        return None
    yes, no = given[true][:, None], given[~true][None]
    return round(float((yes > no).mean() + (yes == no).mean() / 2), 3)


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
