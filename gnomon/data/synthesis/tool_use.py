"""Conversations in which tools are chosen, called, chained, or rightly left alone."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from gnomon.data.synthesis import requests as say
from gnomon.data.synthesis.desk import Desk
from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import Teller, an, listed, sentence
from gnomon.data.synthesis.sample import Question, Sample
from gnomon.data.synthesis.tools import UNITS
from gnomon.data.synthesis.words import MONTHS, TOWNS, full_name, people

Outcome = tuple[str, str, str, str, str | None, dict[str, Any]]
"""Kind, question, answer, its type, its fine type, and the task from which a checker computes the answer anew."""

_GOODS = (
    "folding chairs", "paint brushes", "candles", "notebooks", "light bulbs", "flower pots", "mugs", "batteries",
    "envelopes", "tea towels", "cushions", "badges", "ropes", "seedlings", "picture frames", "pencils",
)  # fmt: skip
_SENTENCES = (
    "The ferry left before the fog came in.", "Nobody had oiled the hinges for years!",
    "Was the lantern still burning when you passed?", "Two herons stood where the mill used to be.",
    "Our neighbours' orchard smells of cider in October.", "The map, though torn, showed every well.",
    "He counted the steps again and again.", "A well-kept ledger tells more than a diary.",
    "Who taught the parrot to whistle?", "Rain drummed on the corrugated roof.", "The choir sang without a conductor.",
    "They repaired the old bridge with oak and patience.", "It was late, and the last tram had gone.",
    "Bring the blue ladder, not the green one.", "The bread rose slowly in the cold kitchen.",
    "She signed the letter and sealed it.", "Every window faced the sea.", "The price of salt doubled within a week.",
)  # fmt: skip


def make_tool_use(draw: Draw, tell: Teller) -> Sample:
    """Return one conversation with tools."""
    desk = Desk(draw, tell)
    kind, asked, answer, of, fine, task = draw.pick(_TASKS)(desk)
    desk.add_others(without=tuple(task.get("without", ())))
    if kind == "unsupported":
        _refuse(desk, task)
    if draw.chance(60):
        desk.messages.insert(0, {"role": "system", "content": tell(say.SYSTEM)})
    answerable = kind not in ("unsupported", "no-entry")
    world = {"task": task, "names": desk.names, "tables": desk.tables}
    return Sample(
        family="tools", kind=kind, split=tell.split, template=tell.main, phrases=tuple(tell.used),
        question=Question(asked, answer, (answer,) if answerable else (), of, fine, answerable),
        messages=tuple(desk.messages), tools=tuple(desk.specs()), world=world,
    )  # fmt: skip


def number(value: float) -> str:
    """Return a number for people: groups of three digits, no zeros at the end."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6f}".rstrip("0").rstrip(".")


def day_words(iso: str) -> str:
    """Return `2021-03-05` as `5 March 2021`."""
    year, month, day = (int(part) for part in iso.split("-"))
    return f"{day} {MONTHS[month - 1]} {year}"


def _iso(draw: Draw, low: int = 1952, high: int = 2031) -> str:
    return f"{draw.between(low, high)}-{draw.between(1, 12):02}-{draw.between(1, 28):02}"


def _answer(desk: Desk, full: str) -> None:
    desk.assistant(desk.tell(say.SAY, full=full, cap=sentence(full)))


def _ask(desk: Desk, text: str) -> str:
    desk.user(sentence(text))
    return sentence(text)


def _named(table: dict[str, Any], key: str) -> str:
    return key if table["noun"] == "employee" else f"the {key}"


def _percent(desk: Desk) -> Outcome:
    p, n = desk.draw.between(3, 97), desk.draw.between(120, 98000)
    asked = _ask(desk, desk.tell.ask(say.PERCENT, p=p, n=f"{n:,}"))
    (found,) = desk.call(("calculate", {"expression": desk.draw.pick([f"{p} / 100 * {n}", f"{n} * {p} / 100"])}))
    _answer(desk, f"{p} percent of {n:,} is {number(found)}")
    return "calculate", asked, number(found), "number", "NUM:other", {"do": "percent", "p": p, "n": n}


def _bill(desk: Desk) -> Outcome:
    draw = desk.draw
    (x, y), a, b = draw.some(_GOODS, 2), draw.between(2, 30), draw.between(2, 30)
    p, q = draw.between(40, 3900), draw.between(40, 3900)  # cents
    price, other = f"{p / 100:.2f}", f"{q / 100:.2f}"
    asked = _ask(desk, desk.tell.ask(say.BILL, a=a, b=b, x=x, y=y, p=price, q=other))
    (found,) = desk.call(("calculate", {"expression": f"{a} * {price} + {b} * {other}"}))
    answer = f"{found:,.2f} euros"
    _answer(desk, f"in all that comes to {answer}")
    return "calculate", asked, answer, "money", "NUM:money", {"do": "bill", "a": a, "b": b, "p": p, "q": q}


def _units(draw: Draw) -> tuple[str, str, float | int]:
    kind = draw.pick(["length", "length", "mass", "mass", "volume", "time"])
    one, other = draw.some([u for u, row in UNITS.items() if row[0] == kind], 2)
    value = draw.between(2, 950) if draw.chance(60) else draw.between(11, 999) / 10
    return one, other, int(value) if value == int(value) else value


def _convert(desk: Desk, *, missing: bool = False) -> Outcome:
    one, other, value = _units(desk.draw)
    unit, to = UNITS[one][3], UNITS[other][3]
    asked = desk.tell.ask(say.MISSING_UNIT if missing else say.CONVERT, value=number(value), unit=unit, to=to)
    desk.user(asked)
    if missing:
        desk.offer("convert_units")
        desk.assistant(desk.tell(say.WHICH_UNIT))
        desk.user(sentence(desk.tell(say.GIVE, it=to)))
    (found,) = desk.call(("convert_units", {"value": value, "from_unit": one, "to_unit": other}))
    answer = f"{number(found)} {UNITS[other][2] if found == 1 else to}"
    _answer(desk, f"{number(value)} {unit} are {answer}")
    of, fine = {"length": ("distance", "NUM:dist"), "time": ("duration", "NUM:period")}.get(
        UNITS[one][0], ("number", "NUM:weight" if UNITS[one][0] == "mass" else "NUM:volsize")
    )
    task = {"do": "convert", "value": value, "from": one, "to": other}
    return "ask-back" if missing else "convert", asked, answer, of, fine, task


def _days(desk: Desk, *, missing: bool = False) -> Outcome:
    start = _iso(desk.draw, *((2026, 2031) if missing else (2009, 2023)))
    end = (date.fromisoformat(start) + timedelta(days=desk.draw.between(6, 700))).isoformat()
    words = {"start": day_words(start), "end": day_words(end)}
    asked = _ask(desk, desk.tell.ask(say.MISSING_DATE if missing else say.DAYS, **words))
    if missing:
        desk.offer("days_between")
        desk.assistant(desk.tell(say.WHICH_DATE))
        desk.user(desk.tell(say.GIVE, it=words["end"]))
    (found,) = desk.call(("days_between", {"start": start, "end": end}))
    answer = f"{found:,} day{'s' * (found != 1)}"
    _answer(desk, f"from {words['start']} to {words['end']} it is {answer}")
    task = {"do": "days", "start": start, "end": end}
    return "ask-back" if missing else "days", asked, answer, "duration", "NUM:period", task


def _later(desk: Desk, *, weekday: bool = False) -> Outcome:
    start, days = _iso(desk.draw, *((2019, 2025) if weekday else (2025, 2031))), desk.draw.between(12, 900)
    words = day_words(start)
    asked = _ask(desk, desk.tell.ask(say.LATER_WEEKDAY if weekday else say.LATER, start=words, days=days))
    (found,) = desk.call(("add_days", {"start": start, "days": days}))
    task: dict[str, Any] = {"do": "later", "start": start, "days": days, "weekday": weekday}
    if not weekday:
        _answer(desk, f"{days} days after {words} it is {day_words(found)}")
        return "later", asked, day_words(found), "date", "NUM:date", task
    (name,) = desk.call(("weekday_of", {"day": found}))
    _answer(desk, f"{days} days after {words} it is {day_words(found)}, a {name}")
    return "chain", asked, name, "date", "NUM:date", task


def _weekday(desk: Desk) -> Outcome:
    day = _iso(desk.draw, 1890, 2024)
    asked = _ask(desk, desk.tell.ask(say.WEEKDAY, day=day_words(day)))
    (found,) = desk.call(("weekday_of", {"day": day}))
    _answer(desk, f"{day_words(day)} was a {found}")
    return "weekday", asked, found, "date", "NUM:date", {"do": "weekday", "day": day}


_COUNTS = {"words": "How many words are", "unique_words": "How many different words (upper and lower case alike) are",
           "sentences": "How many sentences are", "characters": "How many characters, with spaces, are"}  # fmt: skip


def _text(desk: Desk) -> Outcome:
    text = " ".join(desk.draw.some(_SENTENCES, desk.draw.between(2, 3)))
    measure = desk.draw.pick([*_COUNTS, "longest_word"])
    if measure == "longest_word":
        asked = _ask(desk, desk.tell.ask(say.LONGEST, text=text))
    else:
        asked = _ask(desk, desk.tell.ask(say.TEXT, text=text, measure=_COUNTS[measure]))
    (found,) = desk.call(("text_statistics", {"text": text, "measure": measure}))
    task = {"do": "text", "text": text, "measure": measure}
    if measure == "longest_word":
        _answer(desk, f"the longest word is “{found}”")
        return "text", asked, found, "entity", "ENTY:word", task
    noun = {"unique_words": "different word"}.get(measure, measure.removesuffix("s"))
    _answer(desk, f"the text has {found} {noun}{'s' * (found != 1)}")
    return "text", asked, str(found), "count", "NUM:count", task


def _order(draw: Draw) -> dict[str, Any]:
    parcels = [{"id": f"{draw.pick('KLMNPR')}{draw.between(100, 999)}", "weight": draw.between(4, 300) / 10}
               for _ in range(draw.between(2, 3))]  # fmt: skip
    return {"order": draw.between(10000, 99999), "customer": {"name": full_name(draw), "town": draw.pick(TOWNS)},
            "parcels": parcels, "express": draw.chance(50)}  # fmt: skip


def _json(desk: Desk, *, convert: bool = False) -> Outcome:
    order, draw = _order(desk.draw), desk.draw
    document, at = json.dumps(order), draw.below(len(order["parcels"]))
    task: dict[str, Any] = {"do": "json", "document": document}
    if convert:
        to = draw.pick(["lb", "oz", "g"])
        asked = _ask(desk, desk.tell.ask(say.JSON_WEIGHT, n=at + 1, to=UNITS[to][3], document=document))
        (weight,) = desk.call(("json_extract", {"document": document, "path": f"parcels[{at}].weight"}))
        (found,) = desk.call(("convert_units", {"value": weight, "from_unit": "kg", "to_unit": to}))
        answer = f"{number(found)} {UNITS[to][3]}"
        _answer(desk, f"parcel number {at + 1} weighs {number(weight)} kilograms, which are {answer}")
        return "chain", asked, answer, "number", "NUM:weight", task | {"at": at, "to": to}
    path, what, of, fine = draw.pick([
        ("customer.town", "the customer's town", "location", "LOC:city"),
        ("customer.name", "the customer's name", "person", "HUM:ind"),
        (f"parcels[{at}].id", f"the id of parcel number {at + 1}", "code", "NUM:code"),
        ("order", "the order's number", "code", "NUM:code"),
    ])  # fmt: skip
    asked = _ask(desk, desk.tell.ask(say.JSON_FIELD, what=what, document=document))
    (found,) = desk.call(("json_extract", {"document": document, "path": path}))
    _answer(desk, f"{what} is {found}")
    return "json", asked, str(found), of, fine, task | {"path": path}


_FIELDS: dict[str, tuple[str, str, str, str]] = {
    # what people call it, answer's type, fine type, unit
    "price_eur": ("price", "money", "NUM:money", " euros"), "in_stock": ("stock", "count", "NUM:count", " pieces"),
    "weight_kg": ("weight", "number", "NUM:weight", " kilograms"), "made_in": ("place of manufacture", "location",
    "LOC:city", ""),
    "delivery_days": ("delivery time", "duration", "NUM:period", " days"), "office": ("office", "code", "NUM:code", ""),
    "extension": ("telephone extension", "code", "NUM:code", ""), "start_date": ("start date", "date", "NUM:date", ""),
    "manager": ("manager", "person", "HUM:ind", ""), "length_km": ("length", "distance", "NUM:dist", " kilometres"),
    "hours_per_week": ("weekly working time", "duration", "NUM:period", " hours"),
    "climb_m": ("climb", "distance", "NUM:dist", " metres"), "starts_in": ("starting point", "location", "LOC:city",
    ""),
    "opened_on": ("opening date", "date", "NUM:date", ""), "huts": ("number of huts", "count", "NUM:count", ""),
    "ticket_eur": ("ticket price", "money", "NUM:money", " euros"), "rooms": ("number of rooms", "count", "NUM:count",
    ""),
    "founded_on": ("date of foundation", "date", "NUM:date", ""), "town": ("town", "location", "LOC:city", ""),
    "director": ("director", "person", "HUM:ind", ""),
}  # fmt: skip


_MORE = {
    "price_eur": "higher", "in_stock": "larger", "weight_kg": "greater", "delivery_days": "longer",
    "climb_m": "greater",
    "length_km": "greater", "huts": "greater", "ticket_eur": "higher", "rooms": "larger", "hours_per_week": "longer",
}  # fmt: skip


def field_words(field: str, value: Any) -> str:
    """Return a table's value as it is said: with its unit, dates in words."""
    if field.endswith(("_on", "_date")):
        return day_words(value)
    if field.endswith("_eur"):
        return f"{value:,.2f} euros"
    return f"{value if isinstance(value, str) or field == 'extension' else number(value)}{_FIELDS[field][3]}"


def _look_up(desk: Desk, *, missing: bool = False) -> Outcome:
    kind, table = desk.table()
    key = desk.draw.pick(sorted(table["rows"]))
    field = desk.draw.pick(sorted(table["rows"][key]))
    name, of, fine, _ = _FIELDS[field]
    words = {"place": table["place"], "field": name, "noun": table["noun"], "a_noun": an(table["noun"])}
    group = say.MISSING_KEY if missing else say.LOOK_UP
    asked = _ask(desk, desk.tell.ask(group, key=_named(table, key), **words))
    if missing:
        desk.assistant(desk.tell(say.WHICH_KEY, noun=table["noun"]))
        desk.user(sentence(desk.tell(say.GIVE, it=_named(table, key))))
    (found,) = desk.call((kind, {table["key"]: key, "field": field}))
    answer = field_words(field, found)
    _answer(desk, f"the {name} of {_named(table, key)} is {answer}")
    task = {"do": "look-up", "table": kind, "key": key, "field": field}
    return "ask-back" if missing else "look-up", asked, answer, of, fine, task


def _no_entry(desk: Desk) -> Outcome:
    kind, table = desk.table()
    key = desk.draw.pick(sorted(table["rows"]))
    removed = table["rows"].pop(key)
    field = desk.draw.pick(sorted(removed))
    words = {"place": table["place"], "field": _FIELDS[field][0], "noun": table["noun"]}
    asked = _ask(desk, desk.tell.ask(say.LOOK_UP, key=_named(table, key), **words))
    desk.call((kind, {table["key"]: key, "field": field}))
    desk.assistant(desk.tell(say.NO_ENTRY, key=key, **words))
    task = {"do": "no-entry", "table": kind, "key": key, "field": field}
    return "no-entry", asked, "", _FIELDS[field][1], _FIELDS[field][2], task


def _buy(desk: Desk) -> Outcome:
    kind, table = desk.table("product")
    key, n = desk.draw.pick(sorted(table["rows"])), desk.draw.between(3, 60)
    asked = _ask(desk, desk.tell.ask(say.BUY, n=n, key=_named(table, key)))
    (price,) = desk.call((kind, {"product": key, "field": "price_eur"}))
    (found,) = desk.call(("calculate", {"expression": f"{n} * {price}"}))
    answer = f"{found:,.2f} euros"
    _answer(desk, f"at {price:,.2f} euros each, {n} pieces cost {answer}")
    return "chain", asked, answer, "money", "NUM:money", {"do": "buy", "table": kind, "key": key, "n": n}


def _trail(desk: Desk) -> Outcome:
    kind, table = desk.table("trail")
    key, to = desk.draw.pick(sorted(table["rows"])), desk.draw.pick(["mi", "m", "yd", "ft"])
    asked = _ask(desk, desk.tell.ask(say.TRAIL, key=key, to=UNITS[to][3]))
    (length,) = desk.call((kind, {"trail": key, "field": "length_km"}))
    (found,) = desk.call(("convert_units", {"value": length, "from_unit": "km", "to_unit": to}))
    answer = f"{number(found)} {UNITS[to][3]}"
    _answer(desk, f"the {key} is {number(length)} kilometres long, or {answer}")
    return "chain", asked, answer, "distance", "NUM:dist", {"do": "trail", "table": kind, "key": key, "to": to}


def _service(desk: Desk) -> Outcome:
    kind, table = desk.table("employee")
    key, end = desk.draw.pick(sorted(table["rows"])), _iso(desk.draw, 2020, 2026)
    asked = _ask(desk, desk.tell.ask(say.SERVICE, key=key, end=day_words(end)))
    (start,) = desk.call((kind, {"name": key, "field": "start_date"}))
    (found,) = desk.call(("days_between", {"start": start, "end": end}))
    answer = f"{found:,} days"
    _answer(desk, f"{key} started on {day_words(start)}; {day_words(end)} is {answer} later")
    task = {"do": "service", "table": kind, "key": key, "end": end}
    return "chain", asked, answer, "duration", "NUM:period", task


def _compare(desk: Desk) -> Outcome:
    kind, table = desk.table()
    fields = [f for f in sorted(next(iter(table["rows"].values()))) if f in _MORE]
    field = desk.draw.pick(fields)
    one, other = desk.draw.some(sorted(table["rows"]), 2)
    rows = table["rows"]
    if rows[one][field] == rows[other][field]:
        rows[other][field] += 1
    (a, b), more = (_named(table, one), _named(table, other)), _MORE[field]
    words = {"field": _FIELDS[field][0], "place": table["place"], "more": more}
    asked = _ask(desk, desk.tell.ask(say.DEARER, one=a, other=b, **words))
    first, second = desk.call(*((kind, {table["key"]: k, "field": field}) for k in (one, other)))
    answer = one if first > second else other
    said = f"{field_words(field, first)} for {a} and {field_words(field, second)} for {b}"
    _answer(desk, f"{a if answer == one else b}, since the {words['field']} is {said}")
    of, fine = ("person", "HUM:ind") if table["noun"] == "employee" else ("entity", "ENTY:other")
    return "parallel", asked, answer, of, fine, {"do": "compare", "table": kind, "keys": [one, other], "field": field}


def _direct(desk: Desk) -> Outcome:
    (one, other), (a, b) = people(desk.draw, 2), desk.draw.some(TOWNS, 2)
    at = desk.draw.below(2)
    asked = _ask(desk, desk.tell.ask(say.DIRECT, one=one, other=other, a=a, b=b, asked=(a, b)[at]))
    answer = (one, other)[at]
    desk.assistant(desk.tell(say.SAY_PERSON, answer=answer))
    task = {"do": "direct", "who": [one, other], "where": [a, b], "asked": (a, b)[at], "without": ["table"]}
    return "direct", asked, answer, "person", "HUM:ind", task


def _unsupported(desk: Desk) -> Outcome:
    deed = desk.draw.pick(say.DEEDS)
    asked = _ask(desk, desk.tell.ask(say.WISH, deed=deed))
    return "unsupported", asked, "", "manner", "DESC:manner", {"do": "unsupported", "deed": deed}


def _refuse(desk: Desk, task: dict[str, Any]) -> None:
    desk.assistant(desk.tell(say.CANNOT, deed=task["deed"], can=listed([say.ABLE[kind] for kind in desk.names])))


def _missing(desk: Desk) -> Outcome:
    return desk.draw.pick((_convert, _days, _look_up))(desk, missing=True)


_TASKS: tuple[Callable[[Desk], Outcome], ...] = (
    _percent, _bill, _convert, _convert, _days, _later, _weekday, _text, _text, _json, _look_up, _look_up,
    lambda desk: _later(desk, weekday=True), lambda desk: _json(desk, convert=True), _buy, _trail, _service, _compare,
    _compare, _missing, _missing, _no_entry, _direct, _unsupported,
)  # fmt: skip
