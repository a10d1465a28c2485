"""What the presets say of a model is what is built; a plan needs none of it."""

from collections import Counter
from pathlib import Path

import pytest
import torch

from gnomon import pipeline
from gnomon.base.machine import Machine, this_machine
from gnomon.config import make_config
from gnomon.model.lm import LanguageModel
from gnomon.observe.console import Console
from gnomon.presets import PRESETS

PARTS = {"embed_tokens": "embedding", "self_attn": "attention", "mlp": "feed_forward"}


@pytest.mark.parametrize("size", PRESETS)
def test_parameters_are_those_of_the_model_part_by_part(size: str) -> None:
    shape = PRESETS[size]
    with torch.device("meta"):
        model = LanguageModel(shape)
    counted = Counter[str]()
    for name, parameter in model.named_parameters():
        counted[next((part for word, part in PARTS.items() if word in name.split(".")), "norms")] += parameter.numel()
    assert counted == shape.parameter_table()


@pytest.mark.parametrize(("size", "billions"), [("350M", 0.35), ("1.3B", 1.3)])
def test_a_size_has_about_the_parameters_that_it_is_named_after(size: str, billions: float) -> None:
    assert PRESETS[size].parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize("size", ["350M", "1.3B"])
def test_a_large_model_is_planned_without_being_built(
    tmp_path: Path, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def built(*_: object, **__: object) -> None:
        raise AssertionError("the model was built")

    machine = Machine(**{**this_machine().as_dict(), "memory_bytes": 128 << 30})
    monkeypatch.setattr(pipeline, "this_machine", lambda: machine)
    monkeypatch.setattr(LanguageModel, "__init__", built)
    config = make_config({"data": str(tmp_path), "size": size, "budget": "10B tokens", "train": {"threads": 1}})
    plan = pipeline.plan_of(config, None, Console(quiet=True))
    assert plan.parameters == PRESETS[size].parameters
    assert 16 * plan.parameters < plan.memory_bytes < 128 << 30
    assert "guess" in plan.reasons["tokens_per_second"]
