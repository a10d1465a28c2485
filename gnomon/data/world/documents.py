"""The training text: every stated fact as often as Zipf's law gives it, in documents of two to six sentences.

Some sources are unconfirmed, and half of what they say is false. Some facts change: documents before that year give
the former object.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnomon.base.seeds import derive, permutation
from gnomon.data.synthesis.draw import Draw
from gnomon.data.world import objects
from gnomon.data.world.facts import Fact, World
from gnomon.data.world.tell import CHANGES, FIRST_YEAR, LAST_YEAR, Segment, heading, make_segment, render

_LONGEST = 6  # sentences
_LOOK = 16  # segments that wait and are looked through for one that fits
_FALSE = 50  # percent of what unconfirmed sources say


@dataclass(slots=True)
class Document:
    """A document before it is text."""

    segments: list[Segment]
    paper: str
    year: int
    reliable: bool = True

    @property
    def facts(self) -> Iterator[Fact]:
        """Yield the facts that it speaks of."""
        return (one.fact for segment in self.segments for one in segment.statements)


def make_documents(world: World) -> list[Document]:
    """Return the documents, their objects set, and count the exposures of every fact in `world.exposures`."""
    found = _bound(world, _segments(world))
    _change(world, found)
    _falsify(world, found)
    for document in found:
        for segment in document.segments:
            for one in segment.statements:
                world.exposures[one.fact.number] += one.object == one.fact.said
    return found


def record_of(document: Document, number: int) -> dict[str, Any]:
    """Return the document as files have it: text, source, and which facts it states, falsely, or as they once were."""
    true, false, former = list[str](), list[list[str]](), list[list[str]]()
    for segment in document.segments:
        for one in segment.statements:
            fact = one.fact
            if one.object == fact.said:
                true.append(fact.id)
            elif fact.former is not None and one.object == objects.said(fact.relation, fact.former):
                former.append([fact.id, one.object])
            else:
                false.append([fact.id, one.object])
    text = heading(document.paper, document.year, reliable=document.reliable) + render(document.segments)
    return {
        "id": f"d{number}",
        "text": text,
        "source": document.paper,
        "year": document.year,
        "reliable": document.reliable,
        "facts": true,
        "false": false,
        "former": former,
    }


def quotas(world: World) -> list[int]:
    """Return how often each fact is to be stated: one over its rank, at least once, together `statements`.

    The first ranks are flattened (Mandelbrot), and facts of one entity have ranks near each other.
    """
    draw, count = world.draw("ranks"), len(world.entities)
    places = {number: place for place, number in enumerate(draw.shuffled(range(count)))}
    stated = [fact for fact in world.facts if fact.stated]
    stated.sort(key=lambda fact: (places[fact.subject] * 1000 // count + draw.below(300), fact.number))
    offset = 1 + len(stated) // 200
    weights = [10**12 // (rank + offset) for rank in range(len(stated))]
    total, rest = sum(weights), (world.settings.statements or 0) - len(stated)
    found, upto, before = [0] * len(world.facts), 0, 0
    for fact, weight in zip(stated, weights, strict=True):
        upto += weight
        given = upto * rest // total
        found[fact.number], before = 1 + given - before, given
    return found


def _segments(world: World) -> Iterator[Segment]:
    """Yield what is said, in segments of one entity in which no fact comes twice, in random order."""
    quota, runs = quotas(world), list[list[Fact]]()
    for entity in world.entities:
        stated = world.stated(entity.number)
        pool = np.repeat(np.arange(len(stated)), [quota[fact.number] for fact in stated])
        order = permutation(len(pool), derive(world.settings.seed, "world", "order", entity.number))
        draw, run, longest = world.draw("runs", entity.number), list[Fact](), 0
        for place in pool[order].tolist():
            fact = stated[place]
            if not run or len(run) == longest or any(fact is one for one in run):
                run, longest = [], draw.between(1, 4)
                runs.append(run)
            run.append(fact)
    draw = world.draw("phrasings")
    for at in permutation(len(runs), derive(world.settings.seed, "world", "segments")).tolist():
        yield make_segment(draw, world, runs[at], "train")


def _bound(world: World, segments: Iterator[Segment]) -> list[Document]:
    """Return documents of all segments, each of several entities."""
    draw, found, waiting = world.draw("documents"), list[Document](), deque[Segment]()
    more = True
    while more or waiting:
        chosen, length, wanted = list[Segment](), 0, draw.between(2, _LONGEST)
        while length < wanted:
            while more and len(waiting) < _LOOK:
                if (new := next(segments, None)) is None:
                    more = False
                else:
                    waiting.append(new)
            at = next((i for i, one in enumerate(waiting) if _fits(one, chosen, length)), None)
            if at is None:
                break
            chosen.append(waiting[at])
            length += waiting[at].sentences
            del waiting[at]
        if length >= 2 or not _taken_in(found, chosen):
            found.append(Document(chosen, draw.pick(world.papers), draw.between(FIRST_YEAR, LAST_YEAR)))
    return found


def _fits(segment: Segment, chosen: list[Segment], length: int) -> bool:
    return length + segment.sentences <= _LONGEST and all(one.entity is not segment.entity for one in chosen)


def _taken_in(documents: list[Document], left: list[Segment]) -> bool:
    """Add the one short segment that is left over to an earlier document, the last that has room; say if there is."""
    for document in reversed(documents):
        if _fits(left[0], document.segments, sum(one.sentences for one in document.segments)):
            document.segments += left
            return True
    return False


def _change(world: World, documents: list[Document]) -> None:
    """Let facts of relations that change have a former object, and say it in the documents before that year."""
    draw = world.draw("changes")
    years: dict[int, list[int]] = {}
    for document in documents:
        for fact in document.facts:
            if fact.relation.changes:
                years.setdefault(fact.number, []).append(document.year)
    wanted = sum(fact.stated for fact in world.facts) * world.settings.updates // 100
    for number in draw.shuffled(sorted(years)):
        year = min(draw.between(*CHANGES), max(years[number]))
        if wanted and min(years[number]) < year:
            fact = world.facts[number]
            fact.former, fact.changed = world.other_object(draw, fact), year
            wanted -= 1
    for document in documents:
        for segment in document.segments:
            for one in segment.statements:
                fact = one.fact
                if fact.former is not None and document.year < fact.changed:
                    one.object = objects.said(fact.relation, fact.former)


def _falsify(world: World, documents: list[Document]) -> None:
    """Make some documents unconfirmed, as long as every fact keeps a statement of its object that is not."""
    draw, left = world.draw("false"), [0] * len(world.facts)
    for document in documents:
        for segment in document.segments:
            for one in segment.statements:
                left[one.fact.number] += one.object == one.fact.said
    wanted = (world.settings.statements or 0) * world.settings.false // 100
    order = permutation(len(documents), derive(world.settings.seed, "world", "unconfirmed")).tolist()
    whisper = [f"{name.split()[0]} Whisper" for name in world.papers[: len(world.papers) // 3]]
    for at in order:
        if wanted <= 0:
            return
        document = documents[at]
        if all(left[fact.number] > 1 for fact in document.facts):
            document.reliable, document.paper = False, draw.pick(whisper)
            wanted -= _make_false(world, draw, document, left)


def _make_false(world: World, draw: Draw, document: Document, left: list[int]) -> int:
    """Falsify about half of a document, and return how many statements are false now."""
    count = 0
    for segment in document.segments:
        for one in segment.statements:
            fact = one.fact
            left[fact.number] -= one.object == fact.said
            if draw.chance(_FALSE) and fact.former is None:
                one.object = objects.said(fact.relation, world.other_object(draw, fact))
                count += 1
    return count
