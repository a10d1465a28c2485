"""Repairs stop at an answer that holds, never repeat a refused one, and are counted by what they changed."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.answer.repair import Attempt, Reply, Tally, Tried, answer_with_repairs, tally

FIRST = Attempt(("person", "group"), ("one", "two"))


def model(*replies: str | None) -> Callable[[Attempt], Reply]:
    left = iter(replies)
    return lambda attempt: Reply(next(left), "person")


def refuse(*wrong: str) -> Callable[[Attempt, Reply], str | None]:
    def problem(attempt: Attempt, reply: Reply) -> str | None:
        assert reply.answer is not None, "an abstention is not judged"
        return "wrong" if reply.answer in wrong else None

    return problem


def test_without_repairs_an_answer_with_a_problem_becomes_an_abstention() -> None:
    reply, tried = answer_with_repairs(FIRST, model("a"), refuse("a"))
    assert reply.answer is None and [one.problem for one in tried] == ["wrong"]


def test_the_first_repair_bans_the_answer_and_the_second_takes_the_next_evidence() -> None:
    reply, tried = answer_with_repairs(FIRST, model("a", "b", "c"), refuse("a", "b"), 2)
    assert reply.answer == "c"
    assert [(t.attempt.evidence, sorted(t.attempt.banned), t.attempt.types) for t in tried] == [
        (("one", "two"), [], ("person", "group")),
        (("one", "two"), ["a"], ("person", "group")),
        (("two",), ["a", "b"], ("person", "group")),
    ]


@pytest.mark.parametrize("evidence", [None, (), ("one",)])
def test_where_no_other_evidence_is_left_the_next_type_is_tried(evidence: tuple[str, ...] | None) -> None:
    first = Attempt(("person", "group"), evidence)
    reply, tried = answer_with_repairs(first, model("a", "b", "c"), refuse("a", "b"), 2)
    assert reply.answer == "c" and tried[-1].attempt.types == ("group",) and tried[-1].attempt.evidence == evidence


def test_with_nothing_left_to_change_it_abstains_before_the_limit() -> None:
    reply, tried = answer_with_repairs(Attempt(("person",)), model("a", "b"), refuse("a", "b"), 2)
    assert reply.answer is None and len(tried) == 2


def test_more_than_two_repairs_are_refused() -> None:
    with pytest.raises(ValueError, match="3 repairs"):
        answer_with_repairs(FIRST, model("a"), refuse(), 3)


@given(
    st.lists(st.sampled_from(["a", "b", None]), min_size=3, max_size=3),
    st.sets(st.sampled_from("ab")),
    st.integers(0, 2),
)
def test_what_stands_holds_and_an_abstention_is_never_repaired(
    said: list[str | None], bad: set[str], most: int
) -> None:
    reply, tried = answer_with_repairs(FIRST, model(*said), refuse(*bad), most)
    assert reply.answer not in bad and len(tried) <= most + 1
    assert all(one.reply.answer in bad for one in tried[:-1])
    assert all(one.reply.answer in later.attempt.banned for at, one in enumerate(tried) for later in tried[at + 1 :])
    if said[0] not in bad:
        assert reply.answer == said[0] and len(tried) == 1


def counted(right: str, first: str, *later: str | None) -> Tally:
    tried = [Tried(FIRST, Reply(first))] + [Tried(Attempt(("person",), repair="again"), Reply(text)) for text in later]
    return tally([(tried, tried[-1].reply, lambda answer: answer == right)])


def test_fixes_and_harms_are_counted_by_what_was_right_before_and_after() -> None:
    fixed, harmed, silenced, useless = (
        counted("a", "b", "a"),
        counted("a", "a", "b"),
        counted("a", "a", None),
        counted("a", "b", "c"),
    )
    assert (fixed.fixed, fixed.harmed, fixed.fix_rate, fixed.by_repair) == (1, 0, 1.0, {"again": 1})
    assert (harmed.fixed, harmed.harmed, harmed.harm_rate) == (0, 1, 1.0)
    assert (silenced.harmed, useless.fixed, useless.harmed) == (1, 0, 0)


def test_repairing_is_worth_it_where_it_fixes_more_than_it_harms_and_harms_few() -> None:
    assert Tally(asked=1000, right_first=800, fixed=20, harmed=4).worth_it
    assert not Tally(asked=1000, right_first=800, fixed=20, harmed=5).worth_it
    assert not Tally(asked=1000, right_first=800, fixed=2, harmed=2).worth_it
    assert not Tally().worth_it
