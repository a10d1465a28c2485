"""Questions are parted by their names alone, and what belongs together is never parted."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.answer.split import mark, refuse_overlap, split, together
from gnomon.base.errors import DataError

names = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from([None, "Who?", "who", "Why!", "When"]), st.sampled_from([None, "g"])),
    max_size=30,
)


@settings(max_examples=40, deadline=None)
@given(names, st.randoms(use_true_random=False))
def test_units_are_the_parts_of_the_graph_of_what_is_shared(rows: list, random) -> None:
    ids, questions, groups = ([f"q{r[0]}" for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    units = together(ids, questions, groups)
    plain = [q and q.strip("?!").lower() for q in questions]
    linked = [
        [ids[i] == ids[j] or (plain[i] and plain[i] == plain[j]) or (groups[i] and groups[i] == groups[j])
         for j in range(len(rows))] for i in range(len(rows))
    ]  # fmt: skip
    for i in range(len(rows)):
        reached = {i}
        while more := {j for a in reached for j in range(len(rows)) if linked[a][j]} - reached:
            reached |= more
        assert {j for j in range(len(rows)) if units[j] == units[i]} == reached
    order = random.sample(range(len(rows)), len(rows))
    moved = together([ids[i] for i in order], [questions[i] for i in order], [groups[i] for i in order])
    assert moved == [units[i] for i in order]


def test_a_question_keeps_its_part_when_others_come_and_shares_are_about_met() -> None:
    ids = [f"q{i}" for i in range(4000)]
    parts = split(ids)
    assert split(ids[100:300]).tolist() == parts[100:300].tolist()
    for part, share in enumerate((0.25, 0.25, 0.5)):
        assert (parts == part).mean() == pytest.approx(share, abs=0.03)
    assert (split(ids, seed=1) != parts).mean() > 0.5


def test_what_fitted_may_not_certify() -> None:
    refuse_overlap([mark("a"), mark("b")], [mark("c")], "x.jsonl")
    with pytest.raises(DataError, match="1 of 2 questions that are to certify have also fitted"):
        refuse_overlap([mark("a"), mark("b")], [mark("b"), mark("c")], "x.jsonl")
