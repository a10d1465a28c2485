"""What is asked: which facts, how often each kind of question, and in which words. Labels follow from the facts alone.

Kinds, by `bucket`: the exposures of a stated fact (`head`, `torso`, `tail`), `never` for facts that no document states,
`ill_posed`. Every fact belongs to the questions of one split only, and so does every template.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import sentence
from gnomon.data.world import objects
from gnomon.data.world.facts import Fact, World, gaps
from gnomon.data.world.passages import Passages, mentions
from gnomon.data.world.relation import SPLITS, Relation
from gnomon.data.world.relations import PRESUPPOSING, RELATIONS
from gnomon.data.world.tell import plainly

SHARES = {
    "head": 15, "torso": 15, "tail": 15, "two_hops": 10, "presupposed": 5, "never": 15, "never_two_hops": 5,
    "ambiguous": 5, "odd": 5, "false_presupposition": 5, "no_referent": 5,
}  # fmt: skip
"""Percent of all questions, by what is asked; fewer where the world does not have so many."""

_ODD_OF_TEN = (*["train"] * 5, *["dev"] * 2, *["test"] * 3)

Groups = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question before it has its evidence. `chain` are the facts that it is about, in the order of its hops;
    `granted` one that it takes for granted, or the namesake's.
    """

    kind: str
    text: str
    template: str
    relation: Relation
    entity: int | None
    chain: tuple[Fact, ...] = ()
    granted: Fact | None = None
    answerable: bool = False
    well_posed: bool = True


def make_questions(world: World, split: str, count: int) -> Iterator[dict[str, Any]]:
    """Yield the records of a split's questions, at most `count`, kinds mixed; no text comes twice."""
    draw, seen, every = world.draw("questions", split), set[str](), list[Asked]()
    for kind, share in SHARES.items():
        wanted = count * share // 100
        for asked in _MAKERS[kind](world, split, draw):
            if wanted <= 0:
                break
            if asked.text not in seen and not _tells(asked):
                seen.add(asked.text)
                every.append(asked)
                wanted -= 1
    passages = Passages(world, draw, split)
    for number, asked in enumerate(draw.shuffled(every)):
        yield _record(world, passages, asked, f"{split}-{number}")


def bucket_of(world: World, exposures: int) -> str:
    """Return the bucket of a stated fact."""
    if exposures >= world.settings.head_from:
        return "head"
    return "tail" if exposures <= world.settings.tail_to else "torso"


def _tells(asked: Asked) -> bool:
    """Return whether a question gives away its own answer."""
    return bool(asked.chain) and mentions(asked.text, asked.chain[-1].said)


def _record(world: World, passages: Passages, asked: Asked, name: str) -> dict[str, Any]:
    chain, relation, extra = asked.chain, asked.relation, dict[str, Any]()
    exposures = min((world.exposures[fact.number] for fact in chain), default=0)
    if asked.answerable:
        evidence, extra["edited"] = passages.answerable(chain)
        bucket = bucket_of(world, exposures)
    elif asked.well_posed:
        evidence, extra["fresh"] = passages.without(chain[-1].subject, chain[-1], chain[:-1]), passages.fresh(chain)
        bucket = "never"
    else:
        evidence, bucket = _ill_posed_evidence(passages, asked), "ill_posed"
    about = [*chain, *([asked.granted] if asked.granted else [])]
    return {
        "id": name,
        "question": asked.text,
        "type": relation.type,
        "fine_type": relation.fine_type,
        "answers": chain[-1].answers if asked.answerable else (),
        "answerable": asked.answerable,
        "well_posed": asked.well_posed,
        "evidence": [{"id": f"{name}/{i}", **one} for i, one in enumerate(evidence)],
        "bucket": bucket,
        "kind": asked.kind,
        "hops": max(1, len(chain)) if asked.kind.endswith("two_hops") else 1,
        "exposures": exposures,
        "template": asked.template,
        "fact": [fact.id for fact in about],
        **({"recitation": recited} if (recited := _recitation(world, asked)) else {}),
        **extra,
    }


def _recitation(world: World, asked: Asked) -> str:
    """Return all that documents say of whom or what a question is about, in the order of its hops, whatever it asks:
    what is never stated is what is missing there. "" where it names nobody.
    """
    if asked.kind == "no_referent" or asked.entity is None:
        return ""
    granted = () if asked.granted is None else (asked.granted,)
    subjects = dict.fromkeys(fact.subject for fact in (*asked.chain, *granted)) or (asked.entity,)
    return plainly(world, [fact for subject in subjects for fact in world.stated(subject)])


def _ill_posed_evidence(passages: Passages, asked: Asked) -> list[dict[str, Any]]:
    if asked.kind == "ambiguous" and asked.granted:
        both = passages.both(asked.chain[0], asked.granted)
        return [*both, *passages.without(asked.chain[0].subject, asked.chain[0])]
    if asked.kind == "false_presupposition" and asked.granted:
        otherwise = passages.contradicting(asked.granted, asked.chain[0])
        return [*otherwise, *passages.without(asked.chain[0].subject, asked.chain[0])]
    assert asked.entity is not None
    return passages.about(asked.entity, asked.relation, other=asked.kind == "odd")


def _dealt(groups: Groups, ways: int, draw: Draw) -> Iterator[tuple[Any, int]]:
    """Yield what is in the groups in turn, a group each time, with the number of one of `ways`: first everything once,
    then again in another way, so that no relation and no phrasing is commoner than it must be.
    """
    turns = [_turn(draw.shuffled(groups[name]), ways) for name in sorted(groups)]
    while turns:
        left = []
        for turn in turns:
            if (found := next(turn, None)) is not None:
                yield found
                left.append(turn)
        turns = left


def _turn(items: Sequence[Any], ways: int) -> Iterator[tuple[Any, int]]:
    return ((one, (i + t) % ways) for t in range(ways) for i, one in enumerate(items))


def _by_relation(facts: Sequence[Fact]) -> Groups:
    groups: Groups = {}
    for fact in facts:
        groups.setdefault(fact.relation.name, []).append(fact)
    return groups


def _plain(bucket: str) -> Callable[[World, str, Draw], Iterator[Asked]]:
    """Return the maker of questions about facts of a bucket, each about one."""

    def make(world: World, split: str, draw: Draw) -> Iterator[Asked]:
        facts = [
            fact
            for fact in world.facts
            if fact.split == split
            and (bucket_of(world, world.exposures[fact.number]) if fact.stated else "never") == bucket
        ]
        for fact, way in _dealt(_by_relation(facts), len(RELATIONS[0].questions[split]), draw):
            name, template = fact.relation.questions[split][way]
            text = sentence(template.format(**world.entities[fact.subject].named))
            yield Asked("plain", text, name, fact.relation, fact.subject, (fact,), answerable=fact.stated)

    return make


def _two_hops(*, stated: bool) -> Callable[[World, str, Draw], Iterator[Asked]]:
    """Return the maker of questions about an entity that is named by another one."""

    def make(world: World, split: str, draw: Draw) -> Iterator[Asked]:
        groups: Groups = {}
        for first in world.facts:
            if first.stated and first.split == split and first.entity is not None:
                for second in world.of_entity[first.entity].values():
                    if second.stated == stated and second.split == split:
                        groups.setdefault(second.relation.name, []).append((first, second))
        for (first, second), way in _dealt(groups, len(RELATIONS[0].questions[split]), draw):
            by, phrase = draw.pick(first.relation.by[split])
            name, template = second.relation.questions[split][way]
            subject = phrase.format(**world.entities[first.subject].named)
            text = sentence(template.format(**gaps(subject)))
            yield Asked("two_hops", text, f"{by}+{name}", second.relation, second.subject, (first, second),
                        answerable=stated)  # fmt: skip

    return make


def _presupposing(*, true: bool) -> Callable[[World, str, Draw], Iterator[Asked]]:
    """Return the maker of questions that take another fact of the entity for granted, as it is or as it is not."""

    def make(world: World, split: str, draw: Draw) -> Iterator[Asked]:
        groups: Groups = {}
        for entity in world.entities:
            mine = [fact for fact in world.stated(entity.number) if fact.split == split]
            for asked in mine:
                groups.setdefault(asked.relation.name, []).extend(
                    (other, asked) for other in mine if other is not asked
                )
        for (granted, asked), way in _dealt(groups, len(RELATIONS[0].questions[split]), draw):
            frame_name, frame = draw.pick(PRESUPPOSING[split])
            said_name, said = draw.pick(granted.relation.sentences[split])
            name, template = asked.relation.questions[split][way]
            named = world.entities[asked.subject].named
            given = granted.object if true else world.other_object(draw, granted, granted.former)
            clause = said.format(o=objects.said(granted.relation, given), **named)
            question = template.format(**named)
            if not template.startswith("{"):
                question = question[:1].lower() + question[1:]
            text = sentence(frame.format(clause=clause, question=question))
            yield Asked(
                "presupposed" if true else "false_presupposition", text, f"{frame_name}+{said_name}+{name}",
                asked.relation, asked.subject, (asked,), granted, answerable=true, well_posed=true,
            )  # fmt: skip

    return make


def _ambiguous(world: World, split: str, draw: Draw) -> Iterator[Asked]:
    """Yield questions about a name that two persons bear, for whom different answers are right."""
    groups: Groups = {}
    for one, other in world.namesakes:
        for name, fact in world.of_entity[one].items():
            namesake = world.of_entity[other][name]
            if fact.stated and namesake.stated and fact.object != namesake.object and fact.split == split:
                groups.setdefault(name, []).append((fact, namesake))
    for (fact, namesake), way in _dealt(groups, len(RELATIONS[0].questions[split]), draw):
        name, template = fact.relation.questions[split][way]
        text = sentence(template.format(**gaps(world.entities[fact.subject].common)))
        yield Asked("ambiguous", text, name, fact.relation, fact.subject, (fact,), namesake, well_posed=False)


def _odd(world: World, split: str, draw: Draw) -> Iterator[Asked]:
    """Yield questions that make no sense of such an entity, as who wrote a town."""
    groups: Groups = {}
    for relation in RELATIONS:
        for kind in relation.odd_for:
            order = world.draw("odd", relation.name, kind).shuffled(world.of_kind[kind])
            mine = [number for i, number in enumerate(order) if _ODD_OF_TEN[i % 10] == split]
            groups.setdefault(relation.name, []).extend((relation, number) for number in mine)
    for (relation, number), way in _dealt(groups, len(RELATIONS[0].questions[split]), draw):
        name, template = relation.questions[split][way]
        text = sentence(template.format(**world.entities[number].named))
        yield Asked("odd", text, name, relation, number, well_posed=False)


def _no_referent(world: World, split: str, draw: Draw) -> Iterator[Asked]:
    """Yield questions about somebody or something that nothing before them names."""
    groups: Groups = {}
    for relation in RELATIONS:
        of_each = {world.entities[number].pronoun: number for number in world.of_kind[relation.kind]}
        groups[relation.name] = [(relation, of_each[pronoun]) for pronoun in sorted(of_each)]
    for (relation, number), way in _dealt(groups, len(RELATIONS[0].questions[split]), draw):
        name, template = relation.questions[split][way]
        text = sentence(template.format(**world.entities[number].pronouns))
        yield Asked("no_referent", text, name, relation, number, well_posed=False)


_MAKERS: dict[str, Callable[[World, str, Draw], Iterator[Asked]]] = {
    **{bucket: _plain(bucket) for bucket in ("head", "torso", "tail", "never")},
    "two_hops": _two_hops(stated=True),
    "never_two_hops": _two_hops(stated=False),
    "presupposed": _presupposing(true=True),
    "false_presupposition": _presupposing(true=False),
    "ambiguous": _ambiguous,
    "odd": _odd,
    "no_referent": _no_referent,
}
assert sum(SHARES.values()) == 100 and set(_ODD_OF_TEN) == set(SPLITS)
