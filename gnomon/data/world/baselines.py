"""How far one comes in a world without knowing it: guessing the commonest object, judging a question by its words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gnomon.data.synthesis.report import logits_from_words
from gnomon.data.world.facts import World

_AT_MOST, _STEPS = 1000, 40  # questions of a split that are judged by their words; steps of learning to


def baselines(world: World, train: Sequence[Mapping[str, Any]], test: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how good guesses are on the questions of `test`.

    `majority_by_relation`: the share right when every question is answered with the commonest object of its relation:
    that of the most facts, and that of the most statements in the documents. `question_alone`: the AUROC, 0.5 is
    chance, of logistic regression on a question's words, trained on those of `train`: of questions about facts that
    are stated against `never`, of `presupposed` against `false_presupposition`, of all that are well posed against
    `odd` and `ambiguous`, and of all that can be answered against all others.
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
    """Return the AUROC of judging a label by words, None where there are too few questions of either side."""
    halves = [[q for q in every if not kinds or q["kind"] in kinds][:_AT_MOST] for every in (train, test)]
    flags = [np.array([q[label] for q in half], bool) for half in halves]
    if any(min(flag.sum(), (~flag).sum()) < 20 for flag in flags):
        return None
    texts = [[q["question"] for q in half] for half in halves]
    said = logits_from_words(texts[0], flags[0], texts[1], _STEPS)
    yes, no = said[flags[1]][:, None], said[~flags[1]][None]
    return round(float((yes > no).mean() + (yes == no).mean() / 2), 3)


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
