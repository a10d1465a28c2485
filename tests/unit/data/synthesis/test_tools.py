"""Tools and their schemas, against other ways to the same result."""

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.synthesis.check_tools import _day_number, _iso
from gnomon.data.synthesis.draw import Draw
from gnomon.data.synthesis.phrases import phrases
from gnomon.data.synthesis.schema import check_arguments, check_schema
from gnomon.data.synthesis.tools import KINDS, UNITS, ToolError, calculate, convert_units, execute, spec, tool_names

numbers = st.integers(1, 9999).map(lambda n: str(n)) | st.integers(1, 99999).map(lambda n: f"{n / 100:.2f}")
expressions = st.recursive(
    numbers,
    lambda inner: st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
    max_leaves=6,
)


@given(expressions)
@settings(max_examples=50)
def test_the_calculator_is_exact_arithmetic_to_six_places(expression: str) -> None:
    exact = eval(
        "".join(f"Fraction('{t}')" if t[0].isdigit() else t for t in _tokens(expression)), {"Fraction": Fraction}
    )
    assert abs(Fraction(str(calculate(expression))) - exact) <= max(
        Fraction(1, 10**6), abs(exact) * Fraction(1, 10**14)
    )


def _tokens(expression: str) -> list[str]:
    return expression.replace("(", "( ").replace(")", " )").split()


@pytest.mark.parametrize(
    "bad", ["__import__('os')", "a + 1", "1 / 0", "2 ** 99", "(1", "1 if 1 else 2", "True + 1", "[1]"]
)
def test_the_calculator_takes_nothing_but_arithmetic(bad: str) -> None:
    with pytest.raises(ToolError):
        calculate(bad)
    assert execute("calculate", {"expression": bad}, {}).startswith('{"error": ')


def test_units_of_one_kind_convert_there_and_back_and_of_two_kinds_not_at_all() -> None:
    for one, (kind, size, *_) in UNITS.items():
        for other, (its_kind, its_size, *_) in UNITS.items():
            if kind != its_kind:
                with pytest.raises(ToolError):
                    convert_units(1, one, other)
            else:
                assert convert_units(48, one, other) == pytest.approx(float(48 * size / its_size), abs=1e-6)


@given(st.dates(date(1850, 1, 1), date(2150, 1, 1)), st.integers(-9999, 9999))
@settings(max_examples=50)
def test_the_checkers_calendar_agrees_with_pythons(day: date, days: int) -> None:
    number = _day_number(day.isoformat())
    assert number % 7 == day.weekday()
    assert _iso(number + days) == (day + timedelta(days=days)).isoformat()


def test_every_tool_has_a_schema_that_holds_it_to_its_arguments() -> None:
    for kind in KINDS:
        for name in tool_names(kind):
            parameters = spec(kind, name)["function"]["parameters"]
            check_schema(parameters)
            with pytest.raises(ValueError, match="lacks"):
                check_arguments({}, parameters)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (True, {"type": "integer"}),
        (1.5, {"type": "integer"}),
        ("1", {"type": "number"}),
        (3, {"type": "integer", "maximum": 2}),
        (1, {"type": "integer", "minimum": 2}),
        ("c", {"type": "string", "enum": ["a", "b"]}),
        ([1, "a"], {"type": "array", "items": {"type": "integer"}}),
        ({"a": 1, "b": 2}, {"type": "object", "properties": {"a": {"type": "integer"}}}),
        ({}, {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
        (
            {"a": {"b": "x"}},
            {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "number"}}}}},
        ),
    ],
)
def test_a_value_outside_its_schema_is_refused(value: object, schema: dict) -> None:
    check_schema(schema)
    with pytest.raises(ValueError, match="arguments"):
        check_arguments(value, schema)


@given(st.integers(0, 2**63 - 1), st.integers(1, 40))
@settings(max_examples=30)
def test_choices_depend_on_the_seed_alone_and_stay_in_range(seed: int, count: int) -> None:
    first, again = Draw(seed), Draw(seed)
    assert [first.below(count) for _ in range(20)] == [again.below(count) for _ in range(20)]
    assert sorted(first.shuffled(range(count))) == list(range(count))
    assert {first.between(3, 5) for _ in range(60)} == {3, 4, 5}


def test_draw_is_splitmix64() -> None:
    """Against the reference's first outputs for seed 1234567 (Vigna, prng.di.unimi.it/splitmix64.c)."""
    draw = Draw(1234567)
    assert [draw.bits() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]


@given(st.sets(st.text(min_size=1), min_size=2, max_size=12))
@settings(max_examples=30)
def test_phrasings_are_dealt_out_whole_and_to_both_splits(texts: set[str]) -> None:
    group = phrases("x", *sorted(texts))
    assert sorted([*group.train, *group.test]) == sorted(texts)
    assert group.train and group.test
