"""Real tools: what they are called, what they take, and what they do. Exact arithmetic, no clock, no network."""

import ast
import json
import operator
import re
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

UNITS: dict[str, tuple[str, Fraction, str, str]] = {
    # kind, size in the kind's base unit, one, many
    "km": ("length", Fraction(1000), "kilometre", "kilometres"),
    "m": ("length", Fraction(1), "metre", "metres"),
    "cm": ("length", Fraction(1, 100), "centimetre", "centimetres"),
    "mi": ("length", Fraction(1609344, 1000), "mile", "miles"),
    "yd": ("length", Fraction(9144, 10000), "yard", "yards"),
    "ft": ("length", Fraction(3048, 10000), "foot", "feet"),
    "in": ("length", Fraction(254, 10000), "inch", "inches"),
    "kg": ("mass", Fraction(1000), "kilogram", "kilograms"),
    "g": ("mass", Fraction(1), "gram", "grams"),
    "t": ("mass", Fraction(1000000), "tonne", "tonnes"),
    "lb": ("mass", Fraction(45359237, 100000), "pound", "pounds"),
    "oz": ("mass", Fraction(45359237, 1600000), "ounce", "ounces"),
    "l": ("volume", Fraction(1), "litre", "litres"),
    "ml": ("volume", Fraction(1, 1000), "millilitre", "millilitres"),
    "gal": ("volume", Fraction(3785411784, 10**9), "US gallon", "US gallons"),
    "h": ("time", Fraction(3600), "hour", "hours"),
    "min": ("time", Fraction(60), "minute", "minutes"),
    "s": ("time", Fraction(1), "second", "seconds"),
    "d": ("time", Fraction(86400), "day", "days"),
}
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
MEASURES = ("words", "characters", "sentences", "longest_word", "unique_words")


class ToolError(ValueError):
    """What a tool answers when it cannot do what it was asked for."""


def execute(kind: str, arguments: dict[str, Any], tables: dict[str, Any]) -> str:
    """Return the JSON text with which a tool of a kind answers; `{"error": …}` where it cannot.

    `tables` is the data of this sample's lookup tools, by kind: `{"rows": {key: {field: value}}, …}`.
    """
    try:
        if kind.startswith("table:"):
            result = _look_up(tables[kind], arguments)
        else:
            result = _TOOLS[kind](**arguments)
    except ToolError as e:
        return json.dumps({"error": str(e)}, ensure_ascii=False)
    return json.dumps({"result": result}, ensure_ascii=False)


def calculate(expression: str) -> int | float:
    """Return the value of `+ - * / **` and brackets over decimal numbers, to six places."""
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError:
        raise ToolError("the expression cannot be read") from None
    return plain(_value(tree.body))


def _value(node: ast.AST) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=int() as power)) if 0 <= power <= 12:
            return _value(left) ** power
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _OPERATORS:
            first, second = _value(left), _value(right)
            if isinstance(op, ast.Div) and not second:
                raise ToolError("division by zero")
            return _OPERATORS[type(op)](first, second)
    raise ToolError("the expression may hold only numbers, + - * / ** and brackets")


def plain(number: Fraction) -> int | float:
    """Return the number rounded to six places, whole where it is whole."""
    rounded = round(number, 6)
    return int(rounded) if rounded.denominator == 1 else float(rounded)


def convert_units(value: float, from_unit: str, to_unit: str) -> int | float:
    """Return `value` in another unit of the same kind."""
    first, second = UNITS[from_unit], UNITS[to_unit]
    if first[0] != second[0]:
        raise ToolError(f"{from_unit} is a unit of {first[0]} and {to_unit} one of {second[0]}")
    return plain(Fraction(str(value)) * first[1] / second[1])


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ToolError(f"{text} is not a date of the form YYYY-MM-DD") from None


def days_between(start: str, end: str) -> int:
    """Return how many days `end` is after `start`."""
    return (_day(end) - _day(start)).days


def add_days(start: str, days: int) -> str:
    """Return the date so many days after `start`."""
    return (_day(start) + timedelta(days=days)).isoformat()


def weekday_of(day: str) -> str:
    """Return the weekday's name."""
    return WEEKDAYS[_day(day).weekday()]


def text_statistics(text: str, measure: str) -> int | str:
    """Return a count, or the longest word (of several the first)."""
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    if measure == "longest_word":
        if not words:
            raise ToolError("the text has no word")
        return max(words, key=len)
    counts = {
        "words": len(words), "characters": len(text), "sentences": len(re.findall(r"[.!?]+(?:\s|$)", text)),
        "unique_words": len({w.lower() for w in words}),
    }  # fmt: skip
    return counts[measure]


def json_extract(document: str, path: str) -> Any:
    """Return what stands at a path such as `orders[1].total` of a JSON text."""
    try:
        value = json.loads(document)
    except json.JSONDecodeError:
        raise ToolError("the document is not JSON") from None
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        try:
            value = value[int(index)] if index else value[name]
        except (KeyError, IndexError, TypeError):
            raise ToolError(f"nothing at {path}") from None
    return value


def _look_up(table: dict[str, Any], arguments: dict[str, Any]) -> Any:
    key, wanted = arguments[table["key"]], arguments["field"]
    if key not in table["rows"]:
        raise ToolError(f"no {table['noun']} called {key}")
    return table["rows"][key][wanted]


_TOOLS: dict[str, Callable[..., Any]] = {
    "calculate": calculate, "convert_units": convert_units, "days_between": days_between, "add_days": add_days,
    "weekday_of": weekday_of, "text_statistics": text_statistics, "json_extract": json_extract,
}  # fmt: skip


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, **more}


_DATE = "A date, written YYYY-MM-DD."
_SPECS: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
    "calculate": (
        ("calculate", "calculator", "evaluate_expression", "math_eval"),
        "Evaluate an arithmetic expression with + - * / ** and brackets.",
        {"expression": _text("The expression, such as (3 + 4) * 2.5.")},
    ),
    "convert_units": (
        ("convert_units", "unit_converter", "convert_measure"),
        "Convert a quantity from one unit to another of the same kind.",
        {"value": {"type": "number", "description": "The quantity."},
         "from_unit": _text("Its unit.", enum=list(UNITS)), "to_unit": _text("The unit wanted.", enum=list(UNITS))},
    ),
    "days_between": (
        ("days_between", "count_days", "date_difference"),
        "Count the days from one date to another.",
        {"start": _text(_DATE), "end": _text(_DATE)},
    ),
    "add_days": (
        ("add_days", "shift_date", "date_plus_days"),
        "Give the date a number of days after a date; before it, if the number is negative.",
        {"start": _text(_DATE), "days": {"type": "integer", "description": "How many days later.",
                                         "minimum": -100000, "maximum": 100000}},
    ),
    "weekday_of": (
        ("weekday_of", "get_weekday", "day_of_week"), "Give the weekday of a date.", {"day": _text(_DATE)},
    ),
    "text_statistics": (
        ("text_statistics", "analyze_text", "text_stats"),
        "Measure a text: how many words, different words (whatever their case), characters or sentences it has, "
        "or its longest word.",
        {"text": _text("The text."), "measure": _text("What to measure.", enum=list(MEASURES))},
    ),
    "json_extract": (
        ("json_extract", "read_json_path", "get_json_value"),
        "Take one value out of a JSON document.",
        {"document": _text("The JSON document, as text."), "path": _text("Where it stands, such as orders[1].total.")},
    ),
}  # fmt: skip


def tool_names(kind: str) -> tuple[str, ...]:
    """Return the names under which samples offer a tool of a kind."""
    return _SPECS[kind][0]


def spec(kind: str, name: str, table: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return OpenAI's description of a tool."""
    if table is not None:
        noun, fields = table["noun"], sorted(next(iter(table["rows"].values())))
        about = f"Look up one field of {table['article']} {noun} in the {table['place']}."
        parameters = {table["key"]: _text(f"The {noun}'s name."), "field": _text("What to look up.", enum=fields)}
    else:
        _, about, parameters = _SPECS[kind]
    return {"type": "function", "function": {"name": name, "description": about, "parameters": {
        "type": "object", "properties": parameters, "required": list(parameters)}}}  # fmt: skip


KINDS = tuple(_TOOLS)
"""The tools that every sample may offer; a lookup tool is made for its sample."""
