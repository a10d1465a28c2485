"""Can this be answered? Questions to documents of a closed world, half of which say the words but not the answer."""

from typing import Any

from gnomon.data.synthesis import known
from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, listed, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.themes import THEMES, Relation, Theme

Fact = tuple[int, str, str]
"""The number of the entity, the relation's name, the value."""

INTRO = phrases(
    "know.intro",
    "This page deals with {names}.",
    "These notes concern {names}.",
    "Here is some of what has been written down about {names}.",
    "The following is known of {names}.",
    "From the papers about {names}.",
)
IS_IT_TRUE = phrases(
    "know.true",
    "Is it true that {clause}?",
    "Is it correct that {clause}?",
    "Is it right to say that {clause}?",
    "Is it the case that {clause}?",
)
NEVER = phrases(
    "know.never",
    "{e} has never been {done}.",
    "at no time has {e} been {done}.",
    "in all its history, {e} has not once been {done}.",
    "nobody has ever {done} {e}.",
)
PRESUPPOSES = phrases(
    "know.presupposes",
    "When was {e} {done}?",
    "Who was it that {done} {e}?",
    "Why was {e} {done}?",
    "How often has {e} been {done} since the first time?",
    "In which year was {e} {done} for the last time?",
)
CATEGORY = phrases(
    "know.category",
    "How many kilograms does the {abstract} of {e} weigh?",
    "What is the telephone number of the {abstract} of {e}?",
    "Which language does the {abstract} of {e} speak at home?",
    "How many legs does the {abstract} of {e} have?",
    "At what temperature does the {abstract} of {e} begin to boil?",
)
_DONE = {
    "institute": ("renamed", "photographed", "insured", "robbed", "evacuated", "parodied"),
    "ship": ("renamed", "photographed", "insured", "repainted", "robbed", "hijacked"),
    "custom": ("renamed", "photographed", "parodied", "copied", "filmed", "cancelled"),
}
_LOOSE = ("why", "delay", "look", "thing")  # what may well have a second value besides the one that is told
_ABSTRACT = ("reputation", "anniversary", "good name", "popularity", "importance", "fame", "history", "memory")


def make_knowledge(draw: Draw, tell: Teller, answerable: bool) -> Sample:
    """Return one question; where both is possible, one that can be answered or one that cannot, as is wished."""
    kind = draw.below(100)
    if kind < 72:
        return _read(draw, tell, answerable)
    if kind < 80:
        return _two_sources(draw, tell, answerable)
    if kind < 87:
        return _ill_posed(draw, tell)
    return known.make_known(draw, tell, answerable)


def _world(draw: Draw) -> tuple[Theme, list[str], list[Relation]]:
    theme = draw.pick(THEMES)
    names: list[str] = []
    while len(names) < 3:
        name = theme.entity(draw)
        if all(name[:7] != other[:7] for other in names):
            names.append(name)
    relations = draw.some(theme.relations, 5)
    third = next((i for i in (2, 3, 4) if relations[i].name not in _LOOSE), 2)
    relations[2], relations[third] = relations[third], relations[2]
    return theme, names, relations


def _values(draw: Draw, relation: Relation, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        value = relation.value(draw)
        if value not in found:
            found.append(value)
    return found


def _read(draw: Draw, tell: Teller, answerable: bool) -> Sample:
    """Two entities a and b, two relations r and s: told are (a, r) and (b, s), never (a, s) and (b, r).

    The question asks for one of these four. So its words, and what of them the documents hold, are the same whether it
    can be answered or not. A third relation is told of both, and more as padding.
    """
    _, names, relations = _world(draw)
    r, s, t, *more = relations
    facts: list[Fact] = [(0, r.name, r.value(draw)), (1, s.name, s.value(draw))]
    facts += [(i, t.name, v) for i, v in enumerate(_values(draw, t, 2))]
    for relation in more[: draw.between(0, 2)]:
        facts.append((draw.below(2), relation.name, relation.value(draw)))
    third = draw.chance(30)
    if third:
        facts += [(2, one.name, one.value(draw)) for one in draw.some(more, 1)]
    documents, places = _documents(draw, tell, names, facts, relations, third)
    world = {"names": names, "facts": [list(f) for f in facts]}
    if draw.chance(22):
        return _yes_no(draw, tell, names, (r, s, t), facts, documents, places, world, answerable)
    side = draw.below(2)  # who is asked about
    asked = (r, s)[side] if answerable else (s, r)[side]
    question = tell.ask(asked.ask, e=names[side])
    if not answerable:
        return _sample("read", tell, world | {"ask": [side, asked.name, ""]},
                       _question(question, "", asked.type, asked.fine, documents))  # fmt: skip
    value = next(v for e, n, v in facts if (e, n) == (side, asked.name))
    evidence = places[side, asked.name]
    return _sample("read", tell, world | {"ask": [side, asked.name, ""]},
                   _question(question, value, asked.type, asked.fine, documents, evidence))  # fmt: skip


def _yes_no(
    draw: Draw, tell: Teller, names: list[str], rst: tuple[Relation, Relation, Relation], facts: list[Fact],
    documents: list[str], places: dict[tuple[int, str], dict[str, Any]], world: dict[str, Any], answerable: bool,
) -> Sample:  # fmt: skip
    """Ask whether one thing told of somebody holds: of the same (yes), of one of whom another is told (no), or of one
    of
    whom nothing of the kind is told.
    """
    r, s, t = rst
    side, answer = draw.below(2), ""
    if not answerable:
        relation, teller = (s, r)[side], 1 - side
    elif draw.chance(50) or t.name in _LOOSE:
        relation, teller, answer = (r, s)[side], side, "yes"
    else:
        relation, teller, answer = t, 1 - side, "no"
    value = next(v for e, n, v in facts if (e, n) == (teller, relation.name))
    clause = tell(relation.state, e=names[side], v=value)
    question = tell.ask(IS_IT_TRUE, clause=clause)
    evidence = places[side, relation.name] if answerable else None
    return _sample("yes-no", tell, world | {"ask": [side, relation.name, value]},
                   _question(question, answer, "boolean", None, documents, evidence))  # fmt: skip


def _two_sources(draw: Draw, tell: Teller, answerable: bool) -> Sample:
    """Two documents that give the same value for what is asked, or two different ones."""
    _, names, relations = _world(draw)
    r, s, t = sorted(relations, key=lambda relation: relation.name in _LOOSE)[:3]  # two values contradict each other
    first, second = _values(draw, r, 2)
    sides: list[list[Fact]] = [
        [(0, r.name, first), (0, s.name, s.value(draw))],
        [(0, r.name, first if answerable else second), (1, t.name, t.value(draw))],
    ]
    documents, evidence = [], []
    for facts in draw.shuffled(sides):
        (text,), places = _documents(draw, tell, names, facts, relations, False, alone=True)
        evidence.append(places[0, r.name] | {"document": len(documents)})
        documents.append(text)
    question = tell.ask(r.ask, e=names[0])
    world = {"names": names, "facts": [list(f) for side in sides for f in side], "ask": [0, r.name, ""]}
    found = _question(question, first if answerable else "", r.type, r.fine, documents, *evidence)
    return _sample("two-sources", tell, world, found)


def _ill_posed(draw: Draw, tell: Teller) -> Sample:
    """A question that cannot have an answer: of what never was, of what cannot be, or of nobody knows which."""
    theme, names, relations = _world(draw)
    r, s, *_ = relations
    facts: list[Fact] = [(0, r.name, r.value(draw)), (1, r.name, _values(draw, r, 2)[1]), (0, s.name, s.value(draw))]
    documents, _ = _documents(draw, tell, names, facts, relations, False, alone=True)
    kind = draw.below(3)
    if kind == 0:
        done = draw.pick(_DONE[theme.name])
        documents[0] += " " + sentence(tell(NEVER, e=names[0], done=done))
        question, of, fine = tell.ask(PRESUPPOSES, e=names[0], done=done), "description", "DESC:desc"
    elif kind == 1:
        question = tell.ask(CATEGORY, e=names[0], abstract=draw.pick(_ABSTRACT))
        of, fine = "description", "DESC:desc"
    else:
        question, of, fine = tell.ask(r.ask, e=f"that {theme.kind}"), r.type, r.fine
    ask = [("never", "category", "which")[kind], r.name, documents[0].count(names[0])]
    world = {"names": names, "facts": [list(f) for f in facts], "ask": ask}
    asked = Question(question, "", (), of, fine, answerable=False, well_posed=False, sufficient=None,
                     documents=tuple(documents))  # fmt: skip
    return _sample("ill-posed", tell, world, asked)


def _documents(
    draw: Draw, tell: Teller, names: list[str], facts: list[Fact], relations: list[Relation], third: bool,
    alone: bool = False,
) -> tuple[list[str], dict[tuple[int, str], dict[str, Any]]]:  # fmt: skip
    """Return one to three documents that state the facts, and where each fact stands."""
    by_name = {relation.name: relation for relation in relations}
    apart = not alone and draw.chance(40)
    groups = [[0], [1]] if apart else [[0, 1]]
    if third:
        groups.append([2])
    documents, places = [], {}
    for group in draw.shuffled(groups):
        text = tell(INTRO, names=listed([names[e] for e in group]))
        for e in draw.shuffled(group):
            for _, name, value in draw.shuffled([f for f in facts if f[0] == e]):
                said = sentence(tell(by_name[name].state, e=names[e], v=value)) + "."
                start = len(text) + 1
                text += f" {said}"
                places[e, name] = {"document": len(documents), "start": start, "end": len(text), "text": said}
        documents.append(text)
    return documents, places


def _question(
    question: str, answer: str, of: str, fine: str | None, documents: list[str], *evidence: dict[str, Any] | None
) -> Question:
    return Question(
        question, answer, (answer,) if answer else (), of, fine, answerable=bool(answer), known=False, retrieve=True,
        sufficient=bool(answer), documents=tuple(documents), evidence=tuple(e for e in evidence if e),
    )  # fmt: skip


def _sample(kind: str, tell: Teller, world: dict[str, Any], question: Question) -> Sample:
    return Sample(
        family="knowledge", kind=kind, split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=question, world=world,
    )  # fmt: skip
