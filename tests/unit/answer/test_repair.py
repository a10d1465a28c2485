"""Repairs stop at an answer that holds, never repeat a refused one, and are counted by what they changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnomon.answer.repair import Attempt, Reply, Tally, Tried, next_attempt, tally

FIRST = Attempt(("person", "group"), ("one", "two"))


def refused(first: Attempt, *answers: str) -> list[Attempt]:
    """Return what is asked for where answer upon answer, of a person, fails."""
    attempts = [first]
    for repair, answer in enumerate(answers, 1):
        later = next_attempt(Tried(attempts[-1], Reply(answer, "person"), "wrong"), repair)
        attempts += [] if later is None else [later]
    return attempts


def test_the_first_repair_bans_the_answer_and_the_second_takes_the_next_evidence() -> None:
    assert [(t.evidence, sorted(t.banned), t.types, t.repair) for t in refused(FIRST, "a", "b")] == [
        (("one", "two"), [], ("person", "group"), None),
        (("one", "two"), ["a"], ("person", "group"), "without that answer"),
        (("two",), ["a", "b"], ("person", "group"), "with the next evidence"),
    ]


@pytest.mark.parametrize("evidence", [None, (), ("one",)])
def test_where_no_other_evidence_is_left_the_next_type_is_tried(evidence: tuple[str, ...] | None) -> None:
    last = refused(Attempt(("person", "group"), evidence), "a", "b")[-1]
    assert (last.types, last.evidence, last.banned) == (("group",), evidence, {"a", "b"})
    assert last.repair == "with the next type"


def test_with_nothing_left_to_change_nothing_is_asked_for() -> None:
    assert len(refused(Attempt(("person",)), "a", "b")) == 2


@given(
    st.lists(st.sampled_from("ab"), min_size=2, max_size=2),
    st.sampled_from([("person",), ("group",), ("person", "group"), ("group", "person", "date")]),
    st.sampled_from([None, (), ("one",), ("one", "two"), ("one", "two", "three")]),
)
def test_no_refused_answer_is_open_again_and_no_attempt_is_for_nothing(
    answers: list[str], types: tuple[str, ...], evidence: tuple[str, ...] | None
) -> None:
    attempts = refused(Attempt(types, evidence), *answers)
    assert len(attempts) == 3 or (types == ("person",) and len(evidence or ()) < 2)
    for at, one in enumerate(attempts):
        assert one.banned == set(answers[:at])
        assert one.types and set(one.types) <= set(types)
        assert one.evidence == evidence or (evidence is not None and one.evidence == evidence[1:] != ())


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
