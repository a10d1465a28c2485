"""Evidence for a question: a passage that holds the answer, and others that look like it and do not.

- `gold` states all facts that the answer rests on, in sentences of the question's split, among other facts.
- `deleted` is the same without the sentence that has the answer.
- `changed` has another object there, from an unconfirmed source.
- `other_relation` tells of the entity asked about, but not this.
- `other_entity` tells this of another entity of the same kind.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.world import objects
from gnomon.data.world.facts import Fact, World
from gnomon.data.world.relation import Relation
from gnomon.data.world.tell import CHANGES, LAST_YEAR, Segment, heading, make_segment, render

_TRIES = 8  # for another entity that the answer does not fit


def mentions(text: str, said: str) -> bool:
    """Return whether a text holds an object, and not only within another name or number."""
    return said in text and re.search(rf"(?<![\w.,-]){re.escape(said)}(?!\w|[.,-]\d)", text) is not None


class Passages:
    """Makes passages in the phrasings of one split."""

    def __init__(self, world: World, draw: Draw, split: str) -> None:
        self._world, self._draw, self._split = world, draw, split

    def answerable(self, chain: Sequence[Fact]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the passages for a question that a chain of facts answers, and the gold one with another object there,
        from a source like any other, and the answers that then are right.
        """
        last, gold = chain[-1], self._gold(chain)
        avoid = (last.said,)
        other = self._world.other_object(self._draw, last, last.former)
        changed = _with(gold, last, objects.said(last.relation, other))
        paper, year = self._origin()
        found = [self._passage("gold", gold, paper, year)]
        if kept := _with(gold, last, None):
            found.append(self._passage("deleted", kept, paper, year))
        found.append(self._passage("changed", changed, paper, year, reliable=False))
        found += self.without(last.subject, last, chain[:-1], avoid)
        right = [one for one in found if one["sufficient"] or not mentions(one["text"], last.said)]
        edited = {"text": self._text(changed, paper, year), "answers": objects.answers(last.relation, other)}
        return self._draw.shuffled(right), edited

    def fresh(self, chain: Sequence[Fact]) -> dict[str, Any]:
        """Return a passage that states what no document does, and the answers that it gives."""
        return {"text": self._text(self._gold(chain), *self._origin()), "answers": chain[-1].answers}

    def without(
        self, entity: int, asked: Fact | None, before: Sequence[Fact] = (), avoid: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        """Return passages of the entity without the fact asked for, and of another entity with it. `before` are the
        facts that lead to the entity.
        """
        lead = [[fact] for fact in before]
        mine = self._extras(entity, 3, avoid, without=asked)
        found = list[dict[str, Any]]()
        if mine:
            filler = self._filler(avoid, asked) if len(mine) < 2 or self._crowded() else []
            found.append(self._passage("other_relation", self._told([*lead, mine, filler]), *self._origin()))
        if asked is not None and (like := self._like(asked, avoid)):
            more = self._extras(like.subject, self._draw.between(1, 3), avoid, without=like)
            filler = self._filler(avoid, asked) if not lead and self._crowded() else []
            found.append(self._passage("other_entity", self._told([*lead, [like, *more], filler]), *self._origin()))
        return found

    def both(self, one: Fact, other: Fact) -> list[dict[str, Any]]:
        """Return a passage that states two facts of two entities, which a question cannot tell apart."""
        return [self._passage("both", self._told([[one], [other]]), *self._origin())]

    def contradicting(self, granted: Fact, asked: Fact) -> list[dict[str, Any]]:
        """Return a passage that says otherwise than a question takes for granted."""
        more = self._extras(asked.subject, 1, (), without=granted)
        told = self._told([list({fact.number: fact for fact in (granted, asked, *more)}.values())])
        return [self._passage("contradicting", told, *self._origin())]

    def about(self, entity: int, relation: Relation, *, other: bool) -> list[dict[str, Any]]:
        """Return a passage of an entity that does not speak of a relation; with `other` also one of an entity that has
        it.
        """
        mine = self._extras(entity, 3, (), without=self._world.of_entity[entity].get(relation.name))
        found = [self._passage("other_relation", self._told([mine]), *self._origin())]
        if other and (like := self._of_relation(relation)):
            more = self._extras(like.subject, 2, (), without=like)
            found.append(self._passage("other_entity", self._told([[like, *more]]), *self._origin()))
        return found

    def _gold(self, chain: Sequence[Fact]) -> list[Segment]:
        avoid = (chain[-1].said,)
        groups = list[list[Fact]]()
        for fact in chain:
            extras = self._extras(fact.subject, self._draw.between(1, 3 if len(chain) == 1 else 2), avoid, without=fact)
            groups.append([fact, *extras])
        if len(groups) == 1 and (len(groups[0]) == 1 or self._crowded()):
            groups.append(self._filler(avoid, chain[-1]))
        return self._told(groups)

    def _crowded(self) -> bool:
        return self._draw.chance(self._world.settings.crowded)

    def _told(self, groups: Sequence[Sequence[Fact]]) -> list[Segment]:
        return [
            make_segment(self._draw, self._world, self._draw.shuffled(group), self._split) for group in groups if group
        ]

    def _extras(self, entity: int, count: int, avoid: Sequence[str], *, without: Fact | None) -> list[Fact]:
        """Return a few stated facts of an entity that do not give the answer away."""
        every = [
            fact
            for fact in self._world.stated(entity)
            if fact is not without and not any(mentions(fact.said, said) for said in avoid)
        ]
        return self._draw.some(every, min(count, len(every)))

    def _filler(self, avoid: Sequence[str], asked: Fact | None) -> list[Fact]:
        """Return facts of an entity that has nothing to do with the question."""
        name = asked.relation.name if asked is not None else ""
        found = self._extras(self._draw.below(len(self._world.entities)), 2, avoid, without=None)
        return [fact for fact in found if fact.relation.name != name]

    def _of_relation(self, relation: Relation) -> Fact | None:
        """Return a stated fact of a relation, of any entity; None if a few tries find none."""
        for _ in range(_TRIES):
            found = self._world.of_entity[self._draw.pick(self._world.of_kind[relation.kind])][relation.name]
            if found.stated:
                return found
        return None

    def _like(self, asked: Fact, avoid: Sequence[str]) -> Fact | None:
        for _ in range(_TRIES):
            found = self._of_relation(asked.relation)
            if found and found.subject != asked.subject and not any(mentions(found.said, said) for said in avoid):
                return found
        return None

    def _origin(self) -> tuple[str, int]:
        """Return a source and a year, after all that changes has changed."""
        return self._draw.pick(self._world.papers), self._draw.between(CHANGES[1] + 1, LAST_YEAR)

    def _passage(
        self, kind: str, segments: Sequence[Segment], paper: str, year: int, *, reliable: bool = True
    ) -> dict[str, Any]:
        text = self._text(segments, paper, year, reliable=reliable)
        return {"kind": kind, "text": text, "sufficient": kind == "gold"}

    def _text(self, segments: Sequence[Segment], paper: str, year: int, *, reliable: bool = True) -> str:
        return heading(paper, year, reliable=reliable) + render(segments)


def _with(segments: Sequence[Segment], fact: Fact, said: str | None) -> list[Segment]:
    """Return the segments with another object of a fact, or, with None, without its statement."""
    return [Segment(segment.entity, kept) for segment in segments if (kept := list(_kept(segment, fact, said)))]


def _kept(segment: Segment, fact: Fact, said: str | None) -> Iterator[Any]:
    alone = False
    for one in segment.statements:
        if one.fact is not fact:
            yield replace(one, joined=False) if alone else one
            alone = False
        elif said is None:
            alone = not one.joined  # what was joined to it stands for itself
        else:
            yield replace(one, object=said)
