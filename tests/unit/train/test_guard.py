"""What the guard refuses changes nothing, is no part of what is usual, and is judged the same in a resumed run."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnomon.train import guard as guard_module
from gnomon.train.guard import FEWEST, LOWEST_SCALE, NOT_FINITE, OK, OVERFLOW, SPIKE, WINDOW, Guard
from tests.unit.train.test_step import as_batch, snapshot, taken
from tests.world import packed_rows, plain_state


def judge(guard: Guard, loss: float, norm: float, step: int = 0) -> int:
    return int(guard.judge(torch.tensor(loss), torch.tensor(norm), step=step, row=step * 8))


def usual(count: int) -> Guard:
    """Return a guard that has seen so many usual steps."""
    guard, draw = Guard("cpu", fp16=False), torch.Generator().manual_seed(0)
    for step in range(count):
        noise = torch.randn(2, generator=draw)
        assert judge(guard, 4.0 + 0.1 * float(noise[0]), math.exp(0.2 * float(noise[1])), step) == OK
    return guard


@pytest.mark.parametrize(
    ("loss", "norm", "verdict"),
    [
        (4.0, 1.0, OK),
        (4.4, 1.0, OK),
        (4.0, 6.0, OK),
        (0.1, 1e-6, OK),
        (5.5, 1.0, SPIKE),
        (4.0, 30.0, SPIKE),
        (math.nan, 1.0, NOT_FINITE),
        (4.0, math.inf, NOT_FINITE),
        (-math.inf, math.nan, NOT_FINITE),
        (4.0, 0.0, OK),
    ],
)
def test_what_is_far_above_the_usual_is_refused_and_what_is_below_is_not(
    loss: float, norm: float, verdict: int
) -> None:
    assert judge(usual(60), loss, norm) == verdict


def test_nothing_is_a_spike_before_there_is_a_usual_and_nan_always_is_refused() -> None:
    guard = usual(FEWEST - 1)
    assert judge(guard, 9.0, 50.0) == OK
    assert judge(Guard("cpu", fp16=False), math.nan, 1.0) == NOT_FINITE


@settings(deadline=None, max_examples=30)
@given(bad=st.lists(st.sampled_from([math.nan, math.inf, 50.0, 1e30]), min_size=1, max_size=200))
def test_what_was_refused_stays_out_of_what_is_usual(bad: list[float]) -> None:
    guard = usual(WINDOW + 20)
    before = guard.tensors()["window"].clone()
    for step, loss in enumerate(bad):
        assert judge(guard, loss, 1.0, step) != OK
    assert torch.equal(guard.tensors()["window"], before)
    assert int(guard.tensors()["in_a_row"]) == len(bad)
    assert judge(guard, 4.0, 1.0, len(bad)) == OK, "healthy steps after them are not refused"
    assert int(guard.tensors()["in_a_row"]) == 0


def test_a_level_that_is_accepted_becomes_the_usual() -> None:
    guard = usual(60)
    assert judge(guard, 6.0, 1.0) == SPIKE
    guard.forget()
    assert [judge(guard, 6.0, 1.0, step) for step in range(FEWEST + 5)] == [OK] * (FEWEST + 5)
    assert judge(guard, 9.0, 1.0) == SPIKE


def test_a_guard_that_was_saved_and_loaded_judges_as_the_one_it_was_saved_from() -> None:
    one, two = usual(70), Guard("cpu", fp16=False)
    judge(one, math.nan, 1.0, 71)
    two.load({name: tensor.clone() for name, tensor in one.tensors().items()})
    draw = torch.Generator().manual_seed(1)
    for step in range(72, 300):
        loss = 4.0 + float(torch.randn((), generator=draw).abs()) ** 4
        assert judge(one, loss, 1.0, step) == judge(two, loss, 1.0, step)
    assert all(torch.equal(t, two.tensors()[name]) or name == "window" for name, t in one.tensors().items())
    assert torch.equal(one.tensors()["window"].nan_to_num(), two.tensors()["window"].nan_to_num())


def test_the_loss_scale_halves_at_an_overflow_grows_after_clean_steps_and_a_floor_is_no_overflow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(guard_module, "STEPS_TO_GROWTH", 5)
    guard = Guard("cpu", fp16=True)
    first = float(guard.scale)
    assert judge(guard, 4.0, math.inf) == OVERFLOW
    assert float(guard.scale) == first / 2
    for _ in range(5):
        assert judge(guard, 4.0, 1.0) == OK
    assert float(guard.scale) == first
    while float(guard.scale) > LOWEST_SCALE:
        assert judge(guard, 4.0, math.nan) == OVERFLOW
        assert int(guard.tensors()["in_a_row"]) == 0, "finding the scale is no trouble"
    assert judge(guard, 4.0, math.nan) == NOT_FINITE
    assert (float(guard.scale), int(guard.tensors()["in_a_row"])) == (LOWEST_SCALE, 1)


def test_training_in_fp16_finds_its_scale_and_follows_fp32() -> None:
    batch = as_batch(packed_rows([[40, 24], [64]], length=64))
    half, full = plain_state(log_every=1, dtype="fp16"), plain_state(log_every=1)
    half.guard.scale.fill_(2.0**24)  # too large: the first steps overflow
    overflows, losses = 0, []
    while len(losses) < 30 and overflows < 24:
        before = snapshot(half)
        (event,) = taken(half, batch)
        same = all(torch.equal(a, b) for a, b in zip(before.values(), snapshot(half).values(), strict=True))
        assert same == (event.verdict == "overflow"), "an overflow changes nothing, another step does"
        if event.verdict == "overflow":
            overflows += 1
            continue
        full.step, full.done = half.step - 1, half.done - 1  # the rate goes by steps, overflows included
        losses.append((event.loss, taken(full, batch)[0].loss))
    assert overflows > 0 and float(half.guard.scale) == 2.0 ** (24 - overflows)
    assert len(losses) == 30
    assert [a for a, _ in losses] == pytest.approx([b for _, b in losses], rel=0.02)
