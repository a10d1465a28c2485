"""A run with heads is resumed, shared out and compiled as any other, and its heads learn what text can tell them."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gnomon.events.types import Save
from gnomon.model.reading import read_each
from gnomon.taxonomy import FINE_TYPES, HEAD_LOSSES
from gnomon.train.act import act
from gnomon.train.kernels import compile_kernels, no_compiler
from gnomon.train.state import load_checkpoint
from gnomon.train.step import step
from tests.ranks import run_all
from tests.unit.train.test_act import assert_equal, go
from tests.unit.train.test_heads import LAYOUT, asked, labelled, state_with_heads
from tests.world import packed_rows, start, unlabelled

HEADS = {"router": True, "types": True, "detached_share": 0.3}
OPTIONS = {"budget": "9K tokens", "micro_rows": 2, "heads": HEADS, "log_every": 3, "save_every": 1000}


def train(folder: Path, processes: int, runs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    for name in runs:
        (folder / name).mkdir(exist_ok=True)
    said = run_all(processes, [(folder / name, OPTIONS | options) for name, options in runs.items()])
    return dict(zip(runs, said, strict=True))


def test_with_one_process_or_two_however_shared_out_and_resumed_it_is_one_run(tmp_path: Path) -> None:
    alone = {"exact": {"exact": True}, "stopped": {"exact": True, "stop_at": 9}, "slow": {"lr": 1e-4}}
    one = train(tmp_path, 1, alone)
    shutil.copytree(tmp_path / "stopped", tmp_path / "goes-on")
    runs = {"goes-on": {"exact": True, "sharding": "optimizer"}, "full": {"sharding": "full", "lr": 1e-4}}
    two = train(tmp_path, 2, runs)
    assert one["stopped"]["reason"] == "interrupted" and two["goes-on"]["step"] == one["exact"]["step"] > 12
    assert two["goes-on"]["loaded"] == one["stopped"]["ended"]
    assert two["goes-on"]["ended"] == one["exact"]["ended"], "the same bits"
    assert two["goes-on"]["heads"] == one["exact"]["heads"][9:]
    assert all(heads.keys() == set(HEAD_LOSSES) for heads in one["exact"]["heads"])
    assert one["exact"]["heads"][-1]["coarse"] < 0.8 * one["exact"]["heads"][0]["coarse"]
    for key in ("losses", "norms"):
        assert two["full"][key] == pytest.approx(one["slow"][key], rel=5e-6)
    for ours, theirs in zip(two["full"]["heads"], one["slow"]["heads"], strict=True):
        assert ours == pytest.approx(theirs, rel=2e-5)


@pytest.mark.skipif(no_compiler() is not None, reason=str(no_compiler()))
def test_compiled_steps_are_plain_ones_with_heads_too() -> None:
    rows = asked(packed_rows(LAYOUT, length=64))
    plain, fast = state_with_heads(), state_with_heads()
    fast.model.kernels = compile_kernels()
    for _ in range(4):
        step(plain, labelled(rows))
        step(fast, labelled(rows))
    assert plain.budget and fast.budget
    for name, tensor in plain.budget.tensors().items():
        assert torch.allclose(fast.budget.tensors()[name], tensor, rtol=1e-4), name
    told = [[(e.loss, e.heads) for e in state.readback.drain()] for state in (plain, fast)]
    for (loss, heads), (fast_loss, fast_heads) in zip(*told, strict=True):
        assert fast_loss == pytest.approx(loss, rel=1e-5) and fast_heads == pytest.approx(heads, rel=1e-4)


def test_heads_learn_to_tell_planted_questions_apart() -> None:
    """The third token of a question says its type, and the last but one whether it can be answered."""
    state, generator = state_with_heads(part=1.0), torch.Generator().manual_seed(0)
    state.schedule = replace(state.schedule, steps=150, peak=3e-3)

    def questions(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        tokens = torch.randint(200, 500, (count, 8), generator=generator)
        types, posed = (torch.randint(n, (count,), generator=generator) for n in (6, 2))
        tokens[:, 2], tokens[:, 6], tokens[:, 7] = 100 + types, 120 + posed, 5
        return tokens, types, posed

    for _ in range(150):
        tokens, types, posed = questions(64)
        rows = packed_rows([[8] * 8] * 8, length=64)
        rows.tokens.copy_(tokens.reshape(8, 64))
        found = unlabelled(torch.arange(64) * 8 + 7, torch.zeros(64, dtype=torch.int64))
        found.router[:, 0], found.weight[:, 0] = posed.float(), 1.0
        found.fine.copy_(torch.nn.functional.one_hot(types * 8, len(FINE_TYPES)).float())
        step(state, labelled(replace(rows, targets=found)))
    tokens, types, posed = questions(200)
    said = [each[0] for each in read_each(state.model.eval(), tokens.tolist(), {5: 0})]
    right = [
        max(r.fine, key=lambda n: r.fine[n]) == FINE_TYPES[t * 8] for r, t in zip(said, types.tolist(), strict=True)
    ]
    known = [(r.router["well_posed"] > 0.5) == bool(p) for r, p in zip(said, posed.tolist(), strict=True)]
    print(f"types {sum(right) / 2:.1f} %, well posed {sum(known) / 2:.1f} %")
    assert sum(right) >= 196 and sum(known) >= 196


def test_a_state_with_heads_is_resumed_with_the_same_bits(tmp_path: Path) -> None:
    one = start(tmp_path, heads=HEADS)
    go(one, 14)  # of 40, so that heads are attached
    act([Save(why="rolling")], one.state, one.hands)
    go(one, 3)
    twin = start(tmp_path, heads=HEADS)
    load_checkpoint(twin.state, one.run.checkpoints.all()[-1])
    go(twin, 3)
    assert_equal(one.state, twin.state)
    assert one.state.budget and twin.state.budget and float(one.state.budget.share(one.state.done) or 0) > 0
    assert one.state.budget.tensors() == twin.state.budget.tensors()
