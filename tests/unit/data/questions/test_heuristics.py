"""Rules about questions: the form of each kind, the type where one decides, and none that says what cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.questions.heuristics import form_of, type_of
from gnomon.taxonomy import ANSWER_TYPES, COARSE_OF

FORMS = [
    ("Who wrote Emma ?", 1.0, "who"),
    ("Which person walked on the moon first?", 1.0, "who"),
    ("Where is Lake Como?", 0.95, "where"),
    ("When did Amtrak begin?", 0.9, "when"),
    ("How many feet are in a mile?", 0.95, "how_many"),
    ("Why is the sky blue?", 0.6, "why"),
    ("How does a rocket work?", 0.6, "how"),
    ("What is the best film?", 0.2, "opinion"),
    ("Who will win the next election?", 0.1, "future"),
    ("Where is my key?", 0.05, "deictic"),
    ("Who sang `` my way '' ?", 1.0, "who"),
    ("What is Will Smith's job?", 0.85, "what"),
    ("???", 0.02, "no_words"),
]
TYPES = [
    ("Who wrote Emma ?", "HUM:ind"),
    ("In what year did the Titanic sink?", "NUM:date"),
    ("How many feet are in a mile?", "NUM:count"),
    ("What does BASF stand for?", "ABBR:exp"),
    ("What country is Lima in?", "LOC:country"),
    ("Why is the sky blue?", "DESC:reason"),
    ("What is an atom?", "DESC:def"),
    ("What 's the capital of Peru ?", "LOC:city"),
    ("What's the capital of Peru?", "LOC:city"),
    ("What did he say to the man that came in?", None),
]


@pytest.mark.parametrize(("question", "likely", "rule"), FORMS)
def test_the_form_says_how_likely_it_can_be_answered(question: str, likely: float, rule: str) -> None:
    form = form_of(question)
    assert (form.well_posed, form.rule) == (likely, rule)


@pytest.mark.parametrize(("question", "fine"), TYPES)
def test_a_rule_decides_the_type_or_says_nothing(question: str, fine: str | None) -> None:
    typed = type_of(question)
    assert typed.fine_type == fine
    assert typed.type == (COARSE_OF[fine] if fine else None)


def test_yes_or_no_is_asked_for_unless_there_is_a_choice() -> None:
    assert type_of("Is Paris in France?").type == "boolean"
    assert type_of("Is it a plant or an animal?").type is None


@given(st.text(max_size=80))
def test_any_text_has_a_form_and_a_type_or_none(text: str) -> None:
    form, typed = form_of(text), type_of(text)
    assert 0 <= form.well_posed <= 1 and 0 < form.reliability <= 1
    assert typed.type is None or typed.type in ANSWER_TYPES
    assert typed.fine_type is None or COARSE_OF[typed.fine_type] == typed.type
