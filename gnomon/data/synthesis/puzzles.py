"""Puzzles of order, of sets, of who has what, and of rules with negation."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, listed, phrases, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import people

SCALES = (
    ("taller", "shorter", "tallest"), ("older", "younger", "oldest"), ("faster", "slower", "fastest"),
    ("stronger", "weaker", "strongest"), ("richer", "poorer", "richest"),
)  # fmt: skip
MORE = phrases(
    "order.more",
    "{a} is {more} than {b}.",
    "{b} is {less} than {a}.",
    "{a} is the {more} one of {a} and {b}.",
    "Compared with {b}, {a} is {more}.",
    "Next to {a}, {b} is the {less} one.",
)
RANK = phrases(
    "order.rank",
    "Who is the {nth} {most}?",
    "Which of the {count} is the {nth} {most}?",
    "Put all {count} in order. Who comes out as the {nth} {most}?",
    "If the {most} comes first, who is number {n}?",
)
PAIR = phrases(
    "order.pair",
    "Is {x} {more} than {y}?",
    "Is {x} {more} than {y}, or can that not be told?",
    "Yes, no, or impossible to say: is {x} {more} than {y}?",
    "Judging by this, is {x} {more} than {y}?",
)
ORDER_SAY = phrases(
    "order.say",
    "From the {most} down, the order is {order}. So the answer is {answer}.",
    "The order, beginning with the {most}, is {order}. Hence {answer}.",
    "Sorted, the {most} first: {order}. The answer: {answer}.",
)
SETS = phrases(
    "sets.ask",
    "Of the {n} members of a club, {a} {x} and {b} {y}; {c} do both. {question}",
    "A club has {n} members. {a} of them {x}, {b} {y}, and {c} belong to both groups. {question}",
    "There are {n} people in a club: {a} {x}, {b} {y}, {c} of these do the one and the other. {question}",
    "In a club of {n}, {a} people {x} and {b} people {y}. Both is true of {c}. {question}",
)
SET_QUESTIONS = {
    "neither": phrases("sets.neither", "How many do neither?", "How many members do neither of the two?",
                       "What is the number of those who do neither?", "How many are left who do neither?"),
    "one": phrases("sets.one", "How many do exactly one of the two?",
    "How many members do one of the two, but not both?",
                   "What is the number of those who do just one of these things?", "How many do only one of the two?"),
    "only": phrases("sets.only", "How many {x}, but do not {y}?",
    "How many members {x} without being among those who {y}?",
                    "What is the number of those who {x} and do not {y}?", "How many {x} and do not also {y}?"),
}  # fmt: skip
SETS_SAY = phrases(
    "sets.say",
    "{steps}. The answer is {r}.",
    "{steps}, so {r}.",
    "{steps}; that makes {r}.",
)
HAS = phrases(
    "who.has",
    "{names} each have one pet: {pets}, all different.",
    "{pets}: these are the pets of {names}, one each.",
    "Each of {names} keeps exactly one of these animals, no two the same: {pets}.",
    "Between them, {names} have {pets}, one animal each.",
)
CLUE = phrases(
    "who.clue.not",
    "{a} does not have the {p}.",
    "The {p} is not {a}'s.",
    "The {p} does not belong to {a}.",
    "It is not {a} who has the {p}.",
)
CLUE_EITHER = phrases(
    "who.clue.either",
    "{a} has either the {p} or the {q}.",
    "{a}'s pet is the {p} or the {q}.",
    "The pet of {a} is one of these two: the {p}, the {q}.",
    "It is the {p} or the {q} that lives with {a}.",
)
WHOSE = phrases(
    "who.ask",
    "Who has the {p}?",
    "To whom does the {p} belong?",
    "Whose is the {p}?",
    "With whom does the {p} live?",
)
WHOSE_SAY = phrases(
    "who.say",
    "Only one arrangement fits: {pairs}. So it is {answer}.",
    "Going through the possibilities leaves only this: {pairs}. The answer is {answer}.",
    "The clues allow just this: {pairs}. Hence {answer}.",
)
RULE = phrases(
    "rules.if",
    "If {p}, then {q}.",
    "Whenever {p}, {q}.",
    "{q} if {p}.",
    "On days when {p}, {q}.",
)
RULE_ASK = phrases(
    "rules.ask",
    "Today {fact}. Is it true that today {q}?",
    "This is certain of today: {fact}. Yes, no, or impossible to say: {q}?",
    "On this day {fact}. Is it the case that {q}, or can that not be told?",
    "We know of today that {fact}. Is it so that {q}?",
)
RULE_SAY = {
    "yes": phrases("rules.yes", "Yes. It follows step by step: {chain}.", "Yes: {chain}.", "{chain}. So yes."),
    "no": phrases("rules.no", "No. Otherwise the rules would be broken: {chain}.", "No: {chain}.", "{chain}. So no."),
    "unknown": phrases("rules.unknown", "That cannot be said. The rules leave it open whether {q}.",
                       "It cannot be told from the rules: they allow that {q}, and they allow the opposite.",
                       "This remains open. Nothing that is given settles whether {q}."),
}  # fmt: skip
_PETS = ("cat", "parrot", "tortoise", "rabbit", "goat", "ferret", "goldfish", "canary", "hedgehog", "pony", "gecko")
_DO = (
    "play chess", "speak Finnish", "sing in the choir", "grow tomatoes", "ride a bicycle to work", "collect stamps",
    "swim in winter", "keep bees", "read the local paper", "bake their own bread", "play the flute", "own a boat",
)  # fmt: skip
EVENTS = (
    ("the bell rings", "the bell does not ring"), ("the dog barks", "the dog does not bark"),
    ("the gate is open", "the gate is not open"), ("the lamp is lit", "the lamp is not lit"),
    ("the baker sells rolls", "the baker sells no rolls"), ("the ferry runs", "the ferry does not run"),
    ("the museum is closed", "the museum is not closed"), ("the fountain plays", "the fountain does not play"),
    ("the mail comes early", "the mail does not come early"), ("the children sing", "the children do not sing"),
    ("the wind blows from the north", "the wind does not blow from the north"), ("the flag is up",
    "the flag is not up"),
)  # fmt: skip
_NTH = ("", "second ", "third ", "fourth ")


def make_puzzle(draw: Draw, tell: Teller) -> Sample:
    """Return one puzzle."""
    return draw.pick((_order, _order, _sets, _who, _who, _rules, _rules))(draw, tell)


def _order(draw: Draw, tell: Teller) -> Sample:
    who = people(draw, draw.between(4, 5))  # from the most to the least
    more, less, most = draw.pick(SCALES)
    clues = [[i, i + 1] for i in range(len(who) - 1)]
    ranked = draw.chance(60)
    if not ranked:
        clues.pop(draw.between(1, len(clues) - 2))  # something may stay open, and everybody is still mentioned
    clues = draw.shuffled(clues)
    said = " ".join(sentence(tell(MORE, a=who[i], b=who[j], more=more, less=less)) for i, j in clues)
    world: dict[str, Any] = {"people": sorted(who), "clues": [[who[i], who[j]] for i, j in clues]}
    if ranked:
        n = draw.between(1, min(4, len(who)))
        count = {4: "four", 5: "five"}[len(who)]
        asked = tell.ask(RANK, nth=_NTH[n - 1], most=most, n=n, count=count).replace("  ", " ")
        answer, of, fine = who[n - 1], "person", "HUM:ind"
        reply = tell(ORDER_SAY, most=most, order=listed(who), answer=answer)
        world["ask"] = {"kind": "rank", "n": n}
    else:
        i, j = draw.some(range(len(who)), 2)
        asked, of, fine = tell.ask(PAIR, x=who[i], y=who[j], more=more), "boolean", None
        linked = all([k, k + 1] in clues for k in range(min(i, j), max(i, j)))
        answer = ("yes" if i < j else "no") if linked else "unknown"
        chain = listed([f"{who[k]} is {more} than {who[k + 1]}" for k in range(min(i, j), max(i, j))]) if linked else ""
        q = f"{who[i]} is {more} than {who[j]}"
        reply = tell(RULE_SAY[answer], chain=chain, q=q)
        world["ask"] = {"kind": "pair", "x": who[i], "y": who[j]}
    return _puzzle("order", tell, f"{said} {asked}", asked, answer, of, fine, reply, world)


def _sets(draw: Draw, tell: Teller) -> Sample:
    only_x, only_y, c, neither = (draw.between(3, 40) for _ in range(4))
    x, y = draw.some(_DO, 2)
    a, b, n = only_x + c, only_y + c, only_x + only_y + c + neither
    kind = draw.pick(sorted(SET_QUESTIONS))
    question = tell.ask(SET_QUESTIONS[kind], x=x, y=y)
    text = tell(SETS, n=n, a=a, b=b, c=c, x=x, y=y, question=question)
    r = {"neither": neither, "one": only_x + only_y, "only": only_x}[kind]
    steps = {
        "neither": f"{a} + {b} − {c} = {a + b - c} do at least one of the two, and {n} − {a + b - c} = {neither}",
        "one": f"{a} − {c} = {only_x} do only the first, {b} − {c} = {only_y} only the second, and "
               f"{only_x} + {only_y} = {only_x + only_y}",
        "only": f"of the {a}, {c} do both, and {a} − {c} = {only_x}",
    }[kind]  # fmt: skip
    reply = sentence(tell(SETS_SAY, steps=steps, r=r))
    world = {"given": {"n": n, "a": a, "b": b, "c": c}, "ask": {"kind": kind}}
    return _puzzle("sets", tell, text, question, str(r), "count", "NUM:count", reply, world)


def _who(draw: Draw, tell: Teller) -> Sample:
    count = draw.between(3, 4)
    who, pets = people(draw, count), draw.some(_PETS, count)  # who[i] has pets[i]
    clues: list[list[Any]] = []  # `not`, name, pet; or `either`, name, pet, pet
    candidates = [["not", who[i], pets[j]] for i in range(count) for j in range(count) if i != j]
    candidates += [["either", who[i], *draw.shuffled([pets[i], pets[j]])] for i, j in (draw.some(range(count), 2),)]
    for clue in draw.shuffled(candidates):
        if _solutions(who, pets, clues) == 1:
            break
        if _solutions(who, pets, [*clues, clue]) < _solutions(who, pets, clues):
            clues.append(clue)
    shown = listed([f"{'an' if p[0] in 'aeiou' else 'a'} {p}" for p in draw.shuffled(pets)])
    said = [tell(HAS, names=listed(draw.shuffled(who)), pets=shown)]
    said += [tell(CLUE, a=c[1], p=c[2]) if c[0] == "not" else tell(CLUE_EITHER, a=c[1], p=c[2], q=c[3]) for c in clues]
    at = draw.below(count)
    asked, answer = tell.ask(WHOSE, p=pets[at]), who[at]
    pairs = listed([f"{a} has the {p}" for a, p in zip(who, pets, strict=True)])
    reply = tell(WHOSE_SAY, pairs=pairs, answer=answer)
    world = {"people": sorted(who), "pets": sorted(pets), "clues": clues, "ask": {"p": pets[at]}}
    text = " ".join(sentence(one) for one in said)
    return _puzzle("who-has", tell, f"{text} {asked}", asked, answer, "person", "HUM:ind", reply, world)


def _solutions(who: Sequence[str], pets: Sequence[str], clues: list[list[Any]]) -> int:
    """Return how many ways there are to give out the pets: depth first, person by person."""

    def ways(at: int, free: tuple[str, ...]) -> int:
        if at == len(who):
            return 1
        return sum(ways(at + 1, tuple(q for q in free if q != p)) for p in free if _allowed(who[at], p, clues))

    return ways(0, tuple(pets))


def _allowed(name: str, pet: str, clues: list[list[Any]]) -> bool:
    return all((pet in c[2:]) == (c[0] == "either") for c in clues if c[1] == name)


def _rules(draw: Draw, tell: Teller) -> Sample:
    events = draw.some(range(len(EVENTS)), draw.between(3, 4))
    literals = [(e, draw.chance(70)) for e in events]  # whether the event happens, or does not
    rules = [[list(literals[i]), list(literals[i + 1])] for i in range(len(literals) - 1)]
    last = len(literals) - 1
    kind = draw.pick(["forward", "back", "open"])
    if kind == "forward":
        i, j = 0 if draw.chance(70) else 1, last
        fact, asked, answer = literals[i], literals[j], "yes"
    elif kind == "back":
        i, j = last, draw.below(2)
        fact, asked, answer = (literals[i][0], not literals[i][1]), literals[j], "no"
    else:
        i, j = last, draw.below(2)
        fact, asked, answer = literals[i], literals[j], "unknown"
    between = literals[min(i, j) : max(i, j) + 1]
    if kind == "forward":
        chain = "; ".join(f"as {_text(p)}, {_text(q)}" for p, q in pairwise(between))
    elif kind == "back":
        back = [(e, not happens) for e, happens in reversed(between)]
        chain = "; ".join(f"as {_text(p)}, {_text(q)}" for p, q in pairwise(back))
    else:
        chain = ""
    said = [sentence(tell(RULE, p=_text(p), q=_text(q))) for p, q in draw.shuffled(rules)]
    question = tell.ask(RULE_ASK, fact=_text(fact), q=_text(asked))
    reply = sentence(tell(RULE_SAY[answer], chain=chain, q=_text(asked)))
    world = {"rules": rules, "fact": list(fact), "ask": list(asked)}
    return _puzzle("rules", tell, f"{' '.join(said)} {question}", question, answer, "boolean", None, reply, world)


def _text(literal: Any) -> str:
    event, happens = literal
    return EVENTS[event][0 if happens else 1]


def _puzzle(
    kind: str, tell: Teller, text: str, asked: str, answer: str, of: str, fine: str | None, reply: str,
    world: dict[str, Any],
) -> Sample:  # fmt: skip
    return Sample(
        family="reasoning", kind=kind, split=tell.split, template=tell.main, phrases=tuple(tell.used), world=world,
        question=Question(asked, answer, (answer,), of, fine),
        messages=({"role": "user", "content": text}, {"role": "assistant", "content": sentence(reply)}),
    )  # fmt: skip
