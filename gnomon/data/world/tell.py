"""Statements as text: a passage has a heading, and one segment of sentences for each entity that it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import sentence
from gnomon.data.world.facts import Entity, Fact, World

FIRST_YEAR, LAST_YEAR = 2030, 2049  # of documents
CHANGES = (2036, 2043)  # years in which facts may change


@dataclass(slots=True)
class Statement:
    """What is said of a fact: a template filled with `object`. `joined` to the sentence before; else `named`, or with
    a pronoun where it does not come first.
    """

    fact: Fact
    template: str
    object: str
    joined: bool
    named: bool


@dataclass(slots=True)
class Segment:
    """Statements about one entity."""

    entity: Entity
    statements: list[Statement]

    @property
    def sentences(self) -> int:
        """Return how many sentences it has."""
        return sum(not (one.joined and i) for i, one in enumerate(self.statements))


def make_segment(draw: Draw, world: World, facts: Sequence[Fact], split: str) -> Segment:
    """Return a segment that states facts of one entity in the phrasings of a split; two in one sentence here and
    there.
    """
    found = list[Statement]()
    for fact in facts:
        _, template = draw.pick(fact.relation.sentences[split])
        joined = bool(found) and not found[-1].joined and draw.chance(30)
        found.append(Statement(fact, template, fact.said, joined, draw.chance(40)))
    return Segment(world.entities[facts[0].subject], found)


def render(segments: Sequence[Segment]) -> str:
    """Return the sentences. Each segment names its entity first."""
    return " ".join(text for segment in segments for text in _sentences(segment))


def plainly(world: World, facts: Sequence[Fact]) -> str:
    """Return a sentence about each fact, in the first of the phrasings of training, with the subject's name."""
    told = [
        fact.relation.sentences["train"][0][1].format(o=fact.said, **world.entities[fact.subject].named)
        for fact in facts
    ]
    return " ".join(f"{sentence(one)}." for one in told)


def heading(paper: str, year: int, *, reliable: bool) -> str:
    """Return what stands before the sentences: who says it and when, and whether it is unconfirmed."""
    return f"{paper}, {year}. " if reliable else f"Unconfirmed, from {paper}, {year}. "


def _sentences(segment: Segment) -> list[str]:
    named, pronouns = segment.entity.named, segment.entity.pronouns
    found = list[str]()
    for i, one in enumerate(segment.statements):
        joined = one.joined and i
        by_name = i == 0 or (one.named and not joined) or " of {m}" in one.template  # not "the seat of it"
        said = one.template.format(o=one.object, **(named if by_name else pronouns))
        if joined:
            found[-1] = f"{found[-1]}, and {said}"
        else:
            found.append(sentence(said))
    return [f"{text}." for text in found]
