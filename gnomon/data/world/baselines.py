"""How far one comes in a world without knowing it: guessing the commonest object, judging a question by its words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gnomon.data.synthesis.report import accuracy_from_questions
from gnomon.data.world.facts import World

_AT_MOST = 1500  # questions that are judged by their words


def baselines(world: World, questions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the shares of questions that a guesser gets right.

    `majority_by_relation` answers every question with the commonest object of its relation: that of the most facts, and
    that of the most statements in the documents. `question_alone` is logistic regression on words, 0.5 is chance: of
    `never` against stated ones, of `false_presupposition` against true ones, and of all that can be answered.
    """
    alone = {
        "never": _alone([q for q in questions if q["kind"] == "plain"]),
        "false_presupposition": _alone([q for q in questions if "presuppos" in q["kind"]]),
        "answerable": _alone(questions),
    }
    return {
        "majority_by_relation": {
            "facts": _majority(world, questions, weighted=False),
            "statements": _majority(world, questions, weighted=True),
        },
        "question_alone": alone,
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


def _alone(questions: Sequence[Mapping[str, Any]]) -> float | None:
    some = questions[:_AT_MOST]
    flags = [bool(question["answerable"]) for question in some]
    if min(sum(flags), len(flags) - sum(flags)) < 20:
        return None
    return round(accuracy_from_questions([question["question"] for question in some], flags, steps=60), 4)


def _share(count: int, of: int) -> float | None:
    return round(count / of, 4) if of else None
