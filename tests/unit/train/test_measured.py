"""Rows that heads alone learn from: they count as other rows do, and of the language nothing is theirs."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnomon.config import OptimizerKind
from gnomon.data.streaming.rows import IGNORE, Rows
from gnomon.data.streaming.stream import Batch
from gnomon.events.journal import Decisions, Journal
from gnomon.events.types import QuestionsMeasured, Remember, RollBack
from gnomon.observe.rules import learn_what_was_measured
from gnomon.train.act import act
from gnomon.train.step import step
from tests.unit.train.test_act import go
from tests.unit.train.test_heads import LAYOUT, asked, found_by, labelled, part_of, state_with_heads
from tests.world import packed_rows, start


def with_beside(rows: Rows, more: Rows) -> Batch:
    """Return a batch of two passes, with rows beside the second of them."""
    micros = (part_of(rows, 0, 2), part_of(rows, 2, 4))
    return replace(labelled(*micros, more), micros=micros, beside=(None, more), loss_tokens=rows.loss_tokens)


def rows_of_heads() -> Rows:
    rows = asked(packed_rows([[30, 34], [20, 40]], length=64), seed=3)
    return replace(rows, labels=torch.full_like(rows.labels, IGNORE), loss_tokens=0)


@pytest.mark.parametrize("exact", [False, True])
def test_they_are_a_pass_of_their_own_without_language(exact: bool) -> None:
    rows, more = asked(packed_rows(LAYOUT, length=64)), rows_of_heads()
    state = replace(state_with_heads(), exact=exact)
    step(state, labelled(rows))  # from here on the budget lets something through
    batch = with_beside(rows, more)
    as_pass = replace(batch, micros=(*batch.micros, more), beside=())
    (ours, told), (theirs, said) = found_by(state, batch), found_by(state, as_pass)
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        assert torch.allclose(gradient, theirs[name], atol=1e-6), name
    assert torch.allclose(told, said, rtol=1e-5), "losses and norms that the budget follows from"
    without, _ = found_by(state, replace(batch, beside=()))
    assert not torch.allclose(ours["embed_tokens.weight"], without["embed_tokens.weight"], atol=1e-6)


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_while_heads_are_detached_they_change_no_bit_of_the_language(optimizer: OptimizerKind) -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    batch = with_beside(rows, rows_of_heads())
    one, twin = state_with_heads(optimizer, detached=5.0), state_with_heads(optimizer, detached=5.0)
    ours, theirs = dict(one.model.named_parameters()), dict(twin.model.named_parameters())
    for number in range(7):
        step(one, batch)
        step(twin, replace(batch, beside=()))
        same = all(torch.equal(p, theirs[name]) for name, p in ours.items() if not name.startswith("heads."))
        assert same == (number < 5)
    assert not torch.equal(ours["heads.mix.router"], theirs["heads.mix.router"])
    assert one.tokens == twin.tokens == 7 * rows.loss_tokens


def measured(step_: int, row: int, file: str) -> QuestionsMeasured:
    return QuestionsMeasured(
        step=step_, row=row, file=file * 64 + ".json", questions=3, again=0, known=0.5, staleness=0.0, forecast={},
        seconds=0.1,
    )  # fmt: skip


def test_a_measurement_is_learned_from_once_it_is_in_the_journal_and_undone_with_its_steps(tmp_path: Path) -> None:
    one = start(tmp_path)
    go(one, 2)
    row = one.state.row
    (wanted,) = learn_what_was_measured(measured(2, row, "a"))
    for file in ("a", "b"):  # the run comes to it again: the first decision counts
        act([Remember(why="x", file=file * 64 + ".json", at_row=row)], one.state, one.hands)
    assert Journal(one.run.journal_path).stages("measured", ()) == [(row, wanted.file)]  # pyright: ignore
    assert not list(learn_what_was_measured(measured(2, row, "a").model_copy(update={"file": None})))
    go(one, 2)
    late = Remember(why="x", file="c" * 64 + ".json", at_row=one.state.row)
    back = RollBack(why="bad", at_row=row, skip_rows=0, rate_factor=0.5, rate_rows=8)
    act([late, back], one.state, one.hands)
    assert Journal(one.run.journal_path).stages("measured", ()) == [(row, "a" * 64 + ".json")]
    entries = [{"at_row": 8, "measured": "a"}, {"at_row": 24, "measured": "b"}, {"at_row": 16, "roll_back": True}]
    assert Decisions(entries).stages("measured", ()) == [(8, "a")]
