"""What the plan derives: often enough and not too often, and what older plans meant."""

from pathlib import Path
from typing import Any

import pytest

from gnomon.base.machine import Machine
from gnomon.config import make_config
from gnomon.plan import SECONDS_BETWEEN_SAVES, Plan, make_plan, read_plan

MACHINE = Machine(system="Linux", cores=2, memory_bytes=64 << 30, processor="a test", flags=())
FIXTURES = Path(__file__).parent.parent / "fixtures" / "checkpoints"


def planned(size: str = "5M", budget: str = "3M tokens", speed: float = 1e4, **train: Any) -> Plan:
    config = make_config({"data": "texts", "size": size, "budget": budget, "train": train})
    return make_plan(config, MACHINE, device="cpu", dtype=("bf16", ""), tokens_per_second=(speed, ""))


@pytest.mark.parametrize("budget", ["50K tokens", "170K tokens", "1M tokens", "30M tokens"])
@pytest.mark.parametrize("speed", [1e3, 2e4])
def test_validation_and_saves_never_outweigh_training(budget: str, speed: float) -> None:
    plan = planned(budget=budget, speed=speed)
    validations = plan.steps / plan.validate_every
    assert 2 <= validations <= 20
    assert validations <= 4 or validations * plan.validation_tokens <= 0.35 * plan.tokens
    step_seconds = plan.tokens / plan.steps / speed
    assert plan.save_every == plan.steps or plan.save_every * step_seconds >= SECONDS_BETWEEN_SAVES
    assert plan.steps / plan.save_every <= 20


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
