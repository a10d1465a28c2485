"""Answers that count as right: what SQuAD's exact match accepts, and numbers as they are."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.data.questions.match import is_accepted, plain_answer


def _squad(text: str) -> str:
    """SQuAD's own normalisation, as its evaluation script describes it."""
    lowered = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lowered).split())


@given(st.lists(st.sampled_from(["The", "a", "an", "Ada", "King,", "(Emma)", "1876", '"x"', "U.S", "of!"]), max_size=6))
def test_words_are_judged_as_squad_judges_them(words: list[str]) -> None:
    text = " ".join(words)
    assert not _squad(text) or plain_answer(text) == _squad(text)


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("the Eiffel Tower.", ["Eiffel tower"], True),
        ("-5", ["5"], False),
        ("3.5", ["35"], False),
        (".5", ["5"], False),
        ("1,000", ["1000"], True),
        ("twenty-one", ["twenty one"], True),
        ("1914-1918", ["1914–1918"], True),
        ("The", ["a"], False),
        ("", [""], False),
        (None, ["Emma"], False),
        ("Emma", [], False),
    ],
)
def test_case_marks_and_articles_do_not_count_and_numbers_do(
    answer: str | None, accepted: list[str], right: bool
) -> None:
    assert is_accepted(answer, accepted) is right
