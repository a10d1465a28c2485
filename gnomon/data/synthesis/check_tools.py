"""Checks conversations with tools: every call again, and every answer by arithmetic of another kind."""

import json
import math
from typing import Any

from gnomon.data.synthesis.sample import Sample
from gnomon.data.synthesis.schema import check_call, tools_by_name
from gnomon.data.synthesis.tool_use import day_words, field_words, number
from gnomon.data.synthesis.tools import WEEKDAYS, execute

_SIZES = {
    "km": 1000.0, "m": 1.0, "cm": 0.01, "mi": 1609.344, "yd": 0.9144, "ft": 0.3048, "in": 0.0254,
    "kg": 1.0, "g": 0.001, "t": 1000.0, "lb": 0.45359237, "oz": 0.028349523125,
    "l": 1.0, "ml": 0.001, "gal": 3.785411784, "h": 60.0, "min": 1.0, "s": 1 / 60, "d": 1440.0,
}  # fmt: skip


def check_calls(sample: Sample) -> None:
    """Raise unless each call fits its tool and gives, executed again, the result that stands in the conversation."""
    known = tools_by_name(sample.tools)
    kinds = {name: kind for kind, name in sample.world["names"].items()}
    waiting: list[dict[str, Any]] = []
    for message in sample.messages:
        if message["role"] == "tool":
            if not waiting or waiting[0]["id"] != message["tool_call_id"]:
                raise ValueError("a tool's answer belongs to no call")
            call = waiting.pop(0)
            name = call["function"]["name"]
            if name != message["name"] or name not in kinds:
                raise ValueError(f"a tool's answer comes from {message['name']}, not from {name}")
            again = execute(kinds[name], json.loads(call["function"]["arguments"]), sample.world["tables"])
            if again != message["content"]:
                raise ValueError(f"{name} gives {again}, the conversation says {message['content']}")
        elif waiting:
            raise ValueError("a call has no answer")
        for call in message.get("tool_calls", ()):
            check_call(call, known)
            waiting.append(call)
    if waiting:
        raise ValueError("a call has no answer")


def check_tool_answer(sample: Sample) -> str:
    """Return the answer, computed from the task without the tools."""
    task, tables = sample.world["task"], sample.world["tables"]
    match task["do"]:
        case "percent":
            whole, rest = divmod(task["p"] * task["n"], 100)
            return number(whole) if not rest else f"{whole:,}.{rest:02}".rstrip("0")
        case "bill":
            return _euros(task["a"] * task["p"] + task["b"] * task["q"])
        case "convert":
            return _converted(sample, task["value"], task["from"], task["to"])
        case "days":
            days = _day_number(task["end"]) - _day_number(task["start"])
            return f"{days:,} day{'s' * (days != 1)}"
        case "later":
            day = _day_number(task["start"]) + task["days"]
            return WEEKDAYS[day % 7] if task["weekday"] else day_words(_iso(day))
        case "weekday":
            return WEEKDAYS[_day_number(task["day"]) % 7]
        case "text":
            return _measured(task["text"], task["measure"])
        case "json":
            return _from_json(sample, task)
        case "direct":
            return task["who"][task["where"].index(task["asked"])]
        case "unsupported" | "no-entry":
            if task["do"] == "no-entry" and task["key"] in tables[task["table"]]["rows"]:
                raise ValueError("there is an entry after all")
            return ""
    return _from_table(sample, task, tables[task["table"]]["rows"])


def _from_table(sample: Sample, task: dict[str, Any], rows: dict[str, dict[str, Any]]) -> str:
    match task["do"]:
        case "look-up":
            return field_words(task["field"], rows[task["key"]][task["field"]])
        case "buy":
            return _euros(task["n"] * round(rows[task["key"]]["price_eur"] * 100))
        case "trail":
            return _converted(sample, rows[task["key"]]["length_km"], "km", task["to"])
        case "service":
            return f"{_day_number(task['end']) - _day_number(rows[task['key']]['start_date']):,} days"
        case "compare":
            one, other = task["keys"]
            return max((one, other), key=lambda key: rows[key][task["field"]])
    raise ValueError(f"{task['do']} is no task")


def _euros(cents: int) -> str:
    return f"{cents // 100:,}.{cents % 100:02} euros"


def _converted(sample: Sample, value: float, unit: str, to: str) -> str:
    """Return the answer as it stands if its number is right to six places."""
    said = sample.question.answer
    if not math.isclose(
        float(said.split()[0].replace(",", "")), value * _SIZES[unit] / _SIZES[to], rel_tol=1e-9, abs_tol=6e-7
    ):
        raise ValueError(f"{value} {unit} are not {said}")
    return said


def _measured(text: str, measure: str) -> str:
    words = [w.strip(".,!?'“”") for w in text.split()]
    if measure == "longest_word":
        return next(w for w in words if len(w) == max(map(len, words)))
    counts = {"words": len(words), "unique_words": len({w.casefold() for w in words}), "characters": len(text),
              "sentences": sum(text.count(mark) for mark in ".!?")}  # fmt: skip
    return str(counts[measure])


def _from_json(sample: Sample, task: dict[str, Any]) -> str:
    order = json.loads(task["document"])
    if "to" in task:
        return _converted(sample, order["parcels"][task["at"]]["weight"], "kg", task["to"])
    parts = task["path"].replace("]", "").replace("[", ".").split(".")
    for part in parts:
        order = order[int(part)] if isinstance(order, list) else order[part]
    return str(order)


def _day_number(iso: str) -> int:
    """Return the Julian day number (Fliegel and Van Flandern, 1968); 0 modulo 7 is a Monday."""
    year, month, day = (int(part) for part in iso.split("-"))
    a = -((14 - month) // 12)
    return (
        (1461 * (year + 4800 + a)) // 4
        + (367 * (month - 2 - 12 * a)) // 12
        - (3 * ((year + 4900 + a) // 100)) // 4
        + day
        - 32075
    )


def _iso(number: int) -> str:
    """Return the date of a Julian day number."""
    a = number + 68569
    b = 4 * a // 146097
    a -= (146097 * b + 3) // 4
    year = 4000 * (a + 1) // 1461001
    a -= 1461 * year // 4 - 31
    month = 80 * a // 2447
    day = a - 2447 * month // 80
    a = month // 11
    return f"{100 * (b - 49) + year + a}-{month + 2 - 12 * a:02}-{day:02}"
