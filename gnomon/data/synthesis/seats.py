"""One row of things on a table, seen from different chairs."""

from collections.abc import Sequence

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, listed, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import SEEN, SMALL, people

SIDES = ("south", "east", "north", "west")  # in the order in which one comes to them going right from the south
_RIGHT = {"south": (1, 0), "east": (0, 1), "north": (-1, 0), "west": (0, -1)}  # of who sits there, facing the middle

TABLE = phrases(
    "seats.table",
    "{a}, {b}, {c} and {d} sit at a square table, one on each side. {b} sits opposite {a}; {c} sits on {a}'s right, "
    "and {d} on {a}'s left.",
    "At a square table, {a} faces {b}. The other two sides are taken by {c}, on {a}'s right-hand side, and {d}, on "
    "{a}'s left-hand side.",
    "Four people share a square table: {a}, with {c} to the right and {d} to the left as {a} sees it, and {b} straight "
    "across from {a}.",
    "{a} looks across a square table at {b}. On the side to {a}'s right is {c}; on the side to {a}'s left is {d}.",
)
ROW = phrases(
    "seats.row",
    "In a straight row in the middle, from {a}'s left to {a}'s right, stand {things}.",
    "{a} sees a straight row of things on it, from left to right: {things}.",
    "Someone has lined up on the table, from left to right as {a} sees it: {things}.",
    "Across the table, counting from {a}'s left towards {a}'s right, runs a straight row: {things}.",
)
SIDE = phrases(
    "seats.ask.side",
    "From {x}'s chair, is the {one} to the left or to the right of the {other}?",
    "As {x} sees it, on which side of the {other} is the {one}, left or right?",
    "How would {x} put it: is the {one} left or right of the {other}?",
    "{x} describes the table. Does {x} say that the {one} is to the left or to the right of the {other}?",
)
ORDER = phrases(
    "seats.ask.order",
    "Name the things from left to right as {x} sees them.",
    "In which order do the things stand for {x}, starting at {x}'s left?",
    "What would {x} list, going from left to right?",
    "Describe the row from {x}'s chair, left to right.",
)
NEAR = phrases(
    "seats.ask.near",
    "Which of the things is nearest to {x}?",
    "Which thing would be easiest for {x} to reach?",
    "Of all the things in the row, which stands closest to {x}?",
    "What stands right at {x}'s end of the row?",
)
NEARER = phrases(
    "seats.ask.nearer",
    "Which is nearer to {x}, the {one} or the {other}?",
    "From where {x} sits, which of the two stands in front of the other: the {one} or the {other}?",
    "{x} reaches straight out over the table. Which comes first, the {one} or the {other}?",
    "Of the {one} and the {other}, which is closer to {x}?",
)
SAY_FACING = phrases(
    "seats.say.facing",
    "{x} sits opposite {a}, so left and right are exchanged. {answer}.",
    "Seen from the other side of the table, the row is reversed. {answer}.",
    "What is left for {a} is right for {x}, who faces {a}. {answer}.",
    "{answer}. For {x}, across from {a}, the row runs the other way round.",
)
SAY_SAME = phrases(
    "seats.say.same",
    "The row was described from {a}'s own chair. {answer}.",
    "{answer}. This is just how {a} sees it.",
    "No change of view is needed, since {a} is the one who described it. {answer}.",
)
SAY_END = phrases(
    "seats.say.end",
    "{x} sits on {a}'s {side}, so the row runs straight towards {x}, its {side} end first. {answer}.",
    "The end of the row at {a}'s {side} points at {x}. {answer}.",
    "{answer}. {x} has the chair on {a}'s {side}, where the {side} end of the row is.",
)


def make_seats(draw: Draw, tell: Teller) -> Sample:
    """Return a table described from one chair and a question about how it looks from another."""
    a, c, b, d = people(draw, 4)  # going round: a, on a's right c, opposite b, on a's left d
    chairs = dict(zip((a, c, b, d), SIDES, strict=True))
    things = draw.some(SEEN, draw.between(3, 5))
    text = f"{tell(TABLE, a=a, b=b, c=c, d=d)} {tell(ROW, a=a, things=listed([f'the {t}' for t in things]))}"
    x = draw.pick([b, b, b, c, c, d, d, a])
    one, other = draw.some(things, 2)
    seen = seen_from(things, chairs[x])
    first, fine, kind = seen.index(one) < seen.index(other), "LOC:other", "location"
    if x in (a, b):
        if draw.chance(50):
            ask = tell.ask(SIDE, x=x, one=one, other=other)
            answer = "left" if first else "right"
            full = f"The {one} is to the {answer} of the {other}"
        else:
            ask, kind, fine = tell.ask(ORDER, x=x), "description", "DESC:desc"
            answer = listed([f"the {t}" for t in seen])
            full = f"From left to right: {answer}"
        reply = tell(SAY_SAME if x == a else SAY_FACING, a=a, x=x, answer=full)
    else:
        kind, fine = "entity", "ENTY:other"
        if draw.chance(50):
            ask, answer = tell.ask(NEARER, x=x, one=one, other=other), f"the {one if first else other}"
            full = f"{sentence(answer)} is nearer"
        else:
            ask, answer = tell.ask(NEAR, x=x), f"the {seen[0]}"
            full = f"The nearest is {answer}, and then come the other {SMALL[len(things) - 1]}"
        reply = tell(SAY_END, a=a, x=x, side="right" if x == c else "left", answer=full)
    return Sample(
        family="perspectives", kind="seats", split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=Question(ask, answer, (answer, answer.removeprefix("the ")) if "," not in answer else (answer,),
                          kind, fine),
        messages=({"role": "user", "content": f"{text} {ask}"}, {"role": "assistant", "content": reply}),
        world={"chairs": chairs, "things": things, "ask": {"x": x, "one": one, "other": other}},
    )  # fmt: skip


def seen_from(things: Sequence[str], side: str) -> list[str]:
    """Return the things from left to right, or from near to far, as who sits on `side` has them before the eyes.

    The row lies along the x axis, the first thing in the west: as who sits in the south sees it.
    """
    at = {thing: (2 * i - len(things) + 1, 0) for i, thing in enumerate(things)}
    right = _RIGHT[side]
    ahead = (-right[1], right[0])
    axis = right if right[0] else ahead
    return sorted(things, key=lambda thing: at[thing][0] * axis[0] + at[thing][1] * axis[1])
