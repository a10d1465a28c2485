"""Checks the answers of self-knowledge by reading the documents anew, and those of reasoning by trying all cases."""

import calendar
import re
from datetime import date, timedelta
from functools import cache
from itertools import permutations, product
from typing import Any

from gnomon.data.synthesis.puzzles import EVENTS
from gnomon.data.synthesis.sample import Sample
from gnomon.data.synthesis.themes import THEMES
from gnomon.data.synthesis.words import DAYS, clock, day_text


def check_knowledge(sample: Sample) -> str:
    """Return the answer that the documents' own words give; empty where they give none."""
    asked, ask = sample.question, sample.world["ask"]
    if sample.kind in ("look-up", "nobody-knows"):
        return ""
    if sample.kind == "know":
        return _computed(*ask)
    names = sample.world["names"]
    read = [fact for document in asked.documents for fact in _read(document, names)]
    told = [(names[e], name, _small(value)) for e, name, value in sample.world["facts"]]
    if sorted(read) != sorted(told):
        raise ValueError(f"the documents do not say what the world says: {sorted(set(read) ^ set(told))}")
    if sample.kind == "ill-posed":
        return _check_ill_posed(sample, read)
    name, relation, value = names[ask[0]], ask[1], ask[2]
    if name not in asked.question:
        raise ValueError("the question does not name whom it is about")
    found = {v for n, r, v in read if (n, r) == (name, relation)}
    for one in asked.evidence:
        ((n, r, v),) = _read(f"Evidence. {one['text']}", names)
        if (n, r) != (name, relation) or v not in found:
            raise ValueError("the evidence is about something else")
    if bool(found) != bool(asked.evidence):
        raise ValueError("an answer without evidence, or evidence without an answer")
    if sample.kind == "yes-no":
        if value not in asked.question:
            raise ValueError("the question does not name the value")
        return "" if not found else "yes" if _small(value) in found else "no"
    only = found.pop() if len(found) == 1 else ""
    return asked.answer if _small(asked.answer) == only else only


def _check_ill_posed(sample: Sample, read: list[tuple[str, str, str]]) -> str:
    kind, relation, _ = sample.world["ask"]
    names, question = sample.world["names"], sample.question.question
    if kind == "which":
        if any(name in question for name in names) or len({n for n, r, _ in read if r == relation}) != 2:
            raise ValueError("it is clear who is meant")
    elif names[0] not in question:
        raise ValueError("the question is not about what the document is about")
    return ""


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    found = []
    for theme in THEMES:
        for relation in theme.relations:
            for text in (*relation.state.train, *relation.state.test):
                pattern = re.escape(text).replace(r"\{e\}", r"<(?P<e>\d)>").replace(r"\{v\}", "(?P<v>.+)")
                found.append((relation.name, re.compile(pattern, re.IGNORECASE)))
    return found


def _read(document: str, names: list[str]) -> list[tuple[str, str, str]]:
    """Return the facts that a document's sentences state after the first, which only names what it is about."""
    found = []
    for said in re.split(r"(?<=\.) (?=[A-Z0-9])", document)[1:]:
        if re.search(r"\b(never|at no time|not once|nobody)\b", said, re.IGNORECASE):
            continue
        for number, name in enumerate(names):
            said = said.replace(name, f"<{number}>").replace(name[:1].upper() + name[1:], f"<{number}>")
        facts = set()
        for name, pattern in _patterns():
            if match := pattern.fullmatch(said.removesuffix(".")):
                facts.add((names[int(match["e"])], name, _small(match["v"])))
        if len(facts) != 1:
            raise ValueError(f"a sentence states {len(facts)} facts: {said}")
        found += facts
    return found


def _small(text: str) -> str:
    """Return the text with a small first letter: a value may have stood at the start of its sentence."""
    return text[:1].lower() + text[1:]


def _computed(kind: str, a: Any, b: Any = None) -> str:
    match kind:
        case "product":
            return str(sum(a for _ in range(b)))
        case "letters":
            return str(sum(character.isalpha() for character in a))
        case "month":
            return str((date(a + (b == 11), (b + 1) % 12 + 1, 1) - date(a, b + 1, 1)).days)
        case "day":
            for _ in range(b):
                a = 0 if a == 6 else a + 1
            return DAYS[a]
        case "order":
            return sorted([a, b])[0]
    return "yes" if a - b > 0 else "no"


def check_reasoning(sample: Sample) -> str:
    """Return the answer, found by simulation or by trying every case."""
    check = {"order": _order, "sets": _sets, "who-has": _who, "rules": _rules}.get(sample.kind, _problem)
    return check(sample)


def _problem(sample: Sample) -> str:
    g = sample.world["given"]
    if sample.kind in ("stock", "tank", "recipe", "ages"):
        said = {int(n) for n in re.findall(r"\d+", sample.question.question)}
        if said != set(g.values()):
            raise ValueError("the numbers of the text are not the numbers given")
    match sample.kind:
        case "stock":
            have = [*range(g["n"]), *(0 for _ in range(g["k"]) for _ in range(g["m"]))][g["s"] :]
            shares = [len(have[i :: g["g"]]) for i in range(g["g"])]
            assert min(shares) == max(shares)
            return str(shares[0])
        case "tank":
            level, minutes = g["w"], 0
            while level < g["c"]:
                level, minutes = level + g["p"] - g["l"], minutes + 1
            assert level == g["c"]
            return f"{minutes} minutes"
        case "meet":
            first, second, t = 0, 60 * g["d"], g["t"]  # in 60ths of a kilometre, a step a minute
            while first < second:
                first, second, t = first + g["u"], second - g["v"], t + 1
            assert first == second
            return clock(t)
        case "recipe":
            bags = 0
            while bags * g["bag"] * g["n"] < g["q"] * g["k"]:
                bags += 1
            return f"{bags} bag{'s' * (bags != 1)}"
        case "ages":
            (age,) = (b for b in range(130) if (b + g["k"]) + (b + g["d"] + g["k"]) == g["s"])
            return str(age)
        case "nth-weekday":
            weeks = calendar.monthcalendar(g["year"], g["month"])
            days = [week[g["day"]] for week in weeks if week[g["day"]]]
            return day_text(g["year"], g["month"], days[g["nth"] - 1])
    day, times = date.fromisoformat(g["start"]), 0
    while day <= date.fromisoformat(g["end"]):
        day, times = day + timedelta(days=g["k"]), times + 1
    return str(times)


def _order(sample: Sample) -> str:
    world, ask = sample.world, sample.world["ask"]
    orders = [o for o in permutations(world["people"]) if all(o.index(a) < o.index(b) for a, b in world["clues"])]
    if ask["kind"] == "rank":
        found = {order[ask["n"] - 1] for order in orders}
        return found.pop() if len(found) == 1 else ""
    verdicts = {order.index(ask["x"]) < order.index(ask["y"]) for order in orders}
    return "unknown" if len(verdicts) == 2 else "yes" if True in verdicts else "no"


def _sets(sample: Sample) -> str:
    g = sample.world["given"]
    members = set(range(g["n"]))
    x, y = set(range(g["a"])), set(range(g["a"] - g["c"], g["a"] - g["c"] + g["b"]))
    assert x | y <= members and len(x & y) == g["c"]
    return str(len({"neither": members - x - y, "one": x ^ y, "only": x - y}[sample.world["ask"]["kind"]]))


def _who(sample: Sample) -> str:
    world, found = sample.world, set()
    for pets in permutations(world["pets"]):
        has = dict(zip(world["people"], pets, strict=True))
        if all((has[c[1]] != c[2]) if c[0] == "not" else has[c[1]] in c[2:] for c in world["clues"]):
            found.add(next(name for name, pet in has.items() if pet == world["ask"]["p"]))
    return found.pop() if len(found) == 1 else ""


def _rules(sample: Sample) -> str:
    world = sample.world
    names = sorted({event for rule in world["rules"] for event, _ in rule})
    verdicts = set()
    for values in product((True, False), repeat=len(names)):
        day = dict(zip(names, values, strict=True))
        kept = all(day[p[0]] != p[1] or day[q[0]] == q[1] for p, q in world["rules"])
        if kept and day[world["fact"][0]] == world["fact"][1]:
            verdicts.add(day[world["ask"][0]] == world["ask"][1])
    if EVENTS[world["ask"][0]][0 if world["ask"][1] else 1] not in sample.question.question:
        raise ValueError("the question asks for something else")
    return "unknown" if len(verdicts) == 2 else "yes" if True in verdicts else "no"
