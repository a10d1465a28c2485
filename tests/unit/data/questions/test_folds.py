"""Folds of questions: near-duplicates together, types spread, the same in any order."""

from collections import Counter
from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.data.questions.folds import FOLDS, folds_of

WORDS = [f"word{i}" for i in range(14)]
FEW = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
LONG = [" ".join(w for w in WORDS[start : start + 11] if w != left) for start in (0, 1) for left in WORDS]
FAR = [f"{a} asks for {b}" for a in "abcdefghij" for b in "klmnopqrst"]


def slowly_near(one: str, other: str) -> bool:
    a, b = set(one.casefold().split()), set(other.casefold().split())
    return len(a & b) / len(a | b) >= 0.9 - 1e-12


@settings(max_examples=60)
@given(st.lists(FEW | st.sampled_from(LONG), min_size=1, max_size=25))
def test_of_any_two_questions_that_are_near_both_are_in_one_fold(questions: list[str]) -> None:
    folds = folds_of(questions, [None] * len(questions))
    for i, j in combinations(range(len(questions)), 2):
        if slowly_near(questions[i], questions[j]):
            assert folds[i] == folds[j]


@settings(max_examples=30)
@given(st.permutations(range(40)), st.integers(0, 3))
def test_the_order_of_questions_changes_nothing(order: list[int], seed: int) -> None:
    questions, types = FAR[:40], ["HUM:ind" if i % 3 else "NUM:date" for i in range(40)]
    folds = folds_of(questions, types, seed=seed)
    again = folds_of([questions[i] for i in order], [types[i] for i in order], seed=seed)
    assert (again == folds[order]).all()


def test_punctuation_case_and_space_make_no_other_question() -> None:
    questions = ["Who wrote Emma?", *FAR[:30], "who  WROTE `` Emma '' ?", "What is the name of who wrote Emma ?"]
    folds = folds_of(questions, [None] * len(questions))
    assert folds[0] == folds[-2]


def test_every_type_is_spread_over_all_folds_and_another_seed_spreads_otherwise() -> None:
    types = ["HUM:ind"] * 50 + ["NUM:date"] * 30 + ["LOC:city"] * 20
    folds = folds_of(FAR, types)
    counts = Counter(zip(types, folds.tolist(), strict=True))
    assert {counts["HUM:ind", f] for f in range(FOLDS)} == {10}
    assert {counts["NUM:date", f] for f in range(FOLDS)} == {6}
    assert {counts["LOC:city", f] for f in range(FOLDS)} == {4}
    assert not np.array_equal(folds, folds_of(FAR, types, seed=1))
