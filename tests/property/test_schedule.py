"""The learning rate at every step of every schedule."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gnomon.train.schedule import Schedule

schedules = st.builds(
    Schedule,
    kind=st.sampled_from(["wsd", "cosine"]),
    peak=st.floats(1e-6, 1.0),
    steps=st.integers(2, 500),
    warmup=st.integers(0, 200),
    decay_share=st.floats(0.0, 1.0),
    floor=st.floats(0.0, 1.0),
).filter(lambda s: s.warmup < s.steps)


@given(schedules)
def test_it_warms_up_linearly_never_passes_the_peak_and_never_rises_after(s: Schedule) -> None:
    rates = [s.rate(i) for i in range(s.steps)]
    for i in range(s.warmup):
        assert math.isclose(rates[i], s.peak * (i + 1) / s.warmup, rel_tol=1e-12)
    after = rates[s.warmup :]
    assert all(a >= b - 1e-15 for a, b in pairwise(after))
    assert max(rates) <= s.peak * (1 + 1e-12)
    assert min(after) >= s.peak * s.floor * (1 - 1e-12)


@given(schedules)
def test_it_ends_exactly_at_its_floor_when_it_decays_at_all(s: Schedule) -> None:
    decays = s.kind == "cosine" or round(s.decay_share * s.steps) > 0
    if decays:
        assert math.isclose(s.rate(s.steps - 1), s.peak * s.floor, rel_tol=1e-9, abs_tol=1e-12)
    else:
        assert s.rate(s.steps - 1) == s.peak


@given(schedules, st.data())
def test_part_of_a_step_has_a_rate_between_those_of_its_ends(s: Schedule, data: st.DataObject) -> None:
    step, part = data.draw(st.integers(1, s.steps - 1)), data.draw(st.floats(0.0, 1.0))
    low, high = sorted([s.rate(step - 1), s.rate(step)])
    assert low * (1 - 1e-12) <= s.rate_until(step + part) <= high * (1 + 1e-12)
    assert s.rate_until(step + 0.0) == s.rate(step - 1)


@given(schedules)
def test_wsd_stays_at_the_peak_between_warmup_and_decay(s: Schedule) -> None:
    if s.kind == "wsd":
        start = s.steps - round(s.decay_share * s.steps)
        assert all(s.rate(i) == s.peak for i in range(s.warmup, start))
        for step in range(max(s.warmup, start), s.steps):
            left = (s.steps - 1 - step) / (s.steps - max(s.warmup, start))
            assert math.isclose(s.rate(step), s.peak * (s.floor + (1 - s.floor) * left), rel_tol=1e-9, abs_tol=1e-15)
