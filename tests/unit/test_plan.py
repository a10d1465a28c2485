"""What the plan derives: often enough and not too often; memory of one process; and what older plans meant."""

import math
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from gnomon import footprint
from gnomon.base.errors import ConfigError
from gnomon.base.machine import Machine
from gnomon.config import make_config, parse_budget
from gnomon.footprint import layer_bytes
from gnomon.model.attention import SHORT, Segments
from gnomon.model.lm import LanguageModel
from gnomon.model.loss import CHUNK_TOKENS, PART
from gnomon.model.rotary import rotary
from gnomon.pace import Pace
from gnomon.plan import (
    SAMPLE_TOKENS,
    SECONDS_BETWEEN_SAVES,
    Plan,
    make_plan,
    read_plan,
    sample_every,
    shape_of,
)
from gnomon.presets import BlockKind
from gnomon.taxonomy import HeadKind
from tests.world import packed_rows

MACHINE = Machine(system="Linux", cores=2, memory_bytes=64 << 30, processor="a test", flags=())
FIXTURES = Path(__file__).parent.parent / "fixtures" / "checkpoints"


def planned(
    size: str = "5M",
    budget: str = "3M tokens",
    speed: float = 1e4,
    pace: Pace | None = None,
    processes: int = 1,
    **train: Any,
) -> Plan:
    return make_plan(
        make_config({"data": "texts", "size": size, "budget": budget, "train": train}),
        MACHINE,
        device="cpu",
        dtype=("fp32", "a test"),
        pace=pace or Pace(speed, "a test", 3 * speed),
        processes=processes,
    )


@pytest.mark.parametrize("budget", ["50K tokens", "170K tokens", "1M tokens", "30M tokens"])
@pytest.mark.parametrize("speed", [1e3, 2e4])
def test_validation_and_saves_never_outweigh_training(budget: str, speed: float) -> None:
    plan = planned(budget=budget, speed=speed)
    validations = plan.steps / plan.validate_every
    assert 2 <= validations <= 20
    assert validations <= 3 or validations * plan.validation_tokens <= 0.25 * plan.tokens
    step_seconds = plan.tokens / plan.steps / speed
    assert plan.save_every == plan.steps or plan.save_every * step_seconds >= SECONDS_BETWEEN_SAVES
    assert plan.steps / plan.save_every <= 20


@pytest.mark.parametrize("budget", ["20s", "10m", "3h", "50K tokens", "30M tokens"])
@pytest.mark.parametrize("train", [{}, {"batch_ramp": "fixed"}, {"validate_every": 3}], ids=str)
def test_time_is_that_of_steps_and_of_what_stands_beside_them(budget: str, train: dict[str, Any]) -> None:
    kind, amount = parse_budget(budget)
    for pace in (Pace(1e4, "a test", 3e4), Pace(1e4, "a test", 3e4, 0.3, 0.01)):
        plan = planned(budget=budget, pace=pace, **train)
        updates, row = 0, 0
        while row < plan.steps * plan.rows_per_step:  # as the stream takes them
            row += next(size for at, size in reversed([(0, plan.rows_per_step), *plan.ramp]) if at <= row)
            updates += 1
        training = plan.tokens / 1e4 + updates * pace.update_seconds
        in_pass = plan.micro_rows * plan.shape["context"]  # a validation ends with a whole one
        read = math.ceil(plan.validation_tokens / in_pass) * in_pass * math.ceil(plan.steps / plan.validate_every) / 3e4
        drawn = math.ceil(plan.steps / sample_every(plan.steps)) * SAMPLE_TOKENS * pace.token_seconds
        assert plan.tokens / plan.tokens_per_second == pytest.approx(training, rel=0.01)
        assert plan.seconds == pytest.approx(training + read + drawn, rel=0.02)
        if kind == "seconds":
            assert 0.85 * amount < plan.seconds
            assert plan.seconds <= amount or training <= 0.55 * amount or train.get("batch_ramp")


def test_a_short_time_is_not_all_spent_on_samples() -> None:
    plan = planned(budget="20s", pace=Pace(1e4, "a test", 3e4, 0.3, 0.5))
    assert 9 < plan.tokens / plan.tokens_per_second < 11.5 and plan.seconds > 200


def test_processes_share_passes_and_each_makes_every_update() -> None:
    pace = Pace(1e4, "a test", 3e4, 0.3, 0.01)
    one, two = planned(pace=pace), planned(pace=pace, processes=2)
    saved = one.seconds - two.seconds
    validated = math.ceil(one.steps / one.validate_every) * one.validation_tokens
    assert saved == pytest.approx((one.tokens / 1e4 + validated / 3e4) / 2, rel=0.02)


def test_muon_remembers_one_number_a_weight_of_matrices_and_adamw_two() -> None:
    muon, adamw = planned(), planned(optimizer="adamw")
    table = muon.parameter_table
    matrices = table["attention"] + table["feed_forward"]
    assert (muon.optimizer, adamw.optimizer) == ("muon", "adamw")
    kept = 3 + 2  # checkpoints, and the best, and one being written
    assert adamw.disk_bytes - muon.disk_bytes == 4 * matrices * kept
    assert muon.lr > adamw.lr


@pytest.mark.parametrize("folder", sorted(FIXTURES.iterdir()), ids=lambda f: f.name)
def test_a_plan_of_before_there_was_a_choice_means_adamw(folder: Path) -> None:
    assert read_plan(folder / "plan.json").optimizer == "adamw"


def shared(size: str, processes: int, **train: Any) -> Plan:
    return planned(
        size, processes=processes, **{"batch_tokens": 1 << 20, "micro_rows": 1, "background_saves": False, **train}
    )


@pytest.mark.parametrize(("size", "processes", "most"), [("124M", 2, 0.5), ("124M", 4, 0.25), ("5M", 4, 0.25)])
def test_memory_is_that_of_one_process(size: str, processes: int, most: float) -> None:
    whole = shared(size, processes, optimizer="adamw")
    own = shared(size, processes, optimizer="adamw", sharding="optimizer")
    owned = max(1 / processes, whole.parameter_table["embedding"] / whole.parameters)
    assert owned <= most
    assert whole.memory_bytes - own.memory_bytes == pytest.approx(8 * whole.parameters * (1 - owned), abs=8)


@pytest.mark.parametrize("processes", [2, 8])
def test_with_everything_shared_out_a_process_has_its_share_and_what_a_pass_puts_together(processes: int) -> None:
    whole = shared("124M", processes, optimizer="adamw")
    table, parameters = whole.parameter_table, whole.parameters
    block = (table["attention"] + table["feed_forward"]) // 16
    saved = whole.memory_bytes - shared("124M", processes, optimizer="adamw", sharding="full").memory_bytes
    assert saved == 16 * parameters - 16 * parameters // processes - 8 * (table["embedding"] + 2 * block)


def test_alone_nothing_is_shared() -> None:
    alone, *asked = (shared("1M", 1, sharding=how).memory_bytes for how in ("none", "optimizer", "full"))
    assert all(memory == alone for memory in asked)
    assert shared("1M", 2).memory_bytes == alone


@pytest.mark.parametrize(("optimizer", "each"), [("adamw", 12), ("muon", 8)])
def test_a_checkpoint_on_its_way_is_a_share_of_the_run(optimizer: str, each: int) -> None:
    without, with_one = (shared("1M", 4, background_saves=saves, optimizer=optimizer) for saves in (False, True))
    table = without.parameter_table
    matrices = table["attention"] + table["feed_forward"]
    expected = 12 * without.parameters - (12 - each) * matrices
    assert with_one.memory_bytes - without.memory_bytes == expected // 4


@pytest.mark.parametrize(("rows", "share", "more"), [(16, 0.0625, 1), (32, 0.0625, 2), (16, 0.5, 8)])
def test_rows_of_measured_questions_are_held_beside_each_pass(rows: int, share: float, more: int) -> None:
    measured = {"questions": ["q.jsonl"], "rows_share": share}
    shape = shape_of(make_config({"data": "a.txt", "size": "1M"}), 2048)

    def held(micro: int, **heads: Any) -> int:
        config = make_config({"data": "a.txt", "size": "1M", "heads": {"router": True, **heads}})
        return footprint.training_bytes(config, shape, micro, "fp32", "adamw", 1, device="cpu", compiled=False)[0]

    each = held(rows + 1) - held(rows)
    assert held(rows, measured=measured) - held(rows) == pytest.approx(more * each, rel=1e-6)


def test_what_the_plan_has_memory_for_is_what_the_model_does_at_once() -> None:
    assert (footprint.SHORT_KEYS, footprint.LOSS_TOKENS, footprint.LOSS_PART) == (SHORT, CHUNK_TOKENS, PART)


@pytest.mark.parametrize("product", [2, 4])
@pytest.mark.parametrize("block", get_args(BlockKind))
def test_what_a_layer_keeps_of_a_token_is_what_the_plan_says(block: BlockKind, product: int) -> None:
    model = LanguageModel(shape_of(make_config({"data": "texts", "size": "5M", "model": {"block": block}})))
    rows, weights = packed_rows([[96, 96]], length=192), {p.data_ptr() for p in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    layer = next(iter(model.layers))
    turn = rotary(rows.positions, model.shape.rotary_width, model.shape.rope_theta)
    stream = torch.randn(1, 192, model.shape.width, requires_grad=True)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=product == 2),
    ):
        layer(stream, turn, Segments(rows.buckets, rows.inverse), None, None)
    copies = {shape for p in layer.parameters() if p.ndim == 2 for shape in (p.shape, p.T.shape)}
    others = [t for at, t in kept.items() if at not in weights and t.shape not in copies]
    of_attention = [t for t in others if t.ndim == 3 and t.shape[2] == 96 and t.shape[1] % 96 == 0]
    assert [t.numel() for t in of_attention] == [2 * model.shape.heads * 96**2] * (product == 2)
    a_token = sum(t.untyped_storage().nbytes() for t in others if not any(t is w for w in of_attention)) / 192
    assert a_token <= layer_bytes(model.shape, product) <= 1.6 * a_token


@pytest.mark.parametrize("heads", [["router"], ["types"], ["router", "types"]])
def test_heads_are_in_the_table_and_in_the_memory_and_each_is_under_half_a_million_at_a_width_of_384(
    heads: list[HeadKind],
) -> None:
    written = {"data": "texts", "size": "5M", "budget": "3M tokens", "model": {"width": 384}}
    plans = [
        make_plan(make_config(one), MACHINE, device="cpu", dtype=("fp32", ""), pace=Pace(1e4, "", 3e4))
        for one in (written, written | {"heads": dict.fromkeys(heads, True)})
    ]
    without, plan = plans
    with torch.device("meta"):
        model = LanguageModel(shape_of(make_config(written)), heads=plan.heads)
    assert model.heads is not None
    each = {name: sum(p.numel() for p in model.heads.get_submodule(name).parameters()) for name in model.heads.outputs}
    count = sum(each.values()) + sum(mix.numel() for mix in model.heads.mix.values())
    assert max(each.values()) < 500_000 and plan.parameter_table == without.parameter_table | {"heads": count}
    assert (plan.heads, plan.parameters) == (heads, sum(p.numel() for p in model.parameters()))
    assert plan.memory_bytes - without.memory_bytes == 28 * count  # weight, gradient, moments; a checkpoint of these
    assert f"{count / 1e6:.2f}M parameters" in plan.reasons["heads"] and without.heads == []


@pytest.mark.parametrize("ramp", ["fixed", "noise"])
@pytest.mark.parametrize(("rows", "processes", "first"), [(64, 1, 8), (64, 4, 8), (24, 1, 3), (12, 2, 6), (64, 16, 16)])
def test_a_ramp_begins_with_a_power_of_two_that_all_processes_can_share(
    ramp: str, rows: int, processes: int, first: int
) -> None:
    plan = planned(processes=processes, batch_ramp=ramp, batch_tokens=rows * 256)
    (start, begins), *later = plan.ramp
    assert (start, begins, plan.rows_per_step) == (0, first, rows)
    assert plan.micro_rows <= first // processes and (ramp == "fixed" or first // plan.micro_rows >= 2)
    assert plan.steps == planned(processes=processes, batch_tokens=rows * 256).steps
    if ramp == "fixed":
        sizes = [size for _, size in plan.ramp]
        assert sizes == [first << i for i in range(len(sizes))] and sizes[-1] == rows
        assert later[-1][0] == pytest.approx(0.3 * plan.steps * rows, abs=1)
    else:
        assert later == []


def test_a_ramp_that_cannot_be_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigError, match="cannot begin smaller"):
        planned(batch_ramp="fixed", batch_tokens=7 * 256)
    with pytest.raises(ConfigError, match="have 8 rows in one process") as caught:
        planned(batch_ramp="noise", batch_tokens=64 * 256, micro_rows=8)
    assert "4 or fewer" in str(caught.value.do)
    with pytest.raises(ConfigError, match="no gradients of single passes"):
        planned(batch_ramp="noise", sharding="full")


@pytest.mark.parametrize(("first", "lengths"), [(32, [32, 64, 128, 256]), (48, [48, 96, 192, 256]), (255, [255, 256])])
def test_pieces_grow_to_the_context_over_a_share_of_the_rows(first: int, lengths: list[int]) -> None:
    plan = planned(length_ramp="fixed", length_from=first, length_share=0.5)
    assert [most for _, most in plan.lengths] == lengths and plan.lengths[0][0] == 0
    starts = [at for at, _ in plan.lengths]
    assert starts[-1] == round(0.5 * plan.steps * plan.rows_per_step) and starts == sorted(set(starts))
    assert planned().lengths == []
    with pytest.raises(ConfigError, match="as long as the context"):
        planned(length_ramp="fixed", length_from=256)
