"""A model shaped like GPT-NeoX is trained, stopped and gone on with as any other."""

from pathlib import Path

from gnomon.events.types import StepDone
from tests.unit.train.test_act import assert_equal
from tests.world import start


def test_stopped_and_gone_on_with_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    whole = start(tmp_path / "whole", block="gpt-neox", save_every=7, dropout=0.1)
    cut = start(tmp_path / "cut", block="gpt-neox", save_every=7, dropout=0.1)
    assert whole.train().reason == cut.train().reason == "finished"
    for checkpoint in cut.run.checkpoints.all()[1:]:
        cut.run.checkpoints.discard(checkpoint)
    again = start(tmp_path / "cut", block="gpt-neox", save_every=7, dropout=0.1)
    assert again.train().reason == "finished"
    assert_equal(again.state, whole.state)
    losses, told = ([e.loss for e in run.events(StepDone)] for run in (whole, again))
    assert losses[-1] < losses[0] - 1.0
    assert 0 < len(told) < len(losses) and told == losses[-len(told) :]
