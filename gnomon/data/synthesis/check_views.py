"""Checks the answers of the perspectives family anew, by other ways than they were made."""

import re
from datetime import date, timedelta
from typing import Any

from gnomon.data.synthesis.retelling import ROLES
from gnomon.data.synthesis.sample import Sample
from gnomon.data.synthesis.words import DAYS

_GONE = ("leave", "enter")


def check_belief(sample: Sample) -> str:
    """Return the answer to a question of belief: for each mind, what the last event that reached it said."""
    world, ask = sample.world, sample.world["ask"]
    events, thing = world["events"], world["asked"]
    _told_in_order(sample, events)
    now = len(events)
    real = [e["to"] for e in events if e["do"] == "put" and e["thing"] == thing][-1]
    if ask["kind"] == "look":
        return _believes(world, ask["x"], thing, now)
    if ask["kind"] == "second":
        return _thinks_other_believes(world, ask["x"], ask["y"], thing)
    if ask["kind"] == "real":
        return real
    if ask["kind"] == "knows":
        return "yes" if _believes(world, ask["x"], thing, now) == real else "no"
    return _list([x for x in world["people"] if _believes(world, x, thing, now) not in ("", real)])


def _inside(world: dict[str, Any], x: str, at: int) -> bool:
    """Return whether `x` is in the room during event `at`, by the last door that `x` went through."""
    moves = [e["do"] for e in world["events"][:at] if e["do"] in _GONE and e["who"] == x]
    return moves[-1] == "enter" if moves else x in world["start"]


def _believes(world: dict[str, Any], x: str, thing: str, before: int) -> str:
    """Return where `x` takes the thing to be; empty where nothing ever reached `x`."""
    for at in range(before - 1, -1, -1):
        event = world["events"][at]
        if event["do"] == "put" and event["thing"] == thing and (_inside(world, x, at) or event["watched"] == x):
            return event["to"]
        if event["do"] == "tell" and event["thing"] == thing and event["to"] == x:
            assert event["holder"] == _believes(world, event["who"], thing, at)
            return event["holder"]
    return ""


def _thinks_other_believes(world: dict[str, Any], x: str, y: str, thing: str) -> str:
    for at in range(len(world["events"]) - 1, -1, -1):
        event = world["events"][at]
        if event["do"] != "put" or event["thing"] != thing:
            continue
        if (_inside(world, x, at) or event["watched"] == x) and _inside(world, y, at):
            return event["to"]
    return ""


def _told_in_order(sample: Sample, events: list[dict[str, Any]]) -> None:
    text, at = sample.messages[0]["content"], 0
    for event in events:
        words = {"put": [event.get("to")], "tell": [event.get("holder")]}.get(event["do"], [event["who"]])
        found = [text.find(word, at) for word in words]
        if min(found) < 0:
            raise ValueError(f"the story does not tell of {event}")
        at = min(found)


def check_seats(sample: Sample) -> str:
    """Return the answer to a question about the table, by counting chairs and reversing the row."""
    chairs, things, ask = sample.world["chairs"], sample.world["things"], sample.world["ask"]
    side = chairs[ask["x"]]
    row = things if side in ("south", "west") else things[::-1]  # left to right, or from near to far
    first = row.index(ask["one"]) < row.index(ask["other"])
    answer = sample.question.answer
    if answer in ("left", "right"):
        return "left" if first else "right"
    if sample.question.type == "description":
        return _list([f"the {thing}" for thing in row])
    if ask["one"] in sample.question.question and ask["other"] in sample.question.question:
        return f"the {ask['one'] if first else ask['other']}"
    return f"the {row[0]}"


def check_speech(sample: Sample) -> str:
    """Return what an utterance means, read from its words in the text and from real dates."""
    world = sample.world
    quoted = re.search(r"“(.*?)”", sample.messages[0]["content"])
    words = quoted[1] if quoted else ""
    spoken = date(2024, 1, 1 + world["day"])  # the 1st was a Monday
    if DAYS[world["day"]] not in sample.messages[0]["content"]:
        raise ValueError("the text does not say when it was spoken")
    due = spoken + timedelta(days=world["offset"])
    kind = world["ask"]["kind"]
    if kind == "day":
        return DAYS[due.weekday()]
    here = re.search(r"\bhere\b", words) is not None
    if kind == "place":
        return world["here"] if here else world["there"]
    if kind == "actor":
        return world["speaker"] if words.startswith("I ") else world["hearer"]
    if kind == "owner":
        return world["speaker"] if re.search(r"\bmy\b", words) else world["hearer"]
    return _check_repeated(sample, words, here, spoken, due)


def _check_repeated(sample: Sample, words: str, here: bool, spoken: date, due: date) -> str:
    """Raise unless the repetition has the right person, owner, place and distance in days; return it."""
    world, said = sample.world, sample.question.answer
    told = spoken + timedelta(days=1)
    while told.weekday() != world["ask"]["later"]:
        told += timedelta(days=1)
    apart = (due - told).days
    names = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
    ago, ahead = re.search(r"(\w+) days ago", said), re.search(r"in (\w+) days", said)
    if "yesterday" in said:
        found = -2 if "the day before" in said else -1
    elif "tomorrow" in said:
        found = 2 if "the day after" in said else 1
    else:
        found = -names[ago[1]] if ago else names[ahead[1]] if ahead else 0
    s = world["speaker"]
    rules = (
        apart == found != 0,
        said.startswith(f"{s} " if words.startswith("I ") else "I "),
        (re.search(r"\bmy\b", said) is not None) == (re.search(r"\byour\b", words) is not None),
        (f"{s}'s" in said) == (re.search(r"\bmy\b", words) is not None),
        (re.search(r"\bthere\b", said) is not None) == here,
        (re.search(r"\bhere\b", said) is not None) == (not here),
        (" will " in said) == (apart > 0),
        not re.search(r"\byou", said),
    )
    if not all(rules):
        raise ValueError(f"the repetition breaks rule {rules.index(False) + 1}")
    return said


def check_retelling(sample: Sample) -> str:
    """Return who knows, or an account put together from the roles, and check that nobody else's view slips in."""
    world, ask = sample.world, sample.world["ask"]
    reach = [
        {d["a"], d["b"]} | ({world["onlooker"]} if i == world["seen"] else set()) for i, d in enumerate(world["deeds"])
    ]
    for deed in world["deeds"]:
        if ROLES[deed["do"]][0].format(**deed) not in sample.messages[0]["content"]:
            raise ValueError("the text does not tell of a deed")
    if ask["kind"] == "know":
        deed = world["deeds"][ask["at"]]
        names = [deed["a"], deed["b"], *sorted(reach[ask["at"]] - {deed["a"], deed["b"]})]
        return _list(names)
    sentences = []
    for deed, who in zip(world["deeds"], reach, strict=True):
        if ask["w"] in who:
            role = 1 + [deed["a"] == ask["w"], deed["b"] == ask["w"], True].index(True)
            said = ROLES[deed["do"]][role].format(**deed) + "."
            others = {deed["a"], deed["b"]} - {ask["w"]}
            if ask["w"] in said or not said.startswith("I ") or not all(name in said for name in others):
                raise ValueError("an account is not told by its teller")
            sentences.append(said)
    return " ".join(sentences)


def check_witnesses(sample: Sample) -> str:
    """Return who saw what, minute by minute."""
    world, ask = sample.world, sample.world["ask"]
    at = {minute: event for minute, event in world["events"]}
    saw: dict[str, list[str]] = {
        x: [at[m] for m in range(24 * 60) if m in at and not (m < start or m > end)] for x, start, end in world["stays"]
    }
    if ask["kind"] == "count":
        return str(len(saw[ask["x"]]))
    if ask["kind"] == "who":
        return _list([x for x in saw if ask["event"] in saw[x]])
    other = set(saw[ask["y"]])
    return _list([e for e in saw[ask["x"]] if (e in other) == (ask["kind"] == "both")], "nothing")


def _list(items: list[str], none: str = "nobody") -> str:
    if len(items) < 2:
        return items[0] if items else none
    return ", ".join(items[:-1]) + " and " + items[-1]
