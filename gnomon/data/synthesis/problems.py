"""Word problems in several steps: stock, tanks, meetings on the road, recipes, ages, the calendar."""

import calendar
from datetime import date, timedelta
from typing import Any

from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, counted, phrases
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.words import DAYS, MONTHS, TOWNS, clock, day_text, people

STOCK = phrases(
    "problem.stock",
    "{a} has {n} {things} in the store. {k} boxes of {m} {things} each are delivered, and then {s} {things} are sold. "
    "What is left is shared out equally among {g} shops. How many {things} does each shop get?",
    "At first there are {n} {things} in {a}'s store. After a delivery of {k} boxes, each with {m} {things}, and the "
    "sale "
    "of {s} {things}, {a} divides the rest evenly between {g} shops. How many {things} go to each?",
    "{g} shops are to receive equal shares of {a}'s {things}. {a} started with {n}, bought {k} boxes of {m}, and "
    "sold {s}. "
    "How large is one share?",
    "How many {things} does each of {g} shops receive if {a} splits the whole stock evenly, having begun with {n}, "
    "then "
    "taken in {k} boxes of {m} each and sold {s}?",
    "{a} counts {n} {things}, unpacks {k} boxes that hold {m} each, sells {s}, and sends the remaining {things} in "
    "equal "
    "parts to {g} shops. What does one shop receive?",
)
STOCK_SAY = phrases(
    "problem.stock.say",
    "The boxes hold {k} × {m} = {km}. That makes {n} + {km} = {sum}, and after the sale {sum} − {s} = {rest}. Shared "
    "among "
    "{g}: {rest} ÷ {g} = {r}. Each shop gets {r} {things}.",
    "{k} × {m} = {km} arrive, so there are {sum}. {s} are sold: {rest} remain. {rest} ÷ {g} = {r}, so {r} {things} "
    "each.",
    "Step by step: {km} in the boxes, {sum} together with the old stock, {rest} after the sale. {rest} divided by "
    "{g} is "
    "{r}. The answer is {r} {things}.",
)
TANK = phrases(
    "problem.tank",
    "A tank holds {c} litres and already contains {w}. A pump adds {p} litres a minute, while {l} litres a minute "
    "leak out. "
    "After how many minutes is the tank full?",
    "Water flows into a {c}-litre tank at {p} litres per minute and leaks out at {l} litres per minute. At the start "
    "there "
    "are {w} litres in it. How long does it take until it is full?",
    "How many minutes does it take to fill a tank of {c} litres that has {w} litres in it, if {p} litres a minute "
    "come in "
    "and {l} litres a minute are lost?",
    "{a} fills a tank. It can take {c} litres, {w} litres are in it, the hose brings {p} litres each minute, and a "
    "crack "
    "loses {l} litres each minute. In how many minutes is the tank full?",
)
TANK_SAY = phrases(
    "problem.tank.say",
    "{c} − {w} = {rest} litres are missing. Each minute brings {p} − {l} = {net} litres more. {rest} ÷ {net} = {r}. "
    "So it "
    "takes {r} minutes.",
    "Net inflow: {p} − {l} = {net} litres a minute. Still to fill: {c} − {w} = {rest} litres. That is {rest} ÷ {net} "
    "= {r} "
    "minutes.",
    "The tank gains {net} litres a minute and needs {rest} more, so it is full after {rest} ÷ {net} = {r} minutes.",
)
MEET = phrases(
    "problem.meet",
    "{x} and {y} are {d} kilometres apart by road. {a} sets out from {x} at {u} km/h and {b} from {y} at {v} km/h, "
    "both at "
    "{t}, towards each other. At what time do they meet?",
    "At {t}, {a} leaves {x} for {y} at {u} km/h, and {b} leaves {y} for {x} on the same road at {v} km/h. The road "
    "is {d} "
    "kilometres long. When do they meet?",
    "The road from {x} to {y} has {d} kilometres. {a} and {b} start at the two ends at {t} and come towards each "
    "other, one "
    "at {u} km/h, the other at {v} km/h. What time is it when they meet?",
    "{a}, coming from {x} at {u} km/h, and {b}, coming from {y} at {v} km/h, both left at {t}; between {x} and {y} "
    "there are "
    "{d} kilometres of road. At what time do they pass each other?",
)
MEET_SAY = phrases(
    "problem.meet.say",
    "Together they cover {u} + {v} = {s} kilometres an hour. {d} ÷ {s} of an hour is {m} minutes. {t} and {m} "
    "minutes make "
    "{r}.",
    "They approach each other at {s} km/h, so {d} kilometres take {m} minutes. They meet at {r}.",
    "{u} + {v} = {s}; {d} kilometres at {s} km/h are {m} minutes; starting at {t}, that is {r}.",
)
RECIPE = phrases(
    "problem.recipe",
    "A recipe for {n} people takes {q} grams of {food}. {a} cooks for {k} people, and {food} is sold in bags of "
    "{bag} grams. "
    "How many bags must {a} buy?",
    "For {n} people one needs {q} grams of {food}. How many bags of {bag} grams does {a} have to buy to cook for {k}?",
    "{a} wants to cook for {k} people from a recipe that gives {q} grams of {food} for {n}. The shop has {food} only "
    "in bags "
    "of {bag} grams. What is the least number of bags?",
    "How many {bag}-gram bags of {food} are enough for {k} people, if the recipe uses {q} grams for {n} people?",
)
RECIPE_SAY = phrases(
    "problem.recipe.say",
    "One person needs {q} ÷ {n} = {each} grams, {k} people need {need} grams. {full} bags hold {have} grams, and "
    "{less} would "
    "be too little, so {a} buys {full}.",
    "{q} ÷ {n} = {each} grams a person; {each} × {k} = {need} grams. Rounded up to whole bags of {bag} grams: {full}.",
    "{need} grams are needed ({each} for each person). {full} × {bag} = {have} is the first multiple that is enough: "
    "{full}.",
)
AGES = phrases(
    "problem.ages",
    "{a} is {d} years older than {b}. In {k} years their ages will add up to {s}. How old is {b} now?",
    "In {k} years, {a} and {b} will together be {s} years old. {a} is {d} years older than {b}. What is {b}'s age "
    "today?",
    "{b} is {d} years younger than {a}. The sum of their ages {k} years from now will be {s}. How old is {b} today?",
    "How old is {b} now, if {a} is {d} years older and the two of them will be {s} years old together in {k} years?",
)
AGES_SAY = phrases(
    "problem.ages.say",
    "Now their ages add up to {s} − 2 × {k} = {now}. Without the {d} years by which {a} is older, that is {now} − "
    "{d} = "
    "{two}, twice {b}'s age. {two} ÷ 2 = {r}. {b} is {r} years old.",
    "Today's sum is {s} − {k2} = {now}. Take away the difference: {now} − {d} = {two}. Half of that is {r}, so {b} "
    "is {r}.",
    "{b}'s age is ({s} − {k2} − {d}) ÷ 2 = {two} ÷ 2 = {r} years.",
)
NTH = phrases(
    "problem.nth",
    "In {town} the market is held on the {nth} {day} of each month. {month} {year} began on a {first}. On which day "
    "of the "
    "month was the market held?",
    "{month} {year} began on a {first}. What is the date of the {nth} {day} of that month?",
    "The choir of {town} meets on every {nth} {day} of a month. As the 1st of {month} {year} is a {first}, which "
    "date is it "
    "in that month?",
    "The first day of {month} {year} was a {first}. Give the date of that month's {nth} {day}.",
)
NTH_SAY = phrases(
    "problem.nth.say",
    "The 1st is a {first}, so the first {day} is the {one}. The {nth} one comes {w} days later: {r}.",
    "From {first}, the 1st, one gets to the first {day} on the {one}; {w} days on it is {r}.",
    "First {day}: the {one}. Adding {w} days for the {nth} gives {r}.",
)
EVERY = phrases(
    "problem.every",
    "{a} waters the cactus every {k} days, for the first time on {start}. How often has {a} watered it by the end of "
    "{end}?",
    "From {start} on, {a} goes swimming every {k} days, that day included. How many times has {a} been swimming by the "
    "evening of {end}?",
    "A pump is checked on {start} and then every {k} days. How many checks take place up to and including {end}?",
    "{a} writes a letter on {start} and another every {k} days after that. How many letters are written by {end}, "
    "that day "
    "included?",
)
EVERY_SAY = phrases(
    "problem.every.say",
    "From {start} to {end} there are {d} days. {d} ÷ {k} is {q}, with {rest} left over. With the first time that makes "
    "{q} + 1 = {r}.",
    "{d} days lie between the two dates, which gives {q} whole steps of {k} days, and the first time besides: {r}.",
    "{q} steps of {k} days fit into the {d} days, so it happens {q} + 1 = {r} times.",
)
_THINGS = (
    "candles",
    "notebooks",
    "lanterns",
    "apples",
    "marbles",
    "postcards",
    "cups",
    "tiles",
    "bulbs",
    "puzzles",
    "ribbons",
)
_FOODS = ("rice", "flour", "bulgur", "couscous", "sugar", "barley", "pasta", "semolina", "polenta", "millet")
_NTH = ("first", "second", "third", "fourth")


def make_problem(draw: Draw, tell: Teller) -> Sample:
    """Return one word problem."""
    return draw.pick((_stock, _stock, _tank, _meet, _meet, _recipe, _ages, _nth, _every))(draw, tell)


def _stock(draw: Draw, tell: Teller) -> Sample:
    k, m, g, r = draw.between(3, 15), draw.between(6, 40), draw.between(3, 9), draw.between(8, 90)
    rest = g * r
    (a,), things = people(draw, 1), draw.pick(_THINGS)
    n = max(0, rest - k * m) + draw.between(12, 160)
    s = n + k * m - rest
    given = {"n": n, "k": k, "m": m, "s": s, "g": g}
    words = given | {"a": a, "things": things, "km": k * m, "sum": n + k * m, "rest": rest, "r": r}
    return _problem("stock", tell, STOCK, STOCK_SAY, words, given, str(r), "count NUM:count", f"{r} {things}")


def _tank(draw: Draw, tell: Teller) -> Sample:
    net, r, leak, w = draw.between(3, 30), draw.between(5, 90), draw.between(2, 19), draw.between(10, 300)
    given = {"c": w + net * r, "w": w, "p": net + leak, "l": leak}
    words = given | {"a": people(draw, 1)[0], "rest": net * r, "net": net, "r": r}
    return _problem("tank", tell, TANK, TANK_SAY, words, given, f"{r} minutes", "duration NUM:period", str(r))


def _meet(draw: Draw, tell: Teller) -> Sample:
    step = draw.pick([10, 12, 15, 20, 30])
    minutes = step * draw.between(2, 9)
    u = draw.between(4, 90)
    per = 60 // _common(60, step)  # so that both together cover whole kilometres in so many minutes
    v = draw.between(4, 90)
    v += -(u + v) % per
    t = draw.between(6 * 12, 15 * 12) * 5
    given = {"d": (u + v) * minutes // 60, "u": u, "v": v, "t": t}
    (a, b), (x, y) = people(draw, 2), draw.some(TOWNS, 2)
    answer = clock(t + minutes)
    words = given | {"a": a, "b": b, "x": x, "y": y, "s": u + v, "m": minutes, "r": answer, "t": clock(t)}
    return _problem("meet", tell, MEET, MEET_SAY, words, given, answer, "date NUM:date")


def _common(a: int, b: int) -> int:
    return a if b == 0 else _common(b, a % b)


def _recipe(draw: Draw, tell: Teller) -> Sample:
    n, each, k = draw.between(3, 8), draw.between(40, 130), draw.between(9, 40)
    bag = draw.pick([250, 400, 500, 750, 1000])
    full = -(-each * k // bag)
    given = {"n": n, "q": n * each, "k": k, "bag": bag}
    words = given | {"a": people(draw, 1)[0], "food": draw.pick(_FOODS), "each": each, "need": each * k, "full": full,
                     "have": full * bag, "less": full - 1}  # fmt: skip
    return _problem(
        "recipe", tell, RECIPE, RECIPE_SAY, words, given, counted(full, "bag"), "count NUM:count", str(full)
    )


def _ages(draw: Draw, tell: Teller) -> Sample:
    a, b = people(draw, 2)
    r, d, k = draw.between(4, 60), draw.between(2, 30), draw.between(2, 15)
    given = {"d": d, "k": k, "s": 2 * r + d + 2 * k}
    words = given | {"a": a, "b": b, "now": 2 * r + d, "two": 2 * r, "k2": 2 * k, "r": r}
    return _problem("ages", tell, AGES, AGES_SAY, words, given, str(r), "number NUM:other", f"{r} years")


def _nth(draw: Draw, tell: Teller) -> Sample:
    year, month, nth, day = draw.between(1950, 2024), draw.between(1, 12), draw.between(2, 4), draw.below(7)
    first = calendar.weekday(year, month, 1)
    one = 1 + (day - first) % 7
    answer = day_text(year, month, one + 7 * (nth - 1))
    given = {"year": year, "month": month, "nth": nth, "day": day}
    words = {"town": draw.pick(TOWNS), "nth": _NTH[nth - 1], "day": DAYS[day], "month": MONTHS[month - 1], "year": year,
             "first": DAYS[first], "one": _ordinal(one), "w": 7 * (nth - 1), "r": answer}  # fmt: skip
    return _problem("nth-weekday", tell, NTH, NTH_SAY, words, given, answer, "date NUM:date")


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"


def _every(draw: Draw, tell: Teller) -> Sample:
    start = date(draw.between(1990, 2024), draw.between(1, 12), draw.between(1, 28))
    k, d = draw.between(3, 17), draw.between(40, 330)
    end = start + timedelta(days=d)
    r = d // k + 1
    given = {"k": k, "start": start.isoformat(), "end": end.isoformat()}
    words = {"a": people(draw, 1)[0], "k": k, "start": day_text(start.year, start.month, start.day), "d": d,
    "q": d // k,
             "end": day_text(end.year, end.month, end.day), "rest": d % k, "r": r}  # fmt: skip
    return _problem("every", tell, EVERY, EVERY_SAY, words, given, str(r), "count NUM:count", f"{r} times")


def _problem(
    kind: str, tell: Teller, ask: Any, say: Any, words: dict[str, Any], given: dict[str, Any], answer: str, types: str,
    *more: str,
) -> Sample:  # fmt: skip
    asked, (coarse, fine) = tell.ask(ask, **words), types.split()
    return Sample(
        family="reasoning", kind=kind, split=tell.split, template=tell.main,
        question=Question(asked, answer, (answer, *more), coarse, fine),
        messages=({"role": "user", "content": asked}, {"role": "assistant", "content": tell(say, **words)}),
        world={"given": given}, phrases=tuple(tell.used),
    )  # fmt: skip
