"""Grammar and validators, which know nothing of each other, agree on what an answer of each type is."""

import datetime
import json
import re

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.answer.grammar import grammar, pattern
from gnomon.answer.validate import is_quoted, problem_of, type_of
from gnomon.answer.words import chunks
from gnomon.taxonomy import ANSWER_TYPES

PATTERNS = {type_: regex.compile(pattern(type_)) for type_ in ANSWER_TYPES}

quick = settings(max_examples=15, deadline=None)
small = st.integers(0, 999)
whole = st.integers(0, 10**12).map(lambda n: f"{n:,}") | st.integers(0, 10**9).map(str)
real = whole | st.tuples(whole, st.integers(0, 999)).map(lambda p: f"{p[0]}.{p[1]}")
spelled = st.sampled_from(["one", "seven", "twelve", "nineteen", "twenty", "forty-two", "ninety-nine"])
scaled = st.tuples(st.integers(1, 999), st.sampled_from(["thousand", "million", "billion"])).map("{0[0]} {0[1]}".format)
amount = real | spelled | scaled
day = st.dates(datetime.date(1000, 1, 1), datetime.date(2999, 12, 31))
month = st.sampled_from(["%B %-d, %Y", "%-d %B %Y", "%Y-%m-%d", "%b %-d %Y", "%B %Y", "%B", "%B %-d", "%-d %b"])
capital = st.sampled_from(
    ["Ada", "Łukasz", "O'Neill", "Jean-Luc", "J.", "Élodie", "İnci", "东京", "Иван", "MacLeod", "II"]
)
names = st.lists(capital, min_size=1, max_size=4).map(" ".join)
words = st.lists(capital | st.sampled_from(["gold", "3M", "AT&T", "C++", "the", "of", "24"]), min_size=1, max_size=5)
text = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=198).map(lambda t: f"A{t}")


def units(*names: str) -> st.SearchStrategy[str]:
    return st.tuples(amount, st.sampled_from(names)).map(" ".join)


ANSWERS = {
    "person": names
    | st.sampled_from(["van Gogh", "Simón de la Cruz", "Martin Luther King, Jr.", "Ada King the younger"]),
    "group": names.map("The {}".format) | st.sampled_from(["3M", "AT&T", "House of Lords", "Smith & Sons, Inc."]),
    "location": st.tuples(names, names).map(", ".join) | st.sampled_from(["southern Italy", "10 Downing Street"]),
    "entity": words.map(" ".join),
    "date": st.tuples(day, month).map(lambda p: p[0].strftime(p[1]))
    | st.sampled_from(
        "44 BC|AD 79|the 1920s|mid-1990s|19th century|21st century|winter of 1812|10:30 pm|noon|Monday".split("|")
    ),
    "duration": units("days", "years", "centuries", "seconds")
    | st.tuples(small, st.integers(1, 59)).map("{0[0]} hours and {0[1]} minutes".format),
    "number": amount
    | st.integers(-(10**9), 10**9).map(str)
    | st.integers(1, 999).map(
        lambda n: f"{n}{'th' if n // 10 % 10 == 1 else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"
    )
    | units("kg", "mph", "square miles", "degrees", "litres")
    | st.integers(-273, 500).map("{} °C".format)
    | st.sampled_from(["third", "twenty-first", "3/4"]),
    "money": st.tuples(st.sampled_from("$€£"), whole).map("".join)
    | units("dollars", "euros").filter(lambda text: not re.search(r"\.\d(\d\d+)? ", text) or "ion" in text)
    | small.map("${}.50".format)
    | scaled.map("${}".format),
    "percent": real.map("{}%".format) | spelled.map("{} percent".format),
    "distance": units("miles", "km", "metres", "light-years", "feet")
    | st.tuples(small, st.integers(1, 11)).map("{0[0]} feet {0[1]} inches".format),
    "count": whole | spelled | scaled | st.just("none"),
    "code": st.tuples(st.sampled_from(["", "B-", "+1 ", "(555) 123-", "ISO ", "SW1A "]), st.integers(1000, 9999)).map(
        "{0[0]}{0[1]}".format
    ),
    "boolean": st.sampled_from(["yes", "No", "true", "False"]),
    "abbreviation": st.sampled_from(
        ["NASA", "U.S.A.", "Ph.D.", "kg", "R&D", "Random Access Memory", "l'état, c'est moi"]
    ),
    **dict.fromkeys(("definition", "description", "manner", "reason"), text),
}
STRANGERS = {
    "person": ["", "the", "42", "ada", "Ada  King", "Ada\nKing", "Ada {King}", "<|abstain|>", "Ada;"],
    "group": ["", "of", "ada", "The  Who", "A\tB", '"Who"'],
    "location": ["", "here", "Paris,", "Paris,France;", "(Paris)"],
    "entity": ["", " ", "-", "a  b", "a\u0000b", "{x}"],
    "date": [
        "30 February 1876", "February 29, 1900", "2023-02-29", "April 31", "2023-13-01", "0 March", "32 March 1900",
        "1876-3-1", "24:00", "13 pm", "10:60", "3000", "0044", "22st century", "99999 BC", "Marchember 3", "the 1925s",
        "", "yesterday", "March 1876 10", "0:10 am",
    ],
    "duration": ["", "5", "days", "-3 days", "5 kg", "3 hours 60 minutes", "5 minutes 3 hours", "1,00 days"],
    "number": [
        "", "1,00", "007", "1,0000", "2st", "11st", "111st", "-300 °C", "-460 °F", "-1 K", "twenty-ten", "one two",
        "--5", "5 miles", "1/0", "1.", ".5", "1e5", "٣", "five-hundredth-ish", "- five",
    ],
    "money": ["", "$", "5", "$1.5", "$1.555", "-$5", "5 $", "$ 5", "5 miles", "$five", "dollars 5"],
    "percent": ["", "5", "%", "5 %%", "--5%", "five%", "5 percents"],
    "distance": ["", "5", "-3 km", "5 kg", "5 feet 12 inches", "5 inches 3 feet", "km"],
    "count": ["", "-1", "2.5", "1.5 hundred", "1,00", "many", "zero million", "5 people"],
    "code": ["", "ABC", "A--1", "a_1", "1\n2", "(5", "1+1", "é1"],
    "boolean": ["", "maybe", "YES", "y", "yes.", "yes no"],
    "abbreviation": ["", ".", "N!", "3M!", "a  b", "N\nA"],
    **{t: ["", ".", "A\nb", "A\x85b", "A" * 201] for t in ("definition", "description", "manner", "reason")},
}  # fmt: skip


@pytest.mark.parametrize("type_", ANSWER_TYPES)
def test_an_answer_of_a_type_is_in_its_grammar_and_passes_its_validator(type_: str) -> None:
    @quick
    @given(ANSWERS[type_])
    def agree(answer: str) -> None:
        assert PATTERNS[type_].fullmatch(answer), answer
        assert problem_of(answer, type_) is None, answer

    agree()


@pytest.mark.parametrize("type_", ANSWER_TYPES)
def test_what_is_no_answer_of_a_type_is_refused_by_grammar_and_validator(type_: str) -> None:
    for answer in STRANGERS[type_]:
        assert not PATTERNS[type_].fullmatch(answer), answer
        assert problem_of(answer, type_) is not None, answer


@pytest.mark.parametrize("type_", ANSWER_TYPES)
def test_a_mutant_of_an_answer_that_the_grammar_lets_through_passes_the_validator_too(type_: str) -> None:
    @quick
    @given(
        ANSWERS[type_], st.integers(0, 200), st.sampled_from([*" 0159,.-/%$'&+:ast²", "", "00", " and "]), st.booleans()
    )
    def agree(answer: str, at: int, other: str, instead: bool) -> None:
        at %= len(answer) + 1
        mutant = answer[:at] + other + answer[at + instead :]
        if PATTERNS[type_].fullmatch(mutant) and mutant == mutant.strip():
            assert problem_of(mutant, type_) is None, mutant

    agree()


def test_an_answer_has_the_first_type_that_it_fits() -> None:
    assert type_of("1876", ["person", "date", "number"]) == "date"
    assert type_of("1876", ["number", "date"]) == "number"
    assert type_of("{}", ["person", "date"]) is None


piece = st.sampled_from(
    [*"ab1 .,'’-:/_{}\"\n\\é́<|", "O'Neill", "it's", "3.5", "U.S.", "<|abstain|>", "东京", "2020-03-10"]
)
passages = st.lists(piece, max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@given(passages)
def test_what_may_be_quoted_is_what_words_make_and_nothing_else(passage: str) -> None:
    parts = chunks(passage)
    assert "".join(parts) == passage
    every = {"".join(parts[a:b]) for a in range(len(parts)) for b in range(a + 1, len(parts) + 1)}
    for a in range(len(passage)):
        for b in range(a + 1, min(a + 12, len(passage)) + 1):
            span = passage[a:b]
            if span[0].isspace() or span[-1].isspace():
                continue
            assert is_quoted(span, passage) == (span in every), span


def test_no_part_of_a_number_or_a_name_is_a_word() -> None:
    assert chunks("O'Neill's 3.5, U.S. 1,000-7 café") == [
        "O'Neill", "'", "s", " ", "3.5", ",", " ", "U.S", ".", " ", "1,000-7", " ", "café",
    ]  # fmt: skip


def test_a_grammar_names_only_what_it_was_asked_for() -> None:
    written = grammar(["person", "date"], 7, evidence=['a "b" {c}\n</a>\ud800 d'], banned=['x" | "y'])
    assert [line.split(":")[0] for line in written.splitlines()[1:]] == [
        "start", "PERSON", "DATE", "PASSAGE0", "PASSAGE1", "SPAN", "BODY", "ANSWER",
    ]  # fmt: skip
    assert json.dumps('x" | "y') in written
    assert grammar(["person"], 7, evidence=[]).splitlines()[-1] == "start: <[7]>"
    with pytest.raises(ValueError, match="no answer type: colour"):
        grammar(["colour"], 7)
