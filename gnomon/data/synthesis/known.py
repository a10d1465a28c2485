"""Questions without a document: what one can work out, what has to be looked up, and what nobody can look up."""

import calendar
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Phrases, Teller, an, phrases
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.themes import THEMES
from gnomon.data.synthesis.words import DAYS, HOLDERS, MONTHS, SEEN, SMALL, THINGS, TOWNS

PRODUCT = phrases(
    "known.product", "What is {a} times {b}?", "How much is {a} multiplied by {b}?",
    "What do you get for {a} times {b}?",
    "Multiply {a} by {b}. What is the result?",
)  # fmt: skip
LETTERS = phrases(
    "known.letters", "How many letters does the word “{word}” have?", "How many letters are there in “{word}”?",
    "Of how many letters does “{word}” consist?", "Count the letters of “{word}”. How many are there?",
)  # fmt: skip
MONTH_DAYS = phrases(
    "known.month", "How many days did {month} {year} have?", "How many days were there in {month} {year}?",
    "What number of days did {month} have in {year}?", "In {year}, how many days long was {month}?",
)  # fmt: skip
NEXT_DAY = phrases(
    "known.day", "Which day of the week comes {n} days after a {day}?",
    "If today is {day}, what day is it in {n} days?",
    "Counting {n} days on from a {day}, on which day of the week do you arrive?",
    "Today is {day}. What day of the week will it be {n} days from now?",
)  # fmt: skip
FIRST_WORD = phrases(
    "known.order", "Which comes first in a dictionary, “{a}” or “{b}”?",
    "Of “{a}” and “{b}”, which is first by alphabet?",
    "In alphabetical order, which of “{a}” and “{b}” stands first?",
    "Sorted by the alphabet, does “{a}” or “{b}” come first?",
)  # fmt: skip
BIGGER = phrases(
    "known.bigger", "Is {a} greater than {b}?", "Is {a} more than {b}?", "Does {a} exceed {b}?",
    "Is the number {a} larger than the number {b}?",
)  # fmt: skip
NOW = phrases(
    "known.now", "What does {a_thing} cost in {town} today?", "At what price is {a_thing} sold in {town} this week?",
    "How much is {a_thing} in the shops of {town} right now?", "What is the current price of {a_thing} in {town}?",
)  # fmt: skip
PRIVATE = phrases(
    "known.private", "Where did I leave my {thing} last night?", "Which number between {a} and {b} am I thinking of?",
    "Which of my {a} cousins will phone me first tomorrow?", "Which {thing} shall I wish for in {a} years?",
    "How many times will I think of {a_thing} tomorrow?",
)  # fmt: skip


def make_known(draw: Draw, tell: Teller, answerable: bool) -> Sample:
    """Return a question that a thinking model can answer by itself, or one that it cannot."""
    if answerable:
        of, fine, group, words, answer, task = _computed(draw)
        asked = tell.ask(group, **words)
        return _sample("know", tell, {"ask": task}, Question(asked, answer, (answer,), of, fine, known=True,
                                                             retrieve=False))  # fmt: skip
    kind, thing = draw.below(10), draw.pick([t for t, _ in THINGS] + list(SEEN))
    if kind < 5:
        theme = draw.pick(THEMES)
        relation = draw.pick(theme.relations)
        asked, of, fine = tell.ask(relation.ask, e=theme.entity(draw)), relation.type, relation.fine
    elif kind < 8:
        asked, of, fine = tell.ask(NOW, a_thing=an(thing), town=draw.pick(TOWNS)), "money", "NUM:money"
    else:
        asked = tell.ask(PRIVATE, thing=thing, a_thing=an(thing), a=draw.between(2, 40), b=draw.between(41, 99))
        of, fine = "description", "DESC:desc"
    label = "look-up" if kind < 8 else "nobody-knows"
    return _sample(label, tell, {"ask": [label]}, Question(asked, "", (), of, fine, answerable=False, known=False,
                                                           retrieve=kind < 8))  # fmt: skip


def _computed(draw: Draw) -> tuple[str, str | None, Phrases, dict[str, Any], str, list[Any]]:
    kind = draw.below(6)
    if kind == 0:
        a, b = draw.between(3, 40), draw.between(3, 25)
        return "number", "NUM:other", PRODUCT, {"a": a, "b": b}, str(a * b), ["product", a, b]
    if kind == 1:
        word = draw.pick([w for one in HOLDERS + SEEN + TOWNS for w in one.split()])
        return "count", "NUM:count", LETTERS, {"word": word}, str(len(word)), ["letters", word]
    if kind == 2:
        year, month = draw.between(1900, 2024), draw.below(12)
        days = calendar.monthrange(year, month + 1)[1]
        return (
            "count",
            "NUM:count",
            MONTH_DAYS,
            {"month": MONTHS[month], "year": year},
            str(days),
            ["month", year, month],
        )
    if kind == 3:
        day, n = draw.below(7), draw.between(8, 400)
        return "date", "NUM:date", NEXT_DAY, {"day": DAYS[day], "n": n}, DAYS[(day + n) % 7], ["day", day, n]
    if kind == 4:
        a, b = draw.some([*SEEN, *TOWNS], 2)
        a, b = a.lower(), b.lower()
        return "entity", "ENTY:word", FIRST_WORD, {"a": a, "b": b}, min(a, b), ["order", a, b]
    a, b = draw.some([n * 7 + 3 for n in range(40, 4000)], 2)
    a, b = (a, b) if draw.chance(70) else (draw.between(2, 12), draw.between(13, 25))
    text = {"a": f"{a:,}", "b": f"{b:,}"} if a > 12 else {"a": SMALL[a], "b": f"{b}"}
    return "boolean", None, BIGGER, text, "yes" if a > b else "no", ["bigger", a, b]


def _sample(kind: str, tell: Teller, world: dict[str, Any], question: Question) -> Sample:
    return Sample(
        family="knowledge", kind=kind, split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=question, world=world,
    )  # fmt: skip
