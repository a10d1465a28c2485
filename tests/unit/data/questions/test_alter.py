"""Altered questions keep their frame: what is common stays, what changes keeps its shape, and all is the same again."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.questions.alter import COMMON, altered

FRAMES = ["Who wrote {} ?", "What is the {} of {} ?", "When did {} , in 1990 , begin ?"]
WORDS = ["river", "Emma", "boat", "Paris", "1945", "queen", "7", "stone", "Lake"]
FILLER = [f"a{i:02} " * 100 for i in range(COMMON)]


def shape(word: str) -> tuple[bool, bool]:
    return word.isdigit(), word[0].isupper()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(FRAMES), *[st.sampled_from(WORDS)] * 2), min_size=1, max_size=6), st.integers()
)
def test_what_changes_keeps_its_shape_and_nothing_else_changes(made: list[tuple[str, str, str]], seed: int) -> None:
    questions = [frame.format(*words) for frame, *words in made]
    found = altered(questions, [*WORDS, *questions, *FILLER], 3 * len(questions), seed)
    assert found == altered(questions, [*WORDS, *questions, *FILLER], 3 * len(questions), seed)
    assert len(found) == 3 * len(questions)
    for i, text in enumerate(found):
        before, after = (re.findall(r"\w+|\W+", one) for one in (questions[i % len(questions)], text))
        assert len(before) == len(after)
        for one, other in zip(before, after, strict=True):
            assert one == other or (one[0].isalnum() and shape(one) == shape(other))


def test_common_words_stay_and_others_are_all_met() -> None:
    words = [f"the the the of of of what what {word}" for word in WORDS]
    found = altered(["what is the queen of Paris"], [*words, "the of what is " * 9, *FILLER[4:]], 400, 1)
    assert {tuple(text.split()[i] for i in (0, 1, 2, 4)) for text in found} == {("what", "is", "the", "of")}
    assert {text.split()[3] for text in found} == {"river", "boat", "queen", "stone"}
    assert {text.split()[5] for text in found} == {"Emma", "Paris", "Lake"}
    assert altered(["what is the"], ["what is the " * 9, *FILLER[3:]], 5, 1) == [], "nothing can be changed"
