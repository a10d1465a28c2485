"""What is refused, counted threshold by threshold; what has no confidence is refused by every one of them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.evaluate.refusal import ALLOWED, refusal

sure = st.one_of(st.none(), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
kinds = st.sampled_from([(True, True), (False, True), (False, False)])  # right and answerable, wrong, without an answer


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sure, kinds), min_size=1, max_size=60))
def test_no_threshold_within_what_is_allowed_refuses_more(rows: list[tuple[float | None, tuple[bool, bool]]]) -> None:
    found = refusal([one for one, _ in rows], [right for _, (right, _) in rows], [able for _, (_, able) in rows])
    right = [-1.0 if one is None else one for one, kind in rows if kind[0]]
    none = [-1.0 if one is None else one for one, kind in rows if not kind[1]]
    assert (found["right"], found["unanswerable"]) == (len(right), len(none))
    if not right or not none:
        assert found["auroc"] is None and found["refused"] is None
        return
    allowed = [t for t in right if sum(one < t for one in right) <= ALLOWED * len(right)]
    assert found["refused"] == max(sum(one < t for one in none) / len(none) for t in allowed)
    pairs = [(a > b) + (a == b) / 2 for a in right for b in none]
    assert found["auroc"] == pytest.approx(sum(pairs) / len(pairs))
